import { FluxError } from '../errors.ts'
import { formatImageRef, type ImageRef } from '../image/ref.ts'
import { isJsonObject, valueAt } from '../json.ts'
import { planHelmImage, readHelmContainers } from '../resource/helm-release.ts'
import { podSpecPath } from '../resource/workload.ts'
import type { Manifest, ManifestFile } from './document.ts'
import { type Edit, editManifest } from './edit.ts'

/**
 * Make a container of a workload run another image: `image` of the entry that has its name among the containers or
 * else the init containers, or the texts in a HelmRelease's values that make its image. The digest is written where
 * the image has one.
 *
 * @param file freshly parsed; `manifest` is one of its manifests
 * @returns the whole file's new text
 * @throws FluxError `MANIFEST_NOT_FOUND` | `MANIFEST_EDIT_UNPROVEN`
 */
export function setImage(file: ManifestFile, manifest: Manifest, container: string, image: ImageRef): string {
  return editManifest(file, manifest, planImage(manifest, container, image))
}

function planImage({ id, kind, value, file }: Manifest, container: string, image: ImageRef): Edit[] {
  const podSpec = podSpecPath(kind)
  if (podSpec) {
    for (const list of ['containers', 'initContainers']) {
      const entries = valueAt(value, ...podSpec, list)
      const index = Array.isArray(entries)
        ? entries.findIndex((entry) => isJsonObject(entry) && entry.name === container)
        : -1
      if (index >= 0) return [{ path: [...podSpec, list, index, 'image'], to: formatImageRef(image) }]
    }
  } else {
    const found = readHelmContainers(value).find(({ name }) => name === container)
    if (found) return planHelmImage(found, image).map(({ path, text }) => ({ path, to: text }))
  }
  throw new FluxError('MANIFEST_NOT_FOUND', {
    what: 'manifest not found',
    why: `${id} in ${file} has no container ${container}.`,
    next: 'See the containers with `fluxctl list-workloads`.',
  })
}
