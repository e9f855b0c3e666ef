import { expect, test } from 'vitest'
import { resourceIdOf } from '../../../src/core/resource/id.ts'
import { orderForApply, rankOf, stagesOf } from '../../../src/core/sync/order.ts'

const object = (kind: string, name: string) => ({ id: resourceIdOf('demo', kind, name), kind, name })
const names = (objects: readonly { kind: string; name: string }[]) =>
  objects.map(({ kind, name }) => `${kind}/${name}`)

test.each([
  ['Namespace', 0],
  ['CustomResourceDefinition', 1],
  ['Service', 1],
  ['ConfigMap', 2],
  ['CronJob', 3],
  ['HelmRelease', 4],
  ['constructor', 4],
] as const)('%s has rank %i', (kind, rank) => {
  expect(rankOf(kind)).toBe(rank)
})

test('orders by rank, then by name', () => {
  const objects = [
    object('Deployment', 'b'),
    object('Secret', 'z'),
    object('Foo', 'a'),
    object('Namespace', 'demo'),
    object('Deployment', 'a'),
  ]

  expect(names(orderForApply(objects))).toEqual([
    'Namespace/demo',
    'Secret/z',
    'Deployment/a',
    'Deployment/b',
    'Foo/a',
  ])
})

test('puts definitions of kinds in the first stage, beside namespaces', () => {
  const objects = [
    object('Foo', 'a'),
    object('CustomResourceDefinition', 'foos'),
    object('Service', 's'),
    object('Namespace', 'n'),
  ]

  expect(stagesOf(objects).map(names)).toEqual([
    ['Namespace/n', 'CustomResourceDefinition/foos'],
    ['Service/s'],
    ['Foo/a'],
  ])
})
