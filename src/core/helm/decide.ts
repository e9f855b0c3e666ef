import { type HelmReleaseStatus, hasCondition } from './conditions.ts'
import type { HelmRelease } from './resource.ts'
import { lastDeployed, type Revision } from './revision.ts'

/**
 * What to do next with one release: observed and desired state in, one action out. Nothing is asked and nothing is
 * done here.
 *
 * The newest revision of Helm's storage decides, whoever made it. A revision that we made carries the digest of what
 * was wanted then; one that somebody else made is compared by a dry run. Follows `spec/helm-operator.md` §2.5 with what
 * §7 asks to do better: nothing stays stuck in `pending-…` or `failed`, nothing is repeated without end.
 */

export interface Desired {
  /** of everything that makes the release what it is; see `inputDigest` */
  digest: string
  /** of the resource */
  settings: Pick<HelmRelease, 'generation' | 'rollback' | 'test' | 'timeoutMs'>
}

export interface Observed {
  nowMs: number
  /** every revision, newest first */
  revisions: readonly Revision[]
  status: HelmReleaseStatus
  /** a comparison found this revision equal to this digest */
  compared: { revision: number; digest: string } | undefined
  /** when this operator began: an older rollback that is pending was left by another */
  startedAtMs: number
  /** leave `pending-…` to a person */
  recoverPending: boolean
  /** between two looks at a release */
  intervalMs: number
}

export type Action =
  /** all is as it should be */
  | { do: 'nothing' }
  | { do: 'install' }
  /** `rollbackTo`: where to go if it fails, the last revision that was deployed */
  | { do: 'upgrade'; rollbackTo: number | undefined }
  /** dry run against a revision that we did not make; upgrade where they differ */
  | { do: 'compare'; with: number; rollbackTo: number }
  /** remove what is left of the release, then decide again */
  | { do: 'uninstall'; why: string }
  /** go back to a revision that was deployed, then decide again */
  | { do: 'recover'; rollbackTo: number; why: string }
  /** the upgrade failed and its rollback is still to be done */
  | { do: 'rollback'; rollbackTo: number }
  | { do: 'wait'; untilMs: number; why: string }
  /** until something changes */
  | { do: 'hold'; why: string }

/** After a release that failed, the first wait is the interval; it doubles up to this. */
const longestWaitMs = 3_600_000
/** A try that left no revision behind (a template, a missing CRD, values) costs little: soon again. */
const firstRetryMs = 10_000
/** Beyond the time limit of a release, until a pending revision of somebody else counts as left alone. */
const pendingMarginMs = 60_000

export function decide(desired: Desired, observed: Observed): Action {
  const { revisions, nowMs } = observed
  const [newest] = revisions
  if (newest === undefined) return afterFailures(desired, observed, { do: 'install' })
  const deployed = lastDeployed(revisions)

  switch (newest.status) {
    case 'pending-install':
    case 'pending-upgrade':
    case 'pending-rollback':
      return decidePending(desired, observed, newest, deployed)
    case 'uninstalling':
      return { do: 'uninstall', why: 'an uninstallation was interrupted' }
    case 'uninstalled':
      return { do: 'uninstall', why: 'only the history of an uninstalled release is left' }
    case 'failed':
      return decideFailed(desired, observed, newest, deployed)
    case 'superseded':
      return { do: 'recover', rollbackTo: newest.number, why: 'the deployed revision is gone' }
    case 'unknown':
      return { do: 'hold', why: `status 'unknown' of release does not allow a safe upgrade` }
    case 'deployed':
      return decideDeployed(desired, observed, newest, nowMs)
  }
}

function decidePending(
  { settings }: Desired,
  { nowMs, startedAtMs, recoverPending, status }: Observed,
  newest: Revision,
  deployed: Revision | undefined,
): Action {
  if (!recoverPending) {
    return { do: 'hold', why: `status '${newest.status}' of release does not allow a safe upgrade` }
  }
  // whoever asks for a decision runs no helm for this release: a pending revision of ours was left by one that is gone
  const rollsBack = newest.status === 'pending-rollback'
  const orphaned =
    newest.digest !== undefined ||
    (rollsBack && (newest.modifiedAtMs < startedAtMs || hasCondition(status, 'RolledBack', 'Unknown')))
  const oldAtMs = newest.modifiedAtMs + settings.timeoutMs + pendingMarginMs
  if (!orphaned && nowMs < oldAtMs) {
    return {
      do: 'wait',
      untilMs: oldAtMs,
      why: `another operation (${newest.status.slice('pending-'.length)}) is in progress`,
    }
  }
  const why = `revision ${newest.number} was left ${newest.status}`
  return deployed ? { do: 'recover', rollbackTo: deployed.number, why } : { do: 'uninstall', why }
}

