import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../core/json.ts'
import { isSame } from '../apply/patch.ts'
import type { KubeObject, Resource } from '../model.ts'
import { type Cause, invalid } from '../rest/status.ts'
import { duplicate, invalidValue, notSupported, required, tooLong } from './causes.ts'
import { Place } from './check.ts'
import { checkDefinition } from './crd.ts'
import { checkCustom } from './custom.ts'
import {
  configKey,
  dnsLabel,
  dnsSubdomain,
  type NameRule,
  pathSegment,
  portName,
  qualified,
  wildcardSubdomain,
} from './names.ts'
import {
  checkAnnotations,
  checkIp,
  checkLabels,
  checkPodSpec,
  checkPodTemplate,
  checkPodUpdate,
  isIp,
} from './validate-pods.ts'
import {
  checkAtMostAll,
  checkCount,
  checkCronJob,
  checkDaemonSet,
  checkDeployment,
  checkImmutable,
  checkJob,
  checkJobSelector,
  checkJobUpdate,
  checkLabelSelector,
  checkReplicaSet,
  checkSelector,
  checkStatefulSet,
  checkStatefulSetUpdate,
} from './validate-workloads.ts'

/**
 * Whether an object may be stored, in the server's words: names, labels, what is required, and the rules of each kind
 * that people meet. Rules that take more than the object itself (quotas, referenced objects) are not here, nor are those
 * of kinds that only clusters use.
 *
 * @param old the object before an update
 * @param options.onlyStatus the update is one of `status`
 * @throws StatusError 422 with a cause for each field
 */
