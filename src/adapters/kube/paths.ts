import { FluxError } from '../../core/errors.ts'
import { apiVersionOf, type ObjectKey, type ResourceType } from '../../ports/cluster.ts'

/** The path of a collection: of one namespace, or of all when there is none. */
export function collectionPath(type: ResourceType, namespace?: string): string {
  const root = `/${type.group === '' ? 'api' : 'apis'}/${apiVersionOf(type)}`
  const scope = type.namespaced && namespace ? `/namespaces/${segment(namespace)}` : ''
  return `${root}${scope}/${type.plural}`
}

export function objectPath({ type, namespace, name, subresource }: ObjectKey): string {
  const part = subresource === undefined ? '' : `/${subresource}`
  return `${collectionPath(type, namespace)}/${segment(name)}${part}`
}

/** One step of a path. @throws FluxError `APPLY_INVALID` for what a proxy on the way could take for a step back */
function segment(name: string): string {
  if (name !== '' && name !== '.' && name !== '..') return encodeURIComponent(name)
  throw new FluxError('APPLY_INVALID', {
    what: `invalid name ${JSON.stringify(name)}`,
    why: 'Kubernetes gives nothing such a name.',
    next: 'Name the object, and its namespace, in metadata.',
  })
}
