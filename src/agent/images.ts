import { FluxError } from '../core/errors.ts'
import type { ImageInfo } from '../core/image/info.ts'
import { canonicalName, formatImageRef, type ImageRef } from '../core/image/ref.ts'
import { isScanned, type ScanScope } from '../core/image/scope.ts'
import { globMatches } from '../core/policy/glob.ts'
import type { TagPattern } from '../core/policy/pattern.ts'
import type { ListingState } from '../core/update/automation.ts'
import type { Clock } from '../ports/clock.ts'
import type { ImageProblem, ImageStore, StoredRepository } from '../ports/image-store.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { Keychain } from '../ports/registry.ts'
import { createTagTables, datedByLabel, type TagTable } from './tag-tables.ts'

/**
 * What is known of the images that run, read from the store: tags, and of some of them more than the name. Reading
 * asks nobody; `scan.ts` is what asks registries.
 */
export interface ImageCatalog {
  /**
   * Every known image of a repository, named as `like` is; `undefined`: nothing is known of it.
   *
   * @param pattern asks only for what a choice by it turns on, and the image that runs; see `KnownImages`
   */
  images(like: ImageRef, pattern?: TagPattern): readonly ImageInfo[] | undefined
  /** What is known of the tags of a repository, by its canonical name. */
  tags(name: string): TagTable
  /** What is wrong with tags of a repository, by code: what happened to the first of them, and how many there are. */
  tagProblems(name: string): TagProblems
  /** How far the known images of a repository can be trusted. */
  stateOf(like: ImageRef): ListingState
  /** Why there is nothing, or nothing new, to be known of a repository, or of some of its tags: each code once. */
  problemsOf(like: ImageRef): ImageProblem[]
  /** Whether an image repository is scanned at all. */
  isScanned(like: ImageRef): boolean
}

export type TagProblems = Map<string, { message: string; count: number }>

export interface WantedImage {
  image: ImageRef
  keychain: Keychain
}

export interface ImageCatalogOptions {
  store: ImageStore
  /** `--registry-disable-scanning`: nothing is ever known */
  disabled: boolean
  scope: ScanScope
  /** globs on canonical names: labels of these images say when they were made */
  useLabels: readonly string[]
  clock: Clock
  /** times each look into what is known */
  metrics: Pick<Metrics, 'observeImageLookup'>
}

/** A list of tags that is older than this may lack something. */
const staleMs = 10 * 60_000

export function createImageCatalog({
  store,
  disabled,
  scope,
  useLabels,
  clock,
  metrics,
}: ImageCatalogOptions): ImageCatalog {
  const isWatched = (like: ImageRef) => !disabled && isScanned(canonicalName(like), scope)

  const tables = createTagTables(store, useLabels)

  /** All where no pattern is given, and where only their digests tell which one runs. */
  const readTags = (name: string, like: ImageRef, pattern: TagPattern | undefined) => {
    if (!pattern || like.digest) return store.listTags(name)
    const { names, decisive, placeOf } = tables.of(name)
    const places = new Set([...decisive(pattern), placeOf(like.tag ?? '')])
    return [...places]
      .sort((a, b) => a - b)
      .flatMap((place) => names[place] ?? [])
      .map((tag) => [tag, store.getTag(name, tag) ?? {}] as const)
  }

  const tagProblems = (name: string): TagProblems => {
    const problems: TagProblems = new Map()
    const { dropped = 0 } = store.getRepository(name) ?? {}
    if (dropped > 0)
      problems.set('TAG_INVALID', { message: 'names that are no tags were dropped', count: dropped })
    const table = tables.of(name)
    for (const place of table.troubled()) {
      const tag = table.names[place] ?? ''
      const { problem } = store.getTag(name, tag) ?? {}
      if (!problem) continue
      const { message, count } = problems.get(problem.code) ?? {
        message: `${tag}: ${problem.message}`,
        count: 0,
      }
      problems.set(problem.code, { message, count: count + 1 })
    }
    return problems
  }

  const readImages = (like: ImageRef, pattern?: TagPattern): ImageInfo[] | undefined => {
    const name = canonicalName(like)
    const repository = isWatched(like) ? store.getRepository(name) : undefined
    if (repository?.listedAtMs === undefined) return undefined
    const { registry, repository: path } = like
    const byLabel = useLabels.some((glob) => globMatches(glob, name))
    const images: ImageInfo[] = []
    for (const [tag, { digest, fetchedAtMs }] of readTags(name, like, pattern)) {
      const facts = digest === undefined ? undefined : store.getFacts(digest)
      images.push({
        ...(facts ? (byLabel ? datedByLabel(facts) : facts) : { labels: {} }),
        ...(facts && fetchedAtMs !== undefined && { lastFetchedAt: new Date(fetchedAtMs) }),
        ref: { ...(registry !== undefined && { registry }), repository: path, tag },
      })
    }
    return images
  }

  return {
    isScanned: isWatched,

    tags: tables.of,
    tagProblems,

    images(like, pattern) {
      const startedMs = clock.monotonicMs()
      const images = readImages(like, pattern)
      const durationMs = clock.monotonicMs() - startedMs
      metrics.observeImageLookup({ success: images !== undefined, durationMs })
      return images
    },

    stateOf(like) {
      const { listedAtMs, problem } = store.getRepository(canonicalName(like)) ?? {}
      if (listedAtMs === undefined) return 'incomplete'
      const ageMs = clock.now().getTime() - listedAtMs
      return problem || ageMs < 0 || ageMs > staleMs ? 'stale' : 'complete'
    },

    problemsOf(like) {
      if (disabled) return [{ code: 'SCANNING_DISABLED', message: 'image scanning is disabled' }]
      if (!isWatched(like)) return [{ code: 'IMAGE_EXCLUDED', message: 'this image is left out of scanning' }]
      const name = canonicalName(like)
      const problems = listingProblems(store.getRepository(name), clock.now())
      for (const [code, { message, count }] of tagProblems(name)) {
        problems.push({ code, message: count > 1 ? `${message} (and ${count - 1} more)` : message })
      }
      const unkept = store.problem()
      return unkept ? [...problems, unkept] : problems
    },
  }
}

/** Why the list of tags is not there, or not to be trusted. */
export function listingProblems(known: StoredRepository | undefined, now: Date): ImageProblem[] {
  const { listedAtMs = Number.NEGATIVE_INFINITY, problem } = known ?? {}
  const problems = problem ? [problem] : []
  if (listedAtMs > now.getTime()) {
    const message = `the clock was set back: the tags were listed at ${new Date(listedAtMs).toISOString()}`
    problems.push({ code: 'CLOCK_SET_BACK', message })
  }
  return problems
}

/** v1's text for an image that a registry doesn't have. */
export function imageMissing(image: ImageRef): FluxError {
  return new FluxError('IMAGE_MISSING', {
    what: `image "${formatImageRef(image)}" does not exist: invalid image ID`,
    why: 'The registry has no such tag, or fluxd is told not to look at this repository.',
    next: 'Push the image, or look at `fluxctl list-images` for the tags that are there.',
  })
}
