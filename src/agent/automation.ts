import { formatImageRef, imageName } from '../core/image/ref.ts'
import { isSet, patternFor } from '../core/policy/policy.ts'
import type { ResourceId } from '../core/resource/id.ts'
import { isWorkloadKind } from '../core/resource/workload.ts'
import {
  type AutomationDecision,
  automatedWorkloads,
  planAutomation,
  strayFilters,
} from '../core/update/automation.ts'
import { planAutomatedRelease } from '../core/update/plan.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { Metrics } from '../ports/metrics.ts'
import { startLoop } from '../runtime/loop.ts'
import type { ClusterView } from './cluster-view.ts'
import type { ImageCatalog } from './images.ts'
import type { Jobs } from './jobs.ts'
import type { LoadedManifests, ManifestStore } from './manifests.ts'
import type { Repository } from './repository.ts'
import { failureFields } from './tell.ts'
import { workloadsToUpdate } from './updates.ts'

/**
 * The automation poll: what is automated in Git, what runs, and what the registries have, put together into at most
 * one update, which goes in line like everybody's and is checked again when its turn comes.
 *
 * At start, at an interval, when a scan finds new tags, and when somebody switches automation on. Follows
 * `spec/flux-v1/automation.md` §1; what is held, and why, is decided in `core/update/automation.ts`.
 */
export interface Automation {
  /** Look soon. Requests that wait together become one. */
  ask(): void
  readonly ended: Promise<void>
}

export interface AutomationOptions {
  repository: Repository
  manifests: ManifestStore
  view: ClusterView
  images: ImageCatalog
  jobs: Jobs
  /** `--registry-disable-scanning` */
  scanningDisabled: boolean
  intervalMs: number
  clock: Clock
  log: Log
  metrics: Metrics
  signal: AbortSignal
}

/** Start polling, where images may be scanned and Git may be written. */
export function startAutomation(options: AutomationOptions): Automation {
  const log = options.log.with({ component: 'sync-loop' })
  const why = options.repository.readonly
    ? 'Repo is read-only'
    : options.scanningDisabled
      ? 'Registry scanning is disabled'
      : undefined
  if (why) {
    log.write({ info: `${why}; no image updates will be attempted` })
    return { ask() {}, ended: Promise.resolve() }
  }
  const poll = createPoll({ ...options, log })
  return startLoop({
    intervalMs: options.intervalMs,
    signal: options.signal,
    clock: options.clock,
    pass: poll,
    onError: (thrown) => log.write(failureFields(thrown)),
  })
}

/** One look, and the update that comes of it: it has ended when this resolves. */
function createPoll(options: AutomationOptions): () => Promise<void> {
  const { repository, view, images, jobs, log, metrics } = options
  /** what was told of each container since it was held, so that each hold is told once */
  let told = new Map<string, Set<string>>()

  const isTold = (holds: Map<string, Set<string>>, key: string, text: string): boolean => {
    const texts = told.get(key) ?? new Set()
    const known = texts.has(text)
    holds.set(key, texts.add(text))
    return known
  }

  const tell = (decisions: readonly AutomationDecision[], manifests: LoadedManifests) => {
    const holds = new Map<string, Set<string>>()
    for (const { workload, container, outcome, code, reason, current, target } of decisions) {
      const policies = manifests.resources.get(workload)?.policies ?? new Map()
      const about = {
        workload,
        container,
        ...(current && { repo: imageName(current) }),
        pattern: patternFor(policies, container).text,
        ...(current && { current: formatImageRef(current) }),
      }
      if (outcome === 'release' && target) {
        log.write({
          ...about,
          info: 'added update to automation run',
          new: formatImageRef(target),
          reason,
          code,
        })
      }
      if (outcome !== 'hold') continue
      const place = placeOf(manifests, workload)
      const key = `${workload} ${container}`
      if (isTold(holds, key, `${code} ${reason}`)) continue
      const source = code === 'PATTERN_INVALID' ? { source: place } : {}
      log.write({ ...about, ...source, warning: reason, action: 'skip container', code })
    }
    return holds
  }

  const tellStrays = (
    ids: readonly ResourceId[],
    manifests: LoadedManifests,
    holds: Map<string, Set<string>>,
  ) => {
    const live = view.workloads()
    for (const id of ids) {
      const containers = live.get(id)?.workload.containers.map(({ name }) => name)
      if (!containers) continue
      for (const container of strayFilters(manifests.resources.get(id)?.policies ?? new Map(), containers)) {
        const key = `${id} ${container} filter`
        const warning = `tag filter for container ${JSON.stringify(container)}, which the workload does not have`
        if (isTold(holds, key, warning)) continue
        log.write({
          workload: id,
          container,
          containers,
          source: placeOf(manifests, id),
          warning,
          code: 'FILTER_CONTAINER_UNKNOWN',
        })
      }
    }
  }

  return async () => {
    log.write({ msg: 'polling for new images for automated workloads' })
    await view.listed()
    const head = repository.head()
    if (repository.status().state !== 'ready' || !head) {
      return log.write({ msg: 'no automated workloads', info: 'git repo not ready' })
    }
    let manifests: LoadedManifests
    try {
      manifests = await options.manifests.loadWhole(repository.ready(), head)
    } catch (thrown) {
      const { err: error, ...rest } = failureFields(thrown)
      return log.write({ error: `getting unlocked automated resources: ${error}`, ...rest })
    }
    const workloads = workloadsToUpdate(manifests, view)
    const candidates = automatedWorkloads(workloads)
    for (const [id, { manifest, policies }] of manifests.resources) {
      if (isWorkloadKind(manifest.kind) || !isSet(policies, 'automated')) continue
      log.write({ resource: id, warning: 'automation of this resource kind is not supported' })
    }
    if (candidates.length === 0) {
      told = new Map()
      metrics.setAutomation(new Map())
      return log.write({ msg: 'no automated workloads' })
    }

    const { changes, decisions } = planAutomation(workloads, images.images, images.stateOf)
    const holds = tell(decisions, manifests)
    tellStrays(candidates, manifests, holds)
    told = holds
    metrics.setAutomation(countBy(decisions.map(({ code }) => code)))
    // what Git says already is on its way to the cluster
    const due = planAutomatedRelease(changes, workloads).changes
    if (due.length === 0) return
    const isDue = (change: (typeof changes)[number]) =>
      due.some(({ id, container }) => id === change.workload && container === change.container)
    await jobs.complete({
      type: 'auto',
      cause: { message: '', user: '' },
      changes: changes.filter(isDue),
    })
  }
}

function placeOf({ resources }: LoadedManifests, id: ResourceId): string {
  const manifest = resources.get(id)?.manifest
  return manifest ? `${manifest.file}:${manifest.line}` : ''
}

function countBy<T>(values: readonly T[]): Map<T, number> {
  const counts = new Map<T, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}
