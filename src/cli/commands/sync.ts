import { FluxError } from '../../core/errors.ts'
import type { JobStatus } from '../../core/update/result.ts'
import type { Fluxd, FollowedRepository } from '../../ports/fluxd.ts'
import { defineCommand } from '../command.ts'
import type { CliContext } from '../context.ts'
import { jobFailure, shortRevision, waitForJob, waitForSync } from '../waiting.ts'

export const sync = defineCommand({
  about: 'Makes fluxd fetch the repository, and waits until its newest revision is applied.',
  flags: [],
  async run(ctx) {
    const { io } = ctx
    const fluxd = await ctx.fluxd()
    const repository = await fluxd.getRepository({ regenerateKey: false })
    checkReady(repository)

    io.say(`Synchronizing with ${repository.url}`)
    const id = await fluxd.update({ type: 'sync', cause: { message: '', user: '' } })
    const job = await findHead(ctx, fluxd, id).catch((error: unknown) => {
      if (!ctx.signal.aborted) io.say(`Failed to complete sync job (ID "${id}")`)
      throw error
    })

    const revision = shortRevision(job.revision ?? '')
    io.say(`Revision of ${repository.branch} to apply is ${revision}`)
    io.say(`Waiting for ${revision} to be applied ...`)
    await waitForSync(ctx, fluxd, revision)
    io.say('Done.')
    return 'done'
  },
})

/** @throws FluxError `GIT_NOT_READY` */
function checkReady({ url, status, error }: FollowedRepository): void {
  if (status === 'ready') return
  const details = error === '' ? '' : `\n\nFull error message: ${error}`
  const what = {
    unconfigured: 'no git repository is configured',
    unreachable: `can not connect to git repository with URL ${url}${details}`,
  }[status]
  throw new FluxError('GIT_NOT_READY', {
    what: what ?? `git repository ${url} is not ready to sync${details}`,
  })
}

/** Wait for the job that finds the newest revision; an unverified head is a warning, since an older one is applied. */
async function findHead(ctx: CliContext, fluxd: Fluxd, id: string): Promise<JobStatus> {
  const job = await waitForJob(ctx, fluxd, id)
  const failure = jobFailure(job)
  if (!failure) return job
  if (!isUnverifiedHead(failure.what)) throw failure
  ctx.io.say(`Warning: ${failure.what}`)
  return job
}

function isUnverifiedHead(text: string): boolean {
  return (
    text.includes('branch HEAD in the git repo is not verified') && text.includes('last verified commit was')
  )
}
