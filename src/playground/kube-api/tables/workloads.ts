import type { JsonObject, JsonValue } from '../../../core/json.ts'
import { at, conditionAt, listAt, numberAt, objectAt, textAt } from '../fields.ts'
import type { KubeObject } from '../model.ts'
import { type Printer, printer } from './printer.ts'
import { formatLabels, formatSelector, humanDuration, timeSince } from './text.ts'

/** What runs: pods and all that make them. */
export const workloadPrinters: Readonly<Record<string, Printer>> = {
  pods: printer('Ready|Status|Restarts|Age|IP*|Node*|Nominated Node*|Readiness Gates*', podCells),
  podtemplates: printer('Containers|Images|Pod Labels', (object) => [
    ...containers(object, 'template.spec'),
    formatLabels(objectAt(object, 'template.metadata.labels')),
  ]),
  replicationcontrollers: printer(
    'Desired:integer|Current:integer|Ready:integer|Age|Containers*|Images*|Selector*',
    (object, now) => [
      ...replicas(object),
      age(object, now),
      ...containers(object),
      formatLabels(objectAt(object, 'spec.selector')),
    ],
  ),
  'replicasets.apps': printer(
    'Desired:integer|Current:integer|Ready:integer|Age|Containers*|Images*|Selector*',
    (object, now) => [...replicas(object), age(object, now), ...containers(object), selector(object)],
  ),
  'deployments.apps': printer(
    'Ready|Up-to-date|Available|Age|Containers*|Images*|Selector*',
    (object, now) => [
      `${numberAt(object, 'status.readyReplicas')}/${numberAt(object, 'spec.replicas')}`,
      numberAt(object, 'status.updatedReplicas'),
      numberAt(object, 'status.availableReplicas'),
      age(object, now),
      ...containers(object),
      selector(object),
    ],
  ),
  'statefulsets.apps': printer('Ready|Age|Containers*|Images*', (object, now) => [
    `${numberAt(object, 'status.readyReplicas')}/${numberAt(object, 'spec.replicas')}`,
    age(object, now),
    ...containers(object),
  ]),
  'daemonsets.apps': printer(
    'Desired:integer|Current:integer|Ready:integer|Up-to-date:integer|Available:integer|Node Selector|Age|Containers*|Images*|Selector*',
    (object, now) => [
      numberAt(object, 'status.desiredNumberScheduled'),
      numberAt(object, 'status.currentNumberScheduled'),
      numberAt(object, 'status.numberReady'),
      numberAt(object, 'status.updatedNumberScheduled'),
      numberAt(object, 'status.numberAvailable'),
      formatLabels(objectAt(object, 'spec.template.spec.nodeSelector')),
      age(object, now),
      ...containers(object),
      selector(object),
    ],
  ),
  'controllerrevisions.apps': printer('Controller|Revision|Age', (object, now) => {
    const owner = listAt(object, 'metadata.ownerReferences').find((owner) => owner['controller'] === true)
    const [group = ''] = textAt(owner, 'apiVersion').split('/')
    const kind = textAt(owner, 'kind').toLowerCase()
    return [
      owner ? `${kind}.${group}/${textAt(owner, 'name')}` : '<none>',
      numberAt(object, 'revision'),
      age(object, now),
    ]
  }),
  'jobs.batch': printer('Status|Completions|Duration|Age|Containers*|Images*|Selector*', (object, now) => [
    jobStatus(object),
    jobCompletions(object),
    jobDuration(object, now),
    age(object, now),
    ...containers(object),
    selector(object),
  ]),
  'cronjobs.batch': printer(
    'Schedule|Timezone|Suspend:boolean|Active:integer|Last Schedule|Age|Containers*|Images*|Selector*',
    (object, now) => [
      textAt(object, 'spec.schedule'),
      textAt(object, 'spec.timeZone') || '<none>',
      at(object, 'spec.suspend') === true ? 'True' : 'False',
      listAt(object, 'status.active').length,
      timeSince(at(object, 'status.lastScheduleTime'), now, '<none>'),
      age(object, now),
      ...containers(object, 'spec.jobTemplate.spec.template.spec'),
      formatSelector(objectAt(object, 'spec.jobTemplate.spec.selector')),
    ],
  ),
}

export function age(object: KubeObject, now: number): string {
  return timeSince(at(object, 'metadata.creationTimestamp'), now)
}

function replicas(object: KubeObject): number[] {
  return ['spec.replicas', 'status.replicas', 'status.readyReplicas'].map((path) => numberAt(object, path))
}

function selector(object: KubeObject): string {
  return formatSelector(objectAt(object, 'spec.selector'))
}

function containers(object: KubeObject, podSpec = 'spec.template.spec'): string[] {
  const list = listAt(object, `${podSpec}.containers`)
  return ['name', 'image'].map((field) => list.map((container) => textAt(container, field)).join(','))
}

function jobStatus(job: KubeObject): string {
  const has = (type: string) => conditionAt(job, type)?.['status'] === 'True'
  if (has('Complete')) return 'Complete'
  if (has('Failed')) return 'Failed'
  if (at(job, 'metadata.deletionTimestamp')) return 'Terminating'
  return ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'].find(has) ?? 'Running'
}

