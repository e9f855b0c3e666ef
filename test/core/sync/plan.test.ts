import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../src/core/json.ts'
import { parseManifestFile } from '../../../src/core/manifest/document.ts'
import { assembleManifests, type LoadedResource } from '../../../src/core/manifest/load.ts'
import { parseResourceId, type ResourceId } from '../../../src/core/resource/id.ts'
import {
  type Awaited,
  changedIds,
  type MarkedObject,
  planPrune,
  planSync,
} from '../../../src/core/sync/plan.ts'

/** A cluster as small as it can be: applying a plan stores the object, pruning takes it away. */

const syncSet = 'set'
const named = (kind: string, name: string, annotations: Record<string, string> = {}) =>
  JSON.stringify({ apiVersion: 'v1', kind, metadata: { name, annotations } })
/** may go with all that is in it */
const free = { 'fluxcd.io/prune': 'true' }
const ns1 = named('Namespace', 'foobar', free)
const ns3 = named('Namespace', 'other', free)
const deployment = (
  namespace: string,
  name: string,
  annotations: Record<string, string> = {},
  replicas = 1,
) =>
  JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...(namespace && { namespace }), name, annotations },
    spec: { replicas },
  })
const dep1 = deployment('foobar', 'dep1')
const dep2 = deployment('foobar', 'dep2')
const dep3 = deployment('other', 'dep3')

const id = (text: string) => parseResourceId(text)
const dep1Id = id('foobar:deployment/dep1')
const dep2Id = id('foobar:deployment/dep2')

interface LiveObject extends MarkedObject {
  object: JsonObject
}

function textsAt(object: JsonObject, key: string): Record<string, string> {
  return { ...((object['metadata'] as JsonObject)[key] as Record<string, string> | undefined) }
}

function startCluster() {
  const objects = new Map<ResourceId, LiveObject>()
  return {
    objects,
    ids: () => [...objects.keys()].sort(),
    put(id: ResourceId, object: JsonObject, owned = false) {
      const [kind = '', name = ''] = id.slice(id.indexOf(':') + 1).split('/')
      const metadata = { labels: textsAt(object, 'labels'), annotations: textsAt(object, 'annotations') }
      objects.set(id, { id, kind, name, owned, object, ...metadata })
    },
    /** One sync of these manifests. @returns what was pruned, left and skipped */
    sync(
      manifests: readonly string[],
      {
        prune = true,
        fails = [] as ResourceId[],
        namespaces = [] as string[],
        budget = 0,
        awaited = [] as Awaited[],
      } = {},
    ) {
      const plan = planSync({
        desired: load(manifests),
        live: ({ id }) => objects.get(id),
        allowedNamespaces: namespaces,
        syncSet,
      })
      for (const { id, object } of plan.stages.flat()) if (!fails.includes(id)) this.put(id, object)
      const {
        stages: gone,
        kept,
        outdated,
      } = planPrune({
        marked: objects.values(),
        checksums: plan.checksums,
        allowedNamespaces: namespaces,
        syncSet,
        awaited,
        budget,
      })
      if (prune) for (const { id } of gone.flat()) objects.delete(id)
      return {
        ...plan,
        pruned: gone.map((stage) => stage.map(({ id }) => id)),
        kept: kept.map(({ object, reason }) => `${object.id} ${reason}`),
        outdated: outdated.map(({ id }) => id),
      }
    },
  }
}

function load(manifests: readonly string[]): ReadonlyMap<ResourceId, LoadedResource> {
  const file = parseManifestFile('all.yaml', manifests.join('\n---\n'))
  const { resources, faults } = assembleManifests([file], {
    scopeOf: (_, kind) => (kind === 'Namespace' ? 'cluster' : 'namespaced'),
    defaultNamespace: 'system',
  })
  expect(faults).toEqual([])
  return resources
}

