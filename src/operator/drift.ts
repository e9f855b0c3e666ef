import { FluxError } from '../core/errors.ts'
import { driftedPaths, ignoredPaths } from '../core/helm/drift.ts'
import { readManifestObjects } from '../core/helm/manifest-objects.ts'
import type { HelmRelease } from '../core/helm/resource.ts'
import type { Cluster } from '../ports/cluster.ts'
import type { HelmStorage } from '../ports/helm.ts'
import type { Log } from '../ports/log.ts'
import type { OperatorMetrics } from '../ports/operator-metrics.ts'
import { failureFields } from './tell.ts'
import type { View } from './view.ts'

/**
 * Looks, now and then, whether what a release made is still as its manifest says. It asks the server for each object, so
 * it has an interval of its own, apart from the passes.
 */
export interface DriftWatch {
  /** Look at every release that is as wanted. */
  pass(signal: AbortSignal): Promise<void>
}

export interface DriftWatchOptions {
  cluster: Cluster
  storage: HelmStorage
  view: View
  metrics: OperatorMetrics
  /** told of a release that differs, once for each set of differences */
  onDrift(key: string, release: HelmRelease, differences: readonly string[]): Promise<void>
  log: Log
}

/** differences that a message names */
const shown = 10

export function createDriftWatch(options: DriftWatchOptions): DriftWatch {
  const { cluster, storage, view, metrics, onDrift, log } = options
  /** by uid: what was told last */
  const told = new Map<string, string>()

  const differencesOf = async (
    release: HelmRelease,
    revision: number,
    signal: AbortSignal,
  ): Promise<string[]> => {
    const { targetNamespace, releaseName, annotations } = release
    const content = await storage.read(targetNamespace, releaseName, revision, signal)
    const objects = readManifestObjects(content?.manifest ?? '')
    const discovery = await cluster.discover(signal)
    const differences: string[] = []
    for (const object of objects) {
      signal.throwIfAborted()
      const type = discovery.find(object.apiVersion, object.kind)
      if (!type) continue
      const namespace = object.namespace || targetNamespace
      const key = { type, name: object.name, ...(type.namespaced && { namespace }) }
      const name = `${object.kind}/${object.name}`
      const live = await cluster.get(key, signal)
      if (!live) {
        differences.push(`${name} is missing`)
        continue
      }
      try {
        const { object: wanted } = await cluster.apply(key, object.value, { dryRun: true, signal })
        const ignored = ignoredPaths(object, objects, annotations.driftIgnore)
        differences.push(...driftedPaths(live, wanted, ignored).map((path) => `${name} ${path}`))
      } catch (thrown) {
        // a dry run that is refused says nothing about drift
        if (!(thrown instanceof FluxError) || thrown.kind === 'server') throw thrown
      }
    }
    return differences
  }

  return {
    async pass(signal) {
      for (const [key, release] of view.releases) {
        const [newest] = view.revisions(release.targetNamespace, release.releaseName)
        if (release.deleting || release.annotations.suspended) continue
        if (newest?.status !== 'deployed' || newest.digest === undefined) continue
        try {
          const differences = await differencesOf(release, newest.number, signal)
          metrics.setDrift(release, differences.length)
          const text = differences.join(', ')
          if (text !== '' && told.get(release.uid) !== text) {
            await onDrift(key, release, [
              ...differences.slice(0, shown),
              ...(differences.length > shown ? [`and ${differences.length - shown} more`] : []),
            ])
          }
          told.set(release.uid, text)
        } catch (thrown) {
          if (signal.aborted) return
          log.write({ warning: `drift of ${release.id} cannot be told`, ...failureFields(thrown) })
        }
      }
    },
  }
}
