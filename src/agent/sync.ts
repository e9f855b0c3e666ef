import { FluxError } from '../core/errors.ts'
import { valueAt } from '../core/json.ts'
import type { LoadedResource } from '../core/manifest/load.ts'
import type { ResourceId } from '../core/resource/id.ts'
import { checksumOf } from '../core/sync/inventory.ts'
import { changedIds, type PlannedApply, planSync, type SyncPlan } from '../core/sync/plan.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster } from '../ports/cluster.ts'
import type { CommitSummary, GitMirror, Revision } from '../ports/git.ts'
import type { Log } from '../ports/log.ts'
import type { Metrics } from '../ports/metrics.ts'
import { formatDuration } from '../runtime/flags.ts'
import type { Turn } from '../runtime/queue.ts'
import { createApplier, endsPass } from './applier.ts'
import type { ClusterView } from './cluster-view.ts'
import type { LiveObject } from './collection.ts'
import type { DriftMode, PruneMode } from './config.ts'
import { createDrift, type DriftOptions } from './drift.ts'
import { readLive } from './live-objects.ts'
import type { ManifestStore } from './manifests.ts'
import type { SyncMarker } from './marker.ts'
import { createPruner } from './pruner.ts'
import type { Repository } from './repository.ts'
import { createRevisions, definitionsIn, typesOf } from './revisions.ts'
import { failureFields } from './tell.ts'

/**
 * One pass: make the cluster what the branch says.
 *
 * A quiet pass (same revision, nothing failed, nothing drifted, every watch healthy) ends before it asks anything. A
 * full pass trusts nothing: it lists what it is about to apply and compares. Either way only what differs is written.
 * Follows `spec/flux-v1/sync.md` §5 and §6, and the rows "Cluster" of `spec/decisions.md`.
 */
export interface Syncer {
  /** @param full look at everything, whatever the watches say */
  pass(full: boolean, turn: Turn): Promise<void>
  /** Revisions reachable from a ref that are not applied yet, newest first. @throws FluxError `GIT_REF_UNKNOWN` */
  outstanding(ref: string, signal?: AbortSignal): Promise<Revision[]>
  /** What the last pass could not do for a resource, or nothing. */
  errorOf(id: ResourceId): string
  /** The cluster says that an object has changed. */
  changed(id: ResourceId): void
}

export interface SyncReport {
  /** absent on the first sync ever */
  from: Revision | undefined
  to: Revision
  /** newest first */
  commits: readonly CommitSummary[]
  /** resources that are new or changed since the last sync */
  updated: readonly ResourceId[]
  failures: readonly SyncFailure[]
  startedAt: Date
}

export interface SyncFailure {
  id: ResourceId
  apiVersion: string
  kind: string
  /** the file it stands in */
  path: string
  /** file and line */
  source: string
  error: FluxError
}

export interface SyncerOptions extends Pick<DriftOptions, 'queue' | 'intervalMs' | 'onTold' | 'signal'> {
  drift: DriftMode
  prune: PruneMode
  /** most objects that one pass deletes; 0: any number */
  pruneBudget: number
  /** kinds that pruning doesn't look at */
  pruneExcludes: readonly string[]
  repository: Repository
  manifests: ManifestStore
  cluster: Cluster
  view: ClusterView
  marker: SyncMarker
  gitPaths: readonly string[]
  /** name of what this fluxd owns: `syncSetName` */
  syncSet: string
  /** empty: all */
  namespaces: readonly string[]
  timeoutMs: number
  /** told after the applies and before the marker moves */
  onSynced(report: SyncReport, mirror: GitMirror): Promise<void>
  clock: Clock
  log: Log
  metrics: Metrics
}

type Checksums = ReadonlyMap<ResourceId, string>

/** Applies in flight at once, over one connection. */
const parallelApplies = 64

