import { formatTree, type RawTreeEntry, treeMode } from '../../core/git/object.ts'
import type { Revision } from '../../ports/git.ts'
import type { Trees } from './trees.ts'
import type { WriteObject } from './writer.ts'

/**
 * Notes on commits: a tree whose file names, folders' names put before, are hashes of commits. Git spreads many notes
 * over folders of two digits each, and reads any mixture; so do we.
 *
 * @see https://git-scm.com/docs/git-notes
 */

/** A level with more notes than this is spread over folders, so that one more note stays a small change. */
const spreadAbove = 256

/** Notes of each folder of a notes tree, by its place and hash: what the next listing need not read again. */
export type NoteFolders = ReadonlyMap<string, readonly (readonly [Revision, string])[]>

/**
 * Every note below a notes tree: commit → blob. What is no note is passed over.
 *
 * @param known folders of an earlier listing
 */
export async function listNoteBlobs(
  trees: Trees,
  notesTree: string,
  known: NoteFolders = new Map(),
): Promise<{ blobs: Map<Revision, string>; folders: NoteFolders }> {
  const folders = new Map<string, readonly (readonly [Revision, string])[]>()

  const listFolder = async (
    hash: string,
    prefix: string,
  ): Promise<readonly (readonly [Revision, string])[]> => {
    const key = `${prefix} ${hash}`
    const listed = known.get(key) ?? (await readFolder(hash, prefix))
    folders.set(key, listed)
    return listed
  }
  const readFolder = async (hash: string, prefix: string) => {
    const { entries } = await trees.read(hash)
    const found = await Promise.all(
      entries.map(async ({ mode, name, hash }): Promise<readonly (readonly [Revision, string])[]> => {
        if (!/^([0-9a-f]{2})+$/.test(name)) return []
        const digits = prefix + name
        if (mode === treeMode) {
          return name.length === 2 && digits.length < notesTree.length ? listFolder(hash, digits) : []
        }
        return digits.length === notesTree.length && mode !== '160000' ? [[digits, hash]] : []
      }),
    )
    return found.flat()
  }
  return { blobs: new Map(await readFolder(notesTree, '')), folders }
}

/** Add notes to a notes tree, or begin one. @returns the new tree; everything else in it stays */
export async function addNotes(
  trees: Trees,
  notesTree: string | undefined,
  notes: ReadonlyMap<Revision, string>,
  write: WriteObject,
): Promise<string> {
  const blobs = new Map<string, string>()
  for (const [revision, text] of notes) blobs.set(revision, await write('blob', Buffer.from(text)))
  return addBlobs(trees, notesTree, blobs, write)
}

type Entry = Pick<RawTreeEntry, 'mode' | 'name' | 'hash'>

/** @param blobs the digits that are left of a commit's hash → blob */
async function addBlobs(
  trees: Trees,
  tree: string | undefined,
  blobs: ReadonlyMap<string, string>,
  write: WriteObject,
): Promise<string> {
  const entries = new Map<string, Entry>()
  if (tree !== undefined) {
    for (const entry of (await trees.read(tree)).entries) entries.set(entry.name, entry)
  }
  const isNote = ({ mode, name }: Entry) => mode !== treeMode && name.length > 2 && /^[0-9a-f]+$/.test(name)
  const spread = [...entries.values()].filter(isNote).length + blobs.size > spreadAbove

  const below = new Map<string, Map<string, string>>()
  const putBelow = (digits: string, blob: string) => {
    const folder = digits.slice(0, 2)
    const rest = below.get(folder) ?? new Map<string, string>()
    below.set(folder, rest.set(digits.slice(2), blob))
  }
  if (spread) {
    for (const entry of [...entries.values()].filter(isNote)) {
      entries.delete(entry.name)
      putBelow(entry.name, entry.hash)
    }
  }
  for (const [digits, blob] of blobs) {
    const inFolder = digits.length > 2 && entries.get(digits.slice(0, 2))?.mode === treeMode
    if (digits.length > 2 && (spread || inFolder)) {
      entries.delete(digits)
      putBelow(digits, blob)
    } else {
      entries.set(digits, { mode: '100644', name: digits, hash: blob })
    }
  }
  for (const [folder, rest] of below) {
    const existing = entries.get(folder)
    const hash = await addBlobs(trees, existing?.mode === treeMode ? existing.hash : undefined, rest, write)
    entries.set(folder, { mode: treeMode, name: folder, hash })
  }
  return write('tree', formatTree(entries.values()))
}
