import { FluxError } from '../core/errors.ts'
import type { JobStatus } from '../core/update/result.ts'
import { type Fluxd, type JobId, RemoteError } from '../ports/fluxd.ts'
import type { CliContext } from './context.ts'

/**
 * Waiting for jobs, and for revisions to be applied: ask, wait, ask again, waiting twice as long each time.
 *
 * Follows `spec/flux-v1/cli.md` §2. The first question about a sync comes earlier than v1's second, since ours are quick.
 */

const firstDelayMs = 100
const longestJobDelayMs = 5_000
const longestSyncDelayMs = 10_000

/**
 * Ask until there is an answer.
 *
 * @throws FluxError `WAIT_TIMEOUT` as soon as the next question would come after the time limit
 */
async function poll<T>(
  { clock, timeoutMs, signal }: CliContext,
  longestDelayMs: number,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const deadlineMs = clock.monotonicMs() + timeoutMs
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (clock.monotonicMs() + delayMs > deadlineMs) throw new FluxError('WAIT_TIMEOUT', { what: 'timeout' })
    await clock.sleep(delayMs, signal)
  }
}

/** Wait until a job has ended, well or badly. @throws FluxError `WAIT_TIMEOUT` */
export function waitForJob(ctx: CliContext, fluxd: Fluxd, id: JobId): Promise<JobStatus> {
  const work = poll(ctx, longestJobDelayMs, async () => {
    const job = await fluxd.getJob(id)
    return job.state === 'succeeded' || job.state === 'failed' ? job : undefined
  })
  return ctx.io.during('Waiting for the job', work)
}

/** What made a job fail, or `undefined`. A job that is said to have succeeded may carry an error too. */
export function jobFailure({ state, error, errorCode }: JobStatus): RemoteError | undefined {
  if (state !== 'failed' && error === '') return undefined
  const nothing = error === 'no changes made in repo'
  return new RemoteError(error, nothing ? 'NO_CHANGES' : 'JOB_FAILED', {
    ...(errorCode && { code: errorCode }),
  })
}

/** Wait until a revision, full or short, is applied. @throws FluxError `WAIT_TIMEOUT` */
export async function waitForSync(ctx: CliContext, fluxd: Fluxd, revision: string): Promise<void> {
  const work = poll(ctx, longestSyncDelayMs, async () =>
    (await fluxd.listUnapplied(revision)).length === 0 ? true : undefined,
  )
  await ctx.io.during('Waiting for the sync', work)
}

export function isTimeout(error: unknown): boolean {
  return error instanceof FluxError && error.code === 'WAIT_TIMEOUT'
}

/** A revision as people read it. */
export function shortRevision(revision: string): string {
  return revision.slice(0, 7)
}
