import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { createImageRegistry, type ImageRegistryOptions } from '../../../src/adapters/registry/client.ts'
import { systemClock } from '../../../src/adapters/system/clock.ts'
import { type ImageRef, parseImageRef } from '../../../src/core/image/ref.ts'
import { startRegistry, type TestRegistry } from '../../../src/playground/registry/registry.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import type { Log, LogFields } from '../../../src/ports/log.ts'
import type { Keychain } from '../../../src/ports/registry.ts'

const images = {
  'example/app': {
    '1.0.0': '2024-01-01T00:00:00Z',
    '1.1.0': '2024-02-01T00:00:00.123456789Z',
    notime: '',
  },
}

const tls = {
  key: readFileSync('test/fixtures/tls/loopback.key', 'utf8'),
  cert: readFileSync('test/fixtures/tls/loopback.crt', 'utf8'),
}

/** A client, the entries of its log, and a clock that jumps over waits. */
function client(options: Partial<ImageRegistryOptions> = {}) {
  const entries: LogFields[] = []
  const log: Log = {
    write: (fields) => void entries.push(fields),
    with: (first) => ({ ...log, write: (fields) => void entries.push({ ...first, ...fields }) }),
  }
  const waits: number[] = []
  let skippedMs = 0
  const clock: Clock = {
    now: () => new Date(Date.now() + skippedMs),
    monotonicMs: () => systemClock.monotonicMs() + skippedMs,
    async sleep(durationMs) {
      waits.push(Math.round(durationMs / 1000) * 1000)
      skippedMs += durationMs
    },
  }
  const registry = createImageRegistry({ insecureHosts: ['127.0.0.1'], clock, log, ...options })
  const pass = (ms: number) => {
    skippedMs += ms
  }
  return {
    registry,
    listTags: async (image: ImageRef, keychain: Keychain, signal?: AbortSignal) => [
      ...((await registry.listTags(image, keychain, { ...(signal && { signal }) }))?.tags ?? []),
    ],
    getImage: async (image: ImageRef, keychain: Keychain) => (await registry.getImage(image, keychain)).facts,
    entries,
    waits,
    pass,
    [Symbol.asyncDispose]: () => registry.close(),
  }
}

const ref = ({ host }: TestRegistry, rest = 'example/app') => parseImageRef(`${host}/${rest}`)
const nobody: Keychain = new Map()
const label = 'org.opencontainers.image.created'
const keysFor = ({ host }: TestRegistry, password = 'S3CRET'): Keychain =>
  new Map([[host, { user: 'robot', password, source: 'demo:secret/pull' }]])
const paths = ({ requests }: TestRegistry) => requests.map(({ path }) => path.replace(/[0-9a-f]{64}/, '…'))
const failing = (code: string, text?: RegExp) =>
  expect.objectContaining({ code, ...(text && { help: expect.stringMatching(text) }) })

