import { pickTimeLabels } from '../../core/image/info.ts'
import { parseTimestamp, type Timestamp } from '../../core/image/timestamp.ts'
import { isJsonObject, type JsonObject, valueAt } from '../../core/json.ts'
import { isDigest } from './grammar.ts'

/** The documents of an image that we read: a manifest, or an index of one for each platform, and a configuration. */
export const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const

/** What a manifest leads to: the image of one platform, or the configuration. */
export type ImageManifest =
  | { kind: 'index'; chosen: string | undefined }
  | { kind: 'image'; config: string }
  | { kind: 'unknown' }

/** Read a manifest by its shape; registries and builders are careless with media types. */
export function readImageManifest(document: unknown): ImageManifest {
  if (!isJsonObject(document)) return { kind: 'unknown' }
  const entries = document['manifests']
  if (Array.isArray(entries)) return { kind: 'index', chosen: choosePlatform(entries.filter(isJsonObject)) }
  const config = valueAt(document, 'config', 'digest')
  return isDigest(config) ? { kind: 'image', config } : { kind: 'unknown' }
}

/** The digest for linux/amd64, else of the first image for linux; attestations carry another platform. */
function choosePlatform(entries: readonly JsonObject[]): string | undefined {
  const linux = entries.filter((entry) => valueAt(entry, 'platform', 'os') === 'linux')
  const amd64 = linux.find((entry) => valueAt(entry, 'platform', 'architecture') === 'amd64')
  const digest = (amd64 ?? linux[0])?.['digest']
  return isDigest(digest) ? digest : undefined
}

/** What a configuration tells: when the image was made, and its time labels. */
export interface ImageConfig {
  created: Timestamp | undefined
  labels: Record<string, string>
}

/** Labels are read where Docker's builders put them, now and formerly. */
export function readImageConfig(document: unknown): ImageConfig {
  if (!isJsonObject(document)) return { created: undefined, labels: {} }
  const created = document['created']
  const labelsAt = (key: string) => {
    const labels = valueAt(document, key, 'Labels')
    return isJsonObject(labels) ? labels : {}
  }
  return {
    created: typeof created === 'string' ? parseTimestamp(created) : undefined,
    labels: pickTimeLabels({ ...labelsAt('config'), ...labelsAt('container_config') }),
  }
}
