import type { KubeObject, Resource } from '../model.ts'
import { collectionName } from './status.ts'

/**
 * What is served: the built-in resources, and those of CustomResourceDefinitions as they come and go.
 */
export class Resources {
  readonly #builtIn: readonly Resource[]
  readonly #custom = new Map<string, readonly Resource[]>()
  readonly #since = new Map<string, number>()
  #byPath = new Map<string, Resource>()
  #byCollection = new Map<string, Resource>()
  #groups: readonly Group[] = []
  #texts = new Map<string, string>()

  constructor(builtIn: readonly Resource[]) {
    this.#builtIn = builtIn
    this.#index()
  }

  /**
   * Serve what a CustomResourceDefinition says, in the place of what it said before; nothing to stop serving.
   *
   * @param since the version of the store; no watch of these begins before that
   */
  setCustom(definition: string, resources: readonly Resource[], since: number): void {
    if (resources.length === 0) {
      this.#custom.delete(definition)
      this.#since.delete(definition)
    } else {
      this.#custom.set(definition, resources)
      if (!this.#since.has(definition)) this.#since.set(definition, since)
    }
    this.#index()
  }

  /** From which version on a collection can be watched. */
  servedSince(collection: string): number {
    return this.#since.get(collection) ?? 0
  }

  get all(): readonly Resource[] {
    return this.#groups.flatMap(({ versions }) => versions.flatMap(({ resources }) => resources))
  }

  /** The core group, whose name is empty, then the others by priority. */
  get groups(): readonly Group[] {
    return this.#groups
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.#byPath.get(`${group}/${version}/${plural}`)
  }

  /** A resource in its preferred version. */
  preferred(collection: string): Resource | undefined {
    return this.#byCollection.get(collection)
  }

  findKind(apiVersion: string, kind: string): Resource | undefined {
    const [version = '', group = ''] = apiVersion.split('/').reverse()
    const served = this.#groups.find(({ name }) => name === group)?.versions
    return served?.find(({ name }) => name === version)?.resources.find((resource) => resource.kind === kind)
  }

  /** A text that is the same for as long as the same resources are served: made when it is first asked for. */
  remember(key: string, make: () => string): string {
    let text = this.#texts.get(key)
    if (text === undefined) {
      text = make()
      this.#texts.set(key, text)
    }
    return text
  }

  #index(): void {
    this.#texts = new Map()
    const groups = new Map<string, Map<string, Resource[]>>()
    for (const resource of [...this.#builtIn, ...[...this.#custom.values()].flat()]) {
      const versions = groups.get(resource.group) ?? new Map<string, Resource[]>()
      groups.set(resource.group, versions)
      versions.set(resource.version, [...(versions.get(resource.version) ?? []), resource])
    }
    this.#groups = [...groups]
      .map(([name, versions]) => ({
        name,
        versions: [...versions]
          .map(([version, resources]) => ({
            name: version,
            resources: resources.sort((a, b) => (a.plural < b.plural ? -1 : 1)),
          }))
          .sort((a, b) => compareVersions(a.name, b.name)),
      }))
      .sort((a, b) => priorityOf(a.name) - priorityOf(b.name) || (a.name < b.name ? -1 : 1))
    this.#byPath = new Map()
    this.#byCollection = new Map()
    for (const resource of this.all) {
      this.#byPath.set(`${resource.group}/${resource.version}/${resource.plural}`, resource)
      const collection = collectionName(resource)
      if (!this.#byCollection.has(collection)) this.#byCollection.set(collection, resource)
    }
  }
}

export interface Group {
  name: string
  /** the preferred one first */
  versions: { name: string; resources: readonly Resource[] }[]
}

/** The order in which the API server tells its groups; custom ones follow by name. */
const groupOrder = [
  '',
  'apiregistration.k8s.io',
  'apps',
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'networking.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'storage.k8s.io',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'scheduling.k8s.io',
  'coordination.k8s.io',
  'node.k8s.io',
  'discovery.k8s.io',
  'resource.k8s.io',
  'flowcontrol.apiserver.k8s.io',
]

function priorityOf(group: string): number {
  const at = groupOrder.indexOf(group)
  return at === -1 ? groupOrder.length : at
}

/** Stable before beta before alpha, higher before lower, anything else behind by name. */
export function compareVersions(a: string, b: string): number {
  const rank = (version: string) => {
    const [, major, stage, minor] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version) ?? []
    if (major === undefined) return undefined
    return [stage === undefined ? 2 : stage === 'beta' ? 1 : 0, Number(major), Number(minor ?? 0)]
  }
  const x = rank(a)
  const y = rank(b)
  if (x === undefined || y === undefined) return x ? -1 : y ? 1 : a < b ? -1 : 1
  for (const [at, value] of x.entries()) if (value !== y[at]) return (y[at] ?? 0) - value
  return 0
}

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf({ group, version }: Pick<Resource, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`
}

/** The resource whose objects the store keeps for this one: events are one collection under two groups. */
export function storedCollection(resource: Pick<Resource, 'group' | 'plural'>): string {
  const collection = collectionName(resource)
  return collection === 'events.events.k8s.io' ? 'events' : collection
}

export function placeOf(resource: Resource, { metadata }: KubeObject) {
  const namespace = resource.namespaced ? String(metadata['namespace'] ?? '') : ''
  return { collection: storedCollection(resource), namespace, name: metadata.name }
}
