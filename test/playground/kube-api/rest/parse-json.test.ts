import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseJson } from '../../../../src/playground/kube-api/rest/parse-json.ts'

test('what JSON prints, it reads', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      fc.pre(!/\d{16}/.test(text))
      expect(parseJson(text).value).toEqual(JSON.parse(text))
    }),
  )
})

test('integers keep every digit', () => {
  const { value } = parseJson('[9007199254740993, -9007199254740993, 9007199254740991, 1e3, 0.5]')

  expect(value).toEqual([9007199254740993n, -9007199254740993n, 9007199254740991, 1000, 0.5])
})

test('keys that come twice are told by their path, and the last value counts', () => {
  const { value, duplicates } = parseJson('{"a": 1, "a": 2, "b": [{"c": {"d": 1, "d": 2}}]}')

  expect(duplicates).toEqual(['a', 'b[0].c.d'])
  expect(value).toEqual({ a: 2, b: [{ c: { d: 2 } }] })
})

test('an object that comes twice is both', () => {
  const { value, duplicates } = parseJson('{"a": {"b": 1, "c": 1}, "a": {"c": 2}, "d": {}, "d": 1}')

  expect(duplicates).toEqual(['a', 'd'])
  expect(value).toEqual({ a: { b: 1, c: 2 }, d: 1 })
})

test('a key may be called anything', () => {
  const { value } = parseJson('{"__proto__": 1}')

  expect(Object.entries(value ?? {})).toEqual([['__proto__', 1]])
})

test.each([
  ['', 'unexpected end of JSON input'],
  ['{', 'unexpected end of JSON input'],
  ['a', "invalid character 'a' looking for beginning of value"],
  ['{a', "invalid character 'a' looking for beginning of object key string"],
  ['{"a" 1', "invalid character '1' after object key"],
  ['{"a": 1 "b"', `invalid character '"' after object key:value pair`],
  ['[1 2', "invalid character '2' after array element"],
  ['1 2', "invalid character '2' after top-level value"],
  ['nil', "invalid character 'i' in literal null (expecting 'u')"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
  ['"\\x"', "invalid character 'x' in string escape code"],
])('%j is refused in the words of Go', (text, message) => {
  expect(() => parseJson(text)).toThrow(message)
})
