import { FluxError } from '../core/errors.ts'
import { valueAt } from '../core/json.ts'
import { globMatches } from '../core/policy/glob.ts'
import { type ResourceId, resourceIdParts } from '../core/resource/id.ts'
import { markLabel } from '../core/sync/inventory.ts'
import { type KeepReason, type MarkedObject, planPrune } from '../core/sync/plan.ts'
import type { Clock } from '../ports/clock.ts'
import { apiVersionOf, type Cluster, type ResourceType } from '../ports/cluster.ts'
import type { Log } from '../ports/log.ts'
import type { Metrics } from '../ports/metrics.ts'
import { formatDuration } from '../runtime/flags.ts'
import { endsPass, resourceName } from './applier.ts'
import { type LiveObject, readLiveObject } from './collection.ts'
import type { PruneMode } from './config.ts'
import { listEverywhere } from './live-objects.ts'
import type { SyncFailure } from './sync.ts'
import { failureFields } from './tell.ts'

/**
 * Garbage collection: what left Git leaves the cluster, once everything else was applied. What counts as ours is
 * decided by marks on the objects themselves, in `core/sync/plan.ts`. Follows `spec/flux-v1/sync.md` §6; the brakes are
 * `docs/garbage-collection.md`'s.
 */
export interface Pruner {
  /** The last look was not finished: look again, whatever else there is to do. */
  due(): boolean
  /**
   * Delete what is gone from Git. The cluster is asked only when something left since the last time, or when it is due.
   *
   * @param full look, whatever is known
   * @returns what could not be deleted
   * @throws FluxError when the cluster is gone
   */
  prune(wanted: Wanted, full: boolean, signal: AbortSignal): Promise<SyncFailure[]>
}

/** What a pass has found in Git. */
interface Wanted {
  /** of everything in Git that is ours to sync */
  checksums: ReadonlyMap<ResourceId, string>
  /** what Git wants and the cluster has not got: perhaps what takes the place of something that is gone */
  missing: readonly ResourceId[]
  /** of kinds that the API server doesn't serve yet, by `kind/name`: neither the kind is deleted, nor what has the name */
  unplaced: readonly { name: string; kind: string }[]
}

export interface PrunerOptions {
  mode: Exclude<PruneMode, 'off'>
  cluster: Cluster
  syncSet: string
  /** empty: all */
  namespaces: readonly string[]
  /** globs of `group/version/Kind`, and of `group/version/` for a whole group: never listed */
  excludedKinds: readonly string[]
  /** most objects to delete in one pass; 0: any number */
  budget: number
  clock: Clock
  log: Log
  metrics: Metrics
}

interface Candidate extends MarkedObject {
  live: LiveObject
}

/** Made by the cluster itself, with labels of what they belong to; nobody's manifests. */
const neverListed = new Set(['ComponentStatus', 'Endpoints', 'Event'])
/** Where an object stands that is in no file any more. */
const inCluster = { path: '<cluster>', source: '<cluster>' }
const parallelDeletes = 64
/** How many of many are named in one line of the log. */
const namedAtMost = 20
const brakes: readonly KeepReason[] = ['nothing-in-git', 'over-budget']

const keepTexts: Record<KeepReason, string> = {
  ignored: 'cluster resource not in resources to be synced; kept, for its annotation says ignore',
  precious: 'cluster resource not in resources to be synced; kept, for more than itself would go',
  'in-use': 'cluster resource not in resources to be synced; kept, for Git has more in this namespace',
  awaits: 'cluster resource not in resources to be synced; kept until what Git wants is there',
  'nothing-in-git': 'nothing is deleted: there is no resource in Git at all',
  'over-budget': 'nothing is deleted: more is gone from Git than may be deleted at once',
}

const keepHints: Partial<Record<KeepReason, string>> = {
  precious: 'annotate the object with fluxcd.io/prune: "true", or delete it by hand',
  'in-use': 'remove the other manifests of the namespace as well',
  awaits: 'see to what could not be applied; where the old object is in its way, delete that by hand',
  ignored: 'take the annotation off the live object, and it is deleted',
  'nothing-in-git': 'look at --git-branch and --git-path; delete the last objects by hand',
  'over-budget': 'if it is meant, raise --sync-garbage-collection-budget',
}

