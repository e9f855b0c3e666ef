import { isRequestId, requestIdGrammar } from '../core/update/request-id.ts'
import { affectedIds, type JobStatus } from '../core/update/result.ts'
import type { Cause } from '../core/update/spec.ts'
import type { Fluxd, JobId } from '../ports/fluxd.ts'
import type { FlagValues } from '../runtime/flags.ts'
import type { Outcome } from './command.ts'
import type { CliContext } from './context.ts'
import type { changeFlags } from './flags.ts'
import { formatResult } from './output/result.ts'
import { usageError } from './usage.ts'
import { isTimeout, jobFailure, shortRevision, waitForJob, waitForSync } from './waiting.ts'

/** What every command does that changes Git: say who asks and why, then follow the job and its commit. */

export type ChangeFlags = FlagValues<typeof changeFlags>

/** Who asks and why. An empty `--user=` stays empty. */
export async function causeOf(
  ctx: CliContext,
  flags: ChangeFlags,
  given: ReadonlySet<string>,
): Promise<Cause> {
  return { message: flags.message, user: given.has('user') ? flags.user : await ctx.gitUser() }
}

/** The id under which a change is asked for. @throws FluxError `USAGE_INVALID` */
export function requestOf({ requestId }: ChangeFlags, given: ReadonlySet<string>): { requestId?: string } {
  if (!given.has('request-id')) return {}
  if (isRequestId(requestId)) return { requestId }
  throw usageError(`invalid --request-id: it has ${requestIdGrammar}`)
}

export interface Finish {
  id: JobId
  job: JobStatus
  /** whether its commit was seen applied */
  applied: boolean
  outcome: Outcome
}

/**
 * Follow a job to its end and finish it.
 *
 * @throws FluxError `WAIT_TIMEOUT`, after a word on what that means, and as `finishJob`
 */
export async function followJob(
  ctx: CliContext,
  fluxd: Fluxd,
  id: JobId,
  options: FinishOptions,
): Promise<Finish> {
  const job = await waitForJob(ctx, fluxd, id).catch((error: unknown) => {
    if (isTimeout(error)) ctx.io.say(jobTimeoutAdvice)
    throw error
  })
  return finishJob(ctx, fluxd, id, job, options)
}

export interface FinishOptions extends Pick<ChangeFlags, 'verbose' | 'output'> {
  /** also wait until the commit is applied */
  awaitSync: boolean
}

/**
 * Print the result of a job that has ended, and where asked, wait until its commit is applied.
 *
 * With `-o json` nothing is printed: the command does that last of all, when it can't fail any more.
 *
 * @throws FluxError `JOB_FAILED`, or the code that fluxd gives
 */
export async function finishJob(
  ctx: CliContext,
  fluxd: Fluxd,
  id: JobId,
  job: JobStatus,
  { verbose, output, awaitSync }: FinishOptions,
): Promise<Finish> {
  const { io } = ctx
  const failure = jobFailure(job)
  if (failure) throw failure

  const { result, revision } = job
  const empty = result === undefined || result.size === 0
  if (!empty && output === 'text') io.out(formatResult(result, verbose))
  if (revision) io.say(`Commit pushed:\t${shortRevision(revision)}`)
  if (empty && !revision) {
    io.say('Nothing to do')
    return { id, job, applied: false, outcome: 'nothing' }
  }
  if (!revision || !awaitSync) {
    // the note of a policy's commit tells of no workloads
    const outcome = revision || affectedIds(result ?? new Map()).length > 0 ? 'done' : 'nothing'
    return { id, job, applied: false, outcome }
  }
  try {
    await waitForSync(ctx, fluxd, revision)
  } catch (error) {
    if (!isTimeout(error)) throw error
    io.say(syncTimeoutAdvice)
    return { id, job, applied: false, outcome: 'pending' }
  }
  io.say(`Commit applied:\t${shortRevision(revision)}`)
  return { id, job, applied: true, outcome: 'done' }
}

const jobTimeoutAdvice = `
We timed out waiting for the result of the operation. This does not
necessarily mean it has failed. You can check the state of the
cluster, or commit logs, to see if there was a result. In general, it
is safe to retry operations.`

const syncTimeoutAdvice = `
The operation succeeded, but we timed out waiting for the commit to be
applied. This does not necessarily mean there is a problem. Use

    fluxctl sync

to run a sync interactively.`
