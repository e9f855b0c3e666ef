import { FluxError } from '../core/errors.ts'
import type { PolicyUpdate } from '../core/policy/policy.ts'
import type { ResourceId } from '../core/resource/id.ts'
import type { Fluxd } from '../ports/fluxd.ts'
import { causeOf, followJob, requestOf } from './change.ts'
import type { Arguments, Outcome } from './command.ts'
import type { CliContext } from './context.ts'
import type { policyFlags } from './flags.ts'
import { formatChange } from './output/change.ts'
import { usageError } from './usage.ts'
import { readWorkload } from './workload.ts'

/** What shall become of a workload's policies. */
export interface PolicyRequest {
  automate?: boolean
  deautomate?: boolean
  lock?: boolean
  unlock?: boolean
  /** pattern for all containers */
  tagAll?: string
  /** `container=pattern`, as typed */
  tags?: readonly string[]
}

/**
 * Change policies of one workload in Git.
 *
 * @param workload as typed
 * @throws FluxError `USAGE_INVALID` | `RESOURCE_ID_INVALID` | `WORKLOAD_UNKNOWN`, and as `followJob`
 */
export async function changePolicies(
  ctx: CliContext,
  workload: string,
  { flags, given }: Pick<Arguments<typeof policyFlags>, 'flags' | 'given'>,
  request: PolicyRequest,
): Promise<Outcome> {
  if (workload === '') throw usageError('-w, --workload is required')
  if (request.automate && request.deautomate) throw usageError('automate and deautomate both specified')
  if (request.lock && request.unlock) throw usageError('lock and unlock both specified')
  const id = await readWorkload(ctx, workload, flags.namespace)
  const cause = await causeOf(ctx, flags, given)
  const asked = requestOf(flags, given)
  const update = planUpdate(request, cause)

  const fluxd = await ctx.fluxd()
  const job = await fluxd.update({ type: 'policy', cause, spec: new Map([[id, update]]) }, asked)
  const finish = await followJob(ctx, fluxd, job, { ...flags, awaitSync: false })

  const skipped = finish.job.result?.get(id)?.status === 'skipped' && !finish.job.revision
  if (skipped && !(await isInRepository(fluxd, id))) {
    throw new FluxError('WORKLOAD_UNKNOWN', {
      what: `workload ${id} is not defined in the repository`,
      next: 'Nothing was changed. See what is: fluxctl list-workloads --all-namespaces',
    })
  }
  if (flags.output === 'json') ctx.io.out(formatChange(finish))
  return finish.outcome
}

function planUpdate(
  request: PolicyRequest,
  { user, message }: { user: string; message: string },
): PolicyUpdate {
  const add = new Map<string, string>()
  const remove = new Map<string, string>()
  if (request.automate) add.set('automated', 'true')
  if (request.deautomate) remove.set('automated', 'true')
  if (request.lock) {
    add.set('locked', 'true')
    if (user !== '') add.set('locked_user', user).set('locked_msg', message)
  }
  if (request.unlock) for (const name of ['locked', 'locked_msg', 'locked_user']) remove.set(name, 'true')
  if (request.tagAll) add.set('tag_all', normalisePattern(request.tagAll))
  for (const [container, pattern] of (request.tags ?? []).map(readTagPair)) {
    if (pattern === '*') remove.set(`tag.${container}`, 'true')
    else add.set(`tag.${container}`, normalisePattern(pattern))
  }
  if (add.size === 0 && remove.size === 0) {
    throw usageError(
      'please say what to change: --automate, --deautomate, --lock, --unlock, --tag-all or --tag',
    )
  }
  return { add, remove }
}

function readTagPair(pair: string): [container: string, pattern: string] {
  const [container, pattern, ...more] = pair.split('=')
  if (container === undefined || pattern === undefined || more.length > 0)
    throw usageError(`invalid container/tag pair: "${pair}". Expected format is 'container=filter'`)
  return [container, pattern]
}

/** The pattern with its prefix. Whether it is a valid one is for fluxd to say, before it writes anything. */
function normalisePattern(pattern: string): string {
  if (pattern.startsWith('regex:')) return `regexp:${pattern.slice('regex:'.length)}`
  return /^(glob|semver|regexp):/.test(pattern) ? pattern : `glob:${pattern}`
}

/**
 * Whether fluxd has a workload in Git. The original skips a workload that is as it should be, and one that it doesn't know,
 * in the same words, so it is asked; where it can't say, we believe that it was the former.
 */
async function isInRepository(fluxd: Fluxd, id: ResourceId): Promise<boolean> {
  try {
    const found = (await fluxd.getWorkloads([id])).find((workload) => workload.id === id)
    return found !== undefined && found.readOnly !== 'NotInRepo'
  } catch (error) {
    if (error instanceof FluxError && error.code !== 'INTERRUPTED') return true
    throw error
  }
}
