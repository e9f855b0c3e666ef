import type { ObjectKey, ResourceType } from '../../ports/cluster.ts'

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf({ group, version }: ResourceType): string {
  return group === '' ? version : `${group}/${version}`
}

/** The path of a collection: of one namespace, or of all when there is none. */
export function collectionPath(type: ResourceType, namespace?: string): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`
  const scope = type.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  return `${root}${scope}/${type.plural}`
}

export function objectPath({ type, namespace, name }: ObjectKey): string {
  return `${collectionPath(type, namespace)}/${encodeURIComponent(name)}`
}
