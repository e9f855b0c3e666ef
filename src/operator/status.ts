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
 * Writes what became of a release to the status of its HelmRelease, and only what differs. One write is on its way at a
 * time, since requests may overtake each other; what is said meanwhile goes into the next one. A write that fails is
 * logged and made good by the next one.
 */
export interface StatusWriter {
  /** the status as we know it, with all that we said */
  of(release: HelmRelease): HelmReleaseStatus
  enter(
    release: HelmRelease,
    phase: Phase,
    details?: Pick<PhaseDetails, 'detail' | 'revision' | 'testIgnored'>,
  ): void
  /** The end of a pass over this generation. */
  finish(release: HelmRelease, attempt: FailedAttempt | undefined): void
  /** What Helm's storage says of the release. */
  showRelease(release: HelmRelease, releaseStatus: string): void
  /** Resolves when everything that was said has been written, or could not be. */
  written(release: HelmRelease): Promise<void>
  forget(release: HelmRelease): void
}

export interface StatusWriterOptions {
  cluster: Cluster
  view: View
  metrics: OperatorMetrics
  clock: Clock
  log: Log
}

interface Entry {
  release: HelmRelease
  said: HelmReleaseStatus
  /** what the server has; absent after a write that failed: the next one holds all of it */
  sent: Readonly<Record<string, JsonValue>> | undefined
  isSending: boolean
  /** resolves when the writes that are on their way have ended */
  sending: Promise<void>
}

export function createStatusWriter({
  cluster,
  view,
  metrics,
  clock,
  log,
}: StatusWriterOptions): StatusWriter {
  /** by uid */
  const entries = new Map<string, Entry>()

  /** the resource that a worker holds may be older than what was said since */
  const of = (release: HelmRelease) => entries.get(release.uid)?.said ?? release.status

  const say = (release: HelmRelease, next: HelmReleaseStatus): void => {
    const known = entries.get(release.uid)
    if (known?.sent && isSame(known.said, next)) return
    const sent = format(release, release.status)
    const entry = known ?? { release, said: next, sent, isSending: false, sending: Promise.resolve() }
    entries.set(release.uid, Object.assign(entry, { release, said: next }))
    metrics.setConditions(release, next.conditions)
    if (!entry.isSending) entry.sending = send(entry)
  }

  const send = async (entry: Entry): Promise<void> => {
    entry.isSending = true
    for (;;) {
      const { release, said, sent } = entry
      const whole = format(release, said)
      const patch = sent ? difference(sent, whole) : whole
      if (patch === undefined) break
      try {
        const key = { ...objectKeyOf(release), subresource: 'status' as const }
        view.put(await cluster.patch(key, { status: patch }))
        entry.sent = whole
      } catch (thrown) {
        entry.sent = undefined
        log.write({ warning: 'the status cannot be written', ...failureFields(thrown) })
        if (entry.said === said) break
      }
    }
    entry.isSending = false // in the same breath as the last look: nothing is said in between
  }

  return {
    of,
    enter(release, phase, details = {}) {
      const { releaseName, targetNamespace } = release
      say(
        release,
        enterPhase(of(release), phase, { ...details, releaseName, targetNamespace, now: clock.now() }),
      )
    },
    finish(release, attempt) {
      const status = of(release)
      const observedGeneration = Math.max(status.observedGeneration, release.generation)
      say(release, { ...status, observedGeneration, attempt })
    },
    showRelease(release, releaseStatus) {
      const status = of(release)
      if (releaseStatus !== '') say(release, { ...status, releaseName: release.releaseName, releaseStatus })
    },
    written: async ({ uid }) => entries.get(uid)?.sending,
    forget({ uid }) {
      entries.delete(uid)
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
