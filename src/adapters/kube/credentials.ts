import { readFile } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { FluxError, messageOf } from '../../core/errors.ts'
import { isJsonObject, type JsonValue } from '../../core/json.ts'
import { invalidKubeconfig, type KubeconfigEntry, pathIn, textIn } from './kubeconfig.ts'

/** What one request carries to say who asks. */
export interface Credential {
  /** `authorization`, and `impersonate-…` where the kubeconfig says so; lower case */
  headers: Readonly<Record<string, string | string[]>>
  /** client certificate and key, PEM */
  cert?: string
  key?: string
}

/**
 * Gives the credential of the moment. What expires is kept until shortly before, or until `renew` says that the
 * server refused it.
 */
export type CredentialSource = (renew?: boolean) => Promise<Credential>

const tokenFileLifeMs = 60_000

/** A token in a file that somebody else replaces from time to time, as the kubelet does. */
export function tokenFileCredential(file: string): CredentialSource {
  return keepWhileFresh(async () => {
    const token = (await readSecretFile(file)).trim()
    return {
      credential: { headers: { authorization: `Bearer ${token}` } },
      expiresAt: Date.now() + tokenFileLifeMs,
    }
  })
}

/** The credential of a kubeconfig's user. @throws FluxError `KUBECONFIG_INVALID` */
export async function userCredential(name: string, user: KubeconfigEntry): Promise<CredentialSource> {
  const cert = await inlineOrFile(user, 'client-certificate')
  const key = await inlineOrFile(user, 'client-key')
  const fixed: Credential = { headers: impersonation(user), ...(cert && { cert }), ...(key && { key }) }
  const also = (source: CredentialSource): CredentialSource => {
    return async (renew) => {
      const credential = await source(renew)
      return { ...fixed, ...credential, headers: { ...fixed.headers, ...credential.headers } }
    }
  }
  const always = (authorization: string): CredentialSource => {
    return also(async () => ({ headers: { authorization } }))
  }

  const tokenFile = pathIn(user, 'tokenFile')
  if (tokenFile !== undefined) return also(tokenFileCredential(tokenFile))
  const token = textIn(user.value, 'token')
  if (token !== undefined) return always(`Bearer ${token}`)
  const username = textIn(user.value, 'username')
  if (username !== undefined) {
    const password = textIn(user.value, 'password') ?? ''
    return always(`Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`)
  }
  if (isJsonObject(user.value['exec'])) return also(execCredential(name, user))
  if (isJsonObject(user.value['auth-provider'])) return also(authProviderCredential(name, user))
  return async () => fixed
}

/** What a mapping gives as `<key>-data` in base64, or in the file `<key>`; as text. */
export async function inlineOrFile(entry: KubeconfigEntry, key: string): Promise<string | undefined> {
  const inline = textIn(entry.value, `${key}-data`)
  if (inline !== undefined) return Buffer.from(inline, 'base64').toString('utf8')
  const file = pathIn(entry, key)
  return file === undefined ? undefined : await readSecretFile(file)
}

function impersonation({ value }: KubeconfigEntry): Record<string, string | string[]> {
  const user = textIn(value, 'as')
  const uid = textIn(value, 'as-uid')
  const groups = Array.isArray(value['as-groups']) ? value['as-groups'].map(String) : []
  return {
    ...(user !== undefined && { 'impersonate-user': user }),
    ...(uid !== undefined && { 'impersonate-uid': uid }),
    ...(groups.length > 0 && { 'impersonate-group': groups }),
  }
}

interface Fetched {
  credential: Credential
  /** milliseconds since the epoch; absent: until it is refused */
  expiresAt?: number
}

/** Keep what `fetch` gave until it expires; callers that come meanwhile share one fetch. */
function keepWhileFresh(fetch: () => Promise<Fetched>): CredentialSource {
  let kept: Promise<Fetched> | undefined
  return async (renew = false) => {
    const before = kept
    if (before !== undefined && !renew) {
      const { credential, expiresAt = Number.POSITIVE_INFINITY } = await before
      if (Date.now() < expiresAt) return credential
    }
    if (kept === before) {
      const fetching = fetch()
      kept = fetching
      fetching.catch(() => {
        if (kept === fetching) kept = undefined
      })
    }
    return (await (kept ?? fetch())).credential
  }
}

const execTimeLimitMs = 60_000
const renewBeforeExpiryMs = 10_000

