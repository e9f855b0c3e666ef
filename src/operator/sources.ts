import type { ObjectRef } from '../core/helm/chart.ts'
import { isJsonObject, type JsonObject, valueAt } from '../core/json.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster, ResourceType } from '../ports/cluster.ts'
import { type Following, followObjects } from '../runtime/follow.ts'

/**
 * ConfigMaps and Secrets that hold values. Each namespace that is referred to is followed by metadata, so that a change
 * is seen at once and what did not change is not asked for again. Where that is not allowed they are read each time.
 */

export type SourceKind = 'ConfigMap' | 'Secret'

export interface SourceReader {
  /** Entries of an object as text; `undefined` where it is missing. @throws FluxError `CLUSTER_…` */
  read(kind: SourceKind, ref: ObjectRef): Promise<ReadonlyMap<string, string> | undefined>
  readonly ended: () => Promise<void>
}

export interface SourceReaderOptions {
  cluster: Cluster
  onChange(kind: SourceKind, ref: ObjectRef): void
  clock: Clock
  signal: AbortSignal
}

interface Scope {
  following: Following
  /** resolves when the first list is done, or refused */
  ready: Promise<void>
  versions: Map<string, string>
}

const plurals = { ConfigMap: 'configmaps', Secret: 'secrets' } as const

export function createSourceReader({ cluster, onChange, clock, signal }: SourceReaderOptions): SourceReader {
  const scopes = new Map<string, Scope>()
  const contents = new Map<string, { version: string; data: ReadonlyMap<string, string> }>()

  const scopeOf = (kind: SourceKind, namespace: string): Scope => {
    const key = `${kind}/${namespace}`
    const known = scopes.get(key)
    if (known) return known
    const versions = new Map<string, string>()
    let refuse = () => {}
    const refused = new Promise<void>((resolve) => {
      refuse = resolve
    })
    const take = (object: JsonObject) => {
      const { name, version } = identityOf(object)
      const changed = versions.get(name) !== version
      versions.set(name, version)
      return changed ? name : undefined
    }
    const following = followObjects({
      cluster,
      type: typeOf(kind),
      namespace,
      metadataOnly: true,
      ...(kind === 'Secret' && { labelSelector: 'owner!=helm' }),
      onList(objects) {
        const names = new Set(objects.map((object) => identityOf(object).name))
        const gone = [...versions.keys()].filter((name) => !names.has(name))
        for (const name of gone) versions.delete(name)
        const changed = objects.flatMap((object) => take(object) ?? [])
        for (const name of [...gone, ...changed]) onChange(kind, { namespace, name })
      },
      onChange(object) {
        const name = take(object)
        if (name !== undefined) onChange(kind, { namespace, name })
      },
      onGone(object) {
        const { name } = identityOf(object)
        versions.delete(name)
        onChange(kind, { namespace, name })
      },
      onError: () => refuse(),
      clock,
      signal,
    })
    const scope = { following, versions, ready: Promise.race([following.listed, refused]) }
    scopes.set(key, scope)
    return scope
  }

  return {
    async read(kind, ref) {
      const { following, ready, versions } = scopeOf(kind, ref.namespace)
      await ready
      const key = `${kind}/${ref.namespace}/${ref.name}`
      if (following.healthy()) {
        const version = versions.get(ref.name)
        if (version === undefined) return undefined
        const known = contents.get(key)
        if (known?.version === version) return known.data
      }
      const object = await cluster.get({ type: typeOf(kind), ...ref }, signal)
      if (!object) return undefined
      const data = readData(kind, object)
      contents.set(key, { version: identityOf(object).version, data })
      return data
    },
    ended: async () => {
      await Promise.all([...scopes.values()].map(({ following }) => following.ended))
    },
  }
}

function typeOf(kind: SourceKind): ResourceType {
  return { group: '', version: 'v1', kind, plural: plurals[kind], namespaced: true, verbs: [] }
}

function identityOf(object: JsonObject): { name: string; version: string } {
  return {
    name: String(valueAt(object, 'metadata', 'name') ?? ''),
    version: String(valueAt(object, 'metadata', 'resourceVersion') ?? ''),
  }
}

/** `data` only; of a Secret decoded. */
function readData(kind: SourceKind, object: JsonObject): ReadonlyMap<string, string> {
  const data = object['data']
  return new Map(
    Object.entries(isJsonObject(data) ? data : {}).flatMap(([key, value]) =>
      typeof value === 'string'
        ? [[key, kind === 'Secret' ? Buffer.from(value, 'base64').toString('utf8') : value]]
        : [],
    ),
  )
}
