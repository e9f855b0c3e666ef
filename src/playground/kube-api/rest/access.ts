import {
  createHash,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../core/json.ts'
import { type KubeObject, StatusError } from '../model.ts'
import type { Store } from '../store.ts'
import { parseLabelSelector } from './label-selector.ts'
import { labelsOf } from './list.ts'
import type { User } from './request.ts'
import { badRequest } from './status.ts'

/**
 * Who asks, and whether they may: one token that may do everything, tokens of service accounts, impersonation, and
 * the Roles that bindings give.
 *
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */

export const issuer = 'https://kubernetes.default.svc'
const roleKinds = 'rbac.authorization.k8s.io'

export interface Attributes {
  readonly verb: string
  /** for paths that name no resource */
  readonly path?: string
  readonly group?: string
  readonly resource?: string
  readonly subresource?: string
  readonly namespace?: string
  readonly name?: string
}

export interface Rule {
  readonly verbs: readonly string[]
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames: readonly string[]
  readonly nonResourceURLs: readonly string[]
  /** who gives it: `ClusterRoleBinding "a" of ClusterRole "b" to Group "c"` */
  readonly by: string
}

export class Access {
  readonly #store: Store
  readonly #now: () => Date
  readonly #token: string
  readonly #keys: { publicKey: KeyObject; privateKey: KeyObject }

  constructor({ store, now, token }: { store: Store; now: () => Date; token: string }) {
    this.#store = store
    this.#now = now
    this.#token = token
    this.#keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  }

  /**
   * The user of an `Authorization` header; without a token, somebody without a name.
   *
   * @throws StatusError 401
   */
  authenticate(authorization: string | undefined): User {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
    if (token === undefined) return { username: 'system:anonymous', groups: ['system:unauthenticated'] }
    const user = this.userOf(token)
    if (user === undefined) throw new StatusError(401, 'Unauthorized', 'Unauthorized')
    return user
  }

  userOf(token: string): User | undefined {
    const digest = (text: string) => createHash('sha256').update(text).digest()
    if (timingSafeEqual(digest(token), digest(this.#token))) {
      return { username: 'admin', uid: 'admin', groups: ['system:masters', 'system:authenticated'] }
    }
    return this.#serviceAccountOf(token)
  }

  /** A token for a service account, as TokenRequest gives. */
  signToken(
    account: KubeObject,
    { seconds, audiences }: { seconds: number; audiences: readonly string[] },
  ): string {
    const issued = Math.floor(this.#now().getTime() / 1000)
    const { name, namespace, uid } = account.metadata
    const claims = {
      aud: audiences,
      exp: issued + seconds,
      iat: issued,
      iss: issuer,
      jti: randomUUID(),
      'kubernetes.io': { namespace, serviceaccount: { name, uid } },
      nbf: issued,
      sub: `system:serviceaccount:${String(namespace)}:${name}`,
    }
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = `${encode({ alg: 'ES256', kid: 'playground' })}.${encode(claims)}`
    const signature = sign('sha256', Buffer.from(signed), {
      key: this.#keys.privateKey,
      dsaEncoding: 'ieee-p1363',
    })
    return `${signed}.${signature.toString('base64url')}`
  }

  #serviceAccountOf(token: string): User | undefined {
    const [head = '', body = '', signature] = token.split('.')
    if (signature === undefined) return undefined
    const key = { key: this.#keys.publicKey, dsaEncoding: 'ieee-p1363' as const }
    const bytes = Buffer.from(signature, 'base64url')
    if (!verify('sha256', Buffer.from(`${head}.${body}`), key, bytes)) return undefined
    const claims: unknown = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'))
    if (!isJsonObject(claims) || Number(claims['exp']) * 1000 < this.#now().getTime()) return undefined
    const bound = claims['kubernetes.io']
    const namespace = String(valueAt(bound, 'namespace'))
    const name = String(valueAt(bound, 'serviceaccount', 'name'))
    const account = this.#store.get({ collection: 'serviceaccounts', namespace, name })
    const uid = String(account?.metadata['uid'])
    if (uid !== valueAt(bound, 'serviceaccount', 'uid')) return undefined
    return {
      username: `system:serviceaccount:${namespace}:${name}`,
      uid,
      groups: serviceAccountGroups(namespace),
      extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${String(claims['jti'])}`] },
    }
  }

  /** The user that `Impersonate-…` headers name, where there are some. @throws StatusError 403 */
  impersonate(user: User, header: (name: string) => string | undefined): User {
    const username = header('impersonate-user')
    if (username === undefined || username === '') {
      const asked = header('impersonate-group')
        ?.split(/, */)
        .map((group) => JSON.stringify(group))
      if (asked === undefined) return user
      throw badRequest(
        `requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{${asked.join(', ')}}, Extra:map[string][]string(nil)} without impersonating a user name`,
      )
    }
    const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(username) ?? []
    this.require(user, {
      verb: 'impersonate',
      group: '',
      ...(namespace !== undefined && name !== undefined
        ? { resource: 'serviceaccounts', namespace, name }
        : { resource: 'users', name: username }),
    })
    const groups = header('impersonate-group')?.split(/, */) ?? []
    for (const group of groups) {
      this.require(user, { verb: 'impersonate', group: '', resource: 'groups', name: group })
    }
    const own = groups.length === 0 && namespace !== undefined ? serviceAccountGroups(namespace) : groups
    const known = username === 'system:anonymous' ? 'system:unauthenticated' : 'system:authenticated'
    const uid = header('impersonate-uid')
    return { username, groups: [...new Set([...own, known])], ...(uid !== undefined && { uid }) }
  }

  /** @throws StatusError 403 */
  require(user: User, attributes: Attributes): void {
    if (!this.allows(user, attributes).allowed) throw forbiddenTo(user, attributes)
  }

  allows(user: User, attributes: Attributes): { allowed: boolean; reason?: string } {
    if (user.groups.includes('system:masters')) return { allowed: true }
    const rule = this.rulesOf(user, attributes.namespace ?? '').find((each) => isAllowedBy(each, attributes))
    return rule === undefined ? { allowed: false } : { allowed: true, reason: `RBAC: allowed by ${rule.by}` }
  }

  /** Everything that bindings allow a user, in the cluster and in one namespace. */
  rulesOf(user: User, namespace: string): Rule[] {
    const clusterWide = this.#store.list(`clusterrolebindings.${roleKinds}`).objects
    const local = namespace === '' ? [] : this.#store.list(`rolebindings.${roleKinds}`, namespace).objects
    return [...clusterWide, ...local].flatMap((binding) => {
      const subject = listAt(binding['subjects']).find((each) => isSubject(each, user, binding))
      if (subject === undefined) return []
      const kind = String(valueAt(binding, 'roleRef', 'kind'))
      const name = String(valueAt(binding, 'roleRef', 'name'))
      const whose = `${binding.kind} "${nameOf(binding)}" of ${kind} "${name}" to ${subjectText(subject)}`
      const roleNamespace = String(binding.metadata['namespace'] ?? '')
      return this.#rulesOfRole(kind, kind === 'Role' ? roleNamespace : '', name).map((rule) => ({
        verbs: textsAt(rule, 'verbs'),
        apiGroups: textsAt(rule, 'apiGroups'),
        resources: textsAt(rule, 'resources'),
        resourceNames: textsAt(rule, 'resourceNames'),
        // those of a Role mean nothing
        nonResourceURLs: binding.kind === 'ClusterRoleBinding' ? textsAt(rule, 'nonResourceURLs') : [],
        by: whose,
      }))
    })
  }

  #rulesOfRole(kind: string, namespace: string, name: string): JsonValue[] {
    const collection = `${kind === 'Role' ? 'roles' : 'clusterroles'}.${roleKinds}`
    const role = this.#store.get({ collection, namespace, name })
    if (role === undefined) return []
    const selectors = listAt(valueAt(role, 'aggregationRule', 'clusterRoleSelectors'))
    if (selectors.length === 0) return listAt(role['rules'])
    const tests = selectors.map((selector) => {
      const labels = valueAt(selector, 'matchLabels')
      const wanted = isJsonObject(labels) ? Object.entries(labels) : []
      return parseLabelSelector(wanted.map(([key, value]) => `${key}=${String(value)}`).join(','))
    })
    const others = this.#store.list(collection).objects
    return others
      .filter((other) => other.metadata.name !== name && tests.some((test) => test(labelsOf(other.metadata))))
      .flatMap((other) => this.#rulesOfRole(kind, '', other.metadata.name))
  }
}

function serviceAccountGroups(namespace: string): string[] {
  return ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated']
}

function nameOf({ metadata: { name, namespace } }: KubeObject): string {
  return namespace === undefined ? name : `${name}/${String(namespace)}`
}

function isSubject(subject: JsonValue, user: User, binding: KubeObject): boolean {
  const name = String(valueAt(subject, 'name'))
  switch (valueAt(subject, 'kind')) {
    case 'User':
      return user.username === name
    case 'Group':
      return user.groups.includes(name)
    case 'ServiceAccount': {
      const namespace = valueAt(subject, 'namespace') ?? binding.metadata['namespace'] ?? ''
      return user.username === `system:serviceaccount:${String(namespace)}:${name}`
    }
    default:
      return false
  }
}

function subjectText(subject: JsonValue): string {
  const namespace = valueAt(subject, 'namespace')
  const name = String(valueAt(subject, 'name'))
  return `${String(valueAt(subject, 'kind'))} "${namespace === undefined ? name : `${name}/${String(namespace)}`}"`
}

function isAllowedBy(
  rule: Rule,
  { verb, path, group = '', resource = '', subresource = '', name = '' }: Attributes,
) {
  const has = (list: readonly string[], text: string) => list.includes('*') || list.includes(text)
  if (!has(rule.verbs, verb)) return false
  if (path !== undefined) {
    return rule.nonResourceURLs.some(
      (url) => url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))),
    )
  }
  const full = subresource === '' ? resource : `${resource}/${subresource}`
  return (
    has(rule.apiGroups, group) &&
    (has(rule.resources, full) || (subresource !== '' && rule.resources.includes(`*/${subresource}`))) &&
    (rule.resourceNames.length === 0 || rule.resourceNames.includes(name))
  )
}

function forbiddenTo(user: User, attributes: Attributes): StatusError {
  const { verb, path, group = '', resource = '', subresource = '', namespace = '', name = '' } = attributes
  if (path !== undefined) {
    const message = `forbidden: User ${JSON.stringify(user.username)} cannot ${verb} path ${JSON.stringify(path)}`
    return new StatusError(403, 'Forbidden', message, {})
  }
  const full = subresource === '' ? resource : `${resource}/${subresource}`
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`
  const what = `cannot ${verb} resource "${full}" in API group "${group}" ${where}`
  const kind = group === '' ? resource : `${resource}.${group}`
  const object = name === '' ? kind : `${kind} "${name}"`
  const message = `${object} is forbidden: User ${JSON.stringify(user.username)} ${what}`
  return new StatusError(403, 'Forbidden', message, {
    ...(name !== '' && { name }),
    ...(group !== '' && { group }),
    kind: resource,
  })
}

function listAt(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : []
}

function textsAt(value: JsonValue, field: string): string[] {
  return listAt(valueAt(value, field)).map(String)
}

/** A user as reviews tell it. */
export function userInfo({ username, uid, groups, extra }: User): JsonObject {
  return {
    username,
    ...(uid !== undefined && { uid }),
    groups: [...groups],
    ...(extra !== undefined && { extra }),
  }
}
