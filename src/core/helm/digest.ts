import { createHash } from 'node:crypto'
import { formatJson, type JsonObject } from '../json.ts'
import type { HelmRelease } from './resource.ts'

/**
 * What is wanted of a release in one word: equal digests mean that there is nothing to do.
 *
 * It covers the whole spec, so that every change of it becomes an upgrade as in v1, the chart's content, the values
 * composed, and the reset annotation. It stands as a label on the revision that we make, so it fits 63 characters.
 */
export function inputDigest(
  { spec, annotations }: Pick<HelmRelease, 'spec' | 'annotations'>,
  chartIdentity: string,
  values: JsonObject,
): string {
  const input = { spec, chart: chartIdentity, values, reset: annotations.reset }
  return createHash('sha256')
    .update(formatJson(input, { sortKeys: true }))
    .digest('hex')
    .slice(0, 40)
}

/** Who keeps a release, short enough for a label. */
export function ownerMark(id: string): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 40)
}
