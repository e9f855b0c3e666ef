import type { ImageRef } from './ref.ts'

/** What a registry tells about one image. */
export interface ImageInfo {
  ref: ImageRef
  /** digest of the manifest, `sha256:…` */
  digest?: string
  /** digest of the configuration blob (of the first history entry, for Docker schema 1) */
  imageId?: string
  /** only the two labels that say when the image was made; see `spec/flux-v1/http-api.md` §4 */
  labels: Readonly<Record<string, string>>
  createdAt?: Date
  lastFetchedAt?: Date
}
