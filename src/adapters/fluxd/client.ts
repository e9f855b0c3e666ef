import { type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http'
import type { Duplex } from 'node:stream'
import { goSyntaxError, goTypeError } from '../../api/go-json.ts'
import { formatWire } from '../../api/json.ts'
import { type Endpoint, paths, requestIdHeader } from '../../api/paths.ts'
import {
  readControllerStatuses,
  readGitConfig,
  readImageStatuses,
  readJobStatus,
  readRevisions,
} from '../../api/read.ts'
import { updateSpecToWire } from '../../api/write.ts'
import { FluxError, messageOf } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json.ts'
import { type Fluxd, RemoteError } from '../../ports/fluxd.ts'
import { goTransportError } from './go-transport.ts'

/**
 * fluxd as a client sees it, ours or the original: plain HTTP, at a URL or inside a stream that somebody else opens.
 *
 * Failures have the texts of Flux v1's client (`spec/flux-v1/cli.md` §1), since scripts look for them. Each request has a
 * connection of its own, and no time limit: some answers wait for Git. Redirects are not followed.
 */

export interface FluxdClientOptions {
  /** where the API stands, such as `http://127.0.0.1:3030/api/flux` */
  url: string
  /** sent as `Authorization: Scope-Probe token=…` */
  token?: string
  /** opens the stream of each connection, in place of the host in `url` */
  open?: () => Promise<Duplex>
  signal?: AbortSignal
}

export function createFluxdClient(options: FluxdClientOptions): Fluxd {
  const get = (endpoint: Endpoint, query: Record<string, string>) => call(options, endpoint, { query })
  const post = (endpoint: Endpoint, body: object | boolean, headers: Headers = {}) =>
    call(options, endpoint, { body: formatWire(body), headers })
  return {
    async listWorkloads({ namespace }) {
      const body = await get(paths.services, { namespace })
      return decode(body, 'array', '[]v6.ControllerStatus', readControllerStatuses)
    },
    async getWorkloads(ids) {
      const body = await get(paths.servicesById, { namespace: '', services: ids.join(',') })
      return decode(body, 'array', '[]v6.ControllerStatus', readControllerStatuses)
    },
    async listImages(query) {
      const workload = 'workload' in query ? query.workload : undefined
      const body = await get(paths.images, {
        containerFields: '',
        namespace: 'namespace' in query ? query.namespace : '',
        service: workload ?? '<all>',
        ...(query.reasons && { reasons: 'true' }),
      })
      return decode(body, 'array', '[]v6.ImageStatus', readImageStatuses)
    },
    async update(spec, { requestId } = {}) {
      const headers = requestId === undefined ? {} : { [requestIdHeader]: requestId }
      const body = await post(paths.updateManifests, updateSpecToWire(spec), headers)
      return decode(body, 'string', 'job.ID', String)
    },
    async getJob(id) {
      return decode(await get(paths.job, { id }), 'object', 'job.Status', readJobStatus)
    },
    async listUnapplied(ref) {
      return decode(await get(paths.syncStatus, { ref }), 'array', '[]string', readRevisions)
    },
    async getRepository({ regenerateKey }) {
      const body = await post(paths.gitRepoConfig, regenerateKey)
      return decode(body, 'object', 'v6.GitConfig', readGitConfig)
    },
  }
}

type Headers = Readonly<Record<string, string>>

const succeeded = new Set([200, 201, 202, 204])
/** some 400,000 images in a list; whoever answers may be a stranger */
const maxReplyBytes = 128 * 1024 * 1024

/** @returns the body of a successful answer */
async function call(
  options: FluxdClientOptions,
  { method, path }: Endpoint,
  { query = {}, body, headers = {} }: { query?: Record<string, string>; body?: string; headers?: Headers },
): Promise<string> {
  const search = new URLSearchParams(query).toString()
  const href = `${options.url.replace(/\/+$/, '')}${path}${search && `?${search}`}`
  let response: IncomingMessage
  let text: string
  try {
    response = await send(options, method, href, body, headers)
    text = await readText(response)
  } catch (cause) {
    options.signal?.throwIfAborted()
    if (cause instanceof FluxError) throw cause
    const verb = method.charAt(0) + method.slice(1).toLowerCase()
    throw new FluxError('FLUXD_UNREACHABLE', {
      what: `executing HTTP request: executing HTTP request: ${verb} "${withoutPassword(href)}": ${goTransportError(cause, href)}`,
      cause,
    })
  }
  if (succeeded.has(response.statusCode ?? 0)) return text
  throw refusal(response, text)
}

async function send(
  { token, open, signal }: FluxdClientOptions,
  method: string,
  href: string,
  body: string | undefined,
  extra: Headers,
): Promise<IncomingMessage> {
  const scheme = /^([a-z][a-z\d+.-]*):/i.exec(href)?.[1]?.toLowerCase() ?? ''
  if (scheme !== 'http' && scheme !== 'https') throw new Error(`unsupported protocol scheme "${scheme}"`)
  // TLS takes a while to load
  const request = scheme === 'https' ? (await import('node:https')).request : requestHttp
  const headers = {
    Accept: 'application/json',
    ...extra,
    ...(token && { Authorization: `Scope-Probe token=${token}` }),
    ...(body !== undefined && { 'Content-Length': Buffer.byteLength(body) }),
  }
  return new Promise((resolve, reject) => {
    const connection = open ? { createConnection: connectorOf(open) } : { agent: false }
    const outgoing = request(href, { method, headers, ...(signal && { signal }), ...connection }, resolve)
    // a forwarded stream stays open at its other end: without this it would live as long as we do
    outgoing.on('response', (response) => response.on('end', () => response.socket.destroy()))
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function connectorOf(open: () => Promise<Duplex>): NonNullable<RequestOptions['createConnection']> {
  return (_, created) => {
    open().then(
      (stream) => created(null, stream),
      (error: Error) => created(error, undefined as unknown as Duplex),
    )
    return undefined
  }
}

/** @throws FluxError `FLUXD_REPLY_INVALID` where there is no end of it */
async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxReplyBytes) {
      throw new FluxError('FLUXD_REPLY_INVALID', {
        what: `decoding response from server: it is larger than ${maxReplyBytes / 1024 / 1024} MiB`,
        next: 'Ask for less at once: one namespace, or one workload.',
      })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** As Go shows it. */
function withoutPassword(href: string): string {
  return href.replace(/^([^/]*\/\/[^/?#:]*):[^/?#]*@/, '$1:***@')
}

/** What an answer that isn't a success means. */
function refusal({ statusCode, statusMessage, headers }: IncomingMessage, text: string): FluxError {
  if (statusCode === 401)
    return new RemoteError('authentication failed', 'FLUXD_DENIED', { help: authenticationHelp })
  const isJson = /^application\/json\b/i.test(headers['content-type'] ?? '')
  const problem = isJson ? parseProblem(text) : {}
  if (problem.error && problem.help !== undefined) {
    const { error, help, code } = problem
    return new RemoteError(error, 'FLUXD_REFUSED', { help, ...(code && { code }) })
  }
  return new RemoteError(
    `executing HTTP request: ${statusCode} ${statusMessage} ${text}`,
    'FLUXD_REFUSED',
    problem.code ? { code: problem.code } : {},
  )
}

/** @throws FluxError `FLUXD_REPLY_INVALID` */
function parseProblem(text: string): { error?: string; help?: string; code?: string } {
  const body = parseReply(text, 'executing HTTP request: decoding response body of error')
  if (!isJsonObject(body)) return {}
  const pick = (name: string) => (typeof body[name] === 'string' ? { [name]: body[name] } : {})
  return { ...pick('error'), ...pick('help'), ...pick('code') }
}

const authenticationHelp = `\
The request failed authentication

This most likely means you have a missing or incorrect token. Please
make sure you supply a service token, either by setting the
environment variable FLUX_SERVICE_TOKEN, or using the argument --token
with fluxctl.

`

type Shape = 'array' | 'object' | 'string'

/**
 * Read a successful answer. `null` stands for the empty value of every shape, as in Go.
 *
 * @param goType what v1's client calls the type, for the error
 * @throws FluxError `FLUXD_REPLY_INVALID`
 */
function decode<T>(text: string, shape: Shape, goType: string, read: (body: unknown) => T): T {
  const what = 'decoding response from server'
  const body = parseReply(text, what)
  const found = Array.isArray(body) ? 'array' : typeof body
  if (body !== null && found !== shape)
    throw new FluxError('FLUXD_REPLY_INVALID', { what: `${what}: ${goTypeError(body, goType)}` })
  try {
    return read(body)
  } catch (cause) {
    throw new FluxError('FLUXD_REPLY_INVALID', { what: `${what}: ${messageOf(cause)}`, cause })
  }
}

function parseReply(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FluxError('FLUXD_REPLY_INVALID', { what: `${what}: ${goSyntaxError(text)}`, cause })
  }
}
