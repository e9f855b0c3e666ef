import type { JsonObject } from '../../../core/json.ts'
import { at, conditionAt, listAt, numberAt, objectAt, textAt } from '../fields.ts'
import { type KubeObject, StatusError } from '../model.ts'
import { type Controller, controllerOf, type Host, timestamp } from './host.ts'
import {
  adoptAndList,
  byCreation,
  canonical,
  isGoing,
  namespaceOf,
  ownerReference,
  scaled,
  templateHash,
  updateStatus,
  withCondition,
  withoutZeros,
} from './owners.ts'

/**
 * Deployments: a ReplicaSet for each template, and a careful way from the old ones to the new one.
 *
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
 */

const collection = 'deployments.apps'
const replicaSets = 'replicasets.apps'
const hashLabel = 'pod-template-hash'
const annotation = {
  revision: 'deployment.kubernetes.io/revision',
  history: 'deployment.kubernetes.io/revision-history',
  desired: 'deployment.kubernetes.io/desired-replicas',
  max: 'deployment.kubernetes.io/max-replicas',
}
const notCopied = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'deprecated.deployment.rollback.to',
  ...Object.values(annotation),
])
/** as good as none */
const noDeadline = 2 ** 31 - 1

interface Rollout {
  /** as it was last written */
  written: KubeObject
  /** as it is to be written at the end of the round */
  deployment: KubeObject
  /** the one with the template of now */
  current: KubeObject | undefined
  old: KubeObject[]
}

