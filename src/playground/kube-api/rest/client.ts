import { isJsonObject } from '../../../core/json.ts'
import type { Client } from '../client.ts'
import { type Resource, StatusError } from '../model.ts'
import { createObject, deleteObject, findObject, patchObject, updateObject } from './objects.ts'
import { storedCollection } from './resources.ts'
import { toServed } from './versions.ts'
import type { World } from './world.ts'

/** The API for the controllers of this process. */
export function createClient(world: World, manager: string): Client {
  const writer = { manager, fieldValidation: 'Ignore' as const }
  const resourceOf = (collection: string): Resource => {
    const resource = world.resources.preferred(collection)
    if (resource === undefined) throw new StatusError(404, 'NotFound', `nothing serves ${collection}`)
    return resource
  }
  return {
    as: (other) => createClient(world, other),
    get: (collection, namespace, name) => findObject(world, resourceOf(collection), namespace, name),
    list(collection, { namespace = '', labels } = {}) {
      const resource = resourceOf(collection)
      const objects = world.store
        .list(storedCollection(resource), namespace)
        .objects.map((object) => toServed(object, resource))
      if (labels === undefined) return objects
      const wanted = Object.entries(labels)
      return objects.filter(({ metadata }) => {
        const own = isJsonObject(metadata['labels']) ? metadata['labels'] : {}
        return wanted.every(([key, value]) => own[key] === value)
      })
    },
    create(collection, object, { namespace } = {}) {
      const own = namespace ?? String(object.metadata['namespace'] ?? '')
      return createObject(world, resourceOf(collection), own, object, writer)
    },
    update(collection, object) {
      const { name, namespace = '' } = object.metadata
      return updateObject(world, resourceOf(collection), String(namespace), name, object, writer).object
    },
    updateStatus(collection, object) {
      const { name, namespace = '' } = object.metadata
      const options = { subresource: 'status' as const }
      return updateObject(world, resourceOf(collection), String(namespace), name, object, writer, options)
        .object
    },
    patch: (collection, namespace, name, patch, options) =>
      patchObject(world, resourceOf(collection), namespace, name, 'merge', patch, writer, options),
    delete(collection, namespace, name, options = {}) {
      try {
        deleteObject(world, resourceOf(collection), namespace, name, writer, options)
        return true
      } catch (error) {
        if (error instanceof StatusError && (error.code === 404 || error.code === 409)) return false
        throw error
      }
    },
    watch(collections, onChange) {
      const wanted = collections === undefined ? undefined : new Set(collections)
      return world.store.subscribe((change) => {
        if (wanted === undefined || wanted.has(change.collection)) onChange(change)
      })
    },
  }
}
