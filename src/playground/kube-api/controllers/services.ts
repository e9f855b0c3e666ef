import type { JsonObject } from '../../../core/json.ts'
import { at, listAt, numberAt, objectAt, textAt } from '../fields.ts'
import type { KubeObject } from '../model.ts'
import { type Controller, type Host, timestamp } from './host.ts'
import { canonical, isGoing, isReady, labelsOf, namespaceOf, ownerReference } from './owners.ts'

/**
 * Services: the addresses of the pods behind each, as one EndpointSlice and as Endpoints, as older clients want them.
 * IPv4 alone; no topology.
 *
 * @see https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
 */

const slices = 'endpointslices.discovery.k8s.io'
const changeAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time'
const headlessLabel = 'service.kubernetes.io/headless'

interface Target {
  pod: KubeObject
  address: string
  isReady: boolean
  ports: JsonObject[]
}

export function createServices(host: Host): Controller {
  const client = host.as('kube-controller-manager')
  return {
    collection: 'services',
    kind: 'Service',
    sync(service) {
      const selector = objectAt(service, 'spec.selector')
      const isExternal = textAt(service, 'spec.type') === 'ExternalName'
      if (isGoing(service) || isExternal || Object.keys(selector).length === 0) return
      const targets = host.index
        .podsWith(namespaceOf(service), selector)
        .filter((pod) => !['Succeeded', 'Failed'].includes(textAt(pod, 'status.phase')))
        .flatMap((pod) => targetOf(service, pod))
      writeSlice(service, targets)
      writeEndpoints(service, targets)
    },
    concerns: {
      pods: ({ object, previous, namespace }) => {
        const names = new Set(
          [object, ...(previous ? [previous] : [])].flatMap((pod) => host.index.servicesOf(pod)),
        )
        return [...names].map((name) => ({ namespace, name }))
      },
    },
  }

  function writeSlice(service: KubeObject, targets: readonly Target[]): void {
    const { name } = service.metadata
    const namespace = namespaceOf(service)
    const headless = textAt(service, 'spec.clusterIP') === 'None'
    const [first] = targets
    const content = {
      addressType: 'IPv4',
      endpoints: targets.map(({ pod, address, isReady: ready }) => ({
        addresses: [address],
        conditions: { ready, serving: ready || isReady(pod), terminating: isGoing(pod) },
        targetRef: targetRef(pod),
        nodeName: textAt(pod, 'spec.nodeName'),
        ...hostname(service, pod),
      })),
      ports: first?.ports ?? [],
    }
    const [live] = host.index.ownedBy(service, slices)
    if (live === undefined) {
      client.create(slices, {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          generateName: `${name}-`,
          namespace,
          labels: {
            ...labelsOf(service),
            'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
            'kubernetes.io/service-name': name,
            ...(headless && { [headlessLabel]: '' }),
          },
          annotations: { [changeAnnotation]: timestamp() },
          ownerReferences: [ownerReference(service)],
        } as unknown as KubeObject['metadata'],
        ...content,
      })
      return
    }
    const isSame = (['endpoints', 'ports'] as const).every(
      (field) => canonical(live[field] ?? []) === canonical(content[field]),
    )
    if (!isSame) client.update(slices, { ...touched(live), ...content })
  }

  function writeEndpoints(service: KubeObject, targets: readonly Target[]): void {
    const { name } = service.metadata
    const namespace = namespaceOf(service)
    const addresses = (ready: boolean) =>
      targets
        .filter(({ isReady }) => isReady === ready)
        .map(({ pod, address }) => ({
          ip: address,
          nodeName: textAt(pod, 'spec.nodeName'),
          targetRef: targetRef(pod),
          ...hostname(service, pod),
        }))
    const [ready, notReady] = [addresses(true), addresses(false)]
    const ports = targets[0]?.ports ?? []
    const subsets =
      targets.length === 0
        ? []
        : [
            {
              ...(ready.length > 0 && { addresses: ready }),
              ...(notReady.length > 0 && { notReadyAddresses: notReady }),
              ...(ports.length > 0 && { ports }),
            },
          ]
    const live = client.get('endpoints', namespace, name)
    if (live === undefined) {
      client.create('endpoints', {
        apiVersion: 'v1',
        kind: 'Endpoints',
        metadata: {
          name,
          namespace,
          labels: {
            ...labelsOf(service),
            'endpoints.kubernetes.io/managed-by': 'endpoint-controller',
            ...(textAt(service, 'spec.clusterIP') === 'None' && { [headlessLabel]: '' }),
          },
          annotations: { [changeAnnotation]: timestamp() },
        },
        ...(subsets.length > 0 && { subsets }),
      })
      return
    }
    if (canonical(live['subsets'] ?? []) === canonical(subsets)) return
    const { subsets: _subsets, ...rest } = touched(live)
    client.update('endpoints', { ...(rest as KubeObject), ...(subsets.length > 0 && { subsets }) })
  }
}

