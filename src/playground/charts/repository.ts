import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { gzipSync } from 'node:zlib'
import { Header } from 'tar'
import type { JsonObject } from '../../core/json.ts'
import { listenOnLoopback } from '../loopback.ts'

/**
 * A Helm chart repository on a loopback port: `index.yaml` and charts as `.tgz`, over HTTP, with a password where there
 * is one, and with ETags. Charts in OCI registries go to `registry/`.
 */
export interface ChartRepository extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** requests so far: method and path */
  readonly requests: readonly string[]
  /** Publish a chart; the same name and version replaces it. @returns digest of the package, as the index has it */
  add(chart: Chart): string
  remove(name: string, version: string): void
  /** Answer requests whose path matches with this status; `undefined` lets all through. */
  fail(requests: RegExp | undefined, status?: number): void
  /** Put other bytes in the place of a package, and leave the index as it is. */
  spoil(name: string, version: string, bytes: Uint8Array): void
}

export interface Chart {
  /** `Chart.yaml`; `apiVersion: v2` unless it says otherwise */
  metadata: JsonObject & { name: string; version: string }
  /** path below the chart's folder → text */
  files?: Readonly<Record<string, string>>
}

export interface ChartRepositoryOptions {
  charts?: readonly Chart[]
  auth?: { user: string; password: string }
}

interface Published {
  metadata: JsonObject
  digest: string
  bytes: Uint8Array
}

export async function chartRepository(options: ChartRepositoryOptions = {}): Promise<ChartRepository> {
  const { auth } = options
  const published = new Map<string, Published>()
  const requests: string[] = []
  let failing: { requests: RegExp; status: number } | undefined

  const add: ChartRepository['add'] = (chart) => {
    const { name, version } = chart.metadata
    const bytes = packChart(chart)
    const digest = createHash('sha256').update(bytes).digest('hex')
    published.set(fileOf(name, version), {
      metadata: { apiVersion: 'v2', ...chart.metadata },
      digest,
      bytes,
    })
    return digest
  }
  for (const chart of options.charts ?? []) add(chart)

  const contentOf = (path: string): Uint8Array | undefined => {
    if (path === '/index.yaml') return Buffer.from(indexOf(published))
    return published.get(path.replace(/^\/charts\//, ''))?.bytes
  }

  const server = createServer((request, reply) => {
    const path = request.url ?? '/'
    requests.push(`${request.method} ${path}`)
    if (failing?.requests.test(path)) return void reply.writeHead(failing.status).end('failing on cue\n')
    const expected = auth && `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`
    if (expected !== undefined && request.headers.authorization !== expected) {
      return void reply.writeHead(401, { 'www-authenticate': 'Basic realm="charts"' }).end()
    }
    const content = contentOf(path)
    if (!content) return void reply.writeHead(404).end('not found\n')
    const etag = `"${createHash('sha256').update(content).digest('hex')}"`
    if (request.headers['if-none-match'] === etag) return void reply.writeHead(304, { etag }).end()
    const type = path.endsWith('.tgz') ? 'application/gzip' : 'application/yaml'
    reply.writeHead(200, { 'content-type': type, 'content-length': content.length, etag }).end(content)
  })
  const { host, close } = await listenOnLoopback(server)

  return {
    url: `http://${host}`,
    requests,
    add,
    remove: (name, version) => void published.delete(fileOf(name, version)),
    fail(matching, status = 500) {
      failing = matching && { requests: matching, status }
    },
    spoil(name, version, bytes) {
      const known = published.get(fileOf(name, version))
      if (known) published.set(fileOf(name, version), { ...known, bytes })
    },
    [Symbol.asyncDispose]: close,
  }
}

/** A chart as `helm package` makes it; the same chart gives the same bytes. */
export function packChart({ metadata, files = {} }: Chart): Uint8Array {
  // JSON is YAML
  const all = { 'Chart.yaml': `${JSON.stringify({ apiVersion: 'v2', ...metadata }, null, 2)}\n`, ...files }
  const blocks = Object.entries(all).flatMap(([path, text]) => {
    const content = Buffer.from(text)
    const header = Buffer.alloc(512)
    const entry = { path: `${metadata.name}/${path}`, mode: 0o644, size: content.length, mtime: new Date(0) }
    new Header({ ...entry, type: 'File' }).encode(header)
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]
  })
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]))
}

function indexOf(published: ReadonlyMap<string, Published>): string {
  const entries: Record<string, JsonObject[]> = {}
  for (const [file, { metadata, digest }] of published) {
    const name = String(metadata['name'])
    entries[name] ??= []
    entries[name].push({
      ...metadata,
      digest,
      created: '2024-06-01T09:00:00Z',
      urls: [`charts/${file}`],
    })
  }
  return `${JSON.stringify({ apiVersion: 'v1', entries, generated: '2024-06-01T09:00:00Z' }, null, 2)}\n`
}

function fileOf(name: string, version: string): string {
  return `${name}-${version}.tgz`
}