export function createDeployments(host: Host): Controller {
  const client = host.as('kube-controller-manager')

  const controller: Controller = {
    collection,
    kind: 'Deployment',
    sync(deployment) {
      const rollout = readRollout(deployment)
      if (isGoing(deployment)) {
        writeStatus(rollout, statusOf(rollout))
        return
      }
      rollout.written = rollout.deployment = notePause(deployment)
      const isScaled = activeOf(allOf(rollout)).some((set) => {
        const desired = annotationsOf(set)[annotation.desired]
        return desired !== undefined && Number(desired) !== numberAt(deployment, 'spec.replicas')
      })
      if (at(deployment, 'spec.paused') === true || isScaled) {
        noteRevision(rollout)
        scaleProportionally(rollout)
        writeStatus(rollout, statusOf(rollout))
      } else if (textAt(deployment, 'spec.strategy.type') === 'Recreate') recreate(rollout)
      else roll(rollout)
    },
    concerns: {
      // Recreate waits until the last of the old pods is gone
      pods: ({ type, object }) => {
        const owner = type === 'DELETED' ? controllerOf(object) : undefined
        if (owner?.['kind'] !== 'ReplicaSet') return []
        const namespace = namespaceOf(object)
        const set = client.get(replicaSets, namespace, textAt(owner, 'name'))
        const deployment = set && controllerOf(set)
        return deployment ? [{ namespace, name: textAt(deployment, 'name') }] : []
      },
    },
  }
  return controller

  function readRollout(deployment: KubeObject): Rollout {
    const sets = adoptAndList(host, client, deployment, replicaSets).sort(byCreation)
    const template = canonical(objectAt(deployment, 'spec.template'))
    const current = sets.find((set) => canonical(withoutHash(objectAt(set, 'spec.template'))) === template)
    return { written: deployment, deployment, current, old: sets.filter((set) => set !== current) }
  }

  /** A pause, and its end, stop the clock of the deadline. */
  function notePause(deployment: KubeObject): KubeObject {
    if (!hasDeadline(deployment)) return deployment
    const reason = textAt(conditionAt(deployment, 'Progressing'), 'reason')
    if (reason === 'ProgressDeadlineExceeded') return deployment
    const isPaused = at(deployment, 'spec.paused') === true
    if (isPaused === (reason === 'DeploymentPaused')) return deployment
    const [why, message] = isPaused
      ? ['DeploymentPaused', 'Deployment is paused']
      : ['DeploymentResumed', 'Deployment is resumed']
    return setConditions(deployment, progressing('Unknown', why, message))
  }

  function setConditions(deployment: KubeObject, condition: Condition): KubeObject {
    const conditions = withCondition(listAt(deployment, 'status.conditions'), condition)
    const status = { ...objectAt(deployment, 'status'), conditions }
    return updateStatus(client, collection, deployment, status)
  }

  /** Give the current ReplicaSet, if there is one, its number and what the Deployment is annotated with. */
  function noteRevision(rollout: Rollout): void {
    const { current, old } = rollout
    if (current === undefined) return
    const revision = String(Math.max(0, ...old.map(revisionOf)) + 1)
    const annotations = annotationsFor(rollout.deployment, current, revision)
    const minReadySeconds = numberAt(rollout.deployment, 'spec.minReadySeconds')
    const isSame =
      canonical(annotations) === canonical(annotationsOf(current)) &&
      minReadySeconds === numberAt(current, 'spec.minReadySeconds')
    if (!isSame) {
      rollout.current = client.update(replicaSets, {
        ...current,
        metadata: { ...current.metadata, annotations },
        spec: { ...objectAt(current, 'spec'), ...(minReadySeconds > 0 && { minReadySeconds }) },
      })
    }
    const { name } = current.metadata
    const found = progressing('True', 'FoundNewReplicaSet', `Found new replica set "${name}"`)
    const isNew =
      hasDeadline(rollout.deployment) && conditionAt(rollout.deployment, 'Progressing') === undefined
    setRevision(rollout, isNew ? found : undefined)
  }

  function setRevision(rollout: Rollout, condition: Condition | undefined): void {
    const { deployment, current } = rollout
    const revision = current && annotationsOf(current)[annotation.revision]
    const annotations = { ...annotationsOf(deployment), ...(revision && { [annotation.revision]: revision }) }
    if (condition === undefined && annotationsOf(deployment)[annotation.revision] === revision) return
    const conditions = listAt(deployment, 'status.conditions')
    rollout.deployment = {
      ...deployment,
      metadata: { ...deployment.metadata, annotations },
      status: {
        ...objectAt(deployment, 'status'),
        conditions: condition ? withCondition(conditions, condition) : conditions,
      },
    }
  }

  function createReplicaSet(rollout: Rollout): void {
    const { deployment, old } = rollout
    const template = objectAt(deployment, 'spec.template')
    const collisions = numberAt(deployment, 'status.collisionCount')
    const hash = templateHash(template, collisions)
    const name = `${deployment.metadata.name}-${hash}`
    const selector = objectAt(deployment, 'spec.selector')
    const metadata = objectAt(template, 'metadata')
    const labels = { ...objectAt(metadata, 'labels'), [hashLabel]: hash }
    const revision = String(Math.max(0, ...old.map(revisionOf)) + 1)
    const minReadySeconds = numberAt(deployment, 'spec.minReadySeconds')
    const replicas = sizeOfNew(rollout)
    const begun = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name,
        namespace: namespaceOf(deployment),
        labels,
        ownerReferences: [ownerReference(deployment)],
      },
    }
    const set: KubeObject = {
      ...begun,
      metadata: {
        ...begun.metadata,
        annotations: { ...annotationsFor(deployment, undefined, revision), ...sizeAnnotations(deployment) },
      },
      spec: {
        replicas,
        ...(minReadySeconds > 0 && { minReadySeconds }),
        selector: { ...selector, matchLabels: { ...objectAt(selector, 'matchLabels'), [hashLabel]: hash } },
        template: { ...template, metadata: { ...metadata, labels } },
      },
    }
    try {
      rollout.current = client.create(replicaSets, set)
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      if (error.reason === 'AlreadyExists') {
        const status = { ...objectAt(deployment, 'status'), collisionCount: collisions + 1 }
        client.updateStatus(collection, { ...deployment, status })
      } else {
        const message = `Failed to create new replica set "${name}": ${error.message}`
        setConditions(deployment, progressing('False', 'ReplicaSetCreateError', message))
      }
      throw error
    }
    if (replicas > 0) tellScaled(deployment, name, 0, replicas)
    const condition = progressing('True', 'NewReplicaSetCreated', `Created new replica set "${name}"`)
    setRevision(rollout, hasDeadline(deployment) ? condition : undefined)
  }

  function scale(rollout: Rollout, set: KubeObject, replicas: number, quiet = false): KubeObject {
    const { deployment } = rollout
    const before = numberAt(set, 'spec.replicas')
    const sizes = sizeAnnotations(deployment)
    const annotations = { ...annotationsOf(set), ...sizes }
    if (before === replicas && canonical(annotations) === canonical(annotationsOf(set))) return set
    const { name } = set.metadata
    const scaledSet = client.update(replicaSets, {
      ...set,
      metadata: { ...set.metadata, annotations },
      spec: { ...objectAt(set, 'spec'), replicas },
    })
    if (before !== replicas && !quiet) tellScaled(deployment, name, before, replicas)
    if (rollout.current === set) rollout.current = scaledSet
    else rollout.old = rollout.old.map((old) => (old === set ? scaledSet : old))
    return scaledSet
  }

  function tellScaled(deployment: KubeObject, set: string, from: number, to: number): void {
    const message = `Scaled ${to > from ? 'up' : 'down'} replica set ${set} from ${from} to ${to}`
    host.record('deployment-controller', deployment, { reason: 'ScalingReplicaSet', message })
  }

  function roll(rollout: Rollout): void {
    if (rollout.current) noteRevision(rollout)
    else createReplicaSet(rollout)
    const moved = resizeNew(rollout) || shrinkOld(rollout)
    if (!moved && isComplete(rollout.deployment, objectAt(rollout.deployment, 'status'))) dropOld(rollout)
    writeProgress(rollout)
  }

  function recreate(rollout: Rollout): void {
    noteRevision(rollout)
    const active = activeOf(rollout.old)
    for (const set of active) scale(rollout, set, 0)
    const isRunning = rollout.old.some((set) =>
      host.index
        .ownedBy(set, 'pods')
        .some((pod) => !['Succeeded', 'Failed'].includes(textAt(pod, 'status.phase'))),
    )
    if (active.length === 0 && !isRunning) {
      if (rollout.current) scale(rollout, rollout.current, numberAt(rollout.deployment, 'spec.replicas'))
      else createReplicaSet(rollout)
      if (isComplete(rollout.deployment, objectAt(rollout.deployment, 'status'))) dropOld(rollout)
    }
    writeProgress(rollout)
  }

  function resizeNew(rollout: Rollout): boolean {
    const { current, deployment } = rollout
    if (current === undefined) return false
    const [size, wanted] = [numberAt(current, 'spec.replicas'), numberAt(deployment, 'spec.replicas')]
    if (size === wanted) return false
    const next = size > wanted ? wanted : sizeOfNew(rollout)
    return scale(rollout, current, next) !== current && next !== size
  }

  /** As many of the old pods go as may be missing: first those that do not work, then others while there are enough. */
  function shrinkOld(rollout: Rollout): boolean {
    const { deployment, current } = rollout
    const wanted = numberAt(deployment, 'spec.replicas')
    if (sum(rollout.old, 'spec.replicas') === 0) return false
    const enough = wanted - limits(deployment).maxUnavailable
    const unavailableNew = numberAt(current, 'spec.replicas') - numberAt(current, 'status.availableReplicas')
    let left = sum(allOf(rollout), 'spec.replicas') - enough - unavailableNew
    if (left <= 0) return false
    let total = 0
    for (const set of [...activeOf(rollout.old)]) {
      const [size, available] = [numberAt(set, 'spec.replicas'), numberAt(set, 'status.availableReplicas')]
      const count = Math.min(left, size - available)
      if (count <= 0) continue
      scale(rollout, set, size - count)
      left -= count
      total += count
    }
    let spare = sum(allOf(rollout), 'status.availableReplicas') - enough
    for (const set of [...activeOf(rollout.old)]) {
      const count = Math.min(numberAt(set, 'spec.replicas'), spare)
      if (count <= 0) continue
      scale(rollout, set, numberAt(set, 'spec.replicas') - count)
      spare -= count
      total += count
    }
    return total > 0
  }

  /** After a change of size: each ReplicaSet keeps its share while a rollout is under way. */
  function scaleProportionally(rollout: Rollout): void {
    const { deployment } = rollout
    const wanted = numberAt(deployment, 'spec.replicas')
    const active = activeOf(allOf(rollout))
    const only = active.length === 0 ? (rollout.current ?? rollout.old.at(-1)) : active[0]
    if (active.length <= 1) {
      if (only) scale(rollout, only, wanted)
      return
    }
    const { current } = rollout
    if (
      current &&
      numberAt(current, 'spec.replicas') === wanted &&
      Number(annotationsOf(current)[annotation.desired]) === wanted &&
      numberAt(current, 'status.availableReplicas') === wanted
    ) {
      for (const set of activeOf(rollout.old)) scale(rollout, set, 0)
      return
    }
    if (textAt(deployment, 'spec.strategy.type') === 'Recreate') return
    const allowed = wanted > 0 ? wanted + limits(deployment).maxSurge : 0
    const toAdd = allowed - sum(active, 'spec.replicas')
    const newestFirst = [...active].sort((a, b) => (toAdd > 0 ? byCreation(b, a) : byCreation(a, b)))
    const largestFirst = newestFirst.sort(
      (a, b) => numberAt(b, 'spec.replicas') - numberAt(a, 'spec.replicas'),
    )
    let added = 0
    const sizes = largestFirst.map((set) => {
      const size = numberAt(set, 'spec.replicas')
      const before = Number(annotationsOf(set)[annotation.max] ?? numberAt(deployment, 'status.replicas'))
      const share =
        wanted === 0 || before === 0
          ? -size
          : Math.round((size * (wanted + limits(deployment).maxSurge)) / before) - size
      const rest = toAdd - added
      const change = toAdd === 0 ? 0 : toAdd > 0 ? Math.min(share, rest) : Math.max(share, rest)
      added += change
      return size + change
    })
    for (const [index, set] of largestFirst.entries()) {
      const leftover = index === 0 ? toAdd - added : 0
      scale(rollout, set, Math.max(0, (sizes[index] ?? 0) + leftover))
    }
  }

  function dropOld(rollout: Rollout): void {
    const limit = at(rollout.deployment, 'spec.revisionHistoryLimit')
    if (typeof limit !== 'number') return
    const alive = rollout.old.filter((set) => !isGoing(set)).sort((a, b) => revisionOf(a) - revisionOf(b))
    for (const set of alive.slice(0, Math.max(0, alive.length - limit))) {
      const isEmpty = ['status.replicas', 'spec.replicas'].every((path) => numberAt(set, path) === 0)
      const isSeen = numberAt(set, 'status.observedGeneration') >= numberAt(set, 'metadata.generation')
      if (isEmpty && isSeen) client.delete(replicaSets, namespaceOf(set), set.metadata.name)
    }
  }

  /** The status, and whether it goes on, is done, or has taken too long. */
  function writeProgress(rollout: Rollout): void {
    const { deployment, current } = rollout
    const status = statusOf(rollout)
    const before = objectAt(deployment, 'status')
    const what = current
      ? `ReplicaSet "${current.metadata.name}"`
      : `Deployment "${deployment.metadata.name}"`
    const known = conditionAt(deployment, 'Progressing')
    let conditions = listAt(status, 'conditions')
    if (!hasDeadline(deployment)) conditions = conditions.filter(({ type }) => type !== 'Progressing')
    else if (
      numberAt(status, 'replicas') !== numberAt(status, 'updatedReplicas') ||
      known?.['reason'] !== 'NewReplicaSetAvailable'
    ) {
      if (isComplete(deployment, status)) {
        const condition = progressing(
          'True',
          'NewReplicaSetAvailable',
          `${what} has successfully progressed.`,
        )
        conditions = withCondition(conditions, condition)
      } else if (progresses(before, status)) {
        const condition = progressing('True', 'ReplicaSetUpdated', `${what} is progressing.`)
        const since = known?.['status'] === 'True' ? known['lastTransitionTime'] : undefined
        conditions = [
          ...conditions.filter(({ type }) => type !== 'Progressing'),
          { ...condition, ...(since !== undefined && { lastTransitionTime: since }) },
        ]
      } else if (remainingMs(deployment, known) <= 0) {
        const condition = progressing(
          'False',
          'ProgressDeadlineExceeded',
          `${what} has timed out progressing.`,
        )
        conditions = withCondition(conditions, condition)
      }
    }
    const failure = [current, ...rollout.old]
      .map((set) => set && conditionAt(set, 'ReplicaFailure'))
      .find(Boolean)
    conditions = conditions.filter(({ type }) => type !== 'ReplicaFailure')
    if (failure) {
      conditions.push({ ...failure, lastUpdateTime: failure['lastTransitionTime'] ?? null })
    }
    writeStatus(rollout, { ...status, conditions })
  }

  function writeStatus(rollout: Rollout, status: JsonObject): void {
    const { deployment, written: before } = rollout
    const isSame =
      canonical(objectAt(before, 'status')) === canonical(status) &&
      canonical(annotationsOf(before)) === canonical(annotationsOf(deployment))
    const written = isSame ? before : client.updateStatus(collection, { ...deployment, status })
    const known = conditionAt(written, 'Progressing')
    if (!hasDeadline(written) || known === undefined || isComplete(written, status)) return
    if (['ProgressDeadlineExceeded', 'DeploymentPaused'].includes(textAt(known, 'reason'))) return
    const remaining = remainingMs(written, known)
    if (Number.isFinite(remaining)) host.later(Math.max(0, remaining) + 1, controller, written)
  }
}

