import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../core/json.ts'

import { type KubeObject, type Resource, StatusError } from '../model.ts'
import { isSame } from './equal.ts'
import { collectionName, invalid } from './status.ts'
import { timestamp, type World } from './world.ts'

/**
 * What the server itself puts into objects before it stores them, kind by kind: addresses of services, labels of jobs,
 * phases. In the real one these are the strategies of the registries, and admission plugins.
 */

/** Kinds whose `generation` counts changes of what is wanted; custom resources do so too. */
const counted = new Set([
  'customresourcedefinitions.apiextensions.k8s.io',
  'cronjobs.batch',
  'daemonsets.apps',
  'deployments.apps',
  'endpointslices.discovery.k8s.io',
  'flowschemas.flowcontrol.apiserver.k8s.io',
  'ingressclasses.networking.k8s.io',
  'ingresses.networking.k8s.io',
  'jobs.batch',
  'mutatingwebhookconfigurations.admissionregistration.k8s.io',
  'networkpolicies.networking.k8s.io',
  'poddisruptionbudgets.policy',
  'pods',
  'podtemplates',
  'priorityclasses.scheduling.k8s.io',
  'prioritylevelconfigurations.flowcontrol.apiserver.k8s.io',
  'replicasets.apps',
  'replicationcontrollers',
  'statefulsets.apps',
  'validatingadmissionpolicies.admissionregistration.k8s.io',
  'validatingadmissionpolicybindings.admissionregistration.k8s.io',
  'validatingwebhookconfigurations.admissionregistration.k8s.io',
])

/** Whether `generation` is kept for objects of this resource. */
export function countsGenerations(resource: Resource): boolean {
  return resource.custom || counted.has(collectionName(resource))
}

/** Whether what is wanted differs, so that `generation` grows. */
export function isOtherGeneration(resource: Resource, before: KubeObject, after: KubeObject): boolean {
  const wanted = ({ apiVersion: _apiVersion, kind: _kind, metadata: _metadata, ...rest }: KubeObject) => {
    if (!resource.status) return rest
    const { status: _status, ...wants } = rest
    return wants
  }
  return !isSame(wanted(before), wanted(after))
}

/** A new object, defaults filled in, as its kind begins. */
export function prepareCreate(world: World, resource: Resource, object: KubeObject): KubeObject {
  switch (collectionName(resource)) {
    case 'namespaces':
      return { ...object, spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } }
    case 'pods':
      return preparePod(object)
    case 'services':
      return prepareService(world, object)
    case 'jobs.batch':
      return prepareJob(object)
    case 'persistentvolumeclaims':
      return withFinalizer({ ...object, status: { phase: 'Pending' } }, 'kubernetes.io/pvc-protection')
    case 'persistentvolumes':
      return withFinalizer(
        { ...object, status: { phase: 'Pending', lastPhaseTransitionTime: timestamp(world.now()) } },
        'kubernetes.io/pv-protection',
      )
    default:
      return object
  }
}

/** What an update may leave out and still has. */
export function prepareUpdate(
  world: World,
  resource: Resource,
  before: KubeObject,
  after: KubeObject,
): KubeObject {
  switch (collectionName(resource)) {
    case 'namespaces':
      return { ...after, spec: before['spec'] ?? {} }
    case 'services':
      return keepAddresses(world, before, after)
    case 'daemonsets.apps':
      return countTemplate(before, after)
    default:
      return after
  }
}

const templateGeneration = 'deprecated.daemonset.template.generation'

/** DaemonSets still count their templates, though nobody reads it any more. */
function countTemplate(before: KubeObject, after: KubeObject): KubeObject {
  if (isSame(specOf(before)['template'], specOf(after)['template'])) return after
  const count = Number(valueAt(before, 'metadata', 'annotations', templateGeneration) ?? 0) + 1
  const own = after.metadata['annotations']
  const annotations = { ...(isJsonObject(own) && own), [templateGeneration]: String(count) }
  return { ...after, metadata: { ...after.metadata, annotations } }
}