export function validate(
  resource: Resource,
  object: KubeObject,
  old?: KubeObject,
  { onlyStatus = false }: { onlyStatus?: boolean } = {},
): void {
  const causes: Cause[] = []
  const root = new Place(object, '', causes)
  const collection = resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`
  const rule = nameRules[collection] ?? dnsSubdomain
  checkMetadata(root.at('metadata'), rule, resource.custom)
  if (old !== undefined) checkMetadataUpdate(root.at('metadata'), old.metadata)
  if (resource.custom) {
    const status = resource.schema.fields?.['status']
    if (onlyStatus && status !== undefined) {
      // the server gives the whole path to the field, and tells of it in words from `status` on
      const found = checkCustom(object['status'] ?? {}, status, '')
      causes.push(...found.map((cause) => ({ ...cause, field: `status.${cause.field}` })))
    } else causes.push(...checkCustom(object, resource.schema, ''))
  } else {
    checks[collection]?.(root, old)
    if (old !== undefined) updateChecks[collection]?.(root, old)
  }
  if (causes.length > 0) throw invalid(resource.group, resource.kind, object.metadata.name ?? '', causes)
}

/* ---- metadata ---- */

/** Kinds whose names are held to something else than the rule for most, that of a DNS subdomain. */
const nameRules: Readonly<Record<string, NameRule>> = {
  namespaces: dnsLabel,
  services: dnsLabel,
  'clusterrolebindings.rbac.authorization.k8s.io': pathSegment,
  'clusterroles.rbac.authorization.k8s.io': pathSegment,
  'rolebindings.rbac.authorization.k8s.io': pathSegment,
  'roles.rbac.authorization.k8s.io': pathSegment,
}

const standardFinalizers = new Set(['foregroundDeletion', 'kubernetes', 'orphan'])

/** @param custom of whose finalizers a short name is only warned of */
function checkMetadata(metadata: Place, rule: NameRule, custom: boolean): void {
  const prefix = metadata.at('generateName')
  if (prefix.text !== '') for (const fault of rule(prefix.text.replace(/-$/, 'a'))) prefix.invalid(fault)
  const name = metadata.at('name')
  if (name.text === '') name.add(required(name.path, 'name or generateName is required'))
  else name.named(rule)
  checkLabels(metadata.at('labels'))
  checkAnnotations(metadata.at('annotations'))
  const owners = metadata.at('ownerReferences')
  for (const owner of owners.items) {
    const text = (field: string) => owner.at(field).text
    if (text('apiVersion') === '')
      owners.add(invalidValue(`${owners.path}.apiVersion`, '', 'version must not be empty'))
    for (const field of ['kind', 'name', 'uid']) {
      if (text(field) === '') owners.add(invalidValue(`${owners.path}.${field}`, '', 'must not be empty'))
    }
  }
  const controllers = owners.items.filter((owner) => owner.at('controller').value === true)
  const [first, second] = controllers
  if (first !== undefined && second !== undefined) {
    const tell = (owner: Place) => `${owner.at('kind').text}/${owner.at('name').text}`
    owners.invalid(
      `Only one reference can have Controller set to true. Found "true" in references for ${tell(first)} and ${tell(second)}`,
    )
  }
  const finalizers = metadata.at('finalizers')
  for (const finalizer of finalizers.items) {
    const faults = qualified(finalizer.text)
    for (const fault of faults) finalizers.invalid(fault, finalizer.text)
    if (custom || faults.length > 0) continue
    if (!finalizer.text.includes('/') && !standardFinalizers.has(finalizer.text)) {
      finalizer.invalid('name is neither a standard finalizer name nor is it fully qualified')
    }
  }
}

function checkMetadataUpdate(metadata: Place, old: JsonObject): void {
  for (const field of ['name', 'namespace', 'uid', 'creationTimestamp'])
    checkImmutable(metadata.at(field), old[field])
}

/* ---- by kind ---- */

type Check = (root: Place, old: KubeObject | undefined) => void

function checkEvent(root: Place, field: 'involvedObject' | 'regarding'): void {
  const own = root.at('metadata').at('namespace').text
  const namespace = root.at(field).at('namespace')
  if (namespace.text === '' ? own !== 'default' : namespace.text !== own) {
    namespace.under('involvedObject.namespace').invalid('does not match event.namespace')
  }
}

/** Of new objects and of changed ones. */
const checks: Readonly<Record<string, Check>> = {
  events: (root) => checkEvent(root, 'involvedObject'),
  'events.events.k8s.io': (root) => checkEvent(root, 'regarding'),
  configmaps: checkConfigMap,
  secrets: checkSecret,
  services: (root) => checkService(root),
  pods: (root, old) => {
    if (old === undefined) checkPodSpec(root.at('spec'))
  },
  podtemplates: (root) => checkPodTemplate(root.at('template')),
  replicationcontrollers: (root) => {
    root.at('spec').at('replicas').atLeast(0)
    const selector = root.at('spec').at('selector')
    if (selector.require()) {
      const labels = root.at('spec').at('template').at('metadata').at('labels')
      const matches = Object.entries(selector.object).every(([key, value]) => labels.object[key] === value)
      if (!matches) labels.invalid('`selector` does not match template `labels`', labels.value ?? null)
    }
    checkPodTemplate(root.at('spec').at('template'))
  },
  persistentvolumeclaims: (root, old) => {
    if (old === undefined) checkClaim(root.at('spec'))
  },
  persistentvolumes: (root) => checkVolume(root.at('spec')),
  resourcequotas: (root) => {
    const hard = root.at('spec').at('hard')
    for (const name of Object.keys(hard.object)) {
      const amount = hard.key(name)
      for (const fault of qualified(name)) amount.invalid(fault, name)
      if (!name.includes('/') && !quotaNames.test(name))
        amount.invalid('must be a standard resource for quota', name)
      if ((amount.amount ?? 0n) < 0n) amount.invalid('must be greater than or equal to 0')
    }
  },
  'deployments.apps': (root) => checkDeployment(root.at('spec')),
  'replicasets.apps': (root) => checkReplicaSet(root.at('spec')),
  'daemonsets.apps': (root) => checkDaemonSet(root.at('spec')),
  'statefulsets.apps': (root, old) => {
    if (old === undefined) checkStatefulSet(root.at('spec'))
    else checkSelectorless(root)
  },
  'jobs.batch': (root, old) => {
    checkJob(root.at('spec'))
    if (old === undefined) checkJobSelector(root.at('spec'))
  },
  'cronjobs.batch': (root, old) => {
    checkCronJob(root.at('spec'))
    const name = root.at('metadata').at('name')
    if (old === undefined && name.text.length > 52) name.invalid('must be no more than 52 characters')
  },
  'horizontalpodautoscalers.autoscaling': (root) => checkAutoscaler(root.at('spec')),
  'ingresses.networking.k8s.io': (root) => checkIngress(root.at('spec')),
  'ingressclasses.networking.k8s.io': (root) => {
    const controller = root.at('spec').at('controller')
    if (controller.text === '') controller.require()
    else if (!/^[^/]+\/.+$/.test(controller.text)) {
      controller.invalid('must be a domain-prefixed path (such as "acme.io/foo")')
    }
  },
  'networkpolicies.networking.k8s.io': (root) => checkNetworkPolicy(root.at('spec')),
  'poddisruptionbudgets.policy': (root) => checkBudget(root.at('spec')),
  'roles.rbac.authorization.k8s.io': (root) => checkRules(root.at('rules'), true),
  'clusterroles.rbac.authorization.k8s.io': (root) => checkRules(root.at('rules'), false),
  'rolebindings.rbac.authorization.k8s.io': (root) => checkBinding(root, ['Role', 'ClusterRole']),
  'clusterrolebindings.rbac.authorization.k8s.io': (root) => checkBinding(root, ['ClusterRole']),
  'storageclasses.storage.k8s.io': (root) => {
    root.at('provisioner').require()
  },
  'priorityclasses.scheduling.k8s.io': (root) => {
    const name = root.at('metadata').at('name')
    if (
      name.text.startsWith('system-') &&
      !['system-node-critical', 'system-cluster-critical'].includes(name.text)
    ) {
      name.forbid(
        `priority class names with 'system-' prefix are reserved for system use only. error: ${name.text} is not a known system priority class`,
      )
    } else if ((root.at('value').number ?? 0) > 1_000_000_000 && !name.text.startsWith('system-')) {
      root.at('value').forbid('maximum allowed value of a user defined priority is 1000000000')
    }
  },
  'leases.coordination.k8s.io': (root) => {
    const seconds = root.at('spec').at('leaseDurationSeconds')
    if (seconds.number !== undefined && seconds.number <= 0) seconds.invalid('must be greater than 0')
  },
  'customresourcedefinitions.apiextensions.k8s.io': (root) => {
    root.add(...checkDefinition(root.object as KubeObject))
  },
}

function checkSelectorless(root: Place): void {
  const spec = root.at('spec')
  spec.at('replicas').atLeast(0)
  checkSelector(spec, 'statefulset')
  checkPodTemplate(spec.at('template'))
}

/** Of changes alone. */
const updateChecks: Readonly<Record<string, (root: Place, old: KubeObject) => void>> = {
  configmaps: (root, old) => checkSealed(root, old, ['data', 'binaryData']),
  secrets: (root, old) => {
    checkImmutable(root.at('type'), old['type'])
    checkSealed(root, old, ['data'])
  },
  services: (root, old) => checkServiceUpdate(root.at('spec'), specOf(old)),
  pods: (root, old) => checkPodUpdate(root.at('spec'), specOf(old)),
  persistentvolumeclaims: (root, old) => checkClaimUpdate(root.at('spec'), old),
  persistentvolumes: (root, old) => {
    const source = (spec: JsonObject) => volumeSources.map((field) => spec[field] ?? null)
    if (!isSame(source(root.at('spec').object), source(specOf(old)))) {
      root
        .at('spec')
        .at('persistentvolumesource')
        .forbid('spec.persistentvolumesource is immutable after creation')
    }
  },
  'deployments.apps': immutableSelector,
  'daemonsets.apps': immutableSelector,
  'replicasets.apps': immutableSelector,
  'statefulsets.apps': (root, old) => checkStatefulSetUpdate(root.at('spec'), specOf(old)),
  'jobs.batch': (root, old) => checkJobUpdate(root.at('spec'), specOf(old)),
  'rolebindings.rbac.authorization.k8s.io': immutableRole,
  'clusterrolebindings.rbac.authorization.k8s.io': immutableRole,
  'storageclasses.storage.k8s.io': (root, old) => {
    for (const field of ['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode']) {
      checkImmutable(root.at(field), old[field])
    }
  },
  'priorityclasses.scheduling.k8s.io': (root, old) => {
    if (root.at('value').value !== old['value']) root.at('value').forbid('may not be changed in an update.')
    checkImmutable(root.at('preemptionPolicy'), old['preemptionPolicy'])
  },
  'ingressclasses.networking.k8s.io': (root, old) => {
    checkImmutable(root.at('spec').at('controller'), specOf(old)['controller'])
  },
  'customresourcedefinitions.apiextensions.k8s.io': (root, old) => {
    const conditions = valueAt(old, 'status', 'conditions')
    const isEstablished = (Array.isArray(conditions) ? conditions : []).some(
      (condition) => valueAt(condition, 'type') === 'Established' && valueAt(condition, 'status') === 'True',
    )
    const spec = root.at('spec')
    checkImmutable(spec.at('group'), specOf(old)['group'])
    checkImmutable(spec.at('names').at('plural'), valueAt(old, 'spec', 'names', 'plural'))
    if (!isEstablished) return
    checkImmutable(spec.at('scope'), specOf(old)['scope'])
    checkImmutable(spec.at('names').at('kind'), valueAt(old, 'spec', 'names', 'kind'))
  },
}

function specOf(object: KubeObject): JsonObject {
  return isJsonObject(object['spec']) ? object['spec'] : {}
}

function immutableSelector(root: Place, old: KubeObject): void {
  checkImmutable(root.at('spec').at('selector'), specOf(old)['selector'])
}

function immutableRole(root: Place, old: KubeObject): void {
  const role = root.at('roleRef')
  if (isSame(role.value, old['roleRef'])) return
  const { apiGroup = '', kind = '', name = '' } = role.object
  role.invalid('cannot change roleRef', { APIGroup: apiGroup, Kind: kind, Name: name })
}

/** ConfigMaps and Secrets that are `immutable`. */
function checkSealed(root: Place, old: KubeObject, fields: readonly string[]): void {
  if (old['immutable'] !== true) return
  const text = 'field is immutable when `immutable` is set'
  if (root.at('immutable').value !== true) root.at('immutable').forbid(text)
  for (const field of fields) {
    if (!isSame(root.at(field).value ?? null, old[field] ?? null)) root.at(field).forbid(text)
  }
}

/* ---- ConfigMaps and Secrets ---- */

const maxDataBytes = 1024 * 1024

function checkConfigMap(root: Place): void {
  const [data, binary] = [root.at('data'), root.at('binaryData')]
  let size = 0
  for (const [key, value] of Object.entries(data.object)) {
    const place = data.key(key)
    for (const fault of configKey(key)) place.invalid(fault, key)
    if (key in binary.object) place.invalid('duplicate of key present in binaryData', key)
    size += Buffer.byteLength(String(value))
  }
  for (const [key, value] of Object.entries(binary.object)) {
    for (const fault of configKey(key)) binary.key(key).invalid(fault, key)
    size += Buffer.byteLength(String(value), 'base64')
  }
  if (size > maxDataBytes) root.add(tooLong('[]', maxDataBytes))
}

const accountName = 'kubernetes.io/service-account.name'

function checkSecret(root: Place): void {
  const data = root.at('data')
  let size = 0
  for (const [key, value] of Object.entries(data.object)) {
    for (const fault of configKey(key)) data.key(key).invalid(fault, key)
    size += Buffer.byteLength(String(value), 'base64')
  }
  if (size > maxDataBytes) data.add(tooLong('data', maxDataBytes))
  const has = (key: string) => data.object[key] !== undefined
  const need = (...keys: string[]) => {
    for (const key of keys) if (!has(key)) data.add(required(`data[${key}]`))
  }
  switch (root.at('type').text) {
    case 'kubernetes.io/service-account-token': {
      const annotations = root.at('metadata').at('annotations')
      if (!annotations.object[accountName]) annotations.add(required(`${annotations.path}[${accountName}]`))
      break
    }
    case 'kubernetes.io/dockercfg':
      checkDockerConfig(data, '.dockercfg')
      break
    case 'kubernetes.io/dockerconfigjson':
      checkDockerConfig(data, '.dockerconfigjson')
      break
    case 'kubernetes.io/basic-auth':
      if (!has('username') && !has('password')) need('username', 'password')
      break
    case 'kubernetes.io/ssh-auth':
      if (!data.object['ssh-privatekey']) need('ssh-privatekey')
      break
    case 'kubernetes.io/tls':
      need('tls.crt', 'tls.key')
      break
  }
}

function checkDockerConfig(data: Place, key: string): void {
  const encoded = data.object[key]
  if (typeof encoded !== 'string') {
    data.add(required(`data[${key}]`))
    return
  }
  const text = Buffer.from(encoded, 'base64').toString()
  try {
    JSON.parse(text)
  } catch {
    const fault =
      text === ''
        ? 'unexpected end of JSON input'
        : `invalid character '${text.trimStart()[0] ?? ''}' looking for beginning of value`
    data.add(invalidValue(`data[${key}]`, '<secret contents redacted>', fault))
  }
}

/* ---- Services and what leads to them ---- */

const protocols = ['SCTP', 'TCP', 'UDP']

function checkService(root: Place): void {
  const spec = root.at('spec')
  const type = spec.at('type').text
  const ports = spec.at('ports')
  const address = spec.at('clusterIP').text
  const isExternalName = type === 'ExternalName'
  if (ports.items.length === 0 && !isExternalName && address !== 'None') ports.add(required(ports.path))
  if (type === 'NodePort' || type === 'LoadBalancer') {
    if (address === 'None') {
      spec.add(invalidValue('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`))
    }
  } else if (isExternalName) {
    if (address !== '') spec.at('clusterIPs').forbid('may not be set for ExternalName services')
    const name = spec.at('externalName')
    if (name.text === '') name.add(required(name.path))
    else for (const fault of dnsSubdomain(name.text.replace(/\.$/, ''))) name.invalid(fault)
  }
  checkServicePorts(ports, type)
  const selector = spec.at('selector')
  checkLabels(selector)
  const affinity = spec.at('sessionAffinity')
  affinity.oneOf(['ClientIP', 'None'])
  const timeout = spec.at('sessionAffinityConfig').at('clientIP').at('timeoutSeconds')
  if (
    affinity.text === 'ClientIP' &&
    timeout.number !== undefined &&
    (timeout.number <= 0 || timeout.number > 86_400)
  ) {
    timeout.invalid('must be greater than 0 and less than 86400')
  }
  for (const addressPlace of spec.at('externalIPs').items) checkIp(addressPlace)
  spec.at('type').oneOf(['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'])
  if (!isExternalName && address !== '' && address !== 'None' && !isIp(address)) {
    checkIp(new Place(address, 'spec.clusterIPs[0]', spec.causes))
  }
  const external = spec.at('externalTrafficPolicy')
  const isExternal = type === 'NodePort' || type === 'LoadBalancer' || spec.at('externalIPs').items.length > 0
  if (external.text !== '') {
    if (!isExternal) external.invalid('may only be set for externally-accessible services')
    else external.oneOf(['Cluster', 'Local'])
  }
  spec.at('internalTrafficPolicy').oneOf(['Cluster', 'Local'])
}

