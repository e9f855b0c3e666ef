import type { JsonObject } from '../../../core/json.ts'
import { at, listAt, numberAt, objectAt, textAt } from '../fields.ts'
import { type KubeObject, StatusError } from '../model.ts'
import { type Controller, type Host, timestamp } from './host.ts'
import {
  adoptAndList,
  availableInMs,
  isActive,
  isGoing,
  isReady,
  labelsOf,
  namespaceOf,
  podFrom,
  updateStatus,
  withCondition,
  withoutZeros,
} from './owners.ts'

/** ReplicaSets, and the ReplicationControllers before them: as many pods of one template as are wanted. */

export function createReplicaSets(host: Host): Controller {
  return replicating(host, 'replicasets.apps', 'ReplicaSet', 'replicaset-controller', (set) =>
    objectAt(set, 'spec.selector'),
  )
}

export function createReplicationControllers(host: Host): Controller {
  return replicating(
    host,
    'replicationcontrollers',
    'ReplicationController',
    'replication-controller',
    (object) => ({
      matchLabels: objectAt(object, 'spec.selector'),
    }),
  )
}

function replicating(
  host: Host,
  collection: string,
  kind: string,
  component: string,
  selectorOf: (object: KubeObject) => JsonObject,
): Controller {
  const client = host.as('kube-controller-manager')
  const controller: Controller = {
    collection,
    kind,
    sync(set) {
      const owned = adoptAndList(host, client, set, 'pods', selectorOf(set))
      const active = owned.filter(isActive)
      const failure = isGoing(set) ? undefined : resize(set, active)
      // what was made or deleted just now is counted when it is heard of
      writeStatus(set, owned, active, failure)
      if (failure) throw failure
    },
  }
  return controller

  function resize(set: KubeObject, active: readonly KubeObject[]): StatusError | undefined {
    const wanted = numberAt(set, 'spec.replicas')
    const template = objectAt(set, 'spec.template')
    const record = (type: 'Normal' | 'Warning', reason: string, message: string) =>
      host.record(component, set, { type, reason, message })
    for (let missing = wanted - active.length; missing > 0; missing--) {
      try {
        const pod = client.create('pods', podFrom({ owner: set, template }))
        record('Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`)
      } catch (error) {
        if (!(error instanceof StatusError)) throw error
        record('Warning', 'FailedCreate', `Error creating: ${error.message}`)
        return error
      }
    }
    for (const pod of leastMissed(active).slice(0, Math.max(0, active.length - wanted))) {
      const { name, uid } = pod.metadata
      if (client.delete('pods', namespaceOf(pod), name, { uid: String(uid) })) {
        record('Normal', 'SuccessfulDelete', `Deleted pod: ${name}`)
      }
    }
    return undefined
  }

  function writeStatus(
    set: KubeObject,
    owned: readonly KubeObject[],
    active: readonly KubeObject[],
    failure: StatusError | undefined,
  ): void {
    const minReadySeconds = numberAt(set, 'spec.minReadySeconds')
    const labels = Object.entries(objectAt(set, 'spec.template.metadata.labels'))
    const waits = active.map((pod) => availableInMs(pod, minReadySeconds))
    const available = waits.filter((wait) => wait === 0).length
    const others = listAt(set, 'status.conditions').filter(({ type }) => type !== 'ReplicaFailure')
    const conditions = failure
      ? withCondition(listAt(set, 'status.conditions'), {
          type: 'ReplicaFailure',
          status: 'True',
          lastTransitionTime: timestamp(),
          reason: 'FailedCreate',
          message: failure.message,
        })
      : others
    const isSet = kind === 'ReplicaSet'
    const written = updateStatus(client, collection, set, {
      replicas: active.length,
      ...withoutZeros({
        fullyLabeledReplicas: active.filter((pod) =>
          labels.every(([key, value]) => labelsOf(pod)[key] === value),
        ).length,
        readyReplicas: active.filter(isReady).length,
        availableReplicas: available,
      }),
      ...(isSet && { terminatingReplicas: owned.filter(isGoing).length }),
      observedGeneration: numberAt(set, 'metadata.generation'),
      ...(conditions.length > 0 && { conditions }),
    })
    const soonest = Math.min(...waits.filter((wait) => wait > 0))
    if (Number.isFinite(soonest)) host.later(soonest + 1, controller, written)
  }
}

/** Those first that are least missed: not placed, not running, not ready, cheap by their annotation, young. */
function leastMissed(pods: readonly KubeObject[]): KubeObject[] {
  const phases = ['Pending', 'Unknown', 'Running']
  const cost = (pod: KubeObject) =>
    Number(objectAt(pod, 'metadata.annotations')['controller.kubernetes.io/pod-deletion-cost'] ?? 0)
  const ranks = (pod: KubeObject) => [
    at(pod, 'spec.nodeName') === undefined ? 0 : 1,
    phases.indexOf(textAt(pod, 'status.phase')),
    isReady(pod) ? 1 : 0,
    cost(pod),
    -Date.parse(textAt(pod, 'metadata.creationTimestamp')),
  ]
  const ranked = pods.map((pod) => ({ pod, ranks: ranks(pod) }))
  ranked.sort((a, b) => {
    const index = a.ranks.findIndex((rank, at) => rank !== b.ranks[at])
    return index < 0 ? 0 : (a.ranks[index] ?? 0) - (b.ranks[index] ?? 0)
  })
  return ranked.map(({ pod }) => pod)
}
