import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ImageInfo } from '../../../src/core/image/info.ts'
import { newestFirst } from '../../../src/core/image/order.ts'
import { parseTimestamp } from '../../../src/core/image/timestamp.ts'

function image(tag: string, created?: string): ImageInfo {
  const at = created === undefined ? undefined : parseTimestamp(created)
  return {
    ref: { repository: 'app', tag },
    labels: {},
    ...(at && { createdAt: at.date, createdAtText: at.text }),
  }
}

const tagsOf = (images: ImageInfo[]) => images.map(({ ref }) => ref.tag)

test('puts the newest first, equal times by name, and what has no time last by name', () => {
  const images = [
    image('5'),
    image('3', '2020-01-01T00:00:09Z'),
    image('2', '2020-01-01T00:00:10Z'),
    image('4'),
    image('1', '2020-01-01T00:00:10Z'),
    image('0', '2020-01-01T00:00:11Z'),
  ]

  expect(tagsOf(images.toSorted(newestFirst))).toEqual(['0', '1', '2', '3', '4', '5'])
})

test('tells apart what was made within one millisecond', () => {
  const images = [image('a', '2020-01-01T00:00:10.123456Z'), image('b', '2020-01-01T00:00:10.123457Z')]

  expect(tagsOf(images.toSorted(newestFirst))).toEqual(['b', 'a'])
})

test('is a total order', () => {
  const times = fc.constantFrom(
    undefined,
    '2020-01-01T00:00:10Z',
    '2020-01-01T00:00:10.0001Z',
    '2020-01-01T00:00:11Z',
    '1970-01-01T00:00:00Z',
  )
  const images = fc.tuple(fc.constantFrom('a', 'b', 'c', '1'), times).map(([tag, time]) => image(tag, time))
  fc.assert(
    fc.property(images, images, images, (a, b, c) => {
      expect(Math.sign(newestFirst(a, b)) + Math.sign(newestFirst(b, a))).toBe(0)
      if (newestFirst(a, b) <= 0 && newestFirst(b, c) <= 0) expect(newestFirst(a, c)).toBeLessThanOrEqual(0)
    }),
  )
})
