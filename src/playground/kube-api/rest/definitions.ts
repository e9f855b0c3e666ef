import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../core/json.ts'
import type { KubeObject, ObjectMeta, Resource } from '../model.ts'
import { resourcesOf } from '../schema/crd.ts'
import type { Change } from '../store.ts'
import { isSame } from './equal.ts'
import { deleteObject, patchObject } from './objects.ts'
import { collectionName } from './status.ts'
import { timestamp, type World } from './world.ts'

/**
 * The life of CustomResourceDefinitions: accepted, established and served as soon as they are written; when they go,
 * their objects go first.
 */

export const definitions = 'customresourcedefinitions.apiextensions.k8s.io'
const cleanup = 'customresourcecleanup.apiextensions.k8s.io'
const writer = { manager: 'kube-apiserver' }

/** What the server keeps in a definition itself: its stored versions, and that it is going. */
export function prepareDefinition(
  resource: Resource,
  definition: KubeObject,
  live: KubeObject | undefined,
  now: Date,
): KubeObject {
  if (collectionName(resource) !== definitions) return definition
  const status = isJsonObject(definition['status']) ? definition['status'] : {}
  const stored = versionsOf(definition).find((version) => valueAt(version, 'storage') === true)
  const storage = stored === undefined ? [] : [valueAt(stored, 'name') ?? '']
  if (live === undefined) {
    const acceptedNames = { plural: '', kind: '' }
    return { ...definition, status: { conditions: null, acceptedNames, storedVersions: storage } }
  }
  if (definition.metadata['deletionTimestamp'] === undefined) {
    const known = listAt(status['storedVersions'])
    const added = storage.filter((version) => !known.includes(version))
    if (added.length === 0) return definition
    return { ...definition, status: { ...status, storedVersions: [...known, ...added] } }
  }
  if (live.metadata['deletionTimestamp'] !== undefined) return definition
  const terminating = {
    type: 'Terminating',
    status: 'True',
    lastTransitionTime: timestamp(now),
    reason: 'InstanceDeletionPending',
    message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
  }
  const finalizers = [...listAt(definition.metadata['finalizers']), cleanup]
  return {
    ...definition,
    metadata: { ...definition.metadata, finalizers } as ObjectMeta,
    status: { ...status, conditions: [...listAt(status['conditions']), terminating] },
  }
}

/** Serve what definitions say from now on. @returns ends it */
export function serveDefinitions(world: World): () => void {
  const { store, resources } = world
  const serve = (definition: KubeObject) => {
    const { name } = definition.metadata
    if (definition.metadata['deletionTimestamp'] !== undefined) return end(definition)
    if (accept(world, definition)) resources.setCustom(name, resourcesOf(definition), store.version)
  }
  /** Delete the objects that there are, and let the definition go when there are none. */
  const end = ({ metadata: { name, ...metadata } }: KubeObject) => {
    const served = resources.all.filter((resource) => resource.custom && collectionName(resource) === name)
    for (const object of store.list(name).objects) {
      const [resource] = served
      if (resource === undefined || object.metadata['deletionTimestamp'] !== undefined) continue
      deleteObject(world, resource, String(object.metadata['namespace'] ?? ''), object.metadata.name, writer)
    }
    if (store.count(name) > 0) return
    const type = resources.preferred(definitions)
    const finalizers = listAt(metadata['finalizers']).filter((finalizer) => finalizer !== cleanup)
    if (type === undefined || !listAt(metadata['finalizers']).includes(cleanup)) return
    resources.setCustom(name, [], store.version)
    patchObject(world, type, '', name, 'merge', { metadata: { finalizers } }, writer)
  }
  const onChange = ({ collection, type, object, name }: Change) => {
    if (collection === definitions) {
      if (type === 'DELETED') resources.setCustom(name, [], store.version)
      else serve(store.get({ collection, namespace: '', name }) ?? object)
    } else if (type === 'DELETED') {
      const definition = store.get({ collection: definitions, namespace: '', name: collection })
      if (definition?.metadata['deletionTimestamp'] !== undefined) end(definition)
    }
  }
  return store.subscribe(onChange)
}

/** Write down that its names are accepted. @returns whether they are, and its resources may be served */
function accept(world: World, definition: KubeObject): boolean {
  const conditions = listAt(valueAt(definition, 'status', 'conditions'))
  const names = valueAt(definition, 'spec', 'names') as JsonObject
  const accepted = valueAt(definition, 'status', 'acceptedNames')
  const established = conditions.some(
    (condition) => valueAt(condition, 'type') === 'Established' && valueAt(condition, 'status') === 'True',
  )
  if (established && isSame(accepted, names)) return true
  const lastTransitionTime = timestamp(world.now())
  const type = world.resources.preferred(definitions)
  if (type === undefined) return false
  const status = {
    conditions: established
      ? conditions
      : [
          {
            type: 'NamesAccepted',
            status: 'True',
            lastTransitionTime,
            reason: 'NoConflicts',
            message: 'no conflicts found',
          },
          {
            type: 'Established',
            status: 'True',
            lastTransitionTime,
            reason: 'InitialNamesAccepted',
            message: 'the initial names have been accepted',
          },
        ],
    acceptedNames: names,
  }
  patchObject(world, type, '', definition.metadata.name, 'merge', { status }, writer, {
    subresource: 'status',
  })
  return true
}

function versionsOf(definition: KubeObject): JsonValue[] {
  return listAt(valueAt(definition, 'spec', 'versions'))
}

function listAt(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : []
}
