import type { JsonObject } from '../../../core/json.ts'
import type { Client } from '../client.ts'
import { StatusError } from '../model.ts'
import type { Change } from '../store.ts'
import roles from './roles.json' with { type: 'json' }

/** What is there before anybody comes: namespaces, roles, the API's own service. */

const firstNamespaces = ['default', 'kube-node-lease', 'kube-public', 'kube-system']

interface RoleTable {
  clusterRoles: JsonObject[]
  clusterRoleBindings: JsonObject[]
}

export function createFirstObjects(client: Client, { port }: { port: number }): void {
  const server = client.as('kube-apiserver')
  for (const name of firstNamespaces) {
    server.create('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }
  server.create('services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'kubernetes',
      namespace: 'default',
      labels: { component: 'apiserver', provider: 'kubernetes' },
    },
    spec: {
      clusterIP: '10.96.0.1',
      type: 'ClusterIP',
      sessionAffinity: 'None',
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: port }],
    },
  })
  const apiVersion = 'rbac.authorization.k8s.io/v1'
  const { clusterRoles, clusterRoleBindings } = roles as unknown as RoleTable
  for (const { name, labels, ...rest } of clusterRoles) {
    server.create('clusterroles.rbac.authorization.k8s.io', {
      apiVersion,
      kind: 'ClusterRole',
      metadata: { name: String(name), ...(labels !== undefined && { labels }), annotations: autoupdate },
      ...rest,
    })
  }
  for (const { name, labels, ...rest } of clusterRoleBindings) {
    server.create('clusterrolebindings.rbac.authorization.k8s.io', {
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata: { name: String(name), ...(labels !== undefined && { labels }), annotations: autoupdate },
      ...rest,
    })
  }
}

const autoupdate = { 'rbac.authorization.kubernetes.io/autoupdate': 'true' }

const description =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.'

/** Give every namespace its `default` service account and the certificate, and again when they are deleted. @returns ends it */
export function furnishNamespaces(client: Client, ca: string): () => void {
  const manager = client.as('kube-controller-manager')
  const furnish = (namespace: string) => {
    const found = client.get('namespaces', '', namespace)
    if (found === undefined || found.metadata['deletionTimestamp'] !== undefined) return
    try {
      if (client.get('configmaps', namespace, 'kube-root-ca.crt') === undefined) {
        manager.create('configmaps', {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: {
            name: 'kube-root-ca.crt',
            namespace,
            annotations: { 'kubernetes.io/description': description },
          },
          data: { 'ca.crt': ca },
        })
      }
      if (client.get('serviceaccounts', namespace, 'default') === undefined) {
        manager.create('serviceaccounts', {
          apiVersion: 'v1',
          kind: 'ServiceAccount',
          metadata: { name: 'default', namespace },
        })
      }
    } catch (error) {
      // the namespace may go at the same moment
      if (!(error instanceof StatusError)) throw error
    }
  }
  for (const { metadata } of client.list('namespaces')) furnish(metadata.name)
  return client.watch(
    ['namespaces', 'configmaps', 'serviceaccounts'],
    ({ type, collection, namespace, name }: Change) => {
      if (collection === 'namespaces' && type === 'ADDED') furnish(name)
      if (collection !== 'namespaces' && type === 'DELETED') furnish(namespace)
    },
  )
}
