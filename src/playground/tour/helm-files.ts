import { imageRepository } from './repository.ts'

/** Where a HelmRelease stands, what may run there, and what runs first. */
export const environments = [
  { namespace: 'dev', release: 'podinfo-dev', filter: 'glob:dev-*', tag: 'dev-1', replicas: 1 },
  { namespace: 'stg', release: 'podinfo-stg', filter: 'glob:stg-*', tag: 'stg-1', replicas: 2 },
  { namespace: 'prod', release: 'podinfo-prod', filter: 'semver:~3.1', tag: '3.1.7', replicas: 3 },
] as const

/** A chart, and a release of it in each environment: file → text. */
export function helmFiles({ gitUrl, branch, registry }: HelmFilesOptions): Record<string, string> {
  const releases = environments.flatMap(({ namespace, release, filter, tag, replicas }) => [
    [
      `namespaces/${namespace}.yaml`,
      `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${namespace}\n`,
    ] as const,
    [
      `releases/${namespace}.yaml`,
      `\
apiVersion: helm.fluxcd.io/v1
kind: HelmRelease
metadata:
  name: ${release}
  namespace: ${namespace}
  annotations:
    fluxcd.io/automated: "true"
    filter.fluxcd.io/chart-image: ${filter}
spec:
  releaseName: ${release}
  chart:
    git: ${gitUrl}
    ref: ${branch}
    path: charts/podinfo
  values:
    image:
      repository: ${registry}/${imageRepository}
      tag: ${tag}
    replicaCount: ${replicas}
`,
    ] as const,
  ])
  return { ...Object.fromEntries(releases), ...chartFiles('0.1.0', 'info') }
}

export interface HelmFilesOptions {
  /** of the repository with the chart, as the operator reaches it */
  gitUrl: string
  branch: string
  /** host of the images */
  registry: string
}

export function chartFiles(version: string, logLevel: string): Record<string, string> {
  return {
    'charts/podinfo/Chart.yaml': `apiVersion: v2\nname: podinfo\nversion: ${version}\n`,
    'charts/podinfo/values.yaml': `image: {repository: ${imageRepository}, tag: "3.1.0"}\nreplicaCount: 1\nlogLevel: ${logLevel}\n`,
    'charts/podinfo/templates/deployment.yaml': template,
  }
}

const template = `\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicaCount }}
  selector:
    matchLabels: {app: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      containers:
        - name: podinfod
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
          args: ["--level={{ .Values.logLevel }}"]
`
