import { messageOf } from '../core/errors.ts'
import { canonicalName, type ImageRef } from '../core/image/ref.ts'
import { isJsonObject, valueAt } from '../core/json.ts'
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

  const readAccountSecrets = async (namespace: string, name: string): Promise<string[]> => {
    const account = await read('ServiceAccount', namespace, name).catch(() => undefined)
    const secrets = isJsonObject(account) ? account['imagePullSecrets'] : undefined
    return (Array.isArray(secrets) ? secrets : [])
      .map((secret) => valueAt(secret, 'name'))
      .filter((secret) => typeof secret === 'string')
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
      const accounts = new Map<string, Promise<string[]>>()
      const accountSecrets = ({ pull }: LiveWorkload): Promise<string[]> => {
        const key = `${pull.namespace}/${pull.serviceAccount}`
        const known = accounts.get(key) ?? readAccountSecrets(pull.namespace, pull.serviceAccount)
        accounts.set(key, known)
        return known
      }
      const base = await defaults()
      return Promise.all(
        [...users.values()].map(async ({ image, workloads }) => {
          const chains = workloads.map(async (workload) => {
            const names = [...(await accountSecrets(workload)), ...workload.pull.secrets]
            return Promise.all(names.map((name) => secret(workload.pull.namespace, name)))
          })
          return { image, keychain: merge([base, ...(await Promise.all(chains)).flat()]) }
        }),
      )
    },
  }
}

function decodeBase64(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)))
}
