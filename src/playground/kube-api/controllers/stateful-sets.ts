import type { JsonObject } from '../../../core/json.ts'
import { listAt, numberAt, objectAt, textAt } from '../fields.ts'
import { type KubeObject, StatusError } from '../model.ts'
import type { Controller, Host } from './host.ts'
import {
  adoptAndList,
  availableInMs,
  dropOldRevisions,
  isGoing,
  isReady,
  labelsOf,
  namespaceOf,
  podFrom,
  syncRevisions,
  updateStatus,
  withoutZeros,
} from './owners.ts'

/**
 * StatefulSets: pods with names that stay, made one after the other, renewed from the last to the first, each with
 * claims of its own.
 *
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
 */

const collection = 'statefulsets.apps'
const revisionLabel = 'controller-revision-hash'

export function createStatefulSets(host: Host): Controller {
  const client = host.as('kube-controller-manager')

  const controller: Controller = {
    collection,
    kind: 'StatefulSet',
    sync(set) {
      const pods = adoptAndList(host, client, set, 'pods').filter((pod) => ordinalOf(set, pod) >= 0)
      if (isGoing(set)) return
      const { revisions, update } = syncRevisions(host, client, set, (hash) => ({
        ...objectAt(set, 'spec.template.metadata.labels'),
        'controller.kubernetes.io/hash': hash,
      }))
      const named = textAt(set, 'status.currentRevision')
      const current = revisions.find(({ metadata }) => metadata.name === named) ?? update
      try {
        step(set, pods, current, update)
      } finally {
        writeStatus(set, current, update)
      }
      const used = new Set([current.metadata.name, update.metadata.name])
      for (const pod of pods) used.add(String(labelsOf(pod)[revisionLabel]))
      dropOldRevisions(client, set, revisions, used)
    },
  }
  return controller

  /** One pod at a time where the order counts. */
  function step(set: KubeObject, pods: readonly KubeObject[], current: KubeObject, update: KubeObject): void {
    const first = numberAt(set, 'spec.ordinals.start')
    const wanted = numberAt(set, 'spec.replicas')
    const byOrdinal = new Map(pods.map((pod) => [ordinalOf(set, pod), pod]))
    const inOrder = textAt(set, 'spec.podManagementPolicy') !== 'Parallel'
    const minReadySeconds = numberAt(set, 'spec.minReadySeconds')
    const partition = numberAt(set, 'spec.updateStrategy.rollingUpdate.partition')
    const rolls = textAt(set, 'spec.updateStrategy.type') !== 'OnDelete'

    for (let ordinal = first; ordinal < first + wanted; ordinal++) {
      const pod = byOrdinal.get(ordinal)
      if (pod === undefined || ['Failed', 'Succeeded'].includes(textAt(pod, 'status.phase'))) {
        if (pod !== undefined) remove(set, pod)
        else {
          const stays = ordinal < first + (rolls ? partition : numberAt(set, 'status.currentReplicas'))
          create(set, ordinal, stays ? current : update)
        }
        if (inOrder) return
        continue
      }
      if (!inOrder) continue
      const wait = isGoing(pod) ? Number.POSITIVE_INFINITY : availableInMs(pod, minReadySeconds)
      if (wait === 0) continue
      if (Number.isFinite(wait)) host.later(wait + 1, controller, set)
      return
    }

    const condemned = [...byOrdinal].filter(([ordinal]) => ordinal < first || ordinal >= first + wanted)
    condemned.sort(([a], [b]) => b - a)
    for (const [, pod] of condemned) {
      if (!isGoing(pod)) remove(set, pod)
      if (inOrder) return
    }

    if (!rolls) return
    for (let ordinal = first + wanted - 1; ordinal >= first + partition; ordinal--) {
      const pod = byOrdinal.get(ordinal)
      if (pod === undefined) continue
      if (labelsOf(pod)[revisionLabel] !== update.metadata.name) {
        if (!isGoing(pod)) remove(set, pod)
        return
      }
      const wait = isGoing(pod) ? Number.POSITIVE_INFINITY : availableInMs(pod, minReadySeconds)
      if (Number.isFinite(wait) && wait > 0) host.later(wait + 1, controller, set)
      if (wait > 0) return
    }
  }

  function create(set: KubeObject, ordinal: number, revision: KubeObject): void {
    const name = `${set.metadata.name}-${ordinal}`
    const namespace = namespaceOf(set)
    const { $patch: _patch, ...template } = objectAt(revision, 'data.spec.template')
    const volumes = claim(set, name)
    const given = listAt(template, 'spec.volumes')
    const others = given.filter((volume) => !volumes.some((own) => own['name'] === volume['name']))
    const pod = podFrom({
      owner: set,
      template,
      name,
      labels: {
        'apps.kubernetes.io/pod-index': String(ordinal),
        'statefulset.kubernetes.io/pod-name': name,
        [revisionLabel]: revision.metadata.name,
      },
      spec: {
        hostname: name,
        ...(textAt(set, 'spec.serviceName') !== '' && { subdomain: textAt(set, 'spec.serviceName') }),
        ...(given.length + volumes.length > 0 && { volumes: [...others, ...volumes] }),
      },
    })
    try {
      client.create('pods', pod)
      tell(
        set,
        'Normal',
        'SuccessfulCreate',
        `create Pod ${name} in StatefulSet ${set.metadata.name} successful`,
      )
    } catch (error) {
      if (error instanceof StatusError && client.get('pods', namespace, name) === undefined) {
        const message = `create Pod ${name} in StatefulSet ${set.metadata.name} failed error: ${error.message}`
        tell(set, 'Warning', 'FailedCreate', message)
      }
      throw error
    }
  }

  /** The claims of one pod, made where they are missing, as its volumes. */
  function claim(set: KubeObject, pod: string): JsonObject[] {
    return listAt(set, 'spec.volumeClaimTemplates').map((template) => {
      const volume = textAt(template, 'metadata.name')
      const name = `${volume}-${pod}`
      const namespace = namespaceOf(set)
      if (client.get('persistentvolumeclaims', namespace, name) === undefined) {
        const { status: _status, ...rest } = template
        const metadata = objectAt(template, 'metadata')
        const labels = { ...objectAt(metadata, 'labels'), ...objectAt(set, 'spec.selector.matchLabels') }
        client.create('persistentvolumeclaims', {
          ...rest,
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { ...metadata, name, namespace, labels },
        })
        const message = `Create Claim ${name} Pod ${pod} in StatefulSet ${set.metadata.name} success`
        tell(set, 'Normal', 'SuccessfulCreate', message)
      }
      return { name: volume, persistentVolumeClaim: { claimName: name } }
    })
  }

  function remove(set: KubeObject, pod: KubeObject): void {
    const { name, uid } = pod.metadata
    client.delete('pods', namespaceOf(pod), name, { uid: String(uid) })
    tell(
      set,
      'Normal',
      'SuccessfulDelete',
      `delete Pod ${name} in StatefulSet ${set.metadata.name} successful`,
    )
  }

  function tell(set: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    host.record('statefulset-controller', set, { type, reason, message })
  }

  function writeStatus(set: KubeObject, current: KubeObject, update: KubeObject): void {
    const pods = host.index.ownedBy(set, 'pods').filter((pod) => ordinalOf(set, pod) >= 0)
    const minReadySeconds = numberAt(set, 'spec.minReadySeconds')
    const alive = pods.filter((pod) => !isGoing(pod))
    const of = (revision: KubeObject) =>
      alive.filter((pod) => labelsOf(pod)[revisionLabel] === revision.metadata.name).length
    const ready = pods.filter(isReady).length
    const counts = {
      replicas: pods.length,
      readyReplicas: ready,
      currentReplicas: of(current),
      updatedReplicas: of(update),
    }
    const wanted = numberAt(set, 'spec.replicas')
    const isThrough =
      textAt(set, 'spec.updateStrategy.type') !== 'OnDelete' &&
      [counts.updatedReplicas, counts.replicas, ready].every((count) => count === wanted)
    if (isThrough) counts.currentReplicas = counts.updatedReplicas
    updateStatus(client, collection, set, {
      observedGeneration: numberAt(set, 'metadata.generation'),
      replicas: counts.replicas,
      ...withoutZeros(counts),
      currentRevision: isThrough ? update.metadata.name : current.metadata.name,
      updateRevision: update.metadata.name,
      collisionCount: 0,
      availableReplicas: pods.filter((pod) => availableInMs(pod, minReadySeconds) === 0).length,
    })
  }
}

/** The number that a pod of the set is called by; -1 for others. */
function ordinalOf(set: KubeObject, pod: KubeObject): number {
  const [, name, ordinal] = /^(.*)-(\d+)$/.exec(pod.metadata.name) ?? []
  return name === set.metadata.name ? Number(ordinal) : -1
}