function checkServicePorts(ports: Place, type: string): void {
  const names = new Set<string>()
  const seen = new Set<string>()
  for (const port of ports.items) {
    const name = port.at('name')
    if (name.text === '') {
      if (ports.items.length > 1) name.add(required(name.path))
    } else {
      name.named(dnsLabel)
      if (names.has(name.text)) name.add(duplicate(name.path, name.text))
      names.add(name.text)
    }
    port.at('port').within(1, 65_535)
    port.at('protocol').oneOf(protocols)
    port.at('targetPort').port(portName)
    const nodePort = port.at('nodePort')
    if ((nodePort.number ?? 0) !== 0 && (type === 'ClusterIP' || type === 'ExternalName')) {
      nodePort.forbid(`may not be used when \`type\` is '${type}'`)
    }
    const key = `${port.at('protocol').text}/${port.at('port').number}`
    if (seen.has(key)) {
      const inner = {
        Name: '',
        Protocol: port.at('protocol').text,
        AppProtocol: null,
        Port: port.at('port').number ?? 0,
        TargetPort: 0,
        NodePort: 0,
      }
      port.add(duplicate(port.path, inner))
    }
    seen.add(key)
  }
}

function checkServiceUpdate(spec: Place, old: JsonObject): void {
  const before = old['clusterIP']
  if (old['type'] === 'ExternalName' || spec.at('type').text === 'ExternalName') return
  if (typeof before !== 'string' || before === '' || before === spec.at('clusterIP').value) return
  const addresses = [spec.at('clusterIP').value ?? '']
  spec.add(invalidValue('spec.clusterIPs[0]', addresses, 'may not change once set'))
}

