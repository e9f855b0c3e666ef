import { cleanIdentityText } from './text.ts'

/**
 * Git's objects as bytes: trees taken apart and put together, commits and tags written.
 *
 * Follows the object formats of Git. Hashes are lower-case hex outside and raw bytes inside a tree; their length (20
 * or 32 bytes) tells SHA-1 from SHA-256.
 *
 * @see https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
 */

/** Who wrote a commit or a tag. */
export interface Identity {
  name: string
  email: string
}

export interface RawTreeEntry {
  /** without leading zeros, as stored: `40000` (tree), `100644`, `100755`, `120000`, `160000` */
  mode: string
  /** read as UTF-8; bytes that are none become U+FFFD */
  name: string
  hash: string
  /** where the raw hash begins in the tree's bytes */
  hashOffset: number
}

export const treeMode = '40000'

const encoder = new TextEncoder()

/** Take a tree apart. @returns `undefined` where the bytes are no tree */
export function parseTree(bytes: Uint8Array, hashBytes: number): RawTreeEntry[] | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const entries: RawTreeEntry[] = []
  let at = 0
  while (at < buffer.length) {
    const space = buffer.indexOf(0x20, at)
    const nul = space < 0 ? -1 : buffer.indexOf(0, space + 1)
    const end = nul + 1 + hashBytes
    if (nul < 0 || end > buffer.length) return undefined
    entries.push({
      mode: buffer.toString('latin1', at, space).replace(/^0+/, ''),
      name: buffer.toString('utf8', space + 1, nul),
      hash: buffer.toString('hex', nul + 1, end),
      hashOffset: nul + 1,
    })
    at = end
  }
  return entries
}

/** Put a tree together, in the order Git wants: by name, as if the name of a tree ended in `/`. */
export function formatTree(entries: Iterable<Pick<RawTreeEntry, 'mode' | 'name' | 'hash'>>): Uint8Array {
  const sorted = [...entries]
    .map((entry) => ({
      entry,
      key: Buffer.from(entry.mode === treeMode ? `${entry.name}/` : entry.name),
    }))
    .sort((a, b) => Buffer.compare(a.key, b.key))
  return Buffer.concat(
    sorted.flatMap(({ entry }) => [
      encoder.encode(`${entry.mode} ${entry.name}\0`),
      Buffer.from(entry.hash, 'hex'),
    ]),
  )
}

export interface CommitContent {
  tree: string
  parents: readonly string[]
  author: Identity
  committer: Identity
  at: Date
  /** ends in a newline; see `cleanMessage` */
  message: string
}

export function formatCommit({ tree, parents, author, committer, at, message }: CommitContent): Uint8Array {
  return encoder.encode(
    [
      `tree ${tree}`,
      ...parents.map((parent) => `parent ${parent}`),
      `author ${formatIdentity(author, at)}`,
      `committer ${formatIdentity(committer, at)}`,
      '',
      message,
    ].join('\n'),
  )
}

export interface TagContent {
  commit: string
  name: string
  tagger: Identity
  at: Date
  message: string
}

export function formatTag({ commit, name, tagger, at, message }: TagContent): Uint8Array {
  return encoder.encode(
    `object ${commit}\ntype commit\ntag ${name}\ntagger ${formatIdentity(tagger, at)}\n\n${message}`,
  )
}

/** The tree that a commit's bytes name. */
export function treeOfCommit(bytes: Uint8Array): string | undefined {
  return /^tree ([0-9a-f]+)\n/.exec(Buffer.from(bytes.subarray(0, 80)).toString('latin1'))?.[1]
}

/** `Name <mail> seconds +0000`; a name that has nothing left becomes `unknown`. */
function formatIdentity({ name, email }: Identity, at: Date): string {
  const seconds = Math.max(0, Math.floor(at.getTime() / 1000))
  return `${cleanIdentityText(name) || 'unknown'} <${cleanIdentityText(email)}> ${seconds} +0000`
}
