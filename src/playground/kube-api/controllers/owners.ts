import { createHash } from 'node:crypto'
import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'
import type { Client } from '../client.ts'
import { at, conditionAt, listAt, numberAt, objectAt, textAt, textsAt } from '../fields.ts'
import type { KubeObject, ObjectMeta } from '../model.ts'
import type { Host } from './host.ts'

/** What controllers share: owners and their dependents, pods from templates, revisions of templates. */

export function namespaceOf({ metadata }: KubeObject): string {
  return String(metadata['namespace'] ?? '')
}

export function isGoing({ metadata }: KubeObject): boolean {
  return metadata['deletionTimestamp'] !== undefined
}

export function ownerReference({ apiVersion, kind, metadata }: KubeObject): JsonObject {
  return {
    apiVersion,
    kind,
    name: metadata.name,
    uid: metadata['uid'] ?? '',
    controller: true,
    blockOwnerDeletion: true,
  }
}

/** A label selector; an empty one selects everything, none nothing. */
export function matchesSelector(selector: JsonValue | undefined, labels: JsonObject): boolean {
  if (!isJsonObject(selector)) return false
  for (const [key, value] of Object.entries(objectAt(selector, 'matchLabels'))) {
    if (labels[key] !== value) return false
  }
  return listAt(selector, 'matchExpressions').every((expression) => {
    const value = labels[textAt(expression, 'key')]
    const values = textsAt(expression, 'values')
    switch (textAt(expression, 'operator')) {
      case 'In':
        return typeof value === 'string' && values.includes(value)
      case 'NotIn':
        return typeof value !== 'string' || !values.includes(value)
      case 'Exists':
        return value !== undefined
      default:
        return value === undefined
    }
  })
}

export function labelsOf(object: KubeObject): JsonObject {
  return objectAt(object, 'metadata.labels')
}

/** What an object controls, after it has taken over what nobody does and its selector matches. */
export function adoptAndList(
  host: Host,
  client: Client,
  owner: KubeObject,
  collection: string,
  selector = at(owner, 'spec.selector'),
): KubeObject[] {
  const owned = host.index.ownedBy(owner, collection)
  if (isGoing(owner)) return owned
  for (const orphan of host.index.orphansBeside(owner, collection)) {
    if (isGoing(orphan) || !matchesSelector(selector, labelsOf(orphan))) continue
    const others = listAt(orphan, 'metadata.ownerReferences')
    const metadata = { ownerReferences: [...others, ownerReference(owner)] }
    owned.push(client.patch(collection, namespaceOf(orphan), orphan.metadata.name, { metadata }))
  }
  return owned
}

export interface PodPlan {
  owner: KubeObject
  /** `spec.template` of the owner */
  template: JsonObject
  name?: string
  labels?: JsonObject
  annotations?: JsonObject
  /** over those of the template */
  spec?: JsonObject
}

export function podFrom({ owner, template, name, labels, annotations, spec }: PodPlan): KubeObject {
  const given = objectAt(template, 'metadata')
  const allLabels = { ...objectAt(given, 'labels'), ...labels }
  const allAnnotations = { ...objectAt(given, 'annotations'), ...annotations }
  const finalizers = given['finalizers']
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...(name !== undefined && { name }),
      generateName: `${owner.metadata.name}-`,
      namespace: namespaceOf(owner),
      ...(Object.keys(allLabels).length > 0 && { labels: allLabels }),
      ...(Object.keys(allAnnotations).length > 0 && { annotations: allAnnotations }),
      ...(finalizers !== undefined && { finalizers }),
      ownerReferences: [ownerReference(owner)],
    } as unknown as ObjectMeta,
    spec: { ...objectAt(template, 'spec'), ...spec },
  }
}

/** Neither done nor on its way out. */
export function isActive(pod: KubeObject): boolean {
  return !['Succeeded', 'Failed'].includes(textAt(pod, 'status.phase')) && !isGoing(pod)
}

export function isReady(pod: KubeObject): boolean {
  return conditionAt(pod, 'Ready')?.['status'] === 'True'
}

/** How long until a pod counts as available: 0 if it does, infinite while it is not ready. */
export function availableInMs(pod: KubeObject, minReadySeconds: number): number {
  if (!isReady(pod)) return Number.POSITIVE_INFINITY
  if (minReadySeconds === 0) return 0
  const since = Date.parse(textAt(conditionAt(pod, 'Ready'), 'lastTransitionTime'))
  return Math.max(0, since + minReadySeconds * 1000 - Date.now())
}

/** how Kubernetes writes the digits of a hash, so that no word comes of them */
const digits = '456789bcdf'

/**
 * A name for what a template says, in the form that Kubernetes gives it. Its own hash runs over Go's way to print
 * structs, so ours is another.
 */
