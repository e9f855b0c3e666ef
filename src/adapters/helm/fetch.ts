import { lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { Agent, ProxyAgent, request } from 'undici'
import { FluxError } from '../../core/errors.ts'
import { safeUrl } from '../../core/git/remote-url.ts'
import { type Environment, proxyFor } from '../registry/proxy.ts'

/**
 * Files over HTTP and HTTPS that somebody's manifest names: indexes and packages of charts, and values. Within bounds,
 * never from link-local addresses (where clouds keep their secrets), with credentials on their own origin only.
 */
export interface FetchOptions {
  /** the largest body that is read */
  maxBytes: number
  timeoutMs: number
  /** an ETag: the answer is 304 where it still holds */
  ifNoneMatch?: string
  credentials?: HttpCredentials
  signal?: AbortSignal | undefined
}

export interface HttpCredentials {
  username: string
  password: string
  /** PEM */
  ca?: string | undefined
  cert?: string | undefined
  key?: string | undefined
  /** also to other hosts that the index names */
  passOn?: boolean
}

export interface Fetched {
  status: 200 | 304
  body: Buffer
  etag: string | undefined
}

export interface Fetcher {
  /** @throws FluxError `CHART_UNAVAILABLE` | `CHART_MISSING` | `CHART_INVALID`; the signal's reason */
  get(url: URL, options: FetchOptions): Promise<Fetched>
}

const maxRedirects = 5

const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocal.addSubnet('fe80::', 10, 'ipv6')
// where one cloud answers over IPv6
linkLocal.addAddress('fd00:ec2::254', 'ipv6')

export function createFetcher(environment: Environment): Fetcher {
  return {
    async get(url, options) {
      let at = url
      for (let hops = 0; hops <= maxRedirects; hops++) {
        const mayTell = at.origin === url.origin || options.credentials?.passOn === true
        const reply = await ask(at, options, mayTell ? options.credentials : undefined, environment)
        if (typeof reply !== 'string') return reply
        const next = URL.canParse(reply, at.href) ? new URL(reply, at) : undefined
        const isDowngrade = at.protocol === 'https:' && next?.protocol === 'http:'
        if (!next || isDowngrade) {
          throw unavailable(at, 'It redirects to an address that is not HTTPS.')
        }
        next.username = ''
        next.password = ''
        at = next
      }
      throw unavailable(url, `It redirects more than ${maxRedirects} times.`)
    },
  }
}

/** One request. @returns the reply, or where it redirects to */
async function ask(
  url: URL,
  { maxBytes, timeoutMs, ifNoneMatch, signal }: FetchOptions,
  credentials: HttpCredentials | undefined,
  environment: Environment,
): Promise<Fetched | string> {
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new FluxError('CHART_INVALID', {
      what: `URL scheme should be HTTP(S), got '${url.protocol.replace(':', '')}'`,
    })
  }
  checkAddress(url, url.hostname.replace(/^\[|\]$/g, ''))
  const proxy = proxyFor(url, environment)
  const tls = { ca: credentials?.ca, cert: credentials?.cert, key: credentials?.key }
  // a proxy looks names up by itself
  const agent = proxy
    ? new ProxyAgent({ uri: proxy, requestTls: tls })
    : new Agent({ connect: { ...tls, lookup: guardedLookup } })
  const user = credentials?.username ? credentials : userOf(url)
  const headers: Record<string, string> = { 'user-agent': 'helm-operator', accept: '*/*' }
  if (user)
    headers['authorization'] = `Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}`
  if (ifNoneMatch !== undefined) headers['if-none-match'] = ifNoneMatch
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    const bare = new URL(url)
    bare.username = ''
    bare.password = ''
    const reply = await request(bare, {
      dispatcher: agent,
      headers,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    })
    const { statusCode, headers: answered } = reply
    const location = answered['location']
    if (statusCode >= 300 && statusCode < 400 && statusCode !== 304 && typeof location === 'string') {
      await reply.body.dump()
      return location
    }
    if (statusCode !== 200 && !(statusCode === 304 && ifNoneMatch !== undefined)) {
      await reply.body.dump()
      throw refusal(url, statusCode, user !== undefined)
    }
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of reply.body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxBytes) {
        throw new FluxError('CHART_INVALID', {
          what: `${safeUrl(url.href)} is larger than ${Math.round(maxBytes / 1024 / 1024)} MiB`,
        })
      }
      chunks.push(chunk)
    }
    const etag = answered['etag']
    return {
      status: statusCode === 304 ? 304 : 200,
      body: Buffer.concat(chunks),
      etag: typeof etag === 'string' ? etag : undefined,
    }
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof FluxError) throw error
    throw timeout.aborted
      ? unavailable(url, `It takes longer than ${timeoutMs / 1000} s.`, error)
      : unavailable(url, `${error instanceof Error ? error.message : error}.`, error)
  } finally {
    await agent.destroy()
  }
}

function userOf({ username, password }: URL): { username: string; password: string } | undefined {
  return username === ''
    ? undefined
    : { username: decodeURIComponent(username), password: decodeURIComponent(password) }
}

/** Looks a name up, and refuses what it stands for. */
const guardedLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    const [first] = addresses ?? []
    if (error || !first) return callback(error, [])
    const wrong = addresses.find(({ address }) => isLinkLocal(address))
    if (wrong) return callback(new Error(`${hostname} is a link-local address`), [])
    return options.all ? callback(null, addresses) : callback(null, first.address, first.family)
  })
}

function isLinkLocal(address: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped) return linkLocal.check(mapped, 'ipv4')
  const version = isIP(address)
  return version !== 0 && linkLocal.check(address, version === 4 ? 'ipv4' : 'ipv6')
}

function checkAddress(url: URL, host: string): void {
  if (!isLinkLocal(host)) return
  throw new FluxError('CHART_INVALID', {
    what: `${safeUrl(url.href)} is at a link-local address`,
    why: 'Machines keep secrets of their own there.',
    next: 'Keep charts and values at an address that is meant for them.',
  })
}

function refusal(url: URL, status: number, hasCredentials: boolean): FluxError {
  const what = `${safeUrl(url.href)} answered ${status}`
  if (status === 401 || status === 403) {
    return new FluxError('CHART_DENIED', {
      what,
      why: hasCredentials ? 'The credentials are not accepted.' : 'No credentials are given.',
      next: 'Name a Secret with username and password in spec.chart.chartPullSecret.',
    })
  }
  if (status === 404 || status === 410) return new FluxError('CHART_MISSING', { what })
  return unavailable(url, `It answered ${status}.`)
}

function unavailable(url: URL, why: string, cause?: unknown): FluxError {
  return new FluxError('CHART_UNAVAILABLE', {
    what: `${safeUrl(url.href)} can't be fetched`,
    why,
    next: 'It is tried again later.',
    cause,
  })
}
