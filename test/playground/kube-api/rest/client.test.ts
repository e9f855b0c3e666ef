import { describe, expect, test } from 'vitest'
import type { Client } from '../../../../src/playground/kube-api/client.ts'
import type { KubeObject } from '../../../../src/playground/kube-api/model.ts'
import { createFirstObjects, furnishNamespaces } from '../../../../src/playground/kube-api/rest/bootstrap.ts'
import { collectGarbage, emptyNamespaces } from '../../../../src/playground/kube-api/rest/cleanup.ts'
import { createClient } from '../../../../src/playground/kube-api/rest/client.ts'
import { serveDefinitions } from '../../../../src/playground/kube-api/rest/definitions.ts'
import { Resources } from '../../../../src/playground/kube-api/rest/resources.ts'
import { builtInResources } from '../../../../src/playground/kube-api/schema/types.ts'
import { Store } from '../../../../src/playground/kube-api/store.ts'

/** The API without its door: what controllers see. */
function startWorld(): Client {
  const world = { store: new Store(), resources: new Resources(builtInResources()), now: () => new Date() }
  serveDefinitions(world)
  collectGarbage(world)
  emptyNamespaces(world)
  const client = createClient(world, 'test')
  createFirstObjects(client, { port: 6443 })
  furnishNamespaces(client, 'certificate')
  return client
}

const configMap = (name: string, metadata: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', ...metadata },
})

const ownedBy = ({ kind, apiVersion, metadata }: KubeObject, more: object = {}) => ({
  ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata['uid'], ...more }],
})

describe('an object', () => {
  test('is as it was made until somebody changes it', () => {
    const client = startWorld()

    const made = client.create('configmaps', { ...configMap('a'), data: { a: '1' } })
    const same = client.update('configmaps', { ...made })
    const changed = client.patch('configmaps', 'default', 'a', { data: { a: '2' } })

    expect(same.metadata['resourceVersion']).toBe(made.metadata['resourceVersion'])
    expect(changed.metadata['resourceVersion']).not.toBe(made.metadata['resourceVersion'])
    expect(made['data']).toEqual({ a: '1' })
    expect(() => client.update('configmaps', { ...made, data: { a: '3' } })).toThrow(
      'the object has been modified; please apply your changes to the latest version and try again',
    )
  })

  test('gets a name where it has only the beginning of one', () => {
    const client = startWorld()

    const { metadata } = client.create('configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { generateName: 'a-', namespace: 'default' } as unknown as KubeObject['metadata'],
    })

    expect(metadata.name).toMatch(/^a-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
  })

  test('is counted anew when something else is wanted, not when something else is so', () => {
    const client = startWorld()
    const labels = { app: 'web' }
    const made = client.create('deployments.apps', {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'web:1' }] } },
      },
    })
    const reported = client.updateStatus('deployments.apps', { ...made, status: { replicas: 1 } })
    const labelled = client.patch('deployments.apps', 'default', 'web', { metadata: { labels: { a: 'b' } } })
    const scaled = client.patch('deployments.apps', 'default', 'web', {
      spec: { replicas: 2 },
      status: { replicas: 9 },
    })

    const generations = [made, reported, labelled, scaled].map(({ metadata }) => metadata['generation'])
    expect(generations).toEqual([1, 1, 1, 2])
    expect(scaled['status']).toMatchObject({ replicas: 1 })
  })

  test('with a finalizer stays until that is gone', () => {
    const client = startWorld()
    client.create('configmaps', configMap('a', { finalizers: ['example.com/hold'] }))

    client.delete('configmaps', 'default', 'a')
    const held = client.get('configmaps', 'default', 'a')
    client.patch('configmaps', 'default', 'a', { metadata: { finalizers: null } })

    expect(held?.metadata['deletionTimestamp']).toBeDefined()
    expect(client.get('configmaps', 'default', 'a')).toBeUndefined()
    expect(client.delete('configmaps', 'default', 'a')).toBe(false)
  })

  test('needs its namespace', () => {
    const client = startWorld()

    expect(() => client.create('configmaps', configMap('a', { namespace: 'none' }))).toThrow(
      'namespaces "none" not found',
    )
    expect(() => client.delete('namespaces', '', 'default')).toThrow('this namespace may not be deleted')
  })
})