describe('garbage collection', () => {
  test('off: everything that ever was stays', () => {
    const cluster = startCluster()

    for (const manifests of [[], [ns1, dep1], [ns1, dep1, dep2], [ns3, dep3]])
      cluster.sync(manifests, { prune: false })

    expect(cluster.ids()).toHaveLength(5)
  })

  test('on: the cluster has exactly what Git has', () => {
    const cluster = startCluster()
    cluster.sync([ns1, dep1, dep2])

    for (const manifests of [[ns1, dep2, ns3, dep3], [ns1, dep1, dep2], [ns1]]) {
      cluster.sync(manifests)

      expect(cluster.ids()).toEqual([...load(manifests).keys()].sort())
    }
  })

  test('takes down first what stands on others', () => {
    const cluster = startCluster()
    cluster.sync([ns1, dep1, dep2, ns3])

    expect(cluster.sync([ns3]).pruned).toEqual([[dep1Id, dep2Id], ['<cluster>:namespace/foobar']])
  })

  test('leaves alone what is cluster-scoped and in Git', () => {
    const cluster = startCluster()

    cluster.sync([ns1])
    cluster.sync([ns1])

    expect(cluster.ids()).toEqual(['<cluster>:namespace/foobar'])
  })

  test('knows an object by its effective namespace', () => {
    const cluster = startCluster()
    const manifests = [deployment('', 'dep1'), dep3]

    cluster.sync(manifests)

    expect(cluster.sync(manifests).pruned).toEqual([])
    expect(cluster.ids()).toEqual(['other:deployment/dep3', 'system:deployment/dep1'])
  })

  test('keeps a copy that carries the mark of another object', () => {
    const cluster = startCluster()
    cluster.sync([ns1, dep1])
    cluster.put(id('foobar:deployment/copy'), cluster.objects.get(dep1Id)?.object ?? {})

    cluster.sync([ns1])

    expect(cluster.ids()).toEqual(['<cluster>:namespace/foobar', 'foobar:deployment/copy'])
  })

  test('keeps what another object made, whatever marks it inherited', () => {
    const cluster = startCluster()
    cluster.sync([ns1, dep1])
    cluster.put(dep1Id, cluster.objects.get(dep1Id)?.object ?? {}, true)

    expect(cluster.sync([ns1]).pruned).toEqual([])
  })

  test('keeps an object whose new version fails to apply, and says so', () => {
    const cluster = startCluster()
    cluster.sync([ns1, dep1])

    const { pruned, outdated } = cluster.sync([ns1, deployment('foobar', 'dep1', {}, 2)], { fails: [dep1Id] })

    expect({ pruned, outdated }).toEqual({ pruned: [], outdated: [dep1Id] })
  })

  test('does not count what another sync set marked', () => {
    const cluster = startCluster()
    cluster.sync([ns1, dep1])

    const plan = planPrune({
      marked: cluster.objects.values(),
      checksums: new Map([[dep2Id, 'sum']]),
      allowedNamespaces: [],
      syncSet: 'other',
      awaited: [],
      budget: 0,
    })

    expect(plan).toEqual({ stages: [], kept: [], outdated: [] })
  })

  test('prunes nothing that Git still holds', () => {
    const all = [ns1, dep1, dep2, ns3, dep3]
    fc.assert(
      fc.property(fc.subarray(all), fc.subarray(all), (before, after) => {
        const cluster = startCluster()
        cluster.sync(before)
        const { pruned } = cluster.sync(after)

        const held = load(after)
        expect(pruned.flat().filter((id) => held.has(id))).toEqual([])
        const inUse = (id: string) => /namespace\/(foobar|other)$/.test(id)
        const left = cluster.ids().filter((id) => held.has(id) || !inUse(id))
        if (after.length > 0) expect(left).toEqual([...held.keys()].sort())
      }),
    )
  })

  test('keeps everything when Git has nothing', () => {
    const cluster = startCluster()
    cluster.sync([ns1, dep1])

    const { pruned, kept } = cluster.sync([])

    expect(pruned).toEqual([])
    expect(kept).toEqual([`${dep1Id} nothing-in-git`, '<cluster>:namespace/foobar nothing-in-git'])
  })

  test.each([
    { awaited: [{ namespace: 'foobar' }], kept: [`${dep2Id} awaits`, `${dep1Id} awaits`] },
    { awaited: [{ name: 'dep1' }], kept: [`${dep1Id} awaits`] },
    { awaited: [{ namespace: 'other' }, { name: 'dep3' }], kept: [] },
  ])('keeps what may be replaced by $awaited until that is there', ({ awaited, kept }) => {
    const cluster = startCluster()
    cluster.sync([ns1, dep1, dep2])

    expect(cluster.sync([ns1], { awaited }).kept).toEqual(kept)

    cluster.sync([ns1])
    expect(cluster.ids()).toEqual(['<cluster>:namespace/foobar'])
  })

  test('keeps a Namespace that may go while Git has something in it', () => {
    const cluster = startCluster()
    cluster.sync([ns1, dep1, ns3])

    expect(cluster.sync([dep1, ns3])).toMatchObject({
      pruned: [],
      kept: ['<cluster>:namespace/foobar in-use'],
    })
  })

  test.each([
    { budget: 0, pruned: 2 },
    { budget: 1, pruned: 0 },
    { budget: 2, pruned: 2 },
  ])('with a budget of $budget, $pruned of two go', ({ budget, pruned }) => {
    const cluster = startCluster()
    cluster.sync([ns1, dep1, dep2])

    const done = cluster.sync([ns1], { budget })

    expect(done.pruned.flat()).toHaveLength(pruned)
    expect(done.kept).toHaveLength(2 - pruned)
    expect(done.kept.every((kept) => kept.endsWith(' over-budget'))).toBe(true)
  })

  test.each([
    { kind: 'Namespace', id: '<cluster>:namespace/precious' },
    { kind: 'CustomResourceDefinition', id: 'system:customresourcedefinition/precious' },
    { kind: 'PersistentVolumeClaim', id: 'system:persistentvolumeclaim/precious' },
  ])('keeps a $kind until its annotation lets it go', ({ kind, id }) => {
    const cluster = startCluster()
    cluster.sync([ns1, named(kind, 'precious')])
    expect(cluster.sync([ns1])).toMatchObject({ pruned: [], kept: [`${id} precious`] })

    cluster.sync([ns1, named(kind, 'precious', free)])

    expect(cluster.sync([ns1])).toMatchObject({ pruned: [[id]], kept: [] })
  })

  test('leaves alone what is in a namespace that is not ours to touch, and that Namespace', () => {
    const cluster = startCluster()
    cluster.sync([ns1, dep1, ns3, dep3])

    expect(cluster.sync([ns3], { namespaces: ['other'] }).pruned).toEqual([['other:deployment/dep3']])
  })
})