export function createSyncer(options: SyncerOptions): Syncer {
  const { repository, cluster, view, marker, clock, metrics } = options
  const log = options.log.with({ component: 'sync-loop' })
  const failures = new Map<ResourceId, SyncFailure>()
  const applier = createApplier({ cluster, view, clock, log })
  const { applied } = applier
  const revisions = createRevisions(options)
  const drift = createDrift({ ...options, mode: options.drift, applier, failures })
  const pruner =
    options.prune === 'off'
      ? undefined
      : createPruner({
          ...options,
          mode: options.prune,
          budget: options.pruneBudget,
          excludedKinds: options.pruneExcludes,
        })
  /** the pass that ended last: its revision, what it wanted, and kinds that nobody knew */
  let last: { revision: Revision; checksums: Checksums; unscoped: boolean } | undefined
  /** where we left the marker */
  let marked: Revision | undefined
  let sharingTold = false

  const isQuiet = (head: Revision): boolean =>
    last?.revision === head &&
    failures.size === 0 &&
    !pruner?.due() &&
    view.healthy() &&
    [...applied.values()].every((known) => {
      const live = view.find(known.type, known.item.namespace || undefined, known.item.name)
      return applier.isAsApplied(known, live) || drift.leaves(known, live)
    })

  /** Apply one stage in parallel. What fails is kept by resource; a cluster that is gone ends the pass. */
  const applyStage = async (
    stage: readonly PlannedApply[],
    liveOf: (item: PlannedApply) => LiveObject | undefined,
    definedHere: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<string[]> => {
    const output: string[] = []
    const next = stage.values()
    const work = async () => {
      for (const item of next) {
        try {
          const known = applied.get(item.id)
          const live = liveOf(item)
          if (known?.item.checksum !== item.checksum) drift.forget(item.id)
          const { line } =
            known?.item.checksum === item.checksum
              ? await drift.repair({ ...known, item }, live, signal)
              : await applier.apply(item, await applier.findType(item, definedHere, signal), live, signal)
          if (line) output.push(line)
          failures.delete(item.id)
        } catch (thrown) {
          if (!(thrown instanceof FluxError) || endsPass.has(thrown.code)) throw thrown
          const { id, apiVersion, kind, source } = item
          failures.set(id, { id, apiVersion, kind, path: source.replace(/:\d+$/, ''), source, error: thrown })
          applied.delete(item.id)
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(parallelApplies, stage.length) }, work))
    return output
  }

  /** The marker's revision; none where history was rewritten, and the repository has it no more. */
  const readMarker = async (mirror: GitMirror, signal: AbortSignal): Promise<Revision | undefined> => {
    const revision = await marker.read(signal)
    if (marked !== undefined && revision !== marked && !sharingTold) {
      sharingTold = true
      const warning =
        'detected external change in sync state; the sync state should not be shared by fluxd instances'
      log.write({ warning, state: marker.name })
    }
    if (await isThere(mirror, revision)) return revision
    if (revision !== undefined)
      log.write({ warning: 'the last synced revision is not in the repository any more', old: revision })
    return undefined
  }

  const pass = async (full: boolean, turn: Turn, mirror: GitMirror, head: Revision): Promise<void> => {
    const startedAt = clock.now()
    const limited = () => AbortSignal.any([turn.signal, AbortSignal.timeout(options.timeoutMs)])
    let signal = limited()
    const from = await readMarker(mirror, signal)
    options.log.write({
      component: 'daemon',
      info: 'trying to sync git changes to the cluster',
      old: from ?? '',
      new: head,
    })

    if (full && last?.unscoped) cluster.forgetDiscovery()
    const manifests = await revisions.loadOrTell(mirror, head)
    if (!manifests)
      throw new FluxError('SYNC_HELD', { what: 'the manifests of the revision cannot be synced' })
    const served = await cluster.discover(signal)
    const types = typesOf(manifests.resources, served)
    const findLive = await readLive(options, types, full || last === undefined, signal)
    const liveOf = ({ manifest, namespace }: LoadedResource) => {
      const type = served.find(manifest.apiVersion, manifest.kind)
      return type && findLive(type, namespace || undefined, manifest.name)
    }
    // what the plan has looked up is looked at once more
    const seen = new Map<ResourceId, LiveObject | undefined>()
    const plan = planSync({
      desired: manifests.resources,
      live(resource) {
        const live = liveOf(resource)
        seen.set(resource.id, live)
        return live
      },
      allowedNamespaces: options.namespaces,
      syncSet: options.syncSet,
    })
    revisions.tellSkipped(plan, manifests)
    for (const id of [...applied.keys(), ...failures.keys()]) {
      if (plan.checksums.has(id)) continue
      applied.delete(id)
      applier.replicas.delete(id)
      drift.forget(id)
      failures.delete(id)
    }
    for (const { id, reason } of plan.skipped) {
      // no longer ours to keep, nor to fail with
      if (reason !== 'ignored-in-git') continue
      applied.delete(id)
      drift.forget(id)
      failures.delete(id)
    }
    if (!last) await learnReplicas(mirror, from)
    const liveOfItem = ({ id }: PlannedApply) => {
      const resource = manifests.resources.get(id)
      return resource && liveOf(resource)
    }
    const stages = await dueStages(plan, ({ id }) => seen.get(id), signal)
    const count = stages.reduce((sum, stage) => sum + stage.length, 0)
    const startedMs = clock.monotonicMs()
    const output: string[] = []
    if (count > 0) log.write({ method: 'Sync', cmd: 'apply', args: '', count })
    for (const stage of stages) {
      signal = limited()
      output.push(...(await applyStage(stage, liveOfItem, definitionsIn(manifests), signal)))
      if (stage.some(({ kind }) => kind === 'CustomResourceDefinition')) cluster.forgetDiscovery()
      await turn.giveWay()
    }
    if (count > 0) {
      const took = formatDuration(Math.round(clock.monotonicMs() - startedMs))
      log.write({ method: 'Sync', cmd: 'kubectl apply -f -', took, err: null, output: output.join('\n') })
    }
    const synced = plan.stages.reduce((sum, stage) => sum + stage.length, 0)
    metrics.setSyncManifests({ applied: synced - failures.size, failed: failures.size })
    const { checksums } = plan
    if (pruner) {
      const missing = [...failures.values()].filter(
        ({ id, error }) => !seen.get(id) && error.code !== 'CLUSTER_FORBIDDEN',
      )
      const wanted = { checksums, missing: missing.map(({ id }) => id), unplaced: manifests.unscoped }
      for (const failure of await pruner.prune(wanted, full, limited())) failures.set(failure.id, failure)
    }
    for (const { id, source, error } of failures.values()) {
      log.write({ method: 'Sync', resource: id, source, ...failureFields(error) })
    }

    const commits =
      from === head ? [] : await mirror.log({ ...(from && { from }), to: head, paths: options.gitPaths })
    const updated = commits.length === 0 ? [] : changedIds(await previousChecksums(mirror, from), checksums)
    await options.onSynced(
      { from, to: head, commits, updated, failures: [...failures.values()], startedAt },
      mirror,
    )
    if (from !== head) {
      await marker.move(head, limited())
      log.write({ state: marker.name, old: from ?? '', new: head })
    }
    marked = head
    last = { revision: head, checksums, unscoped: manifests.unscoped.length > 0 }
    view.follow(await cluster.discover(turn.signal), [
      ...new Set([...applied.values()].map(({ type }) => type)),
    ])
    drift.lookAtAll()
  }

  /** Of each stage what is new, what failed, and what has drifted and shall be repaired. */
  const dueStages = async (
    { stages }: SyncPlan,
    liveOf: (item: PlannedApply) => LiveObject | undefined,
    signal: AbortSignal,
  ): Promise<PlannedApply[][]> => {
    const due: PlannedApply[][] = []
    for (const stage of stages) {
      const taken: PlannedApply[] = []
      for (const item of stage) {
        const known = applied.get(item.id)
        if (known?.item.checksum !== item.checksum) taken.push(item)
        else if (!applier.isAsApplied(known, liveOf(item))) {
          if (await drift.takes(known, liveOf(item), signal)) taken.push(item)
        }
      }
      if (taken.length > 0) due.push(taken)
    }
    return due
  }

  /** Before the first pass: the replicas that Git named when the marker was moved. */
  const learnReplicas = async (mirror: GitMirror, from: Revision | undefined): Promise<void> => {
    for (const [id, manifest] of await revisions.previous(mirror, from)) {
      const replicas = valueAt(manifest, 'spec', 'replicas')
      if (replicas !== undefined) applier.replicas.set(id, replicas)
    }
  }

  const previousChecksums = async (mirror: GitMirror, from: Revision | undefined): Promise<Checksums> => {
    if (last) return last.checksums
    const manifests = await revisions.previous(mirror, from)
    return new Map([...manifests].map(([id, manifest]) => [id, checksumOf(manifest)]))
  }

  return {
    async pass(full, turn) {
      const mirror = repository.ready()
      const head = repository.head()
      if (!head || (!full && isQuiet(head))) return
      const startedMs = clock.monotonicMs()
      try {
        await pass(full, turn, mirror, head).catch((thrown) => {
          throw isTimeout(thrown) && !turn.signal.aborted ? syncTimeout(options.timeoutMs) : thrown
        })
        metrics.observeSync({ success: true, durationMs: clock.monotonicMs() - startedMs })
      } catch (thrown) {
        metrics.observeSync({ success: false, durationMs: clock.monotonicMs() - startedMs })
        throw thrown
      }
    },

    async outstanding(ref, signal) {
      const mirror = repository.ready()
      const from = await marker.read(signal)
      const to = await mirror.resolve(ref || 'HEAD') // what Git itself takes no ref for
      if (!to) {
        const fatal = `fatal: bad revision '${from ?? ''}..${ref}'`
        throw new FluxError('GIT_REF_UNKNOWN', {
          what: `${fatal}, full output:\n ${fatal}\n`,
          why: 'The repository has no such commit, branch or tag, or a short hash that fits several.',
          next: 'Give a full hash; a commit pushed just now is known after `fluxctl sync`.',
        })
      }
      if (from && (await mirror.isAncestor(to, from))) return []
      const since = (await isThere(mirror, from)) ? from : undefined
      const commits = await mirror.log({ ...(since && { from: since }), to, paths: options.gitPaths })
      return commits.map(({ revision }) => revision)
    },

    errorOf: (id) => failures.get(id)?.error.what ?? '',
    changed: drift.changed,
  }
}

async function isThere(mirror: GitMirror, revision: Revision | undefined): Promise<boolean> {
  return revision !== undefined && (await mirror.resolve(revision)) === revision
}

function isTimeout(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'TimeoutError'
}

function syncTimeout(timeoutMs: number): FluxError {
  return new FluxError('SYNC_TIMEOUT', {
    what: `a stage of the sync did not end within ${formatDuration(timeoutMs)}`,
    why: 'The API server was too slow.',
    next: 'The next pass goes on from here. --sync-timeout sets the limit.',
  })
}
