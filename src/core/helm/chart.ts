/** A file of a chart. */
export interface ChartFile {
  /** below the chart's folder, with `/` */
  name: string
  /** base64, as Helm keeps it */
  data: string
}

/** Where a chart comes from. */
export type ChartSource = GitChart | RepositoryChart

/** A folder of a Git repository. */
export interface GitChart {
  kind: 'git'
  /** as written */
  url: string
  /** branch, tag or commit; empty: the operator's default */
  ref: string
  /** relative to the repository's root */
  path: string
  /** a Secret with `username` and `password`; the operator's own key is not used then */
  secret: ObjectRef | undefined
  skipDependencies: boolean
}

/** A chart of a Helm repository (`https://…`) or an OCI registry (`oci://…`). */
export interface RepositoryChart {
  kind: 'repository'
  url: string
  name: string
  /** exact, or a range; for OCI also a digest `sha256:…` */
  version: string
  /** a Secret with credentials */
  secret: ObjectRef | undefined
}

export interface ObjectRef {
  namespace: string
  name: string
}

/** For logs and messages: no user-info, no secrets. */
export function chartText(source: ChartSource): string {
  return source.kind === 'git'
    ? `${source.path} of ${source.url} at ${source.ref || 'the default ref'}`
    : `${source.name} ${source.version} of ${source.url}`
}
