import { describe, expect, test } from 'vitest'
import { parseManifestFile } from '../../../src/core/manifest/document.ts'
import { assembleManifests, type Scope } from '../../../src/core/manifest/load.ts'

const known: Record<string, Scope> = {
  'apps/v1 Deployment': 'namespaced',
  'v1 Namespace': 'cluster',
  'apiextensions.k8s.io/v1 CustomResourceDefinition': 'cluster',
}
const scopeOf = (apiVersion: string, kind: string) => known[`${apiVersion} ${kind}`]

function assemble(files: Record<string, string>, defaultNamespace = 'default') {
  const parsed = Object.entries(files).map(([path, text]) => parseManifestFile(path, text))
  const { resources, faults, unscoped } = assembleManifests(parsed, { scopeOf, defaultNamespace })
  return {
    ids: [...resources.keys()],
    namespaces: [...resources.values()].map(({ namespace }) => namespace),
    resources,
    faults: faults.map(({ what }) => what),
    unscoped: unscoped.map(({ kind, name }) => `${kind}/${name}`),
  }
}

const object = (apiVersion: string, kind: string, name: string, namespace?: string) =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: ${name}${namespace ? `, namespace: ${namespace}` : ''}}\n`
const deployment = (name: string, namespace?: string) => object('apps/v1', 'Deployment', name, namespace)

describe('effective namespaces', () => {
  test.each([
    {
      what: 'a namespace is kept',
      text: deployment('a', 'foo-ns'),
      id: 'foo-ns:deployment/a',
      namespace: 'foo-ns',
    },
    {
      what: 'the default fills a gap',
      text: deployment('a'),
      id: 'default:deployment/a',
      namespace: 'default',
    },
    {
      what: 'a spurious one is disregarded',
      text: object('v1', 'Namespace', 'a', 'odd'),
      id: '<cluster>:namespace/a',
      namespace: '',
    },
  ])('$what', ({ text, id, namespace }) => {
    expect(assemble({ 'a.yaml': text })).toMatchObject({ ids: [id], namespaces: [namespace], faults: [] })
  })

  test('the default can be another', () => {
    expect(assemble({ 'a.yaml': deployment('a') }, 'foo-override').ids).toEqual(['foo-override:deployment/a'])
  })
})

describe('scopes', () => {
  const definition = (spec: string) =>
    `apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: foos.foo.io}\nspec:\n  group: foo.io\n  names: {kind: Foo}\n${spec}`
  const instance = object('foo.io/v1beta1', 'Foo', 'fooinstance', 'bar')

  test.each([
    { spec: '  scope: Namespaced\n  versions: [{name: v1}, {name: v1beta1}]\n', id: 'bar:foo/fooinstance' },
    { spec: '  scope: Cluster\n  versions: [{name: v1beta1}]\n', id: '<cluster>:foo/fooinstance' },
    { spec: '  version: v1beta1\n', id: 'bar:foo/fooinstance' },
  ])('a definition in the same set gives it: $id', ({ spec, id }) => {
    expect(assemble({ 'crd.yaml': definition(spec), 'foo.yaml': instance }).ids).toEqual([
      '<cluster>:customresourcedefinition/foos.foo.io',
      id,
    ])
  })

  test('without one the resource is left out, and named', () => {
    expect(assemble({ 'foo.yaml': instance })).toMatchObject({
      ids: [],
      faults: [],
      unscoped: ['Foo/fooinstance'],
    })
  })

  test('documents of other tools, without a name, are left out, however many', () => {
    const kustomization = 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n'

    expect(
      assemble({ 'a/kustomization.yaml': kustomization, 'b/kustomization.yaml': kustomization }),
    ).toMatchObject({
      ids: [],
      faults: [],
      unscoped: ['Kustomization/', 'Kustomization/'],
    })
  })
})

describe('faults', () => {
  test('a duplicate in two files, by v1’s words, and neither is taken', () => {
    expect(assemble({ 'a.yaml': deployment('a', 'x'), 'b.yaml': deployment('a', 'x') })).toMatchObject({
      ids: [],
      faults: ["duplicate definition of 'x:deployment/a' (in a.yaml and b.yaml)"],
    })
  })

  test('a duplicate in one file', () => {
    expect(assemble({ 'a.yaml': `${deployment('a', 'x')}---\n${deployment('a', 'x')}` }).faults).toEqual([
      "duplicate definition of 'x:deployment/a' (in a.yaml)",
    ])
  })

  test('a duplicate that only the default namespace makes', () => {
    expect(assemble({ 'a.yaml': deployment('a'), 'b.yaml': deployment('a', 'default') })).toMatchObject({
      ids: [],
      faults: ["duplicate definition of 'default:deployment/a' (in a.yaml and b.yaml)"],
    })
  })

  test('a duplicate without a namespace is named as it is written, once', () => {
    expect(assemble({ 'a.yaml': deployment('a'), 'b.yaml': deployment('a') }).faults).toEqual([
      "duplicate definition of '<cluster>:deployment/a' (in a.yaml and b.yaml)",
    ])
  })

  test('one kind in two groups is a duplicate as well', () => {
    expect(
      assemble({ 'a.yaml': deployment('a', 'x'), 'b.yaml': object('extensions/v1', 'Deployment', 'a', 'x') })
        .faults,
    ).toEqual(["duplicate definition of 'x:deployment/a' (in a.yaml and b.yaml)"])
  })

  test('a served kind without a name', () => {
    expect(assemble({ 'a.yaml': 'apiVersion: apps/v1\nkind: Deployment\n' }).faults).toEqual([
      'a.yaml:1:1: a Deployment has no metadata.name',
    ])
  })

  test('what cannot be read is passed on, the rest is taken', () => {
    expect(assemble({ 'a.yaml': 'a: [', 'b.yaml': deployment('b') })).toMatchObject({
      ids: ['default:deployment/b'],
      faults: [expect.stringMatching(/^a\.yaml:1:\d+: /)],
    })
  })
})

test('policies come with their resource', () => {
  const text = `${deployment('a').replace('}', ", annotations: {fluxcd.io/automated: 'true', fluxcd.io/tag.x: 1.10}}")}`

  expect([...assemble({ 'a.yaml': text }).resources.values()].map(({ policies }) => [...policies])).toEqual([
    [
      ['automated', 'true'],
      ['tag.x', '1.1'],
    ],
  ])
})
