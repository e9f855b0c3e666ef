import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../json.ts'
import { UnreadableNode } from '../manifest/node.ts'
import { readPart } from '../manifest/read-part.ts'
import { splitStream } from '../manifest/stream.ts'

/** One object of a release's manifest. */
export interface ManifestObject {
  apiVersion: string
  kind: string
  /** as written; empty: the release's, or none for a cluster-scoped kind */
  namespace: string
  name: string
  value: JsonObject
}

/** The objects of a release's manifest, lists taken apart. Documents that can't be read are left out. */
export function readManifestObjects(manifest: string): ManifestObject[] {
  return splitStream(manifest).flatMap((part) => {
    try {
      return readPart(manifest.slice(part.start, part.end)).flatMap(({ value }) => objectsOf(value))
    } catch (error) {
      if (error instanceof UnreadableNode) return []
      throw error
    }
  })
}

function objectsOf(value: JsonValue): ManifestObject[] {
  if (!isJsonObject(value)) return []
  const { apiVersion, kind, items } = value
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') return []
  if (kind.endsWith('List') && Array.isArray(items)) return items.flatMap(objectsOf)
  const name = valueAt(value, 'metadata', 'name')
  const namespace = valueAt(value, 'metadata', 'namespace')
  if (typeof name !== 'string' || name === '') return []
  return [{ apiVersion, kind, namespace: typeof namespace === 'string' ? namespace : '', name, value }]
}
