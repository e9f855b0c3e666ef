import type { ContainerDemand } from '../core/image/demand.ts'
import { canonicalName } from '../core/image/ref.ts'
import { isSet, type Policies, patternFor } from '../core/policy/policy.ts'
import type { ClusterView } from './cluster-view.ts'
import type { ManifestStore } from './manifests.ts'
import type { Repository } from './repository.ts'

/** Who runs which image repository, and which of its images they may run: by canonical name. */
export type Demand = ReadonlyMap<string, readonly ContainerDemand[]>

/** From what runs, and the policies in Git as far as they can be read. */
export async function readDemand({
  view,
  repository,
  manifests,
}: {
  view: ClusterView
  repository: Repository
  manifests: ManifestStore
}): Promise<Demand> {
  const head = repository.head()
  const loaded =
    head && repository.status().state === 'ready'
      ? await manifests.load(repository.ready(), head).catch(() => undefined)
      : undefined
  const demand = new Map<string, ContainerDemand[]>()
  for (const [id, { workload }] of view.workloads()) {
    const policies: Policies = loaded?.resources.get(id)?.policies ?? new Map()
    const automated = isSet(policies, 'automated') && !isSet(policies, 'locked') && !isSet(policies, 'ignore')
    for (const { name, image } of workload.containers) {
      if (!image) continue
      const key = canonicalName(image)
      const known = demand.get(key) ?? []
      demand.set(key, known)
      known.push({ current: image, pattern: patternFor(policies, name), automated })
    }
  }
  return demand
}
