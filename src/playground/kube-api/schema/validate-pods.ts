import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'
import { isSame } from '../apply/patch.ts'
import { duplicate, invalidValue, notFoundValue, notSupported, required } from './causes.ts'
import type { Place } from './check.ts'
import {
  configKey,
  dnsLabel,
  dnsSubdomain,
  headerName,
  labelValue,
  portName,
  qualified,
  variableName,
} from './names.ts'

/** Pods and their templates: the rules that people meet, in the server's words and order. */

const maxInt32 = 2_147_483_647
const ipFault = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'

export function isIp(text: string): boolean {
  const isV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(text)
  return isV4 || (text.includes(':') && /^[0-9a-fA-F:.]+$/.test(text) && !text.includes(':::'))
}

export function checkIp(place: Place): void {
  if (!isIp(place.text)) place.invalid(ipFault)
}

export function checkLabels(place: Place): void {
  for (const [key, value] of Object.entries(place.object)) {
    for (const fault of qualified(key)) place.invalid(fault, key)
    for (const fault of labelValue(String(value))) place.invalid(fault, value)
  }
}

/** A template of pods, at `spec.template` or the like. */
export function checkPodTemplate(template: Place): void {
  const metadata = template.at('metadata')
  checkLabels(metadata.at('labels').under(`${template.path}.labels`))
  checkAnnotations(metadata.at('annotations').under(`${template.path}.annotations`))
  checkPodSpec(template.at('spec'))
}

const maxAnnotationBytes = 256 * 1024

export function checkAnnotations(place: Place): void {
  let size = 0
  for (const [key, value] of Object.entries(place.object)) {
    for (const fault of qualified(key.toLowerCase())) place.invalid(fault, key)
    size += Buffer.byteLength(key) + Buffer.byteLength(String(value))
  }
  if (size > maxAnnotationBytes) {
    const message = `Too long: may not be more than ${maxAnnotationBytes} bytes`
    place.add({ reason: 'FieldValueTooLong', message, field: place.path })
  }
}

export function checkPodSpec(spec: Place): void {
  const volumes = checkVolumes(spec.at('volumes'))
  const containers = spec.at('containers')
  const hostNetwork = spec.at('hostNetwork').value === true
  if (containers.items.length === 0) containers.require()
  const names = new Set<string>()
  checkContainers(containers, volumes, names, hostNetwork)
  checkContainers(spec.at('initContainers'), volumes, names, hostNetwork)
  spec.at('restartPolicy').oneOf(['Always', 'OnFailure', 'Never'])
  spec.at('dnsPolicy').oneOf(['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'])
  const selector = spec.at('nodeSelector')
  checkLabels(selector)
  checkPodSecurity(spec.at('securityContext'))
  checkAffinity(spec.at('affinity'))
  if (spec.at('dnsPolicy').text === 'None' && !spec.at('dnsConfig').isSet) {
    spec
      .at('dnsConfig')
      .add(required(spec.at('dnsConfig').path, 'must provide `dnsConfig` when `dnsPolicy` is None'))
  }
  for (const constraint of spec.at('topologySpreadConstraints').items) {
    if ((constraint.at('maxSkew').number ?? 0) <= 0) {
      constraint.at('maxSkew').invalid('must be greater than zero', constraint.at('maxSkew').number ?? 0)
    }
    constraint.at('topologyKey').require('can not be empty')
    constraint.at('whenUnsatisfiable').oneOf(['DoNotSchedule', 'ScheduleAnyway'])
  }
  const optional = ['serviceAccountName', 'nodeName'] as const
  for (const field of optional) if (spec.at(field).text !== '') spec.at(field).named(dnsSubdomain)
  const deadline = spec.at('activeDeadlineSeconds')
  deadline.within(1, maxInt32)
  for (const field of ['hostname', 'subdomain'])
    if (spec.at(field).text !== '') spec.at(field).named(dnsLabel)
  checkTolerations(spec.at('tolerations'))
  for (const alias of spec.at('hostAliases').items) {
    checkIp(alias.at('ip'))
    for (const name of alias.at('hostnames').items) name.named(dnsSubdomain)
  }
  if (spec.at('priorityClassName').text !== '') spec.at('priorityClassName').named(dnsSubdomain)
}