describe('tags', () => {
  test('come from one request where the registry sends all', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client()

    const tags = await ours.listTags(ref(registry), nobody)

    expect(tags.sort()).toEqual(['1.0.0', '1.1.0', 'notime'])
    expect(paths(registry)).toEqual(['/v2/example/app/tags/list?n=1000'])
  })

  test('come from all pages', async () => {
    const many = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`t${i}`, '']))
    await using registry = await startRegistry({ images: { 'example/app': many }, pageSize: 10 })
    await using ours = client()

    const tags = await ours.listTags(ref(registry), nobody)

    expect(tags.sort()).toEqual(Object.keys(many).sort())
    expect(registry.requests).toHaveLength(3)
  })

  test('are whole or not there: a page that fails fails the list', async () => {
    await using registry = await startRegistry({ images, pageSize: 2 })
    await using ours = client()
    registry.fail({ on: /last=/, answer: { status: 500 } })

    await expect(ours.listTags(ref(registry), nobody)).rejects.toThrow(failing('REGISTRY_UNAVAILABLE', /500/))
  })

  test('outside the grammar are dropped, counted and logged', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client()
    registry.fail({ answer: { status: 200, body: '{"tags":["ok","a b","\\u001b[31m"]}' } })

    expect(await ours.listTags(ref(registry), nobody)).toEqual(['ok'])

    expect(ours.entries).toEqual([
      expect.objectContaining({
        component: 'registry',
        image: `${registry.host}/example/app`,
        dropped: 2,
        code: 'TAG_INVALID',
      }),
    ])
  })

  test('are traced where asked, without queries', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client({ trace: true })

    await ours.listTags(ref(registry), nobody)

    const trace = `GET http://${registry.host}/v2/example/app/tags/list`
    expect(ours.entries).toContainEqual({ component: 'registry', trace, status: 200 })
  })

  test.each([
    { bound: 'tags', options: { maxTags: 2 } },
    { bound: 'pages', options: { maxPages: 2 } },
  ])('stop at the bound of $bound', async ({ options }) => {
    await using registry = await startRegistry({ images, pageSize: 1 })
    await using ours = client(options)

    await expect(ours.listTags(ref(registry), nobody)).rejects.toThrow(failing('REGISTRY_TOO_LARGE'))
  })

  test('are not followed to another host', async () => {
    await using elsewhere = await startRegistry({ images })
    await using registry = await startRegistry({ images })
    await using ours = client()
    const link = `<http://${elsewhere.host}/v2/example/app/tags/list>; rel="next"`
    registry.fail({ answer: { status: 200, headers: { link }, body: '{"tags":[]}' } })

    await expect(ours.listTags(ref(registry), nobody)).rejects.toThrow(failing('REGISTRY_INVALID'))
    expect(elsewhere.requests).toEqual([])
  })

  test('of an unknown repository are missing', async () => {
    await using registry = await startRegistry()
    await using ours = client()

    await expect(ours.listTags(ref(registry), nobody)).rejects.toThrow(
      failing('REGISTRY_IMAGE_MISSING', /repository name not known to registry/),
    )
  })

  test('that are no JSON are refused without showing what came', async () => {
    await using registry = await startRegistry()
    await using ours = client()
    registry.fail({ answer: { status: 200, body: '<html>S3CRET' } })

    const error = await ours.listTags(ref(registry), nobody).catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ code: 'REGISTRY_INVALID' })
    expect((error as { help: string }).help).not.toContain('S3CRET')
  })
})

