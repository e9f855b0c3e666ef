import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatJson, type JsonValue, parseJson } from '../../src/core/json.ts'

test.each<[string, JsonValue]>([
  ['9007199254740993', 9007199254740993n],
  ['[-9223372036854775808, 1]', [-9223372036854775808n, 1]],
  ['{"a": {"b": 18446744073709551615}}', { a: { b: 18446744073709551615n } }],
  [
    '{"text": "9007199254740993", "q": "\\"9007199254740993"}',
    { text: '9007199254740993', q: '"9007199254740993' },
  ],
  ['1234567890123456', 1234567890123456],
  ['12345678901234567.5', Number('12345678901234567.5')],
  ['12345678901234567e2', Number('12345678901234567e2')],
])('reads %s', (text, value) => {
  expect(parseJson(text)).toEqual(value)
})

test('what is no JSON stays none', () => {
  for (const text of ['9007199254740993n', '{"a": 09007199254740993}', '{9007199254740993: 1}']) {
    expect(() => parseJson(text)).toThrow(SyntaxError)
  }
})

test('what it prints, it reads back', () => {
  const scalar = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.boolean(),
    fc.constant(null),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n }),
  )
  const list = fc.array(scalar, { maxLength: 3 })
  const value: fc.Arbitrary<JsonValue> = fc.oneof(
    scalar,
    list,
    fc.dictionary(fc.string({ maxLength: 4 }), fc.oneof(scalar, list), { maxKeys: 3, noNullPrototype: true }),
  )
  fc.assert(
    fc.property(value, (value) => {
      expect(parseJson(formatJson(value))).toEqual(value)
    }),
    { numRuns: 50 },
  )
})
