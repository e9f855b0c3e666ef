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

/** What we ask of image registries: names of tags, and what an image says about itself. */
export interface ImageRegistry {
  /**
   * Every tag of an image repository, in the registry's own order, which means nothing. All of them, or an error.
   *
   * @throws FluxError `REGISTRY_DENIED` | `REGISTRY_IMAGE_MISSING` | `REGISTRY_UNAVAILABLE` | `REGISTRY_TIMEOUT` |
   *   `REGISTRY_RATE_LIMITED` | `REGISTRY_TOO_LARGE` | `REGISTRY_INVALID` | `IMAGE_REF_INVALID`; the signal's reason
   */
  listTags(image: ImageRef, keychain: Keychain, signal?: AbortSignal): Promise<string[]>

  /**
   * What the image behind a reference (tag or digest) says of itself.
   *
   * @throws FluxError as `listTags`, and `REGISTRY_MANIFEST_UNKNOWN` | `IMAGE_PLATFORM_MISSING` (nothing for linux)
   */
  getImage(image: ImageRef, keychain: Keychain, signal?: AbortSignal): Promise<ImageInfo>
}
