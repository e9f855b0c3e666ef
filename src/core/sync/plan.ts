import type { JsonObject } from '../json.ts'
import type { LoadedResource } from '../manifest/load.ts'
import { isSet, readPolicies } from '../policy/policy.ts'
import { clusterScope, type ResourceId, type ResourceIdParts, resourceIdParts } from '../resource/id.ts'
import { orderIds } from '../update/result.ts'
import { checksumAnnotation, checksumOf, gcMark, markLabel, markManifest } from './inventory.ts'
import { type Orderable, orderForApply, stagesOf } from './order.ts'

/**
 * What a sync does to the cluster: apply, leave alone, prune. Follows `spec/flux-v1/sync.md` §6; unlike v1 it gives an
 * object its marks whatever the manifest says of them, and one object that can't be staged doesn't stop the others.
 */

/** What a plan needs to know of an object that is in the cluster. */
export interface LiveMetadata {
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
}

/** An object to apply. */
export interface PlannedApply extends Orderable {
  /** effective; empty for what is cluster-scoped */
  namespace: string
  apiVersion: string
  /** marked, ready to be sent */
  object: JsonObject
  checksum: string
  /** `file:line` */
  source: string
}

export type SkipReason = 'ignored-in-git' | 'ignored-in-cluster' | 'namespace-not-allowed'

export interface SyncPlan {
  /** to apply one after the other; the members of one in any order */
  stages: PlannedApply[][]
  /** left alone, in order */
  skipped: { id: ResourceId; reason: SkipReason }[]
  /** of everything in Git that is ours to sync, also of what is ignored: none of it is pruned */
  checksums: Map<ResourceId, string>
}

export interface SyncInput {
  desired: ReadonlyMap<ResourceId, LoadedResource>
  /** the object in the cluster, where there is one */
  live: (resource: LoadedResource) => Pick<LiveMetadata, 'annotations'> | undefined
  /** empty: all */
  allowedNamespaces: readonly string[]
  syncSet: string
}

export function planSync({ desired, live, allowedNamespaces, syncSet }: SyncInput): SyncPlan {
  const checksums = new Map<ResourceId, string>()
  const skipped: SyncPlan['skipped'] = []
  const applies: PlannedApply[] = []

  for (const id of orderIds(desired.keys())) {
    const resource = desired.get(id)
    if (!resource) continue
    if (!isAllowed(id, allowedNamespaces)) {
      skipped.push({ id, reason: 'namespace-not-allowed' })
      continue
    }
    checksums.set(id, checksumOf(resource.manifest.value))
    if (isSet(resource.policies, 'ignore')) skipped.push({ id, reason: 'ignored-in-git' })
    else if (isIgnored(live(resource))) skipped.push({ id, reason: 'ignored-in-cluster' })
    else applies.push(applyOf(resource, syncSet))
  }
  return { stages: stagesOf(applies), skipped, checksums }
}

/** Worked out once for each resource: the next revision has most of them again. */
function applyOf(resource: LoadedResource, syncSet: string): PlannedApply {
  const known = planned.get(resource)
  if (known?.syncSet === syncSet) return known.apply
  const { id, manifest, namespace } = resource
  const checksum = checksumOf(manifest.value)
  const apply: PlannedApply = {
    id,
    kind: manifest.kind,
    name: manifest.name,
    namespace,
    apiVersion: manifest.apiVersion,
    object: markManifest(manifest.value, { mark: gcMark(syncSet, id), checksum, namespace }),
    checksum,
    source: `${manifest.file}:${manifest.line}`,
  }
  planned.set(resource, { syncSet, apply })
  return apply
}

const planned = new WeakMap<LoadedResource, { syncSet: string; apply: PlannedApply }>()

/** Cluster-scoped objects are always ours to sync; of Namespaces, only those that are allowed. */
function isAllowed(id: ResourceId, allowed: readonly string[]): boolean {
  if (allowed.length === 0) return true
  const { namespace, kind, name } = resourceIdParts(id)
  if (namespace !== clusterScope) return allowed.includes(namespace)
  return kind !== 'namespace' || allowed.includes(name)
}

function isIgnored(live: Pick<LiveMetadata, 'annotations'> | undefined): boolean {
  if (!live || !Object.keys(live.annotations).some((key) => key.endsWith('ignore'))) return false
  return isSet(readPolicies({ ...live.annotations }), 'ignore')
}

