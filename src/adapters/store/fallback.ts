import { messageOf } from '../../core/errors.ts'
import type { ImageStore, TagListener } from '../../ports/image-store.ts'
import type { Log } from '../../ports/log.ts'
import { createMemoryStore } from './memory.ts'

/**
 * A store that goes on in memory, from nothing, once the one below it can't be written: a full disk, or one that has
 * become read-only. Registries are asked again then; nothing else is lost.
 */
export function fallBackToMemory(disk: ImageStore, log: Log): ImageStore {
  let current = disk
  const listeners: TagListener[] = []
  const write = <T>(change: (store: ImageStore) => T): T => {
    try {
      return change(current)
    } catch (thrown) {
      if (current !== disk) throw thrown
      const warning = 'the image store cannot be written: going on in memory'
      const err = messageOf(thrown)
      const code = 'STORE_UNUSABLE'
      log.write({ component: 'store', warning, err, code })
      current = createMemoryStore({ code, message: `${warning}: ${err}` })
      for (const listener of listeners) current.onTagChange(listener)
      return change(current)
    }
  }
  return {
    getRepository: (name) => current.getRepository(name),
    setRepository: (name, repository) => write((store) => store.setRepository(name, repository)),
    listTags: (name) => current.listTags(name),
    tagNames: (name) => current.tagNames(name),
    onTagChange(listener) {
      listeners.push(listener)
      current.onTagChange(listener)
    },
    getTag: (name, tag) => current.getTag(name, tag),
    setTag: (name, tag, known) => write((store) => store.setTag(name, tag, known)),
    setListing: (name, tags, repository) => write((store) => store.setListing(name, tags, repository)),
    getFacts: (digest) => current.getFacts(digest),
    setFacts: (digest, facts) => write((store) => store.setFacts(digest, facts)),
    problem: () => current.problem(),
    close: () => disk.close(),
  }
}
