import {
  enterPhase,
  type FailedAttempt,
  formatStatus,
  type HelmReleaseStatus,
  type Phase,
  type PhaseDetails,
} from '../core/helm/conditions.ts'
import { olderStatus } from '../core/helm/older.ts'
import type { HelmRelease } from '../core/helm/resource.ts'
import type { JsonValue } from '../core/json.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster } from '../ports/cluster.ts'
import type { Log } from '../ports/log.ts'
import type { OperatorMetrics } from '../ports/operator-metrics.ts'
import { failureFields } from './tell.ts'
import { objectKeyOf, type View } from './view.ts'

/**
 * Writes what became of a release to the status of its HelmRelease, one phase at a time and only where it differs. A
 * write that fails is logged and made good by the next one.
 */
export interface StatusWriter {
  /** the status as we know it, the newest write of ours included */
  of(release: HelmRelease): HelmReleaseStatus
  enter(
    release: HelmRelease,
    phase: Phase,
    details?: Pick<PhaseDetails, 'detail' | 'revision' | 'testIgnored'>,
  ): Promise<void>
  /** The end of a pass over this generation. */
  finish(release: HelmRelease, attempt: FailedAttempt | undefined): Promise<void>
  /** What Helm's storage says of the release. */
  showRelease(release: HelmRelease, releaseStatus: string): Promise<void>
  forget(release: HelmRelease): void
}

export interface StatusWriterOptions {
  cluster: Cluster
  view: View
  metrics: OperatorMetrics
  clock: Clock
  log: Log
}

export function createStatusWriter({
  cluster,
  view,
  metrics,
  clock,
  log,
}: StatusWriterOptions): StatusWriter {
  /** by uid: the resource that a worker holds may be older than what it wrote since */
  const written = new Map<string, HelmReleaseStatus>()

  /** by uid: the last write on its way; the next one waits, for requests may overtake each other */
  const writing = new Map<string, Promise<void>>()
  /** by uid: a write failed, so the next one holds the whole status */
  const lost = new Set<string>()

  const of = (release: HelmRelease) => written.get(release.uid) ?? release.status

  const write = async (release: HelmRelease, next: HelmReleaseStatus): Promise<void> => {
    const { uid } = release
    const before = of(release)
    const known = written.has(uid)
    if (known && !lost.has(uid) && isSame(before, next)) return writing.get(uid)
    const whole = format(release, next)
    const patch = lost.has(uid) ? whole : difference(format(release, before), whole)
    if (patch === undefined && known) return writing.get(uid)
    written.set(uid, next)
    metrics.setConditions(release, next.conditions)
    if (patch === undefined) return
    const sent = (writing.get(uid) ?? Promise.resolve()).then(() => send(release, patch))
    writing.set(uid, sent)
    await sent
    if (writing.get(uid) === sent) writing.delete(uid)
  }

  const send = async (release: HelmRelease, patch: Readonly<Record<string, JsonValue>>): Promise<void> => {
    try {
      const key = { ...objectKeyOf(release), subresource: 'status' as const }
      view.put(await cluster.patch(key, { status: patch }))
      lost.delete(release.uid)
    } catch (thrown) {
      lost.add(release.uid)
      log.write({ warning: 'the status cannot be written', ...failureFields(thrown) })
    }
  }

  return {
    of,
    enter(release, phase, details = {}) {
      const { releaseName, targetNamespace } = release
      return write(
        release,
        enterPhase(of(release), phase, { ...details, releaseName, targetNamespace, now: clock.now() }),
      )
    },
    finish(release, attempt) {
      const status = of(release)
      const observedGeneration = Math.max(status.observedGeneration, release.generation)
      return write(release, { ...status, observedGeneration, attempt })
    },
    showRelease(release, releaseStatus) {
      const status = of(release)
      if (releaseStatus === '') return Promise.resolve()
      return write(release, { ...status, releaseName: release.releaseName, releaseStatus })
    },
    forget({ uid }) {
      written.delete(uid)
      lost.delete(uid)
    },
  }
}

/** Whether nothing was said anew; cheaper than to compare what would be written. */
function isSame(a: HelmReleaseStatus, b: HelmReleaseStatus): boolean {
  return Object.entries(a).every(([key, value]) => value === b[key as keyof HelmReleaseStatus])
}

/** In the words of the resource's own generation. */
function format({ shape }: HelmRelease, status: HelmReleaseStatus): Readonly<Record<string, JsonValue>> {
  if (shape === 'v1') return formatStatus(status)
  return formatStatus({ ...status, releaseStatus: olderStatus(status.releaseStatus) })
}

/** The members of a patch that say something new; `undefined` where none does. */
function difference(
  before: Readonly<Record<string, JsonValue>>,
  after: Readonly<Record<string, JsonValue>>,
): Record<string, JsonValue> | undefined {
  const changed = Object.entries(after).filter(
    ([key, value]) => JSON.stringify(value) !== JSON.stringify(before[key]),
  )
  return changed.length === 0 ? undefined : Object.fromEntries(changed)
}