type Condition = ReturnType<typeof progressing>

function progressing(status: string, reason: string, message: string) {
  const now = timestamp()
  return { type: 'Progressing', status, lastUpdateTime: now, lastTransitionTime: now, reason, message }
}

function statusOf({ deployment, current, old }: Rollout): JsonObject {
  const sets = current ? [...old, current] : old
  const available = sum(sets, 'status.availableReplicas')
  const enough = numberAt(deployment, 'spec.replicas') - limits(deployment).maxUnavailable
  const now = timestamp()
  const condition = {
    type: 'Available',
    lastUpdateTime: now,
    lastTransitionTime: now,
    ...(available >= enough
      ? {
          status: 'True',
          reason: 'MinimumReplicasAvailable',
          message: 'Deployment has minimum availability.',
        }
      : {
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        }),
  }
  const collisionCount = at(deployment, 'status.collisionCount')
  return {
    observedGeneration: numberAt(deployment, 'metadata.generation'),
    ...withoutZeros({
      replicas: sum(sets, 'status.replicas'),
      updatedReplicas: numberAt(current, 'status.replicas'),
      readyReplicas: sum(sets, 'status.readyReplicas'),
      availableReplicas: available,
      unavailableReplicas: Math.max(0, sum(sets, 'spec.replicas') - available),
    }),
    terminatingReplicas: sum(sets, 'status.terminatingReplicas'),
    conditions: withCondition(listAt(deployment, 'status.conditions'), condition),
    ...(collisionCount !== undefined && { collisionCount }),
  }
}