export function createPruner(options: PrunerOptions): Pruner {
  const { mode, cluster, syncSet, namespaces, excludedKinds, budget, clock, metrics } = options
  const log = options.log.with({ component: 'sync-loop', method: 'Sync' })
  /** the first look is due in any case: something may have left while no fluxd ran */
  let due = true
  let before: Wanted['checksums'] = new Map()

  const isListed = (type: ResourceType, unplaced: ReadonlySet<string>): boolean => {
    const apiVersion = apiVersionOf(type)
    return (
      type.verbs.includes('list') &&
      type.verbs.includes('delete') &&
      !neverListed.has(type.kind) &&
      !unplaced.has(type.kind) &&
      !excludedKinds.some(
        (glob) => globMatches(glob, `${apiVersion}/`) || globMatches(glob, `${apiVersion}/${type.kind}`),
      )
    )
  }

  /** Everything that has a mark, as far as it can be listed now. */
  const listMarked = async (types: readonly ResourceType[], signal: AbortSignal) => {
    let complete = true
    const found = new Map<string, Candidate>()
    const query = { labelSelector: markLabel, metadataOnly: true, signal }
    await Promise.all(
      types.map(async (type) => {
        try {
          for (const object of await listEverywhere(cluster, type, namespaces, query)) {
            if (valueAt(object, 'metadata', 'deletionTimestamp') !== undefined) continue // on its way
            const live = readLiveObject(object, type)
            const { id, labels, annotations, owned } = live
            // kinds that several groups serve show the same object more than once
            found.set(`${live.uid} ${id}`, {
              id,
              kind: type.kind,
              name: live.key.name,
              labels,
              annotations,
              owned,
              live,
            })
          }
        } catch (thrown) {
          if (!(thrown instanceof FluxError) || endsPass.has(thrown.code)) throw thrown
          complete = false
          log.write({ ...failureFields(thrown), err: `garbage collection: ${type.plural}: ${thrown.what}` })
        }
      }),
    )
    return { marked: [...found.values()], complete }
  }

  const tellKept = (kept: readonly { object: Candidate; reason: KeepReason }[]): void => {
    const counts = new Map<KeepReason, number>()
    for (const { object, reason } of kept) {
      counts.set(reason, (counts.get(reason) ?? 0) + 1)
      if (!brakes.includes(reason))
        log.write({ info: keepTexts[reason], resource: object.id, hint: keepHints[reason] })
    }
    for (const reason of brakes) {
      const held = kept.filter((one) => one.reason === reason).map(({ object }) => object.id)
      if (held.length === 0) continue
      const resources = held.slice(0, namedAtMost)
      log.write({ warning: keepTexts[reason], count: held.length, resources, hint: keepHints[reason] })
    }
    metrics.setKeptObjects(counts)
  }

  /** The members of one stage, in parallel. @returns kubectl's line for each, and what failed */
  const deleteStage = async (stage: readonly Candidate[], signal: AbortSignal) => {
    const output: string[] = []
    const failures: SyncFailure[] = []
    const next = stage.values()
    const work = async () => {
      for (const { id, name, live } of next) {
        const { key, uid } = live
        try {
          if (await cluster.delete(key, { uid, signal }))
            output.push(`${resourceName(key.type)} "${name}" deleted`)
        } catch (thrown) {
          if (!(thrown instanceof FluxError) || endsPass.has(thrown.code)) throw thrown
          const { type } = key
          failures.push({ id, apiVersion: apiVersionOf(type), kind: type.kind, ...inCluster, error: thrown })
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(parallelDeletes, stage.length) }, work))
    return { output, failures }
  }

  return {
    due: () => due,

    async prune({ checksums, missing, unplaced }, full, signal) {
      const left = [...before.keys()].some((id) => !checksums.has(id))
      before = checksums
      if (!full && !due && !left) return []
      due = true // until this look has come to its end
      const kinds = new Set(unplaced.map(({ kind }) => kind))
      const { types } = await cluster.discover(signal)
      const { marked, complete } = await listMarked(
        types.filter((type) => isListed(type, kinds)),
        signal,
      )
      const awaited = [
        ...missing.map((id) => ({ namespace: resourceIdParts(id).namespace })),
        ...unplaced.map(({ name }) => ({ name: name.slice(name.indexOf('/') + 1) })),
      ]
      const plan = planPrune({ marked, checksums, allowedNamespaces: namespaces, syncSet, awaited, budget })
      const isAwaiting = plan.kept.some(({ reason }) => reason === 'awaits')
      for (const { id } of plan.outdated)
        log.write({ warning: 'resource to be synced has not been updated; skipping', resource: id })
      tellKept(plan.kept)
      const going = plan.stages.flat()
      for (const { id } of going) {
        const info = 'cluster resource not in resources to be synced; deleting'
        log.write({ info, 'dry-run': mode === 'dry', resource: id })
      }
      due = !complete || isAwaiting
      if (mode === 'dry' || going.length === 0) return []

      due = true
      const startedMs = clock.monotonicMs()
      log.write({ cmd: 'delete', args: '', count: going.length })
      const output: string[] = []
      const failures: SyncFailure[] = []
      for (const stage of plan.stages) {
        const done = await deleteStage(stage, signal)
        output.push(...done.output)
        failures.push(...done.failures)
        if (stage.some(({ kind }) => kind === 'CustomResourceDefinition')) cluster.forgetDiscovery()
      }
      const took = formatDuration(Math.round(clock.monotonicMs() - startedMs))
      log.write({ cmd: 'kubectl delete -f -', took, err: null, output: output.join('\n') })
      metrics.countPruned({ deleted: output.length, failed: failures.length })
      due = !complete || isAwaiting || failures.length > 0
      return failures
    },
  }
}
