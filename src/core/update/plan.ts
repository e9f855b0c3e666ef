import { FluxError } from '../errors.ts'
import { formatImageRef, type ImageRef, parseImageRef } from '../image/ref.ts'
import { isCandidate } from '../policy/choose.ts'
import { matchAllTags } from '../policy/pattern.ts'
import { patternFor } from '../policy/policy.ts'
import { parseResourceId, type ResourceId } from '../resource/id.ts'
import {
  type Choice,
  chooseImage,
  imagesLike,
  isSameRepository,
  type KnownImages,
  respell,
  retarget,
} from './images.ts'
import { reasons, type WorkloadResult } from './result.ts'
import {
  type Candidate,
  readableContainers,
  refusal,
  type Selection,
  selectWorkloads,
  type WorkloadsToUpdate,
} from './select.ts'
import {
  type AutomatedChange,
  allLatest,
  allWorkloads,
  type ContainersRelease,
  type ContainerUpdate,
  type ImageRelease,
  type PolicyUpdates,
} from './spec.ts'

/**
 * What an update does to Git, decided before anything is touched: the result of every workload, and the images to set.
 *
 * Releases take the current image from the cluster, automated updates from Git. Nothing here compares ages: the best
 * image may be older than the current one. Follows `spec/flux-v1/release.md` §3 to §6 and §8.
 */

/** An image to set in a manifest. */
export interface ImageChange {
  id: ResourceId
  container: string
  current: ImageRef
  target: ImageRef
}

export interface UpdatePlan {
  results: Map<ResourceId, WorkloadResult>
  /** by ID, then in the order of containers */
  changes: ImageChange[]
}

/**
 * Plan a release of one image, or of the best images.
 *
 * @param known every image of a repository, for a release of the best ones. For a release of one image it may know
 *   that image's digest; that the image exists is for the caller to find out first (see `imageToRelease`).
 * @throws FluxError `RESOURCE_ID_INVALID` | `IMAGE_REF_INVALID`
 */
export function planImageRelease(
  release: ImageRelease,
  workloads: WorkloadsToUpdate,
  known: KnownImages,
): UpdatePlan {
  const only = imageToRelease(release)
  const { results, candidates } = selectForImageRelease(release, workloads)
  const changes: ImageChange[] = []
  for (const candidate of candidates) {
    const result = planCandidate(candidate, { release, only, known })
    results.set(candidate.id, result)
    changes.push(...changesOf(candidate.id, result.updates))
  }
  for (const id of requestedIds(release) ?? []) {
    if (!results.has(id)) results.set(id, refusal('skipped', reasons.notInRepository))
  }
  return { results, changes }
}

/** The image that a release names; `undefined` for `<all latest>`. @throws FluxError `IMAGE_REF_INVALID` */
export function imageToRelease({ image }: ImageRelease): ImageRef | undefined {
  return image === allLatest ? undefined : parseImageRef(image)
}

/** One image of each repository that a release of the best images has to know of. */
export function repositoriesNeeded(release: ImageRelease, workloads: WorkloadsToUpdate): ImageRef[] {
  if (imageToRelease(release)) return []
  return selectForImageRelease(release, workloads).candidates.flatMap(({ cluster }) => {
    const containers = readableContainers(cluster)
    return typeof containers === 'string' ? [] : containers.map(({ image }) => image)
  })
}

function selectForImageRelease(release: ImageRelease, workloads: WorkloadsToUpdate): Selection {
  const ids = requestedIds(release)
  const image = imageToRelease(release)
  return selectWorkloads(workloads, {
    ...(ids && { include: ids }),
    ...(release.excludes && { exclude: release.excludes }),
    ...(image && { image }),
    honourLocks: !(ids && release.force),
  })
}

/** The workloads that a release names; `undefined`: all of them. */
function requestedIds({ workloads }: ImageRelease): ResourceId[] | undefined {
  if (!workloads || workloads.length === 0 || workloads.includes(allWorkloads)) return undefined
  return workloads.map(parseResourceId)
}

interface ImageReleaseContext {
  release: ImageRelease
  only: ImageRef | undefined
  known: KnownImages
}

function planCandidate(candidate: Candidate, context: ImageReleaseContext): WorkloadResult {
  const containers = readableContainers(candidate.cluster)
  if (typeof containers === 'string') return refusal('failed', containers)

  const updates: ContainerUpdate[] = []
  // where nothing is updated, the last container that had nothing to do says why
  let nothing = refusal('ignored', reasons.doesNotUseImage)
  for (const { name, image: current } of containers) {
    const choice = chooseFor(candidate, name, current, context)
    const target = choice.kind === 'best' ? retarget(current, choice.image) : undefined
    if (choice.kind === 'none' && !isRequested(current, context)) {
      nothing = refusal('ignored', reasons.doesNotUseImage)
    } else if (!target) nothing = refusal('skipped', reasons.imageNotFound)
    else if (formatImageRef(target) === formatImageRef(current))
      nothing = refusal('skipped', reasons.upToDate)
    else updates.push({ container: name, current, target })
  }
  return updates.length > 0 ? { status: 'success', updates } : nothing
}