/* ---- containers ---- */

function checkContainers(
  list: Place,
  volumes: ReadonlySet<string>,
  names: Set<string>,
  hostNetwork: boolean,
): void {
  const hostPorts = new Set<string>()
  for (const container of list.items) {
    const name = container.at('name')
    if (name.require()) {
      name.named(dnsLabel)
      if (names.has(name.text)) name.add(duplicate(name.path, name.text))
      names.add(name.text)
    }
    container.at('image').require()
    for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe'])
      checkProbe(container.at(probe), probe)
    for (const hook of ['postStart', 'preStop']) checkHandler(container.at('lifecycle').at(hook))
    container.at('terminationMessagePolicy').oneOf(['File', 'FallbackToLogsOnError'])
    checkContainerPorts(container.at('ports'), hostPorts, hostNetwork)
    checkVariables(container)
    checkMounts(container.at('volumeMounts'), volumes)
    container.at('imagePullPolicy').oneOf(['Always', 'IfNotPresent', 'Never'])
    checkAmounts(container.at('resources'))
    checkSecurity(container.at('securityContext'))
  }
}

function checkContainerPorts(ports: Place, hostPorts: Set<string>, hostNetwork: boolean): void {
  ports.unique('name')
  for (const port of ports.items) {
    const name = port.at('name')
    if (name.text !== '') name.named(portName)
    const number = port.at('containerPort')
    if ((number.number ?? 0) === 0) number.add(required(number.path))
    else number.within(1, 65_535)
    const hostPort = port.at('hostPort')
    if ((hostPort.number ?? 0) !== 0) {
      hostPort.within(1, 65_535)
      const key = `${port.at('protocol').text}/${port.at('hostIP').text}/${hostPort.number}`
      if (hostPorts.has(key)) hostPort.add(duplicate(hostPort.path, key))
      hostPorts.add(key)
      if (hostNetwork && hostPort.number !== number.number) {
        hostPort.invalid('must match `containerPort` when `hostNetwork` is true')
      }
    }
    port.at('protocol').oneOf(['SCTP', 'TCP', 'UDP'])
  }
}

