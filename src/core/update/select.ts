import { messageOf } from '../errors.ts'
import { formatImageRef, type ImageRef, parseImageRef } from '../image/ref.ts'
import { isSet, type Policies } from '../policy/policy.ts'
import type { ResourceId } from '../resource/id.ts'
import type { WorkloadContainer } from '../resource/workload.ts'
import { isSameRepository } from './images.ts'
import { orderIds, reasons, type WorkloadResult } from './result.ts'

/**
 * Which workloads an update is about: those of Git that no filter refuses and that the cluster runs.
 *
 * Follows `spec/flux-v1/release.md` §3: the filters on Git first, in order, the first refusal being the result; what
 * the cluster doesn't show is skipped; then the filters on what runs.
 */

export interface GitWorkload {
  policies: Policies
  containers: readonly WorkloadContainer[]
}

export interface ClusterWorkload {
  containers: readonly WorkloadContainer[]
  /** `fluxcd.io/ignore: "true"` on the live object */
  ignored: boolean
}

/** Both sides, by workload. The cluster's holds what is accessible and no add-on of kube-system. */
export interface WorkloadsToUpdate {
  git: ReadonlyMap<ResourceId, GitWorkload>
  cluster: ReadonlyMap<ResourceId, ClusterWorkload>
}

export interface Candidate {
  id: ResourceId
  git: GitWorkload
  cluster: ClusterWorkload
}

export interface SelectionFilters {
  /** only these */
  include?: readonly ResourceId[]
  exclude?: readonly ResourceId[]
  /** only those that run an image of this repository */
  image?: ImageRef
  /** leave out what is locked in Git or ignored in the cluster */
  honourLocks: boolean
}

export interface Selection {
  /** what refused workloads come to; candidates have no result yet */
  results: Map<ResourceId, WorkloadResult>
  /** in order of their IDs */
  candidates: Candidate[]
}

export function selectWorkloads({ git, cluster }: WorkloadsToUpdate, filters: SelectionFilters): Selection {
  const include = filters.include && new Set(filters.include)
  const exclude = new Set(filters.exclude)
  const results = new Map<ResourceId, WorkloadResult>()
  const candidates: Candidate[] = []

  for (const id of orderIds(git.keys())) {
    const inGit = git.get(id)
    const running = cluster.get(id)
    if (!inGit) continue
    if (include && !include.has(id)) results.set(id, refusal('ignored', reasons.notIncluded))
    else if (exclude.has(id)) results.set(id, refusal('ignored', reasons.excluded))
    else if (!running) results.set(id, refusal('skipped', reasons.notInCluster))
    else {
      const candidate = { id, git: inGit, cluster: running }
      const refused = refuse(candidate, filters)
      if (refused) results.set(id, refused)
      else candidates.push(candidate)
    }
  }
  return { results, candidates }
}

function refuse({ git, cluster }: Candidate, filters: SelectionFilters): WorkloadResult | undefined {
  const { image } = filters
  if (image) {
    const containers = readableContainers(cluster)
    if (typeof containers === 'string' || containers.length === 0)
      return refusal('ignored', reasons.notInCluster)
    if (!containers.some((container) => isSameRepository(container.image, image)))
      return refusal('ignored', reasons.differentImage)
  }
  if (!filters.honourLocks) return undefined
  if (isSet(git.policies, 'locked')) return refusal('skipped', reasons.locked)
  if (cluster.ignored) return refusal('skipped', reasons.ignore)
  return undefined
}

export interface ReadableContainer {
  name: string
  image: ImageRef
}

/** The containers that run, or why they can't be told: one image that can't be read hides them all. */
export function readableContainers({ containers }: ClusterWorkload): ReadableContainer[] | string {
  const readable: ReadableContainer[] = []
  for (const { name, image, imageText } of containers) {
    if (!image) return unreadable(imageText)
    readable.push({ name, image })
  }
  return readable
}

function unreadable(imageText: string): string {
  try {
    return `image ${formatImageRef(parseImageRef(imageText))} was not read`
  } catch (fault) {
    return messageOf(fault)
  }
}

export function refusal(status: 'ignored' | 'skipped' | 'failed', error: string): WorkloadResult {
  return { status, error, updates: [] }
}
