import { messageOf } from '../core/errors.ts'
import { canonicalName, type ImageRef } from '../core/image/ref.ts'
import { type JsonObject, valueAt } from '../core/json.ts'
import type { Cluster } from '../ports/cluster.ts'
import type { Log } from '../ports/log.ts'
import type { Keychain } from '../ports/registry.ts'
import type { ClusterView, LiveWorkload } from './cluster-view.ts'
import type { WantedImage } from './images.ts'

/**
 * Credentials for registries, from the pull secrets of what runs (`spec/flux-v1/automation.md` §7). An image is asked for
 * with the secrets of the workloads that run it, and with nobody else's.
 */
export interface Keychains {
  /** These images; without any, every image that runs. Each Secret is read once. */
  unlock(images?: readonly ImageRef[]): Promise<WantedImage[]>
}

export interface KeychainsOptions {
  cluster: Cluster
  view: ClusterView
  /** reads a Docker configuration; a bad entry throws */
  parse(text: string, source: string): Keychain
  /** from `--docker-config`, read anew each time */
  defaults(): Promise<Keychain>
  log: Log
}

/** More service accounts, or namespaces, than this are listed. */
const manyAccounts = 10

export function createKeychains({ cluster, view, parse, defaults, log }: KeychainsOptions): Keychains {
  const merge = (chains: readonly Keychain[]): Keychain => new Map(chains.flatMap((chain) => [...chain]))

  const read = async (kind: string, namespace: string, name: string) => {
    const type = (await cluster.discover()).find('v1', kind)
    return type ? cluster.get({ type, namespace, name }) : undefined
  }

  const readSecret = async (namespace: string, name: string): Promise<Keychain> => {
    const source = `${namespace}:secret/${name}`
    try {
      const secret = await read('Secret', namespace, name)
      const kind = valueAt(secret, 'type')
      if (kind !== 'kubernetes.io/dockerconfigjson' && kind !== 'kubernetes.io/dockercfg') {
        if (secret) log.write({ component: 'registry', secret: source, skip: 'unknown type' })
        return new Map()
      }
      const key = kind === 'kubernetes.io/dockercfg' ? '.dockercfg' : '.dockerconfigjson'
      const text = valueAt(secret, 'data', key)
      return typeof text === 'string' ? parse(decodeBase64(text), source) : new Map()
    } catch (thrown) {
      log.write({ component: 'registry', secret: source, err: messageOf(thrown) })
      return new Map()
    }
  }

  /** Pull secrets of service accounts, by `namespace/name`. Many are listed, for each by itself would be a request. */
  const readAccounts = async (
    wanted: ReadonlyMap<string, LiveWorkload['pull']>,
  ): Promise<Map<string, string[]>> => {
    const found = new Map<string, string[]>()
    const namespaces = new Set([...wanted.values()].map(({ namespace }) => namespace))
    if (wanted.size > manyAccounts) {
      const scopes =
        namespaces.size > manyAccounts ? [{}] : [...namespaces].map((namespace) => ({ namespace }))
      try {
        const type = (await cluster.discover()).find('v1', 'ServiceAccount')
        for (const scope of type ? scopes : []) {
          for (const account of type ? (await cluster.list(type, scope)).items : []) {
            const metadata = account['metadata']
            const key = `${String(valueAt(metadata, 'namespace'))}/${String(valueAt(metadata, 'name'))}`
            if (wanted.has(key)) found.set(key, pullSecretsOf(account))
          }
        }
        return found
      } catch {
        // where rights are for single ones, or none at all, each is asked for
      }
    }
    const readOne = async ([key, { namespace, serviceAccount }]: [string, LiveWorkload['pull']]) => {
      const account = await read('ServiceAccount', namespace, serviceAccount).catch(() => undefined)
      found.set(key, pullSecretsOf(account))
    }
    await Promise.all([...wanted].map(readOne))
    return found
  }

  return {
    async unlock(images) {
      const users = new Map<string, { image: ImageRef; workloads: LiveWorkload[] }>()
      for (const image of images ?? []) users.set(canonicalName(image), { image, workloads: [] })
      for (const workload of view.workloads().values()) {
        for (const { image } of workload.workload.containers) {
          if (!image) continue
          const name = canonicalName(image)
          if (!users.has(name) && !images) users.set(name, { image, workloads: [] })
          users.get(name)?.workloads.push(workload)
        }
      }

      const once = new Map<string, Promise<Keychain>>()
      const secret = (namespace: string, name: string): Promise<Keychain> => {
        const key = `${namespace}/${name}`
        const known = once.get(key) ?? readSecret(namespace, name)
        once.set(key, known)
        return known
      }
      const pulls = [...users.values()].flatMap(({ workloads }) => workloads.map(({ pull }) => pull))
      const accounts = await readAccounts(new Map(pulls.map((pull) => [accountOf(pull), pull])))
      const base = await defaults()
      return Promise.all(
        [...users.values()].map(async ({ image, workloads }) => {
          const chains = workloads.map(async (workload) => {
            const names = [...(accounts.get(accountOf(workload.pull)) ?? []), ...workload.pull.secrets]
            return Promise.all(names.map((name) => secret(workload.pull.namespace, name)))
          })
          return { image, keychain: merge([base, ...(await Promise.all(chains)).flat()]) }
        }),
      )
    },
  }
}

function accountOf({ namespace, serviceAccount }: LiveWorkload['pull']): string {
  return `${namespace}/${serviceAccount}`
}

function pullSecretsOf(account: JsonObject | undefined): string[] {
  const secrets = account?.['imagePullSecrets']
  return (Array.isArray(secrets) ? secrets : [])
    .map((secret) => valueAt(secret, 'name'))
    .filter((name) => typeof name === 'string')
}

function decodeBase64(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)))
}
