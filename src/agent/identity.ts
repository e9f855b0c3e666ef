import type { PublicKey } from '../api/values.ts'
import { FluxError } from '../core/errors.ts'
import { type JsonObject, valueAt } from '../core/json.ts'
import type { Cluster, ObjectKey } from '../ports/cluster.ts'
import type { Log } from '../ports/log.ts'
import type { Ssh, SshKey, SshKeyRequest } from '../ports/ssh.ts'

/** The key pair that fluxd presents to Git. */
export interface Identity {
  publicKey(): Promise<PublicKey>
  /**
   * Make a new pair; the old one stops working.
   *
   * @throws FluxError `SECRET_MISSING` | `CLUSTER_FORBIDDEN` | `CLUSTER_UNREACHABLE`
   */
  regenerate(): Promise<void>
}

/** Without a key of our own: the repository is reached over HTTP, or by the ssh program's own keys. */
export const noIdentity: Identity = {
  publicKey: async () => ({ key: '' }),
  // v1 answers a request for a new key in this case with the empty one, and so do we
  regenerate: async () => {},
}

export interface KeyRingOptions {
  ssh: Ssh
  cluster: Cluster
  secret: { namespace: string; name: string; dataKey: string }
  /** where a mounted key may be, the first one that is there counts */
  files: readonly string[]
  newKey: Omit<SshKeyRequest, 'comment'>
  log: Log
}

/** On the own Secret: the fingerprint of the key that `regenerate` replaced. A mounted copy of it is out of date. */
const replacedAnnotation = 'fluxcd.io/ssh-key-replaced'
/** The entries that v1 writes, whatever `--k8s-secret-data-key` says. */
const privateEntry = 'identity'
const publicEntry = 'identity.pub'
const attempts = 3

/**
 * Find fluxd's key: in a mounted file, else in its own Secret; else make one, and keep it in the Secret.
 *
 * Follows `spec/flux-v1/daemon.md` §2, "SSH key ring". A file that the kubelet has not updated since the key was
 * replaced does not bring the old key back.
 *
 * @throws FluxError `SECRET_MISSING` | `SSH_FILE_UNREADABLE` | `SSH_KEY_INVALID` | those of `Cluster.get` and `patch`
 */
export async function openKeyRing(options: KeyRingOptions, signal?: AbortSignal): Promise<Identity> {
  const { ssh, cluster, secret, log } = options
  const name = `${secret.namespace}:secret/${secret.name}`

  const use = async (key: SshKey, source: string): Promise<SshKey> => {
    await ssh.useKey(key)
    log.write({ component: 'cluster', identity: source })
    log.write({ component: 'cluster', 'identity.pub': key.publicKey.trim() })
    return key
  }

  const makeAndStore = async (live: JsonObject, replaced?: SshKey): Promise<SshKey> => {
    const key = await ssh.makeKey({ ...options.newKey, comment: `fluxd@${secret.namespace}` })
    const base64 = (text: string) => Buffer.from(text).toString('base64')
    const entries = [...new Set([secret.dataKey, privateEntry])]
    await cluster.patch(
      await secretKey(),
      {
        metadata: {
          // nobody else made one meanwhile
          resourceVersion: valueAt(live, 'metadata', 'resourceVersion') ?? null,
          ...(replaced && { annotations: { [replacedAnnotation]: replaced.sha256.hash } }),
        },
        data: {
          ...Object.fromEntries(entries.map((entry) => [entry, base64(key.privateKey)])),
          [publicEntry]: base64(key.publicKey),
        },
      },
      signal,
    )
    return key
  }

  const secretKey = async (): Promise<ObjectKey> => {
    const type = (await cluster.discover(signal)).find('v1', 'Secret')
    if (!type) throw new FluxError('CLUSTER_UNAVAILABLE', { what: 'the API server serves no Secrets' })
    return { type, namespace: secret.namespace, name: secret.name }
  }

  const readSecret = async () => cluster.get(await secretKey(), signal)

  /** The Secret, which has to be there. */
  const liveSecret = async (): Promise<JsonObject> => {
    const live = await readSecret()
    if (live) return live
    throw new FluxError('SECRET_MISSING', {
      what: `secrets "${secret.name}" not found`,
      why: `fluxd keeps its SSH key in the Secret ${secret.name} of namespace ${secret.namespace}. It must be there, and may be empty.`,
      next: `kubectl --namespace=${secret.namespace} create secret generic ${secret.name}`,
    })
  }

  const keyIn = (live: JsonObject): SshKey | undefined => {
    const text = [secret.dataKey, privateEntry]
      .map((entry) => valueAt(live, 'data', entry))
      .find((value) => typeof value === 'string' && value !== '')
    return typeof text === 'string'
      ? ssh.readKey(Buffer.from(text, 'base64').toString('utf8'), name)
      : undefined
  }

  /** Repeat while somebody else changes the Secret at the same moment. */
  const again = async <T>(work: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (thrown) {
        const raced = thrown instanceof FluxError && thrown.code === 'APPLY_CONFLICT'
        if (!raced || attempt === attempts) throw thrown
      }
    }
  }

  const find = async (): Promise<SshKey> => {
    for (const file of options.files) {
      const key = await ssh.readKeyFile(file)
      if (key && !(await isReplaced(key))) return use(key, file)
    }
    const key = await again(async () => {
      const live = await liveSecret()
      return keyIn(live) ?? makeAndStore(live)
    })
    return use(key, name)
  }

  const isReplaced = async (key: SshKey): Promise<boolean> => {
    // a key that is mounted is enough: the Secret need not be there, and we need no right to read it
    const live = await readSecret().catch(() => undefined)
    return (
      live !== undefined && valueAt(live, 'metadata', 'annotations', replacedAnnotation) === key.sha256.hash
    )
  }

  let current = await find()
  let regenerating: Promise<unknown> = Promise.resolve()

  return {
    publicKey: async () => ({ key: current.publicKey, md5: current.md5, sha256: current.sha256 }),
    regenerate() {
      const mine = regenerating.then(async () => {
        const key = await again(async () => makeAndStore(await liveSecret(), current))
        current = await use(key, name)
      })
      regenerating = mine.catch(() => {})
      return mine
    },
  }
}
