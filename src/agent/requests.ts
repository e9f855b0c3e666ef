import { type Note, readNote } from '../api/note.ts'
import { digestOfUpdate, requestIdReused } from '../api/request-id.ts'
import { isSignedWith, requestIdTrailer } from '../core/update/request-id.ts'
import type { UpdateSpec } from '../core/update/spec.ts'
import type { GitMirror, Revision } from '../ports/git.ts'

/** The commit that a request made, with its note; the note may have been lost on the way. */
export interface MadeCommit {
  revision: Revision
  note: Note | undefined
}

/**
 * Find the commit of a request among those up to a revision.
 *
 * @throws FluxError `REQUEST_ID_REUSED` where it was made for another update
 */
export async function findCommitOf(
  { requestId, update }: { requestId: string; update: UpdateSpec },
  mirror: GitMirror,
  to: Revision,
): Promise<MadeCommit | undefined> {
  for (const { revision, message } of await mirror.findCommits({ to, text: requestIdTrailer(requestId) })) {
    if (!isSignedWith(message, requestId)) continue
    const note = readNote((await mirror.readNote(revision)) ?? '')
    if (note && digestOfUpdate(note.spec) !== digestOfUpdate(update)) throw requestIdReused(requestId)
    return { revision, note }
  }
  return undefined
}