function jobCompletions(job: KubeObject): string {
  const succeeded = numberAt(job, 'status.succeeded')
  const completions = at(job, 'spec.completions')
  if (typeof completions === 'number') return `${succeeded}/${completions}`
  const parallelism = numberAt(job, 'spec.parallelism')
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`
}

function jobDuration(job: KubeObject, now: number): string {
  const start = textAt(job, 'status.startTime')
  const end = textAt(job, 'status.completionTime')
  if (start === '') return ''
  return humanDuration((end === '' ? now : Date.parse(end)) - Date.parse(start))
}

function podCells(pod: KubeObject, now: number): JsonValue[] {
  const { ready, total, status, restarts, lastRestart } = summarizePod(pod)
  const gates = listAt(pod, 'spec.readinessGates').map((gate) => textAt(gate, 'conditionType'))
  const open = gates.filter((type) => conditionAt(pod, type)?.['status'] === 'True')
  const since = restarts > 0 && lastRestart ? ` (${timeSince(lastRestart, now)} ago)` : ''
  return [
    `${ready}/${total}`,
    status,
    `${restarts}${since}`,
    age(pod, now),
    textAt(listAt(pod, 'status.podIPs')[0], 'ip') || textAt(pod, 'status.podIP') || '<none>',
    textAt(pod, 'spec.nodeName') || '<none>',
    textAt(pod, 'status.nominatedNodeName') || '<none>',
    gates.length > 0 ? `${open.length}/${gates.length}` : '<none>',
  ]
}

interface PodSummary {
  ready: number
  total: number
  status: string
  restarts: number
  /** when the container that stopped last did so */
  lastRestart?: string
}

/** One word for what a pod is at: the most telling state of its containers, else its phase. */
function summarizePod(pod: KubeObject): PodSummary {
  const sidecars = new Set(
    listAt(pod, 'spec.initContainers')
      .filter((container) => container['restartPolicy'] === 'Always')
      .map((container) => textAt(container, 'name')),
  )
  const inits = listAt(pod, 'status.initContainerStatuses')
  const isSidecar = (status: JsonObject) => sidecars.has(textAt(status, 'name'))
  const initialization = summarizeInits(pod, inits, isSidecar)

  const statuses = listAt(pod, 'status.containerStatuses')
  const sidecarStatuses = inits.filter(isSidecar)
  const counted = initialization ? inits : [...sidecarStatuses, ...statuses]
  const restarts = counted.reduce((sum, status) => sum + numberAt(status, 'restartCount'), 0)
  const stops = counted.map((status) => textAt(status, 'lastState.terminated.finishedAt')).sort()
  const lastRestart = stops.at(-1)
  const readySidecars = sidecarStatuses.filter(
    (status) => status['ready'] === true && status['started'] === true,
  )

  let status = textAt(pod, 'status.reason') || textAt(pod, 'status.phase')
  if (
    listAt(pod, 'status.conditions').some(
      (c) => c['type'] === 'PodScheduled' && c['reason'] === 'SchedulingGated',
    )
  ) {
    status = 'SchedulingGated'
  }
  let ready = readySidecars.length
  if (initialization) status = initialization
  else {
    let isRunning = false
    for (const container of [...statuses].reverse()) {
      const waiting = textAt(container, 'state.waiting.reason')
      const terminated = at(container, 'state.terminated')
      if (waiting) status = waiting
      else if (terminated) status = terminatedReason(container)
      else if (container['ready'] === true && at(container, 'state.running')) {
        isRunning = true
        ready++
      }
    }
    if (status === 'Completed' && isRunning) {
      status = conditionAt(pod, 'Ready')?.['status'] === 'True' ? 'Running' : 'NotReady'
    }
  }
  if (at(pod, 'metadata.deletionTimestamp')) {
    if (textAt(pod, 'status.reason') === 'NodeLost') status = 'Unknown'
    else if (!['Succeeded', 'Failed'].includes(textAt(pod, 'status.phase'))) status = 'Terminating'
  }
  const total = listAt(pod, 'spec.containers').length + sidecars.size
  return { ready, total, status, restarts, ...(lastRestart && { lastRestart }) }
}

/** Where the init containers have got to; `undefined` once they are done. */
function summarizeInits(
  pod: KubeObject,
  statuses: JsonObject[],
  isSidecar: (status: JsonObject) => boolean,
): string | undefined {
  for (const [index, status] of statuses.entries()) {
    const terminated = at(status, 'state.terminated')
    if (terminated && numberAt(status, 'state.terminated.exitCode') === 0) continue
    if (isSidecar(status) && status['started'] === true) continue
    if (conditionAt(pod, 'Initialized')?.['status'] === 'True') return undefined
    if (terminated) return `Init:${terminatedReason(status)}`
    const waiting = textAt(status, 'state.waiting.reason')
    if (waiting && waiting !== 'PodInitializing') return `Init:${waiting}`
    return `Init:${index}/${listAt(pod, 'spec.initContainers').length}`
  }
  return undefined
}

function terminatedReason(status: JsonObject): string {
  const reason = textAt(status, 'state.terminated.reason')
  if (reason) return reason
  const signal = numberAt(status, 'state.terminated.signal')
  return signal !== 0 ? `Signal:${signal}` : `ExitCode:${numberAt(status, 'state.terminated.exitCode')}`
}
