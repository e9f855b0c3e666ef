import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ImageInfo } from '../../../src/core/image/info.ts'
import { canonicalName, formatImageRef, type ImageRef, parseImageRef } from '../../../src/core/image/ref.ts'
import { parseResourceId } from '../../../src/core/resource/id.ts'
import {
  automatedWorkloads,
  type ListingState,
  planAutomation,
  strayFilters,
} from '../../../src/core/update/automation.ts'

const id = parseResourceId('default:deployment/app')
const image = (tag: string, created?: string): ImageInfo => ({
  ref: parseImageRef(tag === '' ? 'x/app' : `x/app:${tag}`),
  labels: {},
  digest: `sha256:${tag}`,
  ...(created && { createdAt: new Date(created) }),
})
const nameOnly = (tag: string): ImageInfo => ({ ref: parseImageRef(`x/app:${tag}`), labels: {} })

const old = image('old', '2020-01-01T00:00:00Z')
const current = image('current', '2020-01-02T00:00:00Z')
const newer = image('new', '2020-01-03T00:00:00Z')
const v1 = image('1.0.0', '2020-01-01T00:00:00Z')
const v2 = image('2.0.0', '2019-01-01T00:00:00Z')

interface Situation {
  runs?: string
  pattern?: string
  images?: readonly ImageInfo[] | undefined
  state?: ListingState
}

interface Row extends Situation {
  code: string
  target?: string
}

function decide({ runs = 'x/app:current', pattern, images, state = 'complete' }: Situation) {
  const containers = [{ name: 'app', image: parseImageRef(runs), imageText: runs, init: false }]
  const policies = new Map([['automated', 'true'], ...(pattern ? [['tag.app', pattern] as const] : [])])
  const known = (like: ImageRef) => (canonicalName(like) === 'index.docker.io/x/app' ? images : undefined)
  const workloads = {
    git: new Map([[id, { policies, containers }]]),
    cluster: new Map([[id, { containers, ignored: false }]]),
  }
  const plan = planAutomation(workloads, known, () => state)
  const [decision] = plan.decisions
  const targets = plan.changes.map(({ target }) => formatImageRef(target))
  return { outcome: decision?.outcome, code: decision?.code, reason: decision?.reason, targets }
}

test.each<Row>([
  { images: [old, current, newer], code: 'NEWER', target: 'x/app:new' },
  { images: [old, current], code: 'UP_TO_DATE' },
  { images: [current], pattern: 'glob:stable-*', code: 'NO_MATCH' },
  { images: undefined, code: 'LISTING_MISSING' },
  { images: [current], pattern: 'semver:nonsense', code: 'PATTERN_INVALID' },
  { images: [current, nameOnly('pushed-just-now')], code: 'METADATA_MISSING' },
  { images: [image('current'), newer], code: 'TIME_UNKNOWN' },
  { images: [newer], code: 'TIME_UNKNOWN' },
  {
    images: [image('current', '1970-01-01T00:00:00Z'), image('a', '1970-01-01T00:00:00Z')],
    code: 'TIME_EPOCH',
  },
  {
    images: [image('current', '1970-01-01T00:00:00Z'), newer],
    code: 'NEWER',
    target: 'x/app:new',
  },
  { images: [image('current'), image('undated')], code: 'UP_TO_DATE' },
  { runs: 'x/app:1.0.0', images: [v1, v2], pattern: 'semver:*', code: 'NEWER', target: 'x/app:2.0.0' },
  {
    runs: 'x/app:1.0.0',
    images: [nameOnly('1.0.0'), nameOnly('1.1.0')],
    pattern: 'semver:^1.0',
    code: 'NEWER',
    target: 'x/app:1.1.0',
  },
  { runs: 'x/app:1.0.0', images: [v2], pattern: 'semver:*', code: 'NEWER', target: 'x/app:2.0.0' },
  { runs: 'x/app:2.0.0', images: [v1, v2], code: 'NEWER', target: 'x/app:1.0.0' },
  {
    runs: 'x/app:new',
    images: [old, current, newer],
    pattern: 'glob:o*',
    code: 'FILTER_CHANGED',
    target: 'x/app:old',
  },
  { runs: 'x/app:3.0.0', images: [v1, v2], pattern: 'semver:*', code: 'BACKWARDS', target: 'x/app:2.0.0' },
  {
    runs: 'x/app:3.0.0',
    images: [v1, v2],
    pattern: 'semver:*',
    state: 'incomplete',
    code: 'LISTING_INCOMPLETE',
  },
  { runs: 'x/app:3.0.0', images: [v1, v2], pattern: 'semver:*', state: 'stale', code: 'LISTING_STALE' },
  { images: [current, newer], state: 'stale', code: 'NEWER', target: 'x/app:new' },
  { runs: 'docker.io/x/app:current', images: [current, newer], code: 'NEWER', target: 'docker.io/x/app:new' },
  { runs: 'x/app@sha256:current', images: [current, newer], code: 'NEWER', target: 'x/app@sha256:new' },
  { runs: 'x/app@sha256:new', images: [current, newer], code: 'UP_TO_DATE' },
  { runs: 'x/app@sha256:1', images: [nameOnly('2.0.0')], pattern: 'semver:*', code: 'DIGEST_UNKNOWN' },
])('$code: $runs $pattern $state', ({ target, code, ...situation }) => {
  expect(decide(situation)).toMatchObject({ code, targets: target ? [target] : [] })
})