const variableSources = ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef', 'fileKeyRef']
const fieldPaths =
  /^(metadata\.(name|namespace|uid|labels|annotations)(\['[^']*'\])?|spec\.(nodeName|serviceAccountName)|status\.(hostIPs?|podIPs?))$/
const resourceNames = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
]

function checkVariables(container: Place): void {
  for (const variable of container.at('env').items) {
    const name = variable.at('name')
    if (name.require()) name.named(variableName)
    const from = variable.at('valueFrom')
    if (from.isSet) checkVariableSource(from, variable.at('value').text)
  }
  for (const source of container.at('envFrom').items) {
    const prefix = source.at('prefix')
    if (prefix.text !== '') prefix.named(variableName)
    const given = ['configMapRef', 'secretRef'].filter((kind) => source.at(kind).isSet)
    for (const kind of given) {
      const name = source.at(kind).at('name')
      if (name.require()) name.named(dnsSubdomain)
    }
    const list = container.at('envFrom')
    if (given.length === 0) list.invalid('must specify one of: `configMapRef` or `secretRef`', '')
    else if (given.length > 1) list.invalid('may not have more than one field specified at a time', '')
  }
}

function checkVariableSource(from: Place, value: string): void {
  const given = variableSources.filter((source) => from.at(source).isSet)
  const field = from.at('fieldRef')
  if (field.isSet) {
    const path = field.at('fieldPath')
    if (path.require() && !fieldPaths.test(path.text)) {
      path.invalid(`error converting fieldPath: field label not supported: ${path.text}`)
    }
  }
  const resource = from.at('resourceFieldRef').at('resource')
  if (from.at('resourceFieldRef').isSet && resource.require()) {
    if (!resourceNames.includes(resource.text) && !/^(limits|requests)\.hugepages-/.test(resource.text)) {
      resource.add(notSupported(resource.path, resource.text, resourceNames))
    }
  }
  for (const kind of ['configMapKeyRef', 'secretKeyRef']) {
    const reference = from.at(kind)
    if (!reference.isSet) continue
    const name = reference.at('name')
    for (const fault of dnsSubdomain(name.text)) name.invalid(fault, name.text)
    if (reference.at('key').require()) reference.at('key').named(configKey)
  }
  const choices = variableSources.map((source) => `\`${source}\``)
  const listed = `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`
  if (given.length === 0) from.invalid(`must specify one of: ${listed}`, '')
  else if (value !== '') from.invalid('may not be specified when `value` is not empty', '')
  else if (given.length > 1) from.invalid('may not have more than one field specified at a time', '')
}

function checkMounts(mounts: Place, volumes: ReadonlySet<string>): void {
  const paths = new Set<string>()
  for (const mount of mounts.items) {
    const name = mount.at('name')
    name.require()
    if (!volumes.has(name.text)) name.add(notFoundValue(name.path, name.text))
    const path = mount.at('mountPath')
    path.require()
    if (path.text !== '' && paths.has(path.text)) path.invalid('must be unique')
    paths.add(path.text)
    for (const field of ['subPath', 'subPathExpr']) {
      const { text } = mount.at(field)
      if (text === '') continue
      const field_ = `${mounts.path}.${field}`
      if (text.startsWith('/')) mounts.add(invalidValue(field_, text, 'must be a relative path'))
      else if (text.split('/').includes('..')) mounts.add(invalidValue(field_, text, "must not contain '..'"))
    }
  }
}

/* ---- probes ---- */

const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep']

function checkHandler(place: Place): void {
  if (!place.isSet) return
  const given = handlers.filter((handler) => place.at(handler).isSet)
  const [first, second] = given
  if (second !== undefined) place.at(second).forbid('may not specify more than 1 handler type')
  if (first === undefined) place.add(required(place.path, 'must specify a handler type'))
  if (first === 'exec') place.at('exec').at('command').require()
  if (first === 'tcpSocket' || first === 'httpGet') place.at(first).at('port').port(portName)
  if (first === 'httpGet') {
    place.at('httpGet').at('path').require()
    place.at('httpGet').at('scheme').oneOf(['HTTP', 'HTTPS'])
    for (const header of place.at('httpGet').at('httpHeaders').items) {
      for (const fault of headerName(header.at('name').text)) {
        place.add(invalidValue(`${place.path}.httpGet.httpHeaders`, header.at('name').text, fault))
      }
    }
  }
}

function checkProbe(probe: Place, kind: string): void {
  if (!probe.isSet) return
  checkHandler(probe)
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ]) {
    probe.at(field).atLeast(0)
  }
  const threshold = probe.at('successThreshold')
  if (kind !== 'readinessProbe' && threshold.number !== undefined && threshold.number !== 1) {
    threshold.invalid('must be 1')
  }
}

/* ---- amounts ---- */

const standardResources = new Set(['cpu', 'memory', 'ephemeral-storage', 'storage'])

