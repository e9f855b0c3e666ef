import type { ImageRef } from './image/ref.ts'
import type { Policies } from './policy/policy.ts'
import type { ResourceId } from './resource/id.ts'
import type { Rollout } from './resource/rollout.ts'

/**
 * What `list-workloads` and `list-images` show, put together from what Git, the cluster and the registries know.
 *
 * Follows `spec/flux-v1/http-api.md` §4 and §6, `automation.md` §8.
 */

/** An image as a listing shows it. Times are RFC 3339 text: a `Date` would round a registry's nanoseconds. */
export interface ListedImage {
  /** absent where nothing is known of the image */
  ref?: ImageRef
  digest?: string
  imageId?: string
  labels: Readonly<Record<string, string>>
  createdAt?: string
  lastFetchedAt?: string
}

export interface ListedContainer {
  /** empty when a listing was asked for without it */
  name: string
  current: ListedImage
  /** the best image that the container's pattern allows */
  latestFiltered: ListedImage
  /** every known image in the pattern's order, also those that the pattern doesn't allow */
  available?: readonly ListedImage[]
  /** why none, or not all, are available; empty otherwise */
  availableError: string
  availableCount: number
  /** how many at the head of `available` are newer than `current` */
  newAvailableCount: number
  filteredCount: number
  newFilteredCount: number
}

/** Why fluxd can't change a workload; empty: it can. */
export type ReadOnlyReason = '' | 'NotInRepo' | 'NotReady' | 'NoRepo' | 'ReadOnlyMode' | 'System'

export interface WorkloadListing {
  id: ResourceId
  containers: readonly ListedContainer[]
  readOnly: ReadOnlyReason
  /** `started`, `updating`, `ready`, `error`, `unknown`, a Helm release's own status, or empty */
  status: string
  rollout: Rollout
  syncError: string
  /** the resource that made this one */
  antecedent?: ResourceId
  labels: Readonly<Record<string, string>> | null
  automated: boolean
  locked: boolean
  ignore: boolean
  /** in Git */
  policies: Policies
}

export interface ImageListing {
  id: ResourceId
  containers: readonly ListedContainer[]
}
