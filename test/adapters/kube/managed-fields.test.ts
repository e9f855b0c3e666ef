import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { includesFields, planTakeover, unionFields } from '../../../src/adapters/kube/managed-fields.ts'
import type { JsonObject } from '../../../src/core/json.ts'

describe('field sets', () => {
  const set = fc.letrec<{ set: JsonObject }>((tie) => ({
    set: fc.dictionary(
      fc.constantFrom('.', 'f:a', 'f:b', 'k:{"n":"x"}'),
      fc.oneof({ depthSize: 'small' }, fc.constant({}), tie('set')),
      {
        maxKeys: 3,
      },
    ),
  })).set

  test('a union includes both', () => {
    fc.assert(
      fc.property(set, set, (a, b) => {
        const both = unionFields(a, b)

        expect(includesFields(both, a) && includesFields(both, b)).toBe(true)
        expect(unionFields(both, b)).toEqual(both)
      }),
    )
  })

  test('a thing and what is in it are both kept', () => {
    expect(unionFields({ 'f:a': {} }, { 'f:a': { 'f:b': {} } })).toEqual({ 'f:a': { '.': {}, 'f:b': {} } })
    expect(unionFields({ 'f:a': { 'f:b': {} } }, { 'f:a': {} })).toEqual({ 'f:a': { '.': {}, 'f:b': {} } })
  })
})

describe('a takeover', () => {
  const entry = (
    manager: string,
    operation: string,
    fieldsV1: JsonObject,
    more: JsonObject = {},
  ): JsonObject => ({
    manager,
    operation,
    apiVersion: 'v1',
    fieldsType: 'FieldsV1',
    fieldsV1,
    ...more,
  })
  const ours = entry('fluxd', 'Apply', { 'f:data': { 'f:a': {} } })

  test('is not needed where nobody wrote by hand', () => {
    expect(planTakeover([ours, entry('kube-controller-manager', 'Update', {})])).toBeUndefined()
    expect(planTakeover(undefined)).toBeUndefined()
  })

  test('leaves updates of a subresource and other managers alone', () => {
    const status = entry('kubectl', 'Update', { 'f:status': {} }, { subresource: 'status' })
    const edit = entry('kubectl-edit', 'Update', { 'f:data': { 'f:z': {} } })

    expect(planTakeover([status, edit, ours])).toBeUndefined()
  })

  test('adds the fields that Git does not name, so that applying again removes them', () => {
    const theirs = entry('kubectl-client-side-apply', 'Update', { 'f:data': { '.': {}, 'f:gone': {} } })

    expect(planTakeover([theirs, ours])).toEqual({
      managedFields: [{ ...ours, fieldsV1: { 'f:data': { '.': {}, 'f:a': {}, 'f:gone': {} } } }],
      applyAgain: true,
    })
  })

  test('only drops the other owner where Git names every field', () => {
    const theirs = entry('kubectl', 'Update', { 'f:data': { '.': {}, 'f:a': {} } })

    expect(planTakeover([theirs, ours])).toEqual({ managedFields: [ours], applyAgain: false })
  })
})
