import { FluxError } from '../core/errors.ts'
import { chartText } from '../core/helm/chart.ts'
import { type FailedAttempt, hasCondition, type Phase } from '../core/helm/conditions.ts'
import { inputDigest, ownerMark } from '../core/helm/digest.ts'
import { checkReleaseName } from '../core/helm/release-name.ts'
import { chartOf, finalizer, type HelmRelease } from '../core/helm/resource.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster } from '../ports/cluster.ts'
import type { ChartHead, Helm, HelmStorage, PreparedChart } from '../ports/helm.ts'
import type { Log } from '../ports/log.ts'
import type { OperatorMetrics } from '../ports/operator-metrics.ts'
import { type Actor, firstLine, targetOf } from './act.ts'
import type { Charts } from './charts.ts'
import type { Ownership } from './ownership.ts'
import type { StatusWriter } from './status.ts'
import { failureFields } from './tell.ts'
import { type ComposedValues, composeValues, type ValuesNeighbours } from './values.ts'
import { objectKeyOf, type View } from './view.ts'

/**
 * One pass over one HelmRelease: observe, decide, act, record. Over a release that is as it should be a pass asks
 * nothing, starts nothing and writes nothing.
 */

export interface Reconciler {
  /** @returns when to look again, in milliseconds; `undefined` for a resource that is gone. Never rejects. */
  pass(key: string): Promise<number | undefined>
  /** Make the next pass upgrade a release although nothing is new: others have changed what it made. */
  repair(release: HelmRelease): void
  /** Whether the last pass over a release saw its chart at this revision, and had no fault. */
  hasSeen(release: HelmRelease, revision: string): boolean
  tellDrift(release: HelmRelease, differences: readonly string[]): Promise<void>
}

export interface ReconcilerOptions {
  cluster: Cluster
  view: View
  helm: Helm
  storage: HelmStorage
  charts: Charts
  values: ValuesNeighbours
  status: StatusWriter
  ownership: Ownership
  actor: Actor
  metrics: OperatorMetrics
  crossNamespace: boolean
  intervalOf(release: HelmRelease): number
  clock: Clock
  log: Log
  signal: AbortSignal
}

/** How soon a fault is looked at again, doubling up to the interval. */
const firstRetryMs = 5_000
/** A deletion waits for no more failed uninstallations than this. */
const uninstallTries = 3
const component = 'helm-operator'

/** What is remembered of a release between passes. */
interface Memory {
  /** the chart's source as last seen, to fetch when it changes */
  chart: string
  /** failed passes in a row, other than those that the status counts */
  faults: number
  uninstalls: number
  /** the chart's as last seen */
  revision: string
  wanted: Wanted | undefined
  repair: boolean
  lastEvent: { message: string; atMs: number } | undefined
}

