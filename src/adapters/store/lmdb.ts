import { lstat, mkdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Database, open, type RootDatabase } from 'lmdb'
import { FluxError, messageOf } from '../../core/errors.ts'
import type { ImageStore, StoredRepository, StoredTag } from '../../ports/image-store.ts'
import type { Log } from '../../ports/log.ts'
import type { ImageFacts } from '../../ports/registry.ts'
import { takeLock } from './lock.ts'
import { createMemoryStore } from './memory.ts'

/**
 * The image store in LMDB: a folder with one data file, written in transactions, so that a kill leaves the last whole
 * state. It can always be made anew from the registries, and is, where it can't be read.
 *
 * One process holds it. Network file systems are refused: neither memory maps nor locks hold there. When the disk is
 * full or has become read-only the process goes on in memory, and says so once.
 */

export interface ImageStoreOptions {
  /** made where it isn't there; nothing else may stand in it */
  folder: string
  log: Log
}

/** Stores of another form are made anew. */
const form = 1
const mapBytes = 1024 * 1024 * 1024

/** `statfs` types on which a memory map is not one memory for all: NFS, SMB and CIFS, Ceph, AFS, 9P, FUSE, Lustre. */
const networkTypes = new Set([
  0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x00c36400, 0x5346414f, 0x01021997, 0x65735546, 0x0bd00bd0,
])

/**
 * Open the store, or make it.
 *
 * @throws FluxError `STORE_LOCKED` | `STORE_UNUSABLE`
 */
export async function openImageStore({ folder, log }: ImageStoreOptions): Promise<ImageStore> {
  await prepareFolder(folder)
  const lock = await takeLock(join(folder, 'holder'))
  try {
    return createStore(await openOrRebuild(folder, log), lock.release, log)
  } catch (thrown) {
    await lock.release()
    throw thrown instanceof FluxError ? thrown : unusable(folder, thrown)
  }
}

async function prepareFolder(folder: string): Promise<void> {
  let type: number
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const { uid } = await lstat(folder)
    if (process.getuid && uid !== process.getuid()) throw new Error(`it belongs to uid ${uid}`)
    type = (await statfs(folder)).type
  } catch (thrown) {
    throw unusable(folder, thrown)
  }
  if (networkTypes.has(type)) {
    throw new FluxError('STORE_UNUSABLE', {
      what: `the image store cannot be on a network file system: ${folder}`,
      why: 'What one process writes there another may not see, and locks do not hold.',
      next: 'Point --registry-cache-dir at a local volume, such as an emptyDir.',
    })
  }
}

interface Tables {
  root: RootDatabase
  repositories: Database<StoredRepository, string>
  tags: Database<StoredTag, [string, string]>
  facts: Database<ImageFacts, string>
}

async function openOrRebuild(folder: string, log: Log): Promise<Tables> {
  const opening = join(folder, 'opening')
  // a data file that was cut short ends the process that maps it: the next one finds this file, and begins anew
  const died = await stat(opening).then(
    () => true,
    () => false,
  )
  const rebuild = async (why: string) => {
    log.write({
      component: 'store',
      warning: 'the image store is made anew',
      why,
      folder,
      code: 'STORE_REBUILT',
    })
    for (const file of ['data.mdb', 'lock.mdb']) await rm(join(folder, file), { force: true })
    return openTables(folder)
  }
  await writeFile(opening, '')
  try {
    const tables = died
      ? await rebuild('The last process ended while it opened the store.')
      : await readTables(folder).catch((thrown) => rebuild(messageOf(thrown)))
    await rm(opening, { force: true })
    return tables
  } catch (thrown) {
    await rm(opening, { force: true })
    throw thrown
  }
}

function openTables(folder: string): Tables {
  const root = open({ path: folder, mapSize: mapBytes, maxDbs: 4, noSubdir: false, overlappingSync: false })
  const tables = {
    root,
    repositories: root.openDB<StoredRepository, string>({ name: 'repositories' }),
    tags: root.openDB<StoredTag, [string, string]>({ name: 'tags' }),
    facts: root.openDB<ImageFacts, string>({ name: 'facts' }),
  }
  root.putSync('form', form)
  return tables
}

