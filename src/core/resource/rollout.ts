import { type JsonObject, type JsonValue, valueAt } from '../json.ts'
import { isHelmReleaseKind } from './workload.ts'

/** How far a workload's rollout has come, read from the live object (`spec/flux-v1/resources.md` §5). */

/** Counts of pods. */
export interface Rollout {
  desired: number
  updated: number
  ready: number
  available: number
  outdated: number
  /** why it doesn't get on */
  messages: readonly string[]
}

export interface RolloutStatus {
  /** `started`, `updating`, `ready`, `error`; of a HelmRelease its Helm release's own, such as `deployed`, or `rolled-back` */
  status: string
  rollout: Rollout
}

const noRollout: Rollout = { desired: 0, updated: 0, ready: 0, available: 0, outdated: 0, messages: [] }

export function readRollout(kind: string, object: JsonObject): RolloutStatus {
  if (isHelmReleaseKind(kind)) {
    const status = valueAt(object, 'status', 'releaseStatus')
    if (isRolledBack(object)) return { status: 'rolled-back', rollout: noRollout }
    return { status: typeof status === 'string' ? status : '', rollout: noRollout }
  }
  switch (kind.toLowerCase()) {
    case 'deployment':
      return readDeployment(object)
    case 'daemonset':
      return readDaemonSet(object)
    case 'statefulset':
      return readStatefulSet(object)
    default:
      return { status: 'ready', rollout: noRollout }
  }
}

/** Git asks for more than runs: the last upgrade was undone, and Helm's own word would be `deployed`. */
function isRolledBack(object: JsonObject): boolean {
  const conditions = valueAt(object, 'status', 'conditions')
  return (
    Array.isArray(conditions) &&
    conditions.some((one) => valueAt(one, 'type') === 'RolledBack' && valueAt(one, 'status') === 'True')
  )
}

function readDeployment(object: JsonObject): RolloutStatus {
  const desired = countAt(object, 1, 'spec', 'replicas')
  const updated = countAt(object, 0, 'status', 'updatedReplicas')
  const rollout: Rollout = {
    desired,
    updated,
    ready: countAt(object, 0, 'status', 'readyReplicas'),
    available: countAt(object, 0, 'status', 'availableReplicas'),
    outdated: countAt(object, 0, 'status', 'replicas') - updated,
    messages: failuresOf(valueAt(object, 'status', 'conditions')),
  }
  if (isBehind(object)) return { status: 'started', rollout }
  if (rollout.messages.length > 0) return { status: 'error', rollout }
  return { status: isComplete(rollout) ? 'ready' : 'updating', rollout }
}

function readDaemonSet(object: JsonObject): RolloutStatus {
  const updated = countAt(object, 0, 'status', 'updatedNumberScheduled')
  const rollout: Rollout = {
    desired: countAt(object, 0, 'status', 'desiredNumberScheduled'),
    updated,
    ready: countAt(object, 0, 'status', 'numberReady'),
    available: countAt(object, 0, 'status', 'numberAvailable'),
    outdated: countAt(object, 0, 'status', 'currentNumberScheduled') - updated,
    messages: [],
  }
  if (isBehind(object)) return { status: 'started', rollout }
  return { status: isComplete(rollout) ? 'ready' : 'updating', rollout }
}

function readStatefulSet(object: JsonObject): RolloutStatus {
  const replicas = countAt(object, 1, 'spec', 'replicas')
  const partition = countAt(object, 0, 'spec', 'updateStrategy', 'rollingUpdate', 'partition')
  const desired = Math.max(0, replicas - partition)
  const rolling = valueAt(object, 'status', 'currentRevision') !== valueAt(object, 'status', 'updateRevision')
  const updated = countAt(object, 0, 'status', rolling ? 'updatedReplicas' : 'currentReplicas')
  const ready = countAt(object, 0, 'status', 'readyReplicas')
  const rollout: Rollout = {
    desired,
    updated,
    ready,
    available: ready,
    outdated: desired - updated,
    messages: [],
  }
  if (isBehind(object)) return { status: 'started', rollout }
  const complete = updated === desired && ready === replicas && rollout.outdated === 0
  return { status: complete ? 'ready' : 'updating', rollout }
}

/** Its controller hasn't looked at the newest version yet. */
function isBehind(object: JsonObject): boolean {
  return countAt(object, 0, 'status', 'observedGeneration') < countAt(object, 0, 'metadata', 'generation')
}

function isComplete({ desired, updated, available, outdated }: Rollout): boolean {
  return updated === desired && available === desired && outdated === 0
}

/** Messages of the conditions `Progressing=False` and `ReplicaFailure=True`. */
function failuresOf(conditions: JsonValue | undefined): string[] {
  if (!Array.isArray(conditions)) return []
  return conditions
    .filter((condition) => {
      const type = valueAt(condition, 'type')
      const status = valueAt(condition, 'status')
      return (
        (type === 'Progressing' && status === 'False') || (type === 'ReplicaFailure' && status === 'True')
      )
    })
    .map((condition) => String(valueAt(condition, 'message') ?? ''))
}

/** A count, or what Kubernetes takes where there is none. */
function countAt(object: JsonObject, absent: number, ...path: string[]): number {
  const count = valueAt(object, ...path)
  return typeof count === 'number' ? count : absent
}
