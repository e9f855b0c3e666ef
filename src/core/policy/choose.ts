import type { ImageInfo } from '../image/info.ts'
import type { TagPattern } from './pattern.ts'

/** Images in the order of a pattern, the best first. Whether they match it does not matter. */
export function sortImages(images: readonly ImageInfo[], pattern: TagPattern): ImageInfo[] {
  return images.toSorted(pattern.compare)
}

/** The first of them in that order, without putting all in order. */
export function bestImage(images: readonly ImageInfo[], pattern: TagPattern): ImageInfo | undefined {
  let best = images[0]
  for (const image of images) if (best && pattern.compare(image, best) < 0) best = image
  return best
}

/** The images that a pattern lets through, the best first: the first is the one to run. */
export function filterImages(images: readonly ImageInfo[], pattern: TagPattern): ImageInfo[] {
  return sortImages(
    images.filter(({ ref }) => isCandidate(ref.tag ?? '', pattern)),
    pattern,
  )
}

/** Whether a tag may be chosen. `latest`, in any case, only where a pattern asks for exactly that. */
export function isCandidate(tag: string, pattern: TagPattern): boolean {
  if (tag.toLowerCase() === 'latest' && pattern.text !== 'glob:latest') return false
  return pattern.matches(tag)
}