describe('images', () => {
  test.each(['schema2', 'oci', 'index'] as const)('of kind %s tell their time and digests', async (kind) => {
    await using registry = await startRegistry({ images, kind })
    await using ours = client()

    const image = await ours.getImage(ref(registry, 'example/app:1.1.0'), nobody)

    expect(image).toEqual({
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      imageId: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      labels: {},
      createdAt: new Date('2024-02-01T00:00:00.123Z'),
      createdAtText: '2024-02-01T00:00:00.123456789Z',
    })
    expect(paths(registry)).toEqual([
      '/v2/example/app/manifests/1.1.0',
      ...(kind === 'index' ? ['/v2/example/app/manifests/sha256:…'] : []),
      '/v2/example/app/blobs/sha256:…',
    ])
  })

  test('are found by digest, which is what the tag names', async () => {
    await using registry = await startRegistry()
    await using ours = client()
    const digest = registry.push('example/app', '1', '2024-01-01T00:00:00Z')

    const image = await ours.getImage({ ...ref(registry), digest }, nobody)

    expect(image).toMatchObject({ digest, createdAt: new Date('2024-01-01T00:00:00Z') })
  })

  test('may have no time', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client()

    const image = await ours.getImage(ref(registry, 'example/app:notime'), nobody)

    expect(image).not.toHaveProperty('createdAt')
  })

  test('keep the labels that tell a time', async () => {
    await using registry = await startRegistry()
    await using ours = client()
    const labels = { 'org.opencontainers.image.created': '2020-01-01T00:00:00Z', maintainer: 'x' }
    registry.push('example/app', '1', '', { labels })

    const image = await ours.getImage(ref(registry, 'example/app:1'), nobody)

    expect(image.labels).toEqual({ 'org.opencontainers.image.created': '2020-01-01T00:00:00Z' })
  })

  test('of an index fall back to the first for linux, and are excluded without one', async () => {
    await using registry = await startRegistry({ kind: 'index' })
    await using ours = client()
    registry.push('example/app', 'arm', '2024-01-01T00:00:00Z', {
      platforms: ['unknown/unknown', 'windows/amd64', 'linux/arm64'],
    })
    registry.push('example/app', 'windows', '', { platforms: ['windows/amd64'] })

    const arm = await ours.getImage(ref(registry, 'example/app:arm'), nobody)

    expect(arm.createdAt).toEqual(new Date('2024-01-01T00:00:00Z'))
    await expect(ours.getImage(ref(registry, 'example/app:windows'), nobody)).rejects.toThrow(
      failing('IMAGE_PLATFORM_MISSING', /no suitable manifest \(linux amd64\) in manifestlist/),
    )
  })

  test('of an unknown tag are unknown', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client()

    await expect(ours.getImage(ref(registry, 'example/app:9'), nobody)).rejects.toThrow(
      failing('REGISTRY_MANIFEST_UNKNOWN', /manifest unknown/),
    )
    await expect(ours.getImage(ref(registry, 'example/other:9'), nobody)).rejects.toThrow(
      failing('REGISTRY_IMAGE_MISSING'),
    )
  })

  test('are chosen for the platforms of the cluster', async () => {
    await using registry = await startRegistry({ kind: 'index' })
    await using ours = client({ platforms: async () => ['linux/s390x', 'windows/amd64'] })
    registry.push('example/app', '1', '2024-01-01T00:00:00Z', { platforms: ['linux/amd64', 'windows/amd64'] })
    registry.push('example/app', '2', '2024-01-01T00:00:00Z', { platforms: ['linux/amd64'] })

    expect(await ours.getImage(ref(registry, 'example/app:1'), nobody)).toHaveProperty('imageId')
    await expect(ours.getImage(ref(registry, 'example/app:2'), nobody)).rejects.toThrow(
      failing('IMAGE_PLATFORM_MISSING', /linux s390x, windows amd64/),
    )
  })

  test('in Docker schema 1 tell their time by the first entry of their history', async () => {
    await using registry = await startRegistry()
    await using ours = client()
    const id = 'a'.repeat(64)
    const newest = { id, created: '2016-01-01T00:00:00Z', config: { Labels: { [label]: 'x', other: 'y' } } }
    const history = [newest, { id: 'b' }].map((entry) => ({ v1Compatibility: JSON.stringify(entry) }))
    const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
    registry.pushManifest('example/app', 'old', { schemaVersion: 1, fsLayers: [], history }, type)

    expect(await ours.getImage(ref(registry, 'example/app:old'), nobody)).toEqual({
      digest: expect.stringMatching(/^sha256:/),
      imageId: id,
      labels: { [label]: 'x' },
      createdAt: new Date('2016-01-01T00:00:00Z'),
      createdAtText: '2016-01-01T00:00:00Z',
    })
    expect(paths(registry)).toEqual(['/v2/example/app/manifests/old'])
  })

  test.each([
    { schemaVersion: 1, history: [] },
    { schemaVersion: 1, history: [{ v1Compatibility: '{' }] },
    { schemaVersion: 2, layers: [] },
  ])('of an unknown type are named: %j', async (document) => {
    await using registry = await startRegistry()
    await using ours = client()
    registry.pushManifest('example/app', 'odd', document, 'application/json')

    await expect(ours.getImage(ref(registry, 'example/app:odd'), nobody)).rejects.toThrow(
      failing('IMAGE_MANIFEST_UNSUPPORTED', /unknown manifest type/),
    )
  })

  test('must have the digest they were asked for by', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client()
    registry.fail({ on: /blobs/, answer: 'corrupt' })

    await expect(ours.getImage(ref(registry, 'example/app:1.0.0'), nobody)).rejects.toThrow(
      failing('REGISTRY_INVALID', /other content/),
    )
  })

  test('are told of to whoever measures', async () => {
    await using registry = await startRegistry({ images })
    const seen: string[] = []
    await using ours = client({ onFetched: (kind, success) => seen.push(`${kind} ${success}`) })

    await ours.listTags(ref(registry), nobody)
    await ours.getImage(ref(registry, 'example/app:9'), nobody).catch(() => {})

    expect(seen).toEqual(['tags true', 'metadata false'])
  })
})

