import { FluxError } from '../errors.ts'
import { isJsonObject, type JsonValue, valueAt } from '../json.ts'
import { type Policies, readPolicies } from '../policy/policy.ts'
import { type ResourceId, resourceIdOf } from '../resource/id.ts'
import type { Manifest, ManifestFile } from './document.ts'

/** A manifest in its place in the cluster. */
export interface LoadedResource {
  manifest: Manifest
  /** with the effective namespace */
  id: ResourceId
  /** empty for what is cluster-scoped */
  namespace: string
  policies: Policies
}

export type Scope = 'namespaced' | 'cluster'

interface LoadOptions {
  /** what the cluster knows of a kind; `undefined` where it knows none such */
  scopeOf(apiVersion: string, kind: string): Scope | undefined
  /** for namespaced manifests that name none */
  defaultNamespace: string
}

interface AssembledManifests {
  resources: ReadonlyMap<ResourceId, LoadedResource>
  /** those of the files, then duplicates and nameless objects. What is at fault is not among the resources */
  faults: readonly FluxError[]
  /** of kinds that neither the cluster nor a CustomResourceDefinition of the set knows; left out */
  unscoped: readonly Manifest[]
}

/**
 * Put the manifests of a revision together: give each its effective namespace and its ID, and find what is defined
 * twice, by the IDs as written as well as by the effective ones.
 *
 * Follows `spec/flux-v1/resources.md` §7; a duplicate that only the default namespace makes is reported too.
 */
export function assembleManifests(files: Iterable<ManifestFile>, options: LoadOptions): AssembledManifests {
  const all = [...files]
  const manifests = all.flatMap((file) => file.manifests)
  const faults = all.flatMap((file) => file.faults)
  const definitions = scopesOfDefinitions(manifests)

  const named = manifests.filter(({ name }) => name !== '')
  const twice = new Set<Manifest>()
  for (const [id, group] of groupBy(named, ({ id }) => id)) {
    if (group.length < 2) continue
    faults.push(duplicate(id, group))
    for (const manifest of group) twice.add(manifest)
  }

  const unscoped: Manifest[] = []
  const scoped: LoadedResource[] = []
  for (const manifest of manifests) {
    const { apiVersion, kind } = manifest
    const scope = options.scopeOf(apiVersion, kind) ?? definitions.get(`${apiVersion} ${kind}`)
    if (scope === undefined) {
      unscoped.push(manifest)
    } else if (manifest.name === '') {
      faults.push(nameless(manifest))
    } else {
      scoped.push(
        placed(manifest, scope === 'cluster' ? '' : (manifest.namespace ?? options.defaultNamespace)),
      )
    }
  }

  const resources = new Map<ResourceId, LoadedResource>()
  for (const [id, group] of groupBy(scoped, (resource) => resource.id)) {
    const [only] = group
    if (group.length === 1 && only && !twice.has(only.manifest)) resources.set(id, only)
    const isNews = group.length > 1 && new Set(group.map(({ manifest }) => manifest.id)).size > 1
    if (isNews)
      faults.push(
        duplicate(
          id,
          group.map(({ manifest }) => manifest),
        ),
      )
  }
  return { resources, faults, unscoped }
}

/** The same for each revision that has the manifest, so that what is worked out for it can be kept with it. */
function placed(manifest: Manifest, namespace: string): LoadedResource {
  const known = places.get(manifest)
  if (known?.namespace === namespace) return known
  const id = resourceIdOf(namespace, manifest.kind, manifest.name)
  const policies = readPolicies(valueAt(manifest.value, 'metadata', 'annotations'))
  const resource = { manifest, id, namespace, policies }
  places.set(manifest, resource)
  return resource
}

const places = new WeakMap<Manifest, LoadedResource>()

/** Kinds that CustomResourceDefinitions of the set define: `apiVersion kind` → scope. */
function scopesOfDefinitions(manifests: readonly Manifest[]): Map<string, Scope> {
  const scopes = new Map<string, Scope>()
  for (const { kind, value } of manifests) {
    if (kind !== 'CustomResourceDefinition' || !isJsonObject(value.spec)) continue
    const { group, names, scope, version, versions } = value.spec
    const defined = valueAt(names, 'kind')
    const listed = Array.isArray(versions) ? versions.map((entry) => valueAt(entry, 'name')) : []
    for (const name of [...listed, version]) {
      if (!isText(group) || !isText(defined) || !isText(name)) continue
      scopes.set(`${group}/${name} ${defined}`, scope === 'Cluster' ? 'cluster' : 'namespaced')
    }
  }
  return scopes
}

const isText = (value: JsonValue | undefined): value is string => typeof value === 'string'

function duplicate(id: ResourceId, [first, second]: readonly Manifest[]): FluxError {
  const files = first?.file === second?.file ? first?.file : `${first?.file} and ${second?.file}`
  return new FluxError('MANIFEST_DUPLICATE', {
    what: `duplicate definition of '${id}' (in ${files})`,
    why: `It stands at ${[first, second].map((at) => `${at?.file}:${at?.line}`).join(' and at ')}.`,
    next: 'Keep one of them. The API group is not part of an ID, so two groups with one kind collide as well.',
  })
}

function nameless({ file, line, kind }: Manifest): FluxError {
  return new FluxError('MANIFEST_INVALID', {
    what: `${file}:${line}:1: a ${kind} has no metadata.name`,
    next: 'Give it a name; a generated name cannot be kept in step with Git.',
  })
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return groups
}
