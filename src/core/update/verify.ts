import { FluxError } from '../errors.ts'
import { formatImageRef } from '../image/ref.ts'
import type { Manifest, ManifestFile } from '../manifest/document.ts'
import { readWorkload } from '../resource/workload.ts'
import type { ImageChange } from './plan.ts'

/**
 * Read the edited files as if they were new, and compare: the same objects, the same containers, each image as
 * before or as the plan says.
 *
 * Each edit was proved on its text already; this proves the whole of them against the plan, as v1 does before it
 * commits (`spec/flux-v1/release.md` §7).
 *
 * @param changes with the manifests as they were read before
 * @throws FluxError `RELEASE_UNVERIFIED`
 */
export function verifyImages(
  before: ReadonlyMap<string, ManifestFile>,
  edited: ReadonlyMap<string, ManifestFile>,
  changes: readonly (ImageChange & { manifest: Manifest })[],
): void {
  const fail = (detail: string) => {
    throw new FluxError('RELEASE_UNVERIFIED', {
      what: `verifying changes: failed to verify changes: ${detail}`,
      why: 'The files would not say what was asked for, so nothing was written.',
      next: 'Look at the file for two definitions of one object, or for an anchor that several images share.',
    })
  }
  const targetOf = (manifest: Manifest | undefined, name: string) => {
    const change = changes.find((change) => change.manifest === manifest && change.container === name)
    return change && formatImageRef(change.target)
  }

  for (const [path, file] of edited) {
    const original = before.get(path)?.manifests ?? []
    if (file.manifests.length !== original.length || file.faults.length > 0) fail(`${path} reads differently`)
    for (const [index, manifest] of file.manifests.entries()) {
      const was = original[index]
      if (was?.id !== manifest.id) fail(`${manifest.id} stands where ${was?.id} was in ${path}`)
      const containers = readWorkload(manifest.id, manifest.kind, manifest.value)?.containers ?? []
      const old = (was && readWorkload(was.id, was.kind, was.value)?.containers) ?? []
      if (containers.map(({ name }) => name).join() !== old.map(({ name }) => name).join()) {
        fail(`the containers of "${manifest.id}" changed`)
      }
      for (const [at, { name, imageText }] of containers.entries()) {
        const should = targetOf(was, name) ?? old[at]?.imageText
        if (imageText !== should) {
          fail(
            `the image for container "${name}" in resource "${manifest.id}" should be "${should}", but is "${imageText}"`,
          )
        }
      }
    }
  }
}
