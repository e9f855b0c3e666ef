import { FluxError } from '../core/errors.ts'
import { type FailedAttempt, type HelmReleaseStatus, hasCondition } from '../core/helm/conditions.ts'
import { type Action, decide } from '../core/helm/decide.ts'
import { ownerMark } from '../core/helm/digest.ts'
import type { HelmRelease } from '../core/helm/resource.ts'
import { digestLabel, ownerLabel, type Revision, revisionLabel } from '../core/helm/revision.ts'
import { changedKeys, isSame } from '../core/helm/values.ts'
import type { Clock } from '../ports/clock.ts'
import type {
  ChartHead,
  Helm,
  HelmReleaseContent,
  HelmStorage,
  PreparedChart,
  ReleaseTarget,
  UpgradeOptions,
} from '../ports/helm.ts'
import type { Log } from '../ports/log.ts'
import type { HelmAction, OperatorMetrics } from '../ports/operator-metrics.ts'
import type { Ownership } from './ownership.ts'
import type { StatusWriter } from './status.ts'
import { failureFields } from './tell.ts'
import type { ComposedValues } from './values.ts'

/**
 * Does what was decided: one helm process a step, each step's outcome written down before the next, so that whoever
 * comes after a crash can go on. A step that changes what the decision stood on is followed by another decision.
 *
 * Phases, log lines and their order are v1's (`spec/helm-operator.md` §2.6). What differs: a failed installation is
 * kept for people to look at and removed by the next try; a rollback names its revision.
 */

export interface Actor {
  /**
   * Bring a release to what is wanted, as far as it is due.
   *
   * @returns what came of it; a failure is an outcome too
   * @throws FluxError of kind `server` where a neighbour is away: nothing is known then
   */
  run(work: Work, signal: AbortSignal): Promise<Outcome>
}

export interface Work {
  release: HelmRelease
  head: ChartHead
  values: ComposedValues
  digest: string
  /** upgrade also where nothing is new */
  repair: boolean
  /** fetch the chart; called at most once */
  prepare(): Promise<PreparedChart>
  log: Log
}

export interface Outcome {
  /** whether anything was tried */
  acted: boolean
  /** what went wrong, newest first */
  errors: readonly FluxError[]
  /** to keep in the status */
  attempt: FailedAttempt | undefined
  /** when to look again, at the latest; absent: at the usual interval */
  againAtMs?: number
  /** keys whose values changed, for the event */
  changed: readonly string[]
}

export interface ActorOptions {
  helm: Helm
  storage: HelmStorage
  status: StatusWriter
  ownership: Ownership
  metrics: OperatorMetrics
  recoverPending: boolean
  logDiffs: boolean
  intervalOf(release: HelmRelease): number
  /** as the watch knows them */
  revisions(release: HelmRelease): readonly Revision[]
  putRevisions(release: HelmRelease, revisions: readonly Revision[]): void
  clock: Clock
}

/** Steps in one pass; a release that is not right by then is looked at again later. */
const maxSteps = 5