function checkIngress(spec: Place): void {
  const rules = spec.at('rules')
  if (rules.items.length === 0 && !spec.at('defaultBackend').isSet) {
    spec.invalid('either `defaultBackend` or `rules` must be specified', null)
  }
  for (const rule of rules.items) {
    const host = rule.at('host')
    if (isIp(host.text)) host.invalid('must be a DNS name, not an IP address')
    else if (host.text !== '') host.named(host.text.includes('*') ? wildcardSubdomain : dnsSubdomain)
    const http = rule.at('http')
    if (!http.isSet) continue
    const paths = http.at('paths')
    if (paths.items.length === 0) paths.add(required(paths.path))
    for (const path of paths.items) checkIngressPath(path)
  }
  for (const tls of spec.at('tls').items) {
    for (const host of tls.at('hosts').items)
      host.named(host.text.includes('*') ? wildcardSubdomain : dnsSubdomain)
    if (tls.at('secretName').text !== '') tls.at('secretName').named(dnsSubdomain)
  }
  if (spec.at('defaultBackend').isSet) checkBackend(spec.at('defaultBackend'))
  if (spec.at('ingressClassName').isSet) spec.at('ingressClassName').named(dnsSubdomain)
}

const badPathParts = ['//', '/./', '/../', '%2f', '%2F']

