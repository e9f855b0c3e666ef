import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { includesFields, planTakeover, unionFields } from '../../../src/adapters/kube/managed-fields.ts'
import { lastAppliedAnnotation, lastAppliedOf, toAppliedObject } from '../../../src/adapters/kube/manifest.ts'
import { planThreeWayMerge } from '../../../src/adapters/kube/three-way-merge.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../../src/core/json.ts'

describe('what is applied', () => {
  test('has neither status nor what only the server writes', () => {
    const applied = toAppliedObject({
      kind: 'ConfigMap',
      metadata: { name: 'a', uid: 'u', labels: { x: 'y' }, selfLink: '/a' },
      status: { ready: true },
    })

    expect(applied).toEqual({
      kind: 'ConfigMap',
      metadata: {
        name: 'a',
        labels: { x: 'y' },
        annotations: { [lastAppliedAnnotation]: expect.any(String) },
      },
    })
    expect(lastAppliedOf(applied)).toEqual({
      kind: 'ConfigMap',
      metadata: { name: 'a', labels: { x: 'y' }, annotations: {} },
    })
  })

  test('does not write down an older annotation inside the new one', () => {
    const old = {
      metadata: { name: 'a', annotations: { [lastAppliedAnnotation]: '{"old":true}', kept: '1' } },
    }

    const applied = toAppliedObject(old)

    expect(lastAppliedOf(applied)).toEqual({ metadata: { name: 'a', annotations: { kept: '1' } } })
  })

  test('leaves the manifest as it was', () => {
    const manifest = { metadata: { name: 'a', uid: 'u' }, status: {} }

    toAppliedObject(manifest)

    expect(manifest).toEqual({ metadata: { name: 'a', uid: 'u' }, status: {} })
  })
})

describe('a three-way merge', () => {
  const json = fc.letrec<{ value: JsonValue; object: JsonObject }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.array(tie('value'), { maxLength: 3 }),
      tie('object'),
    ),
    object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), tie('value')),
  })).object

  test('makes everything as wanted, and once made there is nothing left to do', () => {
    fc.assert(
      fc.property(json, json, json, (before, wanted, live) => {
        const after = mergePatch(live, planThreeWayMerge(before, wanted, live)) as JsonObject

        expect(mergePatch(after, wanted)).toEqual(after)
        expect(planThreeWayMerge(wanted, wanted, after)).toEqual({})
      }),
    )
  })

  test('removes what was applied and is not wanted, and nothing else', () => {
    const before = { data: { old: '1', kept: '1' }, gone: { x: 1 } }
    const wanted = { data: { kept: '2', list: [{ a: 1 }] } }
    const live = {
      data: { old: '1', kept: '1', foreign: 'x', list: [{ a: 1, defaulted: true }] },
      gone: { x: 1 },
    }

    expect(planThreeWayMerge(before, wanted, live)).toEqual({
      data: { old: null, kept: '2', list: [{ a: 1 }] },
      gone: null,
    })
  })

  test('with null wanted removes', () => {
    expect(planThreeWayMerge({}, { a: null, b: null }, { a: 1 })).toEqual({ a: null })
  })
})

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

/** RFC 7386, as its pseudo code has it. */
function mergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (!isJsonObject(patch)) return patch
  const result: JsonObject = isJsonObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = mergePatch(result[key], value)
  }
  return result
}
