import type { JsonObject } from '../../../core/json.ts'
import { at, conditionAt, listAt, numberAt, objectAt, textAt } from '../fields.ts'
import { type KubeObject, StatusError } from '../model.ts'
import { type Controller, type Host, timestamp } from './host.ts'
import {
  adoptAndList,
  isActive,
  isGoing,
  isReady,
  namespaceOf,
  podFrom,
  updateStatus,
  withoutZeros,
} from './owners.ts'

/**
 * Jobs: pods until enough of them have succeeded, or too many have failed. Failure policies, and success policies of
 * indexed Jobs, are not looked at; pods are counted without finalizers.
 *
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/job/
 */

const collection = 'jobs.batch'
const indexAnnotation = 'batch.kubernetes.io/job-completion-index'

export function createJobs(host: Host): Controller {
  const client = host.as('kube-controller-manager')

  const controller: Controller = {
    collection,
    kind: 'Job',
    sync(job) {
      if (isFinished(job)) {
        expire(job)
        return
      }
      if (isGoing(job)) return
      const pods = adoptAndList(host, client, job, 'pods')
      const isSuspended = at(job, 'spec.suspend') === true
      let status = begin(job, isSuspended)
      const succeeded = pods.filter((pod) => textAt(pod, 'status.phase') === 'Succeeded')
      const failed = pods.filter((pod) => textAt(pod, 'status.phase') === 'Failed')
      const restarts = pods
        .filter(isActive)
        .flatMap((pod) => listAt(pod, 'status.containerStatuses'))
        .reduce((sum, container) => sum + numberAt(container, 'restartCount'), 0)
      const done = isIndexed(job) ? new Set(succeeded.map(indexOf)).size : succeeded.length
      const completions = at(job, 'spec.completions')
      const active = pods.filter(isActive)
      const isComplete =
        typeof completions === 'number' ? done >= completions : done > 0 && active.length === 0
      const end = endOf(job, failed.length + restarts)
      if (isComplete) status = finish(job, status, 'Complete')
      else if (end) status = finish(job, status, 'Failed', end)
      else if (isSuspended) for (const pod of active) remove(job, pod)
      else startPods(job, pods, done)
      if (end && !isComplete) for (const pod of active) remove(job, pod)
      writeStatus(job, status)
    },
  }
  return controller

  function begin(job: KubeObject, isSuspended: boolean): JsonObject {
    const { startTime, ...status } = objectAt(job, 'status')
    const suspended = conditionAt(job, 'Suspended')
    const others = listAt(job, 'status.conditions').filter(({ type }) => type !== 'Suspended')
    if (isSuspended && suspended?.['status'] !== 'True') {
      tell(job, 'Normal', 'Suspended', 'Job suspended')
      return {
        ...status,
        conditions: [...others, condition('Suspended', 'True', 'JobSuspended', 'Job suspended')],
      }
    }
    if (isSuspended) return status
    if (suspended?.['status'] !== 'True') return { ...status, startTime: startTime ?? timestamp() }
    tell(job, 'Normal', 'Resumed', 'Job resumed')
    return {
      ...status,
      startTime: timestamp(),
      conditions: [...others, condition('Suspended', 'False', 'JobResumed', 'Job resumed')],
    }
  }

  function startPods(job: KubeObject, pods: readonly KubeObject[], done: number): void {
    const parallelism = numberAt(job, 'spec.parallelism')
    const completions = at(job, 'spec.completions')
    const active = pods.filter(isActive)
    const left = typeof completions === 'number' ? completions - done : done > 0 ? active.length : parallelism
    const wanted = Math.min(parallelism, left)
    for (const pod of active.slice(wanted)) remove(job, pod)
    const taken = new Set(pods.filter((pod) => textAt(pod, 'status.phase') !== 'Failed').map(indexOf))
    let index = 0
    for (let missing = wanted - active.length; missing > 0; missing--) {
      while (taken.has(String(index))) index++
      taken.add(String(index))
      create(job, isIndexed(job) ? index : undefined)
    }
  }

  function create(job: KubeObject, index: number | undefined): void {
    const template = objectAt(job, 'spec.template')
    const pod = index === undefined ? podFrom({ owner: job, template }) : numberedPod(job, template, index)
    try {
      const created = client.create('pods', pod)
      tell(job, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`)
    } catch (error) {
      if (error instanceof StatusError)
        tell(job, 'Warning', 'FailedCreate', `Error creating: ${error.message}`)
      throw error
    }
  }

  function remove(job: KubeObject, pod: KubeObject): void {
    const { name, uid } = pod.metadata
    if (isGoing(pod) || !client.delete('pods', namespaceOf(pod), name, { uid: String(uid) })) return
    tell(job, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`)
  }

  /** Why a job is given up. */
  function endOf(job: KubeObject, failures: number): { reason: string; message: string } | undefined {
    if (failures > numberAt(job, 'spec.backoffLimit')) {
      return { reason: 'BackoffLimitExceeded', message: 'Job has reached the specified backoff limit' }
    }
    const deadline = at(job, 'spec.activeDeadlineSeconds')
    const start = textAt(job, 'status.startTime')
    if (typeof deadline !== 'number' || start === '' || at(job, 'spec.suspend') === true) return undefined
    const remaining = Date.parse(start) + deadline * 1000 - Date.now()
    if (remaining <= 0) {
      return { reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' }
    }
    host.later(remaining + 1, controller, job)
    return undefined
  }

  function finish(
    job: KubeObject,
    status: JsonObject,
    type: 'Complete' | 'Failed',
    why = { reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' },
  ): JsonObject {
    const before = type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget'
    const { reason, message } = why
    if (type === 'Complete') tell(job, 'Normal', 'Completed', 'Job completed')
    else tell(job, 'Warning', reason, message)
    return {
      ...status,
      conditions: [
        ...listAt(status, 'conditions'),
        condition(before, 'True', reason, message),
        condition(type, 'True', reason, message),
      ],
      ...(type === 'Complete' && { completionTime: timestamp() }),
    }
  }

  function writeStatus(job: KubeObject, status: JsonObject): void {
    const pods = host.index.ownedBy(job, 'pods')
    const active = pods.filter(isActive)
    const succeeded = pods.filter((pod) => textAt(pod, 'status.phase') === 'Succeeded')
    const { active: _active, succeeded: _succeeded, failed: _failed, ...others } = status
    const indexes = succeeded.map((pod) => Number(indexOf(pod)))
    const written = updateStatus(client, collection, job, {
      ...others,
      ...withoutZeros({
        active: active.length,
        succeeded: succeeded.length,
        failed: pods.filter((pod) => textAt(pod, 'status.phase') === 'Failed').length,
      }),
      ...(isIndexed(job) && indexes.length > 0 && { completedIndexes: formatIndexes(indexes) }),
      terminating: pods.filter(isGoing).length,
      uncountedTerminatedPods: {},
      ready: active.filter(isReady).length,
    })
    if (isFinished(written)) expire(written)
  }

  /** Finished jobs go after their time, where they have one. */
  function expire(job: KubeObject): void {
    const ttl = at(job, 'spec.ttlSecondsAfterFinished')
    if (typeof ttl !== 'number' || isGoing(job)) return
    const finished = listAt(job, 'status.conditions').find(
      ({ type }) => type === 'Complete' || type === 'Failed',
    )
    const remaining = Date.parse(textAt(finished, 'lastTransitionTime')) + ttl * 1000 - Date.now()
    if (remaining > 0) host.later(remaining + 1, controller, job)
    else client.delete(collection, namespaceOf(job), job.metadata.name, { propagationPolicy: 'Foreground' })
  }

  function tell(job: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    host.record('job-controller', job, { type, reason, message })
  }
}

/** Whether a job has come to its end, and which. */
export function isFinished(job: KubeObject): 'Complete' | 'Failed' | undefined {
  if (conditionAt(job, 'Complete')?.['status'] === 'True') return 'Complete'
  return conditionAt(job, 'Failed')?.['status'] === 'True' ? 'Failed' : undefined
}

function condition(type: string, status: string, reason: string, message: string): JsonObject {
  const now = timestamp()
  return { type, status, lastProbeTime: now, lastTransitionTime: now, reason, message }
}

function isIndexed(job: KubeObject): boolean {
  return textAt(job, 'spec.completionMode') === 'Indexed'
}

function indexOf(pod: KubeObject): string {
  return String(objectAt(pod, 'metadata.annotations')[indexAnnotation] ?? '')
}

/** A pod of an indexed Job knows its number by its name, a label, an annotation and its environment. */
function numberedPod(job: KubeObject, template: JsonObject, index: number): KubeObject {
  const own = { [indexAnnotation]: String(index) }
  const hostname = `${job.metadata.name}-${index}`
  const variable = {
    name: 'JOB_COMPLETION_INDEX',
    valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: `metadata.labels['${indexAnnotation}']` } },
  }
  const spec = objectAt(template, 'spec')
  const withVariable = (field: string) =>
    listAt(spec, field).map((container) => {
      const env = listAt(container, 'env')
      return env.some(({ name }) => name === variable.name)
        ? container
        : { ...container, env: [...env, variable] }
    })
  const pod = podFrom({
    owner: job,
    template,
    labels: own,
    annotations: own,
    spec: {
      hostname,
      containers: withVariable('containers'),
      ...(listAt(spec, 'initContainers').length > 0 && { initContainers: withVariable('initContainers') }),
    },
  })
  return { ...pod, metadata: { ...pod.metadata, generateName: `${hostname}-` } }
}

/** `0-2,5` */
function formatIndexes(indexes: readonly number[]): string {
  const sorted = [...new Set(indexes)].sort((a, b) => a - b)
  const ranges: [number, number][] = []
  for (const index of sorted) {
    const last = ranges.at(-1)
    if (last && last[1] === index - 1) last[1] = index
    else ranges.push([index, index])
  }
  return ranges
    .map(([from, to]) => (from === to ? `${from}` : `${from}${to === from + 1 ? ',' : '-'}${to}`))
    .join()
}
