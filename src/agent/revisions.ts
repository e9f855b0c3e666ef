import type { JsonObject } from '../core/json.ts'
import { valueAt } from '../core/json.ts'
import type { ResourceId } from '../core/resource/id.ts'
import type { SkipReason, SyncPlan } from '../core/sync/plan.ts'
import type { Discovery, ResourceType } from '../ports/cluster.ts'
import type { GitMirror, Revision } from '../ports/git.ts'
import type { Log } from '../ports/log.ts'
import { kindKey } from './applier.ts'
import type { LoadedManifests, ManifestStore } from './manifests.ts'
import { failureFields } from './tell.ts'

/** The manifests of revisions as a sync needs them, with a word in the log for whatever is left out. */
export interface Revisions {
  /** Manifests of the head, or nothing where they can't be synced: then every fault is told. */
  loadOrTell(mirror: GitMirror, head: Revision): Promise<LoadedManifests | undefined>
  /** Manifests that were synced before; none where they can't be read any more. */
  previous(mirror: GitMirror, from: Revision | undefined): Promise<Map<ResourceId, JsonObject>>
  tellSkipped(plan: SyncPlan, manifests: LoadedManifests): void
}

/** v1's texts; what is not allowed is told in one line */
const skipTexts: Record<SkipReason, string | undefined> = {
  'ignored-in-git': 'not applying resource; ignore annotation in file',
  'ignored-in-cluster': 'not applying resource; ignore annotation in cluster resource',
  'namespace-not-allowed': undefined,
}

export function createRevisions(options: { manifests: ManifestStore; log: Log }): Revisions {
  const log = options.log.with({ component: 'sync-loop' })
  let warned = new Set<string>()

  const loadOrTell = async (mirror: GitMirror, head: Revision): Promise<LoadedManifests | undefined> => {
    const manifests = await options.manifests.load(mirror, head)
    for (const fault of manifests.faults)
      log.write({ ...failureFields(fault), err: `loading resources from repo: ${fault.what}` })
    const unknown = new Set(manifests.unscoped.map(({ name }) => name))
    for (const { name, apiVersion, kind, source } of manifests.unscoped) {
      if (warned.has(name)) continue
      log.write({
        warn: `cannot find scope of resource ${name}: the API server serves no ${kind} in ${apiVersion}`,
        impact: `resource ${name} will be excluded until its scope is available`,
        source,
      })
    }
    for (const name of warned) {
      if (!unknown.has(name)) log.write({ info: `found scope of resource ${name}, back in business!` })
    }
    warned = unknown
    return manifests.faults.length > 0 ? undefined : manifests
  }

  const tellSkipped = ({ skipped }: SyncPlan, { resources }: LoadedManifests) => {
    const excluded = skipped.filter(({ reason }) => reason === 'namespace-not-allowed').map(({ id }) => id)
    if (excluded.length > 0) {
      const warning = 'not applying resources; excluded by namespace constraints'
      log.write({ method: 'Sync', warning, resources: excluded })
    }
    for (const { id, reason } of skipped) {
      const info = skipTexts[reason]
      if (info) log.write({ method: 'Sync', info, resource: id, source: resources.get(id)?.manifest.file })
    }
  }

  const previous = async (
    mirror: GitMirror,
    from: Revision | undefined,
  ): Promise<Map<ResourceId, JsonObject>> => {
    if (!from) return new Map()
    try {
      const { resources } = await options.manifests.load(mirror, from)
      return new Map([...resources].map(([id, { manifest }]) => [id, manifest.value]))
    } catch (thrown) {
      const warning = 'failed to load last-synced resources. sync event may be inaccurate'
      options.log.write({ component: 'daemon', warning, ...failureFields(thrown) })
      return new Map()
    }
  }

  return { loadOrTell, previous, tellSkipped }
}

/** The types of these resources that the API server serves already. */
export function typesOf(resources: LoadedManifests['resources'], served: Discovery): ResourceType[] {
  const types = new Set<ResourceType>()
  for (const { manifest } of resources.values()) {
    const type = served.find(manifest.apiVersion, manifest.kind)
    if (type) types.add(type)
  }
  return [...types]
}

/** Kinds that the CustomResourceDefinitions of a revision define. */
export function definitionsIn({ resources }: LoadedManifests): Set<string> {
  const kinds = new Set<string>()
  for (const { manifest } of resources.values()) {
    if (manifest.kind !== 'CustomResourceDefinition') continue
    const group = String(valueAt(manifest.value, 'spec', 'group'))
    const kind = String(valueAt(manifest.value, 'spec', 'names', 'kind'))
    const versions = valueAt(manifest.value, 'spec', 'versions')
    for (const version of Array.isArray(versions) ? versions : []) {
      kinds.add(kindKey(`${group}/${String(valueAt(version, 'name'))}`, kind))
    }
  }
  return kinds
}
