import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { planThreeWayMerge } from '../../../src/adapters/kube/three-way-merge.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../../src/core/json.ts'

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
