import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../core/json.ts'
import type { KubeObject, Resource, Schema } from '../model.ts'
import { quantityRoundedUp } from './quantity.ts'

/**
 * What the API server fills in where nothing is said: the defaults of the schemas, and those that Kubernetes sets by
 * code, type by type. Custom resources get those of their structural schema.
 *
 * An object has been read before (`read.ts`), so that a zero that means nothing is not there any more.
 */

/** @returns another object, or the same when nothing is to be filled in */
export function applyDefaults(resource: Resource, object: KubeObject): KubeObject {
  if (!resource.custom) return fill(object, resource.schema) as KubeObject
  const { apiVersion, kind, metadata, ...rest } = object
  const filled = fillCustom(rest, resource.schema)
  return { apiVersion, kind, metadata, ...(isJsonObject(filled) ? filled : rest) }
}

/* ---- built-in types ---- */

function fill(value: JsonValue, schema: Schema): JsonValue {
  if (!hasDefaults(schema)) return value
  if (schema.type === 'list' && schema.values && Array.isArray(value)) {
    const { values } = schema
    return value.map((item) => fill(item, values))
  }
  if (!isJsonObject(value)) return value
  if (schema.type === 'map' && schema.values) {
    const { values } = schema
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, values)]))
  }
  const filled = { ...value }
  byType[schema.name ?? '']?.(filled)
  for (const [name, field] of defaultedFields(schema)) {
    const item = filled[name]
    if (item !== undefined) filled[name] = fill(item, field)
    else if (field.default !== undefined) filled[name] = field.default
  }
  return filled
}

const defaulted = new WeakMap<object, [string, Schema][]>()

/** Fields of a type that have a default, or something below that has one. */
function defaultedFields(schema: Schema): [string, Schema][] {
  const { fields = {} } = schema
  let found = defaulted.get(fields)
  if (found === undefined) {
    defaulted.set(fields, []) // types that hold themselves
    found = Object.entries(fields).filter(([, field]) => field.default !== undefined || hasDefaults(field))
    defaulted.set(fields, found)
  }
  return found
}

function hasDefaults(schema: Schema): boolean {
  if (schema.type === 'object') {
    return byType[schema.name ?? ''] !== undefined || defaultedFields(schema).length > 0
  }
  return schema.values !== undefined && hasDefaults(schema.values)
}

/** Sets a field that is not there. */
function set(object: JsonObject, defaults: JsonObject): void {
  for (const [name, value] of Object.entries(defaults)) {
    if (object[name] === undefined || object[name] === null || object[name] === '') object[name] = value
  }
}

/** The object at a field, another one that may be changed. */
function own(object: JsonObject, field: string): JsonObject {
  const value = object[field]
  const copy = isJsonObject(value) ? { ...value } : {}
  object[field] = copy
  return copy
}

const rbacGroup = 'rbac.authorization.k8s.io'

