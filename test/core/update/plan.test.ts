import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ImageInfo } from '../../../src/core/image/info.ts'
import { canonicalName, formatImageRef, type ImageRef, parseImageRef } from '../../../src/core/image/ref.ts'
import { parseResourceId, type ResourceId } from '../../../src/core/resource/id.ts'
import {
  addsAutomation,
  planAutomatedRelease,
  planContainersRelease,
  planImageRelease,
  repositoriesNeeded,
} from '../../../src/core/update/plan.ts'
import { reasons, type UpdateResult } from '../../../src/core/update/result.ts'
import type { ClusterWorkload, GitWorkload } from '../../../src/core/update/select.ts'
import type { ContainerUpdate, ImageRelease } from '../../../src/core/update/spec.ts'

const id = (name: string) => parseResourceId(`default:deployment/${name}`)
const containersOf = (images: Record<string, string>) =>
  Object.entries(images).map(([name, imageText]) => ({
    name,
    image: parseImageRef(imageText),
    imageText,
    init: false,
  }))
const inGit = (images: Record<string, string>, policies: Record<string, string> = {}): GitWorkload => ({
  containers: containersOf(images),
  policies: new Map(Object.entries(policies)),
})
const running = (images: Record<string, string>, ignored = false): ClusterWorkload => ({
  containers: containersOf(images),
  ignored,
})

const helloworld = {
  greeter: 'quay.io/weaveworks/helloworld:master-a000001',
  sidecar: 'weaveworks/sidecar:master-a000001',
}
const lockedImage = { 'locked-service': 'quay.io/weaveworks/locked-service:1' }
const semverImage = { greeter: 'quay.io/weaveworks/helloworld:master-a000001' }
const git = new Map<ResourceId, GitWorkload>([
  [id('helloworld'), inGit(helloworld)],
  [id('locked-service'), inGit(lockedImage, { locked: 'true' })],
  [id('semver'), inGit(semverImage, { 'tag.greeter': 'semver:*' })],
  [id('test-service'), inGit({ 'test-service': 'quay.io/weaveworks/test-service:1' })],
])
const others = [id('semver'), id('test-service')]

const image = (text: string, created?: string): ImageInfo => ({
  ref: parseImageRef(text),
  labels: {},
  digest: `sha256:${text.length}`,
  ...(created && { createdAt: new Date(created) }),
})
const registry = [
  image('index.docker.io/weaveworks/sidecar:master-a000001', '2020-01-01T00:00:00Z'),
  image('index.docker.io/weaveworks/sidecar:master-a000002', '2020-01-02T00:00:00Z'),
  image('quay.io/weaveworks/helloworld:3.0.0', '2019-01-01T00:00:00Z'),
  image('quay.io/weaveworks/helloworld:master-a000001', '2020-01-01T00:00:00Z'),
  image('quay.io/weaveworks/helloworld:master-a000002', '2020-01-02T00:00:00Z'),
  image('quay.io/weaveworks/locked-service:1', '2020-01-01T00:00:00Z'),
  image('quay.io/weaveworks/locked-service:2', '2020-01-02T00:00:00Z'),
]
const known = (images: readonly ImageInfo[]) => (like: ImageRef) => {
  const found = images.filter(({ ref }) => canonicalName(ref) === canonicalName(like))
  return found.length > 0 ? found : undefined
}

const release = (parts: Partial<ImageRelease>): ImageRelease => ({
  workloads: ['<all>'],
  image: '<all latest>',
  kind: 'execute',
  excludes: null,
  force: false,
  ...parts,
})

/** `success greeter:tag sidecar:tag`, or `skipped locked` */
const shortOf = (results: UpdateResult, workload: ResourceId) => {
  const { status, error, updates } = results.get(workload) ?? { status: 'absent', updates: [] }
  return [status, ...(error ? [error] : []), ...updates.map((u) => `${u.container}:${u.target.tag}`)].join(
    ' ',
  )
}