/** Endpoints live as long as their service, which they do not name as an owner. */
export function createEndpointsCleaner(host: Host): Controller {
  const client = host.as('kube-controller-manager')
  return {
    collection: 'endpoints',
    kind: 'Endpoints',
    sync(endpoints) {
      const managed = labelsOf(endpoints)['endpoints.kubernetes.io/managed-by'] === 'endpoint-controller'
      const namespace = namespaceOf(endpoints)
      const { name } = endpoints.metadata
      if (managed && client.get('services', namespace, name) === undefined)
        client.delete('endpoints', namespace, name)
    },
    concerns: {
      services: ({ type, namespace, name }) => (type === 'DELETED' ? [{ namespace, name }] : []),
    },
  }
}

function touched(object: KubeObject): KubeObject {
  const annotations = { ...objectAt(object, 'metadata.annotations'), [changeAnnotation]: timestamp() }
  return { ...object, metadata: { ...object.metadata, annotations } }
}

function targetOf(service: KubeObject, pod: KubeObject): Target[] {
  const address = textAt(pod, 'status.podIP')
  if (address === '') return []
  const anyway = at(service, 'spec.publishNotReadyAddresses') === true
  return [{ pod, address, isReady: anyway || (isReady(pod) && !isGoing(pod)), ports: portsOf(service, pod) }]
}

/** The ports of a service as a pod has them. */
function portsOf(service: KubeObject, pod: KubeObject): JsonObject[] {
  const ports = listAt(service, 'spec.ports').flatMap((port) => {
    const target = port['targetPort']
    const number =
      typeof target === 'string' ? namedPort(pod, target, textAt(port, 'protocol')) : (target ?? port['port'])
    if (number === undefined) return []
    const name = textAt(port, 'name')
    const appProtocol = port['appProtocol']
    return [
      {
        name,
        port: number,
        protocol: textAt(port, 'protocol'),
        ...(appProtocol !== undefined && { appProtocol }),
      },
    ]
  })
  return ports.map(({ name, ...port }) => (name === '' ? port : { name, ...port }))
}

function namedPort(pod: KubeObject, name: string, protocol: string): number | undefined {
  const found = listAt(pod, 'spec.containers')
    .flatMap((container) => listAt(container, 'ports'))
    .find((port) => port['name'] === name && (textAt(port, 'protocol') || 'TCP') === protocol)
  return found && numberAt(found, 'containerPort')
}

function targetRef(pod: KubeObject): JsonObject {
  const { name, namespace, uid } = pod.metadata
  return { kind: 'Pod', namespace: namespace ?? '', name, uid: uid ?? '' }
}

function hostname(service: KubeObject, pod: KubeObject): JsonObject {
  const own = textAt(pod, 'spec.hostname')
  return own !== '' && textAt(pod, 'spec.subdomain') === service.metadata.name ? { hostname: own } : {}
}