function isComplete(deployment: KubeObject, status: JsonObject): boolean {
  const wanted = numberAt(deployment, 'spec.replicas')
  return (
    ['updatedReplicas', 'replicas', 'availableReplicas'].every(
      (field) => numberAt(status, field) === wanted,
    ) && numberAt(status, 'observedGeneration') >= numberAt(deployment, 'metadata.generation')
  )
}

function progresses(before: JsonObject, after: JsonObject): boolean {
  const grows = (field: string) => numberAt(after, field) > numberAt(before, field)
  const old = (status: JsonObject) => numberAt(status, 'replicas') - numberAt(status, 'updatedReplicas')
  return (
    grows('updatedReplicas') ||
    grows('readyReplicas') ||
    grows('availableReplicas') ||
    old(after) < old(before)
  )
}

function hasDeadline(deployment: KubeObject): boolean {
  const deadline = at(deployment, 'spec.progressDeadlineSeconds')
  return typeof deadline === 'number' && deadline !== noDeadline
}

/** How long until a rollout has taken too long; infinite where none is under way. */
function remainingMs(deployment: KubeObject, known: JsonObject | undefined): number {
  if (known === undefined || known['reason'] === 'NewReplicaSetAvailable') return Number.POSITIVE_INFINITY
  if (known['reason'] === 'ProgressDeadlineExceeded') return 0
  const end =
    Date.parse(textAt(known, 'lastUpdateTime')) + numberAt(deployment, 'spec.progressDeadlineSeconds') * 1000
  return end - Date.now()
}

