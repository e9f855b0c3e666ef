import { readFileSync } from 'node:fs'
import { isJsonObject, type JsonObject, type JsonValue } from '../../../src/core/json.ts'
import type { KubeObject, Resource } from '../../../src/playground/kube-api/model.ts'
import { builtInResources } from '../../../src/playground/kube-api/schema/types.ts'

/** What a real API server answered, without what is its own each time. */

export interface Answers {
  /** one for each of `accepted`: the object as it was created, and as it was applied */
  accepted: { created: JsonObject; applied: JsonObject }[]
  /** one for each of `refused`: what was wrong, as `field: message` */
  refused: string[][]
}

export function answers(): Answers {
  return JSON.parse(readFileSync('test/fixtures/kube-api/answers.json', 'utf8')) as Answers
}

export function resourceFor(object: JsonObject): Resource {
  const found = builtInResources().find(({ group, version, kind }) => {
    return (
      kind === object['kind'] && (group === '' ? version : `${group}/${version}`) === object['apiVersion']
    )
  })
  if (found === undefined) throw new Error(`nobody serves ${String(object['kind'])}`)
  return found
}

/** What the registries of the real one fill in by their own state, not by the schema: `rest/prepare.ts` does so. */
const prepared = [
  'metadata.uid',
  'metadata.creationTimestamp',
  'metadata.generation',
  'metadata.namespace',
  'metadata.resourceVersion',
  'status',
]
const preparedByKind: Record<string, readonly string[]> = {
  Job: ['metadata.labels', 'spec.selector', 'spec.template.metadata'],
  Namespace: ['spec'],
  Node: ['spec'],
  PersistentVolume: ['metadata.finalizers'],
  PersistentVolumeClaim: ['metadata.finalizers'],
  Pod: ['spec.tolerations', 'spec.priority', 'spec.preemptionPolicy'],
  Service: ['spec.clusterIPs', 'spec.ipFamilies', 'spec.ipFamilyPolicy'],
}

/** An object without what is not the schema's to say, and without times. */
export function masked(object: JsonObject): JsonObject {
  const copy = structuredClone(object) as KubeObject
  for (const path of [...prepared, ...(preparedByKind[String(object['kind'])] ?? [])]) {
    const keys = path.split('.')
    const last = keys.pop() ?? ''
    let at: JsonValue | undefined = copy
    for (const key of keys) at = isJsonObject(at) ? at[key] : undefined
    if (isJsonObject(at)) delete at[last]
  }
  const entries = copy.metadata['managedFields']
  if (Array.isArray(entries)) for (const entry of entries) if (isJsonObject(entry)) delete entry['time']
  return copy
}

/** The causes of a refusal, in an order of their own: the server's changes from time to time. */
export function causesOf(details: JsonValue | undefined): string[] {
  const causes = isJsonObject(details) && Array.isArray(details['causes']) ? details['causes'] : []
  return causes
    .filter(isJsonObject)
    .map(({ field, message }) => `${String(field)}: ${String(message)}`)
    .sort()
}
