import { valueAt } from '../../../core/json.ts'
import type { KubeObject, Resource } from '../model.ts'
import { badRequest, collectionName } from './status.ts'

/**
 * Field selectors: every resource by its name and namespace, some by more.
 *
 * @see https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
 */

export type Matcher = (object: KubeObject) => boolean

/** Fields of metadata that every resource can be selected by, and the further ones of some. */
const everywhere = ['metadata.name', 'metadata.namespace']
const furtherFields: Record<string, readonly string[]> = {
  pods: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.podIPs',
    'status.nominatedNodeName',
  ],
  events: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  'events.events.k8s.io': [
    'regarding.kind',
    'regarding.namespace',
    'regarding.name',
    'regarding.uid',
    'regarding.apiVersion',
    'regarding.resourceVersion',
    'regarding.fieldPath',
    'reason',
    'reportingController',
    'type',
  ],
  secrets: ['type'],
  namespaces: ['status.phase'],
  nodes: ['spec.unschedulable'],
  services: ['spec.clusterIP', 'spec.type'],
  replicationcontrollers: ['status.replicas'],
  'replicasets.apps': ['status.replicas'],
  'jobs.batch': ['status.successful'],
  'certificatesigningrequests.certificates.k8s.io': ['spec.signerName'],
}

/** collections whose own code refuses unknown fields, in fewer words */
const brief = new Set([
  'pods',
  'events',
  'secrets',
  'namespaces',
  'nodes',
  'services',
  'replicationcontrollers',
])

/** @throws StatusError 400, for fields that the resource cannot be selected by too */
export function parseFieldSelector(text: string, resource: Resource): Matcher {
  const collection = collectionName(resource)
  const known = [...everywhere, ...(furtherFields[collection] ?? [])]
  const tests = text
    .split(/(?<!\\),/)
    .filter((part) => part !== '')
    .map((part) => {
      const [, field = '', operator, escaped = ''] = /^(.*?)(!=|==?)(.*)$/s.exec(part) ?? []
      if (operator === undefined) {
        throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`)
      }
      if (!known.includes(field)) {
        throw badRequest(
          brief.has(collection)
            ? `field label not supported: ${field}`
            : `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`,
        )
      }
      const value = escaped.replace(/\\(.)/g, '$1')
      return (object: KubeObject) => (fieldOf(object, field) === value) === (operator !== '!=')
    })
  return (object) => tests.every((test) => test(object))
}

function fieldOf(object: KubeObject, field: string): string {
  if (field === 'source') return String(valueAt(object, 'source', 'component') ?? '')
  const value = valueAt(object, ...field.split('.'))
  if (value !== undefined && value !== null) return String(value)
  if (field === 'spec.unschedulable' || field === 'spec.hostNetwork') return 'false'
  return field === 'status.replicas' || field === 'status.successful' ? '0' : ''
}
