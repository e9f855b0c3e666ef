import { describe, expect } from 'vitest'
import { createCluster } from '../../../src/adapters/kube/cluster.ts'
import { loadKubeConnection } from '../../../src/adapters/kube/connection.ts'
import { valueAt } from '../../../src/core/json.ts'
import { test } from '../../support/cluster-test.ts'
import { planeSkipReason, readAuditLog, request, startControlPlane } from '../../support/control-plane.ts'
import { configMap, connect } from './fixtures.ts'

test('the version is the server’s', async ({ plane }) => {
  await using kube = await connect(plane.kubeconfig)

  expect(await kube.cluster.version()).toMatch(/^v1\.\d+\.\d+/)
  expect(kube.cluster.server).toBe(plane.server)
})

describe('discovery', () => {
  test('finds kinds by the apiVersion of a manifest', async ({ plane }) => {
    await using kube = await connect(plane.kubeconfig)

    const discovery = await kube.cluster.discover()

    expect(discovery.find('v1', 'Namespace')).toMatchObject({
      group: '',
      version: 'v1',
      kind: 'Namespace',
      plural: 'namespaces',
      namespaced: false,
      verbs: expect.arrayContaining(['list', 'patch', 'watch']),
    })
    expect(discovery.find('apps/v1', 'Deployment')).toMatchObject({ plural: 'deployments', namespaced: true })
    expect(discovery.find('apps/v1beta1', 'Deployment')).toBeUndefined()
    expect(discovery.types.filter(({ plural }) => plural.includes('/'))).toEqual([])
    const kinds = discovery.types.map(({ group, kind }) => `${group}/${kind}`)
    expect(kinds).toHaveLength(new Set(kinds).size)
  })

  test('sees a new kind once it is told to forget', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const group = `${namespace}.example.com`
    const before = (await kube.cluster.discover()).find(`${group}/v1`, 'Thing')
    await request(plane, 'POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      metadata: { name: `things.${group}` },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural: 'things', kind: 'Thing' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        ],
      },
    })

    const find = async () => {
      kube.cluster.forgetDiscovery()
      return (await kube.cluster.discover()).find(`${group}/v1`, 'Thing')
    }

    expect(before).toBeUndefined()
    await expect.poll(find, { timeout: 10_000 }).toMatchObject({ plural: 'things', namespaced: true })
  })
})

describe('a list', () => {
  test('comes in pages, whole', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const type = await kube.type('v1', 'ConfigMap')
    const names = Array.from({ length: 501 }, (_, i) => `item-${String(i).padStart(3, '0')}`)
    await Promise.all(
      names.map((name) => kube.cluster.apply({ type, namespace, name }, configMap(name, { n: name }))),
    )

    const { items, resourceVersion } = await kube.cluster.list(type, { namespace, labelSelector: '!skip' })

    expect(
      items.map((item) => valueAt(item, 'metadata', 'name')).filter((name) => names.includes(String(name))),
    ).toEqual(names)
    expect(items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' })
    expect(Number(resourceVersion)).toBeGreaterThan(0)
    const pages = (await readAuditLog(plane.auditLogPath)).filter(
      ({ verb, requestURI }) =>
        verb === 'list' && requestURI.startsWith(`/api/v1/namespaces/${namespace}/configmaps?`),
    )
    expect(pages).toHaveLength(2)
  })

  test('of metadata has nothing else, and the names of its kind', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')
    await kube.cluster.apply(key, configMap('settings', { a: '1' }, { labels: { of: 'test' } }))

    const { items } = await kube.cluster.list(key.type, {
      namespace,
      labelSelector: 'of=test',
      metadataOnly: true,
    })

    expect(items).toMatchObject([{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' } }])
    expect(items[0]).not.toHaveProperty('data')
  })

  test('of all namespaces, by a field', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')
    await kube.cluster.apply(key, configMap('settings', {}))

    const { items } = await kube.cluster.list(key.type, { fieldSelector: `metadata.namespace=${namespace}` })

    expect(items.map((item) => valueAt(item, 'metadata', 'name'))).toContain('settings')
  })
})

describe('a watch', () => {
  test('tells what changes after the list, until it is aborted', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')
    const labelSelector = 'of=test'
    const labelled = (data: Record<string, string>) => configMap('settings', data, { labels: { of: 'test' } })
    const { resourceVersion } = await kube.cluster.list(key.type, { namespace, labelSelector })
    const stop = new AbortController()
    const seen: string[] = []
    const watching = (async () => {
      const options = { namespace, labelSelector, resourceVersion, metadataOnly: true, signal: stop.signal }
      for await (const event of kube.cluster.watch(key.type, options)) {
        if (event.type === 'BOOKMARK') continue
        seen.push(`${event.type} ${event.object['kind']} ${valueAt(event.object, 'metadata', 'name')}`)
        expect(event.object).not.toHaveProperty('data')
      }
    })()

    await kube.cluster.apply(key, labelled({ a: '1' }))
    await kube.cluster.apply(key, labelled({ a: '2' }))
    await kube.cluster.delete(key)
    await expect.poll(() => seen.length).toBe(3)
    stop.abort()
    await watching

    expect(seen).toEqual([
      'ADDED ConfigMap settings',
      'MODIFIED ConfigMap settings',
      'DELETED ConfigMap settings',
    ])
  })
})

