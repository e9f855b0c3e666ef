import type { JsonObject } from '../../../core/json.ts'
import { type KubeObject, type Resource, StatusError } from '../model.ts'
import { toTable } from '../tables/table.ts'
import type { Page } from './list.ts'
import { apiVersionOf } from './resources.ts'
import { badRequest, notAcceptable } from './status.ts'
import { itemTextOf, jsonOf, textOf } from './text.ts'

/**
 * Objects, lists and events as the client wants to see them: whole, as metadata alone, or as rows of a table.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
 */

export interface View {
  readonly as: 'object' | 'metadata' | 'metadata-list' | 'table'
  /** of the rows of a table */
  readonly include: 'None' | 'Metadata' | 'Object'
  readonly now: () => Date
}

const metaVersions = new Set(['v1', 'v1beta1'])

/** @throws StatusError 400, 406 */
export function readView(accept: string, query: URLSearchParams, now: () => Date): View {
  const include = readInclude(query.get('includeObject'))
  for (const range of accept === '' ? ['*/*'] : accept.split(',')) {
    const [type = '', ...rest] = range.split(';').map((part) => part.trim())
    if (!['application/json', 'application/*', '*/*'].includes(type)) continue
    const parameters = new Map(rest.map((part) => part.split('=', 2) as [string, string]))
    const as = parameters.get('as')
    if (as === undefined) return { as: 'object', include, now }
    if (parameters.get('g') !== 'meta.k8s.io' || !metaVersions.has(parameters.get('v') ?? '')) continue
    if (as === 'Table') return { as: 'table', include, now }
    if (as === 'PartialObjectMetadata') return { as: 'metadata', include, now }
    if (as === 'PartialObjectMetadataList') return { as: 'metadata-list', include, now }
  }
  throw notAcceptable()
}

function readInclude(text: string | null): View['include'] {
  if (text === null || text === '' || text === 'Metadata') return 'Metadata'
  if (text === 'None' || text === 'Object') return text
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(text)}: must be 'Metadata', 'Object', 'None', or empty`,
  )
}

/** One object. @throws StatusError 406 */
export function presentObject(view: View, resource: Resource, object: KubeObject): string {
  if (view.as === 'object') return textOf(object)
  if (view.as === 'table') {
    const { resourceVersion } = object.metadata
    return jsonOf(tableOf(view, resource, [object], resourceVersion === undefined ? {} : { resourceVersion }))
  }
  if (view.as === 'metadata') return textOf(metadataOf(object))
  throw new StatusError(
    406,
    'NotAcceptable',
    `you requested PartialObjectMetadataList, but the requested object is not a list (*core.${resource.kind})`,
  )
}

/** A list. @throws StatusError 406 */
export function presentList(view: View, resource: Resource, { objects, metadata }: Page): string {
  if (view.as === 'object') {
    // lists without types say even that there is no more
    const told = resource.custom ? { continue: '', ...metadata } : metadata
    const head = `{"kind":"${resource.kind}List","apiVersion":"${apiVersionOf(resource)}","metadata":${jsonOf(told)},"items":[`
    return `${head}${objects.map(resource.custom ? textOf : itemTextOf).join(',')}]}`
  }
  if (view.as === 'table') return jsonOf(tableOf(view, resource, objects, metadata))
  if (view.as === 'metadata-list') {
    const head = `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":${jsonOf(metadata)},"items":[`
    return `${head}${objects.map((object) => jsonOf(metadataOf(object))).join(',')}]}`
  }
  throw new StatusError(
    406,
    'NotAcceptable',
    `you requested PartialObjectMetadata, but the requested object is a list (*core.${resource.kind}List)`,
  )
}

/** One line of a watch. @param first whether a table has to say its columns */
export function presentEvent(
  view: View,
  resource: Resource,
  type: string,
  object: KubeObject,
  first: boolean,
): string {
  if (view.as === 'object') return eventText(type, textOf(object))
  if (view.as !== 'table') return eventText(type, textOf(metadataOf(object)))
  const { resourceVersion = '' } = object.metadata
  const table = tableOf(view, resource, [object], { resourceVersion })
  return eventText(type, jsonOf(first ? table : { ...table, columnDefinitions: null }))
}

/** Tells a watch how far it has come. @param initial whether this ends the objects that were there */
export function presentBookmark(view: View, resource: Resource, version: number, initial: boolean): string {
  const metadata = {
    resourceVersion: String(version),
    ...(initial && { annotations: { 'k8s.io/initial-events-end': 'true' } }),
  }
  const bookmark = { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata }
  if (view.as === 'object') return eventText('BOOKMARK', jsonOf(bookmark))
  const partial = { ...bookmark, kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' }
  if (view.as !== 'table') return eventText('BOOKMARK', jsonOf(partial))
  return eventText(
    'BOOKMARK',
    jsonOf({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { resourceVersion: String(version) },
      columnDefinitions: null,
      rows: [{ cells: [], object: view.include === 'Object' ? bookmark : partial }],
    }),
  )
}

export function eventText(type: string, object: string): string {
  return `{"type":"${type}","object":${object}}\n`
}

const partials = new WeakMap<KubeObject, KubeObject>()

function metadataOf(object: KubeObject): KubeObject {
  let partial = partials.get(object)
  if (partial === undefined) {
    partial = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata }
    partials.set(object, partial)
  }
  return partial
}

function tableOf(
  { include, now }: View,
  resource: Resource,
  objects: readonly KubeObject[],
  metadata: JsonObject,
): JsonObject {
  return { ...toTable(resource, objects, now().getTime(), include), metadata }
}