export function createActor(options: ActorOptions): Actor {
  const { helm, storage, status, ownership, metrics, clock } = options
  const startedAtMs = clock.now().getTime()
  /** by uid: a revision of somebody else's that a dry run found equal */
  const compared = new Map<string, { revision: number; digest: string }>()

  const decideNow = ({ release, digest }: Work, revisions: readonly Revision[]): Action =>
    decide(
      { digest, settings: release },
      {
        nowMs: clock.now().getTime(),
        revisions,
        status: status.of(release),
        compared: compared.get(release.uid),
        startedAtMs,
        recoverPending: options.recoverPending,
        intervalMs: options.intervalOf(release),
      },
    )

  const listNow = async (release: HelmRelease, signal: AbortSignal): Promise<Revision[]> => {
    const revisions = await storage.list(release.targetNamespace, release.releaseName, signal)
    options.putRevisions(release, revisions)
    return revisions
  }

  /** Run one step, timed and told. */
  const step = async <T>(work: Work, action: HelmAction, doing: () => Promise<T>): Promise<T> => {
    const startedMs = clock.monotonicMs()
    const words =
      action === 'dry-run-compare' ? 'dry-run upgrade to compare with release version' : nouns[action]
    if (words) work.log.write({ info: `running ${words}`, action })
    let success = false
    try {
      const result = await doing()
      success = true
      if (words && action !== 'dry-run-compare') work.log.write({ info: `${words} succeeded`, action })
      return result
    } catch (thrown) {
      if (words) work.log.write({ error: `${words} failed`, action, ...failureFields(thrown) })
      throw thrown
    } finally {
      const { targetNamespace, releaseName } = work.release
      const durationMs = clock.monotonicMs() - startedMs
      metrics.observeAction({ action, success, durationMs, targetNamespace, releaseName })
    }
  }

  const attemptAfter = (work: Work, before: HelmReleaseStatus): FailedAttempt => ({
    digest: work.digest,
    failures: before.attempt?.digest === work.digest ? before.attempt.failures + 1 : 1,
    atMs: clock.now().getTime(),
  })

  const contentOf = (
    { release }: Work,
    revision: number | undefined,
    signal: AbortSignal,
  ): Promise<HelmReleaseContent | undefined> =>
    revision === undefined
      ? Promise.resolve(undefined)
      : storage.read(release.targetNamespace, release.releaseName, revision, signal).catch(() => undefined) // helm will say what is wrong with it

  const upgradeOptions = (
    work: Work,
    chart: PreparedChart,
    newest: number,
    content: HelmReleaseContent | undefined,
  ): UpgradeOptions => {
    const { release, values } = work
    return {
      ...targetOf(release, release.timeoutMs),
      chart: chart.path,
      values: values.values,
      secrets: values.secrets,
      labels: labelsFor(work, newest + 1),
      wait: release.wait,
      disableOpenApiValidation: release.disableOpenApiValidation,
      force: release.force,
      reuseValues: release.reuseValues,
      maxHistory: release.maxHistory,
      serverSide: content?.serverSide ?? false,
    }
  }

  /** Tests, when they are wanted. @returns the error of failed tests that count */
  const test = async (work: Work, signal: AbortSignal): Promise<FluxError | undefined> => {
    const { release, log } = work
    if (!release.test.enable) return undefined
    status.enter(release, 'Testing')
    try {
      await step(work, 'test', () => helm.test(targetOf(release, release.test.timeoutMs), signal))
      status.enter(release, 'Tested')
      return undefined
    } catch (thrown) {
      const error = ours(thrown, 'test failed', signal)
      const testIgnored = release.test.ignoreFailures
      status.enter(release, 'TestFailed', { detail: firstLine(error), testIgnored })
      if (!testIgnored) return error
      log.write({ info: 'test failed - ignoring failures', action: 'test' })
      return undefined
    }
  }

  const rollBack = async (work: Work, revision: number, signal: AbortSignal): Promise<FluxError[]> => {
    const { release } = work
    const { rollback, maxHistory } = release
    const serverSide = (await contentOf(work, revision, signal))?.serverSide ?? false
    status.enter(release, 'RollingBack')
    await status.written(release) // whoever finds the revision pending knows it for ours by that
    try {
      await step(work, 'rollback', () =>
        helm.rollback(
          { ...targetOf(release, rollback.timeoutMs), ...rollback, revision, maxHistory, serverSide },
          signal,
        ),
      )
      status.enter(release, 'RolledBack')
      const [newest] = await listNow(release, signal)
      if (newest) await annotate(work, newest.number, signal)
      return []
    } catch (thrown) {
      const error = ours(thrown, 'rollback failed', signal)
      status.enter(release, 'RollbackFailed', { detail: firstLine(error) })
      return [error]
    }
  }

  const annotate = async (work: Work, revision: number, signal: AbortSignal): Promise<void> => {
    await step(work, 'annotate', () => ownership.annotate(work.release, revision, signal)).catch((thrown) => {
      if (signal.aborted) throw thrown
    })
  }

  /** Install or upgrade, test, and undo what failed. */
  const deploy = async (
    work: Work,
    how: { install: true } | { install: false; rollbackTo: number | undefined },
    before: readonly Revision[],
    signal: AbortSignal,
  ): Promise<Outcome> => {
    const { release, head, values } = work
    const statusBefore = status.of(release)
    const newest = before[0]?.number ?? 0
    const chart = await work.prepare()
    const content = await contentOf(work, before[0]?.number, signal)
    const changed = content ? changedKeys(content.config, values.values) : []
    if (options.logDiffs && changed.length > 0) {
      work.log.write({ info: 'values differ', keys: changed, action: how.install ? 'install' : 'upgrade' })
    }
    const errors: FluxError[] = []
    status.enter(release, how.install ? 'Installing' : 'Upgrading', { revision: head.revision })
    try {
      const inputs = upgradeOptions(work, chart, newest, content)
      if (how.install) {
        await step(work, 'install', () => helm.install({ ...inputs, skipCrds: release.skipCrds }, signal))
      } else await step(work, 'upgrade', () => helm.upgrade(inputs, signal))
      status.enter(release, 'Deployed')
      const failed = await test(work, signal)
      if (failed) errors.push(failed)
    } catch (thrown) {
      const error = ours(thrown, how.install ? 'installation failed' : 'upgrade failed', signal)
      if (error.code === 'CLUSTER_UNREACHABLE') throw error
      errors.push(error)
      status.enter(release, 'DeployFailed', { detail: firstLine(error) })
    }
    const [now] = await listNow(release, signal)
    if (errors.length === 0) {
      status.enter(release, 'Succeeded', { revision: head.revision })
      if (now) await annotate(work, now.number, signal)
      return { acted: true, errors, attempt: undefined, changed }
    }
    const attempt = attemptAfter(work, statusBefore)
    const madeOne = now !== undefined && now.number > newest
    if (!how.install && release.rollback.enable && how.rollbackTo !== undefined && madeOne) {
      errors.unshift(...(await rollBack(work, how.rollbackTo, signal)))
    }
    return { acted: true, errors: errors.map((error) => hide(error, values.secrets)), attempt, changed }
  }

  /** Whether a dry run finds the release as wanted. */
  const isAsWanted = async (
    work: Work,
    action: Extract<Action, { do: 'compare' }>,
    newest: number,
    signal: AbortSignal,
  ): Promise<boolean> => {
    const { release } = work
    const chart = await work.prepare()
    const stored = await storage.read(release.targetNamespace, release.releaseName, action.with, signal)
    const wanted = await step(work, 'dry-run-compare', () =>
      helm.dryRunUpgrade(upgradeOptions(work, chart, newest, stored), signal),
    )
    return stored !== undefined && isSameContent(stored, wanted)
  }

  return {
    async run(work, signal) {
      const { release, log, digest } = work
      const unchanged = { acted: false, errors: [], attempt: status.of(release).attempt, changed: [] }
      let revisions: readonly Revision[] = options.revisions(release)
      let fresh = false
      let acted = false
      for (let steps = 0; steps < maxSteps; steps++) {
        let action = decideNow(work, revisions)
        if (!fresh && !['nothing', 'wait', 'hold'].includes(action.do)) {
          // the watch may be behind: look before anything is done
          revisions = await listNow(release, signal)
          fresh = true
          action = decideNow(work, revisions)
        }
        const [newest] = revisions
        // what a mark tells costs nothing; where there is none, objects would have to be asked for
        const mayAsk = action.do !== 'nothing' || newest?.owner !== undefined
        const owner = mayAsk ? await ownership.ownerOf(release, newest, signal) : undefined
        if (owner !== undefined) throw ownedBy(owner)
        switch (action.do) {
          case 'nothing': {
            if (work.repair) {
              const now = await listNow(release, signal)
              return deploy(work, { install: false, rollbackTo: now[0]?.number }, now, signal)
            }
            log.write({ info: 'no changes', action: 'sync' })
            const { phase } = status.of(release)
            if (phase !== 'Succeeded') status.enter(release, 'Succeeded', { revision: work.head.revision })
            return { ...unchanged, acted, attempt: undefined }
          }
          case 'wait':
            log.write({ info: `waiting: ${action.why}`, action: 'sync' })
            return { ...unchanged, acted, againAtMs: action.untilMs }
          case 'hold':
            log.write({ info: `held: ${action.why}`, action: 'sync' })
            if (!hasCondition(status.of(release), 'Released', 'False')) {
              status.enter(release, 'Failed', { detail: action.why })
            }
            return { ...unchanged, acted }
          case 'install':
            return deploy(work, { install: true }, revisions, signal)
          case 'upgrade':
            return deploy(work, { install: false, rollbackTo: action.rollbackTo }, revisions, signal)
          case 'compare':
            if (await isAsWanted(work, action, newest?.number ?? 0, signal)) {
              compared.set(release.uid, { revision: newest?.number ?? 0, digest })
              if (newest) await annotate(work, newest.number, signal)
              continue
            }
            log.write({ info: 'difference detected during release comparison', action: 'dry-run-compare' })
            return deploy(work, { install: false, rollbackTo: action.rollbackTo }, revisions, signal)
          case 'uninstall':
            log.write({ info: `removing the release: ${action.why}`, action: 'uninstall' })
            await step(work, 'uninstall', () => helm.uninstall(targetOf(release, release.timeoutMs), signal))
            break
          case 'recover':
            log.write({
              info: `going back to revision ${action.rollbackTo}: ${action.why}`,
              action: 'rollback',
            })
            await step(work, 'rollback', async () =>
              helm.rollback(
                {
                  ...targetOf(release, release.timeoutMs),
                  ...release.rollback,
                  timeoutMs: release.timeoutMs,
                  wait: false,
                  revision: action.rollbackTo,
                  maxHistory: release.maxHistory,
                  serverSide: (await contentOf(work, action.rollbackTo, signal))?.serverSide ?? false,
                },
                signal,
              ),
            )
            break
          case 'rollback': {
            const errors = await rollBack(work, action.rollbackTo, signal)
            return { ...unchanged, acted: true, errors }
          }
        }
        acted = true
        revisions = await listNow(release, signal)
      }
      return { ...unchanged, acted }
    },
  }
}

