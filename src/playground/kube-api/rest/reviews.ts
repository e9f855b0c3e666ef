import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../core/json.ts'
import { trackUpdate } from '../apply/managed-fields.ts'
import type { Resource } from '../model.ts'
import { readFields } from '../schema/read.ts'
import { type Access, type Attributes, issuer, userInfo } from './access.ts'
import { getObject } from './objects.ts'
import type { User } from './request.ts'
import { badRequest, invalid } from './status.ts'
import { timestamp, type World, type Writer } from './world.ts'

/** Questions that are asked by creating an object, which is answered and forgotten. */

/**
 * @returns the object with its answer, or `undefined` when this kind is stored like any other
 * @throws StatusError 400, 422
 */
export function answerReview(
  world: World,
  access: Access,
  user: User,
  resource: Resource,
  value: JsonObject,
  writer: Writer,
): JsonObject | undefined {
  if (!reviews.has(resource.kind)) return undefined
  const { object: review } = readFields(resource, value, writer.fieldValidation ?? 'Warn', writer.duplicates)
  if (resource.kind === 'SelfSubjectReview') {
    const metadata = { creationTimestamp: timestamp(world.now()) }
    return { ...review, metadata, status: { userInfo: userInfo(user) } }
  }
  const { manager } = writer
  const tracked = trackUpdate({ resource, old: undefined, new: review, manager, now: world.now() })
  const spec = isJsonObject(review['spec']) ? review['spec'] : {}
  return { ...tracked, status: answerOf(access, user, resource.kind, spec, review) }
}

const reviews = new Set([
  'LocalSubjectAccessReview',
  'SelfSubjectAccessReview',
  'SelfSubjectReview',
  'SelfSubjectRulesReview',
  'SubjectAccessReview',
  'TokenReview',
])

function answerOf(
  access: Access,
  user: User,
  kind: string,
  spec: JsonObject,
  review: JsonObject,
): JsonObject {
  switch (kind) {
    case 'SelfSubjectAccessReview':
      return { ...access.allows(user, attributesOf(spec)) }
    case 'SubjectAccessReview':
      return { ...access.allows(subjectOf(spec), attributesOf(spec)) }
    case 'LocalSubjectAccessReview': {
      const namespace = String(valueAt(review, 'metadata', 'namespace') ?? '')
      return { ...access.allows(subjectOf(spec), { ...attributesOf(spec), namespace }) }
    }
    case 'SelfSubjectRulesReview':
      return rulesFor(access, user, String(spec['namespace'] ?? ''))
    default:
      return tokenAnswer(access, spec)
  }
}

/** @throws StatusError 422 */
function attributesOf(spec: JsonObject): Attributes {
  const wrong = (field: string, message: string) =>
    invalid('authorization.k8s.io', '', '', [{ reason: 'FieldValueInvalid', message, field }])
  const { resourceAttributes, nonResourceAttributes } = spec
  if (resourceAttributes === undefined && nonResourceAttributes === undefined) {
    throw wrong(
      'spec.resourceAttributes',
      'Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
    )
  }
  if (resourceAttributes !== undefined && nonResourceAttributes !== undefined) {
    const { path = '', verb = '' } = nonResourceAttributes as JsonObject
    const told = JSON.stringify({ Path: path, Verb: verb })
    const message = `Invalid value: ${told}: cannot be specified in combination with resourceAttributes`
    throw wrong('spec.nonResourceAttributes', message)
  }
  const text = (side: string, field: string) => String(valueAt(spec, side, field) ?? '')
  if (isJsonObject(spec['nonResourceAttributes'])) {
    return { verb: text('nonResourceAttributes', 'verb'), path: text('nonResourceAttributes', 'path') }
  }
  const of = (field: string) => text('resourceAttributes', field)
  return {
    verb: of('verb'),
    group: of('group'),
    resource: of('resource'),
    subresource: of('subresource'),
    namespace: of('namespace'),
    name: of('name'),
  }
}

function subjectOf(spec: JsonObject): User {
  const groups = Array.isArray(spec['groups']) ? spec['groups'].map(String) : []
  return { username: String(spec['user'] ?? ''), groups }
}

function rulesFor(access: Access, user: User, namespace: string): JsonObject {
  const rules = access.rulesOf(user, namespace)
  const resourceRules = rules
    .filter(({ resources }) => resources.length > 0)
    .map(({ verbs, apiGroups, resources, resourceNames }) => ({
      verbs: [...verbs],
      apiGroups: [...apiGroups],
      resources: [...resources],
      ...(resourceNames.length > 0 && { resourceNames: [...resourceNames] }),
    }))
  const nonResourceRules: JsonValue[] = rules
    .filter(({ nonResourceURLs }) => nonResourceURLs.length > 0)
    .map(({ verbs, nonResourceURLs }) => ({ verbs: [...verbs], nonResourceURLs: [...nonResourceURLs] }))
  return { resourceRules, nonResourceRules, incomplete: false }
}

function tokenAnswer(access: Access, spec: JsonObject): JsonObject {
  if ((spec['token'] ?? '') === '') throw badRequest('token is required for TokenReview in authentication')
  const user = access.userOf(String(spec['token'] ?? ''))
  if (user === undefined) return { user: {}, error: 'invalid bearer token' }
  return { authenticated: true, user: userInfo(user), audiences: [issuer] }
}

const defaultTokenSeconds = 3600
const shortestTokenSeconds = 600

/** `serviceaccounts/token`: a token for as long as is asked for. @throws StatusError 404, 422 */
export function requestToken(
  world: World,
  access: Access,
  accounts: Resource,
  namespace: string,
  name: string,
  request: JsonObject,
): JsonObject {
  const account = getObject(world, accounts, namespace, name)
  const spec = isJsonObject(request['spec']) ? request['spec'] : {}
  const seconds = Number(spec['expirationSeconds'] ?? defaultTokenSeconds)
  if (seconds < shortestTokenSeconds) {
    const message = `Invalid value: ${seconds}: may not specify a duration less than 10 minutes`
    throw invalid('authentication.k8s.io', 'TokenRequest', '', [
      { reason: 'FieldValueInvalid', message, field: 'spec.expirationSeconds' },
    ])
  }
  const asked = Array.isArray(spec['audiences']) ? spec['audiences'].map(String) : []
  const audiences = asked.length === 0 ? [issuer] : asked
  const expires = new Date(world.now().getTime() + seconds * 1000)
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name, namespace, creationTimestamp: timestamp(world.now()) },
    spec: { audiences, expirationSeconds: seconds, boundObjectRef: spec['boundObjectRef'] ?? null },
    status: {
      token: access.signToken(account, { seconds, audiences }),
      expirationTimestamp: timestamp(expires),
    },
  }
}
