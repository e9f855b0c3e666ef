import { FluxError, messageOf } from '../core/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../core/json.ts'
import { type ResourceId, resourceIdOf } from '../core/resource/id.ts'
import { type Ownership, readOwnership } from '../core/sync/drift.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster, ObjectKey, ResourceType } from '../ports/cluster.ts'
import type { Log } from '../ports/log.ts'

/**
 * One view of the cluster, kept by watches: whole objects of the workload kinds, trimmed on arrival, and metadata of
 * the other kinds that we own. Listings are answered from it, and a pass over an unchanged world asks nothing.
 *
 * A collection that may not be watched is listed every half minute instead; one that may not be listed, or is not
 * served, has no objects.
 */

/** What is kept of a live object: enough to know whether it is still what we applied. */
export interface LiveObject {
  id: ResourceId
  key: ObjectKey
  uid: string
  resourceVersion: string
  labels: Readonly<Record<string, string>>
  /** without `last-applied-configuration` */
  annotations: Readonly<Record<string, string>>
  ownership: Ownership
  /** another object made this one */
  owned: boolean
}

export interface Collection<T> {
  readonly type: ResourceType
  /** every object by namespace and name, or none before the first list */
  readonly objects: ReadonlyMap<string, T>
  /** listed, and followed since without a gap; or not ours to see */
  healthy(): boolean
  /** resolves once the first list is done or was refused */
  readonly listed: Promise<void>
  /** An apply of ours came back: it may be ahead of the watch. */
  put(object: JsonObject): void
}

export interface CollectionOptions<T> {
  cluster: Cluster
  type: ResourceType
  namespaces: readonly string[] | undefined
  metadataOnly: boolean
  /** what to keep of an object */
  trim(object: JsonObject, live: LiveObject): T
  /** told of each object that the server says has changed, or is gone; not of `put` */
  onChange(id: ResourceId): void
  clock: Clock
  log: Log
  signal: AbortSignal
}

const relistMs = 30_000
const maxBackoffMs = 30_000
/** After so many failures in a row, a quarter of a minute, a refusal is for good. */
const refusalsBelieved = 5
/** A server that ends watches sooner than this is not asked again at once. */
const shortWatchMs = 1_000

export function objectName(namespace: string | undefined, name: string): string {
  return namespace ? `${namespace}/${name}` : name
}

