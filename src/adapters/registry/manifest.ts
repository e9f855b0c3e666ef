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
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
  'application/vnd.docker.distribution.manifest.v1+json',
] as const

/** What a manifest leads to: the image of one platform, or the configuration, which Docker schema 1 has within. */
export type ImageManifest =
  | { kind: 'index'; chosen: string | undefined }
  | { kind: 'image'; config: string }
  | { kind: 'schema1'; imageId: string | undefined; config: ImageConfig }
  | { kind: 'unknown' }

/** Where an image can run, as Kubernetes names it on a node: `linux/arm64`. */
export type Platform = string

/** Whether a document stands for images of several platforms. */
export function isIndex(document: unknown): boolean {
  return isJsonObject(document) && Array.isArray(document['manifests'])
}

/** Read a manifest by its shape; registries and builders are careless with media types. */
export function readImageManifest(document: unknown, platforms: readonly Platform[] = []): ImageManifest {
  if (!isJsonObject(document)) return { kind: 'unknown' }
  const entries = document['manifests']
  if (Array.isArray(entries))
    return { kind: 'index', chosen: choosePlatform(entries.filter(isJsonObject), platforms) }
  if (document['schemaVersion'] === 1) return readSchema1(document)
  const config = valueAt(document, 'config', 'digest')
  return isDigest(config) ? { kind: 'image', config } : { kind: 'unknown' }
}

/**
 * The digest for a platform of the cluster: linux/amd64 where that is one, else the first that fits. Where the
 * cluster's are not known, any for linux. Attestations carry another platform.
 */
function choosePlatform(entries: readonly JsonObject[], platforms: readonly Platform[]): string | undefined {
  const platformOf = (entry: JsonObject) =>
    `${valueAt(entry, 'platform', 'os')}/${valueAt(entry, 'platform', 'architecture')}`
  const fitting = entries.filter((entry) =>
    platforms.length > 0 ? platforms.includes(platformOf(entry)) : platformOf(entry).startsWith('linux/'),
  )
  const amd64 = fitting.find((entry) => platformOf(entry) === 'linux/amd64')
  const digest = (amd64 ?? fitting[0])?.['digest']
  return isDigest(digest) ? digest : undefined
}

/** The first entry of its history is the newest, and stands for the image. */
function readSchema1(document: JsonObject): ImageManifest {
  const text = valueAt(document, 'history', 0, 'v1Compatibility')
  let newest: unknown
  try {
    newest = typeof text === 'string' ? JSON.parse(text) : undefined
  } catch {
    newest = undefined
  }
  if (!isJsonObject(newest)) return { kind: 'unknown' }
  const id = newest['id']
  return {
    kind: 'schema1',
    imageId: typeof id === 'string' && /^[0-9a-f]{64}$/.test(id) ? id : undefined,
    config: readImageConfig(newest),
  }
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
