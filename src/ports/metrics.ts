/**
 * What fluxd counts and times, under the names that v1's dashboards and alerts use. Durations are milliseconds
 * here, seconds where they are shown. A metric shows only after its first observation.
 */
export interface Metrics {
  /** One pass from Git to the cluster: `flux_daemon_sync_duration_seconds`. */
  observeSync(pass: { success: boolean; durationMs: number }): void
  /** Objects of the last pass: `flux_daemon_sync_manifests`. */
  setSyncManifests(manifests: { applied: number; failed: number }): void
  /** Objects that differ from Git and are left so: `fluxd_drifted_objects`. */
  setDriftedObjects(count: number): void
  /** Objects of one pass that had left Git: `fluxd_pruned_objects_total`. */
  countPruned(objects: { deleted: number; failed: number }): void
  /** Objects that left Git and stay in the cluster, by why: `fluxd_kept_objects`. */
  setKeptObjects(kept: ReadonlyMap<string, number>): void
  /** From the start of a job to its end: `flux_daemon_job_duration_seconds`. */
  observeJob(job: { success: boolean; durationMs: number }): void
  /** How long a job waited: `flux_daemon_queue_duration_seconds`. */
  observeQueueWait(durationMs: number): void
  /** Jobs that wait now: `flux_daemon_queue_length_count`. */
  setQueueLength(length: number): void
  /** Whether the repository can be used: `flux_git_ready`. */
  setGitReady(ready: boolean): void
  /** One request to a registry: `flux_client_fetch_duration_seconds`. */
  observeRegistryRequest(request: { kind: 'tags' | 'metadata'; success: boolean; durationMs: number }): void
  /** One look into what the scans have learnt: `flux_registry_fetch_duration_seconds`. */
  observeImageLookup(lookup: { success: boolean; durationMs: number }): void
  /** Containers of automated workloads at the last poll, by what was decided: `fluxd_automation_containers`. */
  setAutomation(containers: ReadonlyMap<string, number>): void
  /** Image repositories that run, by what kept the last scan from listing them, or `OK`: `fluxd_image_repositories`. */
  setImageRepositories(repositories: ReadonlyMap<string, number>): void
  /** Tags of these that cannot be used, by why: `fluxd_image_tags`. */
  setImageTags(tags: ReadonlyMap<string, number>): void
  /** Whether what registries tell is kept: why it is not, or `OK`: `fluxd_image_store`. */
  setImageStore(code: string): void
  /** One update of workloads: `flux_fluxsvc_release_duration_seconds`. */
  observeRelease(release: {
    type: ReleaseType
    /** as asked for: `plan`, `execute`, or whatever the client sent */
    kind: string
    success: boolean
    durationMs: number
  }): void
  /** A part of an update: `flux_fluxsvc_release_stage_duration_seconds`. */
  observeReleaseStage(stage: { stage: ReleaseStage; durationMs: number }): void
  /** One request to our API: `flux_request_duration_seconds`. */
  observeRequest(request: { method: string; route: string; status: number; durationMs: number }): void
  /** Everything observed so far, as Prometheus reads it. */
  expose(): Promise<{ contentType: string; text: string }>
}

export type ReleaseType = 'automated' | 'containers' | 'latest_images' | 'specific_image'

export type ReleaseStage = 'select_workloads' | 'lookup_images' | 'write_changes' | 'verify_changes'
