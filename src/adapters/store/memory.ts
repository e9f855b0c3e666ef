import { compareCodePoints } from '../../core/json.ts'
import type { ImageProblem, ImageStore, StoredRepository, StoredTag } from '../../ports/image-store.ts'
import type { ImageFacts } from '../../ports/registry.ts'

/** An image store that ends with the process. @param problem why there is no other, where one was asked for */
export function createMemoryStore(problem?: ImageProblem): ImageStore {
  const repositories = new Map<string, StoredRepository>()
  const tags = new Map<string, Map<string, StoredTag>>()
  const facts = new Map<string, ImageFacts>()

  return {
    getRepository: (name) => repositories.get(name),
    setRepository: (name, repository) => void repositories.set(name, repository),
    listTags: (name) => (tags.get(name) ?? new Map<string, StoredTag>()).entries(),
    getTag: (name, tag) => tags.get(name)?.get(tag),
    setTag(name, tag, known) {
      const listed = tags.get(name)
      if (!listed?.has(tag)) return false
      listed.set(tag, known)
      return true
    },
    setListing(name, listed, repository) {
      const before = tags.get(name)
      const sorted = listed.toSorted(compareCodePoints)
      tags.set(name, new Map(sorted.map((tag) => [tag, before?.get(tag) ?? {}])))
      repositories.set(name, repository)
      return listed.filter((tag) => !before?.has(tag)).length
    },
    getFacts: (digest) => facts.get(digest),
    setFacts: (digest, known) => void facts.set(digest, known),
    problem: () => problem,
    close: async () => {},
  }
}
