import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cleanIdentityText, cleanMessage, maxMessageBytes } from '../../../src/core/git/text.ts'

test.each([
  { text: 'World User', clean: 'World User' },
  { text: 'a\nb\rc\0d', clean: 'abcd' },
  { text: 'Eve <eve@example.com>', clean: 'Eve eve@example.com' },
  { text: ' blanks ', clean: 'blanks' },
  { text: 'x> 0 +0000\ncommitter Eve <e@e', clean: 'x 0 +0000committer Eve e@e' },
])('a name $text becomes "$clean"', ({ text, clean }) => {
  expect(cleanIdentityText(text)).toBe(clean)
})

describe('a message', () => {
  test.each([
    { text: 'one line', clean: 'one line\n' },
    { text: 'a\r\nb\rc', clean: 'a\nb\nc\n' },
    { text: 'a\0b', clean: 'ab\n' },
    { text: '\n\na\n\n\n\nb  \t\n\n', clean: 'a\n\nb\n' },
    { text: '# no comment', clean: '# no comment\n' },
    { text: '', clean: '' },
    { text: ' \n ', clean: '' },
    { text: 'Release\n\n[ci skip]', clean: 'Release\n\n[ci skip]\n' },
  ])('$text becomes $clean', ({ text, clean }) => {
    expect(cleanMessage(text)).toBe(clean)
  })

  test('that is too long is cut, and says so', () => {
    const cut = cleanMessage('ü'.repeat(20_000))

    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(maxMessageBytes)
    expect(cut).toMatch(/^ü+\n\n\[cut: .*\]\n$/)
  })

  test('keeps its trailers when it is cut', () => {
    const cut = cleanMessage(`Subject\n\n${'long line\n'.repeat(3000)}\n\nFlux-Request-Id: 12345678\n`)

    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(maxMessageBytes)
    expect(cut).toMatch(/\nlong line\n\n\[cut: .*\]\n\nFlux-Request-Id: 12345678\n$/)
  })

  test('of a million blanks or line ends is tidied at once', () => {
    expect(cleanMessage(`a${' '.repeat(1e6)}b`).endsWith('longer than 16 KiB]\n')).toBe(true)
    expect(cleanMessage(`a${'\n'.repeat(1e6)}b${'\n\n'.repeat(1e5)}`)).toBe('a\n\nb\n')
  })

  test('cleaned twice is as cleaned once, and never too long', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.nat(200), (text, times) => {
        const once = cleanMessage(text.repeat(times + 1))

        expect(cleanMessage(once)).toBe(once)
        expect(Buffer.byteLength(once)).toBeLessThanOrEqual(maxMessageBytes)
        expect(once).not.toMatch(/[\0\r]/)
      }),
    )
  })
})