/** Follow one collection until aborted. */
export function followCollection<T extends { live: LiveObject }>(
  options: CollectionOptions<T>,
): Collection<T> {
  const { cluster, type, trim, clock, log, signal } = options
  const objects = new Map<string, T>()
  const scopes = type.namespaced ? (options.namespaces ?? [undefined]) : [undefined]
  const healthyScopes = new Set<string | undefined>()

  const take = (object: JsonObject) => {
    const live = readLiveObject(object, type)
    const name = objectName(live.key.namespace, live.key.name)
    const known = objects.get(name)
    if (known && known.live.uid === live.uid && isOlder(live.resourceVersion, known.live.resourceVersion))
      return
    objects.set(name, trim(object, live))
  }

  /** @returns what is forgotten */
  const forget = (namespace: string | undefined, isGone: (name: string) => boolean): ResourceId[] => {
    const gone: ResourceId[] = []
    for (const [name, { live }] of objects) {
      if ((namespace !== undefined && live.key.namespace !== namespace) || !isGone(name)) continue
      objects.delete(name)
      gone.push(live.id)
    }
    return gone
  }

  const listScope = async (namespace: string | undefined): Promise<string> => {
    const query = {
      metadataOnly: options.metadataOnly,
      signal,
      ...(namespace === undefined ? {} : { namespace }),
    }
    const { items, resourceVersion } = await cluster.list(type, query)
    const seen = new Set<string>()
    for (const item of items) {
      take(item)
      seen.add(nameOf(item))
    }
    const gone = forget(namespace, (name) => !seen.has(name))
    for (const id of [...gone, ...[...objects.values()].map(({ live }) => live.id)]) options.onChange(id)
    return resourceVersion
  }

  const followScope = async (namespace: string | undefined, listed: () => void): Promise<void> => {
    let failures = 0
    let from: string | undefined
    let openedMs = Number.POSITIVE_INFINITY
    while (!signal.aborted) {
      try {
        if (from === undefined) {
          from = await listScope(namespace)
          healthyScopes.add(namespace)
          listed()
        }
        const scope = namespace === undefined ? {} : { namespace }
        openedMs = clock.monotonicMs()
        for await (const event of cluster.watch(type, {
          metadataOnly: options.metadataOnly,
          resourceVersion: from,
          signal,
          ...scope,
        })) {
          if (event.type === 'BOOKMARK') from = event.resourceVersion
          else {
            if (event.type === 'DELETED') objects.delete(nameOf(event.object))
            else take(event.object)
            options.onChange(readLiveObject(event.object, type).id)
            from = textAt(event.object, 'metadata', 'resourceVersion') ?? from
          }
        }
        if (clock.monotonicMs() - openedMs < shortWatchMs) await clock.sleep(shortWatchMs, signal)
      } catch (thrown) {
        if (signal.aborted) return
        healthyScopes.delete(namespace)
        const code = thrown instanceof FluxError ? thrown.code : undefined
        if (clock.monotonicMs() - openedMs >= shortWatchMs) failures = 0
        openedMs = Number.POSITIVE_INFINITY
        const forbidden =
          code === 'CLUSTER_FORBIDDEN' || code === 'APPLY_KIND_UNKNOWN' || code === 'CLUSTER_OBJECT_MISSING'
        if (forbidden) listed()
        // an API server that has just started forbids everything for a moment
        const refused = forbidden && failures >= refusalsBelieved
        if (refused) {
          // what we may not see has nothing to tell: it doesn't keep the rest from being trusted
          if (from === undefined) forget(namespace, () => true)
          healthyScopes.add(namespace)
        }
        if (code !== 'CLUSTER_WATCH_EXPIRED') {
          if (failures === 0) log.write({ component: 'cluster', watch: type.plural, err: messageOf(thrown) })
          const backoffMs = refused ? relistMs : Math.min(maxBackoffMs, 500 * 2 ** failures)
          failures += 1
          await clock.sleep(backoffMs * (0.5 + Math.random() / 2), signal).catch(() => {})
        }
        from = undefined
      }
    }
  }

  const listed = Promise.all(
    scopes.map(
      (namespace) =>
        new Promise<void>((resolve) => {
          void followScope(namespace, resolve).finally(resolve)
        }),
    ),
  ).then(() => {})

  return {
    type,
    objects,
    listed,
    healthy: () => healthyScopes.size === scopes.length,
    put: take,
  }
}

/** Read what a view keeps of an object. */
export function readLiveObject(object: JsonObject, type: ResourceType): LiveObject {
  const metadata = isJsonObject(object['metadata']) ? object['metadata'] : {}
  const namespace = textAt(metadata, 'namespace')
  const name = textAt(metadata, 'name') ?? ''
  const annotations = readTexts(metadata['annotations'])
  delete annotations['kubectl.kubernetes.io/last-applied-configuration']
  const owners = metadata['ownerReferences']
  return {
    id: resourceIdOf(type.namespaced ? (namespace ?? '') : '', type.kind, name),
    key: { type, name, ...(namespace === undefined ? {} : { namespace }) },
    uid: textAt(metadata, 'uid') ?? '',
    resourceVersion: textAt(metadata, 'resourceVersion') ?? '',
    labels: readTexts(metadata['labels']),
    annotations,
    ownership: readOwnership(metadata['managedFields']),
    owned: Array.isArray(owners) && owners.length > 0,
  }
}

/** Resource versions of one collection grow; where they are no numbers, nothing is known to be older. */
function isOlder(a: string, b: string): boolean {
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return false
  return a.length === b.length ? a < b : a.length < b.length
}

function nameOf(object: JsonObject): string {
  return objectName(textAt(object, 'metadata', 'namespace'), textAt(object, 'metadata', 'name') ?? '')
}

function textAt(value: JsonValue, ...path: string[]): string | undefined {
  const found = valueAt(value, ...path)
  return typeof found === 'string' ? found : undefined
}

function readTexts(value: JsonValue | undefined): Record<string, string> {
  if (!isJsonObject(value)) return {}
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}
