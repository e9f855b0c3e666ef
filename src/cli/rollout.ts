import { formatImageRef } from '../core/image/ref.ts'
import type { WorkloadListing } from '../core/listing.ts'
import { type ResourceId, resourceIdParts } from '../core/resource/id.ts'
import type { Fluxd } from '../ports/fluxd.ts'
import type { ChangeFlags } from './change.ts'
import type { CliContext } from './context.ts'
import { formatTable } from './output/table.ts'

/** How often `release --watch` looks. */
const intervalMs = 2_000

/**
 * Follow workloads until all of them run what they were told to, as long as that takes.
 *
 * @returns false when one of them says why it can't get on
 */
export async function watchRollout(
  { io, clock, signal }: CliContext,
  fluxd: Fluxd,
  ids: readonly ResourceId[],
  { verbose, output }: Pick<ChangeFlags, 'verbose' | 'output'>,
): Promise<boolean> {
  io.say('Monitoring rollout ...')
  for (;;) {
    const workloads = await fluxd.getWorkloads(ids)
    for (const workload of workloads) {
      if (output === 'text') io.out(`${formatRollout(workload, verbose)}\n`)
      const { messages } = workload.rollout
      if (messages.length === 0) continue
      io.say(`There was a problem releasing ${workload.id}:`)
      for (const message of messages) io.say(message)
      return false
    }
    if (workloads.every(isReady)) {
      io.say('All workloads ready.')
      return true
    }
    await clock.sleep(intervalMs, signal)
  }
}

/** A Helm release has a status of its own, and none at all where no operator looks after it. */
function isReady({ id, status }: WorkloadListing): boolean {
  if (resourceIdParts(id).kind === 'helmrelease') return status === 'deployed' || status === ''
  return status === 'ready'
}

function formatRollout({ id, containers, status, rollout }: WorkloadListing, verbosity: number): string {
  const details = verbosity > 0 ? ` (${rollout.outdated} outdated, ${rollout.ready} ready)` : ''
  const replicas = `${rollout.updated}/${rollout.desired}${details}`
  const [first, ...more] = containers.map(({ name, current: { ref } }) => [
    name,
    ref ? formatImageRef(ref) : '',
  ])
  return formatTable([
    ['WORKLOAD', 'CONTAINER', 'IMAGE', 'RELEASE', 'REPLICAS'],
    [id, ...(first ?? ['', '']), status, replicas],
    ...more.map((cells) => ['', ...cells, '', '']),
  ])
}
