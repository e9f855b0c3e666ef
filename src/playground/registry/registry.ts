import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { listenOnLoopback } from '../loopback.ts'
import { createAccess, type RegistryAuth } from './access.ts'
import { createContent, deleteManifest, digestOf, putManifest, type Repository } from './content.ts'
import { createFaults, type Fault } from './faults.ts'
import { type ImageKind, type ImageOptions, putImage } from './images.ts'
import { etagOf, pageOf } from './pages.ts'
import { RegistryProblem, send, sendProblem } from './problem.ts'
import { createUploads, rangeOf, readBody, type Upload } from './uploads.ts'

/**
 * A small registry for images and charts on a loopback port: what a real one does, plus what a real one won't do on cue
 * (pages of a given size, a 429, a stalled body). Everything is in memory.
 *
 * Follows the distribution spec: blobs in one piece or in chunks, mounts, manifests by tag and digest, tags and the
 * catalog with `n`, `last` and `Link`, deletions, anonymous, basic and token authorization. Leaves out referrers, and
 * parts of blobs.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
 */
export interface TestRegistryOptions {
  /** repository → tag → creation time in RFC 3339, `''` for none */
  images?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** of every image that does not say otherwise; `oci` */
  kind?: ImageKind
  auth?: RegistryAuth
  /** where to get tokens; its own `/token` */
  realm?: string
  /** give ETags of lists, and heed them; true */
  etags?: boolean
  /** most tags on a page; as many as are asked for */
  pageSize?: number
  /** speak HTTPS with this key and certificate (PEM) */
  tls?: { key: string; cert: string }
  /** told of every tag that is pushed over HTTP, as webhooks of registries are */
  onPush?: (repository: string, tag: string) => void
}

export interface SeenRequest {
  method: string
  /** path and query */
  path: string
  headers: IncomingMessage['headers']
}

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string
  /** every request so far */
  readonly requests: SeenRequest[]
  /** Put an image under a tag. @returns digest of what the tag names */
  push(repository: string, tag: string, createdAt?: string, options?: ImageOptions): string
  /** Put any document under a tag, as it is. @returns its digest */
  pushManifest(repository: string, tag: string, document: unknown, mediaType: string): string
  removeTag(repository: string, tag: string): void
  /** Fail the next requests. Faults apply in the order given. */
  fail(fault: Fault): void
  /** Let every token given out so far be refused. */
  expireTokens(): void
  close(): Promise<void>
}

interface Exchange {
  request: IncomingMessage
  reply: ServerResponse
  url: URL
}

const maxManifestBytes = 4 * 1024 * 1024
const nameGrammar = /^[a-z\d]+(?:(?:\.|_|__|-+)[a-z\d]+)*(?:\/[a-z\d]+(?:(?:\.|_|__|-+)[a-z\d]+)*)*$/

