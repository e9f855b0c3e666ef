import {
  type FileHandle,
  lstat,
  mkdir,
  open as openFile,
  readFile,
  rm,
  statfs,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { type Database, open, type RootDatabase } from 'lmdb'
import { FluxError, messageOf } from '../../core/errors.ts'
import type { ImageStore, StoredRepository, StoredTag, TagListener } from '../../ports/image-store.ts'
import type { Log } from '../../ports/log.ts'
import type { ImageFacts } from '../../ports/registry.ts'
import { fallBackToMemory } from './fallback.ts'
import { takeLock } from './lock.ts'

/**
 * The image store in LMDB: a folder with one data file, written in transactions, so that a kill leaves the last whole
 * state. It can always be made anew from the registries, and is, where it can't be read.
 *
 * Writes are left to the system to flush: a kill loses nothing, and a machine that loses power at worst a cache.
 *
 * One process holds it. Network file systems are refused: neither memory maps nor locks hold there.
 */

export interface ImageStoreOptions {
  /** made where it isn't there; nothing else may stand in it */
  folder: string
  log: Log
  /** what file system a folder is on, as `statfs` has it */
  typeOf?: (folder: string) => Promise<number>
}

/** of LMDB's data files, as `lmdb` writes them */
const magic = 0xbeefc0de
const pageBytes = 4096

const maxKeptNames = 200_000

/** Stores of another form are made anew. */
const form = 1

/** `statfs` types on which a memory map is not one memory for all: NFS, SMB and CIFS, Ceph, AFS, 9P, FUSE, Lustre. */
const networkTypes = new Set([
  0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x00c36400, 0x5346414f, 0x01021997, 0x65735546, 0x0bd00bd0,
])

/**
 * Open the store, or make it.
 *
 * @throws FluxError `STORE_LOCKED` | `STORE_UNUSABLE`
 */
export async function openImageStore({
  folder,
  log,
  typeOf = async (path) => (await statfs(path)).type,
}: ImageStoreOptions): Promise<ImageStore> {
  await prepareFolder(folder, typeOf)
  try {
    const lock = await takeLock(join(folder, 'holder'))
    try {
      return fallBackToMemory(createStore(await openOrRebuild(folder, log), lock.release), log)
    } catch (thrown) {
      await lock.release()
      throw thrown
    }
  } catch (thrown) {
    throw thrown instanceof FluxError ? thrown : unusable(folder, thrown)
  }
}

async function prepareFolder(folder: string, typeOf: (folder: string) => Promise<number>): Promise<void> {
  let type: number
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const { uid } = await lstat(folder)
    if (process.getuid && uid !== process.getuid()) throw new Error(`it belongs to uid ${uid}`)
    type = await typeOf(folder)
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
  // a data file that was cut short ends the process that maps it, and the next one, which finds this file; the third
  // begins anew. One that ended may have been killed
  const died = await readFile(opening, 'utf8').catch(() => undefined)
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
  await writeFile(opening, died === undefined ? 'once' : 'twice')
  try {
    const tables =
      died === 'twice'
        ? await rebuild('Two processes in a row ended while they opened the store.')
        : await readTables(folder).catch((thrown) => rebuild(messageOf(thrown)))
    await rm(opening, { force: true })
    return tables
  } catch (thrown) {
    await rm(opening, { force: true })
    throw thrown
  }
}

function openTables(folder: string): Tables {
  const root = open({
    path: folder,
    pageSize: pageBytes,

    maxDbs: 4,
    noSubdir: false,
    overlappingSync: false,
    noSync: true,
  })
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
  const file = await openFile(join(folder, 'data.mdb'), 'r').catch(() => undefined)
  if (!file) return openTables(folder)
  try {
    await checkWhole(file)
  } finally {
    await file.close()
  }
  const root = open({ path: folder, pageSize: pageBytes, maxDbs: 4, noSubdir: false })
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

/**
 * Whether the file has all the pages that it says it has: to map fewer ends the process. Two pages at its start take
 * turns at saying so; the one with the later transaction counts.
 */
async function checkWhole(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  const { buffer } = await file.read(Buffer.alloc(pageBytes * 2), 0, pageBytes * 2, 0)
  const states = [0, pageBytes].map((at) => ({
    isOurs: buffer.readUInt32LE(at + 24) === magic && buffer.readUInt32LE(at + 48) === pageBytes,
    lastPage: buffer.readBigUInt64LE(at + 144),
    transaction: buffer.readBigUInt64LE(at + 152),
  }))
  if (states.some(({ isOurs }) => !isOurs)) throw new Error('It is no database of ours')
  const [last] = states.toSorted((a, b) => Number(b.transaction - a.transaction))
  if (BigInt(size) < ((last?.lastPage ?? 0n) + 1n) * BigInt(pageBytes)) throw new Error('It was cut short')
}

function createStore({ root, repositories, tags, facts }: Tables, release: () => Promise<void>): ImageStore {
  const rangeOf = (name: string): { start: [string, string]; end: [string, string] } => ({
    start: [name, ''],
    end: [name, '\u{10ffff}'],
  })
  const listeners: TagListener[] = []
  const tell: TagListener = (name, tag) => {
    for (const listener of listeners) listener(name, tag)
  }
  /** names of tags by repository, those of the last listings; all are forgotten when there are too many */
  const names = new Map<string, readonly string[]>()
  let keptNames = 0
  const tagNames = (name: string): readonly string[] => {
    const known = names.get(name)
    if (known) return known
    const read = [...tags.getKeys(rangeOf(name)).map(([, tag]) => tag)]
    keptNames += read.length
    if (keptNames > maxKeptNames) names.clear()
    if (names.size === 0) keptNames = read.length
    names.set(name, read)
    return read
  }
  const forgetNames = (name: string) => {
    keptNames -= names.get(name)?.length ?? 0
    names.delete(name)
  }

  return {
    getRepository: (name) => repositories.get(name),
    setRepository: (name, repository) =>
      root.transactionSync(() => void repositories.putSync(name, repository)),
    *listTags(name) {
      for (const { key, value } of tags.getRange(rangeOf(name))) yield [key[1], value]
    },
    tagNames,
    onTagChange: (listener) => void listeners.push(listener),
    getTag: (name, tag) => tags.get([name, tag]),
    setTag(name, tag, known) {
      const isListed = root.transactionSync(() => {
        if (!tags.doesExist([name, tag])) return false
        tags.putSync([name, tag], known)
        return true
      })
      if (isListed) tell(name, tag)
      return isListed
    },
    setListing(name, listed, repository) {
      const gone = new Set(tagNames(name))
      const added: string[] = []
      for (const tag of listed) if (!gone.delete(tag)) added.push(tag)
      root.transactionSync(() => {
        for (const tag of added) tags.putSync([name, tag], {})
        for (const tag of gone) tags.removeSync([name, tag])
        repositories.putSync(name, repository)
      })
      if (added.length + gone.size > 0) forgetNames(name)
      for (const tag of [...added, ...gone]) tell(name, tag)
      return added.length
    },
    getFacts: (digest) => facts.get(digest),
    setFacts: (digest, known) => root.transactionSync(() => void facts.putSync(digest, known)),
    problem: () => undefined,
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