function checkAmounts(resources: Place): void {
  const limits = resources.at('limits')
  const requests = resources.at('requests')
  for (const side of [limits, requests]) {
    for (const name of Object.keys(side.object)) {
      const amount = side.key(name)
      for (const fault of qualified(name)) amount.invalid(fault, name)
      const isStandard = standardResources.has(name) || name.startsWith('hugepages-')
      if (!name.includes('/')) {
        if (qualified(name).length === 0 && !isStandard) {
          amount.invalid('must be a standard resource type or fully qualified', name)
        }
        if (!isStandard) amount.invalid('must be a standard resource for containers', name)
      }
      const { amount: value } = amount
      if (value !== undefined && value < 0n) amount.invalid('must be greater than or equal to 0')
      else if (name.includes('/') && value !== undefined && value % 1_000_000_000n !== 0n) {
        amount.invalid('must be an integer')
      }
    }
  }
  let isUnlimited = false
  for (const name of Object.keys(requests.object)) {
    const [request, limit] = [requests.key(name), limits.key(name)]
    const overcommits = standardResources.has(name)
    if (limit.amount === undefined)
      isUnlimited ||= !overcommits && (name.includes('/') || name.startsWith('hugepages-'))
    else if (request.amount !== undefined) {
      if (!overcommits && request.amount !== limit.amount) {
        requests.invalid(`must be equal to ${name} limit of ${limit.text}`, request.text)
      } else if (request.amount > limit.amount) {
        requests.invalid(`must be less than or equal to ${name} limit of ${limit.text}`, request.text)
      }
    }
  }
  if (isUnlimited) limits.add(required(limits.path, 'Limit must be set for non overcommitable resources'))
}

/* ---- security ---- */

function checkSecurity(context: Place): void {
  context.at('runAsUser').within(0, maxInt32)
  context.at('runAsGroup').within(0, maxInt32)
  if (context.at('allowPrivilegeEscalation').value === false && context.at('privileged').value === true) {
    const shown: JsonObject = {}
    for (const field of securityFields) {
      shown[field] = context.at((field[0] ?? '').toLowerCase() + field.slice(1)).value ?? null
    }
    context.invalid('cannot set `allowPrivilegeEscalation` to false and `privileged` to true', shown)
  }
}

/** as the server's inner form has them */
const securityFields = [
  'Capabilities',
  'Privileged',
  'SELinuxOptions',
  'WindowsOptions',
  'RunAsUser',
  'RunAsGroup',
  'RunAsNonRoot',
  'ReadOnlyRootFilesystem',
  'AllowPrivilegeEscalation',
  'ProcMount',
  'SeccompProfile',
  'AppArmorProfile',
]

function checkPodSecurity(context: Place): void {
  for (const field of ['fsGroup', 'runAsUser', 'runAsGroup']) context.at(field).within(0, maxInt32)
  for (const group of context.at('supplementalGroups').items) group.within(0, maxInt32)
}

/* ---- where it runs ---- */

function checkAffinity(affinity: Place): void {
  const needed = affinity.at('nodeAffinity').at('requiredDuringSchedulingIgnoredDuringExecution')
  const terms = needed.at('nodeSelectorTerms')
  if (needed.isSet && terms.items.length === 0) {
    terms.add(required(terms.path, 'must have at least one node selector term'))
  }
  for (const kind of ['podAffinity', 'podAntiAffinity']) {
    const pods = affinity.at(kind)
    const wished = pods.at('preferredDuringSchedulingIgnoredDuringExecution').items
    const all = [
      ...pods.at('requiredDuringSchedulingIgnoredDuringExecution').items,
      ...wished.map((term) => term.at('podAffinityTerm')),
    ]
    for (const term of all) {
      const key = term.at('topologyKey')
      key.require('can not be empty')
      for (const fault of qualified(key.text)) key.invalid(fault, key.text)
    }
    for (const term of wished) {
      const weight = term.at('weight')
      if ((weight.number ?? 0) < 1 || (weight.number ?? 0) > 100) weight.invalid('must be in the range 1-100')
    }
  }
}

