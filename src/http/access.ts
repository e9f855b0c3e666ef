import { createHash, timingSafeEqual } from 'node:crypto'
import { basePath, paths } from '../api/paths.ts'
import { FluxError } from '../core/errors.ts'

/**
 * Who may use the API: `--api-auth`.
 *
 * `loopback`: connections that reach the process on a loopback address, which a port-forward and side-cars do, and
 * nobody else in the pod network. `token`: whoever sends it. `none`: whoever reaches the port, as in v1.
 */
export type ApiAuth = { mode: 'loopback' } | { mode: 'token'; token: string } | { mode: 'none' }

export interface Caller {
  method: string
  /** as it stands in the request line, without the query */
  path: string
  /** our own end of the connection */
  localAddress: string | undefined
  authorization: string | undefined
  /** the name that the client asks for, with its port */
  host: string | undefined
  origin: string | undefined
}

/** What the kubelet's probes and Prometheus need, open to all. */
const openPaths = new Set([basePath + paths.identity.path, basePath + paths.ping.path, '/metrics'])

/** Why a caller is turned away, or `undefined` where it is let in. */
export function checkAccess(auth: ApiAuth, caller: Caller): FluxError | undefined {
  if (auth.mode === 'none') return undefined
  if (caller.method === 'GET' && openPaths.has(caller.path)) return undefined

  if (auth.mode === 'token') {
    const sent = /^Scope-Probe token=(.+)$/.exec(caller.authorization ?? '')?.[1] ?? ''
    if (auth.token !== '' && equalSecrets(sent, auth.token)) return undefined
    return new FluxError('API_TOKEN_REFUSED', {
      what: 'request failed authentication',
      why: 'This fluxd runs with --api-auth=token, and the request carries no token or a wrong one.',
      next: 'Give fluxctl the URL and the token: --url and --token, or FLUX_URL and FLUX_SERVICE_TOKEN.',
    })
  }

  if (!isLoopback(caller.localAddress)) {
    return new FluxError('API_NOT_EXPOSED', {
      what: 'API not exposed to the network',
      why: 'This fluxd serves its API to connections on its own loopback address only.',
      next:
        'Run fluxctl without --url: it opens a port-forward. To serve the network as well, start fluxd with ' +
        '--api-auth=token.',
    })
  }
  if (caller.origin !== undefined || isPublicName(caller.host)) {
    return new FluxError('API_NOT_EXPOSED', {
      what: 'API not exposed to web pages',
      why:
        'The request comes from a page in a browser, or asks for a host name that a page could take for its own: any ' +
        'page could, while a port-forward is open.',
      next: 'Use fluxctl, or ask for localhost. To serve browsers, start fluxd with --api-auth=token.',
    })
  }
  return undefined
}

/** Whether an address is this machine's own. */
export function isLoopback(address = ''): boolean {
  const plain = address.toLowerCase().replace(/^::ffff:/, '')
  return plain === '::1' || plain.startsWith('127.')
}

/**
 * Whether a `Host` is a name that anybody could own. A page may make its own name stand for this machine, and a browser
 * then reads from us without an `Origin`; addresses and names without a dot can't be had that way.
 */
function isPublicName(host = ''): boolean {
  const name = host.replace(/:\d*$/, '')
  return /[^\d.]/.test(name) && name.includes('.') && !name.startsWith('[')
}

/** Compare in a time that tells nothing of either. */
function equalSecrets(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