function checkIngressPath(path: Place): void {
  const [type, text] = [path.at('pathType'), path.at('path')]
  if (!type.isSet) type.add(required(type.path, 'pathType must be specified'))
  else if (type.text === 'Exact' || type.text === 'Prefix') {
    if (!text.text.startsWith('/')) text.invalid('must be an absolute path', text.text)
    for (const part of badPathParts) if (text.text.includes(part)) text.invalid(`must not contain '${part}'`)
    for (const end of ['/..', '/.']) if (text.text.endsWith(end)) text.invalid(`cannot end with '${end}'`)
  } else if (type.text === 'ImplementationSpecific') {
    if (text.text !== '' && !text.text.startsWith('/')) text.invalid('must be an absolute path')
  } else type.add(notSupported(type.path, type.text, ['Exact', 'ImplementationSpecific', 'Prefix']))
  checkBackend(path.at('backend'))
}

function checkBackend(backend: Place): void {
  const [service, resource] = [backend.at('service'), backend.at('resource')]
  if (service.isSet && resource.isSet) backend.invalid('cannot set both resource and service backends', '')
  else if (service.isSet) {
    const name = service.at('name')
    if (name.text === '') name.add(required(name.path))
    else name.named(dnsLabel)
    const [number, portNamed] = [service.at('port').at('number'), service.at('port').at('name')]
    if ((number.number ?? 0) !== 0 && portNamed.text !== '') {
      backend.invalid('cannot set both port name & port number', '')
    } else if (portNamed.text !== '') portNamed.named(portName)
    else if ((number.number ?? 0) !== 0) number.within(1, 65_535)
    else backend.add(required(backend.path, 'port name or number is required'))
  } else if (!resource.isSet) backend.invalid('resource or service backend is required', '')
}

