import { valueAt } from '../json.ts'
import { annotationKeyFor } from '../policy/policy.ts'
import type { Manifest, ManifestFile } from './document.ts'
import { type Edit, editManifest } from './edit.ts'

/**
 * Set and remove policies, as annotations of a manifest. A policy keeps the annotation that it has; a new one goes to
 * the end of `metadata.annotations`, which is made at the end of `metadata` where it is missing, and removed where
 * nothing is left in it. Removing takes a policy from under every prefix.
 *
 * @param file freshly parsed; `manifest` is one of its manifests
 * @param changes policy → new value, or `undefined` to remove it; see `planPolicyChanges`
 * @returns the whole file's new text; the same text where there is nothing to change
 * @throws FluxError `MANIFEST_EDIT_UNPROVEN`
 */
export function setPolicies(
  file: ManifestFile,
  manifest: Manifest,
  changes: ReadonlyMap<string, string | undefined>,
): string {
  const annotations = valueAt(manifest.value, 'metadata', 'annotations')
  const present = new Map(Object.entries(annotations ?? {}))
  const edits: Edit[] = []
  for (const [policy, to] of changes) {
    if (to === undefined) continue
    edits.push({ path: pathOf(annotationKeyFor(policy, annotations)), to })
  }
  for (const [policy, to] of changes) {
    if (to !== undefined) continue
    for (;;) {
      const key = annotationKeyFor(policy, Object.fromEntries(present))
      if (!present.delete(key)) break
      edits.push({ path: pathOf(key), to: undefined })
    }
  }
  return editManifest(file, manifest, edits)
}

const pathOf = (key: string) => ['metadata', 'annotations', key]