function decideFailed(
  desired: Desired,
  observed: Observed,
  newest: Revision,
  deployed: Revision | undefined,
): Action {
  const { digest, settings } = desired
  const { status, revisions } = observed
  const upgrade: Action = { do: 'upgrade', rollbackTo: deployed?.number }
  // the newest that we made: a rollback that failed stands above it
  const ours = revisions.find((revision) => revision.digest !== undefined)
  if (ours?.digest !== digest) return afterFailures(desired, observed, upgrade)
  if (hasCondition(status, 'RolledBack', 'False')) return { do: 'hold', why: 'the rollback failed as well' }
  const again: Action = deployed ? upgrade : { do: 'uninstall', why: 'the installation failed' }
  // helm was told to end before it was through: that is no failure of the release
  if (newest !== ours || !hasCondition(status, 'Deployed', 'False')) return again
  if (deployed && settings.rollback.enable) return { do: 'rollback', rollbackTo: deployed.number }
  return afterFailures(desired, observed, again, deployed && settings.rollback.maxRetries)
}

function decideDeployed(desired: Desired, observed: Observed, newest: Revision, nowMs: number): Action {
  const { digest, settings } = desired
  const { revisions, status, compared, intervalMs } = observed
  const upgrade: Action = { do: 'upgrade', rollbackTo: newest.number }
  if (newest.digest === digest) {
    const failedTests = settings.test.enable && !settings.test.ignoreFailures
    if (!failedTests || status.attempt?.digest !== digest) return { do: 'nothing' }
    return newest.number === 1
      ? afterFailures(desired, observed, { do: 'uninstall', why: 'its tests failed' })
      : { do: 'hold', why: 'its tests failed' }
  }
  if (newest.digest !== undefined) return afterFailures(desired, observed, upgrade)

  // a rollback, or made by somebody else
  if (hasCondition(status, 'RolledBack', 'True')) {
    const undone = revisions.find((revision) => revision.digest !== undefined)
    if (undone?.digest === digest) {
      const { retry, maxRetries } = settings.rollback
      if (!retry) return { do: 'hold', why: 'this was rolled back' }
      if (maxRetries > 0 && status.rollbackCount > maxRetries) {
        return { do: 'hold', why: `this was rolled back ${status.rollbackCount} times` }
      }
      const dueMs = (status.attempt?.atMs ?? 0) + waitMs(status.rollbackCount, intervalMs)
      if (nowMs < dueMs) return { do: 'wait', untilMs: dueMs, why: 'this was rolled back' }
      return upgrade
    }
    if (undone !== undefined || status.observedGeneration < settings.generation) return upgrade
    // rolled back by v1, which left no digest
    const failed = revisions.find((revision) => revision !== newest && revision.number < newest.number)
    return compareUnlessKnown(failed ?? newest, newest.number, digest, compared)
  }
  if (status.observedGeneration > 0 && status.observedGeneration < settings.generation) {
    return afterFailures(desired, observed, upgrade)
  }
  const compare = compareUnlessKnown(newest, newest.number, digest, compared)
  return compare.do === 'compare' ? afterFailures(desired, observed, compare) : compare
}

function compareUnlessKnown(
  revision: Revision,
  rollbackTo: number,
  digest: string,
  compared: Observed['compared'],
): Action {
  return compared?.revision === revision.number && compared.digest === digest
    ? { do: 'nothing' }
    : { do: 'compare', with: revision.number, rollbackTo }
}

/**
 * An action, unless it failed for this very digest before: then it waits, longer each time.
 *
 * @param bound after so many failures it is not tried again; 0 or absent: no bound
 */
function afterFailures(
  { digest }: Desired,
  { status, nowMs, intervalMs, revisions }: Observed,
  action: Action,
  bound = 0,
): Action {
  const { attempt } = status
  if (attempt?.digest !== digest || attempt.failures === 0) return action
  if (bound > 0 && attempt.failures > bound) {
    return { do: 'hold', why: `it failed ${attempt.failures} times; change the spec or the chart` }
  }
  const left = revisions[0]?.digest === digest
  const first = left ? intervalMs : Math.min(firstRetryMs, intervalMs)
  const untilMs = attempt.atMs + Math.min(waitMs(attempt.failures, first), left ? longestWaitMs : intervalMs)
  return nowMs < untilMs ? { do: 'wait', untilMs, why: `it failed ${attempt.failures} times` } : action
}

function waitMs(times: number, firstMs: number): number {
  return Math.min(firstMs * 2 ** Math.max(0, times - 1), longestWaitMs)
}
