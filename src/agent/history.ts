import { type Note, readNote } from '../api/note.ts'
import { digestOfUpdate, requestIdReused } from '../api/request-id.ts'
import { requestIdsOf, requestIdTrailer } from '../core/update/request-id.ts'
import type { UpdateSpec } from '../core/update/spec.ts'
import type { GitMirror, Revision } from '../ports/git.ts'

/**
 * What fluxd has written down in Git of the jobs that it did: commits that name their request, notes that name their
 * job. All of it is read once, when somebody first asks, and then only what is new.
 */
export interface History {
  /**
   * Find the commit that a request made.
   *
   * @param head of the branch as it was fetched or pushed
   * @param tip the head, or a commit upon it that is not pushed yet
   * @throws FluxError `REQUEST_ID_REUSED` where it was made for another update
   */
  findCommit(
    request: { requestId: string; update: UpdateSpec },
    mirror: GitMirror,
    at: { head: Revision; tip: Revision },
  ): Promise<MadeCommit | undefined>
  /** Find the commit that a job made, among those up to a revision. */
  findJob(
    jobId: string,
    mirror: GitMirror,
    head: Revision,
  ): Promise<{ revision: Revision; note: Note } | undefined>
}

/** A commit with its note, which may have been lost on the way. */
export interface MadeCommit {
  revision: Revision
  note?: Note | undefined
}

/** Notes that are asked for at once: git answers in order, so many may be under way. */
const readAtOnce = 500

export function createHistory(): History {
  /** commits by request, newest first, of everything up to `head` */
  let requests: { head: Revision; commits: Map<string, Revision[]> } | undefined
  /** by commit: the job of its note, or none that we understand */
  const jobs = new Map<Revision, string | undefined>()
  const revisions = new Map<string, Revision>()

  const readRequests = async (mirror: GitMirror, head: Revision): Promise<Map<string, Revision[]>> => {
    const known = requests
    if (known?.head === head) return known.commits
    // where history was rewritten, what was known may be gone
    const base = known && (await mirror.isAncestor(known.head, head)) ? known : undefined
    const commits = new Map(base?.commits)
    for (const [id, found] of await requestsIn(mirror, base?.head, head)) {
      commits.set(id, [...found, ...(commits.get(id) ?? [])])
    }
    requests = { head, commits }
    return commits
  }

  const readJobs = async (mirror: GitMirror): Promise<void> => {
    const unread = [...(await mirror.listNotes())].filter((revision) => !jobs.has(revision))
    for (let start = 0; start < unread.length; start += readAtOnce) {
      const some = unread.slice(start, start + readAtOnce)
      const notes = await Promise.all(some.map(async (revision) => noteOf(mirror, revision)))
      for (const [index, revision] of some.entries()) {
        const jobId = notes[index]?.jobId
        jobs.set(revision, jobId)
        if (jobId !== undefined) revisions.set(jobId, revision)
      }
    }
  }

  return {
    async findCommit({ requestId, update }, mirror, { head, tip }) {
      const published = await readRequests(mirror, head)
      const own = tip === head ? undefined : await requestsIn(mirror, head, tip)
      const revision = own?.get(requestId)?.[0] ?? published.get(requestId)?.[0]
      if (revision === undefined) return undefined
      const note = await noteOf(mirror, revision)
      if (note && digestOfUpdate(note.spec) !== digestOfUpdate(update)) throw requestIdReused(requestId)
      return { revision, note }
    },

    async findJob(jobId, mirror, head) {
      await readJobs(mirror)
      const revision = revisions.get(jobId)
      if (revision === undefined || !(await mirror.isAncestor(revision, head))) return undefined
      const note = await noteOf(mirror, revision)
      return note?.jobId === jobId ? { revision, note } : undefined
    },
  }
}

/** Requests that are named by the commits of a range, each with its commits, newest first. */
async function requestsIn(
  mirror: GitMirror,
  from: Revision | undefined,
  to: Revision,
): Promise<Map<string, Revision[]>> {
  const found = new Map<string, Revision[]>()
  const range = { to, ...(from !== undefined && { from }) }
  for (const { revision, message } of await mirror.findCommits({ ...range, text: requestIdTrailer('') })) {
    for (const id of requestIdsOf(message)) found.set(id, [...(found.get(id) ?? []), revision])
  }
  return found
}

async function noteOf(mirror: GitMirror, revision: Revision): Promise<Note | undefined> {
  return readNote((await mirror.readNote(revision)) ?? '')
}
