import type { ImageInfo } from '../image/info.ts'
import { canonicalName, type ImageRef } from '../image/ref.ts'
import { bestImage, isCandidate } from '../policy/choose.ts'
import type { TagPattern } from '../policy/pattern.ts'

/**
 * Which image a container should run, out of what is known of its repository.
 *
 * A tag counts as known by name alone: its record then says nothing but its reference. A pattern that orders by time
 * can't choose while such a tag passes it; one that orders by version can.
 */

/**
 * Every known image of the repository that a reference names; `undefined`: nothing is known of it.
 *
 * @param pattern asks for no more than a choice by it turns on: what `chooseImage` answers must stay the same, and
 *   the image that the reference itself names must be among them
 */
export type KnownImages = (like: ImageRef, pattern?: TagPattern) => readonly ImageInfo[] | undefined

export type Choice =
  | { kind: 'best'; image: ImageInfo }
  /** no image passes the pattern */
  | { kind: 'none' }
  /** this image passes the pattern, and when it was made isn't known yet */
  | { kind: 'unknown'; image: ImageInfo }

export function chooseImage(images: readonly ImageInfo[], pattern: TagPattern): Choice {
  const candidates = images.filter(({ ref }) => isCandidate(ref.tag ?? '', pattern))
  const unknown = pattern.needsTimestamps ? candidates.find((image) => !hasMetadata(image)) : undefined
  if (unknown) return { kind: 'unknown', image: unknown }
  const image = bestImage(candidates, pattern)
  return image ? { kind: 'best', image } : { kind: 'none' }
}

/** Whether more than its name is known of an image. */
export function hasMetadata({ digest, imageId, createdAt, lastFetchedAt }: ImageInfo): boolean {
  return (digest ?? imageId ?? createdAt ?? lastFetchedAt) !== undefined
}

/** The images of a container's repository, written with the name that the container uses. */
export function imagesLike(known: KnownImages, like: ImageRef, pattern?: TagPattern): readonly ImageInfo[] {
  return respellAll(known(like, pattern) ?? [], like)
}

/** The same, of images that are known already. Most are written so. */
export function respellAll(images: readonly ImageInfo[], like: ImageRef): readonly ImageInfo[] {
  const isSpelled = ({ ref: { registry, repository, digest } }: ImageInfo) =>
    registry === like.registry && repository === like.repository && digest === undefined
  if (images.every(isSpelled)) return images
  return images.map((image) => ({ ...image, ref: respell(like, image.ref.tag) }))
}

/**
 * A container's reference made to run another image: its own spelling of the name, and a digest where it had one.
 *
 * @returns `undefined` where the digest or the tag that this takes isn't known
 */
export function retarget(current: ImageRef, image: ImageInfo): ImageRef | undefined {
  const target = respell(current, image.ref.tag)
  if (!current.digest) return target.tag === undefined ? undefined : target
  const digest = image.digest ?? image.ref.digest
  return digest ? { ...target, digest } : undefined
}

/** Whether both name the same image repository. */
export function isSameRepository(a: ImageRef, b: ImageRef): boolean {
  return canonicalName(a) === canonicalName(b)
}

export function respell({ registry, repository }: ImageRef, tag: string | undefined): ImageRef {
  return { ...(registry !== undefined && { registry }), repository, ...(tag !== undefined && { tag }) }
}
