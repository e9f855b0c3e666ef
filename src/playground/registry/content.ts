import { createHash } from 'node:crypto'
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'
import { RegistryProblem } from './problem.ts'

/** What a registry holds: repositories with blobs, manifests and tags. All of it is in memory. */
export interface Repository {
  readonly name: string
  /** tag → digest, in the order of pushes */
  readonly tags: Map<string, string>
  /** by digest */
  readonly manifests: Map<string, Document>
  readonly blobs: Map<string, Uint8Array>
}

export interface Document {
  bytes: Uint8Array
  mediaType: string
}

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
}

export interface Content {
  readonly repositories: ReadonlyMap<string, Repository>
  /** The repository of this name, new where there is none. */
  open(name: string): Repository
  /** @throws RegistryProblem `NAME_UNKNOWN` */
  get(name: string): Repository
}

export function createContent(): Content {
  const repositories = new Map<string, Repository>()
  return {
    repositories,
    open(name) {
      const known = repositories.get(name)
      if (known) return known
      const repository = { name, tags: new Map(), manifests: new Map(), blobs: new Map() }
      repositories.set(name, repository)
      return repository
    },
    get(name) {
      const repository = repositories.get(name)
      if (!repository) throw new RegistryProblem('NAME_UNKNOWN')
      return repository
    },
  }
}

export function digestOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}

/** @throws RegistryProblem `DIGEST_INVALID` when it isn't one, or not that of these bytes */
export function checkDigest(digest: string, bytes: Uint8Array): void {
  const [, algorithm] = /^(sha256|sha512):[0-9a-f]+$/.exec(digest) ?? []
  if (digestOf(bytes, algorithm === 'sha512' ? 'sha512' : 'sha256') !== digest) {
    throw new RegistryProblem('DIGEST_INVALID', 'provided digest did not match uploaded content')
  }
}

/**
 * Keep a manifest, under a tag or by its digest alone.
 *
 * @param reference a tag, or the digest of the bytes
 * @returns its digest
 * @throws RegistryProblem `MANIFEST_INVALID` | `MANIFEST_BLOB_UNKNOWN` | `DIGEST_INVALID` | `TAG_INVALID`
 */
export function putManifest(
  repository: Repository,
  reference: string,
  bytes: Uint8Array,
  contentType: string | undefined,
): string {
  const manifest = readManifest(bytes)
  const mediaType = contentType ?? stringIn(manifest, 'mediaType')
  if (mediaType === undefined) throw new RegistryProblem('MANIFEST_INVALID', 'no media type')
  if (stringIn(manifest, 'mediaType') !== undefined && manifest['mediaType'] !== mediaType) {
    throw new RegistryProblem('MANIFEST_INVALID', 'Content-Type is not the media type of the manifest')
  }
  for (const digest of digestsIn(manifest['config'], manifest['layers'])) {
    if (!repository.blobs.has(digest)) throw new RegistryProblem('MANIFEST_BLOB_UNKNOWN', undefined)
  }
  for (const digest of digestsIn(manifest['manifests'])) {
    if (!repository.manifests.has(digest)) throw new RegistryProblem('MANIFEST_BLOB_UNKNOWN')
  }
  if (reference.includes(':')) checkDigest(reference, bytes)
  else if (!/^\w[\w.-]{0,127}$/.test(reference)) throw new RegistryProblem('TAG_INVALID')

  const digest = reference.includes(':') ? reference : digestOf(bytes)
  repository.manifests.set(digest, { bytes, mediaType })
  if (!reference.includes(':')) {
    repository.tags.delete(reference) // the newest push is the last
    repository.tags.set(reference, digest)
  }
  return digest
}

/** Of a digest, the tags go with it. @throws RegistryProblem `MANIFEST_UNKNOWN` */
export function deleteManifest({ tags, manifests }: Repository, reference: string): void {
  if (tags.delete(reference)) return
  if (!manifests.delete(reference)) throw new RegistryProblem('MANIFEST_UNKNOWN')
  for (const [tag, digest] of tags) if (digest === reference) tags.delete(tag)
}

function readManifest(bytes: Uint8Array): JsonObject {
  try {
    const value: JsonValue = JSON.parse(new TextDecoder().decode(bytes))
    if (isJsonObject(value)) return value
  } catch {
    // told of below
  }
  throw new RegistryProblem('MANIFEST_INVALID')
}

/** Of descriptors, single or in lists, those whose content is kept here. */
function digestsIn(...descriptors: readonly (JsonValue | undefined)[]): string[] {
  return descriptors
    .flat()
    .filter((descriptor) => isJsonObject(descriptor) && descriptor['urls'] === undefined)
    .flatMap((descriptor) => stringIn(descriptor as JsonObject, 'digest') ?? [])
}

function stringIn(object: JsonObject, key: string): string | undefined {
  const value = object[key]
  return typeof value === 'string' ? value : undefined
}
