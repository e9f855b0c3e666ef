import { FluxError } from '../errors.ts'
import { type JsonValue, valueAt } from '../json.ts'
import { type Manifest, type ManifestFile, parseManifestFile } from '../manifest/document.ts'
import { type Edit, editManifest } from '../manifest/edit.ts'
import { helmReleaseKind, helmReleaseVersion } from './resource.ts'

/**
 * Manifests of HelmReleases in the words of 2018 and 2019, rewritten in today's: `helm.fluxcd.io/v1`.
 *
 * Each change is a proved splice, so comments, order and quoting stay. Annotations stay too: `flux.weave.works/…` means
 * the same as today's. Follows `spec/helm-operator.md` §1.10.
 */

const betaVersion = 'flux.weave.works/v1beta1'
const alphaVersion = 'helm.integrations.flux.weave.works/v1alpha2'
const firstVersion = 'helm.integrations.flux.weave.works/v1alpha'

/** What the older operator was told for all charts, and each HelmRelease now says for itself. */
export interface ChartRepository {
  git: string
  ref: string
  /** the folder of charts, from the repository's root */
  chartsPath: string
}

export interface Migrated {
  manifest: Manifest
  /** its `apiVersion` so far */
  from: string
}

/**
 * Rewrite every older HelmRelease of a file.
 *
 * @param charts needed by `FluxHelmRelease` only
 * @returns the file's new text, the same where nothing in it is older
 * @throws FluxError `HELM_RELEASE_NOT_MIGRATED` | `MANIFEST_EDIT_UNPROVEN`
 */
export function migrateHelmReleases(
  original: ManifestFile,
  charts: ChartRepository | undefined,
): { text: string; migrated: Migrated[] } {
  const migrated: Migrated[] = []
  let file = original
  for (const [index, { apiVersion }] of original.manifests.entries()) {
    // an edit leaves the number and the order of manifests as they are
    const steps = (manifest: Manifest) => stepsFor(manifest, charts)
    const first = file.manifests[index]
    if (!first) break
    const edits = steps(first)
    if (edits.length === 0) continue
    for (const edit of edits) {
      const manifest = file.manifests[index]
      if (manifest) file = parseManifestFile(file.path, editManifest(file, manifest, [edit]))
    }
    migrated.push({ manifest: first, from: apiVersion })
  }
  return { text: file.text, migrated }
}

function stepsFor(manifest: Manifest, charts: ChartRepository | undefined): Edit[] {
  const { apiVersion, kind, value } = manifest
  const version: Edit = { path: ['apiVersion'], to: helmReleaseVersion }
  if (apiVersion === betaVersion && kind === helmReleaseKind) return [version]
  if (kind !== 'FluxHelmRelease') return []
  if (apiVersion === firstVersion && Array.isArray(valueAt(value, 'spec', 'values'))) {
    throw unknown(
      manifest,
      'Its values are a list of names and values, as in the first months of 2018.',
      'Write spec.values as a map, and run this again.',
    )
  }
  if (apiVersion !== alphaVersion && apiVersion !== firstVersion) return []
  const path: JsonValue | undefined = valueAt(value, 'spec', 'chartGitPath')
  if (typeof path !== 'string' || path === '') {
    throw unknown(
      manifest,
      'It names no chart: spec.chartGitPath is missing.',
      'Name the chart, and run this again.',
    )
  }
  if (!charts) {
    throw unknown(
      manifest,
      'The operator of that time had one repository for all charts; now each HelmRelease names its own.',
      'Say which it was: --git-url=URL, and --git-branch and --git-charts-path where they were not master and charts.',
    )
  }
  return [
    version,
    { path: ['kind'], to: helmReleaseKind },
    { path: ['spec', 'chart', 'git'], to: charts.git },
    { path: ['spec', 'chart', 'ref'], to: charts.ref },
    { path: ['spec', 'chart', 'path'], to: joinPath(charts.chartsPath, path) },
    { path: ['spec', 'chartGitPath'], to: undefined },
  ]
}

function unknown({ file, line, id }: Manifest, why: string, next: string): FluxError {
  return new FluxError('HELM_RELEASE_NOT_MIGRATED', {
    what: `${file}:${line}: cannot rewrite ${id}`,
    why,
    next,
  })
}

function joinPath(...parts: string[]): string {
  return parts
    .flatMap((part) => part.split('/'))
    .filter((step) => step !== '' && step !== '.')
    .join('/')
}