describe('one object', () => {
  test('is there, is deleted once, and is gone', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')
    await kube.cluster.apply(key, configMap('settings', { a: '1' }))

    const found = await kube.cluster.get(key)
    const deleted = [await kube.cluster.delete(key), await kube.cluster.delete(key)]

    expect(found).toMatchObject({ kind: 'ConfigMap', data: { a: '1' } })
    expect(deleted).toEqual([true, false])
    expect(await kube.cluster.get(key)).toBeUndefined()
  })

  test('with another uid is not the one to delete', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')
    const { object } = await kube.cluster.apply(key, configMap('settings', {}))

    const spared = await kube.cluster.delete(key, { uid: '00000000-0000-0000-0000-000000000000' })
    const deleted = await kube.cluster.delete(key, { uid: String(valueAt(object, 'metadata', 'uid')) })

    expect([spared, deleted]).toEqual([false, true])
  })

  test('takes a patch that a later apply leaves alone', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')
    await kube.cluster.apply(key, configMap('settings', {}))

    await kube.cluster.patch(key, { metadata: { annotations: { state: '1' } } })
    const { object } = await kube.cluster.apply(key, configMap('settings', {}))

    expect(valueAt(object, 'metadata', 'annotations', 'state')).toBe('1')
    const missing = kube.cluster.patch({ ...key, name: 'nobody' }, {})
    await expect(missing).rejects.toMatchObject({ code: 'CLUSTER_OBJECT_MISSING' })
  })

  test('has events written about it', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const regarding = { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: 'web' }

    await kube.cluster.writeEvent({
      regarding,
      type: 'Normal',
      reason: 'Synced',
      message: `now at ${'é'.repeat(1000)}`,
      component: 'fluxd',
    })

    const { items } = await kube.cluster.list(await kube.type('v1', 'Event'), { namespace })
    const [event] = items.filter((item) => item['reason'] === 'Synced')
    expect(event).toMatchObject({ involvedObject: regarding, type: 'Normal', source: { component: 'fluxd' } })
    expect(String(event?.['message'])).toMatch(/^now at é+…$/)
  })
})

test.skipIf(planeSkipReason !== undefined)('work goes on after the API server was away', async () => {
  await using plane = await startControlPlane()
  const cluster = createCluster({ connection: await loadKubeConnection({ kubeconfig: plane.kubeconfig }) })
  const type = (await cluster.discover()).find('v1', 'ConfigMap')
  if (type === undefined) throw new Error('no ConfigMap')
  const key = { type, namespace: 'default', name: 'settings' }
  const { resourceVersion } = await cluster.list(type)
  const watching = (async () => {
    for await (const _event of cluster.watch(type, { resourceVersion }));
    return 'ended'
  })()
  await cluster.apply(key, configMap('settings', { a: '1' }))

  await plane.stopApiServer()
  const away = await cluster.apply(key, configMap('settings', { a: '2' })).catch((error: unknown) => error)
  await plane.startApiServer()
  const { change } = await cluster.apply(key, configMap('settings', { a: '2' }))
  const forgotten = (async () => {
    for await (const _event of cluster.watch(type, { resourceVersion }));
  })()

  await expect(forgotten).rejects.toMatchObject({ code: 'CLUSTER_WATCH_EXPIRED' })
  expect(await watching).toBe('ended')
  expect(away).toMatchObject({ code: 'CLUSTER_UNREACHABLE', message: expect.stringContaining(plane.server) })
  expect(change).toBe('configured')
  await cluster.close()
})
