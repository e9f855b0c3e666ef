import type { ImageInfo } from '../core/image/info.ts'
import type { ImageRef } from '../core/image/ref.ts'

/** User and password for one registry host. */
export interface RegistryCredentials {
  user: string
  password: string
  /** where they come from, such as `demo:secret/pull`; never the secret itself */
  source: string
}

/** Credentials by host (with port), lower case, `index.docker.io` for Docker Hub. */
export type Keychain = ReadonlyMap<string, RegistryCredentials>

/** The tags of an image repository, and what makes asking for them again cheap. */
export interface TagListing {
  /** in the registry's own order, which means nothing */
  tags: readonly string[]
  /** the pages they came on, in order; empty where the registry gives no ETag for each of them */
  pages: readonly ListedPage[]
  /** how many names were dropped that are no tags */
  dropped: number
}

export interface ListedPage {
  /** path and query */
  path: string
  etag: string
}

/** What an image says about itself: it follows from the digest, and never changes. */
export type ImageFacts = Pick<ImageInfo, 'digest' | 'imageId' | 'labels' | 'createdAt' | 'createdAtText'>

export interface FoundImage {
  /** of the manifest or index that was asked for */
  digest: string
  facts: ImageFacts
}

/** What we ask of image registries: names of tags, and what an image says about itself. */
export interface ImageRegistry {
  /**
   * Every tag of an image repository. All of them, or an error.
   *
   * @param known pages of the last listing; `undefined` is returned where the registry says that none has changed
   * @throws FluxError `REGISTRY_DENIED` | `REGISTRY_IMAGE_MISSING` | `REGISTRY_UNAVAILABLE` | `REGISTRY_TIMEOUT` |
   *   `REGISTRY_RATE_LIMITED` | `REGISTRY_TOO_LARGE` | `REGISTRY_INVALID` | `IMAGE_REF_INVALID`; the signal's reason
   */
  listTags(image: ImageRef, keychain: Keychain, options?: ListOptions): Promise<TagListing | undefined>

  /**
   * The digest that a tag names now: one HEAD.
   *
   * @throws FluxError as `listTags`, and `REGISTRY_MANIFEST_UNKNOWN`
   */
  getDigest(image: ImageRef, keychain: Keychain, signal?: AbortSignal): Promise<string>

  /**
   * What the image behind a reference (tag or digest) says of itself.
   *
   * @throws FluxError as `listTags`, and `REGISTRY_MANIFEST_UNKNOWN` | `IMAGE_MANIFEST_UNSUPPORTED` |
   *   `IMAGE_PLATFORM_MISSING` (nothing for the platforms of the cluster)
   */
  getImage(image: ImageRef, keychain: Keychain, options?: ImageOptions): Promise<FoundImage>
}

export interface ListOptions {
  known?: readonly ListedPage[]
  signal?: AbortSignal
}

export interface ImageOptions {
  /** what is known of a digest already: it isn't asked for again */
  knownFacts?(digest: string): ImageFacts | undefined
  signal?: AbortSignal
}