function withFinalizer(object: KubeObject, finalizer: string): KubeObject {
  const finalizers = object.metadata['finalizers']
  const others = Array.isArray(finalizers) ? finalizers : []
  if (others.includes(finalizer)) return object
  return { ...object, metadata: { ...object.metadata, finalizers: [...others, finalizer] } }
}

function specOf(object: KubeObject): JsonObject {
  return isJsonObject(object['spec']) ? object['spec'] : {}
}

function preparePod(pod: KubeObject): KubeObject {
  const spec = specOf(pod)
  const tolerations = Array.isArray(spec['tolerations']) ? spec['tolerations'] : []
  const tolerated = (key: string) =>
    tolerations.some((toleration) => {
      const [named, effect] = [valueAt(toleration, 'key'), valueAt(toleration, 'effect')]
      return (named === undefined || named === key) && (effect === undefined || effect === 'NoExecute')
    })
  const added = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']
    .filter((key) => !tolerated(key))
    .map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }))
  return {
    ...pod,
    spec: {
      ...spec,
      tolerations: [...tolerations, ...added],
      priority: spec['priority'] ?? 0,
      preemptionPolicy: spec['preemptionPolicy'] ?? 'PreemptLowerPriority',
    },
    status: { phase: 'Pending', qosClass: qosClassOf(spec) },
  }
}

/** @see https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/ */
function qosClassOf(spec: JsonObject): string {
  const containers = [spec['containers'], spec['initContainers']].flatMap((list) =>
    Array.isArray(list) ? list : [],
  )
  const amounts = containers.map((container) => {
    const of = (side: string) => {
      const value = valueAt(container, 'resources', side)
      return isJsonObject(value) ? value : {}
    }
    return { requests: of('requests'), limits: of('limits') }
  })
  const none = amounts.every(
    ({ requests, limits }) => !['cpu', 'memory'].some((name) => name in requests || name in limits),
  )
  if (none) return 'BestEffort'
  const guaranteed = amounts.every(({ requests, limits }) =>
    ['cpu', 'memory'].every((name) => name in limits && (requests[name] ?? limits[name]) === limits[name]),
  )
  return guaranteed ? 'Guaranteed' : 'Burstable'
}

function prepareJob(job: KubeObject): KubeObject {
  const spec = specOf(job)
  if (spec['manualSelector'] === true) return { ...job, status: {} }
  const uid = String(job.metadata['uid'])
  const labels = {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': job.metadata.name,
    'controller-uid': uid,
    'job-name': job.metadata.name,
  }
  const template = isJsonObject(spec['template']) ? spec['template'] : {}
  const metadata = isJsonObject(template['metadata']) ? template['metadata'] : {}
  const own = isJsonObject(metadata['labels']) ? metadata['labels'] : {}
  const all = { ...own, ...labels }
  const selector = isJsonObject(spec['selector']) ? spec['selector'] : {}
  const matchLabels = isJsonObject(selector['matchLabels']) ? selector['matchLabels'] : {}
  return {
    ...job,
    // a Job without labels has those of its pods
    metadata: { ...job.metadata, labels: job.metadata['labels'] ?? all },
    spec: {
      ...spec,
      selector: {
        ...selector,
        matchLabels: { ...matchLabels, 'batch.kubernetes.io/controller-uid': uid },
      },
      template: { ...template, metadata: { ...metadata, labels: all } },
    },
    status: {},
  }
}

const firstNodePort = 30000
const lastNodePort = 32767

