import { setMaxListeners } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import { createImageRegistry, type ImageRegistryClient } from '../../src/adapters/registry/client.ts'
import { createMemoryStore } from '../../src/adapters/store/memory.ts'
import { createMetrics } from '../../src/adapters/system/metrics.ts'
import type { Demand } from '../../src/agent/demand.ts'
import { createImageCatalog } from '../../src/agent/images.ts'
import { createScanner } from '../../src/agent/scan.ts'
import { canonicalName, parseImageRef } from '../../src/core/image/ref.ts'
import { parsePattern } from '../../src/core/policy/pattern.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { ImageStore } from '../../src/ports/image-store.ts'
import type { Log, LogFields } from '../../src/ports/log.ts'
import { manualClock } from '../support/clock.ts'
import { eventually } from '../support/programs.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'

/** What a scan asks registries for, counted at a real one, and what it makes of bad answers. */

// as in fluxd itself: many requests wait on one signal
setMaxListeners(0)

const minute = 60_000
const hour = 60 * minute

interface Runs {
  /** `HOST/path:tag` */
  image: string
  pattern?: string
  automated?: boolean
}

const ending: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ending.splice(0)) await end()
})

/** A scanner over what runs, with a clock of its own that a test moves; requests keep real time. */
function scanning(
  runs: readonly Runs[],
  {
    store = createMemoryStore(),
    depth = 50,
    ...options
  }: {
    store?: ImageStore
    depth?: number
    requestsPerSecond?: number
    timeoutMs?: number
    useLabels?: readonly string[]
  } = {},
) {
  const stopping = new AbortController()
  const time = manualClock()
  const real: Clock = {
    ...time,
    monotonicMs: () => performance.now(),
    sleep: (ms) => new Promise((r) => setTimeout(r, ms)),
  }
  const entries: LogFields[] = []
  const log: Log = {
    write: (fields) => void entries.push(fields),
    with: (first) => ({ ...log, write: (fields) => void entries.push({ ...first, ...fields }) }),
  }
  const registry: ImageRegistryClient = createImageRegistry({
    insecureHosts: ['127.0.0.1'],
    requestsPerSecond: 10_000,
    burst: 100,
    ...options,
    clock: real,
    log,
  })
  const catalog = createImageCatalog({
    store,
    disabled: false,
    scope: { include: [], exclude: ['*/excluded'] },
    useLabels: options.useLabels ?? [],
    clock: time,
    metrics: createMetrics(),
  })
  const demand = new Map<string, NonNullable<ReturnType<Demand['get']>>[number][]>()
  for (const { image, pattern = 'glob:*', automated = false } of runs) {
    const current = parseImageRef(image)
    const known = demand.get(canonicalName(current)) ?? []
    demand.set(canonicalName(current), [...known, { current, pattern: parsePattern(pattern), automated }])
  }
  let news = 0
  const scanner = createScanner({
    registry,
    store,
    catalog,
    wanted: async () => runs.map(({ image }) => ({ image: parseImageRef(image), keychain: new Map() })),
    demand: async () => demand,
    useLabels: options.useLabels ?? [],
    disabled: false,
    concurrency: 10,
    depth,
    onNews: () => {
      news += 1
    },
    clock: time,
    log,
    metrics: createMetrics(),
    signal: stopping.signal,
  })
  const ended = scanner.run()
  const stop = async () => {
    stopping.abort()
    await ended
    await registry.close()
  }
  ending.push(stop)
  return {
    scanner,
    catalog,
    store,
    entries,
    time,
    stop,
    get news() {
      return news
    },
    codes: () => entries.flatMap(({ code }) => code ?? []),
    /** how many images of a repository are known in full */
    known: (image: string) =>
      (catalog.images(parseImageRef(image)) ?? []).filter(({ digest }) => digest !== undefined).length,
  }
}

const tags = (count: number, name = (i: number) => `1.0.${i}`) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [
      name(i),
      new Date(Date.UTC(2024, 0, 1) + i * hour).toISOString(),
    ]),
  )
const count = ({ requests }: TestRegistry, part: RegExp) =>
  requests.filter(({ method, path }) => part.test(`${method} ${path}`)).length
const settled = async (registry: TestRegistry) => {
  let seen = -1
  await eventually(() => {
    const before = seen
    seen = registry.requests.length
    return seen === before
  })
}

