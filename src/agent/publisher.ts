import { formatNote } from '../api/note.ts'
import { FluxError } from '../core/errors.ts'
import { commitMessage } from '../core/update/commit-message.ts'
import { signMessage } from '../core/update/request-id.ts'
import type { UpdateResult } from '../core/update/result.ts'
import type { UpdateSpec } from '../core/update/spec.ts'
import type { Clock } from '../ports/clock.ts'
import type { GitMirror, Identity, Revision } from '../ports/git.ts'
import type { Log } from '../ports/log.ts'
import type { History } from './history.ts'
import type { Repository } from './repository.ts'
import { branchGone, refuseReadonly, type Updater } from './updates.ts'

/**
 * From updates that wait together to commits: one each, the second derived on the first, and one push for all.
 *
 * A push that loses a race fetches and derives every edit again on the new head; nothing is merged as text. Nothing
 * counts as done before the push returned. An update that can't be done has an end of its own and leaves the others
 * alone; so does one that the upstream refuses. Follows `spec/flux-v1/release.md` and `sync.md` §2.
 */
export interface Publisher {
  /** Work until nothing waits any more. */
  run(batch: Batch, signal: AbortSignal): Promise<void>
}

/** An update and who asked for it. */
export interface Asked {
  readonly update: UpdateSpec
  readonly jobId: string
  readonly requestId?: string | undefined
}

export interface Batch {
  /** What waits now. Asked for again while others are at work: who comes before the push is in it. */
  take(): readonly Asked[]
  /** Told once of each that was taken, when its end is certain. */
  settle(asked: Asked, ending: Ending): Promise<void>
}

export type Ending = { outcome: Outcome } | { thrown: unknown }

export interface Outcome {
  /** the commit made, or the head that a sync found; absent when there was nothing to commit */
  revision?: Revision
  result: UpdateResult
  /** an earlier asking under the same request id had made the commit */
  repeated?: true
}

export interface PublisherOptions {
  updater: Updater
  repository: Repository
  history: History
  committer: Identity
  /** the user who asked is the author */
  setAuthor: boolean
  /** appended to every message */
  skipMessage: string
  /** for each update, and for each push */
  timeoutMs: number
  clock: Clock
  log: Log
}

/** A commit on its way, or an end without one. */
interface Derived {
  outcome: Outcome
  /** of `outcome.revision`, where it has none yet */
  note?: string
}

/** One try: how each update ended, so far as it did. */
interface Round {
  endings: Map<Asked, Ending>
  /** why the upstream refused the push of several commits */
  refusal?: FluxError
}

const pushAttempts = 12
const maxPauseMs = 1_000
/** How long commits that are made wait for one more, which asks a registry. */
const patienceMs = 500
const maxCommits = 50