/**
 * A program that prints an `ExecCredential`.
 *
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 */
function execCredential(user: string, { value, folder }: KubeconfigEntry): CredentialSource {
  const exec = value['exec']
  const command = textIn(exec, 'command') ?? ''
  const apiVersion = textIn(exec, 'apiVersion') ?? 'client.authentication.k8s.io/v1'
  const args = isJsonObject(exec) && Array.isArray(exec['args']) ? exec['args'].map(String) : []
  const given = isJsonObject(exec) && Array.isArray(exec['env']) ? exec['env'] : []
  const variables = given.map((item): [string, string] => [
    textIn(item, 'name') ?? '',
    textIn(item, 'value') ?? '',
  ])
  const interactive = textIn(exec, 'interactiveMode') !== 'Never' && process.stdin.isTTY === true
  const file = command.includes('/') && !isAbsolute(command) ? resolve(folder, command) : command

  return keepWhileFresh(async () => {
    const { spawn } = await import('node:child_process')
    const output = await new Promise<string>((resolve, reject) => {
      const child = spawn(file, args, {
        stdio: [interactive ? 'inherit' : 'ignore', 'pipe', 'inherit'],
        timeout: execTimeLimitMs,
        env: {
          ...process.env,
          ...Object.fromEntries(variables),
          KUBERNETES_EXEC_INFO: JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { interactive } }),
        },
      })
      let text = ''
      child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      child.on('error', reject)
      child.on('close', (status, signal) => {
        if (status === 0) resolve(text)
        else reject(new Error(signal ? `ended by ${signal}` : `exit status ${status}`))
      })
    }).catch((error: unknown) => {
      throw new FluxError('CLUSTER_DENIED', {
        what: `getting credentials: exec: ${command}: ${messageOf(error)}`,
        why: `The user "${user}" of the kubeconfig gets its credential from this program, which failed.`,
        next: textIn(exec, 'installHint') ?? `Run ${command} by hand to see what it wants.`,
        cause: error,
      })
    })
    return readExecCredential(command, output)
  })
}

function readExecCredential(command: string, output: string): Fetched {
  let parsed: JsonValue
  try {
    parsed = JSON.parse(output) as JsonValue
  } catch {
    parsed = null
  }
  const status = isJsonObject(parsed) ? parsed['status'] : undefined
  const token = textIn(status, 'token')
  const cert = textIn(status, 'clientCertificateData')
  const key = textIn(status, 'clientKeyData')
  if (token === undefined && (cert === undefined || key === undefined)) {
    throw new FluxError('CLUSTER_DENIED', {
      what: `getting credentials: exec: ${command}: printed neither a token nor a certificate with its key`,
      next: `Run ${command} by hand; it should print an ExecCredential with a status.`,
    })
  }
  const expiry = Date.parse(textIn(status, 'expirationTimestamp') ?? '')
  return {
    credential: {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(cert && key && { cert, key }),
    },
    ...(Number.isFinite(expiry) && { expiresAt: expiry - renewBeforeExpiryMs }),
  }
}

/** The old providers built into clients (`oidc` is the one that is left): client-node knows them. */
function authProviderCredential(name: string, user: KubeconfigEntry): CredentialSource {
  return async () => {
    const { KubeConfig } = await import('@kubernetes/client-node')
    const config = new KubeConfig()
    config.loadFromString(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'one',
        clusters: [{ name: 'one', cluster: { server: 'https://localhost' } }],
        users: [{ name, user: user.value }],
        contexts: [{ name: 'one', context: { cluster: 'one', user: name } }],
      }),
    )
    const options: { headers?: Record<string, string> } = { headers: {} }
    await config.applyToHTTPSOptions(options).catch((error: unknown) => {
      throw new FluxError('CLUSTER_DENIED', {
        what: `getting credentials: ${messageOf(error)}`,
        why: `The user "${name}" of the kubeconfig uses an auth-provider.`,
        next: 'Sign in again, or replace the auth-provider by an exec plugin.',
        cause: error,
      })
    })
    const authorization = options.headers?.['Authorization']
    return { headers: authorization === undefined ? {} : { authorization } }
  }
}

async function readSecretFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw invalidKubeconfig(messageOf(error), {
      next: `Make ${file} readable for the user that runs this program.`,
      cause: error,
    })
  }
}
