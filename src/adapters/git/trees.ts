import { FluxError } from '../../core/errors.ts'
import { parseTree, type RawTreeEntry, treeMode } from '../../core/git/object.ts'
import type { TreeEntry } from '../../ports/git.ts'
import type { ObjectReader } from './objects.ts'
import type { WriteObject } from './writer.ts'

/**
 * Trees of a repository: listed with a cache by hash, so that a new revision costs what changed; and rewritten, where
 * only the trees on the way to a changed file become new ones.
 */

export interface Trees {
  /** Every file below the paths (below the root without paths), in tree order. @throws FluxError `GIT_TREE_TOO_LARGE` | `GIT_OBJECT_MISSING` */
  listFiles(rootTree: string, paths: readonly string[]): Promise<TreeEntry[]>
  /** Replace the content of files: path → new blob. @throws FluxError `GIT_PATH_MISSING` @returns the new root tree */
  replace(rootTree: string, blobs: ReadonlyMap<string, string>, write: WriteObject): Promise<string>
  /** The bytes of one tree and its entries. @throws FluxError `GIT_OBJECT_MISSING` */
  read(hash: string): Promise<Tree>
}

export interface Tree {
  bytes: Uint8Array
  entries: RawTreeEntry[]
}

export interface TreeLimits {
  /** files and folders of one revision */
  maxFiles: number
}

/** One tree may have this many bytes: some 300,000 entries. */
const maxTreeBytes = 16 * 1024 * 1024
/** Entries that the cache keeps, over all trees. */
const cachedEntries = 200_000

/** An entry as the cache keeps it; blobs know their size. */
interface SizedEntry {
  mode: string
  name: string
  hash: string
  sizeBytes: number
}

export function createTrees(objects: ObjectReader, { maxFiles }: TreeLimits): Trees {
  const cache = createCache()

  const read = async (hash: string): Promise<Tree> => {
    const info = await objects.info(hash)
    if (info?.type !== 'tree') throw missingObject('tree', hash)
    if (info.sizeBytes > maxTreeBytes) throw tooLarge(maxFiles)
    const bytes = await objects.read(hash)
    const entries = bytes && parseTree(bytes, hash.length / 2)
    if (!entries) throw missingObject('tree', hash)
    return { bytes, entries }
  }

  const readSized = async (hash: string): Promise<readonly SizedEntry[]> => {
    const known = cache.get(hash)
    if (known) return known
    const { entries } = await read(hash)
    const sized = await Promise.all(
      entries.map(async ({ mode, name, hash: object }) => {
        const size = isBlob(mode) ? await objects.info(object) : undefined
        return { mode, name, hash: object, sizeBytes: size?.sizeBytes ?? 0 }
      }),
    )
    cache.set(hash, sized)
    return sized
  }

  const listFiles = async (rootTree: string, paths: readonly string[]): Promise<TreeEntry[]> => {
    const wanted = paths.map(plainPath)
    const everything = wanted.length === 0 || wanted.includes('')
    let count = 0
    let overflow: FluxError | undefined

    const walk = async (tree: string, prefix: string, within: boolean): Promise<TreeEntry[]> => {
      const entries = await readSized(tree)
      count += entries.length
      if (count > maxFiles) {
        overflow ??= tooLarge(maxFiles)
        throw overflow
      }
      const found: (TreeEntry | Promise<TreeEntry[]>)[] = []
      for (const { mode, name, hash, sizeBytes } of entries) {
        const path = prefix + name
        const inside = within || wanted.includes(path)
        if (mode !== treeMode) {
          if (inside) found.push({ path, mode, hash, sizeBytes })
        } else if (inside || wanted.some((other) => other.startsWith(`${path}/`))) {
          found.push(walk(hash, `${path}/`, inside))
        }
      }
      return found.some((entry) => entry instanceof Promise)
        ? (await Promise.all(found)).flat()
        : (found as TreeEntry[])
    }
    return walk(rootTree, '', everything)
  }

  const replace = async (
    tree: string,
    blobs: ReadonlyMap<string, string>,
    write: WriteObject,
    prefix = '',
  ): Promise<string> => {
    const { bytes, entries } = await read(tree)
    const next = Buffer.from(bytes)
    const below = new Map<string, Map<string, string>>()
    const put = (entry: RawTreeEntry, hash: string) => next.write(hash, entry.hashOffset, 'hex')

    for (const [path, blob] of blobs) {
      const slash = path.indexOf('/')
      if (slash < 0) {
        put(
          theOne(entries, path, (mode) => mode.startsWith('100'), `${prefix}${path}`),
          blob,
        )
      } else {
        const folder = path.slice(0, slash)
        const rest = below.get(folder) ?? new Map<string, string>()
        below.set(folder, rest.set(path.slice(slash + 1), blob))
      }
    }
    await Promise.all(
      Array.from(below, async ([folder, rest]) => {
        const entry = theOne(entries, folder, (mode) => mode === treeMode, `${prefix}${folder}`)
        put(entry, await replace(entry.hash, rest, write, `${prefix}${folder}/`))
      }),
    )
    return write('tree', next)
  }

  return { listFiles, read, replace: (rootTree, blobs, write) => replace(rootTree, blobs, write) }
}

/** The one entry of that name and kind; a tree with two of them is nothing that we would edit. */
function theOne(
  entries: readonly RawTreeEntry[],
  name: string,
  isKind: (mode: string) => boolean,
  path: string,
): RawTreeEntry {
  const found = entries.filter((entry) => entry.name === name)
  const [entry] = found
  if (!entry || found.length > 1 || !isKind(entry.mode)) {
    throw new FluxError('GIT_PATH_MISSING', { what: `${path}: no such file in the repository` })
  }
  return entry
}

/** `./deploy/` is `deploy`, `.` is the root. */
export function plainPath(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')
}

export function missingObject(type: string, hash: string): FluxError {
  return new FluxError('GIT_OBJECT_MISSING', {
    what: `${type} ${hash} is not in the repository`,
    next: 'It may be newer than the last fetch, or have been removed upstream; try again after a fetch.',
  })
}

function isBlob(mode: string): boolean {
  return mode !== treeMode && mode !== '160000'
}

function tooLarge(maxFiles: number): FluxError {
  return new FluxError('GIT_TREE_TOO_LARGE', {
    what: `the revision has more than ${maxFiles} files and folders`,
    next: 'Keep manifests in a repository of their own, or raise the limit.',
  })
}

/** The trees used last, bounded by the entries that they hold. */
function createCache() {
  const trees = new Map<string, readonly SizedEntry[]>()
  let held = 0
  return {
    get(hash: string): readonly SizedEntry[] | undefined {
      const entries = trees.get(hash)
      if (entries) {
        trees.delete(hash)
        trees.set(hash, entries)
      }
      return entries
    },
    set(hash: string, entries: readonly SizedEntry[]): void {
      if (trees.has(hash)) return
      trees.set(hash, entries)
      held += entries.length + 1
      for (const [oldest, { length }] of trees) {
        if (held <= cachedEntries) break
        trees.delete(oldest)
        held -= length + 1
      }
    },
  }
}