describe('a release of images', () => {
  const cluster = new Map([
    [id('helloworld'), running(helloworld)],
    [id('locked-service'), running(lockedImage)],
  ])
  const both = 'success greeter:master-a000002 sidecar:master-a000002'

  test.each([
    {
      asks: { workloads: [id('helloworld')] },
      hello: both,
      locked: `ignored ${reasons.notIncluded}`,
      rest: `ignored ${reasons.notIncluded}`,
    },
    {
      asks: { excludes: [id('locked-service')] },
      hello: both,
      locked: `ignored ${reasons.excluded}`,
      rest: `skipped ${reasons.notInCluster}`,
    },
    {
      asks: { image: 'quay.io/weaveworks/helloworld:master-a000002' },
      hello: 'success greeter:master-a000002',
      locked: `ignored ${reasons.differentImage}`,
      rest: `skipped ${reasons.notInCluster}`,
    },
    { asks: {}, hello: both, locked: 'skipped locked', rest: `skipped ${reasons.notInCluster}` },
    {
      asks: { workloads: [id('helloworld'), '<all>'] },
      hello: both,
      locked: 'skipped locked',
      rest: `skipped ${reasons.notInCluster}`,
    },
    {
      asks: { workloads: [id('notInRepo')] },
      hello: `ignored ${reasons.notIncluded}`,
      locked: `ignored ${reasons.notIncluded}`,
      rest: `ignored ${reasons.notIncluded}`,
    },
  ])('of $asks', ({ asks, hello, locked, rest }) => {
    const { results } = planImageRelease(release(asks), { git, cluster }, known(registry))

    expect(shortOf(results, id('helloworld'))).toBe(hello)
    expect(shortOf(results, id('locked-service'))).toBe(locked)
    expect(others.map((other) => shortOf(results, other))).toEqual(others.map(() => rest))
    const missing = asks.workloads?.includes(id('notInRepo'))
    expect(shortOf(results, id('notInRepo'))).toBe(missing ? `skipped ${reasons.notInRepository}` : 'absent')
  })

  test.each([
    {
      asks: { workloads: [id('locked-service')], image: 'quay.io/weaveworks/locked-service:2' },
      forced: true,
    },
    { asks: { workloads: [id('locked-service')] }, forced: true },
    { asks: { image: 'quay.io/weaveworks/locked-service:2' }, forced: false },
    { asks: {}, forced: false },
  ])('passes a lock by force only for workloads that are named: $asks', ({ asks, forced }) => {
    const { results } = planImageRelease(release({ ...asks, force: true }), { git, cluster }, known(registry))

    expect(shortOf(results, id('locked-service'))).toBe(
      forced ? 'success locked-service:2' : 'skipped locked',
    )
  })

  test.each([
    {
      workloads: [id('semver')],
      image: 'quay.io/weaveworks/helloworld:master-a000002',
      tag: 'master-a000002',
    },
    { workloads: ['<all>'], image: 'quay.io/weaveworks/helloworld:master-a000002', tag: 'master-a000002' },
    { workloads: [id('semver')], image: '<all latest>', tag: '3.0.0' },
    { workloads: ['<all>'], image: '<all latest>', tag: '3.0.0' },
  ])('passes a filter by force only with an image that is named: $workloads $image', ({ tag, ...asks }) => {
    const cluster = new Map([[id('semver'), running(semverImage)]])

    const { results } = planImageRelease(release({ ...asks, force: true }), { git, cluster }, known(registry))

    expect(shortOf(results, id('semver'))).toBe(`success greeter:${tag}`)
  })

  test.each([
    { force: false, image: 'quay.io/weaveworks/helloworld:master-a000002' },
    { force: true, image: 'quay.io/weaveworks/helloworld:latest' },
  ])('cannot find $image against the filter (force: $force)', (asks) => {
    const cluster = new Map([[id('semver'), running(semverImage)]])

    const { results } = planImageRelease(release(asks), { git, cluster }, known(registry))

    expect(shortOf(results, id('semver'))).toBe(`skipped ${reasons.imageNotFound}`)
  })

  test.each([
    { images: [], status: `ignored ${reasons.doesNotUseImage}`, why: 'nothing is known of its repositories' },
    {
      images: registry.filter(({ ref }) => ref.tag === 'master-a000001'),
      status: `skipped ${reasons.upToDate}`,
      why: 'the registry has only what runs',
    },
    {
      images: [{ ref: parseImageRef('quay.io/weaveworks/helloworld:new'), labels: {} }],
      status: `ignored ${reasons.doesNotUseImage}`,
      why: 'the age of one tag is not known and the last container has no images',
    },
  ])('changes nothing when $why', ({ images, status }) => {
    const { results, changes } = planImageRelease(release({}), { git, cluster }, known(images))

    expect(shortOf(results, id('helloworld'))).toBe(status)
    expect(changes).toEqual([])
  })

  test('does not wait for ages where a filter orders by version', () => {
    const cluster = new Map([[id('semver'), running(semverImage)]])
    const tags = ['1.0.0', '2.0.0'].map((tag) => ({
      ref: parseImageRef(`quay.io/weaveworks/helloworld:${tag}`),
      labels: {},
    }))

    const { results } = planImageRelease(release({}), { git, cluster }, known(tags))

    expect(shortOf(results, id('semver'))).toBe('success greeter:2.0.0')
  })

  test('fails a workload whose image in the cluster cannot be read', () => {
    const broken = { containers: [{ name: 'greeter', imageText: ':tag', init: false }], ignored: false }

    const { results } = planImageRelease(
      release({}),
      { git, cluster: new Map([[id('helloworld'), broken]]) },
      known(registry),
    )

    expect(results.get(id('helloworld'))).toMatchObject({
      status: 'failed',
      error: /^parsing ":tag": expected/,
    })
  })

  test('leaves alone what the live object says to ignore', () => {
    const cluster = new Map([[id('helloworld'), running(helloworld, true)]])

    const { results } = planImageRelease(release({}), { git, cluster }, known(registry))

    expect(shortOf(results, id('helloworld'))).toBe('skipped ignore')
  })

  test('keeps the spelling of names and moves a digest by digest', () => {
    const digest = `sha256:${'0'.repeat(64)}`
    const cluster = new Map([
      [
        id('helloworld'),
        running({ greeter: `docker.io/weaveworks/sidecar@${digest}`, sidecar: 'weaveworks/sidecar:1' }),
      ],
    ])

    const { changes } = planImageRelease(release({}), { git, cluster }, known(registry))

    const newest = registry[1]?.digest
    expect(changes.map(({ target }) => formatImageRef(target))).toEqual([
      `docker.io/weaveworks/sidecar@${newest}`,
      'weaveworks/sidecar:master-a000002',
    ])
  })

  test('asks for the repositories of candidates only, and for none when an image is named', () => {
    const needed = repositoriesNeeded(release({}), { git, cluster })
    const named = repositoriesNeeded(release({ image: 'a/b:1' }), { git, cluster })

    expect(needed.map(canonicalName)).toEqual([
      'quay.io/weaveworks/helloworld',
      'index.docker.io/weaveworks/sidecar',
    ])
    expect(named).toEqual([])
  })

  test('every workload of Git has a result, and changes belong to successes', () => {
    const workloads = fc.subarray([...git.keys(), '<all>', id('notInRepo')])
    const asks = fc.record({
      workloads,
      excludes: fc.subarray([...git.keys()]),
      image: fc.constantFrom('<all latest>', 'quay.io/weaveworks/helloworld:master-a000002', 'a/b:1'),
      force: fc.boolean(),
    })
    fc.assert(
      fc.property(asks, (asked) => {
        const { results, changes } = planImageRelease(release(asked), { git, cluster }, known(registry))

        for (const workload of git.keys()) expect(results.get(workload)?.status).toBeTruthy()
        for (const change of changes) {
          expect(results.get(change.id)?.status).toBe('success')
          expect(formatImageRef(change.target)).not.toBe(formatImageRef(change.current))
        }
      }),
    )
  })
})

