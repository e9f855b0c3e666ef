import { FluxError } from '../core/errors.ts'
import { valueAt } from '../core/json.ts'
import type { Cluster, ObjectKey } from '../ports/cluster.ts'
import type { Identity, Revision } from '../ports/git.ts'
import type { Repository } from './repository.ts'

/** The last revision that was synced, kept where it survives us (`spec/flux-v1/sync.md` §3). */
export interface SyncMarker {
  /** for logs: `tag flux-sync` or `kubernetes flux:secret/flux-git-deploy` */
  readonly name: string
  /** `undefined`: never synced */
  read(signal?: AbortSignal): Promise<Revision | undefined>
  move(revision: Revision, signal?: AbortSignal): Promise<void>
}

/** A tag in the repository: `--sync-state=git`. */
export function tagMarker(repository: Repository, tag: string, tagger: Identity): SyncMarker {
  return {
    name: `tag ${tag}`,
    read: () => repository.ready().readTag(tag),
    move: (revision, signal) =>
      repository.ready().moveTag(tag, revision, { message: 'Sync pointer', tagger }, signal),
  }
}

const annotation = 'flux.weave.works/sync-hwm'

/** An annotation of the own Secret: `--sync-state=secret`. */
export function secretMarker(cluster: Cluster, namespace: string, name: string): SyncMarker {
  const find = async (signal?: AbortSignal): Promise<ObjectKey> => {
    const type = (await cluster.discover(signal)).find('v1', 'Secret')
    if (!type) throw new FluxError('CLUSTER_UNAVAILABLE', { what: 'the API server serves no Secrets' })
    return { type, namespace, name }
  }
  return {
    name: `kubernetes ${namespace}:secret/${name}`,
    async read(signal) {
      const secret = await cluster.get(await find(signal), signal)
      if (!secret) {
        throw new FluxError('SECRET_MISSING', {
          what: `secrets "${name}" not found`,
          why: `The sync marker is kept in the Secret ${namespace}/${name}.`,
          next: `Create it (empty), or name another with --k8s-secret-name.`,
        })
      }
      const revision = valueAt(secret, 'metadata', 'annotations', annotation)
      return typeof revision === 'string' && revision !== '' ? revision : undefined
    },
    async move(revision, signal) {
      await cluster.patch(
        await find(signal),
        { metadata: { annotations: { [annotation]: revision } } },
        signal,
      )
    },
  }
}
