import type { ChartFile } from '../core/helm/chart.ts'
import type { Revision } from '../core/helm/revision.ts'
import type { JsonObject } from '../core/json.ts'

/**
 * What we ask of Helm: releases changed by the real `helm` program, one process a call; releases read from the Secrets
 * that Helm keeps them in, without a process.
 *
 * Charts reach `helm` as a folder or an archive on disk, values on its standard input.
 */

/** Which release, and as whom. */
export interface ReleaseTarget {
  name: string
  namespace: string
  /** of `helm --timeout`: one wait, not the whole run */
  timeoutMs: number
  /** act as this service account of the HelmRelease's namespace, `namespace:name` */
  serviceAccount?: string
}

/** Flags of `install`, `upgrade` and the dry run that change what comes out. */
export interface ReleaseInputs {
  /** folder or archive */
  chart: string
  values: JsonObject
  /** kept on the release's Secret, beside Helm's own; the keys are ours */
  labels: Readonly<Record<string, string>>
  /** texts that must not be shown, beside the credentials that the adapter knows */
  secrets: readonly string[]
  wait: boolean
  disableOpenApiValidation: boolean
}

export interface InstallOptions extends ReleaseTarget, ReleaseInputs {
  skipCrds: boolean
}

export interface UpgradeOptions extends ReleaseTarget, ReleaseInputs {
  force: boolean
  /** start from the values of the release instead of the chart's own */
  reuseValues: boolean
  /** revisions that Helm keeps; 0: all */
  maxHistory: number
  serverSide: boolean
}

export interface RollbackOptions extends ReleaseTarget {
  revision: number
  maxHistory: number
  serverSide: boolean
  wait: boolean
  force: boolean
  recreatePods: boolean
  disableHooks: boolean
}

/** A release as Helm tells it whole: by a dry run, or from its Secret. */
export interface HelmReleaseContent {
  /** the values given; empty where there were none */
  config: JsonObject
  chart: {
    name: string
    version: string
    appVersion: string
    /** the chart's defaults */
    values: JsonObject
    templates: readonly ChartFile[]
  }
  /** the objects, as YAML, without hooks */
  manifest: string
  /** made by server-side apply, as Helm 4 does: fields that somebody else took are then taken back */
  serverSide: boolean
}

export interface Helm {
  /** such as `v4.2.3` */
  readonly version: string
  /**
   * @throws FluxError `HELM_FAILED` | `HELM_TIMEOUT` | `HELM_PROGRAM_MISSING` | `CLUSTER_UNREACHABLE`; the signal's
   *   reason, when helm was told to end
   */
  install(options: InstallOptions, signal?: AbortSignal): Promise<void>
  upgrade(options: UpgradeOptions, signal?: AbortSignal): Promise<void>
  /** What an upgrade would make, by the server's dry run; nothing is stored. */
  dryRunUpgrade(options: UpgradeOptions, signal?: AbortSignal): Promise<HelmReleaseContent>
  rollback(options: RollbackOptions, signal?: AbortSignal): Promise<void>
  /** Run the chart's tests. @throws FluxError `HELM_FAILED` also when a test fails */
  test(target: ReleaseTarget, signal?: AbortSignal): Promise<void>
  /** Delete the release with its history; one that is gone is fine. */
  uninstall(target: ReleaseTarget, signal?: AbortSignal): Promise<void>
}

/** Helm's own Secrets. */
export interface HelmStorage {
  /** Every revision of a release, newest first, asked of the API server now. */
  list(namespace: string, name: string, signal?: AbortSignal): Promise<Revision[]>
  /** A revision whole, or `undefined` where it is gone. @throws FluxError `HELM_STORAGE_UNREADABLE` */
  read(
    namespace: string,
    name: string,
    revision: number,
    signal?: AbortSignal,
  ): Promise<HelmReleaseContent | undefined>
}

/** A chart that is ready for `helm`, in a folder that is gone after `release`. */
export interface PreparedChart {
  /** folder or archive */
  path: string
  release(): Promise<void>
}

/** What a chart's source holds now, known without fetching the chart. */
export interface ChartHead {
  /** commit or version, as `status.revision` shows it */
  revision: string
  /** names the content: equal texts mean equal charts */
  identity: string
}

/** A folder inside a Git repository that holds a chart, or one chart of a Helm repository or OCI registry. */
export interface ChartSources<Source> {
  /**
   * What the source holds now. Asks the source only where `fresh` says so, or nothing is known yet.
   *
   * @throws FluxError `CHART_…` | `GIT_…`
   */
  head(source: Source, options: { fresh: boolean; signal?: AbortSignal }): Promise<ChartHead>
  /** Fetch what `head` told, with its dependencies. @throws FluxError `CHART_…` */
  prepare(source: Source, head: ChartHead, signal?: AbortSignal): Promise<PreparedChart>
  /** A file beside the chart's own; not in archives. @throws FluxError `CHART_FILE_MISSING` | `CHART_PATH_ESCAPES` */
  readFile(source: Source, head: ChartHead, path: string): Promise<string>
  close(): Promise<void>
}
