import { FluxError } from '../errors.ts'
import { formatImageRef, type ImageRef, parseImageRef } from '../image/ref.ts'
import { compareCodePoints, isJsonObject, type JsonObject, type JsonValue, valueAt } from '../json.ts'

/**
 * Images in a HelmRelease: its `spec.values` have no schema, so they are found by shape, or where annotations say.
 *
 * Found are, later ones in place of earlier ones of the same name: an image at the top of the values
 * (`chart-image`), one below each key (named like the key), and those of the annotations
 * `repository.fluxcd.io/<alias>`, `registry.fluxcd.io/<alias>`, `tag.fluxcd.io/<alias>` (named like the alias).
 * Follows `spec/flux-v1/resources.md` §6. Recognition is by kind only, so `helm.fluxcd.io/v1`,
 * `flux.weave.works/v1beta1` and `helm.integrations.flux.weave.works/v1alpha2` are read alike.
 */
interface HelmContainer {
  name: string
  /** composed of registry, repository and tag as they stand */
  imageText: string
  image: ImageRef
  places: HelmImagePlaces
}

/** Paths from the root of the resource to the texts that make an image. */
interface HelmImagePlaces {
  repository: HelmPath
  registry?: HelmPath
  tag?: HelmPath
}
type HelmPath = readonly string[]

const valuesPath = ['spec', 'values'] as const
const topLevelName = 'chart-image'

/** The images of a HelmRelease: `chart-image` first, the rest by name. */
export function readHelmContainers(release: JsonObject): HelmContainer[] {
  const found = new Map<string, HelmContainer>()
  const add = (name: string, places: HelmImagePlaces | undefined) => {
    const container = places && compose(release, name, places)
    if (container) found.set(name, container)
  }

  const values = valueAt(release, ...valuesPath)
  if (!isJsonObject(values)) return []
  add(topLevelName, shapeOf(values, valuesPath))
  for (const key of Object.keys(values)) add(key, shapeOf(values[key], [...valuesPath, key]))
  for (const [alias, places] of mappingsOf(release)) add(alias, places)

  const rank = ({ name }: HelmContainer) => (name === topLevelName ? 0 : 1)
  return [...found.values()].sort((a, b) => rank(a) - rank(b) || compareCodePoints(a.name, b.name))
}

/**
 * The texts to write so that a container runs another image, in the shape that it has: what the registry and the tag
 * have no place for goes into the repository.
 *
 * @throws FluxError `MANIFEST_EDIT_UNPROVEN` where a digest alone would have to go where a chart puts a tag
 */
export function planHelmImage(
  { name, places }: HelmContainer,
  image: ImageRef,
): { path: HelmPath; text: string }[] {
  const { registry, tag, digest, ...path } = image
  if (places.tag && tag === undefined) {
    throw new FluxError('MANIFEST_EDIT_UNPROVEN', {
      what: `cannot write ${formatImageRef(image)} to ${name}: its chart takes a tag`,
      next: 'Give the image a tag, or write repository and digest where the chart expects them by hand.',
    })
  }
  const repository: ImageRef = {
    ...path,
    ...(!places.registry && registry !== undefined && { registry }),
    ...(!places.tag && tag !== undefined && { tag }),
    ...(!places.tag && digest !== undefined && { digest }),
  }
  return [
    ...(places.registry ? [{ path: places.registry, text: registry ?? '' }] : []),
    { path: places.repository, text: formatImageRef(repository) },
    ...(places.tag ? [{ path: places.tag, text: digest ? `${tag}@${digest}` : `${tag}` }] : []),
  ]
}

/** Where the texts of an image stand in a map with the key `image`. */
function shapeOf(map: JsonValue | undefined, path: HelmPath): HelmImagePlaces | undefined {
  if (!isJsonObject(map)) return undefined
  const image = valueAt(map, 'image')
  if (typeof image === 'string') return besides(map, path, 'image')
  if (isJsonObject(image) && typeof valueAt(image, 'repository') === 'string') {
    return besides(image, [...path, 'image'], 'repository')
  }
  return undefined
}

function besides(map: JsonObject, path: HelmPath, repository: string): HelmImagePlaces {
  // a key that is there takes part in writing, whatever scalar it holds; composing looks at texts only
  const isThere = (key: string) => {
    const value = valueAt(map, key)
    return value !== undefined && (typeof value !== 'object' || value === null)
  }
  return {
    repository: [...path, repository],
    ...(isThere('registry') && { registry: [...path, 'registry'] }),
    ...(isThere('tag') && { tag: [...path, 'tag'] }),
  }
}

/** What annotations say: alias → places, all of which hold texts. */
function mappingsOf(release: JsonObject): Map<string, HelmImagePlaces> {
  const annotations = valueAt(release, 'metadata', 'annotations')
  const mappings = new Map<string, HelmImagePlaces>()
  if (!isJsonObject(annotations)) return mappings
  const pathAt = (key: string): HelmPath | undefined => {
    const dotted = valueAt(annotations, key)
    return typeof dotted === 'string' ? [...valuesPath, ...dotted.split('.')] : undefined
  }
  for (const key of Object.keys(annotations)) {
    if (!key.startsWith('repository.fluxcd.io/')) continue
    const alias = key.slice('repository.fluxcd.io/'.length)
    const repository = pathAt(key)
    const registry = pathAt(`registry.fluxcd.io/${alias}`)
    const tag = pathAt(`tag.fluxcd.io/${alias}`)
    if (!repository) continue
    const places = { repository, ...(registry && { registry }), ...(tag && { tag }) }
    const allTexts = [repository, registry, tag].every(
      (path) => !path || typeof valueAt(release, ...path) === 'string',
    )
    if (allTexts) mappings.set(alias, places)
  }
  return mappings
}

function compose(release: JsonObject, name: string, places: HelmImagePlaces): HelmContainer | undefined {
  const text = (path: HelmPath | undefined) => {
    const value = path && valueAt(release, ...path)
    return typeof value === 'string' ? value : ''
  }
  const registry = text(places.registry)
  const tag = text(places.tag)
  const imageText = (registry && `${registry}/`) + text(places.repository) + (tag && `:${tag}`)
  try {
    return { name, imageText, image: parseImageRef(imageText), places }
  } catch (cause) {
    if (cause instanceof FluxError) return undefined
    throw cause
  }
}
