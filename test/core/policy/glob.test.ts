import fc from 'fast-check'
import { expect, test } from 'vitest'
import { globMatches } from '../../../src/core/policy/glob.ts'

test.each([
  { pattern: '', matches: [''], misses: ['a'] },
  { pattern: '*', matches: ['', 'a', 'a\nb'], misses: [] },
  { pattern: 'latest', matches: ['latest'], misses: ['Latest', 'latest1', 'alatest', ''] },
  { pattern: 'master-*', matches: ['master-', 'master-foo'], misses: ['', 'foo-master', 'master'] },
  { pattern: '*-rc', matches: ['-rc', '1-rc', '-rc-rc'], misses: ['rc', '1-rc1'] },
  { pattern: 'a*a', matches: ['aa', 'aba', 'aaa'], misses: ['a', 'ab'] },
  { pattern: 'a*b*c', matches: ['abc', 'axbxc', 'abbcc'], misses: ['acb', 'ab', 'abcd'] },
  { pattern: '**', matches: ['', 'x'], misses: [] },
  { pattern: 'v?.[1]', matches: ['v?.[1]'], misses: ['v1.1'] },
])('$pattern', ({ pattern, matches, misses }) => {
  expect(matches.filter((text) => !globMatches(pattern, text))).toEqual([])
  expect(misses.filter((text) => globMatches(pattern, text))).toEqual([])
})

test('agrees with a regular expression', () => {
  const word = fc.stringMatching(/^[ab*]{0,8}$/)
  fc.assert(
    fc.property(word, fc.stringMatching(/^[ab]{0,10}$/), (pattern, text) => {
      const expression = new RegExp(`^${pattern.replaceAll('*', '[ab]*')}$`)

      expect(globMatches(pattern, text)).toBe(expression.test(text))
    }),
  )
})
