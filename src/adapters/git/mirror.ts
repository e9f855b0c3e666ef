import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FluxError, messageOf } from '../../core/errors.ts'
import { formatCommit, formatTag, type Identity, treeOfCommit } from '../../core/git/object.ts'
import { isFullHash, isRefName, notesRefName } from '../../core/git/ref-name.ts'
import { cleanMessage } from '../../core/git/text.ts'
import type { CommitSummary, GitMirror, Publication, Revision } from '../../ports/git.ts'
import { addNotes, listNoteBlobs, type NoteFolders } from './notes.ts'
import { createObjectReader, type ObjectReader } from './objects.ts'
import { createGitProgram, type GitCall } from './program.ts'
import { readRemote } from './remote.ts'
import { createTrees, missingObject, plainPath, type Trees } from './trees.ts'
import { createObjectWriter, type WriteObject } from './writer.ts'

/**
 * The mirror of the upstream: a bare repository in a folder of its own, kept up to date by the git program, read
 * through one long-lived child, written to in process.
 *
 * It holds branches, tags and notes. Refs of ours move when a push has succeeded, and by nothing else. Where a push
 * breaks off (`GIT_UNREACHABLE`, `GIT_TIMEOUT`, an abort) nobody knows whether it arrived: fetch, and look whether the
 * branch holds the revision.
 *
 * Follows `spec/flux-v1/sync.md` §1–3 for what users and upstreams observe, and `spec/decisions.md`, "Git".
 */

export interface GitMirrorOptions {
  /** a URL, `user@host:path` or a path; an HTTP URL may carry a user and password */
  url: string
  /** such as `flux` (`refs/notes/flux`); a full name stays as it is */
  notesRef: string
  /** for each operation; default 20 seconds */
  timeoutMs?: number
  /** where the mirror's folder is made; default the system's folder for temporary files */
  parentDirectory?: string
  /** the git program; default `git` */
  program?: string
  /** what git runs in place of `ssh`: a command line that understands OpenSSH's options */
  sshCommand?: string
  /** what git may speak; default `https`, `http`, `ssh` and `file` */
  protocols?: readonly string[]
  /** variables from which the known few are passed on to git; default our own environment */
  environment?: Readonly<Record<string, string | undefined>>
  /** files and folders of one revision; default 100,000 */
  maxFiles?: number
  /** dates of commits and tags */
  now?: () => Date
}

/** What is set up when the upstream has been cloned. */
interface Repository {
  directory: string
  objects: ObjectReader
  trees: Trees
  write: WriteObject
  /** of the notes tree read last */
  notes: { tree: string; blobs: Map<Revision, string>; folders: NoteFolders } | undefined
}

const refspecs = ['heads', 'tags', 'notes'].map((kind) => `+refs/${kind}/*:refs/${kind}/*`)
/** With these, git moves the mirror's own refs when a push of ours has succeeded. */
const tracking = refspecs.map((refspec) => ['remote.origin.fetch', refspec] as const)

const maxCommitBytes = 1024 * 1024
const maxNoteBytes = 16 * 1024 * 1024
const maxBlobBytes = 4 * 1024 * 1024
const maxLogBytes = 256 * 1024 * 1024
/** Fetches between two looks at whether the mirror wants repacking. */
const fetchesBetweenTidying = 100
const tidyTimeoutMs = 10 * 60_000
const notesAttempts = 3

/**
 * A mirror of one upstream. Nothing is read or started before the first `fetch`.
 *
 * @throws FluxError `GIT_URL_INVALID` | `GIT_REF_INVALID`
 */