/** A live object that carries a mark of some sync set. */
export interface MarkedObject extends Orderable, LiveMetadata {
  /** another object made it */
  owned: boolean
}

/** Why an object that left Git stays in the cluster. */
export type KeepReason =
  /** `ignore` is `true` or `sync_only` on the live object */
  | 'ignored'
  /** other data goes with it, and the live object has no `fluxcd.io/prune: "true"` */
  | 'precious'
  /** a Namespace in which Git still has something */
  | 'in-use'
  /** what Git wants in its place, perhaps, is not there yet */
  | 'awaits'
  /** Git has nothing at all: rather a mistake than a wish */
  | 'nothing-in-git'
  /** more would go at once than is allowed */
  | 'over-budget'

export interface PrunePlan<T extends MarkedObject> {
  /** to delete one after the other, what others stand on last; the members of one in any order */
  stages: T[][]
  /** gone from Git, but left in the cluster, in order */
  kept: { object: T; reason: KeepReason }[]
  /** in Git, but not applied in its present form */
  outdated: T[]
}

export interface PruneInput<T extends MarkedObject> {
  marked: Iterable<T>
  /** `checksums` of the plan of the same pass */
  checksums: ReadonlyMap<ResourceId, string>
  /** empty: all */
  allowedNamespaces: readonly string[]
  syncSet: string
  /** what Git wants and the cluster has not got: nothing that it may replace is deleted */
  awaited: readonly Awaited[]
  /** most objects to delete at once; 0: any number */
  budget: number
}

/** Something that is to come: any object of this namespace, or of this name, may be what it replaces. */
export type Awaited = { namespace: string } | { name: string }

/** Policy that lets go what others' data hangs on. */
const nod = 'prune'
const preciousKinds = new Set(['namespace', 'customresourcedefinition', 'persistentvolumeclaim'])

/** What to delete once everything was applied. Only objects with the mark of this very set and their own ID count. */
export function planPrune<T extends MarkedObject>({
  marked,
  checksums,
  allowedNamespaces,
  syncSet,
  awaited,
  budget,
}: PruneInput<T>): PrunePlan<T> {
  const isAwaiting = ({ namespace, name }: ResourceIdParts) =>
    awaited.some((other) => ('name' in other ? other.name === name : other.namespace === namespace))
  const isInUse = ({ namespace, kind, name }: ResourceIdParts) =>
    namespace === clusterScope &&
    kind === 'namespace' &&
    [...checksums.keys()].some((id) => id.startsWith(`${name}:`))
  const going: T[] = []
  const kept: PrunePlan<T>['kept'] = []
  const outdated: T[] = []
  const ours = [...marked].filter(
    ({ id, labels, owned }) =>
      !owned && labels[markLabel] === gcMark(syncSet, id) && isAllowed(id, allowedNamespaces),
  )
  for (const object of orderForApply(ours).reverse()) {
    const checksum = checksums.get(object.id)
    if (checksum === undefined) {
      const parts = resourceIdParts(object.id)
      const reason =
        reasonToKeep(object) ?? (isInUse(parts) ? 'in-use' : isAwaiting(parts) ? 'awaits' : undefined)
      if (reason) kept.push({ object, reason })
      else going.push(object)
    } else if (object.annotations[checksumAnnotation] !== checksum) outdated.push(object)
  }
  const brake =
    checksums.size === 0 ? 'nothing-in-git' : budget > 0 && going.length > budget ? 'over-budget' : undefined
  if (!brake) return { stages: stagesOf(going).reverse(), kept, outdated }
  return {
    stages: [],
    kept: [...kept, ...going.map((object) => ({ object, reason: brake }) as const)],
    outdated,
  }
}

function reasonToKeep({ kind, annotations }: MarkedObject): KeepReason | undefined {
  const policies = readPolicies({ ...annotations })
  const ignore = policies.get('ignore')
  if (ignore === 'true' || ignore === 'sync_only') return 'ignored'
  if (preciousKinds.has(kind.toLowerCase()) && policies.get(nod) !== 'true') return 'precious'
  return undefined
}

/** Resources that are new, or whose content isn't what it was, in order. */
export function changedIds(
  before: ReadonlyMap<ResourceId, string> | undefined,
  after: ReadonlyMap<ResourceId, string>,
): ResourceId[] {
  return orderIds([...after].filter(([id, checksum]) => before?.get(id) !== checksum).map(([id]) => id))
}