function checkNetworkPolicy(spec: Place): void {
  checkLabelSelector(spec.at('podSelector'))
  for (const [list, peers] of [
    ['ingress', 'from'],
    ['egress', 'to'],
  ] as const) {
    for (const rule of spec.at(list).items) {
      for (const port of rule.at('ports').items) {
        port.at('protocol').oneOf(protocols)
        if (port.at('port').isSet) port.at('port').port(portName)
      }
      for (const peer of rule.at(peers).items) {
        const isNamed = ['podSelector', 'namespaceSelector', 'ipBlock'].some((field) => peer.at(field).isSet)
        if (!isNamed) peer.add(required(peer.path, 'must specify a peer'))
      }
    }
  }
  for (const type of spec.at('policyTypes').items) type.oneOf(['Ingress', 'Egress'])
}

/* ---- the rest ---- */

function checkAutoscaler(spec: Place): void {
  const [least, most] = [spec.at('minReplicas'), spec.at('maxReplicas')]
  least.atLeast(1)
  if ((most.number ?? 0) < 1) most.add(required(most.path, 'must be set and greater than 0'))
  if (least.number !== undefined && (most.number ?? 0) < least.number) {
    most.invalid('must be greater than or equal to `minReplicas`', most.number ?? 0)
  }
  const target = spec.at('scaleTargetRef')
  for (const field of ['kind', 'name']) {
    const place = target.at(field)
    if (place.text === '') place.add(required(place.path))
    else place.named(pathSegment)
  }
  const version = target.at('apiVersion')
  if (!version.text.includes('/')) version.invalid('apiVersion must specify API group', version.text)
  const metrics = spec.at('metrics')
  for (const metric of metrics.items) checkMetric(metric)
  const scalesToZero = metrics.items.some((metric) => ['Object', 'External'].includes(metric.at('type').text))
  if (least.number === 0 && !scalesToZero) {
    metrics.forbid('must specify at least one Object or External metric to support scaling to zero replicas')
  }
}

