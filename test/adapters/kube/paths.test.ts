import { expect, test } from 'vitest'
import { objectPath } from '../../../src/adapters/kube/paths.ts'

const type = {
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
  verbs: [],
}

test('an object stands below its collection, its names escaped', () => {
  expect(objectPath({ type, namespace: 'demo', name: 'a/b' })).toBe(
    '/apis/apps/v1/namespaces/demo/deployments/a%2Fb',
  )
})

test.each(['', '.', '..'])('no path leads to the name %j', (name) => {
  expect(() => objectPath({ type, namespace: 'demo', name })).toThrow('invalid name')
  expect(() => objectPath({ type, namespace: name || '..', name: 'web' })).toThrow('invalid name')
})
