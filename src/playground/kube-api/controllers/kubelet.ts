import type { JsonObject } from '../../../core/json.ts'
import { at, conditionAt, listAt, objectAt, textAt } from '../fields.ts'
import type { KubeObject } from '../model.ts'
import { type Controller, controllerOf, type Host, timestamp } from './host.ts'
import { canonical, isGoing, isReady, labelsOf, namespaceOf } from './owners.ts'

/**
 * The scheduler and the kubelet of the one node. Nothing runs: a pod is placed, gets an address, and is ready at once,
 * or has done its work at once where it is a Job's or a Helm hook. Deleted pods go at once, whatever grace they have.
 *
 * A pod can be told otherwise by the annotation `playground.fluxcd.io/outcome`: `never-ready`, as if its images could
 * not be pulled; `failed`; `succeeded`; `running`. Volumes, resources, taints and affinity are not looked at; node
 * selectors and scheduling gates are.
 */

const nodeName = 'node-0'
const outcomeAnnotation = 'playground.fluxcd.io/outcome'

const outcomes = ['never-ready', 'failed', 'succeeded', 'running'] as const
type Outcome = (typeof outcomes)[number]

export interface KubeletOptions {
  /** images that can never be pulled */
  neverReady: (image: string) => boolean
}

export function createKubelet(host: Host, { neverReady }: KubeletOptions): Controller {
  const scheduler = host.as('kube-scheduler')
  const kubelet = host.as('kubelet')
  let addresses = 0

  const nextAddress = () => {
    addresses = (addresses + 1) % 0xffff
    return `10.244.${addresses >> 8}.${addresses & 0xff}`
  }

  const controller: Controller = {
    collection: 'pods',
    kind: 'Pod',
    sync(pod) {
      const node = textAt(pod, 'spec.nodeName')
      if (isGoing(pod)) {
        if (node === '' || node === nodeName) end(pod)
        return
      }
      if (node === '') {
        const placed = listAt(pod, 'spec.schedulingGates').length === 0 && schedule(pod)
        if (placed) run(placed)
      } else if (node === nodeName) run(pod)
    },
    concerns: {
      // a label that a pod waits for
      nodes: () =>
        host
          .as('kube-scheduler')
          .list('pods')
          .filter((pod) => textAt(pod, 'spec.nodeName') === '')
          .map((pod) => ({ namespace: namespaceOf(pod), name: pod.metadata.name })),
    },
  }
  return controller

  function run(pod: KubeObject): void {
    if (['Succeeded', 'Failed'].includes(textAt(pod, 'status.phase'))) return
    const outcome = outcomeOf(pod, neverReady)
    if (outcome === 'running' && runsAlready(pod)) return
    const status = statusFor(pod, outcome, textAt(pod, 'status.podIP') || nextAddress())
    if (withoutTimes(objectAt(pod, 'status')) === withoutTimes(status)) return
    const started = kubelet.updateStatus('pods', { ...pod, status })
    const isNew = textAt(pod, 'status.startTime') === ''
    const waited = listAt(pod, 'status.containerStatuses').some((each) => at(each, 'state.waiting'))
    if (isNew || waited) tell(started, outcome)
  }

  /** @returns the pod on its node, if there is room for it */
  function schedule(pod: KubeObject): KubeObject | undefined {
    const namespace = namespaceOf(pod)
    const node = scheduler.get('nodes', '', nodeName)
    const selector = objectAt(pod, 'spec.nodeSelector')
    const problem =
      node === undefined
        ? 'no nodes available to schedule pods'
        : at(node, 'spec.unschedulable') === true && !isForNode(pod)
          ? `0/1 nodes are available: 1 node(s) were unschedulable. ${hopeless}`
          : Object.entries(selector).some(([key, value]) => labelsOf(node)[key] !== value)
            ? `0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. ${hopeless}`
            : undefined
    if (problem === undefined) {
      const placed = scheduler.patch(
        'pods',
        namespace,
        pod.metadata.name,
        { spec: { nodeName } },
        { subresource: 'binding' },
      )
      const message = `Successfully assigned ${namespace}/${pod.metadata.name} to ${nodeName}`
      host.recordScheduling(pod, { reason: 'Scheduled', message, action: 'Binding' })
      return placed
    }
    if (textAt(conditionAt(pod, 'PodScheduled'), 'message') === problem) return undefined
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      observedGeneration: pod.metadata['generation'] ?? 1,
      lastProbeTime: null,
      lastTransitionTime: timestamp(),
      reason: 'Unschedulable',
      message: problem,
    }
    const others = listAt(pod, 'status.conditions').filter(({ type }) => type !== 'PodScheduled')
    const status = { ...objectAt(pod, 'status'), conditions: [...others, condition] }
    scheduler.updateStatus('pods', { ...pod, status })
    host.recordScheduling(pod, {
      type: 'Warning',
      reason: 'FailedScheduling',
      message: problem,
      action: 'Scheduling',
    })
    return undefined
  }

  function end(pod: KubeObject): void {
    const { name, uid } = pod.metadata
    kubelet.delete('pods', namespaceOf(pod), name, { gracePeriodSeconds: 0, uid: String(uid) })
  }

  function tell(pod: KubeObject, outcome: Outcome): void {
    const record = (container: JsonObject, type: 'Normal' | 'Warning', reason: string, message: string) => {
      const fieldPath = `spec.containers{${textAt(container, 'name')}}`
      host.record('kubelet', pod, { type, reason, message, fieldPath, host: nodeName })
    }
    for (const container of listAt(pod, 'spec.containers')) {
      const image = textAt(container, 'image')
      if (outcome === 'never-ready' && isNeverReady(pod, image, neverReady)) {
        record(container, 'Normal', 'Pulling', `Pulling image "${image}"`)
        record(container, 'Warning', 'Failed', `Failed to pull image "${image}": ${pullProblem(image)}`)
        record(container, 'Warning', 'Failed', 'Error: ErrImagePull')
        record(container, 'Normal', 'BackOff', `Back-off pulling image "${image}"`)
        record(container, 'Warning', 'Failed', 'Error: ImagePullBackOff')
        continue
      }
      record(
        container,
        'Normal',
        'Pulled',
        `Container image "${image}" already present on machine and can be accessed by the pod`,
      )
      record(container, 'Normal', 'Created', 'Container created')
      record(container, 'Normal', 'Started', 'Container started')
    }
  }
}

