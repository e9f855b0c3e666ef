import { type KubeObject, StatusError } from './model.ts'

/**
 * All objects, in memory, with one counter of versions for everything, as etcd has.
 *
 * An object in the store is never changed: a write puts another one in its place. So a caller may keep what it got, and
 * texts made from an object may be remembered as long as the object lives. The store checks nothing but that an object
 * is there or is not; `rest/` decides what may be written.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */

/** Where an object is kept. `namespace` is empty for resources of the whole cluster. */
export interface Place {
  /** the resource without its version: `pods`, `deployments.apps` */
  readonly collection: string
  readonly namespace: string
  readonly name: string
}

export interface Change extends Place {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  /** as it is now; of a deleted object the last state, with the version of the deletion */
  readonly object: KubeObject
  /** as it was; absent when it was added */
  readonly previous?: KubeObject
  readonly version: number
}

export interface Slice {
  readonly objects: readonly KubeObject[]
  /** of the store when this was the list */
  readonly version: number
}

/** how many changes a watch may lie behind before it has to list again */
const defaultHistory = 10_000

export class Store {
  readonly #collections = new Map<string, Collection>()
  readonly #listeners = new Set<(change: Change) => void>()
  readonly #historySize: number
  #history: Change[] = []
  /** the newest version that the history does not tell about */
  #forgotten: number
  #version: number
  #undelivered: Change[] = []

  constructor({
    historySize = defaultHistory,
    version = 1,
  }: { historySize?: number; version?: number } = {}) {
    this.#historySize = historySize
    this.#version = version
    this.#forgotten = version - 1
  }

  /** of the last write */
  get version(): number {
    return this.#version
  }

  get({ collection, namespace, name }: Place): KubeObject | undefined {
    return this.#collections.get(collection)?.objects.get(keyOf(namespace, name))
  }

  /** How many objects a collection has, in all namespaces. */
  count(collection: string): number {
    return this.#collections.get(collection)?.objects.size ?? 0
  }

  /**
   * The objects of a collection by namespace and name, all or of one namespace.
   *
   * @param at an older version to look back to
   * @throws StatusError 410 when changes since then are forgotten
   */
  list(collection: string, namespace = '', at = this.#version): Slice {
    const { objects, keys } = this.#collectionOf(collection)
    const prefix = namespace === '' ? '' : `${namespace}/`
    if (at >= this.#version) {
      const wanted = namespace === '' ? keys() : keys().filter((key) => key.startsWith(prefix))
      return { objects: wanted.map((key) => objects.get(key) as KubeObject), version: this.#version }
    }
    const then = new Map(objects)
    for (const change of this.changesSince(at).reverse()) {
      if (change.collection !== collection) continue
      const key = keyOf(change.namespace, change.name)
      if (change.previous === undefined) then.delete(key)
      else then.set(key, change.previous)
    }
    const wanted = [...then.keys()].filter((key) => key.startsWith(prefix)).sort()
    return { objects: wanted.map((key) => then.get(key) as KubeObject), version: at }
  }

  /** Keep an object that is not there yet. */
  create(place: Place, object: KubeObject): KubeObject {
    const collection = this.#collectionOf(place.collection)
    const key = keyOf(place.namespace, place.name)
    if (collection.objects.has(key)) throw new Error(`${place.collection} ${key} is there already`)
    const created = withVersion(object, this.#next())
    collection.objects.set(key, created)
    collection.stale = true
    this.#tell({ ...place, type: 'ADDED', object: created, version: this.#version })
    return created
  }

  /** Put another state of an object in the place of the one that is there. */
  update(place: Place, object: KubeObject): KubeObject {
    const collection = this.#collectionOf(place.collection)
    const key = keyOf(place.namespace, place.name)
    const previous = collection.objects.get(key)
    if (previous === undefined) throw new Error(`${place.collection} ${key} is not there`)
    const updated = withVersion(object, this.#next())
    collection.objects.set(key, updated)
    this.#tell({ ...place, type: 'MODIFIED', object: updated, previous, version: this.#version })
    return updated
  }

  /** @returns the last state, or `undefined` when it was not there */
  delete(place: Place): KubeObject | undefined {
    const collection = this.#collectionOf(place.collection)
    const key = keyOf(place.namespace, place.name)
    const previous = collection.objects.get(key)
    if (previous === undefined) return undefined
    collection.objects.delete(key)
    collection.stale = true
    const last = withVersion(previous, this.#next())
    this.#tell({ ...place, type: 'DELETED', object: last, previous, version: this.#version })
    return last
  }

  /**
   * What happened after a version, oldest first.
   *
   * @throws StatusError 410 when that is no longer known, or lies in the future
   */
  changesSince(version: number): Change[] {
    if (version < this.#forgotten) throw expired(version, this.#forgotten + 1)
    let first = this.#history.length
    while (first > 0 && (this.#history[first - 1] as Change).version > version) first--
    return this.#history.slice(first)
  }

  /** Forget what happened so far: watches from before have to list again. */
  forget(): void {
    this.#history = []
    this.#forgotten = this.#version
  }

  /**
   * Be told of every change from now on, in order, shortly after it happened (never within the write itself).
   *
   * @returns ends it
   */
  subscribe(listener: (change: Change) => void): () => void {
    const from = this.#version
    const told = (change: Change) => {
      if (change.version > from) listener(change)
    }
    this.#listeners.add(told)
    return () => this.#listeners.delete(told)
  }

  #collectionOf(name: string): Collection {
    let collection = this.#collections.get(name)
    if (collection === undefined) {
      collection = new Collection()
      this.#collections.set(name, collection)
    }
    return collection
  }

  #next(): number {
    this.#version += 1
    return this.#version
  }

  #tell(change: Change): void {
    this.#history.push(change)
    if (this.#history.length > this.#historySize * 1.25) {
      const dropped = this.#history.splice(0, this.#history.length - this.#historySize)
      this.#forgotten = (dropped.at(-1) as Change).version
    }
    if (this.#undelivered.push(change) === 1) setImmediate(() => this.#deliver())
  }

  #deliver(): void {
    const changes = this.#undelivered
    this.#undelivered = []
    for (const change of changes) for (const listener of this.#listeners) listener(change)
  }
}

class Collection {
  readonly objects = new Map<string, KubeObject>()
  /** whether `objects` has other keys than when they were sorted last */
  stale = false
  #keys: string[] = []

  /** `namespace/name`, in the order of etcd */
  readonly keys = (): string[] => {
    if (this.stale) {
      this.#keys = [...this.objects.keys()].sort()
      this.stale = false
    }
    return this.#keys
  }
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`
}

function withVersion(object: KubeObject, version: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } }
}

function expired(version: number, oldest: number): StatusError {
  return new StatusError(410, 'Expired', `too old resource version: ${version} (${oldest})`)
}
