import type { Duplex } from 'node:stream'
import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../core/json.ts'
import type { KubeAccess, PodSummary } from '../../ports/agent-access.ts'
import { createApiClient } from './client.ts'
import { type KubeConnectionOptions, loadKubeConnection } from './connection.ts'
import { failureOf } from './failure.ts'
import { createHttp1Transport, keepAliveAgent } from './http1.ts'

/**
 * The cluster as fluxctl needs it: find fluxd's pod, open a stream to its port. Quick to load: HTTP/1.1, and nothing
 * else until it is used. The port-forward goes over the connection that the pods were listed with.
 */

const requestTimeoutMs = 15_000
/** people wait for it, and a TCP connection that needs longer will not work either */
const connectTimeoutMs = 1_800

/** @throws FluxError `KUBECONFIG_MISSING` | `KUBECONFIG_INVALID` */
export async function openKubeAccess(options: KubeConnectionOptions = {}): Promise<KubeAccess> {
  const connection = await loadKubeConnection(options)
  const agent = keepAliveAgent(connection)
  const transport = createHttp1Transport(connection, { connectTimeoutMs, agent })
  const client = createApiClient({ connection, transport, requestTimeoutMs })
  const streams = new Set<Duplex>()

  return {
    origin: connection.origin,

    async listPods({ namespace, labelSelector, fieldSelector, signal }) {
      const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`
      const [{ body }] = await Promise.all([
        client.ask({
          method: 'GET',
          path: `/api/v1${scope}/pods`,
          query: { labelSelector, fieldSelector },
          signal,
        }),
        // loaded while the server thinks: who looks for pods will want to reach one
        import('./port-forward.ts'),
      ])
      const items = Array.isArray(body['items']) ? body['items'] : []
      return items.filter(isJsonObject).map(readPod)
    },

    async ownedByDeployment(pod, signal) {
      if (pod.owner?.kind !== 'ReplicaSet') return false
      const reply = await client.send({
        method: 'GET',
        path: `/apis/apps/v1/namespaces/${encodeURIComponent(pod.namespace)}/replicasets/${encodeURIComponent(pod.owner.name)}`,
        signal,
      })
      if (reply.status === 404) return false
      if (reply.status >= 300) throw failureOf(reply.status, reply.body, connection)
      return controllerOf(reply.body)?.kind === 'Deployment'
    },

    async forward(target, signal) {
      const { openPortForward } = await import('./port-forward.ts')
      const credential = await connection.credential()
      const stream = await openPortForward(target, { connection, credential, agent, signal })
      streams.add(stream.once('close', () => streams.delete(stream)))
      return stream
    },

    async close() {
      for (const stream of streams) stream.destroy()
      await client.close()
    },
  }
}

function readPod(pod: JsonObject): PodSummary {
  const conditions = valueAt(pod, 'status', 'conditions')
  const labels = valueAt(pod, 'metadata', 'labels')
  const ready = (Array.isArray(conditions) ? conditions : []).some(
    (condition) => valueAt(condition, 'type') === 'Ready' && valueAt(condition, 'status') === 'True',
  )
  return {
    namespace: textOf(valueAt(pod, 'metadata', 'namespace')) ?? '',
    name: textOf(valueAt(pod, 'metadata', 'name')) ?? '',
    uid: textOf(valueAt(pod, 'metadata', 'uid')) ?? '',
    labels: isJsonObject(labels) ? (labels as Record<string, string>) : {},
    phase: textOf(valueAt(pod, 'status', 'phase')) ?? '',
    ready,
    node: textOf(valueAt(pod, 'spec', 'nodeName')),
    serviceAccount: textOf(valueAt(pod, 'spec', 'serviceAccountName')),
    image: textOf(valueAt(pod, 'spec', 'containers', 0, 'image')),
    terminating: valueAt(pod, 'metadata', 'deletionTimestamp') !== undefined,
    owner: controllerOf(pod),
  }
}

function controllerOf(object: JsonObject): PodSummary['owner'] {
  const owners = valueAt(object, 'metadata', 'ownerReferences')
  const owner = (Array.isArray(owners) ? owners : []).find((one) => valueAt(one, 'controller') === true)
  const kind = textOf(valueAt(owner, 'kind'))
  const name = textOf(valueAt(owner, 'name'))
  return kind === undefined || name === undefined ? undefined : { kind, name }
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}