const hopeless =
  'no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.'

/** of a DaemonSet, which places its pods where others may not go */
function isForNode(pod: KubeObject): boolean {
  return textAt(controllerOf(pod), 'kind') === 'DaemonSet'
}

function outcomeOf(pod: KubeObject, neverReady: (image: string) => boolean): Outcome {
  const annotations = objectAt(pod, 'metadata.annotations')
  const told = outcomes.find((outcome) => outcome === annotations[outcomeAnnotation])
  if (told !== undefined) return told
  const images = listAt(pod, 'spec.containers').map((container) => textAt(container, 'image'))
  if (images.some(neverReady)) return 'never-ready'
  if (textAt(pod, 'spec.restartPolicy') === 'Always') return 'running'
  const isHook = annotations['helm.sh/hook'] !== undefined
  return isHook || textAt(controllerOf(pod), 'kind') === 'Job' ? 'succeeded' : 'running'
}

function isNeverReady(pod: KubeObject, image: string, neverReady: (image: string) => boolean): boolean {
  return neverReady(image) || objectAt(pod, 'metadata.annotations')[outcomeAnnotation] === 'never-ready'
}

/** Ready, with the images that it should have: what most pods are whenever they are looked at. */
function runsAlready(pod: KubeObject): boolean {
  const images = (path: string) => listAt(pod, path).map(({ image }) => image)
  return isReady(pod) && String(images('spec.containers')) === String(images('status.containerStatuses'))
}

function pullProblem(image: string): string {
  return `failed to pull and unpack image "${image}": failed to resolve reference "${image}": ${image}: not found`
}