export function createGitMirror(options: GitMirrorOptions): GitMirror {
  const { parentDirectory = tmpdir(), now = () => new Date() } = options
  const remote = readRemote(options.url)
  const notesRef = refUnder('refs/notes/', notesRefName(options.notesRef).slice('refs/notes/'.length))
  const closing = new AbortController()
  const git = createGitProgram({
    program: options.program ?? 'git',
    remote,
    timeoutMs: options.timeoutMs ?? 20_000,
    sshCommand: options.sshCommand,
    protocols: options.protocols ?? ['https', 'http', 'ssh', 'file'],
    environment: options.environment ?? process.env,
    closed: closing.signal,
  })

  let current: Repository | undefined
  /** a fetch failed in a way that may be the mirror's own fault: the next one clones anew */
  let doubtful = false
  let atomic = true
  let fetches = 0
  let tidying: Promise<void> | undefined

  const repository = (): Repository => {
    closing.signal.throwIfAborted()
    if (!current) throw new FluxError('GIT_NOT_READY', { what: 'git repo has not been cloned yet' })
    return current
  }

  // one operation with the upstream at a time
  let line: Promise<unknown> = Promise.resolve()
  const inLine = <T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> => {
    const mine = line.then(() => {
      closing.signal.throwIfAborted()
      signal?.throwIfAborted()
      return work()
    })
    line = mine.catch(() => {})
    return mine
  }

  const run = (args: readonly string[], call: Omit<GitCall, 'directory'>) =>
    git.run(args, { ...call, directory: repository().directory })

  // ---- clone, fetch

  const discard = async ({ directory, objects }: Repository) => {
    await objects.close()
    await rm(directory, { recursive: true, force: true })
  }

  const clone = async (signal: AbortSignal | undefined): Promise<Repository> => {
    const directory = await mkdtemp(join(parentDirectory, 'flux-gitclone')).catch((error: unknown) => {
      throw new FluxError('GIT_FAILED', {
        what: `git clone --mirror: ${messageOf(error)}`,
        next: 'fluxd needs a writable folder for temporary files (TMPDIR).',
        cause: error,
      })
    })
    try {
      await git.run(['clone', '--bare', '--no-local', '--', remote.address, directory], {
        doing: 'git clone --mirror',
        access: 'read',
        config: [['remote.origin.fetch', '+refs/notes/*:refs/notes/*']],
        signal,
      })
      const { stdout } = await git.run(['rev-parse', '--show-object-format'], { access: 'local', directory })
      const objects = createObjectReader(() =>
        git.start(['cat-file', '--batch-command', '--buffer'], directory),
      )
      return {
        directory,
        objects,
        trees: createTrees(objects, { maxFiles: options.maxFiles ?? 100_000 }),
        write: createObjectWriter(directory, stdout.toString().trim() === 'sha256' ? 'sha256' : 'sha1'),
        notes: undefined,
      }
    } catch (error) {
      await rm(directory, { recursive: true, force: true })
      throw error
    }
  }

  const isThere = async ({ directory }: Repository) =>
    stat(join(directory, 'HEAD')).then(
      () => true,
      () => false,
    )

  const fetch = async (signal: AbortSignal | undefined): Promise<void> => {
    if (!current || doubtful || !(await isThere(current))) {
      const fresh = await clone(signal)
      const old = current
      current = fresh
      doubtful = false
      if (old) await discard(old)
      return
    }
    try {
      await run(['fetch', '--prune', '--no-recurse-submodules', '--quiet', 'origin', ...refspecs], {
        doing: 'git fetch --tags origin []',
        access: 'read',
        signal,
      })
    } catch (error) {
      doubtful = error instanceof FluxError && error.code === 'GIT_FAILED'
      throw error
    }
    fetches++
    if (fetches % fetchesBetweenTidying === 0) tidying = tidy()
  }

  /** Repack where there is much to gain. Unpublished objects are too young to go. */
  const tidy = (): Promise<void> =>
    run(['gc', '--auto', '--quiet'], {
      access: 'local',
      config: [['gc.auto', '2000']],
      timeoutMs: tidyTimeoutMs,
    }).then(
      () => {},
      () => {}, // the mirror stays as it is, and is asked again later
    )

  // ---- read

  const commitNamed = async (name: string): Promise<Revision | undefined> =>
    (await repository().objects.info(`${name}^{commit}`))?.hash

  const headUnder = async (folder: RefFolder, name: string) =>
    isRefName(name) ? commitNamed(`${folder}${name}`) : undefined

  const treeOf = async (revision: Revision): Promise<string> => {
    const { objects } = repository()
    const info = isFullHash(revision) ? await objects.info(revision) : undefined
    if (info?.type !== 'commit' || info.sizeBytes > maxCommitBytes) throw missingObject('commit', revision)
    const bytes = await objects.read(revision)
    const tree = bytes && treeOfCommit(bytes)
    if (!tree) throw missingObject('commit', revision)
    return tree
  }

  const readBlob = async (hash: string, maxBytes: number): Promise<Buffer> => {
    const { objects } = repository()
    const info = isFullHash(hash) ? await objects.info(hash) : undefined
    if (info?.type !== 'blob') throw missingObject('blob', hash)
    if (info.sizeBytes > maxBytes) {
      throw new FluxError('MANIFEST_TOO_LARGE', {
        what: `a file of ${info.sizeBytes} bytes is larger than the limit of ${maxBytes} bytes`,
        next: 'Split the file, or keep it outside the paths that fluxd reads.',
      })
    }
    const bytes = await objects.read(hash)
    if (!bytes) throw missingObject('blob', hash)
    return bytes
  }

  const noteBlobs = async (): Promise<Map<Revision, string>> => {
    const at = repository()
    const tree = (await at.objects.info(`${notesRef}^{tree}`))?.hash
    if (!tree) return new Map()
    if (at.notes?.tree !== tree) {
      at.notes = { tree, ...(await listNoteBlobs(at.trees, tree, at.notes?.folders)) }
    }
    return at.notes.blobs
  }

  // ---- publish

  const push = (doing: string, args: readonly string[], signal: AbortSignal | undefined): Promise<unknown> =>
    run(['push', '--no-verify', '--no-recurse-submodules', ...args], {
      doing,
      access: 'write',
      config: tracking,
      signal,
    })

  /** Write a commit on the notes ref. @returns the ref's tip before and after */
  const commitNotes = async (publication: Publication): Promise<{ tip: string; commit: string }> => {
    const { objects, trees, write } = repository()
    const tip = await commitNamed(notesRef)
    const oldTree = tip && (await objects.info(`${tip}^{tree}`))?.hash
    const tree = await addNotes(trees, oldTree, publication.notes, write)
    const commit = await write(
      'commit',
      formatCommit({
        tree,
        parents: tip ? [tip] : [],
        author: publication.committer,
        committer: publication.committer,
        at: now(),
        message: "Notes added by 'git notes add'\n",
      }),
    )
    return { tip: tip ?? '', commit }
  }

  const pushNotesAlone = async (publication: Publication, doing: string, signal: AbortSignal | undefined) => {
    for (let attempt = 1; ; attempt++) {
      const { tip, commit } = await commitNotes(publication)
      try {
        await push(
          doing,
          [`--force-with-lease=${notesRef}:${tip}`, 'origin', `${commit}:${notesRef}`],
          signal,
        )
        return
      } catch (error) {
        if (!isCode(error, 'GIT_PUSH_RACE') || attempt === notesAttempts) throw error
      }
      await fetch(signal)
    }
  }

  const publish = async (publication: Publication, signal: AbortSignal | undefined) => {
    const { branch, expected, revision, notes } = publication
    const ref = refUnder('refs/heads/', branch)
    for (const hash of [expected, revision, ...notes.keys()]) {
      if (!isFullHash(hash)) throw missingObject('commit', hash)
    }
    if (!(await repository().objects.info(revision))) {
      throw new FluxError('GIT_PUSH_RACE', {
        what: `git push ${remote.address}: commit ${revision} is not in the mirror`,
        why: 'The mirror was cloned anew after the commit was made.',
        next: 'It is safe to try again.',
      })
    }
    const branchPush = [`--force-with-lease=${ref}:${expected}`, 'origin', `${revision}:${ref}`]
    const doing = `git push ${remote.address} [${notes.size > 0 ? `${branch} ${notesRef}` : branch}]`
    if (notes.size === 0) {
      await push(doing, branchPush, signal)
      return { notesPublished: true }
    }
    if (atomic) {
      const { tip, commit } = await commitNotes(publication)
      const lease = `--force-with-lease=${notesRef}:${tip}`
      try {
        await push(doing, ['--atomic', lease, ...branchPush, `${commit}:${notesRef}`], signal)
        return { notesPublished: true }
      } catch (error) {
        if (!(error instanceof FluxError && /does not support --atomic/.test(error.what))) throw error
        atomic = false
      }
    }
    await push(doing, branchPush, signal)
    return pushNotesAlone(publication, doing, signal).then(
      () => ({ notesPublished: true }),
      () => ({ notesPublished: false }), // the branch has moved: the commit is made, whatever became of its note
    )
  }

  const checkWritable = async (branch: string, signal: AbortSignal | undefined) => {
    const head = await headUnder('refs/heads/', branch)
    if (!head)
      throw new FluxError('GIT_BRANCH_MISSING', { what: `configured branch '${branch}' does not exist` })
    const tag = `refs/tags/flux-write-check-${randomBytes(5).toString('hex')}`
    await asNotWritable(push('attempt to push tag', ['origin', `${head}:${tag}`], signal))
    await asNotWritable(push('attempt to push tag', ['origin', `:${tag}`], undefined)) // also when aborted by now
  }

  const moveTag = async (
    tag: string,
    revision: Revision,
    { message, tagger }: { message: string; tagger: Identity },
    signal: AbortSignal | undefined,
  ) => {
    const ref = refUnder('refs/tags/', tag)
    if (!isFullHash(revision)) throw missingObject('commit', revision)
    const object = await repository().write(
      'tag',
      formatTag({ commit: revision, name: tag, tagger, at: now(), message: cleanMessage(message) }),
    )
    await push('pushing tag to origin', ['--force', 'origin', `${object}:${ref}`], signal)
  }

  return {
    safeUrl: remote.safeUrl,

    fetch: (signal) => inLine(() => fetch(signal), signal),
    checkWritable: (branch, signal) => inLine(() => checkWritable(branch, signal), signal),
    publish: (publication, signal) => inLine(() => publish(publication, signal), signal),
    moveTag: (tag, revision, about, signal) => inLine(() => moveTag(tag, revision, about, signal), signal),

    resolve: async (ref) => (isRefName(ref) ? commitNamed(ref) : undefined),
    branchHead: (branch) => headUnder('refs/heads/', branch),
    readTag: (tag) => headUnder('refs/tags/', tag),

    async branches() {
      const { directory } = repository()
      const { stdout } = await run(['for-each-ref', '--format=%(refname:lstrip=2)', 'refs/heads'], {
        access: 'local',
      })
      const names = stdout.toString().split('\n').filter(Boolean)
      const head = /^ref: refs\/heads\/(.+)\n/.exec(await readFile(join(directory, 'HEAD'), 'utf8'))?.[1]
      return { default: head !== undefined && names.includes(head) ? head : undefined, names }
    },

    listFiles: async (revision, paths = []) => repository().trees.listFiles(await treeOf(revision), paths),
    readBlob: (hash, maxBytes = maxBlobBytes) => readBlob(hash, maxBytes),

    async log({ from, to, paths = [] }) {
      for (const revision of from === undefined ? [to] : [from, to]) await treeOf(revision)
      const wanted = paths.map(plainPath)
      const limits = wanted.includes('') ? [] : wanted
      const { stdout } = await run(
        [
          'rev-list',
          '--no-commit-header',
          '--format=%H %s',
          to,
          ...(from ? [`^${from}`] : []),
          '--',
          ...limits,
        ],
        { access: 'local', maxOutputBytes: maxLogBytes },
      )
      return readLog(stdout.toString())
    },

    async findCommits({ from, to, text }) {
      for (const revision of from === undefined ? [to] : [from, to]) await treeOf(revision)
      const range = [to, ...(from === undefined ? [] : [`^${from}`])]
      const { stdout } = await run(
        [
          'rev-list',
          '--no-commit-header',
          '--fixed-strings',
          `--grep=${text}`,
          '--format=%H%n%B%x00',
          ...range,
        ],
        { access: 'local', maxOutputBytes: maxLogBytes },
      )
      return readMessages(stdout.toString())
    },

    async isAncestor(ancestor, revision) {
      if (ancestor === revision) return true
      const { objects } = repository()
      for (const hash of [ancestor, revision]) {
        if (!isFullHash(hash) || (await objects.info(hash))?.type !== 'commit') return false
      }
      const args = ['merge-base', '--is-ancestor', ancestor, revision]
      const { exitCode } = await run(args, { access: 'local', answers: [1] })
      return exitCode === 0
    },

    listNotes: async () => new Set((await noteBlobs()).keys()),
    async readNote(revision) {
      const blob = (await noteBlobs()).get(revision)
      return blob === undefined ? undefined : (await readBlob(blob, maxNoteBytes)).toString('utf8')
    },

    async commit({ parent, changes, message, author, committer }) {
      const { trees, write } = repository()
      const tree = await treeOf(parent)
      const blobs = new Map(
        await Promise.all(
          Array.from(changes, async ([path, content]) => [path, await write('blob', content)] as const),
        ),
      )
      return write(
        'commit',
        formatCommit({
          tree: blobs.size === 0 ? tree : await trees.replace(tree, blobs, write),
          parents: [parent],
          author: author ?? committer,
          committer,
          at: now(),
          message: cleanMessage(message),
        }),
      )
    },

    async close() {
      if (!closing.signal.aborted) {
        closing.abort(new FluxError('GIT_NOT_READY', { what: 'the mirror of the git repo is closed' }))
      }
      await line
      await tidying
      const open = current
      current = undefined
      if (open) await discard(open)
    },
  }
}

