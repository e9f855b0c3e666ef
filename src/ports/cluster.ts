import type { JsonObject } from '../core/json.ts'

/**
 * What we ask of a Kubernetes API server.
 *
 * Objects are plain JSON as the server sends them. A `ResourceType` comes from discovery and names the collection;
 * an `ObjectKey` names one object in it.
 */

export interface ResourceType {
  /** empty for the core group */
  group: string
  version: string
  /** as written in manifests, such as `Deployment` */
  kind: string
  /** as written in paths, such as `deployments` */
  plural: string
  namespaced: boolean
  verbs: readonly string[]
}

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf({ group, version }: ResourceType): string {
  return group === '' ? version : `${group}/${version}`
}

/** What need not be asked for by discovery: every server has it. */
export const secretType: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  namespaced: true,
  verbs: [],
}

export interface ObjectKey {
  type: ResourceType
  /** absent for cluster-scoped objects */
  namespace?: string
  name: string
  /** a part of the object with rules of its own; reading and patching only */
  subresource?: 'status'
}

/** What the API server serves, as discovery told. */
export interface Discovery {
  /** preferred version of each kind, without subresources */
  readonly types: readonly ResourceType[]
  /** by `apiVersion` and `kind` of a manifest */
  find(apiVersion: string, kind: string): ResourceType | undefined
}

export interface ApplyOptions {
  /** where the object is written down, for warnings and errors */
  source?: string
  dryRun?: boolean
  /** of the live object as last seen; without it `unchanged` is only told of what was written seconds ago */
  resourceVersion?: string
  signal?: AbortSignal
}

export interface ApplyOutcome {
  /** the object as the server has it now */
  object: JsonObject
  change: 'created' | 'configured' | 'unchanged'
  /** the server's own warnings, such as an unknown field */
  warnings: string[]
}

export interface ListOptions {
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
  /** only `metadata` (`PartialObjectMetadataList`) */
  metadataOnly?: boolean
  signal?: AbortSignal
}

export interface ObjectList {
  /** each with `apiVersion` and `kind` of its type, also where only metadata was asked for */
  items: JsonObject[]
  resourceVersion: string
}

export type WatchEvent =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: JsonObject }
  | { type: 'BOOKMARK'; resourceVersion: string }

export interface WatchOptions extends ListOptions {
  /** the list's, or the last bookmark's */
  resourceVersion: string
}

/** A Kubernetes event to write about an object. */
export interface ClusterEvent {
  regarding: { apiVersion: string; kind: string; namespace?: string; name: string; uid?: string }
  type: 'Normal' | 'Warning'
  /** a word in camel case */
  reason: string
  message: string
  component: string
}

export interface Cluster {
  /** the API server's address without user-info, for logs and errors */
  readonly server: string
  /** such as `v1.36.3` @throws FluxError `CLUSTER_UNREACHABLE` */
  version(signal?: AbortSignal): Promise<string>

  /** What is served; kept until `forgetDiscovery`. @throws FluxError `CLUSTER_UNREACHABLE` */
  discover(signal?: AbortSignal): Promise<Discovery>
  forgetDiscovery(): void

  get(key: ObjectKey, signal?: AbortSignal): Promise<JsonObject | undefined>

  /** All of a collection, in pages of 500. @throws FluxError `CLUSTER_FORBIDDEN` | `CLUSTER_UNREACHABLE` */
  list(type: ResourceType, options?: ListOptions): Promise<ObjectList>

  /**
   * Follow a collection from a resource version on. Ends when the server closes it or the connection is cut (watch
   * again from the last version seen), and when it is aborted.
   *
   * @throws FluxError `CLUSTER_WATCH_EXPIRED` (410: list again) | `CLUSTER_FORBIDDEN` | `CLUSTER_UNREACHABLE`
   */
  watch(type: ResourceType, options: WatchOptions): AsyncIterable<WatchEvent>

  /**
   * Make an object as written: server-side apply as `fluxd`, with force, as `docs/apply.md` says (fields that a
   * manifest may not carry are dropped, fields of client-side kubectl are taken over, shapes that server-side apply
   * refuses are applied by three-way merge).
   *
   * @throws FluxError `APPLY_INVALID` | `APPLY_IMMUTABLE` | `CLUSTER_FORBIDDEN` | `APPLY_NAMESPACE_MISSING` |
   *   `APPLY_KIND_UNKNOWN` | `APPLY_DENIED` | `APPLY_TOO_LARGE` | `APPLY_CONFLICT` | `CLUSTER_UNAVAILABLE` |
   *   `CLUSTER_UNREACHABLE`
   */
  apply(key: ObjectKey, object: JsonObject, options?: ApplyOptions): Promise<ApplyOutcome>

  /**
   * Merge patch (RFC 7386). Only for what is not applied from Git: the own Secret's annotations.
   *
   * @throws FluxError `CLUSTER_OBJECT_MISSING` | those of `apply`
   */
  patch(key: ObjectKey, patch: JsonObject, signal?: AbortSignal): Promise<JsonObject>

  /** Delete in the background; `false` when it was not there. `uid` guards against deleting a successor. */
  delete(key: ObjectKey, options?: { uid?: string; signal?: AbortSignal }): Promise<boolean>

  writeEvent(event: ClusterEvent): Promise<void>

  /** Close connections and watches. */
  close(): Promise<void>
}