const nouns: Partial<Record<HelmAction, string>> = {
  install: 'installation',
  upgrade: 'upgrade',
  test: 'test',
  rollback: 'rollback',
  uninstall: 'uninstall',
}

export function targetOf(release: HelmRelease, timeoutMs: number): ReleaseTarget {
  return {
    name: release.releaseName,
    namespace: release.targetNamespace,
    timeoutMs,
    ...(release.serviceAccount !== '' && {
      serviceAccount: `${release.namespace}:${release.serviceAccount}`,
    }),
  }
}

function labelsFor({ release, digest }: Work, revision: number): Record<string, string> {
  return {
    [digestLabel]: digest,
    [revisionLabel]: String(revision),
    [ownerLabel]: ownerMark(release.id),
  }
}

/** What v1 compares: the values given, and of the chart its name, versions, defaults and templates. */
function isSameContent(a: HelmReleaseContent, b: HelmReleaseContent): boolean {
  const templates = ({ chart }: HelmReleaseContent) =>
    Object.fromEntries(chart.templates.map(({ name, data }) => [name, data]))
  return (
    isSame(a.config, b.config) &&
    a.chart.name === b.chart.name &&
    a.chart.version === b.chart.version &&
    a.chart.appVersion === b.chart.appVersion &&
    isSame(a.chart.values, b.chart.values) &&
    isSame(templates(a), templates(b))
  )
}

/** A failure of a step under v1's prefix; whatever else is thrown goes on. */
function ours(thrown: unknown, prefix: string, signal: AbortSignal): FluxError {
  if (signal.aborted || !(thrown instanceof FluxError)) throw thrown
  const { code, what, why, next } = thrown
  return new FluxError(code, {
    what: `${prefix}: ${what}`,
    ...(why !== undefined && { why }),
    ...(next !== undefined && { next }),
    cause: thrown,
  })
}

function hide(error: FluxError, secrets: readonly string[]): FluxError {
  const hidden = secrets.reduce((text, secret) => text.replaceAll(secret, '***'), error.what)
  if (hidden === error.what) return error
  const { code, why, next } = error
  return new FluxError(code, {
    what: hidden,
    ...(why !== undefined && { why }),
    ...(next !== undefined && { next }),
  })
}

export function firstLine({ what }: FluxError): string {
  return what.split('\n')[0] ?? ''
}

function ownedBy(owner: string): FluxError {
  return new FluxError('HELM_OWNED_BY_OTHER', {
    what: `release appears to be managed by '${owner}'`,
    next: 'Give one of the two another spec.releaseName.',
  })
}