function limits(deployment: KubeObject): { maxSurge: number; maxUnavailable: number } {
  if (textAt(deployment, 'spec.strategy.type') === 'Recreate') return { maxSurge: 0, maxUnavailable: 0 }
  const wanted = numberAt(deployment, 'spec.replicas')
  const rolling = objectAt(deployment, 'spec.strategy.rollingUpdate')
  const maxSurge = scaled(rolling['maxSurge'], wanted, Math.ceil)
  const maxUnavailable = scaled(rolling['maxUnavailable'], wanted, Math.floor)
  // one of them has to let the rollout begin
  return {
    maxSurge,
    maxUnavailable: Math.min(wanted, maxSurge === 0 && maxUnavailable === 0 ? 1 : maxUnavailable),
  }
}

/** How large the new ReplicaSet may be beside the old ones. */
function sizeOfNew({ deployment, current, old }: Rollout): number {
  const wanted = numberAt(deployment, 'spec.replicas')
  if (textAt(deployment, 'spec.strategy.type') === 'Recreate') return wanted
  const size = numberAt(current, 'spec.replicas')
  const room = wanted + limits(deployment).maxSurge - sum(current ? [...old, current] : old, 'spec.replicas')
  return room <= 0 ? size : size + Math.min(room, wanted - size)
}

