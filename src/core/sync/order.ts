import { compareCodePoints } from '../json.ts'
import type { ResourceId } from '../resource/id.ts'

/**
 * What to apply first: what others stand on. Deleting goes the other way round.
 *
 * Ranks are Flux v1's (`spec/flux-v1/sync.md` §6). CustomResourceDefinitions go with Namespaces, ahead of everything
 * else, since the kinds that they define may be in the same set.
 */
const ranks: Readonly<Record<string, number>> = {
  namespace: 0,
  customresourcedefinition: 1,
  serviceaccount: 1,
  clusterrole: 1,
  role: 1,
  persistentvolume: 1,
  service: 1,
  resourcequota: 2,
  limitrange: 2,
  secret: 2,
  configmap: 2,
  rolebinding: 2,
  clusterrolebinding: 2,
  persistentvolumeclaim: 2,
  ingress: 2,
  daemonset: 3,
  deployment: 3,
  replicationcontroller: 3,
  replicaset: 3,
  job: 3,
  cronjob: 3,
  statefulset: 3,
}
const lastRank = 4

export interface Orderable {
  id: ResourceId
  kind: string
  name: string
}

export function rankOf(kind: string): number {
  const key = kind.toLowerCase()
  return Object.hasOwn(ranks, key) ? (ranks[key] ?? lastRank) : lastRank
}

/** By rank of kind, then by name, then by ID. */
export function orderForApply<T extends Orderable>(objects: Iterable<T>): T[] {
  return Array.from(objects, (object) => ({ object, rank: rankOf(object.kind) }))
    .sort(
      (a, b) =>
        a.rank - b.rank ||
        compareCodePoints(a.object.name, b.object.name) ||
        compareCodePoints(a.object.id, b.object.id),
    )
    .map(({ object }) => object)
}

/** Groups to apply one after the other; the members of one don't need each other. Each is in order. */
export function stagesOf<T extends Orderable>(objects: Iterable<T>): T[][] {
  const stages: T[][] = []
  for (const object of orderForApply(objects)) {
    const stage = object.kind.toLowerCase() === 'customresourcedefinition' ? 0 : rankOf(object.kind)
    stages[stage] ??= []
    stages[stage].push(object)
  }
  return stages.filter(Boolean)
}