type RefFolder = 'refs/heads/' | 'refs/tags/' | 'refs/notes/'

/** The full name of a ref. @throws FluxError `GIT_REF_INVALID` */
function refUnder(folder: RefFolder, name: string): string {
  if (isRefName(name)) return `${folder}${name}`
  throw new FluxError('GIT_REF_INVALID', {
    what: `${JSON.stringify(name)} is not a valid name of a branch, tag or notes ref`,
    next: 'Check --git-branch, --git-sync-tag, --git-notes-ref and --git-label.',
  })
}

function readLog(text: string): CommitSummary[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const space = line.indexOf(' ')
      return { revision: line.slice(0, space), subject: line.slice(space + 1) }
    })
}

/** `hash LF message NUL LF`, again and again. */
function readMessages(text: string): { revision: Revision; message: string }[] {
  return text
    .split('\0')
    .map((entry) => entry.trimStart())
    .filter(Boolean)
    .map((entry) => {
      const end = entry.indexOf('\n')
      return { revision: entry.slice(0, end), message: entry.slice(end + 1) }
    })
}

function isCode(error: unknown, code: FluxError['code']): boolean {
  return error instanceof FluxError && error.code === code
}

/** Every way of refusing the tag of a write check means that we may not write. */
async function asNotWritable(pushed: Promise<unknown>): Promise<void> {
  try {
    await pushed
  } catch (error) {
    if (error instanceof FluxError && error.code === 'GIT_PUSH_REJECTED') {
      const { what, why, next } = error
      throw new FluxError('GIT_NOT_WRITABLE', {
        what,
        ...(why === undefined ? {} : { why }),
        ...(next === undefined ? {} : { next }),
        cause: error,
      })
    }
    throw error
  }
}
