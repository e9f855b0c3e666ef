import { numberAt, objectAt } from '../fields.ts'
import { type KubeObject, StatusError } from '../model.ts'
import type { Controller, Host } from './host.ts'
import {
  adoptAndList,
  availableInMs,
  dropOldRevisions,
  isActive,
  isGoing,
  isReady,
  labelsOf,
  namespaceOf,
  podFrom,
  scaled,
  syncRevisions,
  updateStatus,
  withoutZeros,
} from './owners.ts'

/**
 * DaemonSets: one pod on each node that its node selector fits. `maxSurge` is not kept to: old pods go before new ones
 * come.
 *
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
 */

const collection = 'daemonsets.apps'
const revisionLabel = 'controller-revision-hash'
const generationAnnotation = 'deprecated.daemonset.template.generation'

export function createDaemonSets(host: Host): Controller {
  const client = host.as('kube-controller-manager')

  const controller: Controller = {
    collection,
    kind: 'DaemonSet',
    sync(set) {
      const pods = adoptAndList(host, client, set, 'pods')
      if (isGoing(set)) return
      const { revisions, update } = syncRevisions(host, client, set, (hash) => ({
        ...objectAt(set, 'spec.template.metadata.labels'),
        [revisionLabel]: hash,
      }))
      const hash = String(labelsOf(update)[revisionLabel])
      const nodes = nodesFor(set)
      place(set, pods, nodes, hash)
      renew(set, pods.filter(isActive), nodes.length, hash)
      writeStatus(set, nodes, hash)
      const used = new Set([update.metadata.name])
      for (const pod of pods) used.add(`${set.metadata.name}-${String(labelsOf(pod)[revisionLabel])}`)
      dropOldRevisions(client, set, revisions, used)
    },
    concerns: {
      nodes: () =>
        client.list(collection).map((set) => ({ namespace: namespaceOf(set), name: set.metadata.name })),
    },
  }
  return controller

  function nodesFor(set: KubeObject): string[] {
    const wanted = Object.entries(objectAt(set, 'spec.template.spec.nodeSelector'))
    return client
      .list('nodes')
      .filter((node) => wanted.every(([key, value]) => labelsOf(node)[key] === value))
      .map((node) => node.metadata.name)
  }

  function place(set: KubeObject, pods: readonly KubeObject[], nodes: readonly string[], hash: string): void {
    for (const pod of pods) {
      const isDone = !isActive(pod) && !isGoing(pod)
      if (isDone || (isActive(pod) && !nodes.includes(nodeOf(pod)))) remove(set, pod)
    }
    for (const node of nodes) {
      if (pods.some((pod) => nodeOf(pod) === node)) continue
      const template = objectAt(set, 'spec.template')
      const generation = String(objectAt(set, 'metadata.annotations')[generationAnnotation] ?? 1)
      const tolerations = objectAt(template, 'spec')['tolerations']
      const pod = podFrom({
        owner: set,
        template,
        labels: { [revisionLabel]: hash, 'pod-template-generation': generation },
        spec: {
          affinity: {
            ...objectAt(template, 'spec.affinity'),
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [
                  { matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] },
                ],
              },
            },
          },
          tolerations: [...(Array.isArray(tolerations) ? tolerations : []), ...nodeTolerations],
        },
      })
      try {
        const created = client.create('pods', pod)
        tell(set, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`)
      } catch (error) {
        if (error instanceof StatusError)
          tell(set, 'Warning', 'FailedCreate', `Error creating: ${error.message}`)
        throw error
      }
    }
  }

  function renew(set: KubeObject, pods: readonly KubeObject[], nodes: number, hash: string): void {
    const strategy = objectAt(set, 'spec.updateStrategy')
    if (strategy['type'] === 'OnDelete') return
    const minReadySeconds = numberAt(set, 'spec.minReadySeconds')
    const waits = pods.map((pod) => ({ pod, wait: availableInMs(pod, minReadySeconds) }))
    const old = waits.filter(({ pod }) => labelsOf(pod)[revisionLabel] !== hash)
    const share = objectAt(strategy, 'rollingUpdate')['maxUnavailable']
    const maxUnavailable = Math.max(1, scaled(share, nodes, Math.ceil))
    let mayGo = maxUnavailable - (nodes - waits.filter(({ wait }) => wait === 0).length)
    for (const { pod, wait } of old) {
      // what does not work anyway costs nothing
      if (wait === 0 && mayGo-- <= 0) continue
      remove(set, pod)
    }
    const soonest = Math.min(...waits.map(({ wait }) => wait).filter((wait) => wait > 0))
    if (Number.isFinite(soonest)) host.later(soonest + 1, controller, set)
  }

  function remove(set: KubeObject, pod: KubeObject): void {
    const { name, uid } = pod.metadata
    if (client.delete('pods', namespaceOf(pod), name, { uid: String(uid) })) {
      tell(set, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`)
    }
  }

  function tell(set: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    host.record('daemonset-controller', set, { type, reason, message })
  }

  function writeStatus(set: KubeObject, nodes: readonly string[], hash: string): void {
    const minReadySeconds = numberAt(set, 'spec.minReadySeconds')
    const pods = host.index.ownedBy(set, 'pods').filter((pod) => !isGoing(pod) && nodes.includes(nodeOf(pod)))
    const available = pods.filter((pod) => availableInMs(pod, minReadySeconds) === 0).length
    updateStatus(client, collection, set, {
      currentNumberScheduled: pods.length,
      numberMisscheduled: 0,
      desiredNumberScheduled: nodes.length,
      numberReady: pods.filter(isReady).length,
      observedGeneration: numberAt(set, 'metadata.generation'),
      ...withoutZeros({
        updatedNumberScheduled: pods.filter((pod) => labelsOf(pod)[revisionLabel] === hash).length,
        numberAvailable: available,
        numberUnavailable: nodes.length - available,
      }),
    })
  }
}

const nodeTolerations = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
]

/** Where a pod is, or is to go. */
function nodeOf(pod: KubeObject): string {
  const spec = objectAt(pod, 'spec')
  if (typeof spec['nodeName'] === 'string') return spec['nodeName']
  return /"values":\["([^"]+)"\]/.exec(JSON.stringify(spec['affinity'] ?? null))?.[1] ?? ''
}
