import type { Identity } from '../core/git/object.ts'

export type { Identity }

/**
 * What we ask of Git: one mirror of one upstream repository, read without checking anything out, and written by
 * building objects and publishing them with one push.
 *
 * Revisions are full hashes of commits. Paths are relative to the repository root, with `/`.
 */

/** The full hash of a commit. */
export type Revision = string

export interface TreeEntry {
  path: string
  /** `100644`, `100755`, `120000` (symbolic link), `160000` (submodule) */
  mode: string
  /** hash of the blob (of the commit, for a submodule) */
  hash: string
  sizeBytes: number
}

export interface CommitSummary {
  revision: Revision
  /** first line of the message */
  subject: string
}

export interface CommitRequest {
  parent: Revision
  /** path → new text of the file; its mode stays. Only files that exist in `parent` */
  changes: ReadonlyMap<string, Uint8Array>
  message: string
  /** defaults to the committer */
  author?: Identity
  committer: Identity
}

/** One commit to publish, and what Flux says about it. */
export interface Publication {
  branch: string
  /** the revision the branch must still have upstream: the lease */
  expected: Revision
  revision: Revision
  /** notes for commits between `expected` and `revision`: commit → text of the note */
  notes: ReadonlyMap<Revision, string>
  /** who commits the notes */
  committer: Identity
}

export interface GitMirror {
  /** the URL without its password; see `safeUrl` */
  readonly safeUrl: string

  /**
   * Bring the mirror up to date: clone it where it is missing, fetch where it is there. Refs deleted upstream go.
   *
   * @throws FluxError `GIT_UNREACHABLE` | `GIT_CLONE_DENIED` | `GIT_REPOSITORY_MISSING` | `GIT_TIMEOUT` | `GIT_FAILED`
   */
  fetch(signal?: AbortSignal): Promise<void>

  /**
   * Prove that we may push, by pushing and deleting a tag `flux-write-check-<10 hex digits>`.
   *
   * @throws FluxError `GIT_BRANCH_MISSING` | `GIT_NOT_WRITABLE` | `GIT_UNREACHABLE` | `GIT_TIMEOUT`
   */
  checkWritable(branch: string, signal?: AbortSignal): Promise<void>

  /** The commit that a ref names (full or short hash, branch, tag, `HEAD`), or `undefined`. Never an option: `-x` is a ref name. */
  resolve(ref: string): Promise<Revision | undefined>

  /** Head of a branch, or `undefined`. */
  branchHead(branch: string): Promise<Revision | undefined>

  /** The upstream's default branch and the names of all, for error texts. */
  branches(): Promise<{ default: string | undefined; names: string[] }>

  /**
   * Every file of a revision, below the paths given (all of them, without paths), in tree order. A path may name a
   * file; one that names nothing gives nothing.
   *
   * @throws FluxError `GIT_OBJECT_MISSING` | `GIT_TREE_TOO_LARGE`
   */
  listFiles(revision: Revision, paths?: readonly string[]): Promise<TreeEntry[]>

  /**
   * Content of a blob.
   *
   * @param maxBytes default 4 MiB
   * @throws FluxError `GIT_OBJECT_MISSING` | `MANIFEST_TOO_LARGE`
   */
  readBlob(hash: string, maxBytes?: number): Promise<Uint8Array>

  /**
   * Commits reachable from `to` but not from `from`, newest first, only those that touch `paths` where given.
   *
   * @throws FluxError `GIT_OBJECT_MISSING`
   */
  log(range: { from?: Revision; to: Revision; paths?: readonly string[] }): Promise<CommitSummary[]>

  /**
   * Commits reachable from `to` and not from `from` whose message contains a text, newest first, with the whole message.
   *
   * @throws FluxError `GIT_OBJECT_MISSING`
   */
  findCommits(query: {
    from?: Revision
    to: Revision
    text: string
  }): Promise<{ revision: Revision; message: string }[]>

  /** Whether `ancestor` is reachable from `revision`. */
  isAncestor(ancestor: Revision, revision: Revision): Promise<boolean>

  /** Revisions that have a note, from the mirror's notes ref. */
  listNotes(): Promise<Set<Revision>>

  /** The text of a commit's note, or `undefined`. */
  readNote(revision: Revision): Promise<string | undefined>

  /**
   * Write a commit (blobs, trees, commit) into the mirror. Nothing is published, no ref moves. Names and message are
   * cleaned as `core/git/text.ts` says.
   *
   * @throws FluxError `GIT_OBJECT_MISSING` (the parent) | `GIT_PATH_MISSING` (not a regular file of the parent)
   */
  commit(request: CommitRequest): Promise<Revision>

  /**
   * Publish commits and their notes in one atomic push with a lease for each ref. Where the server knows no atomic
   * push: the branch, then the notes; the branch counts, and `notesPublished` tells whether the notes got there too.
   *
   * After `GIT_UNREACHABLE`, `GIT_TIMEOUT` or an abort the push may have arrived all the same: fetch, and look
   * whether the branch holds the revision.
   *
   * @throws FluxError `GIT_PUSH_RACE` (the branch or the notes moved: fetch and derive again) | `GIT_PUSH_REJECTED`
   *   (hook, protected branch) | `GIT_NOT_WRITABLE` | `GIT_UNREACHABLE` | `GIT_TIMEOUT`
   */
  publish(publication: Publication, signal?: AbortSignal): Promise<{ notesPublished: boolean }>

  /** Revision that an annotated or light tag points to, or `undefined`. */
  readTag(tag: string): Promise<Revision | undefined>

  /** Force-push an annotated tag. */
  moveTag(
    tag: string,
    revision: Revision,
    options: { message: string; tagger: Identity },
    signal?: AbortSignal,
  ): Promise<void>

  /** End child processes and remove the mirror. */
  close(): Promise<void>
}
