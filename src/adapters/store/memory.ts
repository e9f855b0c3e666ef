import { compareCodePoints } from '../../core/json.ts'
import type {
  ImageProblem,
  ImageStore,
  StoredRepository,
  StoredTag,
  TagListener,
} from '../../ports/image-store.ts'
import type { ImageFacts } from '../../ports/registry.ts'

const none: readonly string[] = []

/** An image store that ends with the process. @param problem why there is no other, where one was asked for */
export function createMemoryStore(problem?: ImageProblem): ImageStore {
  const repositories = new Map<string, StoredRepository>()
  const tags = new Map<string, Map<string, StoredTag>>()
  const facts = new Map<string, ImageFacts>()
  const names = new Map<string, readonly string[]>()
  const listeners: TagListener[] = []
  const tell: TagListener = (name, tag) => {
    for (const listener of listeners) listener(name, tag)
  }

  return {
    getRepository: (name) => repositories.get(name),
    setRepository: (name, repository) => void repositories.set(name, repository),
    listTags: (name) => (tags.get(name) ?? new Map<string, StoredTag>()).entries(),
    tagNames: (name) => names.get(name) ?? none,
    onTagChange: (listener) => void listeners.push(listener),
    getTag: (name, tag) => tags.get(name)?.get(tag),
    setTag(name, tag, known) {
      const listed = tags.get(name)
      if (!listed?.has(tag)) return false
      listed.set(tag, known)
      tell(name, tag)
      return true
    },
    setListing(name, listed, repository) {
      const before = tags.get(name)
      const sorted = listed.toSorted(compareCodePoints)
      const after = new Map(sorted.map((tag) => [tag, before?.get(tag) ?? {}]))
      tags.set(name, after)
      names.set(name, [...after.keys()])
      repositories.set(name, repository)
      for (const tag of before?.keys() ?? []) if (!after.has(tag)) tell(name, tag)
      const added = listed.filter((tag) => !before?.has(tag))
      for (const tag of added) tell(name, tag)
      return added.length
    },
    getFacts: (digest) => facts.get(digest),
    setFacts: (digest, known) => void facts.set(digest, known),
    problem: () => problem,
    close: async () => {},
  }
}