describe('a release of chosen containers', () => {
  const cluster = new Map([
    [id('helloworld'), running(helloworld)],
    [id('locked-service'), running(lockedImage)],
  ])
  const update = (container: string, current: string | undefined, target: string): ContainerUpdate => ({
    container,
    ...(current !== undefined && { current: parseImageRef(current) }),
    target: parseImageRef(target),
  })
  const greeter = update('greeter', helloworld.greeter, 'quay.io/weaveworks/helloworld:master-a000002')
  const wrongGreeter = update(
    'greeter',
    'quay.io/weaveworks/helloworld:other',
    'quay.io/weaveworks/helloworld:x',
  )
  const sidecar = update('sidecar', helloworld.sidecar, 'weaveworks/sidecar:master-a000002')
  const plan = (
    updates: readonly ContainerUpdate[],
    { workload = id('helloworld'), skipMismatches = false, force = false } = {},
  ) => {
    const containers = new Map([[workload, updates]])
    return planContainersRelease({ kind: 'execute', containers, skipMismatches, force }, { git, cluster })
  }

  test.each([true, false])('sets what was asked for (skipping mismatches: %s)', (skipMismatches) => {
    const { results, changes } = plan([greeter, sidecar], { skipMismatches })

    expect(results.get(id('helloworld'))).toEqual({ status: 'success', updates: [greeter, sidecar] })
    expect(results.get(id('semver'))).toMatchObject({ status: 'ignored', error: reasons.notIncluded })
    expect(changes).toHaveLength(2)
  })

  test('skips a container that runs something else, where told to', () => {
    const { results } = plan([wrongGreeter, sidecar], { skipMismatches: true })

    expect(results.get(id('helloworld'))).toEqual({
      status: 'success',
      error: 'container(s) tag mismatch: greeter',
      updates: [sidecar],
    })
  })

  test.each([
    {
      why: 'a container runs something else',
      updates: [wrongGreeter, sidecar],
      what: 'cannot satisfy specs',
    },
    {
      why: 'there is no such container',
      updates: [update('foo', undefined, 'a:1')],
      what: 'cannot satisfy specs',
    },
    {
      why: 'it runs already',
      updates: [update('greeter', helloworld.greeter, helloworld.greeter)],
      what: 'no changes found',
    },
  ])('fails when $why', ({ updates, what }) => {
    expect(() => plan(updates)).toThrow(what)
  })

  test('fails whole, even where another container could be set', () => {
    expect(() => plan([update('foo', undefined, 'a:1'), sidecar], { skipMismatches: true })).toThrow(
      'cannot satisfy specs',
    )
  })

  test('honours a lock unless forced', () => {
    const workload = id('locked-service')
    const updates = [update('locked-service', undefined, 'quay.io/weaveworks/locked-service:2')]

    expect(() => plan(updates, { workload })).toThrow('no changes found')
    expect(shortOf(plan(updates, { workload, force: true }).results, workload)).toBe(
      'success locked-service:2',
    )
  })

  test('tells what ran before where nobody said so', () => {
    const { results } = plan([update('sidecar', undefined, 'weaveworks/sidecar:2')])

    expect(results.get(id('helloworld'))?.updates[0]?.current).toEqual(parseImageRef(helloworld.sidecar))
  })

  test('gives a workload that is not in Git no result', () => {
    expect(() => plan([sidecar], { workload: id('notInRepo') })).toThrow('no changes found')
  })
})

