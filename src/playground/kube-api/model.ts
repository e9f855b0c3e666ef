import type { JsonObject, JsonValue } from '../../core/json.ts'

/**
 * The words of the embedded Kubernetes API: objects, the resources that are served, and what their fields are.
 *
 * `api.ts` puts it together. Requests go through `rest/` (one verb each), which checks and changes objects by the pure
 * functions of `schema/` and `apply/`, keeps them in `store.ts`, and prints them by `tables/`. `controllers/` and
 * `port-forward/` stand beside it and use the same store.
 */

export interface KubeObject extends JsonObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
}

export interface ObjectMeta extends JsonObject {
  name: string
}

/** One resource that is served in one version, built in or from a CustomResourceDefinition. */
export interface Resource {
  /** empty for the core group */
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  readonly verbs: readonly string[]
  readonly status: boolean
  readonly subresources: readonly Subresource[]
  /** where `scale` reads and writes, as paths in the object; absent without that subresource */
  readonly scale?: { specReplicas: string; statusReplicas: string; selector?: string }
  readonly schema: Schema
  /** from a CustomResourceDefinition: pruned and checked by its structural schema; no strategic merge patch */
  readonly custom: boolean
  /** `additionalPrinterColumns` of a custom resource */
  readonly columns?: readonly PrinterColumn[]
}

/** What discovery tells of a subresource, `status` and `scale` among them. */
export interface Subresource {
  readonly name: string
  /** of the object that it takes and gives */
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly verbs: readonly string[]
}

export interface PrinterColumn {
  name: string
  type: string
  format?: string
  description?: string
  jsonPath: string
  priority?: number
}

/** What a field holds, and how two writers share it. Values of the generated table and of structural schemas alike. */
export interface Schema {
  /** `object` has `fields`, `map` has `values`, `list` has `values`; `any` takes everything */
  readonly type:
    | 'object'
    | 'map'
    | 'list'
    | 'string'
    | 'integer'
    | 'number'
    | 'boolean'
    | 'int-or-string'
    | 'any'
  /** name of a built-in type, such as `io.k8s.api.apps.v1.DeploymentSpec` */
  readonly name?: string
  /**
   * What becomes of Go's zero values (`0`, `""`, `false`, empty lists and maps) of built-in types: `kept` where given,
   * `written` even where absent; dropped where nothing is said.
   */
  readonly zero?: 'kept' | 'written'
  readonly fields?: Readonly<Record<string, Schema>>
  readonly values?: Schema
  /** how lists are shared (server-side apply); `atomic` where nothing is said */
  readonly list?: 'atomic' | 'set' | 'map'
  /** keys of a list of type `map` */
  readonly keys?: readonly string[]
  /** objects and maps that have one owner as a whole */
  readonly atomic?: boolean
  /** strategic merge patch: the key by which lists of objects are merged; `''` merges lists of scalars */
  readonly patchMergeKey?: string
  readonly patchStrategy?: string
  readonly required?: readonly string[]
  readonly default?: JsonValue
  readonly enum?: readonly JsonValue[]
  readonly nullable?: boolean
  /** keeps fields that it does not name */
  readonly preserveUnknown?: boolean
  /** a whole object: `apiVersion`, `kind` and `metadata` beside its fields (`x-kubernetes-embedded-resource`) */
  readonly embedded?: boolean
  /** `byte`, `date-time`, `quantity`, `int32`, `int64`, … */
  readonly format?: string
  /** the rest of a structural schema's checks, as written: `pattern`, `minimum`, `maxLength`, … */
  readonly checks?: JsonObject
}

/** A reply that is not 2xx: Kubernetes' `Status`. */
export class StatusError extends Error {
  override readonly name = 'StatusError'
  readonly code: number
  readonly reason: string
  readonly details: JsonObject | undefined

  constructor(code: number, reason: string, message: string, details?: JsonObject) {
    super(message)
    this.code = code
    this.reason = reason
    this.details = details
  }
}
