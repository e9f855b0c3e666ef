import { compareCodePoints } from '../json.ts'
import type { ImageInfo } from './info.ts'
import { formatImageRef } from './ref.ts'
import { subMillisecondNs } from './timestamp.ts'

/** Order by creation, the newest first; equal times by reference, ascending; images without a time last. */
export function newestFirst(a: ImageInfo, b: ImageInfo): number {
  return laterFirst(a, b) || compareCodePoints(formatImageRef(a.ref), formatImageRef(b.ref))
}

function laterFirst(a: ImageInfo, b: ImageInfo): number {
  if (!a.createdAt || !b.createdAt) return (a.createdAt ? 0 : 1) - (b.createdAt ? 0 : 1)
  const apartMs = b.createdAt.getTime() - a.createdAt.getTime()
  return apartMs || subMillisecondNs(b.createdAtText ?? '') - subMillisecondNs(a.createdAtText ?? '')
}
