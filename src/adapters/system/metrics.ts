import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Metrics } from '../../ports/metrics.ts'

/**
 * Prometheus metrics under v1's names, buckets and labels, and those of the process beside them.
 *
 * Follows `spec/flux-v1/daemon.md` §5. Left out: what v1 counted of memcached and of its upstream connection, neither
 * of which is here.
 */

const syncBuckets = [0.5, 5, 10, 20, 30, 40, 50, 60, 75, 90, 120, 240]
const jobBuckets = [0.1, 0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 120]
const defaultBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** in milliseconds; each sample wakes the process */
export const eventLoopMonitoringPrecision = 100

export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision })

  const histogram = <T extends string>(
    name: string,
    help: string,
    labelNames: readonly T[],
    buckets = defaultBuckets,
  ) => new Histogram({ name, help, labelNames, buckets, registers })
  // a gauge or histogram without labels would show before it has observed anything: it is made when it has
  const lazily = <T>(make: () => T) => {
    let made: T | undefined
    return () => {
      made ??= make()
      return made
    }
  }

  const sync = histogram(
    'flux_daemon_sync_duration_seconds',
    'Duration of a sync from Git to the cluster, in seconds.',
    ['success'],
    syncBuckets,
  )
  const syncManifests = new Gauge({
    name: 'flux_daemon_sync_manifests',
    help: 'Manifests of the last sync, by whether they could be applied.',
    labelNames: ['success'],
    registers,
  })
  const job = histogram(
    'flux_daemon_job_duration_seconds',
    'Duration of a job, in seconds.',
    ['success'],
    jobBuckets,
  )
  const queueWait = lazily(() =>
    histogram(
      'flux_daemon_queue_duration_seconds',
      'Time that a job waited for its turn, in seconds.',
      [],
      jobBuckets,
    ),
  )
  const queueLength = lazily(
    () =>
      new Gauge({
        name: 'flux_daemon_queue_length_count',
        help: 'Jobs that wait for their turn.',
        registers,
      }),
  )
  const gitReady = lazily(
    () =>
      new Gauge({
        name: 'flux_git_ready',
        help: 'Whether the Git repository can be used: 1 or 0.',
        registers,
      }),
  )
  const driftedObjects = lazily(
    () =>
      new Gauge({
        name: 'fluxd_drifted_objects',
        help: 'Objects that differ from Git and are left so: contested, or with --drift=report.',
        registers,
      }),
  )
  const pruned = lazily(
    () =>
      new Counter({
        name: 'fluxd_pruned_objects_total',
        help: 'Objects that garbage collection deleted, or could not delete.',
        labelNames: ['success'],
        registers,
      }),
  )
  const kept = new Gauge({
    name: 'fluxd_kept_objects',
    help: 'Objects that left Git and that garbage collection keeps, by why.',
    labelNames: ['code'],
    registers,
  })
  const registryRequest = histogram(
    'flux_client_fetch_duration_seconds',
    'Duration of requests to image registries, in seconds.',
    ['kind', 'success'],
  )
  const imageLookup = histogram(
    'flux_registry_fetch_duration_seconds',
    'Duration of lookups in what is known of images, in seconds.',
    ['success'],
  )
  const automation = new Gauge({
    name: 'fluxd_automation_containers',
    help: 'Containers of automated workloads at the last poll, by what was decided.',
    labelNames: ['code'],
    registers,
  })
  const imageRepositories = new Gauge({
    name: 'fluxd_image_repositories',
    help: 'Image repositories that run, by what kept the last scan from listing them, or OK.',
    labelNames: ['code'],
    registers,
  })
  const imageTags = new Gauge({
    name: 'fluxd_image_tags',
    help: 'Tags of these repositories whose image cannot be used, by why.',
    labelNames: ['code'],
    registers,
  })
  const imageStore = new Gauge({
    name: 'fluxd_image_store',
    help: 'Whether what registries tell outlives this process: by why it does not, or OK.',
    labelNames: ['code'],
    registers,
  })
  const release = histogram(
    'flux_fluxsvc_release_duration_seconds',
    'Duration of updates of workloads, in seconds.',
    ['release_type', 'release_kind', 'success'],
  )
  const releaseStage = histogram(
    'flux_fluxsvc_release_stage_duration_seconds',
    'Duration of the stages of an update, in seconds.',
    ['stage'],
  )
  const request = histogram('flux_request_duration_seconds', 'Duration of requests to the API, in seconds.', [
    'method',
    'route',
    'status_code',
    'ws',
  ])

  return {
    observeSync: ({ success, durationMs }) => sync.observe({ success: `${success}` }, durationMs / 1000),
    setSyncManifests({ applied, failed }) {
      syncManifests.set({ success: 'true' }, applied)
      syncManifests.set({ success: 'false' }, failed)
    },
    observeJob: ({ success, durationMs }) => job.observe({ success: `${success}` }, durationMs / 1000),
    observeQueueWait: (durationMs) => queueWait().observe(durationMs / 1000),
    setQueueLength: (length) => queueLength().set(length),
    setDriftedObjects: (count) => driftedObjects().set(count),
    countPruned({ deleted, failed }) {
      pruned().inc({ success: 'true' }, deleted)
      pruned().inc({ success: 'false' }, failed)
    },
    setKeptObjects: (objects) => setByCode(kept, objects),
    setGitReady: (ready) => gitReady().set(ready ? 1 : 0),
    observeRegistryRequest: ({ kind, success, durationMs }) =>
      registryRequest.observe({ kind, success: `${success}` }, durationMs / 1000),
    observeImageLookup: ({ success, durationMs }) =>
      imageLookup.observe({ success: `${success}` }, durationMs / 1000),
    setImageRepositories: (repositories) => setByCode(imageRepositories, repositories),
    setImageTags: (tags) => setByCode(imageTags, tags),
    setImageStore: (code) => setByCode(imageStore, new Map([[code, 1]])),
    setAutomation: (containers) => setByCode(automation, containers),
    observeRelease: ({ type, kind, success, durationMs }) =>
      release.observe({ release_type: type, release_kind: kind, success: `${success}` }, durationMs / 1000),
    observeReleaseStage: ({ stage, durationMs }) => releaseStage.observe({ stage }, durationMs / 1000),
    observeRequest: ({ method, route, status, durationMs }) =>
      request.observe({ method, route, status_code: `${status}`, ws: 'false' }, durationMs / 1000),
    expose: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}

/** Codes that are not counted any more go. */
function setByCode(gauge: Gauge<'code'>, counts: ReadonlyMap<string, number>): void {
  gauge.reset()
  for (const [code, count] of counts) gauge.set({ code }, count)
}