/** Forcing one image takes it past the container's pattern, though not `latest` past the rule for that tag. */
function chooseFor(
  { git }: Candidate,
  container: string,
  current: ImageRef,
  { release, only, known }: ImageReleaseContext,
): Choice {
  if (!only) {
    // a release doesn't ask which of them runs, so that a digest need not be looked for
    const wanted = patternFor(git.policies, container)
    return chooseImage(imagesLike(known, respell(current, current.tag), wanted), wanted)
  }
  const pattern = release.force ? matchAllTags : patternFor(git.policies, container)
  if (!isSameRepository(current, only) || !isCandidate(only.tag ?? '', pattern)) return { kind: 'none' }
  const image = imagesLike(known, respell(current, only.tag), pattern).find(({ ref }) => ref.tag === only.tag)
  return { kind: 'best', image: image ?? { ref: only, labels: {} } }
}

function isRequested(image: ImageRef, { only }: ImageReleaseContext): boolean {
  return only !== undefined && isSameRepository(image, only)
}

/**
 * Plan a release of chosen images. All or nothing: one workload that can't be satisfied fails the release.
 *
 * @throws FluxError `UPDATE_UNSATISFIABLE` | `NO_CHANGES`
 */
export function planContainersRelease(release: ContainersRelease, workloads: WorkloadsToUpdate): UpdatePlan {
  const asked = release.containers ?? new Map<ResourceId, readonly ContainerUpdate[]>()
  const { results, candidates } = selectWorkloads(workloads, {
    include: [...asked.keys()],
    honourLocks: !release.force,
  })
  const changes: ImageChange[] = []
  for (const candidate of candidates) {
    const result = planContainers(candidate, asked.get(candidate.id) ?? [], release.skipMismatches)
    results.set(candidate.id, result)
    changes.push(...changesOf(candidate.id, result.updates))
  }

  const statuses = new Set([...results.values()].map(({ status }) => status))
  if (statuses.has('failed')) throw unsatisfiable(results)
  if (!statuses.has('success')) throw noChanges(results)
  return { results, changes }
}

function planContainers(
  { cluster }: Candidate,
  asked: readonly ContainerUpdate[],
  skipMismatches: boolean,
): WorkloadResult {
  const containers = readableContainers(cluster)
  if (typeof containers === 'string') return refusal('failed', containers)

  const running = new Map(containers.map(({ name, image }) => [name, image]))
  const missing: string[] = []
  const mismatched: string[] = []
  const updates: ContainerUpdate[] = []
  for (const { container, current, target } of asked) {
    const image = running.get(container)
    if (!image) missing.push(container)
    else if (current && !isSameText(current, image)) mismatched.push(container)
    else if (!isSameText(target, image)) updates.push({ container, current: image, target })
  }

  if (missing.length > 0) return refusal('failed', reasons.containersNotFound(missing))
  const mismatch = mismatched.length > 0 ? reasons.tagMismatch(mismatched) : undefined
  if (mismatch && !skipMismatches) return refusal('failed', mismatch)
  if (updates.length === 0) return refusal('skipped', mismatch ?? reasons.upToDate)
  return { status: 'success', ...(mismatch && { error: mismatch }), updates }
}

/** Plan what automation chose earlier, on what Git and the cluster say now. */
export function planAutomatedRelease(
  chosen: readonly AutomatedChange[],
  workloads: WorkloadsToUpdate,
): UpdatePlan {
  const asked = new Set(chosen.map(({ workload }) => workload))
  const { results, candidates } = selectWorkloads(workloads, { include: [...asked], honourLocks: true })
  const changes: ImageChange[] = []
  for (const { id, git } of candidates) {
    const updates = git.containers.flatMap(({ name, image: current }): ContainerUpdate[] => {
      if (!current) return []
      return chosen
        .filter(({ workload, container }) => workload === id && container === name)
        .flatMap(({ target: image }) => retarget(current, { ref: image, labels: {} }) ?? [])
        .filter((target) => !isSameText(target, current))
        .map((target) => ({ container: name, current, target }))
    })
    results.set(
      id,
      updates.length > 0 ? { status: 'success', updates } : refusal('skipped', reasons.upToDate),
    )
    changes.push(...changesOf(id, updates))
  }
  for (const id of asked) {
    if (!results.has(id)) results.set(id, refusal('skipped', reasons.notInRepository))
  }
  return { results, changes }
}

/** Whether a policy update switches automation on somewhere, which calls for a look at new images at once. */
export function addsAutomation(updates: PolicyUpdates | null): boolean {
  return [...(updates?.values() ?? [])].some(({ add }) => add?.get('automated') === 'true')
}

function changesOf(id: ResourceId, updates: readonly ContainerUpdate[]): ImageChange[] {
  return updates.flatMap(({ container, current, target }) =>
    current ? [{ id, container, current, target }] : [],
  )
}

function isSameText(a: ImageRef, b: ImageRef): boolean {
  return formatImageRef(a) === formatImageRef(b)
}

function unsatisfiable(results: UpdatePlan['results']): FluxError {
  return new FluxError('UPDATE_UNSATISFIABLE', {
    what: 'cannot satisfy specs',
    why: describe(results, 'failed'),
    next: 'List the containers again and ask for what they run now, or skip those that have changed.',
  })
}

function noChanges(results: UpdatePlan['results']): FluxError {
  return new FluxError('NO_CHANGES', {
    what: 'no changes found',
    why: describe(results, 'skipped') || 'None of the workloads asked for is in Git.',
  })
}

function describe(results: UpdatePlan['results'], status: WorkloadResult['status']): string {
  return [...results]
    .filter(([, result]) => result.status === status)
    .map(([id, { error }]) => `${id}: ${error}`)
    .join('\n')
}
