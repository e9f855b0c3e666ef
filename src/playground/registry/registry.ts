import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

/**
 * A small image registry on a loopback port: what a real one does, plus what a real one won't do on cue (pages of a
 * given size, a 429, a stalled body). It speaks the pulling half of the distribution spec: tags with `n`, `last` and
 * `Link`, manifests by tag and digest, blobs, all by GET and HEAD, anonymous, basic and token authorization.
 *
 * Images have a configuration and no layers. The same push makes the same digests, in any process.
 */

/** Docker schema 2 · OCI manifest · OCI index with a linux/amd64 manifest among others */
export type ImageKind = 'schema2' | 'oci' | 'index'

export interface TestRegistryOptions {
  /** repository → tag → creation time in RFC 3339, `''` for none */
  images?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** of every image that does not say otherwise; `oci` */
  kind?: ImageKind
  /** `token` without a user gives everyone a token */
  auth?:
    | { type: 'basic'; user: string; password: string }
    | { type: 'token'; user?: string; password?: string }
  /** where to get tokens; its own `/token` */
  realm?: string
  /** give ETags of lists, and heed them; true */
  etags?: boolean
  /** most tags on a page; as many as are asked for */
  pageSize?: number
  /** speak HTTPS with this key and certificate (PEM) */
  tls?: { key: string; cert: string }
}

export interface PushOptions {
  kind?: ImageKind
  labels?: Record<string, string>
  /** platforms of an index, `linux/arm64` and `linux/amd64` */
  platforms?: string[]
}

/** What to answer in place of the truth. */
export interface Fault {
  /** `GET /v2/…`: which requests it hits; all */
  on?: RegExp
  /** how many requests it hits; 1 */
  times?: number
  /** a reply, or: hold the answer back, send half of it, cut the connection, spoil its bytes */
  answer:
    | { status: number; headers?: Record<string, string>; body?: string }
    | 'stall'
    | 'truncate'
    | 'drop'
    | 'corrupt'
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
  push(repository: string, tag: string, createdAt?: string, options?: PushOptions): string
  /** Put any document under a tag, as it is. @returns its digest */
  pushManifest(repository: string, tag: string, document: unknown, mediaType: string): string
  removeTag(repository: string, tag: string): void
  /** Fail the next requests. Faults apply in the order given. */
  fail(fault: Fault): void
  /** Let every token given out so far be refused. */
  expireTokens(): void
  close(): Promise<void>
}

const types = {
  schema2: 'application/vnd.docker.distribution.manifest.v2+json',
  oci: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  schema2Config: 'application/vnd.docker.container.image.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
}

interface Document {
  bytes: Buffer
  type: string
}

interface Repository {
  /** tag → digest, in the order of pushes */
  tags: Map<string, string>
  manifests: Map<string, Document>
  blobs: Map<string, Document>
}

