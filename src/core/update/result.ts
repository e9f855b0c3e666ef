import { compareCodePoints } from '../json.ts'
import type { ResourceId } from '../resource/id.ts'
import type { ContainerUpdate, UpdateSpec } from './spec.ts'

/**
 * What became of an update, workload by workload, and of the job that made it.
 *
 * Statuses and reasons are Flux v1's, word for word: scripts look for them (`spec/flux-v1/release.md` §3).
 */

export type ResultStatus = 'success' | 'failed' | 'skipped' | 'ignored' | 'unknown' | ''

export const reasons = {
  locked: 'locked',
  ignore: 'ignore',
  notIncluded: 'not included',
  excluded: 'excluded',
  differentImage: 'a different image',
  notInCluster: 'not accessible in cluster',
  notInRepository: 'not found in repository',
  imageNotFound: 'cannot find one or more images',
  upToDate: 'image(s) up to date',
  doesNotUseImage: 'does not use image(s)',
  containersNotFound: (names: readonly string[]) => `container(s) not found: ${names.join(', ')}`,
  tagMismatch: (names: readonly string[]) => `container(s) tag mismatch: ${names.join(', ')}`,
} as const

export interface WorkloadResult {
  status: ResultStatus
  /** one of `reasons`, or an error's text */
  error?: string
  /** empty for policy updates and for whatever isn't changed */
  updates: readonly ContainerUpdate[]
}

export type UpdateResult = ReadonlyMap<ResourceId, WorkloadResult>

export type JobState = 'queued' | 'running' | 'failed' | 'succeeded'

export interface JobStatus {
  state: JobState
  /** short text of what made the job fail; empty otherwise */
  error: string
  /** code of that failure; the original has none */
  errorCode?: string
  /** the commit that was made, or the head that a sync job found */
  revision?: string
  spec?: UpdateSpec
  result?: UpdateResult
}

/** IDs of a result in order. */
export function orderIds(ids: Iterable<ResourceId>): ResourceId[] {
  return [...ids].sort(compareCodePoints)
}

/** IDs that an update changes, in order. */
export function affectedIds(result: UpdateResult): ResourceId[] {
  return orderIds([...result].filter(([, { status }]) => status === 'success').map(([id]) => id))
}

/** What went wrong in a result, as one text: empty, `<id> failed: <reason>`, or `Multiple workloads failed: <ids>`. */
export function resultError(result: UpdateResult): string {
  const failed = orderIds([...result].filter(([, { status }]) => status === 'failed').map(([id]) => id))
  const only = failed[0]
  if (only === undefined) return ''
  if (failed.length === 1) return `${only} failed: ${result.get(only)?.error ?? ''}`
  return `Multiple workloads failed: ${failed.join(', ')}`
}