export function templateHash(template: JsonValue, collisions = 0): string {
  const digest = createHash('sha256')
    .update(`${canonical(template)}${collisions || ''}`)
    .digest()
  return String(digest.readUInt32BE()).replace(/\d/g, (digit) => digits.charAt(Number(digit)))
}

const canonicalTexts = new WeakMap<object, string>()

/** The same text for equal values, whatever the order of their fields. */
export function canonical(value: JsonValue | undefined): string {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? ''
  let text = canonicalTexts.get(value)
  if (text === undefined) {
    text = Array.isArray(value)
      ? `[${value.map((item) => canonical(item)).join()}]`
      : `{${Object.keys(value)
          .sort()
          .filter((key) => value[key] !== undefined)
          .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
          .join()}}`
    canonicalTexts.set(value, text)
  }
  return text
}

/** Fields that are zero are left out, as in Go's `omitempty`. */
export function withoutZeros(counts: Readonly<Record<string, number>>): JsonObject {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0))
}

/** A number, or a share of a total such as `25%`. */
export function scaled(
  value: JsonValue | undefined,
  total: number,
  round: (value: number) => number,
): number {
  if (typeof value === 'number') return value
  const percent = /^(\d+)%$/.exec(String(value))?.[1]
  return percent === undefined ? 0 : round((Number(percent) * total) / 100)
}

/** Write a status where it differs. */
export function updateStatus(
  client: Client,
  collection: string,
  object: KubeObject,
  status: JsonObject,
): KubeObject {
  if (canonical(objectAt(object, 'status')) === canonical(status)) return object
  return client.updateStatus(collection, { ...object, status })
}

export function byCreation(a: KubeObject, b: KubeObject): number {
  const [left, right] = [textAt(a, 'metadata.creationTimestamp'), textAt(b, 'metadata.creationTimestamp')]
  if (left !== right) return left < right ? -1 : 1
  return a.metadata.name < b.metadata.name ? -1 : 1
}

/**
 * The ControllerRevisions of an object, oldest first, and the one of what it says now, which is made if need be.
 *
 * @param labels of a new one
 */
export function syncRevisions(
  host: Host,
  client: Client,
  owner: KubeObject,
  labels: (hash: string) => JsonObject,
): { revisions: KubeObject[]; update: KubeObject } {
  const revisions = host.index
    .ownedBy(owner, 'controllerrevisions.apps')
    .sort((a, b) => numberAt(a, 'revision') - numberAt(b, 'revision'))
  const template = objectAt(owner, 'spec.template')
  const data = { spec: { template: { $patch: 'replace', ...template } } }
  const newest = revisions.at(-1)
  const next = numberAt(newest, 'revision') + 1
  const equal = revisions.find((revision) => canonical(revision['data'] ?? null) === canonical(data))
  if (equal !== undefined && equal === newest) return { revisions, update: equal }
  if (equal !== undefined) {
    const { name } = equal.metadata
    const update = client.patch('controllerrevisions.apps', namespaceOf(owner), name, { revision: next })
    return { revisions: [...revisions.filter((revision) => revision !== equal), update], update }
  }
  const hash = templateHash(template)
  const annotations = objectAt(owner, 'metadata.annotations')
  const update = client.create('controllerrevisions.apps', {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${owner.metadata.name}-${hash}`,
      namespace: namespaceOf(owner),
      labels: labels(hash),
      annotations,
      ownerReferences: [ownerReference(owner)],
    },
    data,
    revision: next,
  })
  return { revisions: [...revisions, update], update }
}

/** Drop the oldest revisions that nothing uses any more. */
export function dropOldRevisions(
  client: Client,
  owner: KubeObject,
  revisions: readonly KubeObject[],
  used: ReadonlySet<string>,
): void {
  const limit = numberAt(owner, 'spec.revisionHistoryLimit')
  const unused = revisions.filter(({ metadata }) => !used.has(metadata.name))
  for (const { metadata } of unused.slice(0, Math.max(0, unused.length - limit))) {
    client.delete('controllerrevisions.apps', namespaceOf(owner), metadata.name)
  }
}

/** Set a condition: the time of the transition stays while the status does. */
export function withCondition(
  conditions: readonly JsonObject[],
  condition: JsonObject & { type: string; status: string; reason: string },
): JsonObject[] {
  const current = conditions.find(({ type }) => type === condition.type)
  if (current?.['status'] === condition.status && current['reason'] === condition.reason)
    return [...conditions]
  const lastTransitionTime =
    current?.['status'] === condition.status
      ? (current['lastTransitionTime'] ?? null)
      : condition['lastTransitionTime']
  return [
    ...conditions.filter(({ type }) => type !== condition.type),
    { ...condition, ...(lastTransitionTime !== undefined && { lastTransitionTime }) },
  ]
}