/** Open what is there and read it through. */
async function readTables(folder: string): Promise<Tables> {
  const size = await stat(join(folder, 'data.mdb')).then(
    (file) => file.size,
    () => undefined,
  )
  if (size === undefined) return openTables(folder)
  if (size < 8192 || size % 4096 !== 0) throw new Error(`The data file has ${size} bytes.`)
  const root = open({ path: folder, mapSize: mapBytes, maxDbs: 4, noSubdir: false })
  try {
    const found = root.get('form')
    if (found !== form) throw new Error(`Its form is ${String(found)}, not ${form}.`)
  } finally {
    await root.close()
  }
  const tables = openTables(folder)
  try {
    for (const table of [tables.repositories, tables.tags, tables.facts]) {
      for (const { value } of table.getRange({ snapshot: false })) {
        if (typeof value !== 'object' || value === null) throw new Error('An entry cannot be read.')
      }
    }
    return tables
  } catch (thrown) {
    await tables.root.close()
    throw thrown
  }
}

function createStore(tables: Tables, release: () => Promise<void>, log: Log): ImageStore {
  const { root, repositories, tags, facts } = tables
  /** in place of the disk, once that can't be written any more */
  let memory: ImageStore | undefined

  const write = <T>(onDisk: () => T, inMemory: (store: ImageStore) => T): T => {
    if (memory) return inMemory(memory)
    try {
      return root.transactionSync(onDisk)
    } catch (thrown) {
      log.write({
        component: 'store',
        warning: 'the image store cannot be written: going on in memory',
        err: messageOf(thrown),
        code: 'STORE_UNUSABLE',
      })
      memory = createMemoryStore()
      return inMemory(memory)
    }
  }
  const rangeOf = (name: string) => ({
    start: [name, ''] as [string, string],
    end: [name, '\u{10ffff}'] as [string, string],
  })

  return {
    getRepository: (name) => (memory ? memory.getRepository(name) : repositories.get(name)),
    setRepository: (name, repository) =>
      write(
        () => void repositories.putSync(name, repository),
        (store) => store.setRepository(name, repository),
      ),
    *listTags(name) {
      if (memory) return yield* memory.listTags(name)
      for (const { key, value } of tags.getRange(rangeOf(name))) yield [key[1], value]
    },
    getTag: (name, tag) => (memory ? memory.getTag(name, tag) : tags.get([name, tag])),
    setTag: (name, tag, known) =>
      write(
        () => {
          if (!tags.doesExist([name, tag])) return false
          tags.putSync([name, tag], known)
          return true
        },
        (store) => store.setTag(name, tag, known),
      ),
    setListing: (name, listed, repository) =>
      write(
        () => {
          const gone = new Set(tags.getKeys(rangeOf(name)).map(([, tag]) => tag))
          let added = 0
          for (const tag of listed) {
            if (gone.delete(tag)) continue
            tags.putSync([name, tag], {})
            added += 1
          }
          for (const tag of gone) tags.removeSync([name, tag])
          repositories.putSync(name, repository)
          return added
        },
        (store) => store.setListing(name, listed, repository),
      ),
    getFacts: (digest) => (memory ? memory.getFacts(digest) : facts.get(digest)),
    setFacts: (digest, known) =>
      write(
        () => void facts.putSync(digest, known),
        (store) => store.setFacts(digest, known),
      ),
    async close() {
      await root.close()
      await release()
    },
  }
}

function unusable(folder: string, thrown: unknown): FluxError {
  return new FluxError('STORE_UNUSABLE', {
    what: `cannot use ${folder} for the image store`,
    why: `${messageOf(thrown)}.`,
    next: `Point --registry-cache-dir at a folder that uid ${process.getuid?.() ?? 0} may write; in a pod, an emptyDir with a matching fsGroup.`,
    cause: thrown,
  })
}
