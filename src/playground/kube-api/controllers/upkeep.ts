import { at, numberAt, objectAt, textAt } from '../fields.ts'
import type { KubeObject } from '../model.ts'
import { type Controller, controllerOf, type Host, timestamp } from './host.ts'
import {
  isActive,
  isGoing,
  isReady,
  labelsOf,
  matchesSelector,
  namespaceOf,
  scaled,
  updateStatus,
} from './owners.ts'

/** Small things that a cluster sees to: how many pods may be missed, and when claims may go. */

/** PodDisruptionBudgets count the pods that work, and how many of them are spare. */
export function createDisruptionBudgets(host: Host): Controller {
  const client = host.as('kube-controller-manager')
  const collection = 'poddisruptionbudgets.policy'
  return {
    collection,
    kind: 'PodDisruptionBudget',
    sync(budget) {
      const namespace = namespaceOf(budget)
      const selector = at(budget, 'spec.selector')
      const pods = podsOf(budget).filter((pod) => isActive(pod) && matchesSelector(selector, labelsOf(pod)))
      const healthy = pods.filter(isReady).length
      const minAvailable = at(budget, 'spec.minAvailable')
      const maxUnavailable = at(budget, 'spec.maxUnavailable')
      const isCount = maxUnavailable === undefined && typeof minAvailable === 'number'
      const expected = isCount ? pods.length : expectedOf(namespace, pods)
      const desired =
        maxUnavailable === undefined
          ? scaled(minAvailable, expected, Math.ceil)
          : Math.max(0, expected - scaled(maxUnavailable, expected, Math.ceil))
      const allowed = expected === 0 ? 0 : Math.max(0, healthy - desired)
      const known = at(budget, 'status.conditions')
      const before = Array.isArray(known) ? known[0] : undefined
      const status = allowed > 0 ? 'True' : 'False'
      const generation = numberAt(budget, 'metadata.generation')
      updateStatus(client, collection, budget, {
        observedGeneration: generation,
        disruptionsAllowed: allowed,
        currentHealthy: healthy,
        desiredHealthy: desired,
        expectedPods: expected,
        conditions: [
          {
            type: 'DisruptionAllowed',
            status,
            observedGeneration: generation,
            lastTransitionTime:
              (textAt(before, 'status') === status && textAt(before, 'lastTransitionTime')) || timestamp(),
            reason: allowed > 0 ? 'SufficientPods' : 'InsufficientPods',
            message: '',
          },
        ],
      })
    },
    concerns: {
      pods: ({ object, namespace }) =>
        client
          .list(collection, { namespace })
          .filter((budget) => matchesSelector(at(budget, 'spec.selector'), labelsOf(object)))
          .map(({ metadata }) => ({ namespace, name: metadata.name })),
    },
  }

  function podsOf(budget: KubeObject): KubeObject[] {
    const namespace = namespaceOf(budget)
    const labels = objectAt(budget, 'spec.selector.matchLabels')
    if (Object.keys(labels).length > 0) return host.index.podsWith(namespace, labels)
    return [...client.list('pods', { namespace })]
  }

  /** As many as those who make the pods want. */
  function expectedOf(namespace: string, pods: readonly KubeObject[]): number {
    const wanted = new Map<string, number>()
    const collections: Record<string, string> = {
      ReplicaSet: 'replicasets.apps',
      StatefulSet: 'statefulsets.apps',
      ReplicationController: 'replicationcontrollers',
    }
    for (const pod of pods) {
      const owner = controllerOf(pod)
      const set = client.get(collections[textAt(owner, 'kind')] ?? 'pods', namespace, textAt(owner, 'name'))
      if (set) wanted.set(String(set.metadata['uid']), numberAt(set, 'spec.replicas'))
    }
    return [...wanted.values()].reduce((sum, replicas) => sum + replicas, 0)
  }
}

/** A claim that is deleted goes when no pod uses it any more. */
export function createClaims(host: Host): Controller {
  const client = host.as('kube-controller-manager')
  return {
    collection: 'persistentvolumeclaims',
    kind: 'PersistentVolumeClaim',
    sync(claim) {
      const namespace = namespaceOf(claim)
      const { name } = claim.metadata
      const uses = (pod: KubeObject) =>
        isActive(pod) &&
        JSON.stringify(at(pod, 'spec.volumes') ?? []).includes(`"claimName":${JSON.stringify(name)}`)
      if (!isGoing(claim) || client.list('pods', { namespace }).some(uses)) return
      release(host, claim, 'persistentvolumeclaims', 'kubernetes.io/pvc-protection')
    },
    concerns: {
      pods: ({ type, namespace }) => {
        if (type !== 'DELETED') return []
        const going = client.list('persistentvolumeclaims', { namespace }).filter(isGoing)
        return going.map(({ metadata }) => ({ namespace, name: metadata.name }))
      },
    },
  }
}

/** A volume that is deleted goes unless it is bound, which none is here. */
export function createVolumes(host: Host): Controller {
  const client = host.as('kube-controller-manager')
  return {
    collection: 'persistentvolumes',
    kind: 'PersistentVolume',
    sync(volume) {
      if (isGoing(volume)) release(host, volume, 'persistentvolumes', 'kubernetes.io/pv-protection')
      else if (textAt(volume, 'status.phase') === 'Pending') {
        const status = { ...objectAt(volume, 'status'), phase: 'Available' }
        client.updateStatus('persistentvolumes', { ...volume, status })
      }
    },
  }
}

function release(host: Host, object: KubeObject, collection: string, finalizer: string): void {
  const finalizers = object.metadata['finalizers']
  if (!Array.isArray(finalizers) || !finalizers.includes(finalizer)) return
  const left = finalizers.filter((other) => other !== finalizer)
  host
    .as('kube-controller-manager')
    .update(collection, { ...object, metadata: { ...object.metadata, finalizers: left } })
}

/** Events are told for an hour. */
const eventTtlMs = 3_600_000

/** Drop events that are old. @returns ends it */
export function expireEvents(host: Host): () => void {
  const client = host.as('kube-apiserver')
  const timer = setInterval(() => {
    const oldest = timestamp(Date.now() - eventTtlMs)
    for (const event of client.list('events')) {
      const seen = textAt(event, 'lastTimestamp') || textAt(event, 'metadata.creationTimestamp')
      if (seen < oldest) client.delete('events', namespaceOf(event), event.metadata.name)
    }
  }, 60_000).unref()
  return () => clearInterval(timer)
}
