import { createHash } from 'node:crypto'
import { safeUrl } from '../git/remote-url.ts'
import { isJsonObject, type JsonObject } from '../json.ts'
import { normalForm } from '../manifest/normal-form.ts'
import type { ResourceId } from '../resource/id.ts'

/**
 * What we own in a cluster, by marks on the objects themselves: which sync set an object belongs to, and what it was
 * made from. Marks equal Flux v1's, so that either can take a cluster over from the other (`spec/flux-v1/sync.md` §6).
 */

export const markLabel = 'fluxcd.io/sync-gc-mark'
export const checksumAnnotation = 'fluxcd.io/sync-checksum'

/** The name of everything that one repository, branch and list of paths defines. */
export function syncSetName(url: string, branch: string, paths: readonly string[]): string {
  return createHash('sha256')
    .update([safeUrl(url), branch, ...paths].join(''))
    .digest('base64url')
}

/** The mark of one object of a sync set. A copy under another name has another mark, so it isn't taken for ours. */
export function gcMark(syncSet: string, id: ResourceId): string {
  return `sha256.${createHash('sha256').update(`${syncSet}${id}`).digest('base64url')}`
}

/** SHA-1, in hex, of a manifest in its normal form. Worked out once for each parsed manifest: none is ever changed. */
export function checksumOf(manifest: JsonObject): string {
  const known = checksums.get(manifest)
  if (known !== undefined) return known
  const checksum = createHash('sha1').update(normalForm(manifest)).digest('hex')
  checksums.set(manifest, checksum)
  return checksum
}

const checksums = new WeakMap<JsonObject, string>()

export interface Marks {
  mark: string
  checksum: string
  /** effective; empty for what is cluster-scoped */
  namespace: string
}

/** A manifest as it is applied: in its namespace and with our marks, whatever it said of them itself. */
export function markManifest(manifest: JsonObject, { mark, checksum, namespace }: Marks): JsonObject {
  const metadata = objectAt(manifest, 'metadata')
  return {
    ...manifest,
    metadata: {
      ...metadata,
      ...(namespace !== '' && { namespace }),
      labels: { ...objectAt(metadata, 'labels'), [markLabel]: mark },
      annotations: { ...objectAt(metadata, 'annotations'), [checksumAnnotation]: checksum },
    },
  }
}

function objectAt(value: JsonObject, key: string): JsonObject {
  const found = value[key]
  return isJsonObject(found) ? found : {}
}