describe('getting in', () => {
  const password = 'S3CRET'
  const user = 'robot'

  test('with a password where the registry asks for one, at once the second time', async () => {
    await using registry = await startRegistry({ images, auth: { type: 'basic', user, password } })
    await using ours = client()

    await ours.listTags(ref(registry), keysFor(registry))
    await ours.getImage(ref(registry, 'example/app:1.0.0'), keysFor(registry))

    expect(registry.requests.filter(({ headers }) => headers.authorization === undefined)).toHaveLength(1)
  })

  test('with a token, which is fetched once for a repository', async () => {
    await using registry = await startRegistry({ images, auth: { type: 'token', user, password } })
    await using ours = client()

    await ours.listTags(ref(registry), keysFor(registry))
    await Promise.all(
      ['1.0.0', '1.1.0'].map((tag) => ours.getImage(ref(registry, `example/app:${tag}`), keysFor(registry))),
    )

    const tokens = paths(registry).filter((path) => path.startsWith('/token'))
    expect(tokens).toEqual(['/token?service=test&scope=repository%3Aexample%2Fapp%3Apull'])
  })

  test('those who come together share the token', async () => {
    await using registry = await startRegistry({ images, auth: { type: 'token', user, password } })
    await using ours = client()

    await Promise.all(
      Array.from({ length: 5 }, () => ours.getImage(ref(registry, 'example/app:1.0.0'), keysFor(registry))),
    )

    expect(paths(registry).filter((path) => path.startsWith('/token'))).toHaveLength(1)
  })

  test('with a new token when the old one has expired, by its own word or the clock', async () => {
    await using registry = await startRegistry({ images, auth: { type: 'token' } })
    await using ours = client()
    const tokens = () => paths(registry).filter((path) => path.startsWith('/token')).length
    await ours.listTags(ref(registry), nobody)

    registry.expireTokens()
    await ours.listTags(ref(registry), nobody)
    expect(tokens()).toBe(2)

    ours.pass(60_000)
    await ours.listTags(ref(registry), nobody)
    expect(tokens()).toBe(3)
  })

  test.each([
    { auth: { type: 'basic', user, password } as const },
    { auth: { type: 'token', user, password } as const },
  ])('fails without credentials, and with wrong ones ($auth.type)', async ({ auth }) => {
    await using registry = await startRegistry({ images, auth })
    await using ours = client()

    await expect(ours.listTags(ref(registry), nobody)).rejects.toThrow(
      failing('REGISTRY_DENIED', /imagePullSecret for 127\.0\.0\.1:/),
    )
    const error = await ours
      .listTags(ref(registry), keysFor(registry, 'WR0NG'))
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject(failing('REGISTRY_DENIED', /demo:secret\/pull/))
    expect(inspect([error, ours.entries], { depth: 20 })).not.toContain('WR0NG')
  })

  test('a token host of others sees no credentials', async () => {
    await using tokens = await startRegistry({ auth: { type: 'token' } })
    const realm = `http://${tokens.host.replace('127.0.0.1', 'localhost')}/token`
    await using registry = await startRegistry({ images, auth: { type: 'token', user, password }, realm })
    await using ours = client({ insecureHosts: ['127.0.0.1', 'localhost'] })

    await ours.listTags(ref(registry), keysFor(registry))

    expect(tokens.requests).toHaveLength(1)
    expect(tokens.requests[0]?.headers.authorization).toBeUndefined()
  })

  test('a token host without HTTPS is not asked, unless it was named as insecure', async () => {
    await using tokens = await startRegistry({ auth: { type: 'token' } })
    const realm = `http://${tokens.host.replace('127.0.0.1', 'localhost')}/token`
    await using registry = await startRegistry({ images, auth: { type: 'token', user, password }, realm })
    await using ours = client()

    await expect(ours.listTags(ref(registry), keysFor(registry))).rejects.toThrow(
      failing('REGISTRY_DENIED', /not on HTTPS/),
    )
    expect(tokens.requests).toEqual([])
  })
})

describe('what is known', () => {
  test.each([
    { pageSize: 1000, pages: 1, requests: 1 },
    { pageSize: 2, pages: 2, requests: 2 },
  ])('is not sent again: $pages page(s) with an ETag', async ({ pageSize, pages, requests }) => {
    await using registry = await startRegistry({ images, pageSize })
    await using ours = client()
    const first = await ours.registry.listTags(ref(registry), nobody)
    expect(first?.pages).toHaveLength(pages)
    registry.requests.length = 0

    expect(await ours.registry.listTags(ref(registry), nobody, { known: first?.pages ?? [] })).toBe(undefined)

    expect(registry.requests).toHaveLength(requests)
    registry.push('example/app', 'z', '')
    const again = await ours.registry.listTags(ref(registry), nobody, { known: first?.pages ?? [] })
    expect(again?.tags).toContain('z')
  })

  test('of a list without ETags is asked for anew', async () => {
    await using registry = await startRegistry({ images, etags: false })
    await using ours = client()

    expect((await ours.registry.listTags(ref(registry), nobody))?.pages).toEqual([])
  })

  test('of a tag is compared by HEAD, and of a digest is not asked for', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client()
    const image = ref(registry, 'example/app:1.0.0')
    const { digest, facts } = await ours.registry.getImage(image, nobody)
    registry.requests.length = 0

    expect(await ours.registry.getDigest(image, nobody)).toBe(digest)
    expect(await ours.registry.getImage(image, nobody, { knownFacts: () => facts })).toEqual({
      digest,
      facts,
    })

    expect(registry.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'HEAD /v2/example/app/manifests/1.0.0',
      'GET /v2/example/app/manifests/1.0.0',
    ])
  })

  test('by a digest in a header must be what came', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client()
    registry.fail({ on: /manifests/, answer: 'corrupt' })

    await expect(ours.getImage(ref(registry, 'example/app:1.0.0'), nobody)).rejects.toThrow(
      failing('REGISTRY_INVALID', /other content/),
    )
  })
})