const metricSources: Readonly<Record<string, string>> = {
  ContainerResource: 'containerResource',
  External: 'external',
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
}

function checkMetric(metric: Place): void {
  const type = metric.at('type')
  const field = metricSources[type.text]
  if (field === undefined) {
    type.add(notSupported(type.path, type.text, Object.keys(metricSources)))
    return
  }
  const source = metric.at(field)
  if (!source.isSet) {
    source.add(required(source.path, 'must populate information for the given metric source'))
    return
  }
  if (field !== 'resource' && field !== 'containerResource') return
  if (source.at('name').text === '')
    source.at('name').add(required(source.at('name').path, 'must specify a resource name'))
  const target = source.at('target')
  const kind = target.at('type')
  if (kind.text === '') kind.add(required(kind.path, 'must specify a metric target type'))
  if (!['Utilization', 'Value', 'AverageValue'].includes(kind.text)) {
    kind.invalid('must be either Utilization, Value, or AverageValue', kind.text)
  }
  const [utilization, average] = [target.at('averageUtilization'), target.at('averageValue')]
  if (utilization.number !== undefined && utilization.number < 1)
    utilization.invalid('must be greater than 0')
  if (!utilization.isSet && !average.isSet) {
    utilization.add(required(utilization.path, 'must set either a target raw value or a target utilization'))
  }
}

const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod']

function checkClaim(spec: Place): void {
  const modes = spec.at('accessModes')
  if (modes.items.length === 0) modes.add(required(modes.path, 'at least 1 access mode is required'))
  for (const mode of modes.items) {
    if (!accessModes.includes(mode.text)) modes.add(notSupported(modes.path, mode.text, accessModes))
  }
  const storage = spec.at('resources').at('requests').at('storage')
  const place = new Place(storage.value, 'spec.resources[storage]', spec.causes)
  if (!storage.isSet) place.add(required(place.path))
  else if ((storage.amount ?? 0n) <= 0n) place.invalid('must be greater than zero')
  if (spec.at('storageClassName').text !== '') spec.at('storageClassName').named(dnsSubdomain)
  spec.at('volumeMode').oneOf(['Block', 'Filesystem'])
}

function checkClaimUpdate(spec: Place, old: KubeObject): void {
  const isBound = valueAt(old, 'status', 'phase') === 'Bound'
  const fixed = ({
    volumeName: _name,
    volumeAttributesClassName: _class,
    resources,
    ...rest
  }: JsonObject) => ({
    ...rest,
    resources: isBound ? null : (resources ?? null),
  })
  if (isSame(fixed(spec.object), fixed(specOf(old)))) return
  spec.forbid(
    'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
  )
}

const volumeSources = [
  'hostPath',
  'nfs',
  'csi',
  'local',
  'iscsi',
  'fc',
  'rbd',
  'cephfs',
  'glusterfs',
  'azureDisk',
]

