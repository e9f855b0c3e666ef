import { Agent, type Dispatcher, ProxyAgent, request } from 'undici'
import { FluxError } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log } from '../../ports/log.ts'
import { type Environment, proxyFor } from './proxy.ts'
import { HostPace, readRetryAfter } from './rate-limit.ts'

export interface TransportOptions {
  /** hosts, with or without their port, whose certificate is not verified and that may speak plain HTTP */
  insecureHosts: readonly string[]
  requestsPerSecond: number
  burst: number
  /** limit for one request and its reply, and the longest wait for a turn */
  timeoutMs: number
  /** the largest body that is read */
  maxBodyBytes: number
  /** log every request, without its query: some registries put signatures there */
  trace: boolean
  /** for the proxy variables */
  environment: Environment
  clock: Clock
  log: Log
}

export interface Reply {
  status: number
  header(name: string): string | undefined
  body: Buffer
}

export interface Ask {
  /** GET where it isn't given */
  method?: 'HEAD'
  /** an ETag: the reply is 304 where it still holds */
  ifNoneMatch?: string
  accept?: readonly string[]
  authorization?: string
  signal?: AbortSignal
}

const maxRedirects = 5
/** how often a request is sent again after a 429 that says for how long to wait */
const maxRepeats = 2

/** Requests to registries: at each host's pace, within limits, and nothing secret past its origin. */
export class Transport {
  readonly #options: TransportOptions
  readonly #agents = new Map<string, Dispatcher>()
  readonly #paces = new Map<string, HostPace>()
  /** insecure hosts that were found to speak plain HTTP */
  readonly #plainHosts = new Set<string>()

  constructor(options: TransportOptions) {
    this.#options = options
  }

  /** Whether a host (with port) was named as insecure. */
  isInsecure(host: string): boolean {
    const { insecureHosts } = this.#options
    return insecureHosts.includes(host) || insecureHosts.includes(host.replace(/:[0-9]+$/, ''))
  }

  /**
   * Ask a registry host for a path: by HTTPS, and where an insecure host does not speak it, by HTTP.
   *
   * @throws FluxError `REGISTRY_UNAVAILABLE` | `REGISTRY_TIMEOUT` | `REGISTRY_RATE_LIMITED` | `REGISTRY_TOO_LARGE` |
   *   `REGISTRY_INVALID`
   */
  async get(host: string, path: string, ask: Ask): Promise<Reply> {
    if (!this.#plainHosts.has(host)) {
      try {
        return await this.follow(new URL(`https://${host}${path}`), ask)
      } catch (error) {
        const mayBePlain = error instanceof FluxError && error.code === 'REGISTRY_UNAVAILABLE'
        if (!mayBePlain || !this.isInsecure(host)) throw error
      }
    }
    try {
      const reply = await this.follow(new URL(`http://${host}${path}`), ask)
      this.#plainHosts.add(host)
      return reply
    } catch (error) {
      this.#plainHosts.delete(host)
      throw error
    }
  }

  /** Ask for a URL and follow redirects. Credentials stay on its origin, and HTTPS does not turn into HTTP. */
  async follow(url: URL, ask: Ask): Promise<Reply> {
    let at = url
    for (let hops = 0; hops <= maxRedirects; hops++) {
      const { authorization, ...anonymous } = ask
      const reply = await this.#patiently(at, at.origin === url.origin ? ask : anonymous)
      const location = [301, 302, 303, 307, 308].includes(reply.status) ? reply.header('location') : undefined
      if (location === undefined) return reply
      const next = URL.canParse(location, at.href) ? new URL(location, at) : undefined
      if (!next || !(next.protocol === 'https:' || (next.protocol === 'http:' && at.protocol === 'http:'))) {
        throw strangeRedirect(at.host, 'It redirects to an address that is not HTTPS.')
      }
      next.username = ''
      next.password = ''
      at = next
    }
    throw strangeRedirect(url.host, `It redirects more than ${maxRedirects} times.`)
  }

  /** A host has answered a whole round of requests. */
  recover(host: string): void {
    this.#paceOf(host).recover()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()))
  }

