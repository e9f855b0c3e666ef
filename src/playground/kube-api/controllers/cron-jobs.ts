import type { JsonObject } from '../../../core/json.ts'
import { at, listAt, objectAt, textAt } from '../fields.ts'
import { type KubeObject, StatusError } from '../model.ts'
import { parseSchedule, type Schedule } from './cron-schedule.ts'
import { type Controller, type Host, timestamp } from './host.ts'
import { isFinished } from './jobs.ts'
import { byCreation, isGoing, namespaceOf, ownerReference, updateStatus } from './owners.ts'

/**
 * CronJobs: a Job at each time of a schedule. Of times that were missed only the last is made up for, as the real one
 * does.
 *
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
 */

const collection = 'cronjobs.batch'
/** as long as timers go */
const longestWaitMs = 2 ** 31 - 1
const dayMs = 24 * 3_600_000

export function createCronJobs(host: Host): Controller {
  const client = host.as('kube-controller-manager')

  const controller: Controller = {
    collection,
    kind: 'CronJob',
    sync(cronJob) {
      const jobs = host.index.ownedBy(cronJob, 'jobs.batch').sort(byCreation)
      const status = { ...objectAt(cronJob, 'status') }
      noteActive(cronJob, jobs, status)
      tidy(cronJob, jobs)
      if (!isGoing(cronJob) && at(cronJob, 'spec.suspend') !== true) run(cronJob, status)
      if (Array.isArray(status['active']) && status['active'].length === 0) delete status['active']
      updateStatus(client, collection, cronJob, status)
    },
  }
  return controller

  function noteActive(cronJob: KubeObject, jobs: readonly KubeObject[], status: JsonObject): void {
    const running = jobs.filter((job) => !isFinished(job))
    for (const { uid, name } of listAt(cronJob, 'status.active')) {
      const job = jobs.find(({ metadata }) => metadata['uid'] === uid)
      const end = job && isFinished(job)
      if (end) tell(cronJob, 'SawCompletedJob', `Saw completed job: ${String(name)}, condition: ${end}`)
      else if (!job) tell(cronJob, 'MissingJob', `Active job went missing: ${String(name)}`)
    }
    status['active'] = running.map(reference)
    const succeeded = jobs
      .map((job) => textAt(job, 'status.completionTime'))
      .sort()
      .at(-1)
    if (succeeded) status['lastSuccessfulTime'] = succeeded
  }

  /** Finished jobs beyond the limits of the history go. */
  function tidy(cronJob: KubeObject, jobs: readonly KubeObject[]): void {
    for (const [end, field] of [
      ['Complete', 'successfulJobsHistoryLimit'],
      ['Failed', 'failedJobsHistoryLimit'],
    ] as const) {
      const limit = objectAt(cronJob, 'spec')[field]
      if (typeof limit !== 'number') continue
      const ended = jobs.filter((job) => isFinished(job) === end)
      for (const job of ended.slice(0, Math.max(0, ended.length - limit))) {
        remove(cronJob, job)
      }
    }
  }

  function run(cronJob: KubeObject, status: JsonObject): void {
    const schedule = parseSchedule(
      textAt(cronJob, 'spec.schedule'),
      textAt(cronJob, 'spec.timeZone') || 'UTC',
    )
    if (schedule === undefined) {
      const message = `unparseable schedule: ${textAt(cronJob, 'spec.schedule')}`
      tell(cronJob, 'UnparseableSchedule', message, 'Warning')
      return
    }
    const now = Date.now()
    const last = Date.parse(
      textAt(status, 'lastScheduleTime') || textAt(cronJob, 'metadata.creationTimestamp'),
    )
    const deadline = at(cronJob, 'spec.startingDeadlineSeconds')
    const since = typeof deadline === 'number' ? Math.max(last, now - deadline * 1000) : last
    // a day is short to look through, and most schedules have a time in it
    const due = lastTime(schedule, Math.max(since, now - dayMs), now) ?? lastTime(schedule, since, now)
    if (due !== undefined) start(cronJob, due, status)
    const next = schedule.next(now)
    if (next !== undefined) host.later(Math.min(longestWaitMs, next - now + 1), controller, cronJob)
  }

  function start(cronJob: KubeObject, time: number, status: JsonObject): void {
    const policy = textAt(cronJob, 'spec.concurrencyPolicy')
    const active = listAt(status, 'active')
    if (policy === 'Forbid' && active.length > 0) {
      tell(
        cronJob,
        'JobAlreadyActive',
        'Not starting job because prior execution is running and concurrency policy is Forbid',
      )
      return
    }
    if (policy === 'Replace') {
      for (const { name } of active) {
        const job = client.get('jobs.batch', namespaceOf(cronJob), String(name))
        if (job) remove(cronJob, job)
      }
      status['active'] = []
    }
    const template = objectAt(cronJob, 'spec.jobTemplate')
    const name = `${cronJob.metadata.name}-${time / 60_000}`
    try {
      const job = client.create('jobs.batch', {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: {
          name,
          namespace: namespaceOf(cronJob),
          ...(objectAt(template, 'metadata')['labels'] !== undefined && {
            labels: objectAt(template, 'metadata.labels'),
          }),
          annotations: {
            ...objectAt(template, 'metadata.annotations'),
            'batch.kubernetes.io/cronjob-scheduled-timestamp': timestamp(time),
          },
          ownerReferences: [ownerReference(cronJob)],
        },
        spec: objectAt(template, 'spec'),
      })
      tell(cronJob, 'SuccessfulCreate', `Created job ${name}`)
      status['active'] = [...listAt(status, 'active'), reference(job)]
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      if (error.reason !== 'AlreadyExists') {
        tell(cronJob, 'FailedCreate', `Error creating job: ${error.message}`, 'Warning')
        throw error
      }
    }
    status['lastScheduleTime'] = timestamp(time)
  }

  function remove(cronJob: KubeObject, job: KubeObject): void {
    const options = { propagationPolicy: 'Background' } as const
    if (client.delete('jobs.batch', namespaceOf(job), job.metadata.name, options)) {
      tell(cronJob, 'SuccessfulDelete', `Deleted job ${job.metadata.name}`)
    }
  }

  function tell(
    cronJob: KubeObject,
    reason: string,
    message: string,
    type: 'Normal' | 'Warning' = 'Normal',
  ): void {
    host.record('cronjob-controller', cronJob, { type, reason, message })
  }
}

/** The last time of a schedule that is after one time and not after another. */
function lastTime(schedule: Schedule, afterMs: number, untilMs: number): number | undefined {
  let last: number | undefined
  let time = schedule.next(afterMs)
  while (time !== undefined && time <= untilMs) {
    last = time
    time = schedule.next(time)
  }
  return last
}

function reference({ metadata }: KubeObject): JsonObject {
  const { name, namespace, uid, resourceVersion } = metadata
  return {
    kind: 'Job',
    namespace: namespace ?? '',
    name,
    uid: uid ?? '',
    apiVersion: 'batch/v1',
    resourceVersion: resourceVersion ?? '',
  }
}
