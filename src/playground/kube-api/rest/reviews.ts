import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../core/json.ts'
import type { Resource } from '../model.ts'
import { type Access, type Attributes, issuer, userInfo } from './access.ts'
import { getObject } from './objects.ts'
import type { User } from './request.ts'
import { timestamp, type World } from './world.ts'

/** Questions that are asked by creating an object, which is answered and forgotten. */

/** @returns the object with its answer, or `undefined` when this kind is stored like any other */
export function answerReview(
  access: Access,
  user: User,
  resource: Resource,
  review: JsonObject,
): JsonObject | undefined {
  const spec = isJsonObject(review['spec']) ? review['spec'] : {}
  const answer = answerOf(access, user, resource.kind, spec, review)
  if (answer === undefined) return undefined
  const { group, version, kind } = resource
  const metadata = isJsonObject(review['metadata']) ? review['metadata'] : {}
  return {
    kind,
    apiVersion: `${group}/${version}`,
    metadata,
    ...(kind !== 'SelfSubjectReview' && { spec }),
    status: answer,
  }
}

function answerOf(
  access: Access,
  user: User,
  kind: string,
  spec: JsonObject,
  review: JsonObject,
): JsonObject | undefined {
  switch (kind) {
    case 'SelfSubjectReview':
      return { userInfo: userInfo(user) }
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
    case 'TokenReview':
      return tokenAnswer(access, spec)
    default:
      return undefined
  }
}

function attributesOf(spec: JsonObject): Attributes {
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
  const user = access.userOf(String(spec['token'] ?? ''))
  if (user === undefined) return { user: {}, error: 'invalid bearer token' }
  return { authenticated: true, user: userInfo(user), audiences: [issuer] }
}

const defaultTokenSeconds = 3600

/** `serviceaccounts/token`: a token for as long as is asked for. @throws StatusError 404 */
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