  /** Send at the host's pace, and again after a 429 where the host says when. */
  async #patiently(url: URL, ask: Ask): Promise<Reply> {
    const { clock, log, timeoutMs, trace } = this.#options
    const pace = this.#paceOf(url.host)
    for (let repeats = 0; ; repeats++) {
      await pace.wait(ask.signal)
      const sentAtMs = clock.monotonicMs()
      const reply = await this.#send(url, ask)
      if (trace) {
        const { status } = reply
        log.write({
          component: 'registry',
          trace: `${ask.method ?? 'GET'} ${url.origin}${url.pathname}`,
          status,
        })
      }
      if (reply.status !== 429) return reply
      const pauseMs = readRetryAfter(reply.header('retry-after'), clock.now())
      pace.slowDown(sentAtMs, pauseMs ?? 0)
      if (pauseMs === undefined || pauseMs > timeoutMs || repeats === maxRepeats)
        throw pace.complaint(pauseMs)
    }
  }

  async #send(url: URL, { method, ifNoneMatch, accept, authorization, signal }: Ask): Promise<Reply> {
    const { timeoutMs, maxBodyBytes } = this.#options
    const headers = {
      'user-agent': 'fluxd',
      'accept-encoding': 'identity',
      ...(accept && { accept: accept.join(', ') }),
      ...(authorization && { authorization }),
      ...(ifNoneMatch && { 'if-none-match': ifNoneMatch }),
    }
    try {
      return await withinTime(timeoutMs, url.host, signal, async (limit) => {
        const {
          statusCode,
          headers: answered,
          body,
        } = await request(url, {
          method: method ?? 'GET',
          dispatcher: this.#agentFor(url),
          headers,
          signal: limit,
        })
        const header = (name: string) => {
          const value = answered[name]
          return Array.isArray(value) ? value.join(', ') : value
        }
        return { status: statusCode, header, body: await readBody(body, maxBodyBytes, url.host) }
      })
    } catch (error) {
      if (error instanceof FluxError || signal?.aborted) throw error
      throw new FluxError('REGISTRY_UNAVAILABLE', {
        what: `cannot reach the registry ${url.host}`,
        why: `${reasonOf(error)}.`,
        next: `Check that ${url.host} is reachable from here. Where its certificate is its own or it speaks plain HTTP, name it with --registry-insecure-host.`,
        cause: error,
      })
    }
  }

  #agentFor(url: URL): Dispatcher {
    const insecure = this.isInsecure(url.host)
    const proxy = proxyFor(url, this.#options.environment)
    const key = `${insecure} ${proxy ?? ''}`
    const tls = { rejectUnauthorized: !insecure }
    const agent =
      this.#agents.get(key) ??
      (proxy === undefined ? new Agent({ connect: tls }) : new ProxyAgent({ uri: proxy, requestTls: tls }))
    this.#agents.set(key, agent)
    return agent
  }

  #paceOf(host: string): HostPace {
    const { requestsPerSecond, burst, timeoutMs, clock, log } = this.#options
    const pace =
      this.#paces.get(host) ??
      new HostPace(host, { requestsPerSecond, burst, maxWaitMs: timeoutMs, clock, log })
    this.#paces.set(host, pace)
    return pace
  }
}

/** Run work that ends with the signal, or after a time. A timer and a listener live as long as the work. */
async function withinTime<T>(
  timeoutMs: number,
  host: string,
  signal: AbortSignal | undefined,
  work: (limit: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  const limit = new AbortController()
  const stop = () => limit.abort(signal?.reason)
  const timer = setTimeout(() => limit.abort(timedOut(host, timeoutMs)), timeoutMs)
  signal?.addEventListener('abort', stop, { once: true })
  try {
    return await work(limit.signal)
  } catch (error) {
    throw limit.signal.aborted ? limit.signal.reason : error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
}

async function readBody(body: AsyncIterable<Buffer>, maxBytes: number, host: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxBytes) {
      throw new FluxError('REGISTRY_TOO_LARGE', {
        what: `a reply of ${host} is larger than ${maxBytes} bytes`,
        next: `Look at what ${host} serves: lists, manifests and configurations of images are small.`,
      })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function timedOut(host: string, timeoutMs: number): FluxError {
  return new FluxError('REGISTRY_TIMEOUT', {
    what: `client timeout (${formatDuration(timeoutMs)}) exceeded`,
    why: `The registry ${host} did not answer in time.`,
    next: `Check that ${host} is reachable and not overloaded. It is tried again later.`,
  })
}

/** As Go prints durations: `1ms`, `1.5s`, `1m0s`. */
function formatDuration(ms: number): string {
  if (ms < 1000) return `${ms}ms`
  if (ms < 60_000) return `${ms / 1000}s`
  return `${Math.floor(ms / 60_000)}m${(ms % 60_000) / 1000}s`
}

function strangeRedirect(host: string, why: string): FluxError {
  return new FluxError('REGISTRY_INVALID', {
    what: `${host} redirects where it must not`,
    why,
    next: `Tell whoever runs ${host}.`,
  })
}

/** A word for what broke: a system's code such as `ECONNREFUSED`, else the message. */
function reasonOf(error: unknown): string {
  const { code, cause, message } = error as NodeJS.ErrnoException & { cause?: NodeJS.ErrnoException }
  return cause?.code ?? code ?? message
}
