import { FluxError } from '../core/errors.ts'
import type { JsonObject, JsonValue } from '../core/json.ts'
import { valueAt } from '../core/json.ts'
import type { ResourceId } from '../core/resource/id.ts'
import { isStillOwned, type Ownership, withoutReplicasOf } from '../core/sync/drift.ts'
import { checksumAnnotation } from '../core/sync/inventory.ts'
import type { PlannedApply } from '../core/sync/plan.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster, ResourceType } from '../ports/cluster.ts'
import type { Log } from '../ports/log.ts'
import type { ClusterView } from './cluster-view.ts'
import { type LiveObject, readLiveObject } from './collection.ts'

/** Applying one object, and what is known of those that were applied: enough to tell drift from peace. */
export interface Applier {
  /** what was applied last, and by what of it we know it again */
  readonly applied: Map<ResourceId, Applied>
  /** Git's own `spec.replicas` when it was applied last; also known of objects that this process has not applied yet */
  readonly replicas: Map<ResourceId, JsonValue>
  isAsApplied(known: Applied, live: LiveObject | undefined): boolean
  /**
   * Apply one object. Replicas that were set through `scale` stay, unless Git's own value is a new one.
   *
   * @param live as it was found
   * @throws FluxError of `Cluster.apply`
   */
  apply(
    item: PlannedApply,
    type: ResourceType,
    live: LiveObject | undefined,
    signal: AbortSignal,
  ): Promise<ApplyResult>
  /** As `apply`, without doing it. @returns the object as it would be */
  rehearse(
    item: PlannedApply,
    type: ResourceType,
    live: LiveObject | undefined,
    signal: AbortSignal,
  ): Promise<JsonObject>
  /** The type of a planned object, once the API server serves it. @throws FluxError `APPLY_KIND_UNKNOWN` */
  findType(item: PlannedApply, definedHere: ReadonlySet<string>, signal: AbortSignal): Promise<ResourceType>
}

export interface Applied {
  item: PlannedApply
  type: ResourceType
  ownership: Ownership & { leftToScale: boolean }
}

export interface ApplyResult {
  object: JsonObject
  /** what changed, as kubectl says it */
  line?: string
}

const discoveryWaitMs = 15_000
const discoveryPollMs = 100

export function createApplier({
  cluster,
  view,
  clock,
  log,
}: {
  cluster: Cluster
  view: ClusterView
  clock: Clock
  log: Log
}): Applier {
  const applied: Applier['applied'] = new Map()
  const replicas: Applier['replicas'] = new Map()

  const leavesReplicas = ({ id, object }: PlannedApply, live: LiveObject | undefined): boolean => {
    const wanted = valueAt(object, 'spec', 'replicas')
    return live?.ownership.scaled === true && wanted !== undefined && replicas.get(id) === wanted
  }
  const keyOf = ({ name, namespace }: PlannedApply, type: ResourceType) => ({
    type,
    name,
    ...(namespace && { namespace }),
  })

  return {
    applied,
    replicas,

    isAsApplied: ({ item, ownership }, live) =>
      live !== undefined &&
      isStillOwned(ownership, live.ownership) &&
      live.annotations[checksumAnnotation] === item.checksum,

    async apply(item, type, live, signal) {
      const leftToScale = leavesReplicas(item, live)
      const manifest = leftToScale ? withoutReplicasOf(item.object) : item.object
      const options = { source: item.source, signal }
      const { object, change, warnings } = await cluster.apply(keyOf(item, type), manifest, options)
      for (const warning of warnings)
        log.write({ method: 'Sync', resource: item.id, source: item.source, warning })
      const { ownership } = readLiveObject(object, type)
      applied.set(item.id, { item, type, ownership: { ...ownership, leftToScale } })
      const wanted = valueAt(item.object, 'spec', 'replicas')
      if (wanted !== undefined) replicas.set(item.id, wanted)
      view.put(type, object)
      return change === 'unchanged'
        ? { object }
        : { object, line: `${resourceName(type)}/${item.name} ${change}` }
    },

    async rehearse(item, type, live, signal) {
      const manifest = leavesReplicas(item, live) ? withoutReplicasOf(item.object) : item.object
      return (await cluster.apply(keyOf(item, type), manifest, { dryRun: true, signal })).object
    },

    async findType({ apiVersion, kind }, definedHere, signal) {
      const untilMs = clock.monotonicMs() + discoveryWaitMs
      for (;;) {
        const type = (await cluster.discover(signal)).find(apiVersion, kind)
        if (type) return type
        if (!definedHere.has(kindKey(apiVersion, kind)) || clock.monotonicMs() > untilMs) {
          throw new FluxError('APPLY_KIND_UNKNOWN', {
            what: `no matches for kind "${kind}" in version "${apiVersion}"`,
            why: 'The API server serves no such kind.',
            next: 'Install its CustomResourceDefinition, or add it to the repository.',
          })
        }
        await clock.sleep(discoveryPollMs, signal)
        cluster.forgetDiscovery()
      }
    },
  }
}

/** Failures that aren't one object's or one kind's own: nothing else can succeed either. */
export const endsPass: ReadonlySet<string> = new Set(['CLUSTER_UNREACHABLE', 'CLUSTER_DENIED'])

export function kindKey(apiVersion: string, kind: string): string {
  return `${apiVersion} ${kind}`
}

/** `deployment.apps`, as kubectl prints it. */
export function resourceName({ group, kind }: ResourceType): string {
  return group ? `${kind.toLowerCase()}.${group}` : kind.toLowerCase()
}