test('says what it compared, as v1 logs it', () => {
  expect(decide({ images: [current, newer] }).reason).toBe(
    'latest new (2020-01-03 00:00:00 +0000 UTC) > current current (2020-01-02 00:00:00 +0000 UTC)',
  )
})

test.each([
  { created: '2020-01-03T00:00:00.123456789Z', shown: '2020-01-03 00:00:00.123456789 +0000 UTC' },
  { created: '2020-01-03T01:00:00.5+01:00', shown: '2020-01-03 01:00:00.5 +0100 +0100' },
])('shows $created as Go does', ({ created, shown }) => {
  const precise = { ...image('new', created), createdAtText: created }

  expect(decide({ images: [current, precise] }).reason).toContain(`latest new (${shown})`)
})

test('names filters for containers that are not there', () => {
  const policies = new Map([
    ['automated', 'true'],
    ['tag.podinfo', 'glob:dev-*'],
    ['tag.chart-image', 'glob:dev-*'],
  ])

  expect(strayFilters(policies, ['chart-image'])).toEqual(['podinfo'])
})

describe('candidates', () => {
  test.each([
    { policies: { automated: 'true' }, candidate: true },
    { policies: { automated: 'yes' }, candidate: false },
    { policies: { automated: 'true', locked: 'true' }, candidate: false },
    { policies: { automated: 'true', ignore: 'true' }, candidate: false },
    { policies: { automated: 'true', ignore: 'sync_only' }, candidate: true },
  ])('$policies: $candidate', ({ policies, candidate }) => {
    const git = new Map([[id, { policies: new Map(Object.entries(policies)), containers: [] }]])

    expect(automatedWorkloads({ git })).toEqual(candidate ? [id] : [])
  })

  test('are left alone where the cluster does not run them, or an image cannot be read', () => {
    const git = new Map([[id, { policies: new Map([['automated', 'true']]), containers: [] }]])
    const broken = { containers: [{ name: 'app', imageText: ':x', init: false }], ignored: false }

    const absent = planAutomation(
      { git, cluster: new Map() },
      () => [newer],
      () => 'complete',
    )
    const unreadable = planAutomation(
      { git, cluster: new Map([[id, broken]]) },
      () => [newer],
      () => 'complete',
    )

    expect(absent).toEqual({ changes: [], decisions: [] })
    expect(unreadable.decisions).toMatchObject([{ code: 'IMAGE_UNREADABLE', outcome: 'none' }])
  })
})

test('in whatever order tags come, the same one is chosen, and a second pass changes nothing', () => {
  const images = [old, current, newer, v1, v2]
  const shuffled = fc.shuffledSubarray(images, { minLength: images.length })
  fc.assert(
    fc.property(shuffled, fc.constantFrom('glob:*', 'semver:*', 'regexp:^[a-z]'), (listed, pattern) => {
      const chosen = decide({ images: listed, pattern }).targets

      expect(chosen).toEqual(decide({ images, pattern }).targets)
      for (const runs of chosen) expect(decide({ runs, images: listed, pattern }).targets).toEqual([])
    }),
  )
})
