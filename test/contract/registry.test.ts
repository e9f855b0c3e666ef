import { createHash, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createImageRegistry } from '../../src/adapters/registry/client.ts'
import { systemClock } from '../../src/adapters/system/clock.ts'
import { parseImageRef } from '../../src/core/image/ref.ts'
import { pushImage } from '../../src/playground/registry/push.ts'
import { dockerRegistry, dockerRegistrySkipReason } from '../support/docker-registry.ts'
import { startRegistry } from '../support/registry.ts'

/** What every registry does, ours and Debian's `docker-registry`: the distribution spec, as far as we and helm use it. */

interface Served extends AsyncDisposable {
  readonly host: string
}

const registries: { name: string; start: () => Promise<Served>; skip?: string | undefined }[] = [
  { name: 'the playground', start: () => startRegistry() },
  { name: 'docker-registry', start: dockerRegistry, skip: dockerRegistrySkipReason },
]

const sha256 = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`
const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const octets = { 'content-type': 'application/octet-stream' }

describe.each(registries)('$name', ({ start, skip }) => {
  if (skip) return test('is there', (context) => context.skip(skip))
  let registry: Served
  beforeAll(async () => {
    registry = await start()
  })
  afterAll(() => registry[Symbol.asyncDispose]())

  /** a repository that no other test has */
  const newName = () => `contract/${randomUUID().slice(0, 8)}`
  const ask = (method: string, path: string, body?: string, headers: Record<string, string> = {}) =>
    fetch(new URL(path, `http://${registry.host}`), { method, headers, ...(body !== undefined && { body }) })
  const errorsOf = async (reply: Response) => {
    const { errors } = (await reply.json()) as { errors: { code: string; message: string }[] }
    return { status: reply.status, codes: errors.map(({ code }) => code) }
  }
  const begin = async (name: string, query = '') => {
    const reply = await ask('POST', `/v2/${name}/blobs/uploads/${query}`)
    return { reply, location: reply.headers.get('location') ?? '' }
  }
  const withDigest = (location: string, digest: string) =>
    `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`
  const pushBlob = async (name: string, text: string) => {
    const { location } = await begin(name)
    const reply = await ask('PUT', withDigest(location, sha256(text)), text, octets)
    expect(reply.status).toBe(201)
    return { digest: sha256(text), size: text.length }
  }
  const pushManifest = async (name: string, reference: string, text = '{}') => {
    const config = { mediaType: 'application/vnd.oci.image.config.v1+json', ...(await pushBlob(name, text)) }
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers: [] })
    const reply = await ask('PUT', `/v2/${name}/manifests/${reference}`, manifest, {
      'content-type': ociManifest,
    })
    return { reply, manifest, digest: sha256(manifest) }
  }

  test('says which version it speaks', async () => {
    const reply = await ask('GET', '/v2/')

    expect([reply.status, await reply.text()]).toEqual([200, '{}'])
    expect(reply.headers.get('docker-distribution-api-version')).toBe('registry/2.0')
  })

  describe('blobs', () => {
    test('go in by one PUT, and come out as they are', async () => {
      const name = newName()
      const { reply, location } = await begin(name)
      const stored = await ask('PUT', withDigest(location, sha256('hello')), 'hello', octets)
      const got = await ask('GET', `/v2/${name}/blobs/${sha256('hello')}`)
      const head = await ask('HEAD', `/v2/${name}/blobs/${sha256('hello')}`)

      expect(reply.status).toBe(202)
      expect(reply.headers.get('docker-upload-uuid')).toBeTruthy()
      expect(reply.headers.get('range')).toBe('0-0')
      expect(stored.status).toBe(201)
      expect(stored.headers.get('docker-content-digest')).toBe(sha256('hello'))
      expect(new URL(stored.headers.get('location') ?? '', `http://${registry.host}`).pathname).toBe(
        `/v2/${name}/blobs/${sha256('hello')}`,
      )
      expect([got.status, await got.text()]).toEqual([200, 'hello'])
      expect([head.status, head.headers.get('content-length')]).toEqual([200, '5'])
      expect(head.headers.get('docker-content-digest')).toBe(sha256('hello'))
    })

    test('go in by chunks, whose progress can be asked for', async () => {
      const name = newName()
      const { location } = await begin(name)
      const first = await ask('PATCH', location, 'hel', { ...octets, 'content-range': '0-2' })
      const progress = await ask('GET', first.headers.get('location') ?? '')
      const second = await ask('PATCH', progress.headers.get('location') ?? '', 'lo', {
        ...octets,
        'content-range': '3-4',
      })
      const stored = await ask('PUT', withDigest(second.headers.get('location') ?? '', sha256('hello')))
      const got = await ask('GET', `/v2/${name}/blobs/${sha256('hello')}`)

      expect([first.status, first.headers.get('range')]).toEqual([202, '0-2'])
      expect([progress.status, progress.headers.get('range')]).toEqual([204, '0-2'])
      expect([second.status, second.headers.get('range')]).toEqual([202, '0-4'])
      expect(stored.status).toBe(201)
      expect(await got.text()).toBe('hello')
    })

    test('go in with the last chunk beside the digest', async () => {
      const name = newName()
      const { location } = await begin(name)
      const first = await ask('PATCH', location, 'hel', octets)
      const next = withDigest(first.headers.get('location') ?? '', sha256('hello'))
      const stored = await ask('PUT', next, 'lo', { ...octets, 'content-range': '3-4' })

      expect(stored.status).toBe(201)
    })

    test('go in by one POST, where the registry knows that, or go on as ever', async () => {
      const name = newName()
      const reply = await ask('POST', `/v2/${name}/blobs/uploads/?digest=${sha256('hello')}`, 'hello', octets)

      expect([201, 202]).toContain(reply.status)
    })

    test('of another repository are mounted', async () => {
      const [from, to] = [newName(), newName()]
      const { digest } = await pushBlob(from, 'shared')
      const { reply } = await begin(to, `?mount=${digest}&from=${from}`)
      const got = await ask('GET', `/v2/${to}/blobs/${digest}`)

      expect([reply.status, reply.headers.get('docker-content-digest')]).toEqual([201, digest])
      expect(await got.text()).toBe('shared')
    })

    test('that are not there to mount are asked for', async () => {
      const { reply, location } = await begin(newName(), `?mount=${sha256('nowhere')}&from=${newName()}`)

      expect(reply.status).toBe(202)
      expect(location).not.toBe('')
    })

    test('must have the digest that is named', async () => {
      const { location } = await begin(newName())

      const reply = await ask('PUT', withDigest(location, sha256('other')), 'hello', octets)

      expect(await errorsOf(reply)).toEqual({ status: 400, codes: ['DIGEST_INVALID'] })
    })

    test('that nobody sent are unknown', async () => {
      const name = newName()
      await pushBlob(name, 'some')

      const reply = await ask('GET', `/v2/${name}/blobs/${sha256('other')}`)

      expect(await errorsOf(reply)).toEqual({ status: 404, codes: ['BLOB_UNKNOWN'] })
    })

    test('can be given up half-way', async () => {
      const { location } = await begin(newName())
      const path = new URL(location, `http://${registry.host}`)
      const cancelled = await ask('DELETE', path.href)
      const after = await ask('GET', path.href)

      expect(cancelled.status).toBe(204)
      expect(await errorsOf(after)).toEqual({ status: 404, codes: ['BLOB_UPLOAD_UNKNOWN'] })
    })

    test('can be deleted', async () => {
      const name = newName()
      const { digest } = await pushBlob(name, 'short-lived')

      expect((await ask('DELETE', `/v2/${name}/blobs/${digest}`)).status).toBe(202)
      expect((await ask('HEAD', `/v2/${name}/blobs/${digest}`)).status).toBe(404)
    })
  })

  describe('manifests', () => {
    test('are found by tag and by digest, byte for byte', async () => {
      const name = newName()
      const { reply, manifest, digest } = await pushManifest(name, 'v1')

      expect([reply.status, reply.headers.get('docker-content-digest')]).toEqual([201, digest])
      for (const reference of ['v1', digest]) {
        const got = await ask('GET', `/v2/${name}/manifests/${reference}`, undefined, { accept: ociManifest })
        expect([got.status, await got.text()]).toEqual([200, manifest])
        expect(got.headers.get('content-type')).toBe(ociManifest)
        expect(got.headers.get('docker-content-digest')).toBe(digest)
        const head = await ask('HEAD', `/v2/${name}/manifests/${reference}`, undefined, {
          accept: ociManifest,
        })
        expect(head.headers.get('content-length')).toBe(String(manifest.length))
      }
    })

    test('move a tag', async () => {
      const name = newName()
      await pushManifest(name, 'v1', '{"a":1}')
      const { digest } = await pushManifest(name, 'v1', '{"a":2}')
      const head = await ask('HEAD', `/v2/${name}/manifests/v1`, undefined, { accept: ociManifest })

      expect(head.headers.get('docker-content-digest')).toBe(digest)
    })

    test('must be there in all their parts', async () => {
      const name = newName()
      await pushBlob(name, '{}')
      const config = {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        digest: sha256('none'),
        size: 4,
      }
      const manifest = JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers: [] })

      const reply = await ask('PUT', `/v2/${name}/manifests/v1`, manifest, { 'content-type': ociManifest })

      expect(await errorsOf(reply)).toEqual({ status: 400, codes: ['MANIFEST_BLOB_UNKNOWN'] })
    })

    test('must be manifests', async () => {
      const name = newName()

      const reply = await ask('PUT', `/v2/${name}/manifests/v1`, 'hello', { 'content-type': ociManifest })

      expect(await errorsOf(reply)).toEqual({ status: 400, codes: ['MANIFEST_INVALID'] })
    })

    test('must have the digest they are sent under', async () => {
      const name = newName()
      const { manifest } = await pushManifest(name, 'v1')

      const reply = await ask('PUT', `/v2/${name}/manifests/${sha256('other')}`, manifest, {
        'content-type': ociManifest,
      })

      expect(await errorsOf(reply)).toEqual({ status: 400, codes: ['DIGEST_INVALID'] })
    })

    test('that nobody sent are unknown', async () => {
      const name = newName()
      await pushManifest(name, 'v1')

      const reply = await ask('GET', `/v2/${name}/manifests/v2`)

      expect(await errorsOf(reply)).toEqual({ status: 404, codes: ['MANIFEST_UNKNOWN'] })
    })

    test('take their tags along when they are deleted', async () => {
      const name = newName()
      const { digest } = await pushManifest(name, 'v1')
      const deleted = await ask('DELETE', `/v2/${name}/manifests/${digest}`)
      const after = await ask('GET', `/v2/${name}/manifests/v1`, undefined, { accept: ociManifest })

      expect(deleted.status).toBe(202)
      expect(after.status).toBe(404)
    })
  })

  describe('lists', () => {
    test('have every tag', async () => {
      const name = newName()
      for (const tag of ['v2', 'v1', 'latest']) await pushManifest(name, tag)

      const reply = await ask('GET', `/v2/${name}/tags/list`)
      const { name: named, tags } = (await reply.json()) as { name: string; tags: string[] }

      expect([named, tags.toSorted()]).toEqual([name, ['latest', 'v1', 'v2']])
    })

    test('of an unknown repository are unknown', async () => {
      const reply = await ask('GET', `/v2/${newName()}/tags/list`)

      expect(await errorsOf(reply)).toEqual({ status: 404, codes: ['NAME_UNKNOWN'] })
    })

    test('of repositories come in pages', async () => {
      const names = [newName(), newName(), newName()]
      for (const name of names) await pushManifest(name, 'v1')
      const found: string[] = []
      let path: string | undefined = '/v2/_catalog?n=2'
      while (path) {
        const reply = await ask('GET', path)
        const { repositories } = (await reply.json()) as { repositories: string[] }
        expect(repositories.length).toBeLessThanOrEqual(2)
        found.push(...repositories)
        path = /<([^>]+)>; rel="next"/.exec(reply.headers.get('link') ?? '')?.[1]
      }

      expect(found).toEqual(expect.arrayContaining(names))
      expect(found).toEqual(found.toSorted())
    })
  })

  test('an image that we push is one that we read', async () => {
    const name = newName()
    const quiet = { write: () => {}, with: () => quiet }
    const client = createImageRegistry({ insecureHosts: [registry.host], clock: systemClock, log: quiet })
    const image = parseImageRef(`${registry.host}/${name}:v1`)

    const digest = await pushImage({
      host: registry.host,
      repository: name,
      tag: 'v1',
      createdAt: new Date('2024-05-01T00:00:00Z'),
    })
    const { tags = [] } = (await client.listTags(image, new Map(), {})) ?? {}
    const { facts } = await client.getImage(image, new Map())
    await client.close()

    expect([...tags]).toEqual(['v1'])
    expect(facts).toMatchObject({ digest, createdAt: new Date('2024-05-01T00:00:00Z') })
  })
})
