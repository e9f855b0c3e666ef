import { isJsonObject, type JsonObject, valueAt } from '../../../core/json.ts'
import type { KubeObject, Resource } from '../model.ts'
import { badRequest, collectionName } from './status.ts'

/**
 * Label and field selectors.
 *
 * @see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 */

export type Matcher = (object: KubeObject) => boolean

/** @throws StatusError 400 */
export function parseLabelSelector(text: string): Matcher {
  const tests = requirementsOf(text).map((requirement) => parseRequirement(requirement))
  return ({ metadata }) => {
    const labels = isJsonObject(metadata['labels']) ? metadata['labels'] : {}
    return tests.every((test) => test(labels))
  }
}

type LabelTest = (labels: JsonObject) => boolean

/** Parts between commas that stand outside of parentheses. */
function requirementsOf(text: string): string[] {
  const parts = text.match(/(?:[^,(]|\([^)]*\)?)+/g) ?? []
  return parts.map((part) => part.trim()).filter((part) => part !== '')
}

function parseRequirement(text: string): LabelTest {
  const word = '[A-Za-z0-9][-A-Za-z0-9_./]*'
  const set = new RegExp(`^(${word})\\s+(in|notin)\\s*\\(([^)]*)\\)$`).exec(text)
  if (set !== null) {
    const [, key = '', operator, list = ''] = set
    const values = list.split(',').map((value) => value.trim())
    const isIn = (labels: JsonObject) => Object.hasOwn(labels, key) && values.includes(String(labels[key]))
    return operator === 'in' ? isIn : (labels) => !isIn(labels)
  }
  const exists = new RegExp(`^(!?)\\s*(${word})$`).exec(text)
  if (exists !== null) {
    const [, not, key = ''] = exists
    return (labels) => Object.hasOwn(labels, key) === (not === '')
  }
  const compared = new RegExp(`^(${word})\\s*(==?|!=|>|<)\\s*([-A-Za-z0-9_.]*)$`).exec(text)
  if (compared !== null) {
    const [, key = '', operator, value = ''] = compared
    const has = (labels: JsonObject) => Object.hasOwn(labels, key)
    if (operator === '!=') return (labels) => !has(labels) || labels[key] !== value
    if (operator === '>') return (labels) => has(labels) && Number(labels[key]) > Number(value)
    if (operator === '<') return (labels) => has(labels) && Number(labels[key]) < Number(value)
    return (labels) => labels[key] === value
  }
  const [, , found = ''] = new RegExp(`^(${word})?\\s*(\\S+)?`).exec(text) ?? []
  throw badRequest(`unable to parse requirement: found '${found}', expected: in, notin, =, ==, !=, gt, lt`)
}

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
