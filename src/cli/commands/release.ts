import { FluxError } from '../../core/errors.ts'
import { formatImageRef, parseImageRef } from '../../core/image/ref.ts'
import { affectedIds } from '../../core/update/result.ts'
import { allLatest, allWorkloads, type Cause, type ImageRelease } from '../../core/update/spec.ts'
import type { Fluxd, RequestOptions } from '../../ports/fluxd.ts'
import { type FlagValues, quote } from '../../runtime/flags.ts'
import { causeOf, type Finish, type FinishOptions, finishJob, followJob, requestOf } from '../change.ts'
import { defineCommand } from '../command.ts'
import type { CliContext } from '../context.ts'
import { changeFlags, namespaceFlag } from '../flags.ts'
import { formatChange } from '../output/change.ts'
import { usageError } from '../usage.ts'
import { jobFailure, waitForJob } from '../waiting.ts'
import { readWorkload } from '../workload.ts'

const releaseFlags = [
  namespaceFlag,
  {
    name: 'workload',
    type: 'strings',
    value: 'WORKLOAD',
    summary: 'a workload to release to, such as demo:deployment/web; may be repeated',
  },
  { name: 'all', type: 'bool', summary: 'release to every workload' },
  {
    name: 'exclude',
    type: 'strings',
    value: 'WORKLOAD',
    summary: 'a workload to leave out; may be repeated',
  },
  {
    name: 'update-image',
    short: 'i',
    type: 'string',
    value: 'IMAGE:TAG',
    summary: 'release this image wherever its repository is used',
  },
  {
    name: 'update-all-images',
    type: 'bool',
    summary: 'release the newest image that each tag pattern allows',
  },
  { name: 'dry-run', type: 'bool', summary: 'only show what would change' },
  { name: 'interactive', type: 'bool', summary: 'choose from what would change' },
  {
    name: 'force',
    short: 'f',
    type: 'bool',
    summary:
      'also change locked workloads (not with --all), and disregard tag patterns (not with --update-all-images)',
  },
  { name: 'watch', short: 'w', type: 'bool', summary: 'follow the rollout until every workload is ready' },
  {
    name: 'detailed-exitcode',
    type: 'bool',
    summary: 'tell by the exit code how it ended: 3 for nothing to change, 8 for not yet applied, and more',
  },
  ...changeFlags,
  {
    name: 'controller',
    short: 'c',
    type: 'strings',
    deprecated: 'changed to --workload, use that instead',
    summary: 'the older name of --workload',
  },
] as const

export const release = defineCommand({
  about: 'Commits new images to Git and waits until fluxd has applied the commit.',
  examples: [
    'fluxctl release --workload=demo:deployment/web --update-all-images',
    'fluxctl release --workload=demo:deployment/web --update-image=ghcr.io/org/web:1.4.2 --watch',
    'fluxctl release --all --update-image=ghcr.io/org/web:1.4.2 --dry-run',
  ],
  flags: releaseFlags,
  async run(ctx, { flags, given }) {
    const { io } = ctx
    checkFlags(ctx, flags)
    const image = await readRelease(ctx, flags)
    const cause = await causeOf(ctx, flags, given)
    const request = requestOf(flags, given)
    const planOnly = flags.dryRun || flags.interactive

    const fluxd = await ctx.fluxd()
    io.say(planOnly ? 'Submitting dry-run release ...' : 'Submitting release ...')
    const kind = planOnly ? 'plan' : 'execute'
    const id = await fluxd.update({ type: 'image', cause, spec: { ...image, kind } }, planOnly ? {} : request)
    const job = await waitForJob(ctx, fluxd, id)
    const failure = jobFailure(job)
    if (failure) throw failure

    const plan: Finish = { id, job, applied: false, outcome: 'done' }
    const options = { ...flags, request, awaitSync: !flags.dryRun }
    const finish = flags.interactive
      ? await releaseChosen(ctx, fluxd, plan, cause, options)
      : await finishJob(ctx, fluxd, id, job, options)

    const ids = finish.job === job && planOnly ? [] : affectedIds(finish.job.result ?? new Map())
    if (flags.watch && ids.length > 0) {
      const { watchRollout } = await import('../rollout.ts')
      const ready = await watchRollout(ctx, fluxd, ids, options)
      if (!ready) finish.outcome = 'rollout-failed'
    }
    if (flags.output === 'json') ctx.io.out(formatChange(finish))
    return finish.outcome
  },
})