export async function startRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const content = createContent()
  const uploads = createUploads()
  const faults = createFaults()
  const requests: SeenRequest[] = []
  const access = createAccess({ auth: options.auth, realm: () => options.realm ?? `${origin}/token` })

  const push: TestRegistry['push'] = (name, tag, createdAt = '', chosen = {}) => {
    const kind = chosen.kind ?? options.kind
    return putImage(content.open(name), tag, createdAt, { ...chosen, ...(kind && { kind }) })
  }
  for (const [repository, tags] of Object.entries(options.images ?? {})) {
    for (const [tag, createdAt] of Object.entries(tags)) push(repository, tag, createdAt)
  }

  const answer = async (exchange: Exchange) => {
    const { request, reply, url } = exchange
    const { pathname } = url
    if (pathname === '/token') {
      const scopes = url.searchParams.getAll('scope').flatMap((scope) => scope.split(' '))
      return sendJson(reply, { token: access.issue(request, scopes) })
    }
    access.check(request, pathname)
    if (pathname === '/v2/') return sendJson(reply, {})
    if (pathname === '/v2/_catalog') {
      const page = pageOf(content.repositories.keys(), url, options.pageSize)
      return sendJson(reply, { repositories: page.names }, page.headers)
    }
    const [, name = '', collection, key = ''] =
      /^\/v2\/(.+)\/(tags\/list|manifests|blobs\/uploads|blobs)(?:\/([^/]*))?$/.exec(pathname) ?? []
    if (collection === undefined) throw new RegistryProblem('UNSUPPORTED')
    if (!nameGrammar.test(name) || name.length > 255) throw new RegistryProblem('NAME_INVALID')
    if (collection === 'tags/list') return answerTags(exchange, content.get(name))
    if (collection === 'manifests') return answerManifest(exchange, name, decodeURIComponent(key))
    if (collection === 'blobs') return answerBlob(exchange, content.get(name), key)
    return key === '' ? beginUpload(exchange, name) : continueUpload(exchange, content.get(name), key)
  }

  const answerTags = ({ request, reply, url }: Exchange, { name, tags }: Repository) => {
    const page = pageOf(tags.keys(), url, options.pageSize)
    const body = JSON.stringify({ name, tags: page.names })
    const etag = etagOf(body, page)
    const marked = options.etags !== false && { etag }
    if (marked && request.headers['if-none-match'] === etag) return void reply.writeHead(304, marked).end()
    send(reply, 200, { 'content-type': 'application/json', ...marked, ...page.headers }, body)
  }

  const answerManifest = async ({ request, reply }: Exchange, name: string, reference: string) => {
    if (request.method === 'PUT') {
      const bytes = await readBody(request, maxManifestBytes)
      const digest = putManifest(content.open(name), reference, bytes, request.headers['content-type'])
      send(reply, 201, { location: `/v2/${name}/manifests/${digest}`, 'docker-content-digest': digest })
      if (!reference.includes(':')) options.onPush?.(name, reference)
      return
    }
    const repository = content.get(name)
    if (request.method === 'DELETE') {
      deleteManifest(repository, reference)
      return send(reply, 202)
    }
    const digest = repository.tags.get(reference) ?? reference
    const manifest = repository.manifests.get(digest)
    if (!manifest) throw new RegistryProblem('MANIFEST_UNKNOWN')
    const headers = { 'content-type': manifest.mediaType, 'docker-content-digest': digest }
    send(reply, 200, { ...headers, etag: `"${digest}"` }, manifest.bytes)
  }

  const answerBlob = ({ request, reply }: Exchange, { blobs }: Repository, digest: string) => {
    const bytes = blobs.get(digest)
    if (!bytes) throw new RegistryProblem('BLOB_UNKNOWN')
    if (request.method === 'DELETE') {
      blobs.delete(digest)
      return send(reply, 202)
    }
    const headers = { 'content-type': 'application/octet-stream', 'docker-content-digest': digest }
    send(reply, 200, { ...headers, etag: `"${digest}"` }, bytes)
  }

  const beginUpload = async ({ request, reply, url }: Exchange, name: string) => {
    if (request.method !== 'POST') throw new RegistryProblem('UNSUPPORTED')
    const repository = content.open(name)
    const mount = url.searchParams.get('mount') ?? ''
    const mounted = content.repositories.get(url.searchParams.get('from') ?? '')?.blobs.get(mount)
    if (mounted) {
      repository.blobs.set(mount, mounted)
      return sendStored(reply, repository, mount)
    }
    const upload = uploads.begin(repository)
    const digest = url.searchParams.get('digest')
    if (digest === null) return sendProgress(reply, 202, repository, upload)
    upload.append(await readBody(request))
    upload.finish(digest)
    sendStored(reply, repository, digest)
  }

  const continueUpload = async ({ request, reply, url }: Exchange, repository: Repository, id: string) => {
    const upload = uploads.get(repository, id)
    if (request.method === 'GET') return sendProgress(reply, 204, repository, upload)
    if (request.method === 'DELETE') {
      upload.cancel()
      return send(reply, 204)
    }
    const range = request.headers['content-range']
    const bytes = await readBody(request)
    if (bytes.length > 0) upload.append(bytes, range)
    if (request.method === 'PATCH') return sendProgress(reply, 202, repository, upload)
    if (request.method !== 'PUT') throw new RegistryProblem('UNSUPPORTED')
    const digest = url.searchParams.get('digest') ?? ''
    upload.finish(digest)
    sendStored(reply, repository, digest)
  }

  const handle = (request: IncomingMessage, reply: ServerResponse) => {
    const { method = '', url: path = '/', headers } = request
    requests.push({ method, path, headers })
    faults.apply(request, reply, (reply) => {
      const url = new URL(path, origin)
      answer({ request, reply, url }).catch((error: unknown) => {
        request.resume()
        if (error instanceof RegistryProblem) return sendProblem(reply, error)
        reply.destroy(error as Error) // the request broke off
      })
    })
  }

  const server = options.tls ? createTlsServer(options.tls, handle) : createServer(handle)
  const { host, close } = await listenOnLoopback(server)
  const origin = `${options.tls ? 'https' : 'http'}://${host}`

  return {
    host,
    requests,
    push,
    pushManifest(name, tag, document, mediaType) {
      const { tags, manifests } = content.open(name)
      const bytes = Buffer.from(JSON.stringify(document))
      const digest = digestOf(bytes)
      manifests.set(digest, { bytes, mediaType })
      tags.set(tag, digest)
      return digest
    },
    removeTag(name, tag) {
      content.repositories.get(name)?.tags.delete(tag)
    },
    fail: faults.add,
    expireTokens: access.expire,
    close,
    [Symbol.asyncDispose]: close,
  }
}

function sendJson(reply: ServerResponse, document: object, headers: Record<string, string> = {}): void {
  const version = { 'docker-distribution-api-version': 'registry/2.0' }
  send(reply, 200, { 'content-type': 'application/json', ...version, ...headers }, JSON.stringify(document))
}

function sendProgress(reply: ServerResponse, status: 202 | 204, { name }: Repository, upload: Upload): void {
  send(reply, status, {
    location: `/v2/${name}/blobs/uploads/${upload.id}`,
    'docker-upload-uuid': upload.id,
    range: rangeOf(upload),
  })
}

function sendStored(reply: ServerResponse, { name }: Repository, digest: string): void {
  send(reply, 201, { location: `/v2/${name}/blobs/${digest}`, 'docker-content-digest': digest })
}
