import { isJsonObject, type JsonObject, valueAt } from '../json.ts'

/**
 * HelmReleases in the words of 2018 and 2019, read as today's. Names, events and status stay in the older object; only
 * its spec is said anew. Follows `spec/helm-operator.md` §1.10.
 */

export type ReleaseShape = 'v1' | 'v1beta1' | 'v1alpha2'

/** What the oldest operators were told once for all charts. */
export interface ChartsRepository {
  git: string
  ref: string
  /** from the repository's root */
  path: string
}

export function shapeOf(apiVersion: string): ReleaseShape {
  if (apiVersion === 'flux.weave.works/v1beta1') return 'v1beta1'
  return apiVersion.startsWith('helm.integrations.flux.weave.works/') ? 'v1alpha2' : 'v1'
}

/** The object with a spec as `helm.fluxcd.io/v1` has it. */
export function modernize(object: JsonObject, charts: ChartsRepository): JsonObject {
  const { apiVersion, spec } = object
  if (shapeOf(String(apiVersion)) !== 'v1alpha2' || !isJsonObject(spec)) return object
  const { chartGitPath, ...rest } = spec
  if (typeof chartGitPath !== 'string' || chartGitPath === '') return object
  const path = `${charts.path.replace(/\/+$/, '')}/${chartGitPath.replace(/^\/+/, '')}`
  return { ...object, spec: { ...rest, chart: { git: charts.git, ref: charts.ref, path } } }
}

/** The older operators told Helm's status in capitals. */
export function olderStatus(releaseStatus: string): string {
  return releaseStatus.toUpperCase().replaceAll('-', '_')
}

/** The annotation that says which HelmRelease an object comes from. */
export function antecedentKey(shape: ReleaseShape): string {
  return shape === 'v1' ? 'helm.fluxcd.io/antecedent' : 'flux.weave.works/antecedent'
}

/** Whoever an object says it comes from; the newer annotation counts first. */
export function antecedentOf(object: JsonObject | undefined): string {
  for (const shape of ['v1', 'v1beta1'] as const) {
    const value = valueAt(object, 'metadata', 'annotations', antecedentKey(shape))
    if (typeof value === 'string' && value !== '') return value
  }
  return ''
}