/** What Kubernetes sets by code. Each gets an object that may be changed, but nothing below it. */
const byType: Readonly<Record<string, (object: JsonObject) => void>> = named({
  'core.v1': {
    Container: defaultContainer,
    EphemeralContainer: defaultContainer,
    ConfigMapVolumeSource: (source) => set(source, { defaultMode: 0o644 }),
    DownwardAPIVolumeSource: (source) => set(source, { defaultMode: 0o644 }),
    ProjectedVolumeSource: (source) => set(source, { defaultMode: 0o644 }),
    SecretVolumeSource: (source) => set(source, { defaultMode: 0o644 }),
    EndpointPort: (port) => set(port, { protocol: 'TCP' }),
    HTTPGetAction: (action) => set(action, { path: '/', scheme: 'HTTP' }),
    HostPathVolumeSource: (source) => {
      source['type'] ??= ''
    },
    LimitRangeItem: defaultLimits,
    Namespace: (namespace) => {
      const metadata = own(namespace, 'metadata')
      const { name } = metadata
      if (typeof name === 'string' && name !== '')
        own(metadata, 'labels')['kubernetes.io/metadata.name'] = name
    },
    NamespaceStatus: (status) => set(status, { phase: 'Active' }),
    ObjectFieldSelector: (selector) => set(selector, { apiVersion: 'v1' }),
    PersistentVolume: (volume) => set(own(volume, 'status'), { phase: 'Pending' }),
    PersistentVolumeSpec: (spec) =>
      set(spec, { persistentVolumeReclaimPolicy: 'Retain', volumeMode: 'Filesystem' }),
    PersistentVolumeClaim: (claim) => set(own(claim, 'status'), { phase: 'Pending' }),
    PersistentVolumeClaimSpec: (spec) => set(spec, { volumeMode: 'Filesystem' }),
    Pod: defaultPod,
    PodSpec: defaultPodSpec,
    Probe: (probe) =>
      set(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }),
    ReplicationController: defaultReplicationController,
    ResourceRequirements: defaultAmounts,
    Secret: (secret) => set(secret, { type: 'Opaque' }),
    Service: defaultService,
    ServiceAccountTokenProjection: (source) => set(source, { expirationSeconds: 3600 }),
    Volume: defaultVolume,
  },
  'apps.v1': {
    DaemonSet: (daemonSet) =>
      set(own(own(daemonSet, 'metadata'), 'annotations'), {
        'deprecated.daemonset.template.generation': '1',
      }),
    DaemonSetSpec: (spec) => {
      const strategy = own(spec, 'updateStrategy')
      set(strategy, { type: 'RollingUpdate' })
      if (strategy['type'] === 'RollingUpdate') {
        set(own(strategy, 'rollingUpdate'), { maxUnavailable: 1, maxSurge: 0 })
      }
      set(spec, { revisionHistoryLimit: 10 })
    },
    DeploymentSpec: (spec) => {
      const strategy = own(spec, 'strategy')
      set(strategy, { type: 'RollingUpdate' })
      if (strategy['type'] === 'RollingUpdate') {
        set(own(strategy, 'rollingUpdate'), { maxUnavailable: '25%', maxSurge: '25%' })
      }
      set(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 })
    },
    ReplicaSetSpec: (spec) => set(spec, { replicas: 1 }),
    StatefulSetSpec: (spec) => {
      const strategy = own(spec, 'updateStrategy')
      if (strategy['type'] === undefined) {
        strategy['type'] = 'RollingUpdate'
        strategy['rollingUpdate'] ??= {}
      }
      if (strategy['type'] === 'RollingUpdate' && isJsonObject(strategy['rollingUpdate'])) {
        set(own(strategy, 'rollingUpdate'), { partition: 0 })
      }
      set(own(spec, 'persistentVolumeClaimRetentionPolicy'), { whenDeleted: 'Retain', whenScaled: 'Retain' })
      set(spec, { podManagementPolicy: 'OrderedReady', replicas: 1, revisionHistoryLimit: 10 })
      const { volumeClaimTemplates: claims } = spec
      if (!Array.isArray(claims)) return
      spec['volumeClaimTemplates'] = claims.map((claim) =>
        isJsonObject(claim) ? { ...claim, apiVersion: 'v1', kind: 'PersistentVolumeClaim' } : claim,
      )
    },
  },
  'batch.v1': {
    CronJobSpec: (spec) =>
      set(spec, {
        concurrencyPolicy: 'Allow',
        suspend: false,
        successfulJobsHistoryLimit: 3,
        failedJobsHistoryLimit: 1,
      }),
    Job: defaultJob,
    PodFailurePolicyOnPodConditionsPattern: (pattern) => set(pattern, { status: 'True' }),
  },
  'autoscaling.v1': { HorizontalPodAutoscalerSpec: (spec) => set(spec, { minReplicas: 1 }) },
  'autoscaling.v2': { HorizontalPodAutoscalerSpec: defaultAutoscaler },
  'networking.v1': {
    IngressClassParametersReference: (reference) => set(reference, { scope: 'Cluster' }),
    NetworkPolicyPort: (port) => set(port, { protocol: 'TCP' }),
    NetworkPolicySpec: (spec) => {
      if (Array.isArray(spec['policyTypes']) && spec['policyTypes'].length > 0) return
      const egress = Array.isArray(spec['egress']) && spec['egress'].length > 0
      spec['policyTypes'] = egress ? ['Ingress', 'Egress'] : ['Ingress']
    },
  },
  'rbac.v1': {
    RoleRef: (reference) => set(reference, { apiGroup: rbacGroup }),
    Subject: (subject) => {
      if (subject['kind'] === 'User' || subject['kind'] === 'Group') set(subject, { apiGroup: rbacGroup })
    },
  },
  'admissionregistration.v1': {
    MatchResources: (resources) =>
      set(resources, { matchPolicy: 'Equivalent', namespaceSelector: {}, objectSelector: {} }),
    MutatingAdmissionPolicySpec: (spec) => set(spec, { failurePolicy: 'Fail' }),
    MutatingWebhook: (webhook) => set(webhook, { ...webhookDefaults, reinvocationPolicy: 'Never' }),
    NamedRuleWithOperations: (rule) => set(rule, { scope: '*' }),
    RuleWithOperations: (rule) => set(rule, { scope: '*' }),
    ServiceReference: (reference) => set(reference, { port: 443 }),
    ValidatingAdmissionPolicySpec: (spec) => set(spec, { failurePolicy: 'Fail' }),
    ValidatingWebhook: (webhook) => set(webhook, webhookDefaults),
  },
  'storage.v1': {
    CSIDriverSpec: (spec) =>
      set(spec, {
        attachRequired: true,
        podInfoOnMount: false,
        storageCapacity: false,
        fsGroupPolicy: 'ReadWriteOnceWithFSType',
        volumeLifecycleModes: ['Persistent'],
        requiresRepublish: false,
        seLinuxMount: false,
      }),
    StorageClass: (storage) => set(storage, { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' }),
  },
  'discovery.v1': {
    EndpointPort: (port) => {
      port['name'] ??= ''
      port['protocol'] ??= 'TCP'
    },
  },
  'scheduling.v1': {
    PriorityClass: (priority) => set(priority, { preemptionPolicy: 'PreemptLowerPriority' }),
  },
  'flowcontrol.v1': {
    ExemptPriorityLevelConfiguration: (configuration) =>
      set(configuration, { nominalConcurrencyShares: 0, lendablePercent: 0 }),
    FlowSchemaSpec: (spec) => {
      if (!spec['matchingPrecedence']) spec['matchingPrecedence'] = 1000
    },
    LimitedPriorityLevelConfiguration: (configuration) =>
      set(configuration, { nominalConcurrencyShares: 30, lendablePercent: 0 }),
    QueuingConfiguration: (configuration) => {
      for (const [name, value] of Object.entries({ handSize: 8, queues: 64, queueLengthLimit: 50 })) {
        if (!configuration[name]) configuration[name] = value
      }
    },
  },
  'apiextensions-apiserver.pkg.apis.apiextensions.v1': {
    CustomResourceDefinition: defaultDefinition,
    ServiceReference: (reference) => set(reference, { port: 443 }),
  },
  'kube-aggregator.pkg.apis.apiregistration.v1': {
    ServiceReference: (reference) => set(reference, { port: 443 }),
  },
})

