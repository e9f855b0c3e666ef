import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../core/json.ts'
import { apiVersionOf, type Discovery, type ResourceType } from '../../ports/cluster.ts'
import type { ApiClient, ApiReply } from './client.ts'

/**
 * What the API server serves: aggregated discovery in two requests, or one request a group version where the server is
 * too old for it. A group whose own server is down is left out; what it serves is unknown until the next time.
 *
 * @see https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
 */

const aggregated = ['v2', 'v2beta1'].map(
  (version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
)

/** @throws FluxError `CLUSTER_UNREACHABLE` | `CLUSTER_DENIED` | `CLUSTER_FORBIDDEN` */
export async function discoverTypes(client: ApiClient, signal?: AbortSignal): Promise<Discovery> {
  const accept = [...aggregated, 'application/json'].join(',')
  const replies = await Promise.all(
    ['/api', '/apis'].map((path) => client.ask({ method: 'GET', path, accept, signal })),
  )
  const found = await Promise.all(
    replies.map((reply) =>
      isAggregated(reply) ? readAggregated(reply.body) : readLegacy(client, reply, signal),
    ),
  )
  return indexTypes(found.flat())
}

/** The types of every group, in the server's order of preference. */
function indexTypes(all: ResourceType[]): Discovery {
  // asked for each object of a pass: no text is put together
  const byVersion = new Map<string, Map<string, ResourceType>>()
  const preferred = new Map<string, ResourceType>()
  for (const type of all) {
    const apiVersion = apiVersionOf(type)
    const kinds = byVersion.get(apiVersion) ?? new Map<string, ResourceType>()
    byVersion.set(apiVersion, kinds)
    if (!kinds.has(type.kind)) kinds.set(type.kind, type)
    const anyVersion = `${type.group}/${type.kind}`
    if (!preferred.has(anyVersion)) preferred.set(anyVersion, type)
  }
  return {
    types: [...preferred.values()],
    find: (apiVersion, kind) => byVersion.get(apiVersion)?.get(kind),
  }
}

function isAggregated({ contentType }: ApiReply): boolean {
  return contentType.includes('as=APIGroupDiscoveryList')
}

function readAggregated(list: JsonObject): ResourceType[] {
  return objectsAt(list, 'items').flatMap((group) =>
    objectsAt(group, 'versions').flatMap((version) =>
      objectsAt(version, 'resources').map((resource) => ({
        group: textAt(group, 'metadata', 'name'),
        version: textAt(version, 'version'),
        kind: textAt(resource, 'responseKind', 'kind'),
        plural: textAt(resource, 'resource'),
        namespaced: resource['scope'] === 'Namespaced',
        verbs: textsAt(resource, 'verbs'),
      })),
    ),
  )
}

async function readLegacy(
  client: ApiClient,
  { body }: ApiReply,
  signal?: AbortSignal,
): Promise<ResourceType[]> {
  const groupVersions = [
    ...textsAt(body, 'versions').map((version) => ({ path: `/api/${version}`, group: '', version })),
    ...objectsAt(body, 'groups').flatMap((group) => {
      const preferred = textAt(group, 'preferredVersion', 'version')
      const versions = objectsAt(group, 'versions').map((version) => textAt(version, 'version'))
      const name = textAt(group, 'name')
      return [...new Set([preferred, ...versions])].map((version) => ({
        path: `/apis/${name}/${version}`,
        group: name,
        version,
      }))
    }),
  ]
  const types = await Promise.all(
    groupVersions.map(async ({ path, group, version }) => {
      const reply = await client.send({ method: 'GET', path, signal })
      if (reply.status !== 200) return []
      return objectsAt(reply.body, 'resources')
        .filter((resource) => !textAt(resource, 'name').includes('/'))
        .map((resource) => ({
          group,
          version,
          kind: textAt(resource, 'kind'),
          plural: textAt(resource, 'name'),
          namespaced: resource['namespaced'] === true,
          verbs: textsAt(resource, 'verbs'),
        }))
    }),
  )
  return types.flat()
}

function objectsAt(value: JsonObject, key: string): JsonObject[] {
  const found = value[key]
  return Array.isArray(found) ? found.filter(isJsonObject) : []
}

function textsAt(value: JsonObject, key: string): string[] {
  const found: JsonValue | undefined = value[key]
  return Array.isArray(found) ? found.filter((item) => typeof item === 'string') : []
}

function textAt(value: JsonObject, ...path: string[]): string {
  const found = valueAt(value, ...path)
  return typeof found === 'string' ? found : ''
}