function statusFor(pod: KubeObject, outcome: Outcome, address: string): JsonObject {
  const now = timestamp()
  const before = objectAt(pod, 'status')
  const started = textAt(pod, 'status.startTime') || now
  const restartPolicy = textAt(pod, 'spec.restartPolicy')
  const runs = outcome === 'running'
  const containers = listAt(pod, 'spec.containers')
  const names = containers.map((container) => textAt(container, 'name')).join(' ')
  const unready =
    outcome === 'succeeded'
      ? { reason: 'PodCompleted' }
      : { reason: 'ContainersNotReady', message: `containers with unready status: [${names}]` }
  const crashes = outcome === 'failed' && restartPolicy !== 'Never'
  const phases = {
    'never-ready': 'Pending',
    failed: crashes ? 'Running' : 'Failed',
    succeeded: restartPolicy === 'Always' ? 'Running' : 'Succeeded',
    running: 'Running',
  }
  const condition = (type: string, isTrue: boolean, why: JsonObject = unready) => {
    const status = isTrue ? 'True' : 'False'
    const old = conditionAt(pod, type)
    return {
      type,
      status,
      lastProbeTime: null,
      lastTransitionTime: old?.['status'] === status ? (old['lastTransitionTime'] ?? now) : now,
      ...(!isTrue && why),
    }
  }
  const scheduled = conditionAt(pod, 'PodScheduled')
  return {
    ...before,
    phase: phases[outcome],
    conditions: [
      condition('Initialized', true),
      condition('Ready', runs),
      condition('ContainersReady', runs),
      scheduled?.['status'] === 'True' ? scheduled : condition('PodScheduled', true),
    ],
    hostIP: '127.0.0.1',
    podIP: address,
    podIPs: [{ ip: address }],
    startTime: started,
    ...(listAt(pod, 'spec.initContainers').length > 0 && {
      initContainerStatuses: listAt(pod, 'spec.initContainers').map((container) =>
        textAt(container, 'restartPolicy') === 'Always'
          ? containerStatus(container, { running: { startedAt: started } }, true)
          : containerStatus(container, terminated(0, started), true),
      ),
    }),
    containerStatuses: containers.map((container) => {
      switch (outcome) {
        case 'never-ready': {
          const message = `Back-off pulling image "${textAt(container, 'image')}"`
          return containerStatus(container, { waiting: { reason: 'ImagePullBackOff', message } }, false)
        }
        case 'failed': {
          if (!crashes) return containerStatus(container, terminated(1, started), false)
          const message = `back-off 5m0s restarting failed container=${textAt(container, 'name')} pod=${pod.metadata.name}_${namespaceOf(pod)}(${String(pod.metadata['uid'])})`
          const state = { waiting: { reason: 'CrashLoopBackOff', message } }
          return containerStatus(container, state, false, terminated(1, started))
        }
        case 'succeeded':
          return containerStatus(container, terminated(0, started), false)
        default:
          return containerStatus(container, { running: { startedAt: started } }, true)
      }
    }),
  }
}

function terminated(exitCode: number, time: string): JsonObject {
  const reason = exitCode === 0 ? 'Completed' : 'Error'
  return { terminated: { exitCode, reason, startedAt: time, finishedAt: time } }
}

function containerStatus(
  container: JsonObject,
  state: JsonObject,
  ready: boolean,
  lastState: JsonObject = {},
): JsonObject {
  const image = textAt(container, 'image')
  return {
    name: textAt(container, 'name'),
    state,
    lastState,
    ready,
    restartCount: Object.keys(lastState).length > 0 ? 1 : 0,
    image,
    imageID: '',
    ...(!ready && { started: false }),
  }
}

function withoutTimes(status: JsonObject): string {
  return canonical(
    JSON.parse(
      JSON.stringify(status, (key, value) =>
        /^(last\w*Time|startedAt|finishedAt)$/.test(key) ? undefined : value,
      ),
    ) as JsonObject,
  )
}

/** The node, as its kubelet announces it. */
export function announceNode(host: Host): void {
  const kubelet = host.as('kubelet')
  if (kubelet.get('nodes', '', nodeName) !== undefined) return
  const now = timestamp()
  const node = kubelet.create('nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: nodeName,
      labels: {
        'beta.kubernetes.io/os': 'linux',
        'kubernetes.io/hostname': nodeName,
        'kubernetes.io/os': 'linux',
      },
      annotations: { 'node.alpha.kubernetes.io/ttl': '0' },
    },
  })
  const condition = (type: string, status: string, reason: string, message: string) => ({
    type,
    status,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
    reason,
    message,
  })
  const amounts = { cpu: '1k', memory: '1Ti', pods: '1M' }
  kubelet.updateStatus('nodes', {
    ...node,
    status: {
      capacity: amounts,
      allocatable: amounts,
      phase: 'Running',
      conditions: [
        condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'),
        condition(
          'MemoryPressure',
          'False',
          'KubeletHasSufficientMemory',
          'kubelet has sufficient memory available',
        ),
        condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
        condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
        condition('NetworkUnavailable', 'False', 'RouteCreated', 'RouteController created a route'),
      ],
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      nodeInfo: {
        machineID: '',
        systemUUID: '',
        bootID: '',
        kernelVersion: 'playground',
        osImage: '',
        containerRuntimeVersion: 'playground',
        kubeletVersion: 'playground',
        kubeProxyVersion: 'playground',
        operatingSystem: 'linux',
        architecture: 'amd64',
      },
    },
  })
  host.record('node-controller', node, {
    reason: 'RegisteredNode',
    message: `Node ${nodeName} event: Registered Node ${nodeName} in Controller`,
  })
}
