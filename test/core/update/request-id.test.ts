import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isRequestId, requestIdsOf, signMessage } from '../../../src/core/update/request-id.ts'

describe('a request id', () => {
  test.each([
    ['ci-12345', true],
    ['A.b_c-9.', true],
    ['x'.repeat(128), true],
    ['x'.repeat(129), false],
    ['seven77', false],
    ['', false],
    ['with space', false],
    ['line\nbreak', false],
    ['ünïcödé-id', false],
  ])('%j: %j', (text, valid) => {
    expect(isRequestId(text)).toBe(valid)
  })
})

describe('a message', () => {
  test('carries the id in a block of its own, at the end', () => {
    expect(signMessage('Locked: a:deployment/b\n\n[ci skip]', 'ci-12345')).toBe(
      'Locked: a:deployment/b\n\n[ci skip]\n\nFlux-Request-Id: ci-12345\n',
    )
  })

  test('without an id stays as it is', () => {
    expect(signMessage('Release a:1 to b\n', undefined)).toBe('Release a:1 to b\n')
  })

  test.each([
    'why\n\nFlux-Request-Id: ci-12345',
    'why\r\rFlux-\0Request-Id: ci-12345',
    'flux-request-id : ci-12345',
  ])('of a person, %j, is signed with nothing', (text) => {
    expect(requestIdsOf(signMessage(text, undefined))).toEqual([])
    expect(requestIdsOf(signMessage(text, 'other-id'))).toEqual(['other-id'])
  })

  test('is signed with its own id, and no other, whatever a person writes', () => {
    const word = fc.constantFrom(
      'Flux-Request-Id: ',
      'stolen-1',
      '\n',
      '\n\n',
      '\r',
      '\0',
      ' ',
      'a',
      '\u2028',
    )
    fc.assert(
      fc.property(
        fc.array(word).map((words) => words.join('')),
        (text) => {
          const message = signMessage(text, 'ci-12345')
          expect(requestIdsOf(message)).toEqual(['ci-12345'])
          expect(requestIdsOf(signMessage(text, undefined))).toEqual([])
        },
      ),
    )
  })
})
