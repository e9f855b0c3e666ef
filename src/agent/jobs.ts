import { randomBytes } from 'node:crypto'
import { digestOfUpdate, requestIdReused } from '../api/request-id.ts'
import { FluxError, messageOf } from '../core/errors.ts'
import { addsAutomation } from '../core/update/plan.ts'
import type { JobStatus } from '../core/update/result.ts'
import type { UpdateSpec } from '../core/update/spec.ts'
import type { Clock } from '../ports/clock.ts'
import type { GitMirror } from '../ports/git.ts'
import type { Log } from '../ports/log.ts'
import type { Metrics } from '../ports/metrics.ts'
import { formatDuration } from '../runtime/flags.ts'
import type { Lane, Queue } from '../runtime/queue.ts'
import type { History } from './history.ts'
import type { Asked, Ending, Outcome, Publisher } from './publisher.ts'
import type { Repository } from './repository.ts'
import { failureFields } from './tell.ts'
import type { Updater } from './updates.ts'

/**
 * Updates that wait, run, or have run. What waits or runs is in memory and lost with the process; what made a commit
 * is found again by the note on it. Jobs that wait together are done together: see `publisher.ts`.
 *
 * A request that brought an id of its own and is sent again gets the job that it got before, as long as that hasn't
 * failed, or the one by whose commit Git knows it. Follows `spec/flux-v1/release.md` §2.
 */
export interface Jobs {
  /**
   * Put an update in line.
   *
   * @param requestId the request's own
   * @returns ID of the job, or of that which the same request got before
   * @throws FluxError `REQUEST_ID_REUSED`
   */
  submit(update: UpdateSpec, requestId?: string): Promise<string>
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
  publisher: Publisher
  repository: Repository
  history: History
  /** told when a job made a commit, with its time */
  onCommit(update: UpdateSpec, outcome: Outcome, startedAt: Date): Promise<void>
  /** told when a policy update has switched automation on somewhere */
  onAutomated(): void
  timeoutMs: number
  clock: Clock
  log: Log
  metrics: Metrics
}

/** A job that waits or runs. */
interface Job extends Asked {
  lane: Lane
  queuedMs: number
  /** from its turn on */
  started?: { at: Date; ms: number }
  ended(): void
}

const keptJobs = 100

