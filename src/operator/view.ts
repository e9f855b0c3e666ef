import type { ObjectRef } from '../core/helm/chart.ts'
import { ownerMark } from '../core/helm/digest.ts'
import { type ChartsRepository, modernize, type ReleaseShape } from '../core/helm/older.ts'
import { type HelmRelease, helmReleaseKind, readHelmRelease } from '../core/helm/resource.ts'
import { newestRevisionFirst, type Revision, readRevision } from '../core/helm/revision.ts'
import type { JsonObject } from '../core/json.ts'
import type { Clock } from '../ports/clock.ts'
import { type Cluster, type ObjectKey, type ResourceType, secretType } from '../ports/cluster.ts'
import type { Log } from '../ports/log.ts'
import { type Following, followObjects } from '../runtime/follow.ts'
import { failureFields } from './tell.ts'

/**
 * What the operator knows of the cluster without asking: every HelmRelease, and of Helm's own Secrets the labels. Both
 * are kept by watches.
 */

export interface View {
  /** by `keyOf` */
  readonly releases: ReadonlyMap<string, HelmRelease>
  /** the HelmRelease that `ownerMark` of its ID stands for */
  ownerOf(mark: string): HelmRelease | undefined
  /** newest first; empty where there are none */
  revisions(namespace: string, release: string): readonly Revision[]
  /** every release that carries this owner's mark on its newest revision */
  ownedBy(mark: string): readonly Revision[]
  /** What was just read of a release's revisions, in place of what the watch told so far. */
  putRevisions(namespace: string, release: string, revisions: readonly Revision[]): void
  /** A HelmRelease as a write of ours left it. */
  put(object: JsonObject): HelmRelease | undefined
  /** resolves when both collections were listed */
  readonly listed: Promise<void>
  readonly ended: Promise<void>
}

export interface ViewOptions {
  cluster: Cluster
  /** empty: all */
  namespace: string
  /** older kinds too, with the repository of their charts */
  older: ChartsRepository | undefined
  onRelease(key: string, now: HelmRelease, before: HelmRelease | undefined): void
  onReleaseGone(key: string, last: HelmRelease): void
  /** the newest revision of a release has another number or status */
  onRevision(namespace: string, release: string): void
  clock: Clock
  log: Log
  signal: AbortSignal
}

const namespaced = { namespaced: true, verbs: [] }
/** The kinds of HelmReleases, today's and the older ones. */
export const releaseTypes: Readonly<Record<ReleaseShape, ResourceType>> = {
  v1: {
    group: 'helm.fluxcd.io',
    version: 'v1',
    kind: helmReleaseKind,
    plural: 'helmreleases',
    ...namespaced,
  },
  v1beta1: {
    group: 'flux.weave.works',
    version: 'v1beta1',
    kind: helmReleaseKind,
    plural: 'helmreleases',
    ...namespaced,
  },
  v1alpha2: {
    group: 'helm.integrations.flux.weave.works',
    version: 'v1alpha2',
    kind: 'FluxHelmRelease',
    plural: 'fluxhelmreleases',
    ...namespaced,
  },
}

/** `namespace/name`, with the generation before it where it is an older one. */
function keyOf({ namespace, name, shape = 'v1' }: ObjectRef & { shape?: ReleaseShape }): string {
  return `${shape === 'v1' ? '' : `${shape}:`}${namespace}/${name}`
}

export function objectKeyOf({ namespace, name, shape }: ObjectRef & { shape: ReleaseShape }): ObjectKey {
  return { type: releaseTypes[shape], namespace, name }
}

