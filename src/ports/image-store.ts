import type { ImageFacts, ListedPage } from './registry.ts'

/** What a scan has learnt of an image repository as a whole. Times are milliseconds since 1970. */
export interface StoredRepository {
  /** of the last listing that was whole; absent: never */
  listedAtMs?: number
  pages: readonly ListedPage[]
  /** how many names of that listing were no tags, and were dropped; absent: none */
  dropped?: number
  /** why the last listing failed; absent: it did not */
  problem?: ImageProblem
}

/** What is known of a tag beyond its name. */
export interface StoredTag {
  /** of the manifest or index that it names */
  digest?: string
  /** when it was looked at last, and when that is due again */
  fetchedAtMs?: number
  dueAtMs?: number
  /** why there is nothing, or nothing new, to be known of its image */
  problem?: ImageProblem
}

export type TagListener = (name: string, tag: string) => void

/** An error code, and what happened in words. */
export interface ImageProblem {
  code: string
  message: string
}

/**
 * What is known of images, on disk: repositories, their tags, and what images say of themselves by digest, which never
 * changes. Repositories go by their canonical names. It can be lost at any time; then registries are asked again.
 */
export interface ImageStore {
  getRepository(name: string): StoredRepository | undefined
  setRepository(name: string, repository: StoredRepository): void
  /** Every tag, in the order of code points. Tags known by name alone are empty. */
  listTags(name: string): IterableIterator<[tag: string, known: StoredTag]>
  /** Their names alone: the same array until the list changes. */
  tagNames(name: string): readonly string[]
  /** Be told of each tag that is added, taken away or set. */
  onTagChange(listener: TagListener): void
  getTag(name: string, tag: string): StoredTag | undefined
  /** @returns whether the tag is listed; one that isn't is not kept */
  setTag(name: string, tag: string, known: StoredTag): boolean
  /** Replace the list of tags, all at once; what is known of those that stay is kept. @returns how many are new */
  setListing(name: string, tags: readonly string[], repository: StoredRepository): number
  getFacts(digest: string): ImageFacts | undefined
  setFacts(digest: string, facts: ImageFacts): void
  /** Why what is learnt is not kept beyond this process, where it is not. */
  problem(): ImageProblem | undefined
  close(): Promise<void>
}
