import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../core/json.ts'
import { applyPatch } from '../apply/patch.ts'
import type { KubeObject, ObjectMeta, Resource } from '../model.ts'
import { types } from '../schema/types.ts'
import { applyObject, getObject, type PatchType, updateObject } from './objects.ts'
import { apiVersionOf, placeOf } from './resources.ts'
import { invalid } from './status.ts'
import type { World, Writer } from './world.ts'

/** The `scale` subresource: how many replicas there are and should be, whatever the kind. */

const scaleType = 'io.k8s.api.autoscaling.v1.Scale'

/** The resource of the subresource's own objects. */
export function scaleResource(resource: Resource): Resource {
  const schema = types().get(scaleType)
  if (schema === undefined) throw new Error(`the table of types has no ${scaleType}`)
  return {
    ...resource,
    group: 'autoscaling',
    version: 'v1',
    kind: 'Scale',
    custom: false,
    status: true,
    schema,
  }
}

export function readScale(resource: Resource, object: KubeObject): KubeObject {
  const { specReplicas, statusReplicas, selector } = scalePaths(resource)
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  const replicas = at(object, specReplicas) ?? 0
  const selected = selector === undefined ? undefined : selectorText(at(object, selector))
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp } as ObjectMeta,
    spec: replicas === 0 ? {} : { replicas },
    status: {
      replicas: at(object, statusReplicas) ?? 0,
      ...(selected !== undefined && selected !== '' && { selector: selected }),
    },
  }
}

/** @param change the Scale as it is into the Scale as it should be. @throws StatusError 404, 409, 422 */
export function updateScale(
  world: World,
  resource: Resource,
  namespace: string,
  name: string,
  change: (scale: KubeObject) => JsonObject,
  writer: Writer,
): KubeObject {
  const live = getObject(world, resource, namespace, name)
  const changed = change(readScale(resource, live))
  const replicas = valueAt(changed, 'spec', 'replicas') ?? 0
  if (typeof replicas !== 'number' || replicas < 0) {
    throw invalid('autoscaling', 'Scale', name, [
      {
        reason: 'FieldValueInvalid',
        message: `Invalid value: ${String(replicas)}: must be greater than or equal to 0`,
        field: 'spec.replicas',
      },
    ])
  }
  const version = valueAt(changed, 'metadata', 'resourceVersion')
  const resourceVersion =
    typeof version === 'string' && version !== '' ? version : live.metadata['resourceVersion']
  const next = withValueAt(live, scalePaths(resource).specReplicas, replicas)
  const metadata = { ...live.metadata, ...(resourceVersion !== undefined && { resourceVersion }) }
  const { object } = updateObject(world, resource, namespace, name, { ...next, metadata }, writer, {
    subresource: 'scale',
  })
  return readScale(resource, object)
}

/** Server-side apply of how many there should be, which becomes the writer's field. @throws StatusError 404, 409 */
export function applyScale(
  world: World,
  resource: Resource,
  namespace: string,
  name: string,
  config: JsonObject,
  writer: Writer & { force: boolean },
): KubeObject {
  const replicas = valueAt(config, 'spec', 'replicas')
  const named = { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata: { name } }
  const wanted =
    replicas === undefined ? named : withValueAt(named, scalePaths(resource).specReplicas, replicas)
  const { object } = applyObject(world, resource, namespace, name, wanted, writer, { subresource: 'scale' })
  return readScale(resource, replicas === 0 ? ownAlone(world, resource, object, writer) : object)
}

/** Go leaves a 0 out of a Scale: whoever else owned the number owned what is not there, and owns it no more. */
function ownAlone(
  world: World,
  resource: Resource,
  object: KubeObject,
  { manager, dryRun }: Writer,
): KubeObject {
  const { managedFields } = object.metadata
  const steps = stepsOf(scalePaths(resource).specReplicas).map((step) => `f:${step}`)
  let changed = false
  const entries = (Array.isArray(managedFields) ? managedFields : []).map((entry) => {
    const own = valueAt(entry, 'manager') === manager && valueAt(entry, 'subresource') === 'scale'
    const fields = valueAt(entry, 'fieldsV1')
    if (own || !isJsonObject(entry) || !isJsonObject(fields)) return entry
    if (valueAt(fields, ...steps) === undefined) return entry
    changed = true
    return { ...entry, fieldsV1: without(fields, steps) }
  })
  if (!changed || dryRun === true) return object
  const metadata = { ...object.metadata, managedFields: entries }
  return world.store.update(placeOf(resource, object), { ...object, metadata })
}

function without(fields: JsonObject, [step = '', ...rest]: readonly string[]): JsonObject {
  const { [step]: found, ...others } = fields
  return rest.length === 0 || !isJsonObject(found) ? others : { ...others, [step]: without(found, rest) }
}

export function patchScale(
  world: World,
  resource: Resource,
  namespace: string,
  name: string,
  type: PatchType,
  patch: JsonValue,
  writer: Writer,
): KubeObject {
  const change = (scale: KubeObject) => applyPatch(type, scale, patch, scaleResource(resource))
  return updateScale(world, resource, namespace, name, change, writer)
}

function scalePaths({ scale }: Resource) {
  if (scale === undefined) throw new Error('a resource without scale')
  return scale
}

function stepsOf(path: string): string[] {
  return path.split('.').filter((step) => step !== '')
}

function at(object: KubeObject, path: string): JsonValue | undefined {
  return valueAt(object, ...stepsOf(path))
}

function withValueAt(object: JsonObject, path: string, value: JsonValue): JsonObject {
  const [step = '', ...rest] = stepsOf(path)
  const inner = object[step]
  return {
    ...object,
    [step]: rest.length === 0 ? value : withValueAt(isJsonObject(inner) ? inner : {}, rest.join('.'), value),
  }
}

/** A selector as text: a label selector's parts, or a map of labels, or the text that it is. */
function selectorText(selector: JsonValue | undefined): string | undefined {
  if (typeof selector === 'string') return selector
  if (!isJsonObject(selector)) return undefined
  const isPlain = Object.values(selector).every((value) => typeof value === 'string')
  const labels = isPlain ? selector : selector['matchLabels']
  const equal = isJsonObject(labels)
    ? Object.entries(labels).map(([key, value]) => `${key}=${String(value)}`)
    : []
  const expressions = Array.isArray(selector['matchExpressions']) ? selector['matchExpressions'] : []
  const words: Record<string, string> = { In: 'in', NotIn: 'notin' }
  const others = expressions.map((expression) => {
    const key = String(valueAt(expression, 'key'))
    const operator = String(valueAt(expression, 'operator'))
    const values = valueAt(expression, 'values')
    if (words[operator] === undefined) return operator === 'Exists' ? key : `!${key}`
    return `${key} ${words[operator]} (${(Array.isArray(values) ? values : []).map(String).sort().join(',')})`
  })
  return [...equal, ...others].sort().join(',')
}
