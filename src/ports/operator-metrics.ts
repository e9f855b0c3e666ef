import type { Condition } from '../core/helm/conditions.ts'

/** What the Helm operator counts and times, under v1's names. Durations are milliseconds here. */
export interface OperatorMetrics {
  /** `flux_helm_operator_release_queue_length_count` */
  setQueueLength(length: number): void
  /** `flux_helm_operator_release_count` */
  setReleaseCount(count: number): void
  /** `flux_helm_operator_release_action_duration_seconds`, and v1's two older histograms */
  observeAction(action: ObservedAction): void
  /** `flux_helm_operator_release_condition_info`; conditions that are not there any more lose their series */
  setConditions(release: MeasuredRelease, conditions: readonly Condition[]): void
  /** `flux_helm_operator_release_drift`: fields and objects that differ */
  setDrift(release: MeasuredRelease, differences: number): void
  forget(release: MeasuredRelease): void
  /** Everything observed so far, as Prometheus reads it. */
  expose(): Promise<{ contentType: string; text: string }>
}

export interface MeasuredRelease {
  targetNamespace: string
  releaseName: string
}

export interface ObservedAction extends MeasuredRelease {
  action: HelmAction
  success: boolean
  durationMs: number
}

export type HelmAction =
  | 'sync'
  | 'install'
  | 'upgrade'
  | 'rollback'
  | 'uninstall'
  | 'dry-run-compare'
  | 'annotate'
  | 'test'
