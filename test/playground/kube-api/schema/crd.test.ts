import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { isJsonObject, type JsonObject } from '../../../../src/core/json.ts'
import { parseManifestFile } from '../../../../src/core/manifest/document.ts'
import { applyServerSide } from '../../../../src/playground/kube-api/apply/managed-fields.ts'
import { type KubeObject, type Resource, StatusError } from '../../../../src/playground/kube-api/model.ts'
import { checkDefinition, resourcesOf } from '../../../../src/playground/kube-api/schema/crd.ts'
import { applyDefaults } from '../../../../src/playground/kube-api/schema/defaults.ts'
import { readFields } from '../../../../src/playground/kube-api/schema/read.ts'
import { validate } from '../../../../src/playground/kube-api/schema/validate.ts'
import { causesOf, resourceFor } from '../answers.ts'

const definitions = resourceFor({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
})

function definition(schema: JsonObject, spec: JsonObject = {}, version: JsonObject = {}): KubeObject {
  const value = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'bars.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'bars', kind: 'Bar' },
      versions: [
        { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema }, ...version },
      ],
      ...spec,
    },
  }
  return applyDefaults(definitions, readFields(definitions, value, 'Strict').object)
}

const properties: JsonObject = {
  a: { type: 'string', enum: ['x', 'y'] },
  count: { type: 'integer', minimum: 1, maximum: 5 },
  pattern: { type: 'string', pattern: '^a+$' },
  words: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
  things: {
    type: 'array',
    items: { type: 'object', required: ['k'], properties: { k: { type: 'string' }, v: { type: 'integer' } } },
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['k'],
  },
  port: { 'x-kubernetes-int-or-string': true },
  filled: { type: 'object', default: {}, properties: { x: { type: 'integer', default: 3 } } },
  maybe: { type: 'string', nullable: true },
  free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  one: {
    type: 'object',
    properties: { a: { type: 'string' }, b: { type: 'string' } },
    oneOf: [{ required: ['a'] }, { required: ['b'] }],
  },
}
const [bars] = resourcesOf(
  definition({ type: 'object', properties: { spec: { type: 'object', properties } } }),
)
if (bars === undefined) throw new Error('nothing is served')

function create(resource: Resource, spec: JsonObject): { object: KubeObject; warnings: string[] } {
  const value = { apiVersion: 'example.com/v1', kind: 'Bar', metadata: { name: 'b' }, spec }
  const { object, warnings } = readFields(resource, value, 'Warn')
  return { object: applyDefaults(resource, object), warnings }
}

function causes(object: KubeObject, resource: Resource): string[] {
  try {
    validate(resource, object)
    return []
  } catch (error) {
    if (error instanceof StatusError) return causesOf(error.details)
    throw error
  }
}

describe('a custom resource', () => {
  test('is served as its definition says', () => {
    expect(bars).toMatchObject({
      group: 'example.com',
      version: 'v1',
      kind: 'Bar',
      plural: 'bars',
      singular: 'bar',
      namespaced: true,
      status: false,
      custom: true,
    })
  })

  test('loses fields that nobody knows, and gets its defaults', () => {
    const { object, warnings } = create(bars, { zzz: 1, free: { x: { y: [1, null] } }, maybe: null, a: null })

    expect(object['spec']).toEqual({ filled: { x: 3 }, free: { x: { y: [1, null] } }, maybe: null })
    expect(warnings).toEqual(['unknown field "spec.zzz"'])
  })

  test.each<{ spec: JsonObject; says: string[] }>([
    {
      spec: { a: 5 },
      says: [
        'spec.a: Invalid value: "integer": spec.a in body must be of type string: "integer"',
        'spec.a: Unsupported value: 5: supported values: "x", "y"',
      ],
    },
    {
      spec: { count: 6 },
      says: ['spec.count: Invalid value: 6: spec.count in body should be less than or equal to 5'],
    },
    {
      spec: { pattern: 'b' },
      says: [`spec.pattern: Invalid value: "b": spec.pattern in body should match '^a+$'`],
    },
    { spec: { words: ['a', 'a'] }, says: ['spec.words[1]: Duplicate value: "a"'] },
    {
      spec: { things: [{ k: 'a' }, { k: 'a', v: 1 }] },
      says: ['spec.things[1]: Duplicate value: {"k":"a"}'],
    },
    { spec: { things: [{ v: 1 }] }, says: ['spec.things[0].k: Required value'] },
    {
      spec: { port: true },
      says: [
        'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
      ],
    },
    {
      spec: { one: { a: '1', b: '2' } },
      says: [
        '<nil>: Invalid value: "": "spec.one" must validate one and only one schema (oneOf). Found 2 valid alternatives',
      ],
    },
  ])('is refused: $says', ({ spec, says }) => {
    expect(causes(create(bars, spec).object, bars)).toEqual(says)
  })

  test('is applied by the keys of its lists', () => {
    const config = {
      apiVersion: 'example.com/v1',
      kind: 'Bar',
      metadata: { name: 'b' },
      spec: { words: ['x'], things: [{ k: 'a', v: 1 }], free: { a: { b: 1 } } },
    }

    const { object } = applyServerSide({
      resource: bars,
      live: undefined,
      config,
      manager: 'm',
      force: false,
      now: new Date(0),
    })

    expect(object.metadata['managedFields']).toMatchObject([
      {
        fieldsV1: {
          'f:spec': {
            'f:words': { 'v:"x"': {} },
            'f:things': { 'k:{"k":"a"}': { '.': {}, 'f:k': {}, 'f:v': {} } },
            'f:free': { 'f:a': { '.': {}, 'f:b': {} } },
          },
        },
      },
    ])
  })
})

