import type { ImageInfo } from '../image/info.ts'
import { formatImageRef, type ImageRef } from '../image/ref.ts'
import { isCandidate } from '../policy/choose.ts'
import type { TagPattern } from '../policy/pattern.ts'
import { isSet, type Policies, patternFor } from '../policy/policy.ts'
import type { ResourceId } from '../resource/id.ts'
import { chooseImage, hasMetadata, type KnownImages, respellAll, retarget } from './images.ts'
import { orderIds } from './result.ts'
import { readableContainers, type WorkloadsToUpdate } from './select.ts'
import type { AutomatedChange } from './spec.ts'

/**
 * What automation does next: for each container of the automated workloads the image to release, or why none is.
 *
 * Follows `spec/flux-v1/automation.md` §1. Beyond v1, what is known only in part holds rather than guesses: an
 * invalid pattern, tags whose age isn't known, and any step backwards on a listing that may lack something.
 */

/** How much a listing of a repository can be trusted. */
export type ListingState = 'complete' | 'incomplete' | 'stale'

/** Stable codes: `-o json`, `explain` and logs carry them. */
export type AutomationCode =
  /** released: a better image is there */
  | 'NEWER'
  /** released, though lower: the filter no longer allows what runs */
  | 'FILTER_CHANGED'
  /** released, though lower: what runs is no longer the best that the registry has */
  | 'BACKWARDS'
  | 'UP_TO_DATE'
  | 'NO_MATCH'
  | 'IMAGE_UNREADABLE'
  /** held: the registry has not been asked yet, or did not answer */
  | 'LISTING_MISSING'
  | 'LISTING_INCOMPLETE'
  | 'LISTING_STALE'
  | 'PATTERN_INVALID'
  /** held: a tag passes the filter whose creation time isn't known yet */
  | 'METADATA_MISSING'
  /** held: order is by creation time, and the image that runs or the best one has none */
  | 'TIME_UNKNOWN'
  /** held: order is by creation time, and the best image says that it was made in 1970, as reproducible builds do */
  | 'TIME_EPOCH'
  /** held: the workload runs a digest, and that of the best image isn't known */
  | 'DIGEST_UNKNOWN'

export interface AutomationDecision {
  workload: ResourceId
  container: string
  outcome: 'release' | 'hold' | 'none'
  code: AutomationCode
  /** one line for logs: what was compared, or what is missing */
  reason: string
  current?: ImageRef
  target?: ImageRef
}

export interface AutomationPlan {
  changes: AutomatedChange[]
  /** of every container of the candidates, by workload */
  decisions: AutomationDecision[]
}

/** Workloads that are automated, and neither locked nor ignored, in Git. */
export function automatedWorkloads({ git }: Pick<WorkloadsToUpdate, 'git'>): ResourceId[] {
  return orderIds(
    [...git]
      .filter(([, { policies }]) => isSet(policies, 'automated'))
      .filter(([, { policies }]) => !isSet(policies, 'locked') && !isSet(policies, 'ignore'))
      .map(([id]) => id),
  )
}

/** Containers that a tag filter of Git names and the workload doesn't have: a filter that filters nothing. */
export function strayFilters(policies: Policies, containers: readonly string[]): string[] {
  return [...policies.keys()]
    .flatMap((policy) => (policy.startsWith('tag.') ? policy.slice('tag.'.length) : []))
    .filter((container) => !containers.includes(container))
    .sort()
}

export function planAutomation(
  workloads: WorkloadsToUpdate,
  known: KnownImages,
  stateOf: (image: ImageRef) => ListingState,
): AutomationPlan {
  const decisions = automatedWorkloads(workloads).flatMap((workload) => {
    const running = workloads.cluster.get(workload)
    const policies = workloads.git.get(workload)?.policies ?? new Map()
    if (!running) return []
    const containers = readableContainers(running)
    if (typeof containers === 'string') {
      const unreadable = { outcome: 'none', code: 'IMAGE_UNREADABLE', reason: containers } as const
      return running.containers.map(
        ({ name }): AutomationDecision => ({ workload, container: name, ...unreadable }),
      )
    }
    return containers.map(({ name, image: current }): AutomationDecision => {
      const pattern = patternFor(policies, name)
      const verdict = decide({ current, pattern, known, state: stateOf(current) })
      return { workload, container: name, current, ...verdict }
    })
  })
  const changes = decisions.flatMap(({ workload, container, outcome, current, target }) =>
    outcome === 'release' && current && target ? [{ workload, container, current, target }] : [],
  )
  return { changes, decisions }
}