describe('requests', () => {
  test('by version: one an image and page, before automation can choose', async () => {
    const images = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`example/app${i}`, tags(1000)]))
    await using registry = await startRegistry({ images, pageSize: 500 })
    const runs = Object.keys(images).map((name) => ({
      image: `${registry.host}/${name}:1.0.5`,
      pattern: 'semver:~1.0',
      automated: true,
    }))

    scanning(runs, { depth: 1 })
    await eventually(() => count(registry, /^GET .*manifests/) === 20, 'all images are known')
    await settled(registry)

    expect(count(registry, /tags\/list/)).toBe(20)
    // the background: of each the one that runs and the first, which are different images
    expect(count(registry, /^GET .*manifests/)).toBe(20)
  })

  test('by time: each manifest once, however many workloads ask, and each digest once', async () => {
    await using registry = await startRegistry({ images: { 'example/app': tags(300, (i) => `main-${i}`) } })
    registry.push('example/app', 'main-same', new Date(Date.UTC(2024, 0, 1)).toISOString())
    const image = `${registry.host}/example/app:main-5`
    const runs = ['glob:main-*', 'regexp:^main', 'glob:*'].map((pattern) => ({
      image,
      pattern,
      automated: true,
    }))

    const scan = scanning(runs)
    await eventually(() => scan.known(image) === 301, 'all are known')
    await scan.time.advance(minute)
    await settled(registry)

    expect(count(registry, /^GET .*manifests/)).toBe(301)
    expect(count(registry, /^GET .*blobs/)).toBe(301)
    expect(count(registry, /^HEAD/)).toBe(0)
  })

  test('when nothing is new: one conditional request an image and minute', async () => {
    await using registry = await startRegistry({ images: { 'example/app': tags(3) } })
    const image = `${registry.host}/example/app:1.0.1`
    const scan = scanning([{ image, automated: true }])
    await eventually(() => scan.known(image) === 3)
    await settled(registry)
    registry.requests.length = 0

    for (let i = 0; i < 3; i++) {
      await scan.time.advance(minute)
      await eventually(() => registry.requests.length > i)
    }

    expect(registry.requests.map(({ headers }) => headers['if-none-match'] !== undefined)).toEqual([
      true,
      true,
      true,
    ])
    expect(scan.news).toBe(1)
  })

  test('after a restart: none that the store can answer', async () => {
    await using registry = await startRegistry({ images: { 'example/app': tags(20) } })
    const image = `${registry.host}/example/app:1.0.1`
    const first = scanning([{ image, automated: true }])
    await eventually(() => first.known(image) === 20)
    await settled(registry)
    await first.stop()
    registry.requests.length = 0

    const second = scanning([{ image, automated: true }], { store: first.store })
    await second.time.advance(1000)
    expect(await second.scanner.lacking([parseImageRef(image)], 0)).toEqual([])
    expect(second.known(image)).toBe(20)
    expect(registry.requests).toEqual([])

    await second.time.advance(minute)
    await settled(registry)
    expect(count(registry, /tags\/list/)).toBe(1)
    expect(registry.requests).toHaveLength(1)
  })

  test('tags are looked at again by HEAD, after an hour, then ever later', async () => {
    await using registry = await startRegistry({ images: { 'example/app': tags(1) } })
    const image = `${registry.host}/example/app:1.0.0`
    const scan = scanning([{ image, automated: true }])
    await eventually(() => scan.known(image) === 1)
    const looks: number[] = []
    for (let minutes = 0; minutes <= 8 * 60; minutes += 10) {
      await settled(registry)
      if (count(registry, /^HEAD/) > looks.length) looks.push(minutes)
      for (let i = 0; i < 10; i++) await scan.time.advance(minute)
    }

    expect(looks).toEqual([60, 180, 420])
    expect(count(registry, /^GET .*manifests/)).toBe(1)
  })

  test('a tag that moved is fetched, and told to automation', async () => {
    await using registry = await startRegistry({ images: { 'example/app': tags(1) } })
    const image = `${registry.host}/example/app:1.0.0`
    const scan = scanning([{ image, automated: true }])
    await eventually(() => scan.known(image) === 1)
    registry.push('example/app', '1.0.0', '2025-01-01T00:00:00Z')
    const before = scan.news

    await scan.time.advance(hour)
    await eventually(() => scan.news > before)

    expect(scan.catalog.images(parseImageRef(image))?.[0]?.createdAt).toEqual(
      new Date('2025-01-01T00:00:00Z'),
    )
  })

  test('a person: all of one workload; the background: to a depth', async () => {
    await using registry = await startRegistry({ images: { 'example/app': tags(40) } })
    const image = `${registry.host}/example/app:1.0.3`
    const scan = scanning([{ image, pattern: 'semver:*' }], { depth: 5 })
    await eventually(() => scan.known(image) === 6, 'the first five and the one that runs')
    await settled(registry)
    expect(scan.known(image)).toBe(6)
    const best = scan.catalog.images(parseImageRef(image))?.find(({ ref }) => ref.tag === '1.0.39')
    expect(best?.createdAt).toBeDefined()
    expect(await scan.scanner.lacking([parseImageRef(image)], 5)).toEqual([])

    const lacking = await scan.scanner.lacking([parseImageRef(image)], 0)
    await scan.scanner.look(
      lacking.map((image) => ({ image, keychain: new Map() })),
      { lists: 'missing', depth: 0 },
    )

    expect(scan.known(image)).toBe(40)
    expect(count(registry, /^GET .*manifests/)).toBe(40)
  })

  test('a person again: lists of this minute are taken as they are, or asked for anew; what is found is told once', async () => {
    await using registry = await startRegistry({ images: { 'example/app': tags(2), 'example/web': tags(2) } })
    const images = ['app', 'web'].map((name) => `${registry.host}/example/${name}:1.0.1`)
    const scan = scanning(images.map((image) => ({ image, pattern: 'semver:*', automated: true })))
    await eventually(() => scan.news > 0 && images.every((image) => scan.known(image) === 2))
    await settled(registry)
    const before = scan.news
    registry.push('example/app', '1.0.2', '2024-06-01T00:00:00Z')
    registry.push('example/web', '1.0.2', '2024-06-01T00:00:00Z')
    registry.requests.length = 0
    const look = (lists: 'stale' | 'all') =>
      scan.scanner.look(
        images.map((image) => ({ image: parseImageRef(image), keychain: new Map() })),
        { lists, depth: 'best' },
      )

    await look('stale')
    expect(registry.requests).toEqual([])
    await look('all')

    expect(count(registry, /tags\/list/)).toBe(2)
    expect(scan.news).toBe(before + 1)
  })

  test('a webhook jumps the queue', async () => {
    await using registry = await startRegistry({ images: { 'example/app': tags(2) } })
    const image = `${registry.host}/example/app:1.0.1`
    const scan = scanning([{ image, pattern: 'semver:*', automated: true }])
    await eventually(() => scan.news === 1)
    registry.push('example/app', '1.0.2', '2024-06-01T00:00:00Z')

    scan.scanner.notify(parseImageRef(image))
    scan.scanner.notify(parseImageRef('example/unknown'))

    await eventually(() => scan.news === 2)
    expect(scan.catalog.images(parseImageRef(image))).toHaveLength(3)
    expect(scan.entries).toContainEqual(
      expect.objectContaining({ priority: 'index.docker.io/example/unknown', err: 'no creds available' }),
    )
  })

  test('none for what is excluded', async () => {
    await using registry = await startRegistry({ images: { excluded: tags(1), 'example/app': tags(1) } })
    const image = `${registry.host}/example/app:1.0.0`
    const scan = scanning([{ image: `${registry.host}/excluded:1.0.0` }, { image }])
    await eventually(() => scan.known(image) === 1)

    expect(count(registry, /excluded/)).toBe(0)
    expect(scan.catalog.problemsOf(parseImageRef(`${registry.host}/excluded:1.0.0`))[0]?.code).toBe(
      'IMAGE_EXCLUDED',
    )
  })
})

