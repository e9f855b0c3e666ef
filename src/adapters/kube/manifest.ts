import { formatJson, isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'

/** From a manifest to what is sent: what a manifest may not say is dropped, and what it said last is written down. */

export const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration'

/** Metadata that only the server writes. */
const serverSide = [
  'managedFields',
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'generation',
  'selfLink',
] as const

/** the API server's limit for all annotations of an object together, keys and values */
const annotationLimitBytes = 256 * 1024

/**
 * The object to apply: without status and server-side metadata, with the annotation that client-side apply needs to
 * go on from here (unless it does not fit, where client-side apply could not have been used either).
 */
export function toAppliedObject(manifest: JsonObject): JsonObject {
  const { status: _status, ...object } = manifest
  const metadata = { ...metadataOf(object) }
  for (const field of serverSide) delete metadata[field]
  const { [lastAppliedAnnotation]: _old, ...annotations } = annotationsOf(metadata)

  const lastApplied = formatLastApplied({ ...object, metadata: { ...metadata, annotations } })
  const annotated = { ...annotations, [lastAppliedAnnotation]: lastApplied }
  const fits = annotationBytes(annotated) <= annotationLimitBytes
  const sent = fits ? annotated : annotations
  if (fits || Object.keys(sent).length > 0) metadata['annotations'] = sent
  return withSecretData({ ...object, metadata })
}

/** As kubectl writes it: sorted keys, Go's escapes, `annotations` even when empty, a newline at the end. */
function formatLastApplied(object: JsonObject): string {
  return `${formatJson(object, { sortKeys: true, escapeHtml: true })}\n`
}

/** What was last applied by a client, from a live object; empty when nobody wrote it down. */
export function lastAppliedOf(live: JsonObject): JsonObject {
  const text = annotationsOf(metadataOf(live))[lastAppliedAnnotation]
  try {
    const parsed: unknown = typeof text === 'string' ? JSON.parse(text) : undefined
    return isJsonObject(parsed) ? parsed : {}
  } catch {
    return {}
  }
}

/**
 * A Secret's `stringData` as `data`, where the server puts it anyway: only then the field set names what is stored,
 * and a key that leaves the manifest leaves the cluster.
 */
function withSecretData(object: JsonObject): JsonObject {
  const { stringData, ...rest } = object
  if (object['kind'] !== 'Secret' || object['apiVersion'] !== 'v1' || !isJsonObject(stringData)) return object
  const texts = Object.entries(stringData)
  if (texts.some(([, text]) => typeof text !== 'string')) return object
  const encoded = texts.map(([key, text]): [string, JsonValue] => [
    key,
    Buffer.from(text as string, 'utf8').toString('base64'),
  ])
  const data = isJsonObject(object['data']) ? object['data'] : {}
  return { ...rest, data: { ...data, ...Object.fromEntries(encoded) } }
}

export function metadataOf(object: JsonObject): JsonObject {
  return isJsonObject(object['metadata']) ? object['metadata'] : {}
}

function annotationsOf(metadata: JsonObject): JsonObject {
  return isJsonObject(metadata['annotations']) ? metadata['annotations'] : {}
}

function annotationBytes(annotations: JsonObject): number {
  return Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(String(value)),
    0,
  )
}