export async function startRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const repositories = new Map<string, Repository>()
  const requests: SeenRequest[] = []
  const faults: Required<Fault>[] = []
  let generation = 0

  const repositoryOf = (name: string): Repository => {
    const known = repositories.get(name) ?? { tags: new Map(), manifests: new Map(), blobs: new Map() }
    repositories.set(name, known)
    return known
  }

  const store = (into: Map<string, Document>, document: unknown, type: string): Descriptor => {
    const bytes = Buffer.from(JSON.stringify(document))
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    into.set(digest, { bytes, type })
    return { mediaType: type, digest, size: bytes.length }
  }

  const push: TestRegistry['push'] = (name, tag, createdAt = '', chosen = {}) => {
    const { tags, manifests, blobs } = repositoryOf(name)
    const kind = chosen.kind ?? options.kind ?? 'oci'
    const docker = kind === 'schema2'

    const pushOne = (platform: string) => {
      const [os = '', architecture = ''] = platform.split('/')
      const config = {
        ...(createdAt && { created: createdAt }),
        architecture,
        os,
        config: { Labels: chosen.labels ?? {} },
        rootfs: { type: 'layers', diff_ids: [] },
        history: [{ created_by: `push ${name}:${tag}`, empty_layer: true }],
      }
      const type = docker ? types.schema2 : types.oci
      const manifest = {
        schemaVersion: 2,
        mediaType: type,
        config: store(blobs, config, docker ? types.schema2Config : types.ociConfig),
        layers: [],
      }
      return { ...store(manifests, manifest, type), platform: { os, architecture } }
    }

    const pushIndex = (platforms: string[]) =>
      store(
        manifests,
        { schemaVersion: 2, mediaType: types.index, manifests: platforms.map(pushOne) },
        types.index,
      )

    const platforms = chosen.platforms ?? ['linux/arm64', 'linux/amd64']
    const { digest } = kind === 'index' ? pushIndex(platforms) : pushOne('linux/amd64')
    tags.set(tag, digest)
    return digest
  }

  for (const [repository, tags] of Object.entries(options.images ?? {})) {
    for (const [tag, createdAt] of Object.entries(tags)) push(repository, tag, createdAt)
  }

  const isLetIn = ({ headers }: IncomingMessage): boolean => {
    if (!options.auth) return true
    if (options.auth.type === 'token') return headers.authorization === `Bearer token-${generation}`
    return headers.authorization === basic(options.auth.user, options.auth.password)
  }

  const challenge = (path: string): string => {
    if (options.auth?.type === 'basic') return 'Basic realm="test"'
    const scope = `repository:${/^\/v2\/(.+)\/(?:tags|manifests|blobs)\//.exec(path)?.[1] ?? ''}:pull`
    return `Bearer realm="${options.realm ?? `${origin}/token`}",service="test",scope="${scope}"`
  }

  const answerToken = (request: IncomingMessage, reply: ServerResponse) => {
    const { user, password = '' } = options.auth?.type === 'token' ? options.auth : {}
    const { authorization } = request.headers
    if (user !== undefined && authorization !== basic(user, password)) {
      return refuse(reply, 401, 'UNAUTHORIZED')
    }
    send(reply, 200, { 'content-type': 'application/json' }, JSON.stringify({ token: `token-${generation}` }))
  }

  const answer = (request: IncomingMessage, reply: ServerResponse) => {
    const url = new URL(request.url ?? '/', origin)
    if (url.pathname === '/token') return answerToken(request, reply)
    if (!isLetIn(request)) {
      return refuse(reply, 401, 'UNAUTHORIZED', { 'www-authenticate': challenge(url.pathname) })
    }
    if (url.pathname === '/v2/') return send(reply, 200, {}, '{}')

    const [, name = '', collection, key = ''] =
      /^\/v2\/(.+)\/(tags|manifests|blobs)\/([^/]+)$/.exec(url.pathname) ?? []
    const repository = repositories.get(name)
    if (!repository) return refuse(reply, 404, 'NAME_UNKNOWN')
    if (collection === 'tags') {
      return answerTags(reply, url, name, [...repository.tags.keys()], request.headers['if-none-match'])
    }

    const document =
      collection === 'blobs'
        ? repository.blobs.get(key)
        : repository.manifests.get(repository.tags.get(key) ?? key)
    if (!document) return refuse(reply, 404, collection === 'blobs' ? 'BLOB_UNKNOWN' : 'MANIFEST_UNKNOWN')
    const digest = collection === 'blobs' ? key : (repository.tags.get(key) ?? key)
    send(reply, 200, { 'content-type': document.type, 'docker-content-digest': digest }, document.bytes)
  }

  const answerTags = (
    reply: ServerResponse,
    url: URL,
    name: string,
    all: string[],
    known: string | undefined,
  ) => {
    const sorted = all.sort()
    const last = url.searchParams.get('last')
    const rest = last === null ? sorted : sorted.filter((tag) => tag > last)
    const size = Math.min(Number(url.searchParams.get('n') ?? rest.length), options.pageSize ?? rest.length)
    const page = rest.slice(0, size)
    const query = new URLSearchParams({ last: page.at(-1) ?? '', n: String(size) })
    const more = rest.length > size && { link: `</v2/${name}/tags/list?${query}>; rel="next"` }
    const body = JSON.stringify({ name, tags: page })
    const etag = `"${createHash('sha256')
      .update(`${body}${JSON.stringify(more)}`)
      .digest('hex')}"`
    const marked = options.etags !== false && { etag }
    if (marked && known === etag) return void reply.writeHead(304, marked).end()
    send(reply, 200, { 'content-type': 'application/json', ...marked, ...more }, body)
  }

  const handle = (request: IncomingMessage, reply: ServerResponse) => {
    const { method = '', url: path = '', headers } = request
    requests.push({ method, path, headers })
    request.resume()
    const hit = faults.findIndex(({ on }) => on.test(`${method} ${path}`))
    const fault = faults[hit]
    if (!fault) return answer(request, reply)
    fault.times -= 1
    if (fault.times === 0) faults.splice(hit, 1)
    if (fault.answer === 'stall') return
    if (fault.answer === 'drop') return request.socket.destroy()
    if (fault.answer === 'truncate' || fault.answer === 'corrupt') {
      return answer(request, spoiled(reply, fault.answer))
    }
    send(reply, fault.answer.status, fault.answer.headers ?? {}, fault.answer.body ?? '')
  }

  const server = options.tls ? createTlsServer(options.tls, handle) : createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const origin = `${options.tls ? 'https' : 'http'}://${host}`

  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })

  return {
    host,
    requests,
    push,
    pushManifest(name, tag, document, mediaType) {
      const { tags, manifests } = repositoryOf(name)
      const { digest } = store(manifests, document, mediaType)
      tags.set(tag, digest)
      return digest
    },
    removeTag(name, tag) {
      repositories.get(name)?.tags.delete(tag)
    },
    fail({ on = /^/, times = 1, answer }) {
      faults.push({ on, times, answer })
    },
    expireTokens() {
      generation += 1
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

interface Descriptor {
  mediaType: string
  digest: string
  size: number
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

/** The same reply, whose body breaks off half-way, or has its bytes changed and its length kept. */
function spoiled(reply: ServerResponse, how: 'truncate' | 'corrupt'): ServerResponse {
  const end = reply.end.bind(reply)
  reply.end = (body: unknown) => {
    const bytes = Buffer.from((body ?? '') as string | Buffer)
    if (how === 'corrupt')
      return end(Buffer.from(bytes.toString('latin1').replace(/[a-z](?=":)/, 'X'), 'latin1'))
    reply.write(bytes.subarray(0, bytes.length / 2), () => reply.destroy())
    return reply
  }
  return reply
}

function refuse(
  reply: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): void {
  const body = JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll('_', ' ') }] })
  send(reply, status, { 'content-type': 'application/json', ...headers }, body)
}

function send(
  reply: ServerResponse,
  status: number,
  headers: Record<string, string>,
  body: string | Buffer,
): void {
  reply.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(body)) })
  reply.end(body)
}
