import { expect, test } from 'vitest'
import { pickTimeLabels, readLabelTime } from '../../../src/core/image/info.ts'

const created = 'org.opencontainers.image.created'
const buildDate = 'org.label-schema.build-date'

test('keeps only the labels that tell a time', () => {
  expect(pickTimeLabels({ maintainer: 'x', [created]: 'a', [buildDate]: 7 })).toEqual({ [created]: 'a' })
})

test.each([
  { labels: {}, time: undefined, unreadable: [] },
  { labels: { [buildDate]: '2020-01-02T00:00:00Z' }, time: '2020-01-02T00:00:00Z', unreadable: [] },
  {
    labels: { [buildDate]: '2020-01-02T00:00:00Z', [created]: '2020-01-03T00:00:00Z' },
    time: '2020-01-03T00:00:00Z',
    unreadable: [],
  },
  {
    labels: { [buildDate]: '2020-01-02T00:00:00Z', [created]: '20190523' },
    time: '2020-01-02T00:00:00Z',
    unreadable: [created],
  },
  {
    labels: { [buildDate]: '20190523', [created]: '20190523' },
    time: undefined,
    unreadable: [created, buildDate],
  },
])('reads the time of $labels', ({ labels, time, unreadable }) => {
  const read = readLabelTime(labels)

  expect(read.time?.text).toBe(time)
  expect(read.unreadable).toEqual(unreadable)
})