export function createPublisher(options: PublisherOptions): Publisher {
  const { updater, repository, history, clock, timeoutMs } = options

  const derive = async (
    { update, jobId, requestId }: Asked,
    mirror: GitMirror,
    at: { head: Revision; tip: Revision },
    signal: AbortSignal,
  ): Promise<Derived> => {
    const { tip } = at
    const noted = { jobId, spec: update, requestId }
    // no fetch before: where the branch has moved meanwhile, the push finds out, and this is asked again
    const made = requestId && (await history.findCommit({ requestId, update }, mirror, at))
    if (made) {
      const { revision, note } = made
      const outcome: Outcome = { revision, result: note?.result ?? new Map(), repeated: true }
      return note ? { outcome } : { outcome, note: formatNote(noted) }
    }
    const { result, files } = await updater.derive(update, mirror, tip, signal)
    if (changesNothing(update)) return { outcome: { result } }
    if (files.size === 0) {
      if (update.type === 'policy') return { outcome: { result } }
      throw new FluxError('NO_CHANGES', {
        what: 'no changes made in repo',
        why: 'What was asked for is what the branch says already, or a lock or filter stands against it.',
        next: 'Ask again with --dry-run -vv to see why each workload stays as it is.',
      })
    }
    const encoder = new TextEncoder()
    const revision = await mirror.commit({
      parent: tip,
      changes: new Map([...files].map(([path, text]) => [path, encoder.encode(text)])),
      message: signMessage(commitMessage(update, result) + options.skipMessage, requestId),
      committer: options.committer,
      ...(options.setAuthor && update.cause.user !== '' && { author: readIdentity(update.cause.user) }),
    })
    const note = formatNote({ ...noted, result: update.type === 'policy' ? undefined : result })
    return { outcome: { revision, result }, note }
  }

  /** Derive each update on the one before, from the head that the mirror has, and publish. @throws FluxError `GIT_PUSH_RACE` */
  const tryOnce = async (
    updates: () => Iterable<Asked>,
    mirror: GitMirror,
    signal: AbortSignal,
  ): Promise<Round> => {
    const head = await mirror.branchHead(repository.branch)
    if (!head) throw branchGone()
    const endings = new Map<Asked, Ending>()
    const notes = new Map<Revision, string>()
    let tip = head
    for (const asked of updates()) {
      const signals = [signal, AbortSignal.timeout(timeoutMs)]
      const hurry = notes.size > 0 ? AbortSignal.timeout(patienceMs) : undefined
      try {
        refuseReadonly(repository)
        const limited = AbortSignal.any(hurry ? [...signals, hurry] : signals)
        const { outcome, note } = await derive(asked, mirror, { head, tip }, limited)
        endings.set(asked, { outcome })
        if (!outcome.revision || note === undefined) continue
        notes.set(outcome.revision, note)
        if (!outcome.repeated) tip = outcome.revision
      } catch (thrown) {
        if (hurry?.aborted && !signal.aborted) break // the first of the next try
        endings.set(asked, { thrown })
      }
    }
    if (notes.size === 0) return { endings }
    try {
      await mirror.publish(
        { branch: repository.branch, expected: head, revision: tip, notes, committer: options.committer },
        AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      )
    } catch (thrown) {
      if (isRace(thrown)) throw thrown
      if (isCode(thrown, 'GIT_PUSH_REJECTED') && notes.size > 1)
        return { endings: new Map(), refusal: thrown }
      for (const [asked, ending] of endings) {
        if ('outcome' in ending && notes.has(ending.outcome.revision ?? '')) endings.set(asked, { thrown })
      }
      return { endings }
    }
    if (tip !== head) repository.pushed(tip)
    return { endings }
  }

  /** After a lost race. @throws FluxError `GIT_PUSH_REJECTED` when it was lost too often */
  const prepareAgain = async (
    race: FluxError,
    tried: number,
    jobs: readonly Asked[],
    signal: AbortSignal,
  ) => {
    if (tried === pushAttempts) {
      throw new FluxError('GIT_PUSH_REJECTED', {
        what: race.what,
        why: `Somebody else pushed to the branch first, ${tried} times in a row.`,
        next: 'Nothing was changed; ask again when the branch is quieter.',
        cause: race,
      })
    }
    options.log.write({
      component: 'git',
      jobID: jobs.map(({ jobId }) => jobId).join(','),
      info: 'the branch moved; deriving the change again',
      tried,
    })
    await clock.sleep(Math.random() * Math.min(maxPauseMs, 20 * 2 ** tried), signal)
    await repository.refresh(AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]))
  }

  return {
    async run(batch, signal) {
      let open: Asked[] = []
      let tried = 0
      /** one by one, since the upstream has refused them together */
      let alone = false

      const settle = async (endings: ReadonlyMap<Asked, Ending>) => {
        open = open.filter((asked) => !endings.has(asked))
        for (const [asked, ending] of endings) await batch.settle(asked, ending)
      }
      const settleAll = (ending: Ending, jobs: readonly Asked[] = open) =>
        settle(new Map(jobs.map((asked) => [asked, ending])))
      const updates = function* (): Iterable<Asked> {
        for (let at = 0; at < Math.min(open.length, alone ? 1 : maxCommits); at++) {
          const asked = open[at]
          if (asked && asked.update.type !== 'sync') yield asked
          if (!alone) open.push(...batch.take())
        }
      }
      const step = async () => {
        const mirror = repository.ready()
        const syncs = open.filter(({ update }) => update.type === 'sync')
        if (syncs.length > 0) {
          const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
          const ending = await repository.refresh(limited).then(
            (revision): Ending => ({ outcome: { revision, result: new Map() } }),
            (thrown: unknown): Ending => ({ thrown }),
          )
          return settleAll(ending, syncs)
        }
        try {
          const { endings, refusal } = await tryOnce(updates, mirror, signal)
          alone ||= refusal !== undefined
          tried = 0
          await settle(endings)
        } catch (thrown) {
          if (!isRace(thrown)) throw thrown
          await prepareAgain(thrown, ++tried, open, signal)
        }
      }

      for (;;) {
        if (open.length === 0) {
          open = [...batch.take()]
          alone = false
        }
        if (open.length === 0) return
        await step().catch((thrown: unknown) => settleAll({ thrown }))
      }
    },
  }
}

/** Asked for with another word than `execute`, v1 does all but commit. */
function changesNothing(update: UpdateSpec): boolean {
  return (update.type === 'image' || update.type === 'containers') && update.spec.kind !== 'execute'
}

function isRace(thrown: unknown): thrown is FluxError {
  return isCode(thrown, 'GIT_PUSH_RACE')
}

function isCode(thrown: unknown, code: FluxError['code']): thrown is FluxError {
  return thrown instanceof FluxError && thrown.code === code
}

/** `Name <address>`; of a bare name, an address that nobody has, since Git wants one. */
function readIdentity(user: string): Identity {
  const match = /^(.*?)\s*<([^<>]*)>\s*$/.exec(user)
  if (match) return { name: match[1] || (match[2] ?? ''), email: match[2] ?? '' }
  return user.includes('@') && !user.includes(' ')
    ? { name: user, email: user }
    : { name: user, email: 'unknown@localhost' }
}
