import { describe, expect, test } from 'vitest'
import { valueAt } from '../../../../src/core/json.ts'
import { openApiV2, openApiV3, openApiV3Index } from '../../../../src/playground/kube-api/schema/openapi.ts'
import { builtInResources } from '../../../../src/playground/kube-api/schema/types.ts'

const resources = builtInResources()

describe('OpenAPI', () => {
  test('has a document for each group version, by a hash of what it says', () => {
    const { paths } = openApiV3Index(resources)

    expect(Object.keys(paths as object)).toEqual(
      expect.arrayContaining(['api/v1', 'apis/apps/v1', 'apis/batch/v1']),
    )
    expect(valueAt(paths, 'apis/apps/v1', 'serverRelativeURL')).toMatch(
      /^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{128}$/,
    )
  })

  test('tells how a list is merged, and what a patch may ask for', () => {
    const document = openApiV3('apis/apps/v1', resources)

    expect(
      valueAt(document, 'components', 'schemas', 'io.k8s.api.core.v1.PodSpec', 'properties', 'containers'),
    ).toEqual({
      type: 'array',
      items: { $ref: '#/components/schemas/io.k8s.api.core.v1.Container' },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      'x-kubernetes-patch-merge-key': 'name',
      'x-kubernetes-patch-strategy': 'merge',
    })
    const patch = valueAt(
      document,
      'paths',
      '/apis/apps/v1/namespaces/{namespace}/deployments/{name}',
      'patch',
    )
    expect(valueAt(patch, 'x-kubernetes-group-version-kind')).toEqual({
      group: 'apps',
      version: 'v1',
      kind: 'Deployment',
    })
    expect((valueAt(patch, 'parameters') as { name: string }[]).map(({ name }) => name)).toEqual([
      'dryRun',
      'fieldManager',
      'fieldValidation',
      'force',
    ])
  })

  test.each([
    ['version 3', (path: string) => openApiV3(path, resources)],
    ['version 2', () => openApiV2(resources)],
  ])('of %s names no type that it does not have', (_, documentOf) => {
    const text = JSON.stringify(documentOf('apis/batch/v1'))
    const document = JSON.parse(text) as { components?: { schemas: object }; definitions?: object }
    const known = new Set(Object.keys(document.components?.schemas ?? document.definitions ?? {}))

    const missing = [...text.matchAll(/"\$ref":"#\/(?:components\/schemas|definitions)\/([^"]+)"/g)]
      .map(([, name = '']) => name)
      .filter((name) => !known.has(name))

    expect(missing).toEqual([])
  })
})
