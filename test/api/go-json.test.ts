import fc from 'fast-check'
import { expect, test } from 'vitest'
import { goSyntaxError, scanJson } from '../../src/api/go-json.ts'

test.each([
  ['', 'unexpected end of JSON input'],
  [' ', 'unexpected end of JSON input'],
  ['{"a":', 'unexpected end of JSON input'],
  ['"abc', 'unexpected end of JSON input'],
  ['<html>', "invalid character '<' looking for beginning of value"],
  ["'a'", "invalid character '\\'' looking for beginning of value"],
  ['nope', "invalid character 'o' in literal null (expecting 'u')"],
  ['trux', "invalid character 'x' in literal true (expecting 'e')"],
  ['nul', 'unexpected end of JSON input'],
  ['{} x', "invalid character 'x' after top-level value"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b":2}', `invalid character '"' after object key:value pair`],
  ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
  ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
  ['[1 2]', "invalid character '2' after array element"],
  ['[1,]', "invalid character ']' looking for beginning of value"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
  ['"\\x"', "invalid character 'x' in string escape code"],
  ['"\\u12x4"', "invalid character 'x' in \\u hexadecimal character escape"],
  ['-x', "invalid character 'x' in numeric literal"],
  ['1.x', "invalid character 'x' after decimal point in numeric literal"],
  ['1ex', "invalid character 'x' in exponent of numeric literal"],
  ['01', "invalid character '1' after top-level value"],
])('says of %j: %s', (text, message) => {
  expect(() => JSON.parse(text)).toThrow()
  expect(goSyntaxError(text)).toBe(message)
})

test('finds something in all that is no JSON', () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.string({ maxLength: 2 }), (json, at, noise) => {
      const cut = at % (json.length + 1)
      const text = json.slice(0, cut) + noise + json.slice(cut + 1)
      try {
        JSON.parse(text)
      } catch {
        expect(goSyntaxError(text)).toMatch(/^(invalid character '.{1,2}' |unexpected end of JSON input$)/su)
      }
    }),
  )
})

test.each([
  ['', 'EOF'],
  [' \n', 'EOF'],
  ['{', 'unexpected EOF'],
  ['"abc', 'unexpected EOF'],
  ['nope', "invalid character 'o' in literal null (expecting 'u')"],
  ['[1 2]', "invalid character '2' after array element"],
])('says of %j what the decoder says', (text, fault) => {
  expect(scanJson(text)).toEqual({ end: 0, fault })
})

test('finds where the first value ends, whatever follows', () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom('', ' ', '\n{', ' true', ' x'), (json, rest) => {
      expect(scanJson(json + rest)).toEqual({ end: json.length })
    }),
  )
})