type Verdict = Pick<AutomationDecision, 'outcome' | 'code' | 'reason' | 'target'>

interface Situation {
  current: ImageRef
  pattern: TagPattern
  known: KnownImages
  state: ListingState
}

function decide({ current, pattern, known, state }: Situation): Verdict {
  if (pattern.fault !== undefined) return hold('PATTERN_INVALID', `${pattern.text}: ${pattern.fault}`)
  const found = known(current, pattern)
  if (!found) return hold('LISTING_MISSING', 'the tags of this repository are not known')

  const images = respellAll(found, current)
  const choice = chooseImage(images, pattern)
  if (choice.kind === 'none')
    return { outcome: 'none', code: 'NO_MATCH', reason: `no tag matches ${pattern.text}` }
  const tagOf = ({ ref }: ImageInfo) => ref.tag ?? ''
  if (choice.kind === 'unknown') {
    const tag = JSON.stringify(tagOf(choice.image))
    return hold('METADATA_MISSING', `inconsistent repository metadata: missing metadata for image tag ${tag}`)
  }

  const best = choice.image
  const running = findRunning(images, current)
  const target = retarget(current, best)
  if (!target) return hold('DIGEST_UNKNOWN', `the digest of ${formatImageRef(best.ref)} is not known`)
  if (formatImageRef(target) === formatImageRef(current))
    return { outcome: 'none', code: 'UP_TO_DATE', reason: `latest ${tagOf(best)} is what runs` }
  if (pattern.needsTimestamps && !(best.createdAt && running?.createdAt)) {
    const undated = best.createdAt ? formatImageRef(current) : formatImageRef(best.ref)
    return hold('TIME_UNKNOWN', `image with zero created timestamp: ${undated}`)
  }

  if (pattern.needsTimestamps && best.createdAt?.getTime() === 0)
    return hold('TIME_EPOCH', `image created in 1970: ${formatImageRef(best.ref)}`)

  const from = running ?? { ref: current, labels: {} }
  const reason = `latest ${tagOf(best)} (${timeOf(best)}) > current ${tagOf(from)} (${timeOf(from)})`
  if (pattern.compare(best, from) < 0) return { outcome: 'release', code: 'NEWER', reason, target }
  if (state === 'incomplete') return hold('LISTING_INCOMPLETE', `${tagOf(best)} is lower than what runs`)
  if (state === 'stale') return hold('LISTING_STALE', `${tagOf(best)} is lower than what runs`)
  const allowed = isCandidate(from.ref.tag ?? '', pattern)
  return { outcome: 'release', code: allowed ? 'BACKWARDS' : 'FILTER_CHANGED', reason, target }
}

/** What is known of the image that runs, by its tag or by its digest. */
function findRunning(images: readonly ImageInfo[], current: ImageRef): ImageInfo | undefined {
  return images.filter(hasMetadata).find(({ ref, digest }) => {
    return current.digest ? digest === current.digest : ref.tag === current.tag
  })
}

function hold(code: AutomationCode, reason: string): Verdict {
  return { outcome: 'hold', code, reason }
}

/** As Go prints times: `2024-06-01 00:00:00 +0000 UTC`. */
function timeOf({ createdAt, createdAtText }: ImageInfo): string {
  const text = createdAtText ?? createdAt?.toISOString()
  const [, date, time, fraction = '', zone = ''] =
    /^(\S+)T(\d\d:\d\d:\d\d)(\.\d+?)?0*(Z|[+-]\d\d:\d\d)$/.exec(text?.replace(/\.0+Z$/, 'Z') ?? '') ?? []
  if (date === undefined) return 'time not known'
  const offset = zone === 'Z' ? '+0000 UTC' : `${zone.replace(':', '')} ${zone.replace(':', '')}`
  return `${date} ${time}${fraction} ${offset}`
}
