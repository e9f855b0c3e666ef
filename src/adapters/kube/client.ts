import { setTimeout as delay } from 'node:timers/promises'
import { FluxError, messageOf } from '../../core/errors.ts'
import { formatJson, isJsonObject, type JsonObject, type JsonValue, parseJson } from '../../core/json.ts'
import type { KubeConnection } from './connection.ts'
import type { Credential } from './credentials.ts'
import { failureOf } from './failure.ts'
import { type Transport, TransportError, type TransportReply } from './transport.ts'

/**
 * Requests to the API server with what every caller wants: the credential of the moment, one more try after a refused
 * credential or a lost connection, some patience when the server is busy, and a time limit.
 */

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** from `/api` or `/apis` on */
  path: string
  query?: Readonly<Record<string, string | undefined>>
  body?: JsonValue
  /** of the body */
  contentType?: string
  accept?: string
  signal?: AbortSignal | undefined
}

export interface ApiReply {
  status: number
  /** the reply's JSON object; empty when it is something else */
  body: JsonObject
  contentType: string
  /** milliseconds since the epoch by the server's clock; NaN where it does not say */
  dateMs: number
  /** from sending to the end of the reply, by our clock */
  tookMs: number
  /** what the server says in `Warning` headers */
  warnings: string[]
}

export interface ApiClient {
  readonly connection: KubeConnection
  /** Any status but 401 and busy ones is the caller's. @throws FluxError `CLUSTER_…` */
  send(request: ApiRequest): Promise<ApiReply>
  /** As `send`; anything but success is thrown. */
  ask(request: ApiRequest): Promise<ApiReply>
  /** A reply without end. @throws FluxError `CLUSTER_…`, and TransportError while it is read */
  stream(request: ApiRequest): Promise<TransportReply>
  close(): Promise<void>
}

export interface ApiClientOptions {
  connection: KubeConnection
  transport: Transport
  /** for a whole request and reply, other than streams */
  requestTimeoutMs: number
}

/** How often a busy server (429, 503) is asked again, and how long one wait may be. */
const busyTries = 4
const longestWaitMs = 10_000

export function createApiClient({ connection, transport, requestTimeoutMs }: ApiClientOptions): ApiClient {
  /** Send until there is a reply that means something. */
  async function open(request: ApiRequest): Promise<TransportReply> {
    const { method, signal } = request
    let credential = await connection.credential()
    let renewed = false
    let reconnected = false
    for (let tries = 1; ; ) {
      signal?.throwIfAborted()
      let reply: TransportReply
      try {
        reply = await transport.open({
          method,
          path: pathWithQuery(request),
          headers: {
            accept: request.accept ?? 'application/json',
            'user-agent': 'fluxcd',
            ...(request.body !== undefined && { 'content-type': request.contentType ?? 'application/json' }),
          },
          credential,
          ...(request.body !== undefined && { body: formatJson(request.body) }),
          ...(signal && { signal }),
        })
      } catch (error) {
        signal?.throwIfAborted()
        if (!(error instanceof TransportError)) throw error
        // what only reads, or says how things should be, may be said twice
        const repeatable = error.unsent || method !== 'POST'
        if (reconnected || !repeatable || isFinal(error)) throw unreachable(connection, error)
        reconnected = true
        continue
      }
      if (reply.status === 401 && !renewed) {
        renewed = true
        const fresh = await connection.credential(true)
        if (isSame(fresh, credential)) return reply
        reply.discard()
        credential = fresh
        continue
      }
      const busy = reply.status === 429 || reply.status === 503 || reply.status === 504
      if (busy && tries < busyTries && (method !== 'POST' || reply.status === 429)) {
        reply.discard()
        await delay(waitMs(reply.header('retry-after'), tries), undefined, signal && { signal })
        tries++
        continue
      }
      return reply
    }
  }

  async function send(request: ApiRequest): Promise<ApiReply> {
    const startedMs = performance.now()
    const limit = new AbortController()
    const abort = () => limit.abort(request.signal?.reason)
    request.signal?.throwIfAborted()
    request.signal?.addEventListener('abort', abort, { once: true })
    const timedOut = new TransportError(`no answer within ${requestTimeoutMs / 1000} s`, { unsent: false })
    const timer = setTimeout(() => limit.abort(timedOut), requestTimeoutMs)
    try {
      const reply = await open({ ...request, signal: limit.signal })
      const text = await readText(reply)
      const body = parseBody(text, reply.header('content-type') ?? '')
      if (reply.status === 401) throw failureOf(reply.status, body, connection)
      return {
        status: reply.status,
        body,
        contentType: reply.header('content-type') ?? '',
        dateMs: Date.parse(reply.header('date') ?? ''),
        tookMs: performance.now() - startedMs,
        warnings: readWarnings(reply.header('warning')),
      }
    } catch (error) {
      request.signal?.throwIfAborted()
      if (error instanceof TransportError) throw unreachable(connection, error)
      if (limit.signal.aborted) throw unreachable(connection, timedOut)
      throw error
    } finally {
      clearTimeout(timer)
      request.signal?.removeEventListener('abort', abort)
    }
  }

  return {
    connection,
    send,
    async ask(request) {
      const reply = await send(request)
      if (reply.status >= 300) throw failureOf(reply.status, reply.body, connection)
      return reply
    },
    async stream(request) {
      const reply = await open(request)
      if (reply.status < 300) return reply
      const text = await readText(reply).catch(messageOf)
      throw failureOf(reply.status, parseBody(text, reply.header('content-type') ?? ''), connection)
    },
    close: () => transport.close(),
  }
}

