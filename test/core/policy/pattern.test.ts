import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ImageInfo } from '../../../src/core/image/info.ts'
import { matchAllTags, maxPatternBytes, parsePattern } from '../../../src/core/policy/pattern.ts'

const tags = [
  '',
  '1',
  'v1',
  '1.2',
  '1.3.5',
  'v1.0.3',
  '2.0.0',
  '1.0.0-rc.1',
  '1.0.1-beta',
  'latest',
  'master-a',
  '01.2.3',
]
const oneDotX = ['1', 'v1', '1.2', '1.3.5', 'v1.0.3', '01.2.3']
const releases = ['1', 'v1', '1.2', '1.3.5', 'v1.0.3', '2.0.0', '01.2.3']

test.each([
  { pattern: 'semver:*', matches: releases },
  { pattern: 'semver:~1', matches: oneDotX },
  { pattern: 'semver:^1.0', matches: oneDotX },
  { pattern: 'semver:1.x', matches: oneDotX },
  { pattern: 'semver:>=1.0, <2', matches: oneDotX },
  { pattern: 'semver:>=1.0.0 <2.0.0', matches: oneDotX },
  { pattern: 'semver:~1.3', matches: ['1.3.5'] },
  { pattern: 'semver:>= 1.0.0-rc.0, <1.0.1', matches: ['1', 'v1'] },
  { pattern: 'semver:1 - 2', matches: releases },
  { pattern: '1.*', matches: ['1.2', '1.3.5', '1.0.0-rc.1', '1.0.1-beta'] },
  { pattern: 'regex:^\\d+$', matches: ['1'] },
  { pattern: 'regexp:^v', matches: ['v1', 'v1.0.3'] },
  { pattern: 'glob:', matches: [''] },
  { pattern: 'semver:', matches: [] },
  { pattern: 'semver:bogus', matches: [] },
  { pattern: 'regexp:(', matches: [] },
  { pattern: 'regexp:(?=a)', matches: [] },
])('$pattern matches $matches', ({ pattern, matches }) => {
  expect(tags.filter(parsePattern(pattern).matches)).toEqual(matches)
})

test.each([
  { pattern: 'semver:*', matches: ['1', '1.0', 'v1.0.3'], misses: ['', 'latest', '2.0.1-alpha.1'] },
  { pattern: 'semver:2.0.1-alpha.1', matches: ['2.0.1-alpha.1'], misses: ['2.0.1'] },
  { pattern: 'regex:^\\w{7}(?:\\w)?$', matches: ['af14eb2', 'bb73ed94'], misses: ['946427ff-foo'] },
  { pattern: 'regexp:rc', matches: ['1-rc.1'], misses: ['1'] },
])('$pattern takes $matches and leaves $misses', ({ pattern, matches, misses }) => {
  expect([...matches, ...misses].filter(parsePattern(pattern).matches)).toEqual(matches)
})

test.each([
  { text: 'master-*', shown: 'glob:master-*', kind: 'glob' },
  { text: 'glob:*', shown: 'glob:*', kind: 'glob' },
  { text: 'latest', shown: 'glob:latest', kind: 'glob' },
  { text: 'regex:a', shown: 'regexp:a', kind: 'regexp' },
  { text: 'regexp:a', shown: 'regexp:a', kind: 'regexp' },
  { text: 'semver:~1', shown: 'semver:~1', kind: 'semver' },
  { text: 'Semver:~1', shown: 'glob:Semver:~1', kind: 'glob' },
  { text: '', shown: 'glob:', kind: 'glob' },
  { text: 'regexp:a\nb', shown: 'regexp:a\nb', kind: 'regexp' },
])('reads $text as $shown', ({ text, shown, kind }) => {
  const pattern = parsePattern(text)

  expect(pattern).toMatchObject({ text: shown, kind, needsTimestamps: kind !== 'semver' })
  expect(pattern.fault).toBeUndefined()
  expect(parsePattern(pattern.text).text).toBe(pattern.text)
})

test.each([
  { text: 'semver:', fault: /improper constraint: $/ },
  { text: 'semver:bogus', fault: /improper constraint: bogus/ },
  { text: 'regexp:*', fault: /missing argument to repetition operator/ },
  { text: 'regexp:(a{1000}){1000}', fault: /invalid repeat count/ },
  { text: `regexp:${'\\p{L}{500}'.repeat(50)}`, fault: /expression is too large/ },
  { text: `glob:${'x'.repeat(maxPatternBytes)}`, fault: /at most 1024 bytes/ },
])('says why $text is invalid', ({ text, fault }) => {
  expect(parsePattern(text).fault).toMatch(fault)
})

test('a pattern of exactly the greatest length is fine', () => {
  const tag = 'x'.repeat(maxPatternBytes)

  expect(parsePattern(tag).matches(tag)).toBe(true)
  expect(parsePattern(`${tag}x`).matches(`${tag}x`)).toBe(false)
})

test('regular expressions take linear time', () => {
  const pattern = parsePattern('regexp:^(a+)+$')
  const before = performance.now()

  expect(pattern.matches(`${'a'.repeat(127)}!`)).toBe(false)

  expect(performance.now() - before).toBeLessThan(1000)
})

function image(tag: string, createdAt?: Date): ImageInfo {
  return { ref: { repository: 'app', tag }, labels: {}, ...(createdAt && { createdAt }) }
}

const sorted = (pattern: string, images: ImageInfo[]) =>
  images.toSorted(parsePattern(pattern).compare).map(({ ref }) => ref.tag)

test('orders by version, the highest first, equal ones and strangers by name', () => {
  const expected = [
    '3',
    'v1.10.0',
    '1.10.0+build',
    '1.10.0',
    '1.10',
    '1.10.0-rc1',
    '1.2.30',
    'v1',
    'aaa',
    'bbb',
  ]

  const shuffled = [
    'aaa',
    '1.10',
    'v1',
    '3',
    '1.10.0+build',
    'bbb',
    '1.2.30',
    '1.10.0',
    '1.10.0-rc1',
    'v1.10.0',
  ]

  expect(
    sorted(
      'semver:*',
      shuffled.map((tag) => image(tag)),
    ),
  ).toEqual(expected)
})

test('globs and regular expressions order by time', () => {
  const images = [image('1', new Date(1000)), image('3'), image('2', new Date(2000))]

  expect(sorted('*', images)).toEqual(['2', '1', '3'])
  expect(sorted('regexp:.', images)).toEqual(['2', '1', '3'])
})

test('everything fits what matches all', () => {
  expect(matchAllTags.text).toBe('glob:*')
  fc.assert(fc.property(fc.string(), (tag) => matchAllTags.matches(tag)))
})

test('each order is total', () => {
  const someTags = fc.constantFrom('1', '1.0', '1.0.0', 'v1', '1.0.0+a', '1.0.0-rc', '2', 'a', 'b', '')
  const images = fc
    .tuple(someTags, fc.constantFrom(undefined, new Date(0), new Date(1)))
    .map(([tag, createdAt]) => image(tag, createdAt))
  fc.assert(
    fc.property(fc.constantFrom('semver:*', '*'), images, images, images, (pattern, a, b, c) => {
      const { compare } = parsePattern(pattern)

      expect(Math.sign(compare(a, b)) + Math.sign(compare(b, a))).toBe(0)
      if (compare(a, b) <= 0 && compare(b, c) <= 0) expect(compare(a, c)).toBeLessThanOrEqual(0)
    }),
  )
})