describe('ignore', () => {
  const annotated = (value: string) => deployment('foobar', 'dep2', { 'fluxcd.io/ignore': value })

  test('in Git: never created', () => {
    const cluster = startCluster()

    const { skipped } = cluster.sync([ns1, annotated('true')])

    expect(cluster.objects.has(dep2Id)).toBe(false)
    expect(skipped).toEqual([{ id: dep2Id, reason: 'ignored-in-git' }])
  })

  test('in Git, later: neither updated nor pruned', () => {
    const cluster = startCluster()
    cluster.sync([ns1, dep2])
    const before = cluster.objects.get(dep2Id)?.object

    cluster.sync([ns1, annotated('true')])

    expect(cluster.objects.get(dep2Id)?.object).toBe(before)
  })

  test.each(['fluxcd.io/ignore', 'flux.weave.works/ignore'])(
    'in the cluster by %s: left alone',
    (annotation) => {
      const cluster = startCluster()
      cluster.put(dep2Id, { metadata: { annotations: { [annotation]: 'true' } } })

      const { skipped } = cluster.sync([ns1, dep2])

      expect(skipped).toEqual([{ id: dep2Id, reason: 'ignored-in-cluster' }])
      expect(cluster.objects.get(dep2Id)?.labels).toEqual({})
    },
  )

  test('in the cluster: kept when it leaves Git', () => {
    const cluster = startCluster()
    cluster.sync([ns1, dep2])
    const { object = {} } = cluster.objects.get(dep2Id) ?? {}
    const metadata = object['metadata'] as JsonObject
    const annotations = { ...(metadata['annotations'] as JsonObject), 'fluxcd.io/ignore': 'true' }
    cluster.put(dep2Id, { ...object, metadata: { ...metadata, annotations } })

    expect(cluster.sync([ns1])).toMatchObject({ pruned: [], kept: [`${dep2Id} ignored`] })
  })

  test.each([
    { value: 'sync_only', kept: true },
    { value: 'false', kept: false },
  ])('$value: created, and kept when it leaves Git: $kept', ({ value, kept }) => {
    const cluster = startCluster()
    cluster.sync([ns1, annotated(value)])
    expect(cluster.objects.has(dep2Id)).toBe(true)

    cluster.sync([ns1])

    expect(cluster.objects.has(dep2Id)).toBe(kept)
  })
})

