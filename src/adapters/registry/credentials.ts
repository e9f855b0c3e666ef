import { FluxError } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Keychain, RegistryCredentials } from '../../ports/registry.ts'

/**
 * Docker's own files of credentials, as they stand in Secrets (`.dockerconfigjson`, `.dockercfg`) and on disk.
 *
 * Only `auth` counts; `username` and `password` beside it are ignored, as in v1. One bad entry rejects the whole
 * file. Follows `spec/flux-v1/automation.md` §7. Nothing of the file but names of hosts reaches a message.
 */

const keyForm =
  /^(?:[a-zA-Z][a-zA-Z0-9+.-]*:\/\/)?(?:[^/?#@]*@)?((?:[a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]+)?)(?:[/?#].*)?$/
const dockerHubNames = ['docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']

/**
 * Read a Docker config.
 *
 * @param source where it comes from, such as `demo:secret/pull`, for messages
 * @throws FluxError `REGISTRY_CREDENTIALS_INVALID`
 */
export function parseDockerConfig(text: string, source: string): Keychain {
  const config = parseJson(text)
  if (!isJsonObject(config)) throw invalid(source, 'It is not a JSON object.')
  const entries = isJsonObject(config['auths']) ? config['auths'] : config
  const keychain = new Map<string, RegistryCredentials>()
  for (const [key, entry] of Object.entries(entries)) {
    const host = parseRegistryHost(key)
    if (!host) throw invalid(source, `The key ${JSON.stringify(safeKey(key))} names no registry host.`)
    const auth = isJsonObject(entry) ? entry['auth'] : undefined
    const [user, ...password] = decode(typeof auth === 'string' ? auth : '').split(':')
    if (user === undefined || password.length === 0) {
      throw invalid(source, `"auth" of ${host} is not user:password in base64.`)
    }
    keychain.set(host, { user, password: password.join(':'), source })
  }
  return keychain
}

/** Several keychains as one; a later one overrides an earlier, host by host. */
export function mergeKeychains(...keychains: readonly Keychain[]): Keychain {
  return new Map(keychains.flatMap((keychain) => [...keychain]))
}

/** The host (with port) that a key of a Docker config names, as a keychain knows it; `undefined` for none. */
export function parseRegistryHost(key: string): string | undefined {
  const host = keyForm.exec(key)?.[1]?.toLowerCase()
  return host !== undefined && dockerHubNames.includes(host) ? 'index.docker.io' : host
}

/** How credentials may be shown. */
export function describeCredentials(host: string, credentials: RegistryCredentials | undefined): string {
  if (!credentials) return '<zero creds>'
  return `<registry creds for ${credentials.user}@${host}, from ${credentials.source}>`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // the parser's message quotes the text, which is secret
    return undefined
  }
}

function decode(base64: string): string {
  return /^[A-Za-z0-9+/]*={0,2}$/.test(base64) ? Buffer.from(base64, 'base64').toString('utf8') : ''
}

/** A key may be a URL with a password of its own. */
function safeKey(key: string): string {
  return key.replace(/\/\/.*@/, '//').slice(0, 100)
}

function invalid(source: string, why: string): FluxError {
  return new FluxError('REGISTRY_CREDENTIALS_INVALID', {
    what: `cannot read the Docker config of ${source}`,
    why,
    next: 'Make it anew with `kubectl create secret docker-registry`.',
  })
}
