import { FluxError } from '../core/errors.ts'
import { valueAt } from '../core/json.ts'
import { isSet, readPolicies } from '../core/policy/policy.ts'
import type { ResourceId } from '../core/resource/id.ts'
import { type DriftCause, decideRepair, explainDrift, type Repair } from '../core/sync/drift.ts'
import type { PlannedApply } from '../core/sync/plan.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster } from '../ports/cluster.ts'
import type { Log } from '../ports/log.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Queue } from '../runtime/queue.ts'
import type { Applied, Applier, ApplyResult } from './applier.ts'
import type { ClusterView } from './cluster-view.ts'
import type { LiveObject } from './collection.ts'
import type { DriftMode } from './config.ts'
import type { SyncFailure } from './sync.ts'
import { failureFields } from './tell.ts'

/**
 * What becomes of objects that are no longer as we applied them: repaired by the next pass (`interval`), at once
 * (`instant`), or only told of (`report`). Of whoever changes the same object again and again we don't make an enemy: after
 * three repairs it is held. What to do is decided in `core/sync/drift.ts`.
 */
export interface Drift {
  /** The cluster says that an object has changed. */
  changed(id: ResourceId): void
  /** Look at everything once what is followed now has been listed: an object may have gone before. */
  lookAtAll(): void
  /** Whether a pass shall apply an object that has drifted; where not, that is told. */
  takes(known: Applied, live: LiveObject | undefined, signal: AbortSignal): Promise<boolean>
  /** Apply an object that has drifted, and tell why it had. @throws FluxError of `Cluster` */
  repair(known: Applied, live: LiveObject | undefined, signal: AbortSignal): Promise<ApplyResult>
  /** Whether an object that differs is left as it is: ignored, held or only told of. */
  leaves(known: Applied, live: LiveObject | undefined): boolean
  /** An object has new content, or is no longer ours. */
  forget(id: ResourceId): void
}

export interface DriftOptions {
  mode: DriftMode
  applier: Applier
  /** what can't be done: `SyncError` of listings */
  failures: Map<ResourceId, SyncFailure>
  cluster: Cluster
  view: ClusterView
  queue: Queue
  /** of full passes: no repair waits longer */
  intervalMs: number
  timeoutMs: number
  /** told when something is to be seen in the cluster's events */
  onTold(told: { item: PlannedApply; reason: string; message: string }): Promise<void>
  clock: Clock
  log: Log
  metrics: Metrics
  signal: AbortSignal
}

