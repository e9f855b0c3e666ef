import { FluxError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import type { Cluster, ListOptions, ResourceType } from '../ports/cluster.ts'
import type { ClusterView } from './cluster-view.ts'
import { type LiveObject, objectName, readLiveObject } from './collection.ts'

/** What the cluster has of the kinds that a revision names. */
export type FindLive = (
  type: ResourceType,
  namespace: string | undefined,
  name: string,
) => LiveObject | undefined

interface LiveOptions {
  cluster: Cluster
  view: ClusterView
  /** empty: all */
  namespaces: readonly string[]
}

/** Live objects of these types: from the view where it can be trusted, by lists elsewhere and on a full pass. */
export async function readLive(
  { cluster, view, namespaces }: LiveOptions,
  types: readonly ResourceType[],
  full: boolean,
  signal: AbortSignal,
): Promise<FindLive> {
  const listed = new Map<ResourceType, Map<string, LiveObject>>()
  const trusted = !full && view.healthy()
  await Promise.all(
    types.map(async (type) => {
      if (trusted && view.isFollowed(type)) return
      const objects = new Map<string, LiveObject>()
      for (const item of await listEverywhere(cluster, type, namespaces, { metadataOnly: true, signal })) {
        const live = readLiveObject(item, type)
        objects.set(objectName(live.key.namespace, live.key.name), live)
      }
      listed.set(type, objects)
    }),
  )
  return (type, namespace, name) => {
    const objects = listed.get(type)
    return objects ? objects.get(objectName(namespace, name)) : view.find(type, namespace, name)
  }
}

/** Objects of one type in these namespaces, or in all. */
export async function listEverywhere(
  cluster: Cluster,
  type: ResourceType,
  namespaces: readonly string[],
  query: Omit<ListOptions, 'namespace'>,
): Promise<JsonObject[]> {
  if (!type.namespaced || namespaces.length === 0) return listAllowed(cluster, type, query)
  const lists = namespaces.map((namespace) => listAllowed(cluster, type, { ...query, namespace }))
  return (await Promise.all(lists)).flat()
}

/** A collection that we may not list has nothing that we know of; nor has one whose definition is gone. */
async function listAllowed(cluster: Cluster, type: ResourceType, query: ListOptions): Promise<JsonObject[]> {
  try {
    return (await cluster.list(type, query)).items
  } catch (thrown) {
    if (thrown instanceof FluxError && thrown.code === 'CLUSTER_FORBIDDEN') return []
    if (thrown instanceof FluxError && thrown.code === 'CLUSTER_OBJECT_MISSING') {
      cluster.forgetDiscovery()
      return []
    }
    throw thrown
  }
}