describe('bad answers', () => {
  test.each([
    { bad: 'down', fault: 'drop', code: 'REGISTRY_UNAVAILABLE' },
    { bad: 'slow', fault: 'stall', code: 'REGISTRY_TIMEOUT' },
    { bad: '401', fault: { status: 401 }, code: 'REGISTRY_DENIED' },
    { bad: '403', fault: { status: 403 }, code: 'REGISTRY_DENIED' },
    { bad: '404', fault: { status: 404 }, code: 'REGISTRY_IMAGE_MISSING' },
    { bad: '429', fault: { status: 429 }, code: 'REGISTRY_RATE_LIMITED' },
    { bad: '500', fault: { status: 500 }, code: 'REGISTRY_UNAVAILABLE' },
    { bad: 'truncated', fault: 'truncate', code: 'REGISTRY_UNAVAILABLE' },
    {
      bad: 'no list',
      fault: { status: 200, body: '{"tags":{}}' },
      code: 'REGISTRY_INVALID',
    },
    {
      bad: 'endless',
      fault: {
        status: 200,
        headers: { link: '</v2/example/app/tags/list?again>; rel="next"' },
        body: '{"tags":["a"]}',
      },
      code: 'REGISTRY_TOO_LARGE',
    },
  ] as const)(
    'to a list: $bad is $code; what is known stays and counts as stale',
    async ({ fault, code }) => {
      await using registry = await startRegistry({ images: { 'example/app': tags(2) } })
      const image = `${registry.host}/example/app:1.0.1`
      const scan = scanning([{ image, automated: true }], { timeoutMs: 300 })
      await eventually(() => scan.known(image) === 2)
      const ref = parseImageRef(image)
      expect(scan.catalog.stateOf(ref)).toBe('complete')
      registry.fail({ on: /tags/, times: 1000, answer: fault })

      await scan.time.advance(minute)
      await eventually(() => scan.catalog.problemsOf(ref).length > 0)

      expect(scan.catalog.problemsOf(ref)[0]?.code).toBe(code)
      expect(scan.codes()).toContain(code)
      expect(scan.catalog.stateOf(ref)).toBe('stale')
      expect(scan.known(image)).toBe(2)
      expect(scan.news).toBe(1)
    },
  )

  test('a host that fails or stalls delays no other', async () => {
    await using bad = await startRegistry({ images: { 'example/app': tags(2) } })
    await using good = await startRegistry({ images: { 'example/app': tags(2) } })
    bad.fail({ times: 1000, answer: 'stall' })
    const image = `${good.host}/example/app:1.0.1`
    const scan = scanning(
      [
        ...Array.from({ length: 9 }, (_, i) => ({ image: `${bad.host}/example/app${i}:1.0.1` })),
        { image, automated: true },
      ],
      { timeoutMs: 20_000 },
    )

    await eventually(() => scan.known(image) === 2)

    expect(scan.codes()).toEqual([])
  })

  test('a host that complains is left alone for a minute; another is not', async () => {
    await using busy = await startRegistry({ images: { 'example/app': tags(100, (i) => `t${i}`) } })
    await using other = await startRegistry({ images: { 'example/app': tags(2) } })
    const image = `${busy.host}/example/app:t1`
    const calm = `${other.host}/example/app:1.0.1`
    busy.fail({ on: /manifests/, times: 1000, answer: { status: 429 } })
    const scan = scanning([
      { image, automated: true },
      { image: calm, automated: true },
    ])
    await eventually(() => scan.codes().includes('REGISTRY_RATE_LIMITED'))
    await eventually(() => scan.known(calm) === 2)
    await settled(busy)

    expect(count(busy, /manifests/)).toBeLessThanOrEqual(10)
    expect(scan.entries).toContainEqual(
      expect.objectContaining({
        warning: expect.stringMatching(/^aborting image tag fetching due to rate limiting/),
      }),
    )
  })

  test.each([
    { bad: 'for another platform', code: 'IMAGE_PLATFORM_MISSING', againAfterMs: 24 * hour },
    { bad: 'of an unknown type', code: 'IMAGE_MANIFEST_UNSUPPORTED', againAfterMs: 24 * hour },
    { bad: 'that is gone', code: 'REGISTRY_MANIFEST_UNKNOWN', againAfterMs: 5 * minute },
    { bad: 'with another digest', code: 'REGISTRY_INVALID', againAfterMs: 5 * minute },
  ])('an image $bad is told once, and looked at again later', async ({ code, againAfterMs }) => {
    await using registry = await startRegistry({ images: { 'example/app': tags(1) } })
    const image = `${registry.host}/example/app:1.0.0`
    if (code === 'IMAGE_PLATFORM_MISSING')
      registry.push('example/app', 'odd', '', { kind: 'index', platforms: ['windows/amd64'] })
    if (code === 'IMAGE_MANIFEST_UNSUPPORTED')
      registry.pushManifest('example/app', 'odd', { schemaVersion: 9 }, 'text/plain')
    if (code === 'REGISTRY_MANIFEST_UNKNOWN') {
      registry.push('example/app', 'odd')
      registry.fail({ on: /manifests\/odd/, times: 9, answer: { status: 404, body: '{}' } })
    }
    if (code === 'REGISTRY_INVALID') {
      registry.push('example/app', 'odd')
      registry.fail({ on: /manifests\/odd/, times: 9, answer: 'corrupt' })
    }
    const scan = scanning([{ image, automated: true }])
    await eventually(() => scan.codes().includes(code))
    await settled(registry)
    const asked = () => count(registry, /manifests\/odd/)
    expect(asked()).toBe(1)

    await scan.time.advance(4 * minute)
    await settled(registry)
    expect(asked()).toBe(1)
    await scan.time.advance(againAfterMs)
    await eventually(() => asked() > 1)

    expect(scan.codes().filter((seen) => seen === code)).toHaveLength(1)
    expect(scan.known(image)).toBe(1)
  })

  test('a registry that refuses every image is not asked for all of them', async () => {
    await using registry = await startRegistry({ images: { 'example/app': tags(200, (i) => `t${i}`) } })
    registry.fail({ on: /manifests/, times: 1000, answer: { status: 403 } })
    const image = `${registry.host}/example/app:t1`
    const scan = scanning([{ image, automated: true }])
    await eventually(() => scan.entries.some(({ attempted }) => attempted === 200))
    await settled(registry)

    // twenty failures in a row, those that were under way then, and a few more in the background
    expect(count(registry, /manifests/)).toBeLessThanOrEqual(60)
    expect(scan.catalog.problemsOf(parseImageRef(image))).toEqual([
      expect.objectContaining({
        code: 'REGISTRY_DENIED',
        message: expect.stringMatching(/^t\d+: .*more\)$/),
      }),
    ])
  })

  test('of names outside the grammar nothing is kept', async () => {
    await using registry = await startRegistry({ images: { 'example/app': tags(1) } })
    const image = `${registry.host}/example/app:1.0.0`
    const body = JSON.stringify({ tags: ['ok', '\u001b[31m', 'a\nb', '$(id)', '../x', '', 'x'.repeat(129)] })
    registry.fail({ on: /tags/, answer: { status: 200, body } })
    const scan = scanning([{ image }])

    await eventually(() => scan.catalog.images(parseImageRef(image)))

    expect(scan.catalog.images(parseImageRef(image))?.map(({ ref }) => ref.tag)).toEqual(['ok'])
    expect(scan.entries).toContainEqual(expect.objectContaining({ dropped: 6 }))
  })

  test('a clock that is set back makes what is known stale, and asked for again', async () => {
    await using registry = await startRegistry({ images: { 'example/app': tags(1) } })
    const image = `${registry.host}/example/app:1.0.0`
    const store = createMemoryStore()
    const ref = parseImageRef(image)
    const future = Date.parse('2030-01-01')
    store.setListing(canonicalName(ref), ['1.0.0'], { listedAtMs: future, pages: [] })
    store.setTag(canonicalName(ref), '1.0.0', {
      digest: 'sha256:x',
      fetchedAtMs: future,
      dueAtMs: future + 1,
    })
    store.setFacts('sha256:x', { labels: {} })

    const scan = scanning([{ image, automated: true }], { store })
    expect(scan.catalog.stateOf(ref)).toBe('stale')

    await eventually(() => scan.catalog.stateOf(ref) === 'complete')
    await eventually(() => count(registry, /^HEAD/) === 1)
  })

  test('labels that tell no time are told of', async () => {
    await using registry = await startRegistry()
    registry.push('example/app', '1', '2024-01-01T00:00:00Z', {
      labels: { 'org.opencontainers.image.created': '20190523' },
    })
    const image = `${registry.host}/example/app:1`
    const scan = scanning([{ image, automated: true }], { useLabels: [`${registry.host}/*`] })

    await eventually(() => scan.codes().includes('LABEL_TIME_INVALID'))

    expect(scan.catalog.images(parseImageRef(image))?.[0]?.createdAt).toEqual(
      new Date('2024-01-01T00:00:00Z'),
    )
  })

  test('ten thousand tags are listed, and chosen from by version, without asking for any', async () => {
    await using registry = await startRegistry({ images: { 'example/app': tags(10_000) }, pageSize: 1000 })
    const image = `${registry.host}/example/app:1.0.1`
    const scan = scanning([{ image, pattern: 'semver:*', automated: true }], { depth: 3 })

    await eventually(() => scan.news === 1)

    expect(scan.catalog.images(parseImageRef(image))).toHaveLength(10_000)
    expect(count(registry, /tags\/list/)).toBe(10)
  })
})
