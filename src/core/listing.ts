import { FluxError } from './errors.ts'
import type { ImageInfo } from './image/info.ts'
import { formatImageRef, type ImageRef } from './image/ref.ts'
import { parseTimestamp } from './image/timestamp.ts'
import { filterImages, sortImages } from './policy/choose.ts'
import type { TagPattern } from './policy/pattern.ts'
import { isSet, type Policies, patternFor } from './policy/policy.ts'
import type { ResourceId } from './resource/id.ts'
import type { Rollout } from './resource/rollout.ts'
import type { Workload } from './resource/workload.ts'
import { hasMetadata, imagesLike, type KnownImages } from './update/images.ts'

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
  /** why its images are not known, or automation holds: only where that is asked for */
  reasons?: readonly Reason[]
}

/** A stable code, and what happened in words. */
export interface Reason {
  code: string
  message: string
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

/** What is known of a workload, from both sides. */
export interface WorkloadFacts {
  workload: Workload
  status: string
  rollout: Rollout
  labels: Readonly<Record<string, string>> | null
  antecedent?: ResourceId | undefined
  syncError: string
  /** policies in Git; `undefined`: it isn't there, or Git can't be read */
  policies: Policies | undefined
  /** why workloads are missing from Git: `NotInRepo`, or what keeps Git from being read */
  missing: 'NotInRepo' | 'NotReady' | 'NoRepo'
  /** fluxd may not push */
  readonly: boolean
}

export function listWorkload(facts: WorkloadFacts): WorkloadListing {
  const { workload, status, rollout, labels, antecedent, syncError, missing, readonly } = facts
  const policies = facts.policies ?? new Map<string, string>()
  const readOnly = facts.policies === undefined ? missing : readonly ? 'ReadOnlyMode' : ''
  return {
    id: workload.id,
    containers: workload.containers.map(({ name, image }) => ({
      ...emptyContainer,
      name,
      current: { ...(image && { ref: image }), labels: {} },
    })),
    readOnly,
    status,
    rollout,
    syncError,
    ...(antecedent && { antecedent }),
    labels,
    automated: isSet(policies, 'automated'),
    locked: isSet(policies, 'locked'),
    ignore: isSet(policies, 'ignore'),
    policies,
  }
}

/** Fields that a listing of images may be restricted to, by their names on the wire. */
export const containerFields = [
  'Name',
  'Current',
  'LatestFiltered',
  'Available',
  'AvailableError',
  'AvailableImagesCount',
  'NewAvailableImagesCount',
  'FilteredImagesCount',
  'NewFilteredImagesCount',
] as const

export type ContainerField = (typeof containerFields)[number]

/** Read names of fields; none stands for all. @throws FluxError `IMAGE_FIELD_UNKNOWN` */
export function readContainerFields(names: readonly string[]): ReadonlySet<ContainerField> {
  if (names.length === 0) return new Set(containerFields)
  return new Set(
    names.map((name) => {
      const field = containerFields.find((known) => known === name)
      if (field) return field
      throw new FluxError('IMAGE_FIELD_UNKNOWN', {
        what: `${name} is an invalid field`,
        next: `Known fields: ${containerFields.join(', ')}.`,
      })
    }),
  )
}

/** The images of a workload's containers, each in the order of its pattern. */
export function listImages(
  { id, containers }: Workload,
  policies: Policies | undefined,
  known: KnownImages,
  fields: ReadonlySet<ContainerField>,
): ImageListing {
  return {
    id,
    containers: containers.map(({ name, image }) =>
      listContainer({
        name,
        current: image,
        images: image ? imagesLike(known, image) : [],
        pattern: patternFor(policies ?? new Map(), name),
        fields,
      }),
    ),
  }
}

interface ContainerFacts {
  name: string
  current: ImageRef | undefined
  /** every known image, in the container's spelling */
  images: readonly ImageInfo[]
  pattern: TagPattern
  fields: ReadonlySet<ContainerField>
}

function listContainer({ name, current, images, pattern, fields }: ContainerFacts): ListedContainer {
  const running = current && images.find(({ ref }) => formatImageRef(ref) === formatImageRef(current))
  const available = sortImages(images, pattern)
  const filtered = filterImages(images, pattern)
  const latest = filtered[0]
  const has = (field: ContainerField) => fields.has(field)
  return {
    name: has('Name') ? name : '',
    current: running && has('Current') ? listImage(running) : nothingKnown,
    latestFiltered: latest && has('LatestFiltered') ? listImage(latest) : nothingKnown,
    ...(has('Available') && { available: available.map(listImage) }),
    availableError: has('AvailableError') ? unknownAges(images) : '',
    availableCount: has('AvailableImagesCount') ? available.length : 0,
    newAvailableCount: has('NewAvailableImagesCount') ? countNewer(available, running, pattern) : 0,
    filteredCount: has('FilteredImagesCount') ? filtered.length : 0,
    newFilteredCount: has('NewFilteredImagesCount') ? countNewer(filtered, running, pattern) : 0,
  }
}

const nothingKnown: ListedImage = { labels: {} }
const emptyContainer: Omit<ListedContainer, 'name' | 'current'> = {
  latestFiltered: nothingKnown,
  availableError: '',
  availableCount: 0,
  newAvailableCount: 0,
  filteredCount: 0,
  newFilteredCount: 0,
}

/** How many at the head of a sorted list come before the image that runs. One that isn't known is the oldest. */
function countNewer(
  sorted: readonly ImageInfo[],
  running: ImageInfo | undefined,
  pattern: TagPattern,
): number {
  const from = running ?? { ref: { repository: '' }, labels: {} }
  const end = sorted.findIndex((image) => pattern.compare(image, from) >= 0)
  return end < 0 ? sorted.length : end
}

function unknownAges(images: readonly ImageInfo[]): string {
  const unknown = images.filter((image) => !hasMetadata(image)).length
  return unknown === 0 ? '' : `creation times of ${unknown} of ${images.length} images are not known yet`
}

function listImage({
  ref,
  digest,
  imageId,
  labels,
  createdAt,
  createdAtText,
  lastFetchedAt,
}: ImageInfo): ListedImage {
  const created = createdAtText ?? timeText(createdAt)
  const fetched = timeText(lastFetchedAt)
  return {
    ref,
    ...(digest && { digest }),
    ...(imageId && { imageId }),
    labels,
    ...(created && { createdAt: created }),
    ...(fetched && { lastFetchedAt: fetched }),
  }
}

function timeText(date: Date | undefined): string | undefined {
  return date && parseTimestamp(date.toISOString())?.text
}
