import { expect, test } from 'vitest'
import { parseImageRef } from '../../../src/core/image/ref.ts'
import { parseResourceId } from '../../../src/core/resource/id.ts'
import { type CommitNote, commitEvent, planSyncEvents, type SyncFacts } from '../../../src/core/sync/event.ts'

const web = parseResourceId('demo:deployment/web')
const db = parseResourceId('demo:statefulset/db')
const cause = { message: '', user: 'U' }
const startedAt = new Date('2020-01-01T00:00:00Z')
const endedAt = new Date('2020-01-01T00:00:05Z')
const result = new Map([
  [web, { status: 'success' as const, updates: [{ container: 'web', target: parseImageRef('x/web:2') }] }],
  [db, { status: 'skipped' as const, error: 'locked', updates: [] }],
])

const release: CommitNote = {
  spec: {
    type: 'image',
    cause,
    spec: { workloads: ['<all>'], image: '<all latest>', kind: 'execute', excludes: null, force: false },
  },
  result,
}
const automated: CommitNote = { spec: { type: 'auto', cause, changes: [] }, result }
const policy: CommitNote = { spec: { type: 'policy', cause, spec: new Map() } }
const commit = (revision: string) => ({ revision, message: `message of ${revision}` })

function plan(parts: Partial<SyncFacts>) {
  return planSyncEvents({
    commits: [commit('c1')],
    notes: new Map(),
    updated: [],
    errors: [],
    initial: false,
    startedAt,
    endedAt,
    ...parts,
  })
}

test('tells nothing of a sync without commits', () => {
  expect(plan({ commits: [], updated: [web] })).toEqual({ events: [] })
})

test('tells a first sync with all resources', () => {
  const { events } = plan({ updated: [db, web], initial: true })

  expect(events).toEqual([
    {
      type: 'sync',
      ids: [web, db],
      startedAt,
      endedAt: startedAt,
      commits: [commit('c1')],
      includes: ['other'],
      errors: [],
      initial: true,
    },
  ])
})

test('tells the sync first, then its releases, the oldest first', () => {
  const { events } = plan({
    commits: [commit('c4'), commit('c3'), commit('c2'), commit('c1')],
    notes: new Map([
      ['c1', automated],
      ['c2', policy],
      ['c4', release],
    ]),
  })

  expect(events.map((event) => [event.type, 'revision' in event ? event.revision : event.includes])).toEqual([
    ['sync', ['autorelease', 'other', 'release', 'update_policy']],
    ['autorelease', 'c1'],
    ['release', 'c4'],
  ])
  expect(events.map(({ ids }) => ids)).toEqual([[], [web], [web]])
})

test('stops at the first note of a first sync, and warns', () => {
  const { events, warning } = plan({
    commits: [commit('c2'), commit('c1')],
    notes: new Map([['c2', release]]),
    initial: true,
  })

  expect(events.map(({ type }) => type)).toEqual(['sync'])
  expect(warning).toBe('no notes expected on initial sync; this repo may be in use by another fluxd')
})

test('a commit event names what was changed', () => {
  expect(commitEvent('c1', release.spec, result, startedAt)).toMatchObject({
    type: 'commit',
    ids: [web],
    revision: 'c1',
  })
})
