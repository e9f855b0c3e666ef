import type { JsonObject, JsonValue } from '../../../core/json.ts'
import { at, conditionAt, listAt, numberAt, objectAt, sizeAt, textAt, textsAt } from '../fields.ts'
import type { KubeObject } from '../model.ts'
import { type Printer, printer, readColumns } from './printer.ts'
import { formatLabels, formatSelector, formatSome, humanDuration, timeSince } from './text.ts'
import { age } from './workloads.ts'

/** What does not run: the network, storage, rights, and how the cluster is set up. */
export const resourcePrinters: Readonly<Record<string, Printer>> = {
  componentstatuses: printer('Status|Message|Error', (object) => {
    const healthy = listAt(object, 'conditions').find((condition) => condition['type'] === 'Healthy')
    const words: Record<string, string> = { True: 'Healthy', False: 'Unhealthy' }
    return [
      words[textAt(healthy, 'status')] ?? 'Unknown',
      textAt(healthy, 'message'),
      textAt(healthy, 'error'),
    ]
  }),
  configmaps: printer('Data|Age', (object, now) => [
    sizeAt(object, 'data') + sizeAt(object, 'binaryData'),
    age(object, now),
  ]),
  secrets: printer('Type|Data|Age', (object, now) => [
    textAt(object, 'type'),
    sizeAt(object, 'data'),
    age(object, now),
  ]),
  serviceaccounts: aged(''),
  namespaces: printer('Status|Age', (object, now) => [textAt(object, 'status.phase'), age(object, now)]),
  nodes: printer(
    'Status|Roles|Age|Version|Internal-IP*|External-IP*|OS-Image*|Kernel-Version*|Container-Runtime*',
    nodeCells,
  ),
  events: { columns: eventColumns(), cells: coreEventCells },
  'events.events.k8s.io': { columns: eventColumns(), cells: eventCells },
  resourcequotas: printer('Request|Limit|Age', (object, now) => {
    const hard = objectAt(object, 'status.hard')
    const format = (wanted: (name: string) => boolean) =>
      Object.keys(hard)
        .filter(wanted)
        .sort()
        .map((name) => `${name}: ${objectAt(object, 'status.used')[name] ?? 0}/${hard[name]}`)
        .join(', ')
    const isLimit = (name: string) => name.startsWith('limits.')
    return [format((name) => !isLimit(name)), format(isLimit), age(object, now)]
  }),

  services: printer('Type|Cluster-IP|External-IP|Port(s)|Age|Selector*', (object, now) => [
    textAt(object, 'spec.type'),
    textsAt(object, 'spec.clusterIPs')[0] || textAt(object, 'spec.clusterIP') || '<none>',
    serviceAddress(object),
    listAt(object, 'spec.ports')
      .map((port) => {
        const nodePort = numberAt(port, 'nodePort')
        return `${textAt(port, 'port')}${nodePort > 0 ? `:${nodePort}` : ''}/${textAt(port, 'protocol')}`
      })
      .join(',') || '<none>',
    age(object, now),
    formatLabels(objectAt(object, 'spec.selector')),
  ]),
  endpoints: printer('Endpoints|Age', (object, now) => {
    const addresses = listAt(object, 'subsets').flatMap((subset) => {
      const ips = listAt(subset, 'addresses').map((address) => textAt(address, 'ip'))
      const ports = listAt(subset, 'ports').map((port) => textAt(port, 'port'))
      if (ports.length === 0) return ips
      const join = (ip: string, port: string) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)
      return ports.flatMap((port) => ips.map((ip) => join(ip, port)))
    })
    return [formatSome(addresses, 3, '<none>'), age(object, now)]
  }),
  'endpointslices.discovery.k8s.io': printer('AddressType|Ports|Endpoints|Age', (object, now) => [
    textAt(object, 'addressType'),
    formatSome(
      listAt(object, 'ports').map((port) => textAt(port, 'port') || '*'),
      3,
      '<unset>',
    ),
    formatSome(
      listAt(object, 'endpoints').flatMap((endpoint) => textsAt(endpoint, 'addresses')),
      3,
      '<unset>',
    ),
    age(object, now),
  ]),
  'ingresses.networking.k8s.io': printer('Class|Hosts|Address|Ports|Age', (object, now) => [
    textAt(object, 'spec.ingressClassName') || '<none>',
    formatSome(
      listAt(object, 'spec.rules')
        .map((rule) => textAt(rule, 'host'))
        .filter((host) => host !== ''),
      3,
      '*',
    ),
    balancerAddresses(object).join(','),
    listAt(object, 'spec.tls').length > 0 ? '80, 443' : '80',
    age(object, now),
  ]),
  'ingressclasses.networking.k8s.io': printer('Controller|Parameters|Age', (object, now) => {
    const parameters = at(object, 'spec.parameters')
    const group = textAt(parameters, 'apiGroup')
    const text = `${textAt(parameters, 'kind')}${group ? `.${group}` : ''}/${textAt(parameters, 'name')}`
    return [textAt(object, 'spec.controller'), parameters ? text : '<none>', age(object, now)]
  }),
  'networkpolicies.networking.k8s.io': printer('Pod-Selector|Age', (object, now) => [
    formatSelector(objectAt(object, 'spec.podSelector')),
    age(object, now),
  ]),
  'ipaddresses.networking.k8s.io': printer('ParentRef', (object, now) => {
    const { group, resource, namespace, name } = objectAt(object, 'spec.parentRef')
    const path = [group ? `${resource}.${group}` : resource, namespace, name].filter(Boolean)
    return [path.join('/'), age(object, now)]
  }),
  'servicecidrs.networking.k8s.io': aged('CIDRs', (object) => textsAt(object, 'spec.cidrs').join(',')),

  persistentvolumes: printer(
    'Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|VolumeMode*',
    (object, now) => {
      const claim = at(object, 'spec.claimRef')
      return [
        textAt(object, 'spec.capacity.storage'),
        accessModes(object, 'spec.accessModes'),
        textAt(object, 'spec.persistentVolumeReclaimPolicy'),
        at(object, 'metadata.deletionTimestamp') ? 'Terminating' : textAt(object, 'status.phase'),
        claim ? `${textAt(claim, 'namespace')}/${textAt(claim, 'name')}` : '',
        storageClass(object),
        textAt(object, 'spec.volumeAttributesClassName') || '<unset>',
        textAt(object, 'status.reason'),
        age(object, now),
        textAt(object, 'spec.volumeMode') || '<unset>',
      ]
    },
  ),
  persistentvolumeclaims: printer(
    'Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|VolumeMode*',
    (object, now) => {
      const volume = textAt(object, 'spec.volumeName')
      return [
        at(object, 'metadata.deletionTimestamp') ? 'Terminating' : textAt(object, 'status.phase'),
        volume,
        volume && textAt(object, 'status.capacity.storage'),
        volume && accessModes(object, 'status.accessModes'),
        storageClass(object),
        textAt(object, 'spec.volumeAttributesClassName') || '<unset>',
        age(object, now),
        textAt(object, 'spec.volumeMode') || '<unset>',
      ]
    },
  ),
  'storageclasses.storage.k8s.io': {
    columns: readColumns('Name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age'),
    cells: (object, now) => {
      const annotations = objectAt(object, 'metadata.annotations')
      const isDefault = ['', 'beta.'].some(
        (prefix) => annotations[`storageclass.${prefix}kubernetes.io/is-default-class`] === 'true',
      )
      return [
        `${object.metadata.name}${isDefault ? ' (default)' : ''}`,
        textAt(object, 'provisioner'),
        textAt(object, 'reclaimPolicy') || 'Delete',
        textAt(object, 'volumeBindingMode') || 'Immediate',
        at(object, 'allowVolumeExpansion') === true,
        age(object, now),
      ]
    },
  },
  'csidrivers.storage.k8s.io': printer(
    'AttachRequired:boolean|PodInfoOnMount:boolean|StorageCapacity:boolean|TokenRequests|RequiresRepublish:boolean|Modes|Age',
    (object, now) => [
      at(object, 'spec.attachRequired') !== false,
      at(object, 'spec.podInfoOnMount') === true,
      at(object, 'spec.storageCapacity') === true,
      listAt(object, 'spec.tokenRequests')
        .map((request) => textAt(request, 'audience'))
        .join(',') || '<unset>',
      at(object, 'spec.requiresRepublish') === true,
      textsAt(object, 'spec.volumeLifecycleModes').join(',') || '<none>',
      age(object, now),
    ],
  ),
  'csinodes.storage.k8s.io': aged('Drivers:integer', (object) => listAt(object, 'spec.drivers').length),
  'volumeattachments.storage.k8s.io': {
    columns: readColumns('Name|Attacher|PV|Node|Attached:boolean|Age').map((column) =>
      column.name === 'Attacher' ? { ...column, format: 'name' } : column,
    ),
    cells: (object, now) => [
      object.metadata.name,
      textAt(object, 'spec.attacher'),
      textAt(object, 'spec.source.persistentVolumeName'),
      textAt(object, 'spec.nodeName'),
      at(object, 'status.attached') === true,
      age(object, now),
    ],
  },
  'volumeattributesclasses.storage.k8s.io': aged('DriverName', (object) => textAt(object, 'driverName')),

  'horizontalpodautoscalers.autoscaling': printer(
    'Reference|Targets|MinPods|MaxPods|Replicas|Age',
    (object, now) => [
      `${textAt(object, 'spec.scaleTargetRef.kind')}/${textAt(object, 'spec.scaleTargetRef.name')}`,
      formatMetrics(object),
      textAt(object, 'spec.minReplicas') || '<unset>',
      numberAt(object, 'spec.maxReplicas'),
      numberAt(object, 'status.currentReplicas'),
      age(object, now),
    ],
  ),
  'poddisruptionbudgets.policy': printer(
    'Min Available|Max Unavailable|Allowed Disruptions:integer|Age',
    (object, now) => [
      textAt(object, 'spec.minAvailable') || 'N/A',
      textAt(object, 'spec.maxUnavailable') || 'N/A',
      numberAt(object, 'status.disruptionsAllowed'),
      age(object, now),
    ],
  ),
  'priorityclasses.scheduling.k8s.io': printer(
    'Value:integer|Global-Default:boolean|Age|PreemptionPolicy',
    (object, now) => [
      numberAt(object, 'value'),
      at(object, 'globalDefault') === true,
      age(object, now),
      textAt(object, 'preemptionPolicy'),
    ],
  ),
  'leases.coordination.k8s.io': aged('Holder', (object) => textAt(object, 'spec.holderIdentity')),
  'runtimeclasses.node.k8s.io': aged('Handler', (object) => textAt(object, 'handler')),

  'rolebindings.rbac.authorization.k8s.io': printer('Role|Age|Users*|Groups*|ServiceAccounts*', bindingCells),
  'clusterrolebindings.rbac.authorization.k8s.io': printer(
    'Role|Age|Users*|Groups*|ServiceAccounts*',
    bindingCells,
  ),
  'certificatesigningrequests.certificates.k8s.io': printer(
    'Age|SignerName|Requestor|RequestedDuration|Condition',
    (object, now) => {
      const seconds = at(object, 'spec.expirationSeconds')
      const has = (type: string) => conditionAt(object, type) !== undefined
      const states = [
        has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending',
        ...(has('Failed') ? ['Failed'] : []),
        ...(at(object, 'status.certificate') ? ['Issued'] : []),
      ]
      return [
        age(object, now),
        textAt(object, 'spec.signerName'),
        textAt(object, 'spec.username'),
        typeof seconds === 'number' ? humanDuration(seconds * 1000) : '<none>',
        states.join(','),
      ]
    },
  ),
  'apiservices.apiregistration.k8s.io': printer('Service|Available|Age', (object, now) => {
    const service = at(object, 'spec.service')
    const available = conditionAt(object, 'Available')
    const status = textAt(available, 'status')
    return [
      service ? `${textAt(service, 'namespace')}/${textAt(service, 'name')}` : 'Local',
      status === 'True' ? status : `${status || 'Unknown'} (${textAt(available, 'reason')})`,
      age(object, now),
    ]
  }),
  'mutatingwebhookconfigurations.admissionregistration.k8s.io': aged('Webhooks:integer', webhooks),
  'validatingwebhookconfigurations.admissionregistration.k8s.io': aged('Webhooks:integer', webhooks),
  'mutatingadmissionpolicies.admissionregistration.k8s.io': printer(
    'Mutations:integer|ParamKind|Age',
    (object, now) => [listAt(object, 'spec.mutations').length, paramKind(object), age(object, now)],
  ),
  'validatingadmissionpolicies.admissionregistration.k8s.io': printer(
    'Validations:integer|ParamKind|Age',
    (object, now) => [listAt(object, 'spec.validations').length, paramKind(object), age(object, now)],
  ),
  'mutatingadmissionpolicybindings.admissionregistration.k8s.io': printer(
    'PolicyName|ParamRef|Age',
    policyBindingCells,
  ),
  'validatingadmissionpolicybindings.admissionregistration.k8s.io': printer(
    'PolicyName|ParamRef|Age',
    policyBindingCells,
  ),
  'deviceclasses.resource.k8s.io': aged(''),
  'resourceclaimtemplates.resource.k8s.io': aged(''),
  'resourceclaims.resource.k8s.io': aged('State', (object) => {
    const states = [
      ...(at(object, 'metadata.deletionTimestamp') ? ['deleted'] : []),
      ...(at(object, 'status.allocation') ? ['allocated'] : []),
      ...(listAt(object, 'status.reservedFor').length > 0 ? ['reserved'] : []),
    ]
    return at(object, 'status.allocation') ? states.join(',') : [...states, 'pending'].join(',')
  }),
  'resourceslices.resource.k8s.io': printer('Node|Driver|Pool|Age', (object, now) => [
    textAt(object, 'spec.nodeName') || '<unset>',
    textAt(object, 'spec.driver'),
    textAt(object, 'spec.pool.name'),
    age(object, now),
  ]),
  'flowschemas.flowcontrol.apiserver.k8s.io': printer(
    'PriorityLevel|MatchingPrecedence|DistinguisherMethod|Age|MissingPL',
    (object, now) => [
      textAt(object, 'spec.priorityLevelConfiguration.name') || '<none>',
      numberAt(object, 'spec.matchingPrecedence'),
      textAt(object, 'spec.distinguisherMethod.type') || '<none>',
      age(object, now),
      textAt(conditionAt(object, 'Dangling'), 'status') || '?',
    ],
  ),
  'prioritylevelconfigurations.flowcontrol.apiserver.k8s.io': printer(
    'Type|NominalConcurrencyShares|Queues|HandSize|QueueLengthLimit|Age',
    (object, now) => {
      const part = (path: string) => at(object, path) ?? '<none>'
      const queuing = 'spec.limited.limitResponse.queuing'
      return [
        textAt(object, 'spec.type'),
        part('spec.limited.nominalConcurrencyShares'),
        part(`${queuing}.queues`),
        part(`${queuing}.handSize`),
        part(`${queuing}.queueLengthLimit`),
        age(object, now),
      ]
    },
  ),
}