type Defaulters = Record<string, (object: JsonObject) => void>

function named(groups: Record<string, Defaulters>): Defaulters {
  return Object.fromEntries(
    Object.entries(groups).flatMap(([group, types]) => {
      const prefix = group.includes('.pkg.') ? `io.k8s.${group}` : `io.k8s.api.${group}`
      return Object.entries(types).map(([type, defaults]) => [`${prefix}.${type}`, defaults])
    }),
  )
}

const webhookDefaults = {
  failurePolicy: 'Fail',
  matchPolicy: 'Equivalent',
  namespaceSelector: {},
  objectSelector: {},
  timeoutSeconds: 10,
}

function defaultContainer(container: JsonObject): void {
  set(container, {
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: isLatest(container['image']) ? 'Always' : 'IfNotPresent',
  })
}

const imageName =
  /^(?:[a-zA-Z0-9.-]+(?::\d+)?\/|\[[0-9a-fA-F:]+\](?::\d+)?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::([\w][\w.-]{0,127}))?(@[A-Za-z][\w.+-]*:[0-9a-fA-F]{32,})?$/

/** Whether an image is named by the tag `latest`, or by nothing but its name. */
function isLatest(image: JsonValue | undefined): boolean {
  const match = typeof image === 'string' ? imageName.exec(image) : null
  if (match === null) return false
  const [, tag, digest] = match
  return tag === undefined ? digest === undefined : tag === 'latest'
}