type ReleaseFlags = FlagValues<typeof releaseFlags>

/** @throws FluxError `USAGE_INVALID` */
function checkFlags({ io }: CliContext, flags: ReleaseFlags): void {
  const { updateImage, updateAllImages, workload, controller, all, force, watch, dryRun } = flags
  if (updateImage !== '' && updateAllImages)
    throw usageError('please supply only one of --update-image=<image> or --update-all-images')
  if (updateImage === '' && !updateAllImages)
    throw usageError('please supply exactly one of --update-image=<image> or --update-all-images')
  if (workload.length + controller.length === 0 && !all)
    throw usageError('please supply either --all, or at least one --workload=<workload>')
  if (watch && dryRun) throw usageError('cannot use --watch with --dry-run')
  if (force && all && updateAllImages)
    throw usageError('--force has no effect when used with --all and --update-all-images')
  if (force && all) io.say('Warning: --force will not ignore locked workloads when used with --all')
  if (force && updateAllImages)
    io.say('Warning: --force will not ignore container image tags when used with --update-all-images')
  if (flags.interactive && !io.terminal)
    throw usageError('cannot use --interactive without a terminal', 'Use --dry-run to see what would change.')
}

/** @throws FluxError `RESOURCE_ID_INVALID` | `IMAGE_REF_INVALID` */
async function readRelease(ctx: CliContext, flags: ReleaseFlags): Promise<Omit<ImageRelease, 'kind'>> {
  const read = (text: string) => readWorkload(ctx, text, flags.namespace)
  const typed = [...flags.workload, ...flags.controller]
  const workloads = flags.all ? [allWorkloads] : await Promise.all(typed.map(read))
  const image = flags.updateAllImages ? allLatest : readImage(flags.updateImage)
  const excludes = flags.exclude.length > 0 ? await Promise.all(flags.exclude.map(read)) : null
  return { workloads, image, excludes, force: flags.force }
}

/** An image with its tag. fluxd would find whitespace in it only when the job runs. */
function readImage(text: string): string {
  const ref = parseImageRef(text)
  if (/\s/.test(text)) throw invalidImage(`parsing ${quote(text)}: invalid image ID`)
  if (!ref.tag)
    throw invalidImage('blank tag (if you want latest, explicitly state the tag :latest): invalid image ID')
  return formatImageRef(ref)
}

function invalidImage(what: string): FluxError {
  return new FluxError('IMAGE_REF_INVALID', { what })
}

/** Let a person choose from a plan, and release that. The plan itself is handed back where nothing is chosen. */
async function releaseChosen(
  ctx: CliContext,
  fluxd: Fluxd,
  plan: Finish,
  cause: Cause,
  options: FinishOptions & Pick<ReleaseFlags, 'force'> & { request: RequestOptions },
): Promise<Finish> {
  const { io } = ctx
  const { chooseUpdates } = await import('../menu.ts')
  const chosen = await chooseUpdates(ctx, plan.job.result ?? new Map(), options.verbose)
  if (chosen === 'nothing' || chosen === 'cancelled') {
    io.say(chosen === 'nothing' ? 'No changes found.' : 'Aborted.')
    return { ...plan, outcome: chosen }
  }
  io.say('Submitting selected release ...')
  const spec = { kind: 'execute', containers: chosen, skipMismatches: false, force: options.force }
  const id = await fluxd.update({ type: 'containers', cause, spec }, options.request)
  return followJob(ctx, fluxd, id, options)
}
