/**
 * Addresses of Git repositories: how they are shown, and when two of them mean the same repository.
 *
 * Follows `spec/flux-v1/sync.md` §6: the safe URL is part of the garbage collection mark, so its text is an
 * interface. Three ways of writing are known: a URL with a scheme, `[user@]host:path` as ssh and scp take it, and a
 * path on this machine.
 */

/** A repository's address taken apart, as written: nothing is decoded or lower-cased. */
export interface RemoteUrl {
  /** such as `https`; `ssh` for `host:path`, `file` for a path */
  scheme: string
  user: string | undefined
  password: string | undefined
  /** with the port */
  host: string
  /** begins with `/`, except for a relative path on this machine */
  path: string
}

const urlForm = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is
const scpForm = /^(?:([\w.+-]+)@)?([\w.-]+):(.*)$/s
/** What people write who take the scp form for a URL. To git the user would be a host, and the password a path. */
const scpWithPassword = /^([\w.+-]+):([^/]*)@([\w.-]+):(.*)$/s

/** Take an address apart, or `undefined` where it has a scheme but is no URL. */
export function readRemoteUrl(text: string): RemoteUrl | undefined {
  const url = urlForm.exec(text)
  if (url) {
    const [, scheme = '', authority = '', path = ''] = url
    const at = authority.lastIndexOf('@')
    const userInfo = at < 0 ? undefined : authority.slice(0, at)
    const host = authority.slice(at + 1)
    if (/[\s\x00-\x1f\x7f]/.test(authority + path) || !isHost(host)) return undefined
    const colon = userInfo?.indexOf(':') ?? -1
    return {
      scheme: scheme.toLowerCase(),
      user: colon < 0 ? userInfo : userInfo?.slice(0, colon),
      password: colon < 0 ? undefined : userInfo?.slice(colon + 1),
      host,
      path,
    }
  }
  const withPassword = scpWithPassword.exec(text)
  if (withPassword) {
    const [, user, password, host = '', path = ''] = withPassword
    return { scheme: 'ssh', user, password, host, path: rooted(path) }
  }
  const scp = scpForm.exec(text)
  if (scp) {
    const [, user, host = '', path = ''] = scp
    return { scheme: 'ssh', user, password: undefined, host, path: rooted(path) }
  }
  if (/[\x00-\x1f\x7f]/.test(text) || text.startsWith(':')) return undefined
  return { scheme: 'file', user: undefined, password: undefined, host: '', path: text }
}

/** The address without its password, for hashes, logs and the API; `ssh://` for `host:path`, `file://` for a path. */
export function safeUrl(text: string): string {
  if (text === '') return 'file:'
  const url = readRemoteUrl(text)
  if (!url) return `<unparseable: ${text.replace(/:\/\/.*@/s, '://')}>`
  const user = url.user === undefined ? '' : `${url.user}@`
  const path = urlForm.test(text) ? escapePath(url.path, "%?#!*'()[]") : escapePath(url.path)
  return `${url.scheme}://${user}${url.host}${path}`
}

/** Whether two addresses mean the same repository: equal host and path, whatever the scheme and user. */
export function equivalentUrls(a: string, b: string): boolean {
  const [x, y] = [readRemoteUrl(a), readRemoteUrl(b)]
  if (!x || !y) return a === b
  return x.host === y.host && repositoryPath(x.path) === repositoryPath(y.path)
}

/** Whether the repository is reached over HTTP or HTTPS, where no SSH key is needed. */
export function isHttpUrl(text: string): boolean {
  const scheme = readRemoteUrl(text)?.scheme
  return scheme === 'http' || scheme === 'https'
}

/** Whether the repository is reached over SSH: `ssh://`, `git+ssh://`, `host:path`. */
export function isSshUrl(text: string): boolean {
  return /ssh/.test(readRemoteUrl(text)?.scheme ?? '')
}

/** Drop the user and password of every URL with a scheme in a text; the user of an `ssh://` URL stays. */
export function withoutUserInfo(text: string): string {
  if (!text.includes('://')) return text
  return text.replace(
    /\b([a-z][a-z0-9+.-]{0,30}):\/\/([^\s/?#'"<>]{0,4096})@/gi,
    (_, scheme: string, userInfo: string) => {
      const user = /ssh$/i.test(scheme) ? `${userInfo.split(':')[0]}@` : ''
      return `${scheme}://${user}`
    },
  )
}

/** Percent-encode what Go's `net/url` encodes in a path, except what `keep` names. */
function escapePath(path: string, keep = ''): string {
  return path.replace(/[^\w\-.~$&+,/:;=@]+/g, (odd) =>
    [...odd].map((char) => (keep.includes(char) ? char : percentEncode(char))).join(''),
  )
}

function percentEncode(char: string): string {
  return Array.from(
    new TextEncoder().encode(char),
    (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  ).join('')
}

function rooted(path: string): string {
  return path.startsWith('/') ? path : `/${path}`
}

function repositoryPath(path: string): string {
  return path.replace(/^\//, '').replace(/\.git$/, '')
}

function isHost(host: string): boolean {
  return /^(\[[0-9a-f:.%]+\]|[^\s[\]:@]*)(:[0-9]*)?$/i.test(host)
}