function sizeAnnotations(deployment: KubeObject): Record<string, string> {
  const wanted = numberAt(deployment, 'spec.replicas')
  return {
    [annotation.desired]: String(wanted),
    [annotation.max]: String(wanted + limits(deployment).maxSurge),
  }
}

/** What the Deployment is annotated with, the number, and which numbers it had before it came back. */
function annotationsFor(deployment: KubeObject, set: KubeObject | undefined, revision: string): JsonObject {
  const before = set ? annotationsOf(set) : {}
  const annotations: JsonObject = { ...before }
  for (const [key, value] of Object.entries(annotationsOf(deployment))) {
    if (!notCopied.has(key)) annotations[key] = value
  }
  const old = before[annotation.revision]
  if (Number(old ?? 0) < Number(revision)) {
    annotations[annotation.revision] = revision
    if (old !== undefined) {
      const history = before[annotation.history]
      annotations[annotation.history] = history ? `${String(history)},${String(old)}` : old
    }
  }
  return annotations
}

function annotationsOf(object: KubeObject): JsonObject {
  return objectAt(object, 'metadata.annotations')
}

function revisionOf(set: KubeObject): number {
  return Number(annotationsOf(set)[annotation.revision] ?? 0)
}

function allOf({ current, old }: Rollout): KubeObject[] {
  return current ? [...old, current] : old
}

function activeOf(sets: readonly KubeObject[]): KubeObject[] {
  return sets.filter((set) => numberAt(set, 'spec.replicas') > 0)
}

function sum(sets: readonly KubeObject[], path: string): number {
  return sets.reduce((total, set) => total + numberAt(set, path), 0)
}

function withoutHash(template: JsonObject): JsonObject {
  const metadata = objectAt(template, 'metadata')
  const { [hashLabel]: _hash, ...labels } = objectAt(metadata, 'labels')
  return { ...template, metadata: { ...metadata, labels } }
}
