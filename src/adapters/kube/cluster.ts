import { randomUUID } from 'node:crypto'
import type { Cluster, ClusterEvent, Discovery } from '../../ports/cluster.ts'
import { applyObject } from './apply.ts'
import { createApiClient } from './client.ts'
import { listAll, watchAll } from './collections.ts'
import type { KubeConnection } from './connection.ts'
import { discoverTypes } from './discovery.ts'
import { failureOf, writeFailureOf } from './failure.ts'
import { createHttp2Transport } from './http2.ts'
import { objectPath } from './paths.ts'

/**
 * The API server as the agent sees it: discovery, lists and watches, server-side apply, over one HTTP/2 connection of
 * our own, since client libraries open a connection a watch and drop fields they don't know.
 *
 * Follows `docs/apply.md`. Leaves out caching and deciding: what is to be done stands in `core/sync`.
 */

export interface ClusterOptions {
  connection: KubeConnection
  /** field manager of merge patches; default `fluxd-state` */
  stateManager?: string
  /** for one request and its reply; a webhook may take 30 s of it */
  requestTimeoutMs?: number
  connectTimeoutMs?: number
}

/** Manager of what is not applied from Git, so that applying never takes it for something that left Git. */
const usualStateManager = 'fluxd-state'
const longestNoteBytes = 1024

export function createCluster({
  connection,
  stateManager = usualStateManager,
  requestTimeoutMs = 60_000,
  connectTimeoutMs = 10_000,
}: ClusterOptions): Cluster {
  const transport = createHttp2Transport(connection, { connectTimeoutMs })
  const client = createApiClient({ connection, transport, requestTimeoutMs })
  let discovery: Promise<Discovery> | undefined

  return {
    server: connection.origin.server,

    async version(signal) {
      const { body } = await client.ask({ method: 'GET', path: '/version', signal })
      return typeof body['gitVersion'] === 'string' ? body['gitVersion'] : 'unknown'
    },

    async discover(signal) {
      const asked = discovery ?? discoverTypes(client, signal)
      discovery = asked
      try {
        return await asked
      } catch (error) {
        if (discovery === asked) discovery = undefined
        throw error
      }
    },

    forgetDiscovery() {
      discovery = undefined
    },

    async get(key, signal) {
      const reply = await client.send({ method: 'GET', path: objectPath(key), signal })
      if (reply.status === 404) return undefined
      if (reply.status >= 300) throw failureOf(reply.status, reply.body, connection)
      return reply.body
    },

    list: (type, options) => listAll(client, type, options),
    watch: (type, options) => watchAll(client, type, options),
    apply: (key, object, options) => applyObject(client, key, object, options),

    async patch(key, patch, signal) {
      const reply = await client.send({
        method: 'PATCH',
        path: objectPath(key),
        query: { fieldManager: stateManager },
        contentType: 'application/merge-patch+json',
        body: patch,
        signal,
      })
      if (reply.status === 404) throw failureOf(reply.status, reply.body, connection)
      if (reply.status >= 300) throw writeFailureOf(reply.status, reply.body, connection)
      return reply.body
    },

    async delete(key, { uid, signal } = {}) {
      const reply = await client.send({
        method: 'DELETE',
        path: objectPath(key),
        body: {
          kind: 'DeleteOptions',
          apiVersion: 'v1',
          propagationPolicy: 'Background',
          ...(uid !== undefined && { preconditions: { uid } }),
        },
        signal,
      })
      // 409: another object has the name by now, and the one that was meant is gone
      if (reply.status === 404 || (reply.status === 409 && uid !== undefined)) return false
      if (reply.status >= 300) throw writeFailureOf(reply.status, reply.body, connection)
      return true
    },

    async writeEvent(event) {
      const namespace = event.regarding.namespace ?? 'default'
      const reply = await client.send({
        method: 'POST',
        path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`,
        body: eventObject(event, namespace),
      })
      if (reply.status >= 300) throw writeFailureOf(reply.status, reply.body, connection)
    },

    close: () => client.close(),
  }
}

/** A core/v1 Event: what roles for events have always allowed. */
function eventObject(event: ClusterEvent, namespace: string) {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
  const { regarding, type, reason, component } = event
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${regarding.name}.${randomUUID().slice(-12)}`, namespace },
    involvedObject: {
      apiVersion: regarding.apiVersion,
      kind: regarding.kind,
      name: regarding.name,
      ...(regarding.namespace !== undefined && { namespace: regarding.namespace }),
      ...(regarding.uid !== undefined && { uid: regarding.uid }),
    },
    type,
    reason,
    message: shortened(event.message, longestNoteBytes),
    source: { component },
    reportingComponent: component,
    reportingInstance: '',
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  }
}

/** At most so many bytes of UTF-8, cut between characters. */
function shortened(text: string, limitBytes: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= limitBytes) return text
  return `${bytes
    .subarray(0, limitBytes - 3)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')}…`
}
