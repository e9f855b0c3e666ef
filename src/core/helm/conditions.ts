import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../json.ts'

/**
 * The status of a HelmRelease: what each phase writes, and how the list of conditions grows.
 *
 * Types, reasons and the first sentence of each message are v1's, which people's alerts and `kubectl wait` name.
 * Follows `spec/helm-operator.md` §1.6 to §1.9; a detail may follow the sentence. Fields that v1 doesn't have stand
 * under `attempt`, which an older schema prunes and nothing depends on.
 */

export interface Condition {
  type: ConditionType
  status: 'True' | 'False' | 'Unknown'
  lastUpdateTime: string
  lastTransitionTime: string
  reason: string
  message: string
}

export type ConditionType = 'ChartFetched' | 'Deployed' | 'Released' | 'RolledBack' | 'Tested'

export interface HelmReleaseStatus {
  observedGeneration: number
  phase: string
  releaseName: string
  releaseStatus: string
  revision: string
  lastAttemptedRevision: string
  rollbackCount: number
  conditions: readonly Condition[]
  /** the last attempt that failed; absent where the last one did not */
  attempt: FailedAttempt | undefined
}

export interface FailedAttempt {
  /** of what was wanted */
  digest: string
  /** in a row, of this digest */
  failures: number
  /** when the last one ended */
  atMs: number
}

/** What each phase says; `R` and `N` stand for the release and its namespace. */
const phases = {
  ChartFetched: ['ChartFetched', 'True', "Chart fetch was successful for Helm release 'R' in 'N'."],
  ChartFetchFailed: ['ChartFetched', 'False', "Chart fetch failed for Helm release 'R' in 'N'.", 'Released'],
  Installing: ['Deployed', 'Unknown', "Running installation for Helm release 'R' in 'N'."],
  Upgrading: ['Deployed', 'Unknown', "Running upgrade for Helm release 'R' in 'N'."],
  Deployed: ['Deployed', 'True', "Installation or upgrade succeeded for Helm release 'R' in 'N'."],
  DeployFailed: [
    'Deployed',
    'False',
    "Installation or upgrade failed for Helm release 'R' in 'N'.",
    'Released',
  ],
  Testing: ['Tested', 'Unknown', "Testing Helm release 'R' in 'N'."],
  Tested: ['Tested', 'True', "Tested Helm release 'R' in 'N'."],
  TestFailed: ['Tested', 'False', "Test failed for Helm release 'R' in 'N'.", 'Released'],
  Succeeded: ['Released', 'True', "Release was successful for Helm release 'R' in 'N'."],
  Failed: ['Released', 'False', "Release failed for Helm release 'R' in 'N'."],
  RollingBack: ['RolledBack', 'Unknown', "Rolling back Helm release 'R' in 'N'."],
  RolledBack: ['RolledBack', 'True', "Rolled back Helm release 'R' in 'N'."],
  RollbackFailed: ['RolledBack', 'False', "Rollback failed for Helm release 'R' in 'N'."],
} as const satisfies Record<string, readonly [ConditionType, Condition['status'], string, 'Released'?]>

export type Phase = keyof typeof phases

export interface PhaseDetails {
  releaseName: string
  targetNamespace: string
  /** what went wrong and what to do; follows the fixed sentence */
  detail?: string
  /** of the chart; kept by phases that begin or end an attempt */
  revision?: string
  /** `TestFailed` of a release whose failing tests are ignored */
  testIgnored?: boolean
  now: Date
}

/** The status after a phase was entered. */
export function enterPhase(
  status: HelmReleaseStatus,
  phase: Phase,
  details: PhaseDetails,
): HelmReleaseStatus {
  const { releaseName, targetNamespace, detail, revision, testIgnored, now } = details
  const [type, state, sentence, second]: readonly [ConditionType, Condition['status'], string, 'Released'?] =
    phases[phase]
  const plain = sentence.replace("'R'", `'${releaseName}'`).replace("'N'", `'${targetNamespace}'`)
  const message = detail ? `${plain} ${detail}` : plain
  const at = now.toISOString().replace(/\.\d+Z$/, 'Z')
  const write = (to: HelmReleaseStatus, of: ConditionType, as: Condition['status']) =>
    setCondition(to, {
      type: of,
      status: as,
      lastUpdateTime: at,
      lastTransitionTime: at,
      reason: phase,
      message,
    })
  let next = write({ ...status, phase }, type, state)
  if (second !== undefined && !(phase === 'TestFailed' && testIgnored)) next = write(next, second, 'False')
  if (phase === 'Installing' || phase === 'Upgrading') {
    return { ...next, lastAttemptedRevision: revision ?? next.lastAttemptedRevision }
  }
  return phase === 'Succeeded' && revision !== undefined ? { ...next, revision } : next
}