/** What was wanted at the last pass, and of what that was put together. */
interface Wanted {
  release: HelmRelease
  head: ChartHead
  values: ComposedValues
  digest: string
}

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { cluster, view, helm, storage, charts, status, ownership, actor, metrics, clock, signal } = options
  const memories = new Map<string, Memory>()

  const memoryOf = ({ uid }: HelmRelease): Memory => {
    const known = memories.get(uid) ?? {
      chart: '',
      faults: 0,
      uninstalls: 0,
      revision: '',
      wanted: undefined,
      repair: false,
      lastEvent: undefined,
    }
    memories.set(uid, known)
    return known
  }

  const tell = async (release: HelmRelease, error: FluxError | undefined, more = ''): Promise<void> => {
    const memory = memoryOf(release)
    const names = `release '${release.releaseName}' in namespace '${release.targetNamespace}'`
    const message = error
      ? `synchronization of ${names} failed: ${textOf(error)}`
      : `managed ${names} synchronized${more}`
    const nowMs = clock.now().getTime()
    const last = memory.lastEvent
    if (error && last?.message === message && nowMs - last.atMs < options.intervalOf(release)) return
    memory.lastEvent = { message, atMs: nowMs }
    const { apiVersion, kind, namespace, name, uid } = release
    await cluster
      .writeEvent({
        regarding: { apiVersion, kind, namespace, name, uid },
        type: error ? 'Warning' : 'Normal',
        reason: error ? 'FailedReleaseSync' : 'ReleaseSynced',
        message,
        component,
      })
      .catch((thrown: unknown) =>
        options.log.write({ warning: 'an event cannot be written', ...failureFields(thrown) }),
      )
  }

  /** What keeps a release from being looked at: its own faults. @throws FluxError */
  const check = (release: HelmRelease): void => {
    const { helmVersion, annotations, namespace, targetNamespace } = release
    if (helmVersion !== '' && helmVersion !== 'v3') {
      throw new FluxError('HELM_PROGRAM_UNSUPPORTED', {
        what: `no client found for Helm '${helmVersion}'`,
        next: 'Set spec.helmVersion to v3, or leave it out.',
      })
    }
    if (annotations.migrate && view.revisions(targetNamespace, release.releaseName).length === 0) {
      // nothing to migrate is known to us: installing over a release of Helm 2 would break it
      throw new FluxError('HELM_MIGRATION_UNSUPPORTED', {
        what: 'the annotation helm.fluxcd.io/migrate asks for a migration from Helm 2, which is not supported',
        next: 'Migrate with the operator 1.4.4, or remove the annotation where there is no release of Helm 2.',
      })
    }
    checkReleaseName(release.releaseName)
    if (!options.crossNamespace) {
      const refs = [
        ...release.valueSources.flatMap((source) => ('ref' in source ? [source.ref] : [])),
        ...(release.chart?.secret ? [release.chart.secret] : []),
      ]
      const foreign = [targetNamespace, ...refs.map((ref) => ref.namespace)].find((at) => at !== namespace)
      if (foreign !== undefined) {
        throw new FluxError('HELM_FORBIDDEN_NAMESPACE', {
          what: `namespace '${foreign}' is another than the HelmRelease's`,
          why: 'The operator runs with --no-cross-namespace.',
          next: `Move the HelmRelease to '${foreign}', or what it refers to to '${namespace}'.`,
        })
      }
    }
  }

  /** The releases that must be there first and are not. */
  const missingDependencies = ({ annotations }: HelmRelease): string[] =>
    annotations.dependsOn.filter((key) => {
      const other = view.releases.get(key)
      if (!other) return true
      const its = status.of(other)
      return !hasCondition(its, 'Released', 'True') || its.observedGeneration < other.generation
    })

  /** Uninstall what we keep, then let the resource go. */
  const finalize = async (release: HelmRelease, log: Log): Promise<number | undefined> => {
    if (!release.finalizers.includes(finalizer)) return undefined
    const memory = memoryOf(release)
    let left: FluxError | undefined
    if (!release.annotations.keep) {
      try {
        const { targetNamespace, releaseName } = release
        const [newest] = await storage.list(targetNamespace, releaseName, signal)
        if (newest && (await ownership.ownerOf(release, newest, signal)) === undefined) {
          log.write({ info: 'running uninstall', action: 'uninstall' })
          const startedMs = clock.monotonicMs()
          await helm.uninstall(targetOf(release, release.timeoutMs), signal)
          const durationMs = clock.monotonicMs() - startedMs
          metrics.observeAction({
            action: 'uninstall',
            success: true,
            durationMs,
            targetNamespace,
            releaseName,
          })
        }
      } catch (thrown) {
        if (signal.aborted || !(thrown instanceof FluxError)) throw thrown
        log.write({ error: 'uninstall failed', action: 'uninstall', ...failureFields(thrown) })
        memory.uninstalls++
        await tell(release, thrown)
        if (thrown.kind === 'server' || memory.uninstalls < uninstallTries) {
          return Math.min(firstRetryMs * 2 ** (memory.uninstalls - 1), options.intervalOf(release))
        }
        left = thrown
      }
    }
    if (left)
      log.write({ warning: 'the release is left behind, and its resource is let go', ...failureFields(left) })
    const finalizers = release.finalizers.filter((name) => name !== finalizer)
    await cluster.patch(objectKeyOf(release), { metadata: { finalizers } }, signal).catch((thrown) => {
      if (!(thrown instanceof FluxError && thrown.code === 'CLUSTER_OBJECT_MISSING')) throw thrown
    })
    memories.delete(release.uid)
    return undefined
  }

  /** Releases that this resource made under another name or elsewhere, from before it was changed. */
  const removeFormer = async (release: HelmRelease, log: Log): Promise<void> => {
    for (const former of view.ownedBy(ownerMark(release.id))) {
      if (former.release === release.releaseName && former.namespace === release.targetNamespace) continue
      log.write({
        info: 'running uninstall',
        action: 'uninstall',
        former: `${former.namespace}/${former.release}`,
      })
      await helm.uninstall(
        { ...targetOf(release, release.timeoutMs), name: former.release, namespace: former.namespace },
        signal,
      )
      view.putRevisions(former.namespace, former.release, [])
    }
  }

  const wantedOf = async (release: HelmRelease, head: ChartHead, memory: Memory): Promise<Wanted> => {
    const last = memory.wanted
    const same =
      last?.release === release &&
      last.head.revision === head.revision &&
      last.head.identity === head.identity
    const before = same ? last : undefined
    const values = await composeValues(release, head, options.values, before?.values, signal)
    if (before?.values === values) return before
    const digest = inputDigest(release, head.identity, values.values)
    memory.wanted = { release, head, values, digest }
    return memory.wanted
  }

  const reconcile = async (release: HelmRelease, log: Log): Promise<number> => {
    const intervalMs = options.intervalOf(release)
    const memory = memoryOf(release)
    if (!release.finalizers.includes(finalizer)) {
      const finalizers = [...release.finalizers, finalizer]
      view.put(await cluster.patch(objectKeyOf(release), { metadata: { finalizers } }, signal))
    }

    const fail = async (
      error: FluxError,
      phase: Phase,
      attempt: FailedAttempt | undefined,
    ): Promise<number> => {
      log.write({ error: 'the release cannot be brought to what is wanted', phase, ...failureFields(error) })
      status.enter(release, phase, { detail: textOf(error) })
      status.finish(release, attempt)
      await tell(release, error)
      return Math.min(firstRetryMs * 2 ** memory.faults++, intervalMs)
    }

    let chart: ReturnType<typeof chartOf>
    let head: ChartHead
    let wanted: Wanted
    try {
      check(release)
    } catch (thrown) {
      return fail(asFluxError(thrown), 'Failed', status.of(release).attempt)
    }
    const missing = missingDependencies(release)
    if (missing.length > 0) {
      log.write({ info: `waiting for ${missing.join(', ')}`, action: 'sync' })
      return Math.min(firstRetryMs * 2 ** memory.faults++, intervalMs)
    }

    try {
      chart = chartOf(release)
      const wrote = JSON.stringify(chart)
      // mirrors are fetched by a loop of their own; ranges of versions are asked for each time
      const fresh = chart.kind === 'repository' || (memory.chart !== '' && memory.chart !== wrote)
      memory.chart = wrote
      head = await charts.head(chart, { fresh, signal })
      memory.revision = head.revision
    } catch (thrown) {
      const error = prefixed(asFluxError(thrown), 'failed to prepare chart for release')
      return fail(error, 'ChartFetchFailed', status.of(release).attempt)
    }
    try {
      wanted = await wantedOf(release, head, memory)
    } catch (thrown) {
      const error = asFluxError(thrown)
      if (error.code.startsWith('CLUSTER_') && error.kind === 'server') throw error
      return fail(
        prefixed(error, 'failed to compose values for release'),
        'Failed',
        status.of(release).attempt,
      )
    }
    const { values, digest } = wanted

    let prepared: Promise<PreparedChart> | undefined
    try {
      const outcome = await actor.run(
        {
          release,
          head,
          values,
          digest,
          repair: memory.repair,
          log,
          async prepare() {
            log.write({ info: 'preparing chart', chart: chartText(chart), revision: head.revision })
            prepared ??= charts.prepare(chart, head, signal)
            const ready = await prepared
            if (!hasCondition(status.of(release), 'ChartFetched', 'True')) {
              status.enter(release, 'ChartFetched')
            }
            return ready
          },
        },
        signal,
      )
      memory.repair = false
      const [error] = outcome.errors
      status.finish(release, outcome.attempt)
      const [newest] = view.revisions(release.targetNamespace, release.releaseName)
      status.showRelease(release, newest?.status ?? '')
      memory.faults = 0
      if (!outcome.acted) return waitFor(outcome.againAtMs, intervalMs)
      if (error) {
        await tell(release, error)
        // how long to wait is decided by the table
        return waitFor(clock.now().getTime(), intervalMs)
      }
      await removeFormer(release, log)
      const changed = outcome.changed.length > 0 ? ` (values changed: ${outcome.changed.join(', ')})` : ''
      await tell(release, undefined, changed)
      return intervalMs
    } catch (thrown) {
      const error = asFluxError(thrown)
      if (error.kind === 'server' && error.code.startsWith('CLUSTER_')) throw error
      const isChart = /^(CHART|GIT)_/.test(error.code)
      const before = status.of(release).attempt
      const attempt = {
        digest,
        failures: before?.digest === digest ? before.failures + 1 : 1,
        atMs: clock.now().getTime(),
      }
      return fail(
        isChart ? prefixed(error, 'failed to prepare chart for release') : error,
        isChart ? 'ChartFetchFailed' : 'Failed',
        isChart || error.code === 'HELM_OWNED_BY_OTHER' ? before : attempt,
      )
    } finally {
      await prepared?.then(({ release: letGo }) => letGo()).catch(() => {})
    }
  }

  const waitFor = (untilMs: number | undefined, intervalMs: number): number =>
    untilMs === undefined
      ? intervalMs
      : Math.min(Math.max(untilMs - clock.now().getTime(), 1_000), intervalMs)

  return {
    repair(release) {
      memoryOf(release).repair = true
    },
    hasSeen(release, revision) {
      const { faults, revision: seen } = memoryOf(release)
      return faults === 0 && seen === revision
    },
    async tellDrift({ apiVersion, kind, namespace, name, uid, releaseName, targetNamespace }, differences) {
      const message = `release '${releaseName}' in namespace '${targetNamespace}' differs from its manifest: ${differences.join(', ')}`
      options.log.write({ component: 'drift', warning: message })
      const regarding = { apiVersion, kind, namespace, name, uid }
      await cluster.writeEvent({ regarding, type: 'Warning', reason: 'DriftDetected', message, component })
    },
    async pass(key) {
      const release = view.releases.get(key)
      if (!release) return undefined
      const log = options.log.with({
        component: 'release',
        release: release.releaseName,
        targetNamespace: release.targetNamespace,
        resource: release.id,
        helmVersion: 'v3',
      })
      const startedMs = clock.monotonicMs()
      let success = false
      try {
        if (release.deleting) return await finalize(release, log)
        if (release.annotations.suspended) {
          log.write({ info: 'suspended', action: 'sync' })
          return options.intervalOf(release)
        }
        log.write({ info: 'starting sync run', action: 'sync' })
        const againMs = await reconcile(release, log)
        success = hasCondition(status.of(release), 'Released', 'True')
        return againMs
      } catch (thrown) {
        if (signal.aborted) return undefined
        // a neighbour is away: what the resource says stays as it is
        log.write({ error: 'the pass broke off', ...failureFields(thrown), ...stackOf(thrown) })
        const { faults } = memoryOf(release)
        memoryOf(release).faults++
        return Math.min(firstRetryMs * 2 ** faults, options.intervalOf(release))
      } finally {
        await status.written(release)
        const { targetNamespace, releaseName } = release
        const durationMs = clock.monotonicMs() - startedMs
        metrics.observeAction({ action: 'sync', success, durationMs, targetNamespace, releaseName })
      }
    },
  }
}

function asFluxError(thrown: unknown): FluxError {
  if (thrown instanceof FluxError) return thrown
  throw thrown
}

function prefixed(error: FluxError, prefix: string): FluxError {
  const { code, what, why, next } = error
  return new FluxError(code, {
    what: `${prefix}: ${what}`,
    ...(why !== undefined && { why }),
    ...(next !== undefined && { next }),
    cause: error,
  })
}

/** What happened and what to do, on one line. */
function textOf(error: FluxError): string {
  return [firstLine(error), error.why, error.next].filter(Boolean).join(' ')
}

function stackOf(thrown: unknown): { stack?: string } {
  return !(thrown instanceof FluxError) && thrown instanceof Error && thrown.stack
    ? { stack: thrown.stack }
    : {}
}
