import type { FluxEvent } from '../core/sync/event.ts'
import { changedImages } from '../core/update/commit-message.ts'
import { resultError } from '../core/update/result.ts'
import { allWorkloads, type UpdateSpec } from '../core/update/spec.ts'
import { timeToWire } from './json.ts'
import { automatedChangesToWire, causeToWire, updateResultToWire, updateSpecToWire } from './write.ts'

/** Events as Flux v1 posts them upstream (JSON) and writes them into the log (`spec/flux-v1/daemon.md` §7). */

/** An event with its fields in Go's order; `formatWire` prints it. */
export function eventToWire(event: FluxEvent): object {
  return {
    id: 0,
    serviceIDs: [...event.ids],
    type: event.type,
    startedAt: timeToWire(event.startedAt),
    endedAt: timeToWire(event.endedAt),
    logLevel: 'info',
    metadata: metadataToWire(event),
  }
}

function metadataToWire(event: FluxEvent): object {
  switch (event.type) {
    case 'commit':
      return {
        revision: event.revision,
        spec: updateSpecToWire(event.update),
        ...(event.result.size > 0 && { result: updateResultToWire(event.result) }),
      }
    case 'sync':
      return {
        commits: event.commits.map(({ revision, message }) => ({ revision, message })),
        includes: Object.fromEntries(event.includes.map((kind) => [kind, true])),
        ...(event.errors.length > 0 && {
          errors: event.errors.map(({ id, source, error }) => ({ ID: id, Path: source, Error: error })),
        }),
        ...(event.initial && { initialSync: true }),
      }
    case 'release':
      return {
        ...releaseToWire(event),
        spec: releaseSpecToWire(event.update),
        cause: causeToWire(event.update.cause),
      }
    case 'autorelease':
      return { ...releaseToWire(event), spec: automatedChangesToWire(event.update.changes) }
  }
}

function releaseToWire({
  revision,
  result,
}: Extract<FluxEvent, { type: 'release' | 'autorelease' }>): object {
  const error = resultError(result)
  return { Revision: revision, result: updateResultToWire(result), ...(error && { error }) }
}

function releaseSpecToWire(update: Extract<UpdateSpec, { type: 'image' | 'containers' }>): object {
  const { type, spec } = updateSpecToWire(update)
  return type === 'image'
    ? { Type: 'releaseImageSpecType', ReleaseImageSpec: spec, ReleaseContainersSpec: null }
    : { Type: 'releaseContainersSpecType', ReleaseImageSpec: null, ReleaseContainersSpec: spec }
}

/** One line for people and logs. */
export function describeEvent(event: FluxEvent): string {
  const ids = event.ids.join(', ')
  switch (event.type) {
    case 'commit':
      return `Commit: ${shortRevision(event.revision)}, ${ids || '<no changes>'}`
    case 'sync':
      return `Sync: ${describeRange(event.commits.map(({ revision }) => revision))}, ${ids || 'no workloads changed'}`
    case 'autorelease':
      return `Automated release of ${describeImages(event)}`
    case 'release': {
      const { cause, type, spec } = event.update
      const all = type === 'image' && spec.workloads?.includes(allWorkloads)
      const workloads = all ? 'all workloads' : ids || 'no workloads'
      const by = cause.user && `, by ${cause.user}`
      const message = cause.message && `, with message ${JSON.stringify(cause.message)}`
      return `Released: ${describeImages(event)} to ${workloads}${by}${message}`
    }
  }
}

function describeImages({ result }: Extract<FluxEvent, { type: 'release' | 'autorelease' }>): string {
  return changedImages(result).join(', ') || 'no image changes'
}

/** @param revisions newest first */
function describeRange(revisions: readonly string[]): string {
  const [newest] = revisions
  if (newest === undefined) return '<no revision>'
  if (revisions.length <= 2) return shortRevision(newest)
  return `${shortRevision(revisions.at(-1) ?? '')}..${shortRevision(newest)}`
}

function shortRevision(revision: string): string {
  return revision.slice(0, 7)
}