/** Put a condition at the end of the list, in place of the one of its type. */
function setCondition(status: HelmReleaseStatus, condition: Condition): HelmReleaseStatus {
  const old = status.conditions.find(({ type }) => type === condition.type)
  const kept = old?.status === condition.status ? old.lastTransitionTime : condition.lastTransitionTime
  const released = condition.type === 'Released' && condition.status === 'True'
  const rolledBack = condition.type === 'RolledBack' && condition.status === 'True'
  const others = status.conditions.filter(
    ({ type }) => type !== condition.type && !(released && type === 'RolledBack'),
  )
  return {
    ...status,
    conditions: [...others, { ...condition, lastTransitionTime: kept }],
    rollbackCount: released ? 0 : status.rollbackCount + (rolledBack ? 1 : 0),
  }
}

function conditionOf(
  { conditions }: Pick<HelmReleaseStatus, 'conditions'>,
  type: ConditionType,
): Condition | undefined {
  return conditions.find((condition) => condition.type === type)
}

export function hasCondition(
  status: Pick<HelmReleaseStatus, 'conditions'>,
  type: ConditionType,
  state: Condition['status'],
): boolean {
  return conditionOf(status, type)?.status === state
}

/** Read the status of a resource; what isn't there is empty. */
export function readStatus(value: JsonValue | undefined): HelmReleaseStatus {
  const status = isJsonObject(value) ? value : {}
  const text = (key: string) => (typeof status[key] === 'string' ? status[key] : '')
  const number = (key: string) => (typeof status[key] === 'number' ? status[key] : 0)
  const conditions = Array.isArray(status['conditions']) ? status['conditions'].filter(isJsonObject) : []
  return {
    observedGeneration: number('observedGeneration'),
    phase: text('phase'),
    releaseName: text('releaseName'),
    releaseStatus: text('releaseStatus'),
    revision: text('revision'),
    lastAttemptedRevision: text('lastAttemptedRevision'),
    rollbackCount: number('rollbackCount'),
    conditions: conditions.map(readCondition),
    attempt: readAttempt(status['attempt']),
  }
}

function readCondition(condition: JsonObject): Condition {
  const text = (key: string) => (typeof condition[key] === 'string' ? condition[key] : '')
  const status = text('status')
  return {
    type: text('type') as ConditionType,
    status: status === 'True' || status === 'False' ? status : 'Unknown',
    lastUpdateTime: text('lastUpdateTime'),
    lastTransitionTime: text('lastTransitionTime'),
    reason: text('reason'),
    message: text('message'),
  }
}

function readAttempt(value: JsonValue | undefined): FailedAttempt | undefined {
  const digest = valueAt(value, 'digest')
  const failures = valueAt(value, 'failures')
  const time = valueAt(value, 'time')
  if (typeof digest !== 'string' || typeof failures !== 'number' || typeof time !== 'string') return undefined
  const atMs = Date.parse(time)
  return Number.isNaN(atMs) ? undefined : { digest, failures, atMs }
}

/** The merge patch that makes the status so: empty fields go. */
export function formatStatus(status: HelmReleaseStatus): JsonObject {
  const { attempt, conditions, rollbackCount, observedGeneration, ...texts } = status
  return {
    ...Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, text || null])),
    observedGeneration: observedGeneration || null,
    rollbackCount: rollbackCount || null,
    conditions: conditions.map((condition) => ({ ...condition })),
    attempt: attempt
      ? {
          digest: attempt.digest,
          failures: attempt.failures,
          time: new Date(attempt.atMs).toISOString(),
        }
      : null,
  }
}
