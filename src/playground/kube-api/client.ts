import type { JsonObject } from '../../core/json.ts'
import type { KubeObject } from './model.ts'
import type { Change } from './store.ts'

/**
 * The API from inside the process, for the controllers: the same checks, defaults, managed fields and events as a
 * request over the wire, without the wire. Everything happens at once and is answered at once.
 *
 * A collection is a resource without its version, `pods` or `deployments.apps`; objects come and go in its preferred
 * version. Objects that are handed out belong to the store: make another one to change something, as
 * `client.updateStatus('pods', { ...pod, status: { ...pod.status, phase: 'Running' } })`.
 */
export interface Client {
  /** The same client writing under another name in the managed fields and events. */
  as(manager: string): Client
  get(collection: string, namespace: string, name: string): KubeObject | undefined
  /** By namespace and name; of every namespace where none is given. */
  list(collection: string, options?: ListOptions): readonly KubeObject[]
  /** `metadata.generateName` works. @throws StatusError 409 AlreadyExists, 404 without its namespace, 422 … */
  create(collection: string, object: KubeObject, options?: PlaceOptions): KubeObject
  /** Over the version that it carries, or over any without one. @throws StatusError 409 Conflict, 404 … */
  update(collection: string, object: KubeObject): KubeObject
  /** Only `status` is taken. */
  updateStatus(collection: string, object: KubeObject): KubeObject
  /** A JSON merge patch. */
  patch(
    collection: string,
    namespace: string,
    name: string,
    patch: JsonObject,
    options?: PatchOptions,
  ): KubeObject
  /** `false` when it was not there (or has another uid). Objects with finalizers only begin to go. */
  delete(collection: string, namespace: string, name: string, options?: DeleteOptions): boolean
  /**
   * Be told of every change of the given collections (`undefined`: of all) from now on, in order, soon after it
   * happened. What is there already is not told: list it first.
   *
   * @returns ends it
   */
  watch(collections: readonly string[] | undefined, onChange: (change: Change) => void): () => void
}

export interface ListOptions {
  namespace?: string
  /** labels that all have to be there */
  labels?: Readonly<Record<string, string>>
}

export interface PlaceOptions {
  /** where the object doesn't say it itself */
  namespace?: string
}

export interface PatchOptions {
  /** `binding` places a pod on a node, which no other door allows */
  subresource?: 'status' | 'binding'
}

export interface DeleteOptions {
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  /** only if it is this one */
  uid?: string
  /** pods alone take their time: 0 deletes at once */
  gracePeriodSeconds?: number
}
