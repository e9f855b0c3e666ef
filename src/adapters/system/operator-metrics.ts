import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { MeasuredRelease, OperatorMetrics } from '../../ports/operator-metrics.ts'
import { eventLoopMonitoringPrecision } from './metrics.ts'

/** The Helm operator's metrics, under v1's names, buckets and labels. Follows `spec/helm-operator.md` §2.15. */

const buckets = [1, 5, 10, 30, 60, 120, 180, 300, 600, 1800]
const prefix = 'flux_helm_operator'
const values = { True: 1, Unknown: 0, False: -1 } as const

export function createOperatorMetrics(): OperatorMetrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision })

  const queueLength = new Gauge({
    name: `${prefix}_release_queue_length_count`,
    help: 'Releases that wait for a worker.',
    registers,
  })
  const count = new Gauge({ name: `${prefix}_release_count`, help: 'HelmReleases seen.', registers })
  const action = new Histogram({
    name: `${prefix}_release_action_duration_seconds`,
    help: 'Duration of each action on a release, in seconds.',
    labelNames: ['action', 'success', 'target_namespace', 'release_name'],
    buckets,
    registers,
  })
  const condition = new Gauge({
    name: `${prefix}_release_condition_info`,
    help: 'Conditions of each release: -1 False, 0 Unknown, 1 True.',
    labelNames: ['target_namespace', 'release_name', 'condition'],
    registers,
  })
  const sync = new Histogram({
    name: `${prefix}_release_duration_seconds`,
    help: 'Duration of a whole pass over a release, in seconds (deprecated).',
    labelNames: ['success', 'namespace', 'release_name'],
    buckets,
    registers,
  })
  const phase = new Histogram({
    name: `${prefix}_release_phase_duration_seconds`,
    help: 'Duration of each action on a release, in seconds (deprecated).',
    labelNames: ['action', 'success', 'namespace', 'release_name'],
    buckets,
    registers,
  })
  const drift = new Gauge({
    name: `${prefix}_release_drift`,
    help: 'Fields and objects of each release that differ from its manifest.',
    labelNames: ['target_namespace', 'release_name'],
    registers,
  })
  const shown = new Map<string, Set<string>>()
  const nameOf = ({ targetNamespace, releaseName }: MeasuredRelease) => `${targetNamespace}/${releaseName}`
  const remove = ({ targetNamespace, releaseName }: MeasuredRelease, type: string) =>
    condition.remove({ target_namespace: targetNamespace, release_name: releaseName, condition: type })

  return {
    setQueueLength: (length) => queueLength.set(length),
    setReleaseCount: (releases) => count.set(releases),
    observeAction({ action: name, success, durationMs, targetNamespace, releaseName }) {
      const seconds = durationMs / 1000
      const ended = `${success}`
      action.observe(
        { action: name, success: ended, target_namespace: targetNamespace, release_name: releaseName },
        seconds,
      )
      const labels = { success: ended, namespace: targetNamespace, release_name: releaseName }
      if (name === 'sync') sync.observe(labels, seconds)
      else phase.observe({ action: name, ...labels }, seconds)
    },
    setConditions(release, conditions) {
      const { targetNamespace, releaseName } = release
      const types = new Set<string>(conditions.map(({ type }) => type))
      for (const type of shown.get(nameOf(release)) ?? []) if (!types.has(type)) remove(release, type)
      shown.set(nameOf(release), types)
      for (const { type, status } of conditions) {
        const labels = { target_namespace: targetNamespace, release_name: releaseName, condition: type }
        condition.set(labels, values[status])
      }
    },
    setDrift({ targetNamespace, releaseName }, differences) {
      drift.set({ target_namespace: targetNamespace, release_name: releaseName }, differences)
    },
    forget(release) {
      drift.remove({ target_namespace: release.targetNamespace, release_name: release.releaseName })
      for (const type of shown.get(nameOf(release)) ?? []) remove(release, type)
      shown.delete(nameOf(release))
    },
    expose: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}