function defaultPodSpec(spec: JsonObject): void {
  set(spec, {
    dnsPolicy: 'ClusterFirst',
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    schedulerName: 'default-scheduler',
  })
  spec['securityContext'] ??= {}
  // the older name of the field says the same
  const account = spec['serviceAccountName'] ?? spec['serviceAccount']
  if (account !== undefined) {
    spec['serviceAccountName'] = account
    spec['serviceAccount'] = account
  }
}

/** Pods alone, not the templates of pods. */
function defaultPod(pod: JsonObject): void {
  const spec = own(pod, 'spec')
  set(spec, { enableServiceLinks: true })
  for (const list of ['containers', 'initContainers']) {
    const containers = spec[list]
    if (!Array.isArray(containers)) continue
    spec[list] = containers.map((container) => {
      if (!isJsonObject(container)) return container
      const limits = valueAt(container, 'resources', 'limits')
      const requested = isJsonObject(limits)
        ? {
            resources: {
              ...(container['resources'] as JsonObject),
              requests: { ...limits, ...objectAt(container['resources'], 'requests') },
            },
          }
        : {}
      const { ports } = container
      const open =
        spec['hostNetwork'] === true && Array.isArray(ports)
          ? {
              ports: ports.map((port) =>
                isJsonObject(port) ? { hostPort: port['containerPort'] ?? 0, ...port } : port,
              ),
            }
          : {}
      return { ...container, ...requested, ...open }
    })
  }
}

function objectAt(value: JsonValue | undefined, field: string): JsonObject {
  const found = valueAt(value, field)
  return isJsonObject(found) ? found : {}
}

/** Amounts finer than a thousandth are rounded up. */
function defaultAmounts(requirements: JsonObject): void {
  for (const side of ['limits', 'requests']) {
    const amounts = requirements[side]
    if (!isJsonObject(amounts)) continue
    requirements[side] = Object.fromEntries(
      Object.entries(amounts).map(([name, amount]) => [name, quantityRoundedUp(String(amount))]),
    )
  }
}

function defaultVolume(volume: JsonObject): void {
  if (Object.keys(volume).every((field) => field === 'name')) volume['emptyDir'] = {}
  const { image } = volume
  if (isJsonObject(image)) {
    set(own(volume, 'image'), { pullPolicy: isLatest(image['reference']) ? 'Always' : 'IfNotPresent' })
  }
}

function defaultLimits(item: JsonObject): void {
  if (item['type'] !== 'Container') return
  const limits = { ...objectAt(item, 'max'), ...objectAt(item, 'default') }
  const requests = { ...objectAt(item, 'min'), ...limits, ...objectAt(item, 'defaultRequest') }
  if (Object.keys(limits).length > 0) item['default'] = limits
  if (Object.keys(requests).length > 0) item['defaultRequest'] = requests
}

function defaultReplicationController(controller: JsonObject): void {
  const spec = own(controller, 'spec')
  const labels = valueAt(spec, 'template', 'metadata', 'labels')
  if (!isJsonObject(labels)) return
  set(spec, { selector: labels })
  set(own(controller, 'metadata'), { labels })
}