function checkVolume(spec: Place): void {
  const [modes, capacity] = [spec.at('accessModes'), spec.at('capacity')]
  if (modes.items.length === 0) modes.add(required(modes.path))
  for (const mode of modes.items) {
    if (!accessModes.includes(mode.text)) modes.add(notSupported(modes.path, mode.text, accessModes))
  }
  if (Object.keys(capacity.object).length === 0) capacity.add(required(capacity.path))
  if (!('storage' in capacity.object) || Object.keys(capacity.object).length > 1) {
    capacity.add(notSupported(capacity.path, capacity.value ?? null, ['storage']))
  }
  const known = [
    ...volumeSources,
    'flexVolume',
    'azureFile',
    'vsphereVolume',
    'gcePersistentDisk',
    'portworxVolume',
  ]
  if (!known.some((field) => spec.at(field).isSet))
    spec.add(required(spec.path, 'must specify a volume type'))
  spec.at('persistentVolumeReclaimPolicy').oneOf(['Delete', 'Recycle', 'Retain'])
}

const quotaNames =
  /^(cpu|memory|storage|ephemeral-storage|pods|services|services\..*|replicationcontrollers|resourcequotas|secrets|configmaps|persistentvolumeclaims|requests\..*|limits\..*|hugepages-.*|count\/.*)$/

function checkBudget(spec: Place): void {
  const [available, unavailable] = [spec.at('minAvailable'), spec.at('maxUnavailable')]
  if (available.isSet && unavailable.isSet) {
    const inner: JsonValue = {
      MinAvailable: available.value ?? null,
      Selector: spec.at('selector').value ?? null,
      MaxUnavailable: unavailable.value ?? null,
      UnhealthyPodEvictionPolicy: null,
    }
    spec.invalid('minAvailable and maxUnavailable cannot be both set', inner)
  }
  for (const place of [available, unavailable]) {
    checkCount(place)
    checkAtMostAll(place)
  }
  checkLabelSelector(spec.at('selector'))
}

function checkRules(rules: Place, namespaced: boolean): void {
  for (const rule of rules.items) {
    const [verbs, groups, resources, urls] = ['verbs', 'apiGroups', 'resources', 'nonResourceURLs'].map(
      (field) => rule.at(field),
    ) as [Place, Place, Place, Place]
    if (verbs.isEmpty) verbs.add(required(verbs.path, 'verbs must contain at least one value'))
    if (!urls.isEmpty) {
      if (namespaced) urls.invalid('namespaced rules cannot apply to non-resource URLs')
      if (!groups.isEmpty || !resources.isEmpty || !rule.at('resourceNames').isEmpty) {
        urls.invalid('rules cannot apply to both regular resources and non-resource URLs')
      }
      continue
    }
    if (groups.isEmpty) groups.add(required(groups.path, 'resource rules must supply at least one api group'))
    if (resources.isEmpty)
      resources.add(required(resources.path, 'resource rules must supply at least one resource'))
  }
}

const rbacGroup = 'rbac.authorization.k8s.io'

function checkBinding(root: Place, kinds: readonly string[]): void {
  const role = root.at('roleRef')
  role.at('apiGroup').oneOf([rbacGroup])
  const kind = role.at('kind')
  if (!kinds.includes(kind.text)) kind.add(notSupported(kind.path, kind.text, kinds))
  const name = role.at('name')
  if (name.text === '') name.add(required(name.path))
  else name.named(pathSegment)
  for (const subject of root.at('subjects').items) {
    const [subjectName, group] = [subject.at('name'), subject.at('apiGroup')]
    if (subjectName.text === '') subjectName.add(required(subjectName.path))
    const type = subject.at('kind').text
    if (type === 'ServiceAccount') {
      if (subjectName.text !== '') subjectName.named(dnsSubdomain)
      if (group.text !== '') group.add(notSupported(group.path, group.text, ['']))
      if (subject.at('namespace').text === '' && !kinds.includes('Role')) subject.at('namespace').require()
    } else if (type === 'User' || type === 'Group') {
      if (group.text !== rbacGroup) group.add(notSupported(group.path, group.text, [rbacGroup]))
    } else
      subject.at('kind').add(notSupported(subject.at('kind').path, type, ['ServiceAccount', 'User', 'Group']))
  }
}