/** One more column, and the age. */
function aged(column: string, cell?: (object: KubeObject) => JsonValue): Printer {
  return printer(column === '' ? 'Age' : `${column}|Age`, (object, now) =>
    cell ? [cell(object), age(object, now)] : [age(object, now)],
  )
}

function webhooks(object: KubeObject): number {
  return listAt(object, 'webhooks').length
}

function paramKind(object: KubeObject): string {
  const kind = at(object, 'spec.paramKind')
  return kind ? `${textAt(kind, 'apiVersion')}/${textAt(kind, 'kind')}` : '<unset>'
}

function policyBindingCells(object: KubeObject, now: number): JsonValue[] {
  const ref = at(object, 'spec.paramRef')
  const namespace = textAt(ref, 'namespace') || '*'
  const name = textAt(ref, 'name') || formatSelector(objectAt(ref, 'selector'))
  return [textAt(object, 'spec.policyName'), ref ? `${namespace}/${name}` : '<unset>', age(object, now)]
}

function bindingCells(object: KubeObject, now: number): JsonValue[] {
  const subjects = listAt(object, 'subjects')
  const of = (kind: string, format: (subject: JsonObject) => string) =>
    subjects
      .filter((subject) => subject['kind'] === kind)
      .map(format)
      .join(', ')
  return [
    `${textAt(object, 'roleRef.kind')}/${textAt(object, 'roleRef.name')}`,
    age(object, now),
    of('User', (subject) => textAt(subject, 'name')),
    of('Group', (subject) => textAt(subject, 'name')),
    of('ServiceAccount', (subject) => `${textAt(subject, 'namespace')}/${textAt(subject, 'name')}`),
  ]
}

