import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { describeEvent, eventToWire } from '../../src/api/event.ts'
import { formatWire } from '../../src/api/json.ts'
import { readEchoedSpec, readUpdateResult } from '../../src/api/read.ts'
import { parseResourceId } from '../../src/core/resource/id.ts'
import { type CommitKind, type FluxEvent, planSyncEvents } from '../../src/core/sync/event.ts'
import type { UpdateResult } from '../../src/core/update/result.ts'

/** Events that the original posted upstream. Ours order IDs, and hold milliseconds. */
interface Posted {
  type: string
  serviceIDs: string[]
  startedAt: string
  endedAt: string
  metadata: {
    revision?: string
    Revision?: string
    spec?: { Type?: string; ReleaseImageSpec?: unknown; ReleaseContainersSpec?: unknown; Changes?: unknown }
    cause?: unknown
    result?: unknown
    commits?: { revision: string; message: string }[]
    includes?: Record<string, boolean>
    initialSync?: boolean
  }
}

const recorded = JSON.parse(readFileSync('test/fixtures/recordings/misc/events.json', 'utf8')) as {
  events: { body: string }[]
}
const events = recorded.events.map(({ body }, index) => {
  const posted = JSON.parse(
    body.replaceAll(/(\.\d{3})\d+Z/g, '$1Z').replaceAll('"Current":"",', ''),
  ) as Posted
  posted.serviceIDs.sort()
  return { name: `${index} ${posted.type}`, posted }
})
const trimZeros = (text: string) => text.replaceAll(/(T[\d:]+)(\.\d*?)0+Z/g, '$1$2Z').replaceAll('.Z"', 'Z"')

function read(posted: Posted): FluxEvent {
  const { metadata } = posted
  const frame = {
    ids: posted.serviceIDs.map(parseResourceId),
    startedAt: new Date(posted.startedAt),
    endedAt: new Date(posted.endedAt),
  }
  const result = readUpdateResult(metadata.result) ?? new Map()
  const revision = metadata.revision ?? metadata.Revision ?? ''
  if (posted.type === 'commit')
    return { type: 'commit', ...frame, revision, update: readEchoedSpec(metadata.spec), result }
  if (posted.type === 'sync') {
    const { commits = [], includes = {}, initialSync: initial = false } = metadata
    return {
      type: 'sync',
      ...frame,
      commits,
      includes: Object.keys(includes) as CommitKind[],
      errors: [],
      initial,
    }
  }
  const type = metadata.spec?.Changes ? 'auto' : metadata.spec?.ReleaseImageSpec ? 'image' : 'containers'
  const spec = metadata.spec?.ReleaseImageSpec ?? metadata.spec?.ReleaseContainersSpec ?? metadata.spec
  const update = readEchoedSpec({ type, cause: metadata.cause, spec })
  if (update.type === 'auto') return { type: 'autorelease', ...frame, revision, update, result }
  if (update.type === 'image' || update.type === 'containers')
    return { type: 'release', ...frame, revision, update, result }
  throw new Error(`unexpected ${posted.type}`)
}

describe('events are printed as the original posts them', () => {
  test.each(events)('$name', ({ posted }) => {
    expect(formatWire(eventToWire(read(posted)))).toBe(trimZeros(formatWire(posted)))
  })
})

const startedAt = new Date('2020-01-01T00:00:00Z')
const web = parseResourceId('demo:deployment/web')
const db = parseResourceId('demo:statefulset/db')
const sync = (revisions: string[], updated = [web]) =>
  planSyncEvents({
    commits: revisions.map((revision) => ({ revision, message: 'm' })),
    notes: new Map(),
    updated,
    errors: [],
    initial: false,
    startedAt,
    endedAt: startedAt,
  }).events[0]

describe('one line for people', () => {
  test.each([
    { event: sync(['2222222xyz']), line: 'Sync: 2222222, demo:deployment/web' },
    { event: sync(['2222222xyz', '1111111xyz']), line: 'Sync: 2222222, demo:deployment/web' },
    {
      event: sync(['3333333xyz', '2222222xyz', '1111111xyz'], []),
      line: 'Sync: 1111111..3333333, no workloads changed',
    },
  ])('$line', ({ event, line }) => {
    expect(event && describeEvent(event)).toBe(line)
  })

  const result: UpdateResult = new Map(
    readUpdateResult({
      [web]: {
        Status: 'success',
        PerContainer: [{ Container: 'web', Current: 'x/web:1', Target: 'x/web:2' }],
      },
      [db]: { Status: 'success', PerContainer: [{ Container: 'db', Target: 'x/db:2' }] },
    }),
  )
  const update = (type: string, spec: object, cause = {}) => readEchoedSpec({ type, cause, spec })
  const released = (cause: object, spec: object, results = result): FluxEvent => {
    const read = update('image', spec, cause)
    if (read.type !== 'image') throw new Error('unexpected')
    const ids = [...results.keys()]
    const frame = { ids, startedAt, endedAt: startedAt, revision: '1111111xyz' }
    return { type: 'release', ...frame, update: read, result: results }
  }

  test.each([
    {
      event: released({ User: 'U', Message: 'my "words"' }, { ServiceSpecs: [web, db] }),
      line: `Released: x/db:2, x/web:2 to ${web}, ${db}, by U, with message "my \\"words\\""`,
    },
    { event: released({}, { ServiceSpecs: ['<all>'] }), line: 'Released: x/db:2, x/web:2 to all workloads' },
    {
      event: released({}, { ServiceSpecs: [web] }, new Map()),
      line: 'Released: no image changes to no workloads',
    },
  ])('$line', ({ event, line }) => {
    expect(describeEvent(event)).toBe(line)
  })

  test('a commit, with and without changes', () => {
    const frame = {
      startedAt,
      endedAt: startedAt,
      revision: '0123456789',
      update: update('sync', {}),
      result: new Map(),
    }

    expect(describeEvent({ type: 'commit', ids: [web], ...frame })).toBe(
      'Commit: 0123456, demo:deployment/web',
    )
    expect(describeEvent({ type: 'commit', ids: [], ...frame })).toBe('Commit: 0123456, <no changes>')
  })
})

test('a sync tells what could not be applied', () => {
  const event: FluxEvent = {
    type: 'sync',
    ids: [],
    startedAt,
    endedAt: startedAt,
    commits: [],
    includes: ['other'],
    errors: [{ id: web, source: 'a.yaml', error: 'boom' }],
    initial: true,
  }

  expect(formatWire(eventToWire(event))).toBe(
    '{"id":0,"serviceIDs":[],"type":"sync","startedAt":"2020-01-01T00:00:00Z","endedAt":"2020-01-01T00:00:00Z",' +
      '"logLevel":"info","metadata":{"commits":[],"includes":{"other":true},' +
      '"errors":[{"ID":"demo:deployment/web","Path":"a.yaml","Error":"boom"}],"initialSync":true}}',
  )
})
