import { randomBytes } from 'node:crypto'
import { readNote } from '../api/note.ts'
import { FluxError, messageOf } from '../core/errors.ts'
import { addsAutomation } from '../core/update/plan.ts'
import type { JobStatus } from '../core/update/result.ts'
import type { UpdateSpec } from '../core/update/spec.ts'
import type { Clock } from '../ports/clock.ts'
import type { GitMirror } from '../ports/git.ts'
import type { Log } from '../ports/log.ts'
import type { Metrics } from '../ports/metrics.ts'
import { formatDuration } from '../runtime/flags.ts'
import type { Queue } from '../runtime/queue.ts'
import type { Repository } from './repository.ts'
import { failureFields } from './tell.ts'
import type { Outcome, Updater } from './updates.ts'

/**
 * Updates that wait, run, or have run. What waits or runs is in memory and lost with the process; what made a commit
 * is found again by the note on it. Follows `spec/flux-v1/release.md` §2.
 */
export interface Jobs {
  /** Put an update in line. @returns the job's ID */
  submit(update: UpdateSpec): string
  /** Put an update in line, and wait until it has ended, one way or the other. */
  complete(update: UpdateSpec): Promise<void>
  /** Plan an update now. @returns ID of a job that is done @throws FluxError what planning fails with */
  plan(update: UpdateSpec): Promise<string>
  /** @throws FluxError when Git would have to be asked and is not ready */
  find(id: string): Promise<JobStatus | undefined>
}

export interface JobsOptions {
  queue: Queue
  updater: Updater
  repository: Repository
  /** told when a job made a commit, with its time */
  onCommit(update: UpdateSpec, outcome: Outcome, startedAt: Date): Promise<void>
  /** told when a policy update has switched automation on somewhere */
  onAutomated(): void
  timeoutMs: number
  gitPaths: readonly string[]
  clock: Clock
  log: Log
  metrics: Metrics
}

const keptJobs = 100

export function createJobs(options: JobsOptions): Jobs {
  const { queue, updater, repository, clock, metrics } = options
  const log = options.log.with({ component: 'sync-loop' })
  const statuses = new Map<string, JobStatus>()
  let waiting = 0

  const keep = (id: string, status: JobStatus) => {
    statuses.set(id, status)
    for (const [old, { state }] of statuses) {
      if (statuses.size <= keptJobs) break
      if (state === 'succeeded' || state === 'failed') statuses.delete(old)
    }
  }

  const run = async (id: string, update: UpdateSpec, signal: AbortSignal): Promise<void> => {
    keep(id, { state: 'running', error: '' })
    log.write({ jobID: id, state: 'in-progress' })
    const startedAt = clock.now()
    const startedMs = clock.monotonicMs()
    const limit = AbortSignal.timeout(options.timeoutMs)
    try {
      const outcome = await updater.execute(update, id, AbortSignal.any([signal, limit]))
      if (outcome.revision) log.write({ jobID: id, revision: outcome.revision })
      if (outcome.revision && update.type !== 'sync') await options.onCommit(update, outcome, startedAt)
      keep(id, {
        state: 'succeeded',
        error: '',
        ...(outcome.revision && { revision: outcome.revision }),
        ...(update.type !== 'sync' && { spec: update, result: outcome.result }),
      })
      log.write({ jobID: id, state: 'done', success: true })
      if (update.type === 'policy' && addsAutomation(update.spec)) options.onAutomated()
      metrics.observeJob({ success: true, durationMs: clock.monotonicMs() - startedMs })
    } catch (caught) {
      const thrown = limit.aborted && !(caught instanceof FluxError) ? jobTimeout(options.timeoutMs) : caught
      keep(id, failed(update, thrown))
      log.write({ jobID: id, state: 'done', success: false, ...failureFields(thrown) })
      metrics.observeJob({ success: false, durationMs: clock.monotonicMs() - startedMs })
    }
  }

  const enqueue = (update: UpdateSpec) => {
    const id = newJobId()
    const queuedMs = clock.monotonicMs()
    keep(id, { state: 'queued', error: '' })
    metrics.setQueueLength(++waiting)
    const lane = update.type === 'auto' ? 'automation' : 'people'
    const ended = queue
      .run(lane, async ({ signal }) => {
        metrics.setQueueLength(--waiting)
        metrics.observeQueueWait(clock.monotonicMs() - queuedMs)
        await run(id, update, signal)
      })
      .catch((thrown) => keep(id, failed(update, thrown)))
    return { id, ended }
  }

  return {
    submit: (update) => enqueue(update).id,
    complete: (update) => enqueue(update).ended,

    async plan(update) {
      const id = newJobId()
      try {
        const result = await updater.plan(update)
        keep(id, { state: 'succeeded', error: '', spec: update, result })
      } catch (thrown) {
        keep(id, failed(update, thrown))
        throw thrown
      }
      return id
    },

    async find(id) {
      const status = statuses.get(id)
      if (status) return status
      const mirror = readyForNotes(repository)
      const head = repository.head()
      if (id === '' || !head) return undefined
      const noted = await mirror.listNotes()
      for (const { revision } of await mirror.log({ to: head, paths: options.gitPaths })) {
        if (!noted.has(revision)) continue
        const note = readNote((await mirror.readNote(revision)) ?? '')
        if (note?.jobId !== id) continue
        return {
          state: 'succeeded',
          error: '',
          revision,
          spec: note.spec,
          ...(note.result && { result: note.result }),
        }
      }
      return undefined
    },
  }
}

/** The mirror, in whose notes a finished job is found. @throws FluxError as `Repository.ready`, with v1's text */
function readyForNotes(repository: Repository): GitMirror {
  try {
    return repository.ready()
  } catch (thrown) {
    if (!(thrown instanceof FluxError)) throw thrown
    const { code, what, why, next } = thrown
    throw new FluxError(code, {
      what: `checking revisions for status: ${what}`,
      ...(why && { why }),
      ...(next && { next }),
      cause: thrown,
    })
  }
}

function jobTimeout(timeoutMs: number): FluxError {
  return new FluxError('JOB_TIMEOUT', {
    what: `the job did not end within ${formatDuration(timeoutMs)}`,
    why: 'Git, a registry or the cluster was too slow.',
    next: 'Ask again: what was not pushed did not happen. --sync-timeout sets the limit.',
  })
}

/** What a policy job knows of its workloads goes with its failure, as v1 has it. */
function failed(update: UpdateSpec, thrown: unknown): JobStatus {
  const error = messageOf(thrown)
  const ids =
    update.type === 'policy' && !isNotReady(thrown) ? [...(update.spec?.keys() ?? [])].slice(0, 1) : []
  return {
    state: 'failed',
    error,
    ...(thrown instanceof FluxError && { errorCode: thrown.code }),
    ...(ids.length > 0 && {
      spec: update,
      result: new Map(ids.map((id) => [id, { status: 'failed' as const, error, updates: [] }])),
    }),
  }
}

function isNotReady(thrown: unknown): boolean {
  return (
    thrown instanceof FluxError && (thrown.code === 'GIT_NOT_READY' || thrown.code === 'GIT_NOT_CONFIGURED')
  )
}

/** 16 random bytes as v1 writes them: `a0b1c2d3-e4f5-0617-2839-4a5b6c7d8e9f`. */
function newJobId(): string {
  const hex = randomBytes(16).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
