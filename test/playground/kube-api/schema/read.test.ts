import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../../src/core/json.ts'
import { StatusError } from '../../../../src/playground/kube-api/model.ts'
import { applyDefaults } from '../../../../src/playground/kube-api/schema/defaults.ts'
import { canonicalQuantity } from '../../../../src/playground/kube-api/schema/quantity.ts'
import { readFields, readPatched } from '../../../../src/playground/kube-api/schema/read.ts'
import { resourceFor } from '../answers.ts'

const deployments = resourceFor({ apiVersion: 'apps/v1', kind: 'Deployment' })
const secrets = resourceFor({ apiVersion: 'v1', kind: 'Secret' })

const deployment = (spec: JsonObject, container: JsonObject = {}): JsonObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web' },
  spec: { ...spec, template: { spec: { containers: [{ name: 'c', ...container }] } } },
})

function messageOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof StatusError) return error.message
    throw error
  }
  throw new Error('it was read')
}

describe('reading', () => {
  test.each([
    ['1000m', '1'],
    ['0.5', '500m'],
    ['1024Mi', '1Gi'],
    ['1000Mi', '1000Mi'],
    ['1e3', '1e3'],
    ['1500', '1500'],
    ['100', '100'],
    ['0.0001', '100u'],
    ['512Ki', '512Ki'],
    ['0.5Gi', '512Mi'],
    ['5Ki', '5Ki'],
    ['0', '0'],
    ['-1.5', '-1500m'],
    ['1x', undefined],
    ['', undefined],
  ])('writes the amount %s as %s', (text, canonical) => {
    expect(canonicalQuantity(text)).toBe(canonical)
  })

  test.each([
    {
      what: 'a text for a number',
      object: deployment({ replicas: '3' }),
      why: 'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    },
    {
      what: 'a broken number',
      object: deployment({ replicas: 1.5 }),
      why: 'json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
    },
    {
      what: 'a number for a text',
      object: deployment({}, { name: 5 }),
      why: 'json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.name of type string',
    },
    {
      what: 'a text for a list',
      object: deployment({}, { args: 'x' }),
      why: 'json: cannot unmarshal string into Go struct field Container.spec.template.spec.containers.args of type []string',
    },
    {
      what: 'no amount',
      object: deployment({}, { resources: { limits: { cpu: 'abc' } } }),
      why: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    },
    {
      what: 'another kind',
      object: { apiVersion: 'apps/v1', kind: 'Foo' },
      kind: 'Foo',
      why: 'no kind "Foo" is registered for version "apps/v1" in scheme "pkg/runtime/scheme.go:111"',
    },
  ])('refuses $what', ({ object, why, kind = 'Deployment' }) => {
    expect(messageOf(() => readFields(deployments, object, 'Ignore'))).toBe(
      `${kind} in version "v1" cannot be handled as a Deployment: ${why}`,
    )
  })

  test.each([
    ['***', 0],
    ['YQ=', 3],
  ])('refuses %s as base64', (text, byte) => {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { a: text } }

    expect(messageOf(() => readFields(secrets, secret, 'Ignore'))).toBe(
      `Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte ${byte}`,
    )
  })

  const odd = { ...deployment({ bar: 1 }, { foo: 1 }), baz: 1 }
  const unknown = [
    'unknown field "spec.bar"',
    'unknown field "spec.template.spec.containers[0].foo"',
    'unknown field "baz"',
  ]

  test('warns of fields that it does not know and of those that came twice, and drops them', () => {
    const { object, warnings } = readFields(deployments, odd, 'Warn', ['metadata.name'])

    expect(warnings).toEqual(['duplicate field "metadata.name"', ...unknown])
    expect(JSON.stringify(object)).not.toMatch(/foo|bar|baz/)
  })

  test('refuses them when strict, and says nothing when told to ignore them', () => {
    expect(messageOf(() => readFields(deployments, odd, 'Strict'))).toBe(
      `Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: ${unknown.join(', ')}`,
    )
    expect(readFields(deployments, odd, 'Ignore').warnings).toEqual([])
  })

  test('drops zeroes that mean nothing and keeps those that do', () => {
    const { object } = readFields(
      deployments,
      deployment({ replicas: 0, paused: false, minReadySeconds: 0 }),
      'Strict',
    )

    expect(object['spec']).toMatchObject({ replicas: 0, strategy: {}, selector: null })
    expect(object['spec']).not.toHaveProperty('paused')
    expect(object['spec']).not.toHaveProperty('minReadySeconds')
  })

  test('keeps every digit of a long integer', () => {
    const long = 9_007_199_254_740_993n
    const value = deployment({}, { securityContext: { runAsUser: long } })

    expect(
      JSON.stringify(readFields(deployments, value, 'Strict').object, (_, x) =>
        typeof x === 'bigint' ? `${x}` : x,
      ),
    ).toContain('"runAsUser":"9007199254740993"')
  })

  test('done again changes nothing, with defaults filled in', () => {
    const once = applyDefaults(
      deployments,
      readFields(deployments, deployment({ selector: {} }), 'Strict').object,
    )

    const twice = applyDefaults(deployments, readFields(deployments, once, 'Strict').object)

    expect(twice).toEqual(once)
  })

  test('tells of the patch, not of the object, when a patch breaks it', () => {
    const patch = {
      type: 'strategic' as const,
      value: { spec: { foo: 'x', '$setElementOrder/a': [], a: [] } },
    }

    expect(messageOf(() => readPatched(deployments, deployment({ foo: 'x' }), patch, 'Strict'))).toBe(
      ' "" is invalid: patch: Invalid value: "map[spec:map[foo:x]]": strict decoding error: unknown field "spec.foo"',
    )
  })
})