/** Whether trying at once again can't help. */
function isFinal(error: TransportError): boolean {
  return error.unsent && (error.cause as NodeJS.ErrnoException | undefined)?.code !== 'ECONNRESET'
}

function isSame(a: Credential, b: Credential): boolean {
  return a.headers['authorization'] === b.headers['authorization'] && a.cert === b.cert
}

function pathWithQuery({ path, query = {} }: ApiRequest): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, value)
  return search.size === 0 ? path : `${path}?${search}`
}

/** The server's wish in seconds, or 0.1, 0.2, 0.4 s. */
function waitMs(retryAfter: string | undefined, tries: number): number {
  const seconds = Number(retryAfter)
  if (retryAfter !== undefined && Number.isFinite(seconds)) return Math.min(seconds * 1000, longestWaitMs)
  return 50 * 2 ** tries
}

async function readText(reply: TransportReply): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of reply.body) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function parseBody(text: string, contentType: string): JsonObject {
  if (contentType.startsWith('application/json')) {
    try {
      const parsed = parseJson(text)
      if (isJsonObject(parsed)) return parsed
    } catch {
      // taken as text
    }
  }
  return text === '' ? {} : { message: text.trim() }
}

/** The texts of `Warning: 299 - "text"` headers. */
function readWarnings(header: string | undefined): string[] {
  const matches = header?.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g) ?? []
  return [...matches].map(([, text = '']) => text.replace(/\\(.)/g, '$1'))
}

export function unreachable({ origin }: KubeConnection, error: TransportError): FluxError {
  const context = origin.context ? ` (context "${origin.context}" in ${origin.files.join(', ')})` : ''
  return new FluxError('CLUSTER_UNREACHABLE', {
    what: `The Kubernetes API at ${origin.server} can't be reached: ${error.message}`,
    why: `This address comes from ${context === '' ? "the pod's environment" : `the kubeconfig${context}`}.`,
    next: /certificate/.test(error.message)
      ? 'Check certificate-authority of the cluster in the kubeconfig, and the clock of this machine.'
      : 'Check that the cluster is up and that this machine may reach it, or choose another --context.',
    cause: error,
  })
}
