import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../src/playground/kube-api/model.ts'
import { type Change, Store } from '../../../src/playground/kube-api/store.ts'

const collection = 'configmaps'
const place = (name: string, namespace = 'default') => ({ collection, namespace, name })
const configMap = (name: string, data: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
})
const settled = () => new Promise((done) => setImmediate(done))

describe('a store', () => {
  test('numbers every write', () => {
    const store = new Store()

    const versions = [
      store.create(place('a'), configMap('a')),
      store.update(place('a'), configMap('a', { x: '1' })),
      store.delete(place('a')),
    ].map((object) => object?.metadata['resourceVersion'])

    expect(versions).toEqual(['2', '3', '4'])
    expect(store.version).toBe(4)
    expect(store.delete(place('a'))).toBeUndefined()
  })

  test('lists by namespace and name', () => {
    const store = new Store()
    for (const [namespace, name] of [
      ['b', 'x'],
      ['a', 'y'],
      ['a-b', 'z'],
      ['a', 'b'],
    ] as const) {
      store.create(place(name, namespace), configMap(`${namespace}/${name}`))
    }

    const names = (namespace?: string) =>
      store.list(collection, namespace).objects.map(({ metadata }) => metadata.name)

    expect(names()).toEqual(['a-b/z', 'a/b', 'a/y', 'b/x'])
    expect(names('a')).toEqual(['a/b', 'a/y'])
    expect(names('nobody')).toEqual([])
  })

  test('remembers so many changes and says what is too old', () => {
    const store = new Store({ historySize: 4 })
    for (let i = 0; i < 20; i++) store.create(place(`a${i}`), configMap(`a${i}`))

    expect(store.changesSince(store.version - 4)).toHaveLength(4)
    expect(() => store.changesSince(2)).toThrow(/too old resource version: 2 \(\d+\)/)
    store.forget()
    expect(store.changesSince(store.version)).toEqual([])
    expect(() => store.changesSince(store.version - 1)).toThrow('too old')
  })

  test('tells of changes after they happened, in order, and none from before', async () => {
    const store = new Store()
    const told: string[] = []
    store.create(place('before'), configMap('before'))
    const end = store.subscribe(({ type, name, version }) => told.push(`${type} ${name} ${version}`))

    store.create(place('a'), configMap('a'))
    store.update(place('a'), configMap('a', { x: '1' }))
    store.delete(place('a'))
    const atOnce = [...told]
    await settled()
    end()
    store.create(place('after'), configMap('after'))
    await settled()

    expect(atOnce).toEqual([])
    expect(told).toEqual(['ADDED a 3', 'MODIFIED a 4', 'DELETED a 5'])
  })
})

test('a list at an older version is the list of that time', () => {
  const step = fc.record({
    verb: fc.constantFrom('create', 'update', 'delete'),
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    value: fc.string(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const store = new Store()
      const then = new Map<number, readonly KubeObject[]>()

      for (const { verb, name, value } of steps) {
        const exists = store.get(place(name)) !== undefined
        if (verb === 'delete') store.delete(place(name))
        else if (exists) store.update(place(name), configMap(name, { value }))
        else store.create(place(name), configMap(name, { value }))
        then.set(store.version, store.list(collection).objects)
      }

      for (const [version, objects] of then) {
        expect(store.list(collection, '', version)).toEqual({ objects, version })
      }
    }),
  )
})

test('the changes since a version lead from the list of then to the list of now', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 30 }),
      fc.nat({ max: 30 }),
      (names, at) => {
        const store = new Store()
        let version = store.version
        const toggle = (name: string) =>
          store.get(place(name)) === undefined
            ? store.create(place(name), configMap(name))
            : store.delete(place(name))
        names.forEach((name, index) => {
          if (index === at) version = store.version
          toggle(name)
        })

        const seen = new Map(
          store.list(collection, '', version).objects.map((each) => [each.metadata.name, each]),
        )
        const apply = ({ type, name, object }: Change) =>
          type === 'DELETED' ? seen.delete(name) : seen.set(name, object)
        for (const change of store.changesSince(version)) apply(change)

        const now = store.list(collection).objects
        expect([...seen.values()].map(({ metadata }) => metadata.name).sort()).toEqual(
          now.map(({ metadata }) => metadata.name),
        )
      },
    ),
  )
})