describe('an automated release', () => {
  const cluster = new Map([
    [id('helloworld'), running(helloworld)],
    [id('locked-service'), running(lockedImage)],
  ])
  const change = (workload: ResourceId, container: string, current: string, target: string) => ({
    workload,
    container,
    current: parseImageRef(current),
    target: parseImageRef(target),
  })

  test("transplants the tag into Git's own spelling", () => {
    const git = new Map([[id('helloworld'), inGit({ sidecar: 'docker.io/weaveworks/sidecar:1' })]])

    const { changes } = planAutomatedRelease(
      [change(id('helloworld'), 'sidecar', 'weaveworks/sidecar:1', 'weaveworks/sidecar:2')],
      { git, cluster },
    )

    expect(changes.map(({ target }) => formatImageRef(target))).toEqual(['docker.io/weaveworks/sidecar:2'])
  })

  test.each([
    { workload: id('helloworld'), target: helloworld.sidecar, result: `skipped ${reasons.upToDate}` },
    { workload: id('locked-service'), target: 'a:2', result: 'skipped locked' },
    { workload: id('semver'), target: 'a:2', result: `skipped ${reasons.notInCluster}` },
    { workload: id('notInRepo'), target: 'a:2', result: `skipped ${reasons.notInRepository}` },
  ])('of $workload is $result', ({ workload, target, result }) => {
    const { results } = planAutomatedRelease([change(workload, 'sidecar', helloworld.sidecar, target)], {
      git,
      cluster,
    })

    expect(shortOf(results, workload)).toBe(result)
  })

  test('never puts a tag where Git has a digest', () => {
    const pinned = new Map([[id('helloworld'), inGit({ sidecar: 'weaveworks/sidecar@sha256:1' })]])

    const { results } = planAutomatedRelease(
      [change(id('helloworld'), 'sidecar', helloworld.sidecar, 'weaveworks/sidecar:2')],
      { git: pinned, cluster },
    )

    expect(shortOf(results, id('helloworld'))).toBe(`skipped ${reasons.upToDate}`)
  })
})

describe('a policy update', () => {
  const add = (policies: Record<string, string>) => ({ add: new Map(Object.entries(policies)), remove: null })

  test('tells when automation is switched on', () => {
    expect(addsAutomation(new Map([[id('helloworld'), add({ automated: 'true' })]]))).toBe(true)
    expect(
      addsAutomation(new Map([[id('helloworld'), { add: null, remove: new Map([['automated', 'true']]) }]])),
    ).toBe(false)
    expect(addsAutomation(null)).toBe(false)
  })
})
