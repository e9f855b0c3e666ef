import { isJsonObject, type JsonValue, valueAt } from '../../../core/json.ts'
import type { KubeObject, ObjectMeta, Resource } from '../model.ts'
import type { Change, Place } from '../store.ts'
import { deleteObject, finalizersOf, updateObject } from './objects.ts'
import { placeOf, storedCollection } from './resources.ts'
import { toServed } from './versions.ts'
import { timestamp, type World } from './world.ts'

/**
 * What goes when something else has gone: dependents of owners, and everything in a namespace.
 *
 * @see https://kubernetes.io/docs/concepts/architecture/garbage-collection/
 */

const writer = { manager: 'kube-controller-manager', fieldValidation: 'Ignore' as const }

interface Owner {
  uid: string
  blocks: boolean
}

/** Begins with an empty store. @returns ends it */
export function collectGarbage(world: World): () => void {
  const { store } = world
  /** who is there, and whom each is owned by */
  const places = new Map<string, Place>()
  const dependents = new Map<string, Set<string>>()

  const objectOf = (uid: string) => {
    const place = places.get(uid)
    return place === undefined ? undefined : store.get(place)
  }
  const forget = (uid: string, owners: readonly Owner[]) => {
    for (const owner of owners) {
      const others = dependents.get(owner.uid)
      others?.delete(uid)
      if (others?.size === 0) dependents.delete(owner.uid)
    }
  }
  const note = ({ type, object, previous, ...place }: Change) => {
    const uid = String(object.metadata['uid'])
    if (previous !== undefined) forget(uid, ownersOf(previous))
    if (type === 'DELETED') {
      places.delete(uid)
      return
    }
    places.set(uid, place)
    for (const owner of ownersOf(object)) {
      dependents.set(owner.uid, (dependents.get(owner.uid) ?? new Set()).add(uid))
    }
  }

  /** Delete a dependent that no owner is left of; of one that has others, drop the reference alone. */
  const release = (uid: string, policy: 'Background' | 'Foreground') => {
    const [place, object] = [places.get(uid), objectOf(uid)]
    const resource = place && world.resources.preferred(place.collection)
    if (object === undefined || place === undefined || resource === undefined) return
    const left = ownersOf(object).filter((owner) => {
      const found = objectOf(owner.uid)
      return found !== undefined && !finalizersOf(found).includes('foregroundDeletion')
    })
    if (left.length > 0)
      return dropOwners(world, resource, object, (owner) => left.some(({ uid }) => uid === owner))
    if (object.metadata['deletionTimestamp'] !== undefined) return
    deleteObject(world, resource, place.namespace, place.name, writer, {
      propagationPolicy: policy,
      uid,
    })
  }

  const onChange = (change: Change) => {
    note(change)
    const uid = String(change.object.metadata['uid'])
    const owned = [...(dependents.get(uid) ?? [])]
    if (change.type === 'DELETED') {
      for (const dependent of owned) release(dependent, 'Background')
      for (const owner of ownersOf(change.object)) endForeground(owner.uid)
      return
    }
    const object = store.get(change)
    // a later change of it is still to be told, and of what happened before that too
    if (object?.metadata['resourceVersion'] !== String(change.version)) return
    if (object.metadata['deletionTimestamp'] === undefined) {
      const owners = ownersOf(object)
      if (owners.length > 0 && owners.every((owner) => !places.has(owner.uid))) release(uid, 'Background')
      return
    }
    const resource = world.resources.preferred(change.collection)
    if (resource === undefined) return
    if (finalizersOf(object).includes('orphan')) {
      for (const dependent of owned) {
        const [place, found] = [places.get(dependent), objectOf(dependent)]
        const type = place && world.resources.preferred(place.collection)
        if (found !== undefined && type !== undefined)
          dropOwners(world, type, found, (owner) => owner !== uid)
      }
      dropFinalizer(world, resource, object, 'orphan')
    } else if (finalizersOf(object).includes('foregroundDeletion')) {
      for (const dependent of owned) release(dependent, 'Foreground')
      endForeground(uid)
    }
  }

  /** An owner that waits for its dependents goes when none is left that blocks it. */
  const endForeground = (uid: string) => {
    const [place, object] = [places.get(uid), objectOf(uid)]
    const resource = place && world.resources.preferred(place.collection)
    if (object === undefined || resource === undefined) return
    if (!finalizersOf(object).includes('foregroundDeletion')) return
    const blocked = [...(dependents.get(uid) ?? [])].some((dependent) => {
      const found = objectOf(dependent)
      return found !== undefined && ownersOf(found).some((owner) => owner.uid === uid && owner.blocks)
    })
    if (!blocked) dropFinalizer(world, resource, object, 'foregroundDeletion')
  }

  return store.subscribe(onChange)
}

function ownersOf({ metadata }: KubeObject): Owner[] {
  const references = metadata['ownerReferences']
  return (Array.isArray(references) ? references : []).map((reference) => ({
    uid: String(valueAt(reference, 'uid')),
    blocks: valueAt(reference, 'blockOwnerDeletion') === true,
  }))
}

