import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../json.ts'
import type { ManifestObject } from './manifest-objects.ts'
import { changedKeys } from './values.ts'

/**
 * Drift of a release: where a live object is another than its manifest would make it. The server's dry run tells what
 * the manifest would make, so defaults, conversions and webhooks never count as drift.
 *
 * Left alone are fields that rules name, replicas of what an autoscaler of the same release scales, and objects that
 * carry `fluxcd.io/ignore: "true"`.
 */

/** what applying writes beside the manifest */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'
const bookkeeping = ['managedFields', 'resourceVersion', 'generation', 'uid', 'creationTimestamp']

/** Dotted paths where a dry run would change the live object, `ignored` ones and everything below them left out. */
export function driftedPaths(live: JsonObject, dryRun: JsonObject, ignored: readonly string[]): string[] {
  if (valueAt(live, 'metadata', 'annotations', 'fluxcd.io/ignore') === 'true') return []
  return changedKeys(plain(live), plain(dryRun), 100).filter(
    (path) => !ignored.some((rule) => path === rule || path.startsWith(`${rule}.`)),
  )
}

/** The rules that hold for one object of a release. */
export function ignoredPaths(
  object: ManifestObject,
  all: readonly ManifestObject[],
  rules: readonly string[],
): string[] {
  const own = rules.flatMap((rule) => {
    const [, which, path] = /^([^:]+\/[^:]+):(.+)$/.exec(rule) ?? []
    if (which === undefined) return [rule]
    return which === `${object.kind}/${object.name}` && path !== undefined ? [path] : []
  })
  const isScaled = all.some(({ kind, value }) => {
    const target: JsonValue | undefined = valueAt(value, 'spec', 'scaleTargetRef')
    if (kind !== 'HorizontalPodAutoscaler' || !isJsonObject(target)) return false
    return target['kind'] === object.kind && target['name'] === object.name
  })
  return isScaled ? [...own, 'spec.replicas'] : own
}

function plain({ status: _, metadata, ...rest }: JsonObject): JsonObject {
  const kept = Object.entries(isJsonObject(metadata) ? metadata : {}).filter(
    ([key]) => !bookkeeping.includes(key),
  )
  const { annotations, ...others } = Object.fromEntries(kept)
  const { [lastApplied]: __, ...notes } = isJsonObject(annotations) ? annotations : {}
  return { ...rest, metadata: { ...others, annotations: notes } }
}