export function createView(options: ViewOptions): View {
  const { cluster, namespace, older, onRelease, onReleaseGone, onRevision, clock, signal } = options
  const log = options.log.with({ component: 'view' })
  const releases = new Map<string, HelmRelease>()
  const owners = new Map<string, string>()
  const stored = new Map<string, readonly Revision[]>()

  const read = (object: JsonObject) => readHelmRelease(older ? modernize(object, older) : object)
  const take = (object: JsonObject): HelmRelease | undefined => {
    const release = read(object)
    if (!release) return undefined
    const key = keyOf(release)
    const before = releases.get(key)
    if (before && before.uid === release.uid && isOlder(release.resourceVersion, before.resourceVersion)) {
      return before
    }
    releases.set(key, release)
    owners.set(ownerMark(release.id), key)
    return release
  }
  const changed = (object: JsonObject) => {
    const key = keyOf(read(object) ?? { namespace: '', name: '' })
    const before = releases.get(key)
    const now = take(object)
    if (now && now !== before) onRelease(key, now, before)
  }
  const gone = (key: string) => {
    const last = releases.get(key)
    if (!last) return
    releases.delete(key)
    owners.delete(ownerMark(last.id))
    onReleaseGone(key, last)
  }

  const putRevisions = (at: string, revisions: readonly Revision[]) => {
    const before = stored.get(at)?.[0]
    if (revisions.length === 0) stored.delete(at)
    else stored.set(at, revisions)
    const now = revisions[0]
    return before?.number !== now?.number || before?.status !== now?.status
  }
  const takeRevision = (object: JsonObject, there: boolean) => {
    const revision = readRevision(object)
    if (!revision) return
    const { namespace: where, release, number } = revision
    const at = keyOf({ namespace: where, name: release })
    const others = (stored.get(at) ?? []).filter((other) => other.number !== number)
    const revisions = there ? [...others, revision].sort(newestRevisionFirst) : others
    if (putRevisions(at, revisions)) onRevision(where, release)
  }

  const scope = namespace === '' ? {} : { namespace }
  const followReleases = (shape: ReleaseShape): Following => {
    let refuse = () => {}
    const refused = new Promise<void>((resolve) => {
      // a cluster may not have the older kinds: nothing waits for them
      refuse = shape === 'v1' ? () => {} : resolve
    })
    const following = followObjects({
      cluster,
      type: releaseTypes[shape],
      ...scope,
      onList(objects) {
        const listed = new Set<string>()
        for (const object of objects) {
          const release = read(object)
          if (release) listed.add(keyOf(release))
          changed(object)
        }
        for (const [key, release] of [...releases]) {
          if (release.shape === shape && !listed.has(key)) gone(key)
        }
      },
      onChange: changed,
      onGone(object) {
        const release = read(object)
        if (release) gone(keyOf(release))
      },
      onError(thrown) {
        const { kind, group, version } = releaseTypes[shape]
        log.write({ warning: `${kind} ${group}/${version} cannot be followed`, ...failureFields(thrown) })
        refuse()
      },
      clock,
      signal,
    })
    return { ...following, listed: Promise.race([following.listed, refused]) }
  }
  const following = [
    followReleases('v1'),
    ...(older ? [followReleases('v1beta1'), followReleases('v1alpha2')] : []),
    followObjects({
      cluster,
      type: secretType,
      ...scope,
      labelSelector: 'owner=helm',
      metadataOnly: true,
      onList(objects) {
        const byRelease = new Map<string, Revision[]>()
        for (const object of objects) {
          const revision = readRevision(object)
          if (!revision) continue
          const at = keyOf({ namespace: revision.namespace, name: revision.release })
          byRelease.set(at, [...(byRelease.get(at) ?? []), revision])
        }
        for (const at of [...stored.keys()]) if (!byRelease.has(at)) byRelease.set(at, [])
        for (const [at, revisions] of byRelease) {
          const moved = putRevisions(at, revisions.sort(newestRevisionFirst))
          const [where = '', release = ''] = at.split('/')
          if (moved) onRevision(where, release)
        }
      },
      onChange: (object) => takeRevision(object, true),
      onGone: (object) => takeRevision(object, false),
      onError: (thrown) =>
        log.write({ warning: 'Secrets of Helm cannot be followed', ...failureFields(thrown) }),
      clock,
      signal,
    }),
  ]

  return {
    releases,
    ownerOf: (mark) => releases.get(owners.get(mark) ?? ''),
    revisions: (where, release) => stored.get(keyOf({ namespace: where, name: release })) ?? [],
    ownedBy: (mark) =>
      [...stored.values()].flatMap(([newest]) => (newest && newest.owner === mark ? [newest] : [])),
    putRevisions: (where, release, revisions) =>
      void putRevisions(keyOf({ namespace: where, name: release }), revisions),
    put: take,
    listed: Promise.all(following.map(({ listed }) => listed)).then(() => {}),
    ended: Promise.all(following.map(({ ended }) => ended)).then(() => {}),
  }
}

/** Resource versions of one collection grow. */
function isOlder(a: string, b: string): boolean {
  return a.length === b.length ? a < b : a.length < b.length
}
