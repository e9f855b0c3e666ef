import { compareCodePoints } from '../json.ts'
import { isCandidate, sortImages } from '../policy/choose.ts'
import type { TagPattern } from '../policy/pattern.ts'
import type { ImageRef } from './ref.ts'

/**
 * Of which tags more than the name has to be known. A registry is asked for each of them, so only for those that
 * somebody waits for: automation that orders by time, or people who look.
 */

/** A container that runs an image of the repository, and what it may run instead. */
export interface ContainerDemand {
  current: ImageRef
  pattern: TagPattern
  automated: boolean
}

/** What automation can't choose without: everything that a pattern lets through which orders by time. */
export function tagsForAutomation(
  tags: readonly string[],
  containers: readonly ContainerDemand[],
): Set<string> {
  const automated = containers.filter(({ automated }) => automated)
  const timed = automated.filter(({ pattern }) => pattern.needsTimestamps)
  const running = new Set(timed.map(({ current }) => current.tag))
  const wanted = new Set(
    tags.filter((tag) => running.has(tag) || timed.some(({ pattern }) => isCandidate(tag, pattern))),
  )
  // who runs a digest needs that of the best image
  const pinned = automated.filter(({ current }) => current.digest)
  for (const { pattern } of pinned) {
    const best = inOrder(tags, pattern).find((tag) => isCandidate(tag, pattern))
    if (best !== undefined) wanted.add(best)
  }
  return wanted
}

/** What people see of each container first, up to a depth; 0: all. The image that runs is always among it. */
export function firstTags(
  tags: readonly string[],
  containers: readonly ContainerDemand[],
  depth: number,
): string[] {
  if (depth === 0 || tags.length <= depth) return [...tags]
  const wanted = new Set<string>()
  const listed = new Set(tags)
  const patterns = new Map(containers.map(({ pattern }) => [pattern.text, pattern]))
  for (const { current } of containers) if (current.tag && listed.has(current.tag)) wanted.add(current.tag)
  for (const pattern of patterns.values()) {
    for (const tag of inOrder(tags, pattern).slice(0, depth)) wanted.add(tag)
  }
  return [...wanted]
}

/** Tags in a pattern's order, as far as names tell it: where times decide, what the pattern allows comes first. */
function inOrder(tags: readonly string[], pattern: TagPattern): string[] {
  if (!pattern.needsTimestamps) {
    const named = tags.map((tag) => ({ ref: { repository: 'x', tag }, labels: {} }))
    return sortImages(named, pattern).map(({ ref }) => ref.tag ?? '')
  }
  const rank = (tag: string) => (isCandidate(tag, pattern) ? 0 : 1)
  return tags.toSorted((a, b) => rank(a) - rank(b) || compareCodePoints(b, a))
}