describe('redirects', () => {
  test('are followed without credentials', async () => {
    await using storage = await startRegistry({ images })
    await using registry = await startRegistry({
      images,
      auth: { type: 'basic', user: 'robot', password: 'S3CRET' },
    })
    await using ours = client()
    await ours.listTags(ref(registry), keysFor(registry))
    const image = await ours.getImage(ref(registry, 'example/app:1.0.0'), keysFor(registry))
    const location = `http://u:p@${storage.host}/v2/example/app/blobs/${image.imageId}`
    registry.fail({ on: /blobs/, answer: { status: 307, headers: { location } } })

    const again = await ours.getImage(ref(registry, 'example/app:1.0.0'), keysFor(registry))

    expect(again.createdAt).toEqual(image.createdAt)
    expect(storage.requests).toHaveLength(1)
    expect(storage.requests[0]?.headers.authorization).toBeUndefined()
  })

  test.each(['ftp://127.0.0.1/x', 'http://[', '/v2/loop'])('to %s end', async (location) => {
    await using registry = await startRegistry({ images })
    await using ours = client()
    registry.fail({ times: 100, answer: { status: 302, headers: { location } } })

    await expect(ours.listTags(ref(registry), nobody)).rejects.toThrow(failing('REGISTRY_INVALID'))
  })

  test('do not lead from HTTPS to HTTP', async () => {
    await using storage = await startRegistry({ images })
    await using registry = await startRegistry({ images, tls })
    await using ours = client()
    const location = `http://${storage.host}/v2/example/app/tags/list`
    registry.fail({ answer: { status: 302, headers: { location } } })

    await expect(ours.listTags(ref(registry), nobody)).rejects.toThrow(failing('REGISTRY_INVALID'))
    expect(storage.requests).toEqual([])
  })
})

