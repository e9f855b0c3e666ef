import { expect, test } from 'vitest'
import { readRequest } from '../../../../src/playground/kube-api/rest/request.ts'
import { compareVersions, Resources } from '../../../../src/playground/kube-api/rest/resources.ts'
import { builtInResources } from '../../../../src/playground/kube-api/schema/types.ts'

const resources = new Resources(builtInResources())

test.each([
  ['GET', '/api/v1/pods', { verb: 'list', plural: 'pods', namespace: '', name: '' }],
  ['GET', '/api/v1/pods?watch=true', { verb: 'watch', plural: 'pods' }],
  ['GET', '/api/v1/pods?watch=false', { verb: 'list', plural: 'pods' }],
  ['GET', '/api/v1/watch/namespaces/a/pods', { verb: 'watch', plural: 'pods', namespace: 'a' }],
  ['GET', '/api/v1/namespaces/a/pods/b', { verb: 'get', namespace: 'a', name: 'b', subresource: '' }],
  ['GET', '/api/v1/namespaces/a/pods/b/log', { verb: 'get', name: 'b', subresource: 'log' }],
  ['GET', '/api/v1/namespaces/a', { verb: 'get', plural: 'namespaces', namespace: 'a', name: 'a' }],
  ['PUT', '/api/v1/namespaces/a/finalize', { verb: 'update', plural: 'namespaces', subresource: 'finalize' }],
  ['POST', '/apis/apps/v1/namespaces/a/deployments', { verb: 'create', group: 'apps', name: '' }],
  ['DELETE', '/apis/apps/v1/namespaces/a/deployments', { verb: 'deletecollection' }],
  ['DELETE', '/apis/apps/v1/namespaces/a/deployments/b%20c', { verb: 'delete', name: 'b c' }],
  ['PATCH', '/apis/apps/v1/namespaces/a/deployments/b/scale', { verb: 'patch', subresource: 'scale' }],
  ['GET', '/apis/example.com/v1/things', { verb: 'list', group: 'example.com', resource: undefined }],
])('%s %s', (method, path, expected) => {
  const { pathname, searchParams } = new URL(path, 'https://127.0.0.1')

  expect(readRequest(resources, method, pathname, searchParams)).toMatchObject(expected)
})

test.each(['/', '/api', '/api/v1', '/apis', '/apis/apps', '/apis/apps/v1', '/version', '/openapi/v3/api/v1'])(
  '%s names no resource',
  (path) => {
    expect(readRequest(resources, 'GET', path, new URLSearchParams())).toBeUndefined()
  },
)

test('versions stand by their age, stable ones first', () => {
  const versions = ['v1beta1', 'foo', 'v1', 'v2', 'v10', 'v1alpha1', 'v2beta1', 'v1beta2', 'bar']

  expect(versions.sort(compareVersions)).toEqual([
    'v10',
    'v2',
    'v1',
    'v2beta1',
    'v1beta2',
    'v1beta1',
    'v1alpha1',
    'bar',
    'foo',
  ])
})
