import { paths } from '../../api/paths.ts'
import { jobStatusToWire } from '../../api/write.ts'
import { FluxError } from '../../core/errors.ts'
import { ok, type Route } from '../../http/route.ts'
import type { Jobs } from '../jobs.ts'

/** `GET /v6/jobs?id=` → 200 `JobStatus` · 404 `JOB_UNKNOWN` */
export function getJob({ jobs }: { jobs: Jobs }): Route {
  return {
    ...paths.job,
    async handle({ query }) {
      const id = query.get('id') ?? ''
      const status = await jobs.find(id)
      if (status) return ok(jobStatusToWire(status))
      throw new FluxError('JOB_UNKNOWN', {
        what: `unknown job "${id}"`,
        why: 'A finished job is found again by the commit it made. One that made none, such as a dry run, is forgotten.',
        next: 'It is safe to ask for the same change again.',
      })
    },
  }
}
