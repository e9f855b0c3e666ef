import { FluxError } from '../errors.ts'

/**
 * Names of Kubernetes resources as Flux writes them: `namespace:kind/name`, kind in lower case, `<cluster>` for the
 * namespace of what has none. The API group is not part of it: two resources of equal kind, namespace and name in
 * different groups share one ID.
 *
 * Follows `spec/flux-v1/resources.md` §1 (Flux v1's `resource.ID`).
 */
declare const resourceId: unique symbol
export type ResourceId = string & { readonly [resourceId]: true }

export const clusterScope = '<cluster>'

export interface ResourceIdParts {
  namespace: string
  /** lower case */
  kind: string
  name: string
}

const fullForm = /^(<cluster>|[a-zA-Z0-9_-]+):([a-zA-Z0-9_-]+)\/([a-zA-Z0-9_.:-]+)$/
const unqualifiedForm = /^([a-zA-Z0-9_-]+)\/([a-zA-Z0-9_.:-]+)$/
const legacyForm = /^([a-zA-Z0-9_-]+)\/([a-zA-Z0-9_-]+)$/

/**
 * Read `namespace:kind/name`, or the legacy `namespace/service`, as the API and stored JSON accept them.
 *
 * @throws FluxError `RESOURCE_ID_INVALID`
 */
export function parseResourceId(text: string): ResourceId {
  const full = fullForm.exec(text)
  if (full) return resourceIdOf(full[1] ?? '', full[2] ?? '', full[3] ?? '')
  if (legacyForm.test(text)) return text as ResourceId
  throw invalidId(text)
}

/**
 * Read what people type: a full ID, or `kind/name` in the default namespace.
 *
 * @throws FluxError `RESOURCE_ID_INVALID`
 */
export function parseResourceIdIn(defaultNamespace: string, text: string): ResourceId {
  const full = fullForm.exec(text)
  if (full) return resourceIdOf(full[1] ?? '', full[2] ?? '', full[3] ?? '')
  const short = unqualifiedForm.exec(text)
  if (short) return resourceIdOf(defaultNamespace, short[1] ?? '', short[2] ?? '')
  throw invalidId(text)
}

/** Put an ID together; the kind is lower-cased, an empty namespace becomes `<cluster>`. */
export function resourceIdOf(namespace: string, kind: string, name: string): ResourceId {
  return `${namespace || clusterScope}:${kind.toLowerCase()}/${name}` as ResourceId
}

/** Take an ID apart. A legacy `namespace/service` has the kind `service`. */
export function resourceIdParts(id: ResourceId): ResourceIdParts {
  const full = fullForm.exec(id)
  if (full) return { namespace: full[1] ?? '', kind: (full[2] ?? '').toLowerCase(), name: full[3] ?? '' }
  const slash = id.indexOf('/')
  return { namespace: id.slice(0, slash), kind: 'service', name: id.slice(slash + 1) }
}

function invalidId(text: string): FluxError {
  return new FluxError('RESOURCE_ID_INVALID', {
    what: `parsing ${text}: invalid service ID`,
    next: 'Write namespace:kind/name, such as demo:deployment/podinfo.',
  })
}