describe('what is owned', () => {
  test('goes with its owner, and with the last of several', async () => {
    const client = startWorld()
    const [one, two] = ['one', 'two'].map((name) => client.create('configmaps', configMap(name)))
    if (one === undefined || two === undefined) throw new Error('not made')
    client.create('configmaps', configMap('of-one', ownedBy(one)))
    const both = [...ownedBy(one).ownerReferences, ...ownedBy(two).ownerReferences]
    client.create('configmaps', configMap('of-both', { ownerReferences: both }))

    client.delete('configmaps', 'default', 'one')

    await expect.poll(() => client.get('configmaps', 'default', 'of-one')).toBeUndefined()
    expect(client.get('configmaps', 'default', 'of-both')?.metadata).toMatchObject(ownedBy(two))
    client.delete('configmaps', 'default', 'two')
    await expect.poll(() => client.get('configmaps', 'default', 'of-both')).toBeUndefined()
  })

  test('holds an owner that goes in the foreground', async () => {
    const client = startWorld()
    const owner = client.create('configmaps', configMap('owner'))
    const blocking = ownedBy(owner, { blockOwnerDeletion: true })
    client.create('configmaps', configMap('held', { ...blocking, finalizers: ['example.com/hold'] }))

    client.delete('configmaps', 'default', 'owner', { propagationPolicy: 'Foreground' })
    await expect
      .poll(() => client.get('configmaps', 'default', 'held')?.metadata['deletionTimestamp'])
      .toBeDefined()
    const waiting = client.get('configmaps', 'default', 'owner')
    client.patch('configmaps', 'default', 'held', { metadata: { finalizers: null } })

    expect(waiting).toBeDefined()
    await expect.poll(() => client.get('configmaps', 'default', 'owner')).toBeUndefined()
  })

  test('stays when it is to be orphaned', async () => {
    const client = startWorld()
    const owner = client.create('configmaps', configMap('owner'))
    client.create('configmaps', configMap('left', ownedBy(owner)))

    client.delete('configmaps', 'default', 'owner', { propagationPolicy: 'Orphan' })

    await expect.poll(() => client.get('configmaps', 'default', 'owner')).toBeUndefined()
    expect(client.get('configmaps', 'default', 'left')?.metadata['ownerReferences']).toBeUndefined()
  })

  test('by nobody who exists does not last', async () => {
    const client = startWorld()
    const ghost = { ...configMap('ghost'), metadata: { name: 'ghost', uid: 'none' } }

    client.create('configmaps', configMap('loose', ownedBy(ghost)))

    await expect.poll(() => client.get('configmaps', 'default', 'loose')).toBeUndefined()
  })
})

test('a namespace is furnished, and emptied before it goes', async () => {
  const client = startWorld()
  client.create('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'new' } })
  await expect.poll(() => client.get('serviceaccounts', 'new', 'default')).toBeDefined()
  client.create('configmaps', configMap('held', { namespace: 'new', finalizers: ['example.com/hold'] }))

  client.delete('namespaces', '', 'new')
  await expect.poll(() => client.get('configmaps', 'new', 'kube-root-ca.crt')).toBeUndefined()
  const ending = client.get('namespaces', '', 'new')
  client.patch('configmaps', 'new', 'held', { metadata: { finalizers: null } })

  expect(ending).toMatchObject({ status: { phase: 'Terminating' } })
  await expect.poll(() => client.get('namespaces', '', 'new')).toBeUndefined()
})

test('a custom object may have finalizers with short names, others may not', async () => {
  const client = startWorld()
  client.create('customresourcedefinitions.apiextensions.k8s.io', {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [
        { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } },
      ],
    },
  })
  const metadata = { name: 'a', namespace: 'default', finalizers: ['finalizers.example.com'] }
  const create = () =>
    client.create('widgets.example.com', { apiVersion: 'example.com/v1', kind: 'Widget', metadata })

  await expect.poll(create).toMatchObject({ metadata })
  expect(() => client.create('configmaps', configMap('a', metadata))).toThrow('nor is it fully qualified')
})

test('events of both groups are one collection', () => {
  const client = startWorld()

  client.create('events', {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'x', namespace: 'default' },
    involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
    message: 'it happened',
    count: 2,
  })

  expect(client.get('events.events.k8s.io', 'default', 'x')).toMatchObject({
    apiVersion: 'events.k8s.io/v1',
    regarding: { name: 'p' },
    note: 'it happened',
    deprecatedCount: 2,
  })
})