function defaultService(service: JsonObject): void {
  const spec = own(service, 'spec')
  set(spec, { sessionAffinity: 'None', type: 'ClusterIP' })
  if (spec['sessionAffinity'] === 'None') delete spec['sessionAffinityConfig']
  else if (spec['sessionAffinity'] === 'ClientIP') {
    const seconds = valueAt(spec, 'sessionAffinityConfig', 'clientIP', 'timeoutSeconds')
    if (seconds === undefined) spec['sessionAffinityConfig'] = { clientIP: { timeoutSeconds: 10_800 } }
  }
  if (Array.isArray(spec['ports'])) {
    spec['ports'] = spec['ports'].map((port) => {
      if (!isJsonObject(port)) return port
      const { protocol = 'TCP', targetPort } = port
      const isTargetSaid = targetPort !== undefined && targetPort !== 0 && targetPort !== ''
      return { ...port, protocol, targetPort: isTargetSaid ? targetPort : (port['port'] ?? 0) }
    })
  }
  const { type, externalIPs } = spec
  const isExternal = Array.isArray(externalIPs) && externalIPs.length > 0 && type === 'ClusterIP'
  if (type === 'LoadBalancer' || type === 'NodePort' || isExternal)
    set(spec, { externalTrafficPolicy: 'Cluster' })
  if (type !== 'ExternalName') set(spec, { internalTrafficPolicy: 'Cluster' })
  if (type === 'LoadBalancer') set(spec, { allocateLoadBalancerNodePorts: true })
}

function defaultJob(job: JsonObject): void {
  const spec = own(job, 'spec')
  if (spec['completions'] === undefined && spec['parallelism'] === undefined) spec['completions'] = 1
  set(spec, {
    parallelism: 1,
    backoffLimit: spec['backoffLimitPerIndex'] === undefined ? 6 : 0x7fff_ffff,
    completionMode: 'NonIndexed',
    suspend: false,
    podReplacementPolicy: spec['podFailurePolicy'] === undefined ? 'TerminatingOrFailed' : 'Failed',
    manualSelector: false,
  })
  const labels = valueAt(spec, 'template', 'metadata', 'labels')
  if (isJsonObject(labels)) set(own(job, 'metadata'), { labels })
}

const scaleUp = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
}
const scaleDown = { selectPolicy: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] }

function defaultAutoscaler(spec: JsonObject): void {
  set(spec, { minReplicas: 1 })
  if (!Array.isArray(spec['metrics']) || spec['metrics'].length === 0) {
    const target = { type: 'Utilization', averageUtilization: 80 }
    spec['metrics'] = [{ type: 'Resource', resource: { name: 'cpu', target } }]
  }
  if (!isJsonObject(spec['behavior'])) return
  const { behavior } = spec
  spec['behavior'] = {
    scaleUp: { ...scaleUp, ...objectAt(behavior, 'scaleUp') },
    scaleDown: { ...scaleDown, ...objectAt(behavior, 'scaleDown') },
  }
}

function defaultDefinition(definition: JsonObject): void {
  const spec = own(definition, 'spec')
  const names = own(spec, 'names')
  const kind = typeof names['kind'] === 'string' ? names['kind'] : ''
  if (kind !== '') set(names, { singular: kind.toLowerCase(), listKind: `${kind}List` })
  set(spec, { conversion: { strategy: 'None' } })
  const { status, spec: { versions } = spec } = definition as { status?: JsonValue; spec?: JsonObject }
  const stored = Array.isArray(versions)
    ? versions.find((version) => valueAt(version, 'storage') === true)
    : undefined
  const name = valueAt(stored, 'name')
  const known = valueAt(status, 'storedVersions')
  if (name === undefined || (Array.isArray(known) && known.length > 0)) return
  own(definition, 'status')['storedVersions'] = [name]
}

/* ---- custom resources ---- */

function fillCustom(value: JsonValue, schema: Schema): JsonValue {
  if (Array.isArray(value)) {
    const { values } = schema
    return values === undefined ? value : value.map((item) => fillCustom(item, values))
  }
  if (!isJsonObject(value)) return value
  const filled: JsonObject = {}
  for (const key in value) {
    const field =
      (Object.hasOwn(schema.fields ?? {}, key) ? schema.fields?.[key] : undefined) ?? schema.values
    const item = value[key] as JsonValue
    // a null where none may be stands for nothing
    if (item === null && field !== undefined && field.nullable !== true && field.type !== 'any') continue
    filled[key] = field === undefined ? item : fillCustom(item, field)
  }
  for (const [name, field] of Object.entries(schema.fields ?? {})) {
    if (filled[name] === undefined && field.default !== undefined)
      filled[name] = fillCustom(field.default, field)
  }
  return filled
}
