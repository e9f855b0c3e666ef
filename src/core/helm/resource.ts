import { FluxError } from '../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../json.ts'
import { type ResourceId, resourceIdOf } from '../resource/id.ts'
import type { ChartSource, ObjectRef } from './chart.ts'
import { type HelmReleaseStatus, readStatus } from './conditions.ts'
import { type ReleaseShape, shapeOf } from './older.ts'
import { defaultReleaseName } from './release-name.ts'

/**
 * The custom resource `HelmRelease` (`helm.fluxcd.io/v1`), as it is written and with its defaults.
 *
 * Follows `spec/helm-operator.md` §1. Read leniently: the API server has checked the types, and what an older schema
 * let through must not stop the rest. New settings are annotations, so that v1's operator can read the resource too.
 */

export const helmReleaseKind = 'HelmRelease'
export const helmReleaseVersion = 'helm.fluxcd.io/v1'
export const finalizer = 'finalizers.helm.fluxcd.io'

const annotationPrefix = 'helm.fluxcd.io/'

export interface HelmRelease {
  /** `namespace:helmrelease/name` */
  id: ResourceId
  apiVersion: string
  kind: string
  shape: ReleaseShape
  namespace: string
  name: string
  uid: string
  resourceVersion: string
  generation: number
  /** somebody deleted it, and it waits for its finalizers */
  deleting: boolean
  finalizers: readonly string[]
  /** `undefined` where the spec names no whole source */
  chart: ChartSource | undefined
  releaseName: string
  targetNamespace: string
  /** of the resource's namespace; empty: the operator's own rights */
  serviceAccount: string
  helmVersion: string
  values: JsonObject
  /** in merge order, below `values` */
  valueSources: readonly ValueSource[]
  timeoutMs: number
  wait: boolean
  /** 0: all */
  maxHistory: number
  reuseValues: boolean
  force: boolean
  skipCrds: boolean
  disableOpenApiValidation: boolean
  rollback: {
    enable: boolean
    retry: boolean
    /** 0: no bound */
    maxRetries: number
    force: boolean
    recreatePods: boolean
    disableHooks: boolean
    timeoutMs: number
    wait: boolean
  }
  test: { enable: boolean; ignoreFailures: boolean; timeoutMs: number }
  annotations: {
    suspended: boolean
    /** `namespace/name` of HelmReleases that come first */
    dependsOn: readonly string[]
    /** between two looks; absent: the operator's */
    interval: string | undefined
    /** its value changed: start over */
    reset: string
    /** leave the release when the resource goes */
    keep: boolean
    /** `path` or `Kind/name:path` of fields that others may change */
    driftIgnore: readonly string[]
    /** present: asks for a migration from Helm 2, which we don't do */
    migrate: boolean
  }
  /** the whole spec as it is written */
  spec: JsonObject
  status: HelmReleaseStatus
}

export type ValueSource =
  | {
      kind: 'ConfigMap' | 'Secret'
      ref: ObjectRef
      key: string
      optional: boolean
    }
  | { kind: 'url'; url: string; optional: boolean }
  | { kind: 'chartFile'; path: string; optional: boolean }

const defaultTimeoutSeconds = 300
const defaultHistory = 10
const defaultRetries = 5
const defaultKey = 'values.yaml'

/** Read a HelmRelease as the API server has it; `undefined` for an object without a name. */
export function readHelmRelease(object: JsonObject): HelmRelease | undefined {
  const metadata = objectAt(object, 'metadata')
  const name = textAt(metadata, 'name')
  if (name === '') return undefined
  const namespace = textAt(metadata, 'namespace') || 'default'
  const spec = objectAt(object, 'spec')
  const kind = textAt(object, 'kind') || helmReleaseKind
  const targetNamespace = textAt(spec, 'targetNamespace') || namespace
  const rollback = objectAt(spec, 'rollback')
  const test = objectAt(spec, 'test')
  const annotations = objectAt(metadata, 'annotations')
  const annotation = (word: string) => textAt(annotations, annotationPrefix + word)
  return {
    id: resourceIdOf(namespace, kind, name),
    apiVersion: textAt(object, 'apiVersion') || helmReleaseVersion,
    kind,
    shape: shapeOf(textAt(object, 'apiVersion')),
    namespace,
    name,
    uid: textAt(metadata, 'uid'),
    resourceVersion: textAt(metadata, 'resourceVersion'),
    generation: numberAt(metadata, 'generation') ?? 0,
    deleting: textAt(metadata, 'deletionTimestamp') !== '',
    finalizers: textsAt(metadata, 'finalizers'),
    chart: readChartSource(objectAt(spec, 'chart'), namespace),
    releaseName: textAt(spec, 'releaseName') || defaultReleaseName(namespace, targetNamespace, name),
    targetNamespace,
    serviceAccount: textAt(spec, 'serviceAccountName'),
    helmVersion: textAt(spec, 'helmVersion'),
    values: objectAt(spec, 'values'),
    valueSources: readValueSources(spec, namespace),
    timeoutMs: secondsAt(spec, 'timeout'),
    wait: flagAt(spec, 'wait') ?? (flagAt(rollback, 'enable') || flagAt(test, 'enable') || false),
    maxHistory: numberAt(spec, 'maxHistory') ?? defaultHistory,
    reuseValues: flagAt(spec, 'resetValues') === false,
    force: flagAt(spec, 'forceUpgrade') ?? false,
    skipCrds: flagAt(spec, 'skipCRDs') ?? false,
    disableOpenApiValidation: flagAt(spec, 'disableOpenAPIValidation') ?? false,
    rollback: {
      enable: flagAt(rollback, 'enable') ?? false,
      retry: flagAt(rollback, 'retry') ?? false,
      maxRetries: numberAt(rollback, 'maxRetries') ?? defaultRetries,
      force: flagAt(rollback, 'force') ?? false,
      recreatePods: flagAt(rollback, 'recreate') ?? false,
      disableHooks: flagAt(rollback, 'disableHooks') ?? false,
      timeoutMs: secondsAt(rollback, 'timeout'),
      wait: flagAt(rollback, 'wait') ?? false,
    },
    test: {
      enable: flagAt(test, 'enable') ?? false,
      ignoreFailures: flagAt(test, 'ignoreFailures') ?? false,
      timeoutMs: secondsAt(test, 'timeout'),
    },
    annotations: {
      suspended: annotation('suspend') === 'true',
      dependsOn: listed(annotation('depends-on')).map((text) =>
        text.includes('/') ? text : `${namespace}/${text}`,
      ),
      driftIgnore: listed(annotation('drift-ignore')),
      interval: annotation('interval') || undefined,
      reset: annotation('reset'),
      keep: annotation('keep') === 'true',
      migrate: Object.hasOwn(annotations, `${annotationPrefix}migrate`),
    },
    spec,
    status: readStatus(object['status']),
  }
}

