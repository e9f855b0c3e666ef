import fc from 'fast-check'
import { expect, test } from 'vitest'
import { escapeLine, escapeText } from '../../../src/cli/output/text.ts'

test('keeps newlines and tabs of a text, and no other control or direction', () => {
  expect(escapeText('one\n\ttwo\r\u0007\u009b1m\u2066')).toBe('one\n\ttwo\\u000d\\u0007\\u009b1m\\u2066')
})

test('nothing that a terminal acts on comes through, and all else does', () => {
  const characters = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code))

  const changed = characters.filter((character) => escapeLine(character) !== character)

  expect(changed).toEqual(characters.filter((character) => /[\p{Cc}\p{Bidi_C}\u2028\u2029]/u.test(character)))
  expect(changed.map(escapeLine).join('')).toMatch(/^(\\u[\da-f]{4})+$/)
})

test('JSON means the same after it', () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      const line = JSON.stringify(JSON.parse(json))
      expect(JSON.parse(escapeLine(line))).toEqual(JSON.parse(line))
    }),
  )
})
