import type { JsonObject } from '../../../core/json.ts'
import type { Resource } from '../model.ts'
import type { Resources } from './resources.ts'

/**
 * What a request asks for, read from its method and path.
 *
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
 */

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection'

export interface ResourceRequest {
  readonly verb: Verb
  readonly group: string
  readonly version: string
  readonly plural: string
  /** empty where the path names none */
  readonly namespace: string
  readonly name: string
  readonly subresource: string
  /** `undefined` when nothing of this name is served */
  readonly resource: Resource | undefined
}

export interface User {
  readonly username: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra?: JsonObject
}

const verbs: Record<string, Verb> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
}

/** @returns `undefined` for paths that name no resource */
export function readRequest(
  resources: Resources,
  method: string,
  path: string,
  query: URLSearchParams,
): ResourceRequest | undefined {
  const [root, ...rest] = path.split('/').slice(1).map(decodeSegment)
  const [group = '', version, ...named] = root === 'api' ? ['', ...rest] : root === 'apis' ? rest : []
  const verb = verbs[method]
  if (
    version === undefined ||
    version === '' ||
    verb === undefined ||
    named.length === 0 ||
    named[0] === ''
  ) {
    return undefined
  }
  const oldWatch = named[0] === 'watch'
  if (oldWatch) named.shift()
  const inNamespace = named[0] === 'namespaces' && named.length > 2 && !isSubresourceOfNamespace(named[2])
  const namespace = inNamespace ? (named[1] ?? '') : ''
  const [plural = '', name = '', ...subresource] = inNamespace ? named.slice(2) : named
  const watched = query.get('watch')
  const watches = oldWatch || watched === 'true' || watched === '1' || watched === ''
  return {
    verb:
      verb === 'get' && name === ''
        ? watches
          ? 'watch'
          : 'list'
        : verb === 'get' && oldWatch
          ? 'watch'
          : verb === 'delete' && name === ''
            ? 'deletecollection'
            : verb,
    group,
    version,
    plural,
    // a namespace lies in itself, as far as rights go
    namespace: plural === 'namespaces' && group === '' && !inNamespace ? name : namespace,
    name,
    subresource: subresource.join('/'),
    resource: resources.find(group, version, plural),
  }
}

function isSubresourceOfNamespace(segment: string | undefined): boolean {
  return segment === 'status' || segment === 'finalize'
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