describe('trouble', () => {
  test('waits as long as a 429 asks, and goes on at half the rate', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client()
    registry.fail({ answer: { status: 429, headers: { 'retry-after': '7' } } })

    const tags = await ours.listTags(ref(registry), nobody)

    expect(tags).toHaveLength(3)
    expect(ours.waits).toEqual([7000])
    expect(ours.entries).toEqual([
      { component: 'ratelimiter', info: 'reducing rate limit', host: registry.host, limit: '25.00' },
    ])
  })

  test.each([
    { asked: 'nothing', headers: {} },
    { asked: 'too long', headers: { 'retry-after': '3600' } },
  ])('gives up at a 429 that asks for $asked', async ({ headers }) => {
    await using registry = await startRegistry({ images })
    await using ours = client()
    registry.fail({ answer: { status: 429, headers } })

    await expect(ours.listTags(ref(registry), nobody)).rejects.toThrow(
      failing('REGISTRY_RATE_LIMITED', /toomanyrequests.*429/),
    )
    expect(registry.requests).toHaveLength(1)
  })

  test('leaves a host alone while its pause lasts, and others not', async () => {
    await using busy = await startRegistry({ images })
    await using other = await startRegistry({ images })
    await using ours = client()
    busy.fail({ answer: { status: 429, headers: { 'retry-after': '3600' } } })
    await ours.listTags(ref(busy), nobody).catch(() => {})

    await expect(ours.listTags(ref(busy), nobody)).rejects.toThrow(failing('REGISTRY_RATE_LIMITED'))
    expect(await ours.listTags(ref(other), nobody)).toHaveLength(3)
    expect(busy.requests).toHaveLength(1)

    ours.pass(3_600_000)
    expect(await ours.listTags(ref(busy), nobody)).toHaveLength(3)
  })

  test('does not wait for a stalled answer', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client({ timeoutMs: 100 })
    registry.fail({ times: 2, answer: 'stall' })

    await expect(ours.listTags(ref(registry), nobody)).rejects.toThrow(
      failing('REGISTRY_TIMEOUT', /client timeout \(100ms\) exceeded/),
    )
  })

  test('ends when it is told to', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client()
    registry.fail({ answer: 'stall' })
    const stop = new AbortController()
    const listing = ours.listTags(ref(registry), nobody, stop.signal)

    stop.abort(new Error('enough'))

    await expect(listing).rejects.toThrow('enough')
  })

  test.each(['truncate', 'drop'] as const)('takes no half answer (%s)', async (answer) => {
    await using registry = await startRegistry({ images })
    await using ours = client()
    registry.fail({ answer })

    await expect(ours.listTags(ref(registry), nobody)).rejects.toThrow(
      failing('REGISTRY_UNAVAILABLE', new RegExp(registry.host)),
    )
  })

  test('reads no more than it may', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client({ maxBodyBytes: 1000 })
    registry.fail({ answer: { status: 200, body: 'x'.repeat(1001) } })

    await expect(ours.listTags(ref(registry), nobody)).rejects.toThrow(failing('REGISTRY_TOO_LARGE'))
  })

  test('names the host that cannot be reached, and what to set', async () => {
    const registry = await startRegistry()
    await registry.close()
    await using ours = client()

    await expect(ours.listTags(ref(registry), nobody)).rejects.toThrow(
      failing('REGISTRY_UNAVAILABLE', /127\.0\.0\.1:.*ECONNREFUSED.*--registry-insecure-host/s),
    )
  })
})

describe('insecure hosts', () => {
  test.each(['by name', 'by name and port'])('are taken with any certificate (%s)', async (how) => {
    await using registry = await startRegistry({ images, tls })
    await using ours = client({ insecureHosts: [how === 'by name' ? '127.0.0.1' : registry.host] })

    expect(await ours.listTags(ref(registry), nobody)).toHaveLength(3)
  })

  test('others must prove who they are, and speak HTTPS', async () => {
    await using selfSigned = await startRegistry({ images, tls })
    await using plain = await startRegistry({ images })
    await using ours = client({ insecureHosts: ['127.0.0.1:1'] })

    await expect(ours.listTags(ref(selfSigned), nobody)).rejects.toThrow(
      failing('REGISTRY_UNAVAILABLE', /SELF_SIGNED/),
    )
    await expect(ours.listTags(ref(plain), nobody)).rejects.toThrow(failing('REGISTRY_UNAVAILABLE'))
    expect([...selfSigned.requests, ...plain.requests]).toEqual([])
  })

  test('that speak HTTP are found out once', async () => {
    await using registry = await startRegistry({ images })
    await using ours = client()

    for (let i = 0; i < 3; i++) await ours.listTags(ref(registry), nobody)

    expect(registry.requests).toHaveLength(3)
  })
})

test('goes through the proxy of the environment', async () => {
  await using registry = await startRegistry({ images, tls })
  const proxied: string[] = []
  const proxy = createServer().on('connect', (request, downstream) => {
    proxied.push(request.url ?? '')
    const upstream = connect(Number(registry.host.split(':')[1]), '127.0.0.1', () => {
      downstream.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(downstream).pipe(upstream)
    })
    upstream.on('error', () => downstream.destroy())
    downstream.on('error', () => upstream.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const { port } = proxy.address() as AddressInfo
  await using ours = client({
    insecureHosts: ['registry.test'],
    environment: { HTTPS_PROXY: `http://127.0.0.1:${port}` },
  })

  const tags = await ours.listTags(parseImageRef('registry.test/example/app'), nobody)

  expect(tags).toHaveLength(3)
  expect(proxied).toEqual(['registry.test:443'])
  proxy.close()
})

test('the registry of the tests makes the same digests from the same pushes', async () => {
  await using one = await startRegistry({ kind: 'index' })
  await using two = await startRegistry({ kind: 'index' })

  const digests = [one, two].map((registry) => registry.push('example/app', '1', '2024-01-01T00:00:00Z'))

  expect(digests[0]).toBe(digests[1])
  expect(one.push('example/app', '2', '2024-01-01T00:00:00Z')).not.toBe(digests[0])
})
