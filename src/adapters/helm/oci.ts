import { FluxError } from '../../core/errors.ts'
import type { RepositoryChart } from '../../core/helm/chart.ts'
import { choosePublishedVersion, isExactVersion } from '../../core/helm/repository-index.ts'
import type { ImageRef } from '../../core/image/ref.ts'
import { isJsonObject, type JsonValue } from '../../core/json.ts'
import type { ChartHead } from '../../ports/helm.ts'
import type { Keychain } from '../../ports/registry.ts'
import type { ImageRegistryClient } from '../registry/client.ts'

/**
 * Charts in OCI registries: a tag for each version, with `_` for `+`, and one layer that is the package.
 *
 * @see https://helm.sh/docs/topics/registries/
 */
const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const layerType = 'application/vnd.cncf.helm.chart.content.v1.tar+gzip'

/** The image repository behind `oci://host/path` and a chart's name. */
export function ociImage({ url, name }: RepositoryChart): ImageRef {
  const [registry = '', ...path] = url.slice('oci://'.length).replace(/\/+$/, '').split('/')
  return { registry, repository: [...path, name].join('/') }
}

/**
 * The version that is meant, and the digest of its manifest.
 *
 * @throws FluxError `CHART_MISSING` and those of the registry
 */
export async function chooseOciVersion(
  registry: ImageRegistryClient,
  source: RepositoryChart,
  keychain: Keychain,
  signal: AbortSignal | undefined,
): Promise<{ head: ChartHead; digest: string }> {
  const image = ociImage(source)
  if (source.version.startsWith('sha256:')) {
    return { head: headOf(source.version, source.version), digest: source.version }
  }
  let version = source.version
  if (!isExactVersion(version)) {
    const listing = await registry.listTags(image, keychain, { ...(signal && { signal }) })
    const versions = (listing?.tags ?? []).map((tag) => ({ version: tag.replaceAll('_', '+') }))
    const found = choosePublishedVersion(versions, version)
    if (!found) {
      throw new FluxError('CHART_MISSING', {
        what: `chart unavailable: ${source.url} has no version ${version} of ${source.name}`,
        next: 'Correct spec.chart, or push what it names.',
      })
    }
    version = found.version
  }
  const digest = await registry.getDigest({ ...image, tag: version.replaceAll('+', '_') }, keychain, signal)
  return { head: headOf(version, digest), digest }
}

const headOf = (revision: string, digest: string): ChartHead => ({ revision, identity: `oci:${digest}` })

/** The package behind the digest of a manifest. @throws FluxError `CHART_INVALID` and those of the registry */
export async function fetchOciChart(
  registry: ImageRegistryClient,
  source: RepositoryChart,
  digest: string,
  keychain: Keychain,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const image = ociImage(source)
  const options = { accept: [manifestType], signal }
  const manifest = await registry.getContent({ ...image, digest }, 'manifests', keychain, options)
  const layer = layerOf(manifest.bytes)
  if (layer === undefined) {
    throw new FluxError('CHART_INVALID', {
      what: `chart unavailable: ${source.url}/${source.name}@${digest} is not a Helm chart`,
      why: `None of its layers is ${layerType}.`,
      next: 'Push the chart with `helm push`.',
    })
  }
  return (await registry.getContent({ ...image, digest: layer }, 'blobs', keychain, { signal })).bytes
}

function layerOf(manifest: Buffer): string | undefined {
  let value: JsonValue
  try {
    value = JSON.parse(manifest.toString('utf8')) as JsonValue
  } catch {
    return undefined
  }
  const layers = isJsonObject(value) && Array.isArray(value['layers']) ? value['layers'] : []
  const layer = layers.filter(isJsonObject).find(({ mediaType }) => mediaType === layerType)
  return typeof layer?.['digest'] === 'string' ? layer['digest'] : undefined
}