/** @throws FluxError `CHART_SOURCE_MISSING` */
export function chartOf({ chart }: HelmRelease): ChartSource {
  if (chart) return chart
  throw new FluxError('CHART_SOURCE_MISSING', {
    what: 'could not find valid chart source configuration for release',
    why: 'A chart comes from Git (git and path) or from a repository (repository, name and version).',
    next: 'Complete spec.chart.',
  })
}

/** Git wins when both are whole, as in v1. */
function readChartSource(chart: JsonObject, namespace: string): ChartSource | undefined {
  const at = (key: string) => textAt(chart, key)
  if (at('git') !== '' && at('path') !== '') {
    return {
      kind: 'git',
      url: at('git'),
      ref: at('ref'),
      path: at('path'),
      secret: refAt(chart, 'secretRef', namespace),
      skipDependencies: flagAt(chart, 'skipDepUpdate') ?? false,
    }
  }
  if (at('repository') !== '' && at('name') !== '' && at('version') !== '') {
    return {
      kind: 'repository',
      url: at('repository'),
      name: at('name'),
      version: at('version'),
      secret: refAt(chart, 'chartPullSecret', namespace),
    }
  }
  return undefined
}

/** `valueFileSecrets` first, then `valuesFrom` in its order; the first member of an entry that is there counts. */
function readValueSources(spec: JsonObject, namespace: string): ValueSource[] {
  const secrets = objectsAt(spec, 'valueFileSecrets').flatMap((entry): ValueSource[] => {
    const name = textAt(entry, 'name')
    return name === '' ? [] : [{ kind: 'Secret', ref: { namespace, name }, key: defaultKey, optional: false }]
  })
  const others = objectsAt(spec, 'valuesFrom').flatMap((entry): ValueSource[] => {
    for (const [member, kind] of [
      ['configMapKeyRef', 'ConfigMap'],
      ['secretKeyRef', 'Secret'],
    ] as const) {
      const source = entry[member]
      if (!isJsonObject(source)) continue
      const ref = { namespace: textAt(source, 'namespace') || namespace, name: textAt(source, 'name') }
      const optional = flagAt(source, 'optional') ?? false
      return [{ kind, ref, key: textAt(source, 'key') || defaultKey, optional }]
    }
    const external = entry['externalSourceRef']
    if (isJsonObject(external)) {
      const optional = flagAt(external, 'optional') ?? false
      return [{ kind: 'url', url: textAt(external, 'url'), optional }]
    }
    const file = entry['chartFileRef']
    if (isJsonObject(file)) {
      return [{ kind: 'chartFile', path: textAt(file, 'path'), optional: flagAt(file, 'optional') ?? false }]
    }
    return []
  })
  return [...secrets, ...others]
}

/** The parts of `a, b`. */
function listed(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function refAt(value: JsonObject, key: string, namespace: string): ObjectRef | undefined {
  const ref = objectAt(value, key)
  const name = textAt(ref, 'name')
  return name === '' ? undefined : { namespace: textAt(ref, 'namespace') || namespace, name }
}

function objectAt(value: JsonObject, key: string): JsonObject {
  const found = valueAt(value, key)
  return isJsonObject(found) ? found : {}
}

function objectsAt(value: JsonObject, key: string): JsonObject[] {
  const found: JsonValue | undefined = valueAt(value, key)
  return Array.isArray(found) ? found.filter(isJsonObject) : []
}

function textsAt(value: JsonObject, key: string): string[] {
  const found = valueAt(value, key)
  return Array.isArray(found) ? found.filter((item) => typeof item === 'string') : []
}

function textAt(value: JsonObject, key: string): string {
  const found = valueAt(value, key)
  return typeof found === 'string' ? found : ''
}

function flagAt(value: JsonObject, key: string): boolean | undefined {
  const found = valueAt(value, key)
  return typeof found === 'boolean' ? found : undefined
}

function numberAt(value: JsonObject, key: string): number | undefined {
  const found = valueAt(value, key)
  return typeof found === 'number' ? found : undefined
}

function secondsAt(value: JsonObject, key: string): number {
  return (numberAt(value, key) ?? defaultTimeoutSeconds) * 1000
}