function prepareService(world: World, service: KubeObject): KubeObject {
  const spec = specOf(service)
  if (spec['type'] === 'ExternalName') return { ...service, status: { loadBalancer: {} } }
  const address = spec['clusterIP'] ?? freeAddress(world)
  if (spec['clusterIP'] !== undefined && address !== 'None')
    refuseTakenAddress(world, service, String(address))
  const headlessWithoutSelector = address === 'None' && spec['selector'] === undefined
  return {
    ...service,
    spec: {
      ...spec,
      clusterIP: address,
      clusterIPs: spec['clusterIPs'] ?? [address],
      ipFamilies: spec['ipFamilies'] ?? ['IPv4'],
      ipFamilyPolicy:
        spec['ipFamilyPolicy'] ?? (headlessWithoutSelector ? 'RequireDualStack' : 'SingleStack'),
      ...(Array.isArray(spec['ports']) && { ports: withNodePorts(world, spec, spec['ports']) }),
    },
    status: { loadBalancer: {} },
  }
}

/** Addresses and node ports stay when an update does not name them. */
function keepAddresses(world: World, before: KubeObject, after: KubeObject): KubeObject {
  const [old, spec] = [specOf(before), specOf(after)]
  if (spec['type'] === 'ExternalName') return after
  if (old['type'] === 'ExternalName')
    return { ...prepareService(world, after), status: after['status'] ?? {} }
  const kept: JsonObject = {}
  for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'healthCheckNodePort']) {
    const value = old[field]
    if (spec[field] === undefined && value !== undefined) kept[field] = value
  }
  const next = { ...spec, ...kept }
  const oldPorts = Array.isArray(old['ports']) ? old['ports'] : []
  const ports = (Array.isArray(spec['ports']) ? spec['ports'] : []).map((port) => {
    if (!isJsonObject(port) || port['nodePort'] !== undefined || !hasNodePorts(spec)) return port
    const nodePort = oldPorts
      .filter(
        (other) => valueAt(other, 'port') === port['port'] && valueAt(other, 'protocol') === port['protocol'],
      )
      .map((other) => valueAt(other, 'nodePort'))[0]
    return nodePort === undefined ? port : { ...port, nodePort }
  })
  return {
    ...after,
    spec: { ...next, ...(ports.length > 0 && { ports: withNodePorts(world, spec, ports) }) },
  }
}

function hasNodePorts(spec: JsonObject): boolean {
  if (spec['type'] === 'LoadBalancer') return spec['allocateLoadBalancerNodePorts'] !== false
  return spec['type'] === 'NodePort'
}

function services(world: World): readonly KubeObject[] {
  return world.store.list('services').objects
}

function freeAddress(world: World): string {
  const taken = new Set(services(world).map((service) => valueAt(service, 'spec', 'clusterIP')))
  for (;;) {
    const random = () => Math.floor(Math.random() * 254) + 1
    const address = `10.${96 + Math.floor(Math.random() * 4)}.${random()}.${random()}`
    if (!taken.has(address)) return address
  }
}

function refuseTakenAddress(world: World, service: KubeObject, address: string): void {
  const taken = services(world).some((other) => valueAt(other, 'spec', 'clusterIP') === address)
  if (!taken) return
  throw invalid('', 'Service', service.metadata.name, [
    {
      reason: 'FieldValueInvalid',
      message: `Invalid value: ["${address}"]: failed to allocate IP ${address}: provided IP is already allocated`,
      field: 'spec.clusterIPs',
    },
  ])
}

function withNodePorts(world: World, spec: JsonObject, ports: readonly JsonValue[]): JsonValue[] {
  if (!hasNodePorts(spec)) return [...ports]
  const taken = new Set(
    services(world)
      .flatMap((service) => valueAt(service, 'spec', 'ports') ?? [])
      .map((port) => valueAt(port, 'nodePort')),
  )
  return ports.map((port) => {
    if (!isJsonObject(port) || port['nodePort'] !== undefined) return port
    for (let tries = 0; tries < 10_000; tries++) {
      const nodePort = firstNodePort + Math.floor(Math.random() * (lastNodePort - firstNodePort + 1))
      if (taken.has(nodePort)) continue
      taken.add(nodePort)
      return { ...port, nodePort }
    }
    throw new StatusError(500, 'InternalError', 'no free node port')
  })
}
