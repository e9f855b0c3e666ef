import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ImageInfo } from '../../../src/core/image/info.ts'
import { bestImage, filterImages, isCandidate, sortImages } from '../../../src/core/policy/choose.ts'
import { parsePattern } from '../../../src/core/policy/pattern.ts'

const images = (...tags: string[]): ImageInfo[] =>
  tags.map((tag) => ({ ref: { repository: 'flux', ...(tag && { tag }) }, labels: {} }))

const tagsOf = (list: ImageInfo[]) => list.map(({ ref }) => ref.tag ?? '')

test.each([
  { pattern: 'latest', tags: ['latest', 'v0'], chosen: ['latest'] },
  { pattern: 'glob:latest', tags: ['latest', 'Latest'], chosen: ['latest'] },
  { pattern: '*', tags: ['latest', 'v0'], chosen: ['v0'] },
  { pattern: '*', tags: ['LATEST', 'latest-1'], chosen: ['latest-1'] },
  { pattern: 'regexp:^latest$', tags: ['latest'], chosen: [] },
  { pattern: 'semver:*', tags: ['latest', 'v0.0.1', '1.0.0'], chosen: ['1.0.0', 'v0.0.1'] },
  { pattern: 'semver:~1', tags: ['latest', 'v0.0.1', '1.0.0'], chosen: ['1.0.0'] },
  { pattern: 'semver:*', tags: ['1.0.0', '1.2.3', '0.9.0', ''], chosen: ['1.2.3', '1.0.0', '0.9.0'] },
  { pattern: 'semver:nonsense', tags: ['1.0.0', 'v0'], chosen: [] },
])('$pattern leaves $chosen of $tags', ({ pattern, tags, chosen }) => {
  expect(tagsOf(filterImages(images(...tags), parsePattern(pattern)))).toEqual(chosen)
})

test('sorts without leaving anything out', () => {
  expect(
    tagsOf(sortImages(images('', '1.0.0', 'latest', '1.2.3', '0.9.0'), parsePattern('semver:~1'))),
  ).toEqual(['1.2.3', '1.0.0', '0.9.0', '', 'latest'])
})

test('the chosen tag matches its pattern in whatever order the tags come', () => {
  const tags = fc.uniqueArray(
    fc.constantFrom('1', '1.0.0', '1.2', '1.2.3', '2.0.0-rc.1', 'v1.2', 'latest', 'main-1', 'main-2', '0.1'),
  )
  const patterns = fc.constantFrom(
    'semver:*',
    'semver:~1',
    'main-*',
    '*',
    'regexp:^v?1',
    'latest',
    'semver:?',
  )
  fc.assert(
    fc.property(tags, patterns, fc.nat(), (list, text, seed) => {
      const pattern = parsePattern(text)
      const dated = list.map((tag) => ({
        ref: { repository: 'a', tag },
        labels: {},
        createdAt: new Date(tag.length * 1000),
      }))
      const turned = [
        ...dated.slice(seed % (list.length || 1)),
        ...dated.slice(0, seed % (list.length || 1)),
      ].reverse()

      const [best, ...rest] = filterImages(dated, pattern)

      expect(filterImages(turned, pattern)).toEqual(best ? [best, ...rest] : [])
      if (best) expect(isCandidate(best.ref.tag ?? '', pattern)).toBe(true)
      for (const other of rest) if (best) expect(pattern.compare(best, other)).toBeLessThan(0)
    }),
  )
})

test('the best image is the first in order', () => {
  const some = fc.array(
    fc.record({
      ref: fc.record({
        repository: fc.constant('flux'),
        tag: fc.constantFrom(
          '1',
          '1.0.0',
          '1.2',
          '1.2.3',
          '2.0.0-rc.1',
          'v1.2',
          'latest',
          'main-1',
          'main-2',
        ),
      }),
      labels: fc.constant({}),
      createdAt: fc.constantFrom(new Date(0), new Date('2024-01-01'), new Date('2024-02-01')),
    }),
  )
  fc.assert(
    fc.property(some, fc.constantFrom('semver:*', 'glob:*'), (known, text) => {
      const pattern = parsePattern(text)

      expect(bestImage(known, pattern)).toEqual(sortImages(known, pattern)[0])
    }),
  )
})