function dropOwners(
  world: World,
  resource: Resource,
  object: KubeObject,
  keeps: (uid: string) => boolean,
): void {
  const references = object.metadata['ownerReferences']
  const all: JsonValue[] = Array.isArray(references) ? references : []
  const kept = all.filter((reference) => keeps(String(valueAt(reference, 'uid'))))
  if (kept.length < all.length) rewrite(world, resource, object, { ownerReferences: kept })
}

function dropFinalizer(world: World, resource: Resource, object: KubeObject, finalizer: string): void {
  const finalizers = finalizersOf(object).filter((other) => other !== finalizer)
  rewrite(world, resource, object, { finalizers })
}

/** Change metadata and nothing else; an empty list is no list. */
function rewrite(
  world: World,
  resource: Resource,
  object: KubeObject,
  change: Record<string, JsonValue[]>,
): void {
  const [[field, list]] = Object.entries(change) as [[string, JsonValue[]]]
  const { [field]: _old, ...metadata } = toServed(object, resource).metadata
  const next = { ...metadata, ...(list.length > 0 && { [field]: list }) } as ObjectMeta
  const { namespace, name } = placeOf(resource, object)
  updateObject(world, resource, namespace, name, { ...toServed(object, resource), metadata: next }, writer)
}

/** Empty namespaces that are being deleted, then let them go. @returns ends it */
export function emptyNamespaces(world: World): () => void {
  const { store, resources } = world
  const advance = (name: string) => {
    const namespace = store.get({ collection: 'namespaces', namespace: '', name })
    if (namespace === undefined || namespace.metadata['deletionTimestamp'] === undefined) return
    const inside = [...new Set(resources.all.filter(({ namespaced }) => namespaced).map(storedCollection))]
    const left: KubeObject[] = []
    const counts = new Map<string, number>()
    for (const collection of inside) {
      const resource = resources.preferred(collection)
      if (resource === undefined) continue
      for (const object of store.list(collection, name).objects) {
        if (object.metadata['deletionTimestamp'] === undefined) {
          deleteObject(world, resource, name, object.metadata.name, writer, {
            propagationPolicy: 'Background',
          })
        }
      }
      const { objects } = store.list(collection, name)
      left.push(...objects)
      // the core group is written with the dot that ends it
      if (objects.length > 0)
        counts.set(resource.group === '' ? `${resource.plural}.` : collection, objects.length)
    }
    const type = resources.preferred('namespaces')
    if (type === undefined) return
    if (left.length > 0) {
      tellWhatIsLeft(world, type, namespace, left, counts)
      return
    }
    updateObject(world, type, '', name, { ...namespace, spec: {} }, writer, { subresource: 'finalize' })
  }
  return store.subscribe(({ collection, namespace, name, object, type }) => {
    if (collection === 'namespaces') {
      if (type !== 'DELETED' && object.metadata['deletionTimestamp'] !== undefined) advance(name)
    } else if (namespace !== '' && type === 'DELETED') advance(namespace)
  })
}

function tellWhatIsLeft(
  world: World,
  type: Resource,
  namespace: KubeObject,
  left: readonly KubeObject[],
  counts: ReadonlyMap<string, number>,
): void {
  const status = isJsonObject(namespace['status']) ? namespace['status'] : {}
  const lastTransitionTime = timestamp(world.now())
  const finalizers = new Map<string, number>()
  for (const finalizer of left.flatMap(finalizersOf)) {
    finalizers.set(finalizer, (finalizers.get(finalizer) ?? 0) + 1)
  }
  const told = (numbers: ReadonlyMap<string, number>, word: string) =>
    [...numbers]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `${name} ${word} ${count} resource instances`)
      .join(', ')
  const condition = (name: string, reason: string, message: string, is = false) => ({
    type: name,
    status: is ? 'True' : 'False',
    lastTransitionTime,
    reason,
    message,
  })
  const conditions = [
    condition(
      'NamespaceDeletionDiscoveryFailure',
      'ResourcesDiscovered',
      'All resources successfully discovered',
    ),
    condition(
      'NamespaceDeletionGroupVersionParsingFailure',
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
    ),
    condition(
      'NamespaceDeletionContentFailure',
      'ContentDeleted',
      'All content successfully deleted, may be waiting on finalization',
    ),
    condition(
      'NamespaceContentRemaining',
      'SomeResourcesRemain',
      `Some resources are remaining: ${told(counts, 'has')}`,
      true,
    ),
    finalizers.size === 0
      ? condition(
          'NamespaceFinalizersRemaining',
          'ContentHasNoFinalizers',
          'All content-preserving finalizers finished',
        )
      : condition(
          'NamespaceFinalizersRemaining',
          'SomeFinalizersRemain',
          `Some content in the namespace has finalizers remaining: ${told(finalizers, 'in')}`,
          true,
        ),
  ]
  const messages = (list: JsonValue | undefined) =>
    (Array.isArray(list) ? list : []).map((each) => valueAt(each, 'message')).join('\n')
  if (messages(status['conditions']) === messages(conditions)) return
  const { name } = namespace.metadata
  const next = { ...namespace, status: { ...status, conditions } }
  updateObject(world, type, '', name, next, writer, { subresource: 'status' })
}
