import { valueAt } from '../../../core/json.ts'
import type { KubeObject, Resource } from '../model.ts'
import { collectionName, forbidden, notFound } from './status.ts'
import type { World } from './world.ts'

/** Whether an object may be made or go, whatever it says: the life of namespaces. */

const protectedNamespaces = new Set(['default', 'kube-system', 'kube-public'])

/** @throws StatusError 404 without its namespace, 403 while that is being deleted */
export function checkNamespace({ store }: World, resource: Resource, { metadata }: KubeObject): void {
  if (!resource.namespaced) return
  const name = String(metadata['namespace'] ?? '')
  const namespace = store.get({ collection: 'namespaces', namespace: '', name })
  if (namespace === undefined) throw notFound({ group: '', plural: 'namespaces' }, name)
  const ending = valueAt(namespace, 'status', 'phase') === 'Terminating'
  if (!ending) return
  const why = `unable to create new content in namespace ${name} because it is being terminated`
  throw forbidden(resource, metadata.name, why, [
    {
      reason: 'NamespaceTerminating',
      message: `namespace ${name} is being terminated`,
      field: 'metadata.namespace',
    },
  ])
}

/** @throws StatusError 403 */
export function refuseProtected(resource: Resource, name: string): void {
  if (collectionName(resource) === 'namespaces' && protectedNamespaces.has(name)) {
    throw forbidden(resource, name, 'this namespace may not be deleted')
  }
}