describe('a definition', () => {
  test.each<{ fault: string; definition: KubeObject; says: string[] }>([
    {
      fault: 'its name',
      definition: { ...definition({ type: 'object' }), metadata: { name: 'x.example.com' } },
      says: ['metadata.name: Invalid value: "x.example.com": must be spec.names.plural+"."+spec.group'],
    },
    {
      fault: 'its scope',
      definition: definition({ type: 'object' }, { scope: 'x' }),
      says: ['spec.scope: Unsupported value: "x": supported values: "Cluster", "Namespaced"'],
    },
    {
      fault: 'a schema without types',
      definition: definition({
        type: 'object',
        properties: { spec: { properties: { a: { type: 'string' } } } },
      }),
      says: [
        'spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields',
      ],
    },
    {
      fault: 'a default of another type',
      definition: definition({ type: 'object', properties: { a: { type: 'string', default: 5 } } }),
      says: [
        'spec.validation.openAPIV3Schema.properties[a].default: Invalid value: "integer":  in body must be of type string: "integer"',
      ],
    },
    {
      fault: 'no stored version',
      definition: definition({ type: 'object' }, {}, { storage: false }),
      says: [
        'spec.versions: Invalid value: [{"Name":"v1","Served":true,"Storage":false,"Deprecated":false,"DeprecationWarning":null,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFields":null}]: must have exactly one version marked as storage version',
        'status.storedVersions: Invalid value: null: must have at least one stored version',
      ],
    },
  ])('is refused for $fault', ({ definition: value, says }) => {
    expect(causesOf({ causes: checkDefinition(value).map((cause) => ({ ...cause })) })).toEqual(says)
  })

  test.each(['deploy/crds/helmreleases.yaml', 'deploy/crds/older-helmreleases.yaml'])(
    'of the Helm operator is taken: %s',
    (path) => {
      const { manifests } = parseManifestFile(path, readFileSync(path, 'utf8'))

      const found = manifests.map(({ value }) => {
        const { object } = readFields(definitions, value, 'Strict')
        const filled = applyDefaults(definitions, object)
        return { causes: checkDefinition(filled), resources: resourcesOf(filled) }
      })

      expect(found.flatMap((one) => one.causes)).toEqual([])
      expect(found.flatMap((one) => one.resources).length).toBeGreaterThan(0)
    },
  )

  test('of a HelmRelease keeps the values that a chart is given', () => {
    const path = 'deploy/crds/helmreleases.yaml'
    const [manifest] = parseManifestFile(path, readFileSync(path, 'utf8')).manifests
    const filled = applyDefaults(definitions, readFields(definitions, manifest?.value ?? {}, 'Strict').object)
    const [resource] = resourcesOf(filled)
    if (resource === undefined) throw new Error('nothing is served')
    const values = { image: { tag: 'v1' }, list: [1, { a: null }] }
    const release = {
      apiVersion: 'helm.fluxcd.io/v1',
      kind: 'HelmRelease',
      metadata: { name: 'r', namespace: 'demo' },
      spec: { chart: { git: 'https://example.com/x.git', path: 'charts/x', ref: 'main' }, values },
    }

    const { object, warnings } = readFields(resource, release, 'Strict')

    expect(warnings).toEqual([])
    expect(isJsonObject(object['spec']) && object['spec']['values']).toEqual(values)
    expect(() => validate(resource, applyDefaults(resource, object))).not.toThrow()
  })
})
