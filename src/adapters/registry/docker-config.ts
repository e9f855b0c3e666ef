import { readFile } from 'node:fs/promises'
import { FluxError, messageOf } from '../../core/errors.ts'
import { isJsonObject, type JsonObject } from '../../core/json.ts'
import type { Log } from '../../ports/log.ts'
import type { Keychain, RegistryCredentials } from '../../ports/registry.ts'
import { runChild } from '../system/spawn.ts'
import { parseDockerConfig, parseRegistryHost } from './credentials.ts'

/**
 * A mounted Docker config, `--docker-config`: its `auths`, and what its helpers give. Helpers are programs
 * `docker-credential-…` on the `PATH`, the way cloud registries hand out passwords. Only this file may name programs: a
 * Secret of the cluster may not.
 *
 * @see https://github.com/docker/docker-credential-helpers
 */
export interface DockerConfigOptions {
  file: string
  /** for the helpers: cloud ones look for their own variables */
  environment: Readonly<Record<string, string | undefined>>
  log: Log
}

const helperForm = /^[a-z0-9][a-z0-9-]{0,63}$/
const timeoutMs = 10_000
const maxOutputBytes = 256 * 1024

/**
 * Read the file, and ask its helpers. One that fails gives no credentials, and is logged.
 *
 * @throws FluxError `REGISTRY_CREDENTIALS_INVALID` for a file that can't be read
 */
export async function readDockerConfig({ file, environment, log }: DockerConfigOptions): Promise<Keychain> {
  const config = await readConfig(file)
  const env = Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
  const ask = async (helper: string, action: 'get' | 'list', input: string): Promise<JsonObject> => {
    if (!helperForm.test(helper)) throw new Error(`${JSON.stringify(helper)} is no name of a helper`)
    const { stdout, exitCode, error } = await runChild({
      program: `docker-credential-${helper}`,
      args: [action],
      env,
      input,
      timeoutMs,
      maxOutputBytes,
    })
    if (error) throw new Error(`it cannot be started: ${messageOf(error)}`)
    if (exitCode !== 0) throw new Error(`it ended with ${exitCode ?? 'a signal'}`)
    const reply: unknown = JSON.parse(stdout.toString('utf8'))
    if (!isJsonObject(reply)) throw new Error('it answers no JSON object')
    return reply
  }

  const keychain = new Map<string, RegistryCredentials>()
  const add = async (helper: string, server: string) => {
    const host = parseRegistryHost(server)
    if (!host) return
    try {
      const { Username: user, Secret: password } = await ask(helper, 'get', server)
      // `<token>` stands for a refresh token, which is no password
      if (typeof user !== 'string' || typeof password !== 'string' || user === '<token>')
        throw new Error('it gives no user and password')
      keychain.set(host, { user, password, source: `docker-credential-${helper}` })
    } catch (thrown) {
      tell(log, helper, host, thrown)
    }
  }

  const store = config['credsStore']
  if (typeof store === 'string' && store !== '') {
    const servers = await ask(store, 'list', '').catch((thrown) => {
      tell(log, store, undefined, thrown)
      return {}
    })
    await Promise.all(Object.keys(servers).map((server) => add(store, server)))
  }
  const auths = isJsonObject(config['auths']) ? config['auths'] : {}
  // entries without `auth` are left to the store by Docker
  const plain = Object.fromEntries(
    Object.entries(auths).filter(([, entry]) => isJsonObject(entry) && entry['auth'] !== undefined),
  )
  for (const [host, credentials] of parseDockerConfig(JSON.stringify({ auths: plain }), file))
    keychain.set(host, credentials)
  const helpers = isJsonObject(config['credHelpers']) ? config['credHelpers'] : {}
  await Promise.all(
    Object.entries(helpers).map(([server, helper]) =>
      typeof helper === 'string' ? add(helper, server) : undefined,
    ),
  )
  return keychain
}

async function readConfig(file: string): Promise<JsonObject> {
  let why: string
  try {
    const config: unknown = JSON.parse(await readFile(file, 'utf8'))
    if (isJsonObject(config)) {
      const known = ['auths', 'credHelpers', 'credsStore']
      // the older form is the map of hosts itself
      return known.some((key) => key in config) ? config : { auths: config }
    }
    why = 'It is not a JSON object.'
  } catch (thrown) {
    // the parser's message quotes the text, which is secret
    why = thrown instanceof SyntaxError ? 'It is not JSON.' : `${messageOf(thrown)}.`
  }
  throw new FluxError('REGISTRY_CREDENTIALS_INVALID', {
    what: `cannot read the Docker config of ${file}`,
    why,
    next: 'Mount a config.json as `docker login` writes it, and name it with --docker-config.',
  })
}

/** What a helper prints may be secret: only how it ended is told. */
function tell(log: Log, helper: string, host: string | undefined, thrown: unknown): void {
  const err = thrown instanceof SyntaxError ? 'it answers no JSON' : messageOf(thrown)
  log.write({
    component: 'registry',
    warning: 'a credential helper gave nothing',
    helper: `docker-credential-${helper}`,
    host,
    err,
    code: 'REGISTRY_CREDENTIALS_INVALID',
  })
}
