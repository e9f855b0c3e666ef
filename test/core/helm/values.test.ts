import fc from 'fast-check'
import { expect, test } from 'vitest'
import { changedKeys, isSame, leafTexts, mergeValues, parseValues } from '../../../src/core/helm/values.ts'
import type { JsonObject } from '../../../src/core/json.ts'

test.each<[string, JsonObject, JsonObject, JsonObject]>([
  ['maps are merged', { a: { b: 1, c: 2 } }, { a: { b: 3 } }, { a: { b: 3, c: 2 } }],
  ['lists are replaced', { a: [1, 2] }, { a: [3] }, { a: [3] }],
  ['null is passed on', { a: { b: 1 } }, { a: null }, { a: null }],
  ['a map replaces a scalar', { a: 1 }, { a: { b: 2 } }, { a: { b: 2 } }],
  ['a scalar replaces a map', { a: { b: 2 } }, { a: 1 }, { a: 1 }],
  ['new keys are added', { a: 1 }, { b: { c: 2 } }, { a: 1, b: { c: 2 } }],
])('merging: %s', (_, base, over, expected) => {
  expect(mergeValues(base, over)).toEqual(expected)
})

const values = fc.dictionary(
  fc.constantFrom('a', 'b', 'c', '__proto__'),
  fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.integer(),
      fc.string(),
      fc.constant(null),
      fc.array(fc.integer(), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { maxKeys: 3 }),
    ),
  })).value,
  { maxKeys: 4 },
) as fc.Arbitrary<JsonObject>

test('merging changes neither side, keeps what only one says, and is done when done twice', () => {
  fc.assert(
    fc.property(values, values, (base, over) => {
      const before = structuredClone([base, over])

      const merged = mergeValues(base, over)

      expect([base, over]).toEqual(before)
      expect(mergeValues(merged, over)).toEqual(merged)
      expect(mergeValues({}, over)).toEqual(over)
      expect(mergeValues(base, {})).toEqual(base)
      expect(Object.keys(merged).sort()).toEqual(
        [...new Set([...Object.keys(base), ...Object.keys(over)])].sort(),
      )
    }),
  )
})

test('integers beyond 2^53 stay exact', () => {
  const read = parseValues('id: 9007199254740993\n', 'x')

  expect(read).toEqual({ id: 9007199254740993n })
  expect(isSame(read['id'], 9007199254740992)).toBe(false)
})

test.each([
  ['an empty source says nothing', '', {}],
  ['comments alone as well', '# nothing\n', {}],
  ['JSON is YAML', '{"a": {"b": [1]}}', { a: { b: [1] } }],
])('%s', (_, text, expected) => {
  expect(parseValues(text, 'x')).toEqual(expected)
})

test.each(['- a list', 'text', 'a: {', 'a: s3cret\nb: [s3cret\n', 'a: 1\n---\nb: 2\n'])(
  'what is no map is refused, and never quoted: %j',
  (text) => {
    expect(() => parseValues(text, 'values.yaml in Secret demo/auth')).toThrow(
      /^unable to yaml\.Unmarshal from values\.yaml in Secret demo\/auth: (?!.*s3cret)/,
    )
  },
)

test('what differs is told by keys', () => {
  const before = { image: { repository: 'app', tag: '1' }, list: [1], same: 1 }
  const after = { image: { repository: 'app', tag: '2' }, list: [2], same: 1, added: { deep: true } }

  expect(changedKeys(before, after)).toEqual(['image.tag', 'list', 'added'])
})

test('numbers are equal by value, and keys in any order', () => {
  expect(isSame({ a: 1, b: [2n] }, { b: [2], a: 1n })).toBe(true)
  expect(isSame({ a: 1 }, { a: '1' })).toBe(false)
  expect(isSame({ a: undefined } as unknown as JsonObject, {})).toBe(false)
})

test('the ends of values are told as texts', () => {
  expect(leafTexts({ a: ['x', 1], b: { c: 'y', d: null, e: true } })).toEqual(['x', '1', 'y'])
})