export function createJobs(options: JobsOptions): Jobs {
  const { queue, updater, publisher, repository, history, clock, metrics } = options
  const log = options.log.with({ component: 'sync-loop' })
  const statuses = new Map<string, JobStatus>()
  const waiting = new Set<Job>()
  /** by request id: what it is bound to, and the job that it got */
  const requests = new Map<string, { digest: string; job: Promise<string> }>()

  const keep = (id: string, status: JobStatus) => {
    statuses.set(id, status)
    for (const [old, { state }] of statuses) {
      if (statuses.size <= keptJobs) break
      if (state === 'succeeded' || state === 'failed') statuses.delete(old)
    }
  }

  const leaveLine = (job: Job): boolean => {
    const waited = waiting.delete(job)
    metrics.setQueueLength(waiting.size)
    return waited
  }

  /** Everything that waits in a lane: from now on it runs. */
  const take = (lane: Lane): Job[] => {
    const taken = [...waiting].filter((job) => job.lane === lane)
    for (const job of taken) {
      leaveLine(job)
      job.started = { at: clock.now(), ms: clock.monotonicMs() }
      metrics.observeQueueWait(job.started.ms - job.queuedMs)
      keep(job.jobId, { state: 'running', error: '' })
      log.write({ jobID: job.jobId, state: 'in-progress' })
    }
    return taken
  }

  const succeed = async ({ jobId, update }: Job, outcome: Outcome, startedAt: Date): Promise<void> => {
    const { revision, result, repeated } = outcome
    if (revision) log.write({ jobID: jobId, revision })
    if (revision && update.type !== 'sync' && !repeated) await options.onCommit(update, outcome, startedAt)
    keep(jobId, {
      state: 'succeeded',
      error: '',
      ...(revision && { revision }),
      ...(update.type !== 'sync' && { spec: update, result }),
    })
    log.write({ jobID: jobId, state: 'done', success: true })
    if (update.type === 'policy' && addsAutomation(update.spec)) options.onAutomated()
  }

  const fail = ({ jobId, update }: Job, caught: unknown): void => {
    const timedOut = caught instanceof Error && caught.name === 'TimeoutError'
    const thrown = timedOut ? jobTimeout(options.timeoutMs) : caught
    keep(jobId, failed(update, thrown))
    log.write({ jobID: jobId, state: 'done', success: false, ...failureFields(thrown) })
  }

  const settle = async (job: Job, ending: Ending): Promise<void> => {
    const { at, ms } = job.started ?? { at: clock.now(), ms: clock.monotonicMs() }
    const success = 'outcome' in ending
    if (success) await succeed(job, ending.outcome, at).catch((thrown: unknown) => fail(job, thrown))
    else fail(job, ending.thrown)
    metrics.observeJob({ success, durationMs: clock.monotonicMs() - ms })
    job.ended()
  }

  /** @returns the job's ID, and when it has ended, one way or the other */
  const enqueue = (update: UpdateSpec, requestId?: string): { id: string; ended: Promise<void> } => {
    const id = newJobId()
    const lane = update.type === 'auto' ? 'automation' : 'people'
    const ended = new Promise<void>((resolve) => {
      const job: Job = {
        update,
        jobId: id,
        requestId,
        lane,
        queuedMs: clock.monotonicMs(),
        ended: resolve,
      }
      waiting.add(job)
      metrics.setQueueLength(waiting.size)
      keep(id, { state: 'queued', error: '' })
      // whoever's turn comes first takes along those that wait behind
      const batch = {
        take: () => take(lane),
        settle: (asked: Asked, ending: Ending) => settle(asked as Job, ending),
      }
      queue
        .run(lane, ({ signal }) => publisher.run(batch, signal))
        .catch((thrown: unknown) => (leaveLine(job) ? settle(job, { thrown }) : undefined))
    })
    return { id, ended }
  }

  /** The job of a request that this process doesn't know: the one that made its commit, or a new one. */
  const findOrEnqueue = async (update: UpdateSpec, requestId: string): Promise<string> => {
    const head = repository.head()
    const made =
      repository.status().state === 'ready' && head
        ? await history.findCommit({ requestId, update }, repository.ready(), { head, tip: head })
        : undefined
    return made?.note ? made.note.jobId : enqueue(update, requestId).id
  }

  const submit = async (update: UpdateSpec, requestId: string): Promise<string> => {
    const digest = digestOfUpdate(update)
    for (;;) {
      const known = requests.get(requestId)
      if (known && known.digest !== digest) throw requestIdReused(requestId)
      const id = await known?.job
      if (id !== undefined && isAnswer(statuses.get(id))) return id
      if (requests.get(requestId) !== known) continue // another repeat was quicker
      const job = findOrEnqueue(update, requestId)
      requests.set(requestId, { digest, job })
      for (const old of requests.keys()) {
        if (requests.size <= keptJobs) break
        requests.delete(old)
      }
      return job.catch((thrown: unknown) => {
        requests.delete(requestId)
        throw thrown
      })
    }
  }

  return {
    submit: async (update, requestId) =>
      requestId === undefined ? enqueue(update).id : submit(update, requestId),
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
      const made = await history.findJob(id, mirror, head)
      if (!made) return undefined
      const { spec, result } = made.note
      return {
        state: 'succeeded',
        error: '',
        revision: made.revision,
        spec,
        ...(result && { result }),
      }
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

/** A job that is on its way or done answers its request; one that failed, or that nobody knows, doesn't. */
function isAnswer(status: JobStatus | undefined): boolean {
  return status !== undefined && status.state !== 'failed'
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
