import { createCluster } from '../../../src/adapters/kube/cluster.ts'
import { loadKubeConnection } from '../../../src/adapters/kube/connection.ts'
import type { JsonObject } from '../../../src/core/json.ts'
import type { Cluster, ObjectKey, ResourceType } from '../../../src/ports/cluster.ts'
import { type ControlPlaneAccess, readAuditLog } from '../../support/control-plane.ts'

export interface TestCluster extends AsyncDisposable {
  cluster: Cluster
  key(apiVersion: string, kind: string, namespace: string | undefined, name: string): Promise<ObjectKey>
  type(apiVersion: string, kind: string): Promise<ResourceType>
}

/** Our client, connected by a kubeconfig file. */
export async function connect(kubeconfig: string): Promise<TestCluster> {
  const cluster = createCluster({ connection: await loadKubeConnection({ kubeconfig }) })
  const type = async (apiVersion: string, kind: string) => {
    const found = (await cluster.discover()).find(apiVersion, kind)
    if (found === undefined) throw new Error(`${apiVersion} ${kind} is not served`)
    return found
  }
  return {
    cluster,
    type,
    key: async (apiVersion, kind, namespace, name) => ({
      type: await type(apiVersion, kind),
      ...(namespace !== undefined && { namespace }),
      name,
    }),
    [Symbol.asyncDispose]: () => cluster.close(),
  }
}

/** How many requests named this path, in the order they came: `patch 200`. */
export async function requestsTo(plane: Pick<ControlPlaneAccess, 'auditLogPath'>, path: string) {
  const entries = await readAuditLog(plane.auditLogPath)
  return entries
    .filter(({ requestURI }) => requestURI === path || requestURI.startsWith(`${path}?`))
    .map(({ verb, responseStatus }) => `${verb} ${responseStatus?.code}`)
}

export function deployment(
  name: string,
  { env, ...spec }: { env?: JsonObject[] } & JsonObject = {},
): JsonObject {
  const labels = { app: name }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'web', image: 'web:1', ...(env && { env }) }] },
      },
      ...spec,
    },
  }
}

export function configMap(name: string, data: JsonObject, metadata: JsonObject = {}): JsonObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data }
}
