import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../core/json.ts'
import type { KubeObject, Resource } from '../model.ts'
import { apiVersionOf, storedCollection } from './resources.ts'

/**
 * One object in the versions that its resource is served in. It is stored in the preferred one, events in the core
 * group; the others are made from that, and back.
 *
 * Custom resources differ in `apiVersion` alone, as without a conversion webhook.
 */

export function toServed(stored: KubeObject, resource: Resource): KubeObject {
  const apiVersion = apiVersionOf(resource)
  if (stored.apiVersion === apiVersion) return stored
  if (apiVersion === 'events.k8s.io/v1') return renamed(stored, apiVersion, eventFields)
  if (apiVersion === 'autoscaling/v1' && resource.kind === 'HorizontalPodAutoscaler') {
    return toAutoscalingV1(stored)
  }
  return { ...stored, apiVersion }
}

/** @param preferred the same resource in its preferred version */
export function toStored(served: KubeObject, resource: Resource, preferred: Resource): KubeObject {
  const from = apiVersionOf(resource)
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = served
  // always in this order: lists leave the first two out of a text made before
  const object = { apiVersion: from, kind: resource.kind, metadata, ...rest }
  if (from === 'events.k8s.io/v1') return renamed(object, 'v1', swapped(eventFields))
  const to = apiVersionOf(storedCollection(resource) === 'events' ? resource : preferred)
  if (from === to) return object
  if (from === 'autoscaling/v1' && resource.kind === 'HorizontalPodAutoscaler') return toAutoscalingV2(object)
  return { ...object, apiVersion: to }
}

/** Fields of a core event, and what they are called in `events.k8s.io`. */
const eventFields: Readonly<Record<string, string>> = {
  involvedObject: 'regarding',
  message: 'note',
  source: 'deprecatedSource',
  firstTimestamp: 'deprecatedFirstTimestamp',
  lastTimestamp: 'deprecatedLastTimestamp',
  count: 'deprecatedCount',
  reportingComponent: 'reportingController',
}

function swapped(names: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(names).map(([from, to]) => [to, from]))
}

function renamed(
  object: KubeObject,
  apiVersion: string,
  names: Readonly<Record<string, string>>,
): KubeObject {
  const fields = Object.entries(object).map(([field, value]) => [names[field] ?? field, value])
  return { ...Object.fromEntries(fields), apiVersion }
}

function toAutoscalingV1(v2: KubeObject): KubeObject {
  const { metrics, behavior: _behavior, ...spec } = objectAt(v2, 'spec')
  const { currentMetrics, conditions: _conditions, ...status } = objectAt(v2, 'status')
  const target = cpuOf(metrics, 'target')
  const current = cpuOf(currentMetrics, 'current')
  return {
    ...v2,
    apiVersion: 'autoscaling/v1',
    spec: { ...spec, ...(target !== undefined && { targetCPUUtilizationPercentage: target }) },
    status: { ...status, ...(current !== undefined && { currentCPUUtilizationPercentage: current }) },
  }
}

function cpuOf(metrics: JsonValue | undefined, side: 'target' | 'current'): JsonValue | undefined {
  const found = (Array.isArray(metrics) ? metrics : []).find(
    (metric) => valueAt(metric, 'resource', 'name') === 'cpu',
  )
  return valueAt(found, 'resource', side, 'averageUtilization')
}

function toAutoscalingV2(v1: KubeObject): KubeObject {
  const { targetCPUUtilizationPercentage: target, ...spec } = objectAt(v1, 'spec')
  const { currentCPUUtilizationPercentage: _current, ...status } = objectAt(v1, 'status')
  const metric = {
    type: 'Resource',
    resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: target ?? 80 } },
  }
  return {
    ...v1,
    apiVersion: 'autoscaling/v2',
    spec: { ...spec, metrics: [metric] },
    status: { ...status, currentMetrics: null },
  }
}

function objectAt(object: KubeObject, field: string): JsonObject {
  const value = object[field]
  return isJsonObject(value) ? value : {}
}