function nodeCells(node: KubeObject, now: number): JsonValue[] {
  const ready = conditionAt(node, 'Ready')
  const states = [ready === undefined ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady']
  if (at(node, 'spec.unschedulable') === true) states.push('SchedulingDisabled')
  const labels = objectAt(node, 'metadata.labels')
  const roles = Object.entries(labels).flatMap(([key, value]) => {
    if (key.startsWith('node-role.kubernetes.io/')) return [key.slice('node-role.kubernetes.io/'.length)]
    return key === 'kubernetes.io/role' ? [String(value)] : []
  })
  const address = (type: string) =>
    textAt(
      listAt(node, 'status.addresses').find((address) => address['type'] === type),
      'address',
    ) || '<none>'
  const info = (name: string) => textAt(node, `status.nodeInfo.${name}`)
  const kernel = info('kernelVersion')
  return [
    states.join(','),
    roles.filter(Boolean).sort().join(',') || '<none>',
    age(node, now),
    info('kubeletVersion'),
    address('InternalIP'),
    address('ExternalIP'),
    info('osImage') || '<unknown>',
    kernel ? `${kernel}${info('architecture') && ` (${info('architecture')})`}` : '<unknown>',
    info('containerRuntimeVersion') || '<unknown>',
  ]
}

function eventColumns() {
  return readColumns('Last Seen|Type|Reason|Object|Subobject*|Source*|Message|First Seen*|Count*|Name*')
}

function coreEventCells(event: KubeObject, now: number): JsonValue[] {
  return eventCells(
    {
      ...event,
      regarding: objectAt(event, 'involvedObject'),
      note: at(event, 'message') ?? '',
      deprecatedSource: objectAt(event, 'source'),
      deprecatedFirstTimestamp: at(event, 'firstTimestamp') ?? null,
      deprecatedLastTimestamp: at(event, 'lastTimestamp') ?? null,
      deprecatedCount: at(event, 'count') ?? 0,
      reportingController: at(event, 'reportingComponent') ?? '',
    },
    now,
  )
}

function eventCells(event: KubeObject, now: number): JsonValue[] {
  const first = timeSince(at(event, 'deprecatedFirstTimestamp') || at(event, 'eventTime'), now)
  const last = at(event, 'deprecatedLastTimestamp')
  const series = at(event, 'series')
  const seen = at(series, 'lastObservedTime') || last
  const regarding = objectAt(event, 'regarding')
  const component = textAt(event, 'deprecatedSource.component') || textAt(event, 'reportingController')
  const host = textAt(event, 'deprecatedSource.host') || textAt(event, 'reportingInstance')
  return [
    seen ? timeSince(seen, now) : first,
    textAt(event, 'type'),
    textAt(event, 'reason'),
    `${textAt(regarding, 'kind').toLowerCase()}/${textAt(regarding, 'name')}`,
    textAt(regarding, 'fieldPath'),
    host ? `${component}, ${host}` : component,
    textAt(event, 'note').trim(),
    first,
    series ? numberAt(series, 'count') : numberAt(event, 'deprecatedCount') || 1,
    event.metadata.name,
  ]
}

function serviceAddress(service: KubeObject): string {
  const external = textsAt(service, 'spec.externalIPs')
  switch (textAt(service, 'spec.type')) {
    case 'ExternalName':
      return textAt(service, 'spec.externalName')
    case 'LoadBalancer':
      return [...balancerAddresses(service), ...external].join(',') || '<pending>'
    default:
      return external.join(',') || '<none>'
  }
}

function balancerAddresses(object: KubeObject): string[] {
  const addresses = listAt(object, 'status.loadBalancer.ingress').map(
    (ingress) => textAt(ingress, 'ip') || textAt(ingress, 'hostname'),
  )
  return [...new Set(addresses.filter((address) => address !== ''))].sort()
}

function accessModes(object: KubeObject, path: string): string {
  const short: Record<string, string> = {
    ReadWriteOnce: 'RWO',
    ReadOnlyMany: 'ROX',
    ReadWriteMany: 'RWX',
    ReadWriteOncePod: 'RWOP',
  }
  const modes = new Set(textsAt(object, path))
  return Object.keys(short)
    .filter((mode) => modes.has(mode))
    .map((mode) => short[mode])
    .join(',')
}

function storageClass(object: KubeObject): string {
  const annotation = objectAt(object, 'metadata.annotations')['volume.beta.kubernetes.io/storage-class']
  return typeof annotation === 'string' ? annotation : textAt(object, 'spec.storageClassName')
}

/** What each metric is at, and should be at. */
function formatMetrics(autoscaler: KubeObject): string {
  const cpu = at(autoscaler, 'spec.targetCPUUtilizationPercentage')
  if (typeof cpu === 'number') {
    const current = textAt(autoscaler, 'status.currentCPUUtilizationPercentage')
    return `cpu: ${current ? `${current}%` : '<unknown>'}/${cpu}%`
  }
  const current = listAt(autoscaler, 'status.currentMetrics')
  const metrics = listAt(autoscaler, 'spec.metrics').map((metric, index) => {
    const type = textAt(metric, 'type')
    const source = type.charAt(0).toLowerCase() + type.slice(1)
    const target = objectAt(metric, `${source}.target`)
    const now = objectAt(current[index], `${source}.current`)
    const isResource = type === 'Resource' || type === 'ContainerResource'
    const name = isResource ? `${textAt(metric, `${source}.name`)}: ` : ''
    if (target['averageUtilization'] !== undefined) {
      const used = textAt(now, 'averageUtilization')
      return `${name}${used ? `${used}%` : '<unknown>'}/${textAt(target, 'averageUtilization')}%`
    }
    const average = textAt(target, 'averageValue')
    const field = average ? 'averageValue' : 'value'
    const suffix = average && (type === 'External' || type === 'Object') ? ' (avg)' : ''
    return `${name}${textAt(now, field) || '<unknown>'}/${textAt(target, field)}${suffix}`
  })
  if (metrics.length === 0) return '<none>'
  const shown = metrics.slice(0, 2).join(', ')
  return metrics.length > 2 ? `${shown} + ${metrics.length - 2} more...` : shown
}
