import { createHash } from 'node:crypto'
import type { JsonObject, JsonValue } from '../../../core/json.ts'
import type { Resource } from '../model.ts'
import { apiVersionOf, type Group, type Resources } from './resources.ts'

/**
 * Discovery: which groups, versions and resources there are; group by group, and all at once.
 *
 * @see https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
 */

/** `/api` */
export function coreVersions(server: string): JsonObject {
  const serverAddressByClientCIDRs = [{ clientCIDR: '0.0.0.0/0', serverAddress: new URL(server).host }]
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs }
}

/** `/apis` */
export function groupList(resources: Resources): JsonObject {
  const groups = resources.groups.filter(({ name }) => name !== '').map(groupOf)
  return { kind: 'APIGroupList', apiVersion: 'v1', groups }
}

/** `/apis/GROUP`, or `undefined` */
export function apiGroup(resources: Resources, name: string): JsonObject | undefined {
  const group = resources.groups.find((other) => other.name === name)
  return name === '' || group === undefined
    ? undefined
    : { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(group) }
}

function groupOf({ name, versions }: Group): JsonObject {
  const named = versions.map(({ name: version }) => ({ groupVersion: `${name}/${version}`, version }))
  return { name, versions: named, preferredVersion: named[0] ?? null }
}

/** `/apis/GROUP/VERSION` and `/api/v1`, or `undefined` */
export function resourceList(resources: Resources, group: string, version: string): JsonObject | undefined {
  const served = resources.groups
    .find(({ name }) => name === group)
    ?.versions.find(({ name }) => name === version)
  if (served === undefined) return undefined
  return {
    kind: 'APIResourceList',
    // the core group leaves it out
    ...(group !== '' && { apiVersion: 'v1' }),
    groupVersion: apiVersionOf({ group, version }),
    resources: served.resources.flatMap(listed),
  }
}

function listed(resource: Resource): JsonValue[] {
  const { plural, singular, namespaced, kind, verbs, shortNames, categories } = resource
  return [
    {
      name: plural,
      singularName: singular,
      namespaced,
      kind,
      verbs: [...verbs],
      ...(shortNames.length > 0 && { shortNames: [...shortNames] }),
      ...(categories.length > 0 && { categories: [...categories] }),
      ...(verbs.includes('list') && { storageVersionHash: storageHash(resource) }),
    },
    ...resource.subresources.map((subresource) => ({
      name: `${plural}/${subresource.name}`,
      singularName: '',
      namespaced,
      ...(apiVersionOf(subresource) !== apiVersionOf(resource) && {
        group: subresource.group,
        version: subresource.version,
      }),
      kind: subresource.kind,
      verbs: [...subresource.verbs],
    })),
  ]
}

function storageHash(resource: Resource): string {
  const text = `${resource.group}/${resource.version}/${resource.kind}`
  return createHash('sha256').update(text).digest().subarray(0, 8).toString('base64')
}

/** `/api` and `/apis` with everything in them. @param version of `apidiscovery.k8s.io`: `v2` or `v2beta1` */
export function aggregated(resources: Resources, core: boolean, version: string): JsonObject {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: resources.groups
      .filter(({ name }) => (name === '') === core)
      .map(({ name, versions }) => ({
        metadata: name === '' ? {} : { name },
        versions: versions.map((served) => ({
          version: served.name,
          resources: served.resources.map(aggregatedResource),
          freshness: 'Current',
        })),
      })),
  }
}

function aggregatedResource(resource: Resource): JsonObject {
  const { plural, kind, namespaced, singular, verbs, shortNames, categories, subresources } = resource
  const own = {
    group: resource.custom ? resource.group : '',
    version: resource.custom ? resource.version : '',
    kind,
  }
  return {
    resource: plural,
    responseKind: own,
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: [...verbs],
    ...(shortNames.length > 0 && { shortNames: [...shortNames] }),
    ...(categories.length > 0 && { categories: [...categories] }),
    ...(subresources.length > 0 && {
      subresources: subresources.map((subresource) => ({
        subresource: subresource.name,
        responseKind:
          apiVersionOf(subresource) === apiVersionOf(resource)
            ? { ...own, kind: subresource.kind }
            : { group: subresource.group, version: subresource.version, kind: subresource.kind },
        verbs: [...subresource.verbs],
      })),
    }),
  }
}

/** As the API server makes its ETags: the SHA-512 of the reply, in capitals. */
export function hashOf(text: string): string {
  return createHash('sha512').update(text).digest('hex').toUpperCase()
}
