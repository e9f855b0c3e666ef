import type { ResourceId } from '../resource/id.ts'
import { affectedIds, orderIds, type UpdateResult } from '../update/result.ts'
import type { UpdateSpec } from '../update/spec.ts'

/**
 * What fluxd tells of: commits that it made, syncs, and the releases that a sync met (`spec/flux-v1/daemon.md` §7).
 */
export type FluxEvent = EventFrame &
  (
    | { type: 'commit'; revision: string; update: UpdateSpec; result: UpdateResult }
    | {
        type: 'sync'
        /** newest first */
        commits: readonly SyncedCommit[]
        /** kinds of commits among them, in order */
        includes: readonly CommitKind[]
        errors: readonly SyncFault[]
        initial: boolean
      }
    | {
        type: 'release'
        revision: string
        update: Extract<UpdateSpec, { type: 'image' | 'containers' }>
        result: UpdateResult
      }
    | {
        type: 'autorelease'
        revision: string
        update: Extract<UpdateSpec, { type: 'auto' }>
        result: UpdateResult
      }
  )

interface EventFrame {
  /** the resources it is about, in order */
  ids: readonly ResourceId[]
  startedAt: Date
  endedAt: Date
}

export interface SyncedCommit {
  revision: string
  /** first line of the message */
  message: string
}

/** A resource that could not be applied. */
export interface SyncFault {
  id: ResourceId
  /** the file it stands in */
  source: string
  error: string
}

export type CommitKind = 'autorelease' | 'other' | 'release' | 'update_policy'

/** A note as a sync reads it. */
export interface CommitNote {
  spec: UpdateSpec
  result?: UpdateResult | undefined
}

export interface SyncFacts {
  /** the commits that it covered, newest first */
  commits: readonly SyncedCommit[]
  /** by revision, of those commits that have a note */
  notes: ReadonlyMap<string, CommitNote>
  /** resources that are new, or whose content changed */
  updated: Iterable<ResourceId>
  errors: readonly SyncFault[]
  /** there was no marker before */
  initial: boolean
  startedAt: Date
  endedAt: Date
}

export interface SyncStory {
  /** the sync's own event first, then one for each release among its commits, the oldest first */
  events: FluxEvent[]
  /** set when a first sync meets notes: another fluxd may be using the repository */
  warning?: string
}

/** The events of a sync. Without commits there is nothing to tell. */
export function planSyncEvents(facts: SyncFacts): SyncStory {
  const { commits, notes, initial, startedAt, endedAt } = facts
  if (commits.length === 0) return { events: [] }
  const includes = new Set<CommitKind>()
  const releases: FluxEvent[] = []
  let warning: string | undefined
  for (const { revision } of commits.toReversed()) {
    const note = notes.get(revision)
    if (note && initial) {
      warning = 'no notes expected on initial sync; this repo may be in use by another fluxd'
      break
    }
    includes.add(kindOf(note?.spec))
    if (note) releases.push(...releaseEvents(revision, note, { startedAt, endedAt }))
  }
  const sync: FluxEvent = {
    type: 'sync',
    ids: orderIds(facts.updated),
    startedAt,
    endedAt: startedAt,
    commits,
    includes: [...includes].sort(),
    errors: facts.errors,
    initial,
  }
  return { events: [sync, ...releases], ...(warning && { warning }) }
}

/** The event of a commit that a job made. */
export function commitEvent(
  revision: string,
  update: UpdateSpec,
  result: UpdateResult,
  startedAt: Date,
): FluxEvent {
  return { type: 'commit', ids: affectedIds(result), startedAt, endedAt: startedAt, revision, update, result }
}

function kindOf(spec: UpdateSpec | undefined): CommitKind {
  switch (spec?.type) {
    case 'image':
    case 'containers':
      return 'release'
    case 'auto':
      return 'autorelease'
    case 'policy':
      return 'update_policy'
    default:
      return 'other'
  }
}

function releaseEvents(
  revision: string,
  { spec: update, result = new Map() }: CommitNote,
  times: Pick<EventFrame, 'startedAt' | 'endedAt'>,
): FluxEvent[] {
  const common = { ids: affectedIds(result), ...times, revision, result }
  if (update.type === 'image' || update.type === 'containers') return [{ type: 'release', ...common, update }]
  return update.type === 'auto' ? [{ type: 'autorelease', ...common, update }] : []
}