export function createDrift(options: DriftOptions): Drift {
  const { mode, applier, failures, cluster, view, queue, clock, metrics } = options
  const log = options.log.with({ component: 'sync-loop' })
  const repairs = new Map<ResourceId, Repair[]>()
  /** why the last repair was needed */
  const causes = new Map<ResourceId, DriftCause>()
  /** told of and left as they are, by what they were like */
  const reported = new Map<ResourceId, string>()
  const held = new Set<ResourceId>()
  const scheduled = new Set<ResourceId>()

  const count = () => metrics.setDriftedObjects(reported.size + held.size)
  const liveOf = ({ item, type }: Applied) => view.find(type, item.namespace || undefined, item.name)
  const keyOf = ({ item, type }: Applied) => ({
    type,
    name: item.name,
    ...(item.namespace && { namespace: item.namespace }),
  })
  const ownersOf = async (known: Applied, live: LiveObject | undefined, signal: AbortSignal) => {
    const before = live && (await cluster.get(keyOf(known), signal))
    return before && valueAt(before, 'metadata', 'managedFields')
  }

  const forget = (id: ResourceId) => {
    if (held.delete(id)) failures.delete(id)
    reported.delete(id)
    repairs.delete(id)
    causes.delete(id)
    count()
  }

  const report = async (known: Applied, live: LiveObject | undefined, signal: AbortSignal): Promise<void> => {
    const { item } = known
    const state = live ? `${live.uid} ${live.ownership.own} ${live.ownership.scaled}` : 'deleted'
    if (reported.get(item.id) === state) return
    reported.set(item.id, state)
    count()
    const owners = await ownersOf(known, live, signal)
    const after = await applier.rehearse(item, known.type, live, signal)
    const cause = explainDrift(owners, valueAt(after, 'metadata', 'managedFields'))
    log.write({
      method: 'Sync',
      resource: item.id,
      source: item.source,
      info: 'drift',
      ...fieldsOf(cause, live),
    })
    const message = `${describe(cause, live)}. Not repaired: --drift=report.`
    await options.onTold({ item, reason: 'Drifted', message })
  }

  const hold = async ({ item }: Applied, manager: string): Promise<void> => {
    if (held.has(item.id)) return
    held.add(item.id)
    count()
    const { id, apiVersion, kind, source } = item
    const fields = (causes.get(id)?.fields ?? []).join(', ')
    const error = new FluxError('DRIFT_CONTESTED', {
      what: `${manager} keeps changing ${fields}`,
      why: 'fluxd has put it right three times within ten minutes.',
      next: `Take the field out of ${source}, stop ${manager}, or annotate the object with fluxcd.io/ignore.`,
    })
    failures.set(id, { id, apiVersion, kind, path: source.replace(/:\d+$/, ''), source, error })
    log.write({ method: 'Sync', resource: id, source, ...failureFields(error) })
    await options.onTold({ item, reason: 'DriftContested', message: error.help })
  }

  const repair: Drift['repair'] = async (known, live, signal) => {
    const { item, type } = known
    const owners = await ownersOf(known, live, signal)
    const result = await applier.apply(item, type, live, signal)
    const cause = explainDrift(owners, valueAt(result.object, 'metadata', 'managedFields'))
    const { manager } = cause
    causes.set(item.id, cause)
    repairs.set(item.id, [...(repairs.get(item.id) ?? []).slice(-9), { atMs: clock.monotonicMs(), manager }])
    log.write({
      method: 'Sync',
      resource: item.id,
      source: item.source,
      info: 'repaired drift',
      ...fieldsOf(cause, live),
    })
    return result
  }

  const decide = ({ item }: Applied) =>
    decideRepair(repairs.get(item.id) ?? [], clock.monotonicMs(), options.intervalMs)

  const takes: Drift['takes'] = async (known, live, signal) => {
    if (isIgnored(live) || held.has(known.item.id)) return false
    if (mode === 'report') {
      await report(known, live, signal)
      return false
    }
    const decision = decide(known)
    if (decision.kind === 'hold') await hold(known, decision.manager)
    return decision.kind !== 'hold'
  }

  /** Look at one object in its turn, and put it right. */
  const attempt = async (id: ResourceId): Promise<void> => {
    const known = applier.applied.get(id)
    const live = known && liveOf(known)
    if (!known || applier.isAsApplied(known, live)) return
    const limited = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)])
    if (await takes(known, live, limited)) await repair(known, live, limited)
  }

  const schedule = (id: ResourceId, known: Applied) => {
    if (scheduled.has(id)) return
    scheduled.add(id)
    const decision = mode === 'instant' ? decide(known) : undefined
    const waited = decision?.kind === 'wait' ? clock.sleep(decision.ms, options.signal) : Promise.resolve()
    waited
      .then(() =>
        queue.run('passes', () => {
          scheduled.delete(id)
          return attempt(id)
        }),
      )
      .catch((thrown: unknown) => {
        scheduled.delete(id)
        if (!options.signal.aborted) log.write({ method: 'Sync', resource: id, ...failureFields(thrown) })
      })
  }

  const changed = (id: ResourceId): void => {
    const known = applier.applied.get(id)
    if (!known) return
    const live = liveOf(known)
    if (applier.isAsApplied(known, live)) {
      if (held.has(id) || reported.has(id)) forget(id)
      return
    }
    if (mode !== 'interval' && !isIgnored(live)) schedule(id, known)
  }

  return {
    changed,
    lookAtAll() {
      if (mode === 'interval') return
      void view.listed().then(() => {
        for (const id of applier.applied.keys()) changed(id)
      })
    },
    takes,
    repair,
    leaves: ({ item: { id } }, live) => isIgnored(live) || held.has(id) || reported.has(id),
    forget,
  }
}

function isIgnored(live: LiveObject | undefined): boolean {
  return live !== undefined && isSet(readPolicies({ ...live.annotations }), 'ignore')
}

function fieldsOf({ fields, manager }: DriftCause, live: LiveObject | undefined) {
  return live ? { manager: manager ?? 'unknown', fields } : { deleted: true }
}

function describe({ fields, manager = 'somebody' }: DriftCause, live: LiveObject | undefined): string {
  return live ? `${manager} changed ${fields.join(', ')}` : 'the object was deleted'
}