function checkTolerations(list: Place): void {
  for (const toleration of list.items) {
    const [key, operator, effect] = [toleration.at('key'), toleration.at('operator'), toleration.at('effect')]
    if (key.text !== '') key.named(qualified)
    if (key.text === '' && operator.text !== 'Exists') {
      operator.invalid(
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        operator.text,
      )
    }
    if (toleration.at('tolerationSeconds').isSet && effect.text !== 'NoExecute') {
      effect.invalid("effect must be 'NoExecute' when `tolerationSeconds` is set", effect.text)
    }
    if (operator.text === '' || operator.text === 'Equal') {
      for (const fault of labelValue(toleration.at('value').text))
        operator.invalid(fault, toleration.at('value').text)
    } else if (operator.text === 'Exists') {
      const { text } = toleration.at('value')
      if (text !== '') operator.invalid("value must be empty when `operator` is 'Exists'", text)
    } else operator.oneOf(['Equal', 'Exists'])
    if (effect.text !== '') effect.oneOf(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
  }
}

/* ---- volumes ---- */

function checkVolumes(list: Place): Set<string> {
  const names = new Set<string>()
  for (const volume of list.items) {
    checkVolume(volume)
    const name = volume.at('name')
    if (name.require()) {
      name.named(dnsLabel)
      if (names.has(name.text)) name.add(duplicate(name.path, name.text))
      names.add(name.text)
    }
  }
  return names
}

/** in the order in which the server looks for them */
const volumeTypes = [
  'emptyDir',
  'hostPath',
  'gitRepo',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'secret',
  'nfs',
  'iscsi',
  'glusterfs',
  'persistentVolumeClaim',
  'rbd',
  'cinder',
  'cephfs',
  'flocker',
  'downwardAPI',
  'fc',
  'azureFile',
  'configMap',
  'vsphereVolume',
  'quobyte',
  'azureDisk',
  'photonPersistentDisk',
  'portworxVolume',
  'scaleIO',
  'storageos',
  'projected',
  'csi',
  'ephemeral',
  'image',
]

function checkVolume(volume: Place): void {
  const [first, ...others] = volumeTypes.filter((type) => volume.at(type).isSet)
  for (const other of others) volume.at(other).forbid('may not specify more than 1 volume type')
  if (first === undefined) return
  const source = volume.at(first)
  const mode = source.at('defaultMode')
  if (mode.number !== undefined && (mode.number < 0 || mode.number > 0o777)) {
    mode.invalid('must be a number between 0 and 0777 (octal), both inclusive')
  }
  if (first === 'secret') source.at('secretName').require()
  else if (first === 'configMap') source.at('name').require()
  else if (first === 'persistentVolumeClaim') source.at('claimName').require()
  else if (first === 'hostPath') {
    if (source.at('path').require() && source.at('path').text.split('/').includes('..')) {
      source.at('path').invalid("must not contain '..'")
    }
    source.at('type').oneOf(hostPathTypes)
  } else if (first === 'nfs') {
    source.at('server').require()
    if (source.at('path').require() && !source.at('path').text.startsWith('/')) {
      source.at('path').invalid('must be an absolute path')
    }
  }
  for (const item of source.at('items').items) {
    if (first !== 'downwardAPI') item.at('key').require()
    const path = item.at('path')
    if (!path.require()) continue
    if (path.text.startsWith('/')) path.invalid('must be a relative path')
    if (path.text.split('/').includes('..')) path.invalid("must not contain '..'")
  }
}

const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
]

/* ---- updates ---- */

const podFault =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

/** Of a pod that is there hardly anything may change. */
export function checkPodUpdate(spec: Place, old: JsonObject): void {
  for (const list of ['containers', 'initContainers']) {
    const before = Array.isArray(old[list]) ? old[list] : []
    if (spec.at(list).items.length !== before.length) {
      spec.at(list).forbid('pod updates may not add or remove containers')
      return
    }
  }
  if (!isSame(fixedOf(spec.object), fixedOf(old))) spec.forbid(podFault)
}

function fixedOf({
  activeDeadlineSeconds: _deadline,
  tolerations: _tolerations,
  ...spec
}: JsonObject): JsonObject {
  const imageless = (list: JsonValue | undefined) =>
    Array.isArray(list)
      ? list.map((container) => (isJsonObject(container) ? { ...container, image: '' } : container))
      : null
  return {
    ...spec,
    containers: imageless(spec['containers']),
    initContainers: imageless(spec['initContainers']),
  }
}
