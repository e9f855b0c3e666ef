import { ownerMark } from '../core/helm/digest.ts'
import { type ManifestObject, readManifestObjects } from '../core/helm/manifest-objects.ts'
import { antecedentKey, antecedentOf } from '../core/helm/older.ts'
import type { HelmRelease } from '../core/helm/resource.ts'
import type { Revision } from '../core/helm/revision.ts'
import type { Cluster, ObjectKey } from '../ports/cluster.ts'
import type { HelmStorage } from '../ports/helm.ts'
import type { Log } from '../ports/log.ts'
import { failureFields } from './tell.ts'
import type { View } from './view.ts'

/**
 * Whose a release is. Its newest revision carries our mark; one that was made before us carries none, and then the
 * annotation `antecedent` on its objects tells, which fluxd reads too.
 */
export interface Ownership {
  /** Who else keeps the release, as `namespace:helmrelease/name`; `undefined` where it is ours or free. */
  ownerOf(
    release: HelmRelease,
    newest: Revision | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined>
  /** Annotate the objects of a revision as made by this HelmRelease. @returns how many could not be */
  annotate(release: HelmRelease, revision: number, signal: AbortSignal): Promise<number>
}

export interface OwnershipOptions {
  cluster: Cluster
  storage: HelmStorage
  view: View
  /** whether every HelmRelease of the cluster is in view */
  seesAll: boolean
}

const atOnce = 8

export function createOwnership({ cluster, storage, view, seesAll }: OwnershipOptions, log: Log): Ownership {
  const keyFor = async (
    object: ManifestObject,
    release: HelmRelease,
    signal: AbortSignal,
  ): Promise<ObjectKey | undefined> => {
    let type = (await cluster.discover(signal)).find(object.apiVersion, object.kind)
    if (!type) {
      cluster.forgetDiscovery() // its CRD may have come with the release
      type = (await cluster.discover(signal)).find(object.apiVersion, object.kind)
    }
    if (!type) return undefined
    const namespace = object.namespace || release.targetNamespace
    return { type, name: object.name, ...(type.namespaced && { namespace }) }
  }

  return {
    async ownerOf(release, newest, signal) {
      if (newest === undefined) return undefined
      if (newest.owner !== undefined) {
        if (newest.owner === ownerMark(release.id)) return undefined
        const owner = view.ownerOf(newest.owner)
        if (owner) return owner.id
        return seesAll ? undefined : 'a HelmRelease of another namespace'
      }
      const content = await storage.read(release.targetNamespace, release.releaseName, newest.number, signal)
      for (const object of readManifestObjects(content?.manifest ?? '')) {
        const key = await keyFor(object, release, signal)
        const live = key && (await cluster.get(key, signal))
        const value = antecedentOf(live)
        if (value === '') continue
        // one that was migrated keeps its releases
        const ours = [release.id, `${release.namespace}:fluxhelmrelease/${release.name}`]
        return ours.includes(value) ? undefined : value
      }
      return undefined
    },

    async annotate(release, revision, signal) {
      const content = await storage.read(release.targetNamespace, release.releaseName, revision, signal)
      const objects = readManifestObjects(content?.manifest ?? '')
      let failures = 0
      const one = async (object: ManifestObject) => {
        try {
          const key = await keyFor(object, release, signal)
          if (!key) return
          const annotations = { [antecedentKey(release.shape)]: release.id }
          await cluster.patch(key, { metadata: { annotations } }, signal)
        } catch (thrown) {
          if (signal.aborted) throw thrown
          failures++
          log.write({
            warning: `${object.kind}/${object.name} cannot be annotated`,
            ...failureFields(thrown),
          })
        }
      }
      for (let at = 0; at < objects.length; at += atOnce) {
        await Promise.all(objects.slice(at, at + atOnce).map(one))
      }
      return failures
    },
  }
}