describe('allowed namespaces', () => {
  test('leave out the rest, and Namespaces by their name', () => {
    const { skipped, stages, checksums } = startCluster().sync([ns1, dep1, ns3, dep3], {
      namespaces: ['other'],
    })

    expect(skipped).toEqual([
      { id: '<cluster>:namespace/foobar', reason: 'namespace-not-allowed' },
      { id: dep1Id, reason: 'namespace-not-allowed' },
    ])
    expect(stages.flat().map(({ id }) => id)).toEqual(['<cluster>:namespace/other', 'other:deployment/dep3'])
    expect(checksums.has(dep1Id)).toBe(false)
  })
})

test('applies in stages: namespaces, secrets, deployments', () => {
  const secret = 'apiVersion: v1\nkind: Secret\nmetadata: { namespace: foobar, name: s }\n'

  const { stages } = startCluster().sync([dep1, secret, ns1])

  expect(stages.map((stage) => stage.map(({ id }) => id))).toEqual([
    ['<cluster>:namespace/foobar'],
    ['foobar:secret/s'],
    [dep1Id],
  ])
})

test('nothing in Git, nothing to apply', () => {
  expect(startCluster().sync([]).stages).toEqual([])
})

test('carries what an apply needs', () => {
  const [apply] = startCluster()
    .sync([deployment('', 'dep1')])
    .stages.flat()

  expect(apply).toMatchObject({
    id: 'system:deployment/dep1',
    kind: 'Deployment',
    apiVersion: 'apps/v1',
    namespace: 'system',
    source: 'all.yaml:1',
    object: {
      metadata: { namespace: 'system', annotations: { 'fluxcd.io/sync-checksum': apply?.checksum } },
    },
  })
})

describe('changed resources', () => {
  const sums = (...manifests: string[]) => startCluster().sync(manifests).checksums

  test.each([
    { why: 'a first sync: all', before: undefined, after: sums(dep1, dep2), changed: [dep1Id, dep2Id] },
    { why: 'no change: none', before: sums(dep1, dep2), after: sums(dep2, dep1), changed: [] },
    {
      why: 'one of a file: that one',
      before: sums(dep1, dep2),
      after: sums(deployment('foobar', 'dep1', {}, 3), dep2),
      changed: [dep1Id],
    },
    { why: 'a new one: that one', before: sums(dep1), after: sums(dep1, dep2), changed: [dep2Id] },
    { why: 'one that is gone: none', before: sums(dep1, dep2), after: sums(dep1), changed: [] },
  ])('$why', ({ before, after, changed }) => {
    expect(changedIds(before, after)).toEqual(changed)
  })
})
