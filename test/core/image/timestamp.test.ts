import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseTimestamp, subMillisecondNs } from '../../../src/core/image/timestamp.ts'

test.each([
  { text: '2024-03-20T09:45:10Z', iso: '2024-03-20T09:45:10.000Z', shown: '2024-03-20T09:45:10Z' },
  {
    text: '2024-01-07T12:00:00.123456789Z',
    iso: '2024-01-07T12:00:00.123Z',
    shown: '2024-01-07T12:00:00.123456789Z',
  },
  { text: '2024-01-07T12:00:00.120Z', iso: '2024-01-07T12:00:00.120Z', shown: '2024-01-07T12:00:00.12Z' },
  { text: '2024-01-07T12:00:00.000Z', iso: '2024-01-07T12:00:00.000Z', shown: '2024-01-07T12:00:00Z' },
  { text: '2024-01-07T12:00:00+02:00', iso: '2024-01-07T10:00:00.000Z', shown: '2024-01-07T12:00:00+02:00' },
  { text: '2024-01-07T23:30:00-01:30', iso: '2024-01-08T01:00:00.000Z', shown: '2024-01-07T23:30:00-01:30' },
  { text: '2024-01-07T12:00:00+00:00', iso: '2024-01-07T12:00:00.000Z', shown: '2024-01-07T12:00:00Z' },
  { text: '1970-01-01T00:00:00Z', iso: '1970-01-01T00:00:00.000Z', shown: '1970-01-01T00:00:00Z' },
  { text: '0099-12-31T00:00:00Z', iso: '0099-12-31T00:00:00.000Z', shown: '0099-12-31T00:00:00Z' },
])('reads $text', ({ text, iso, shown }) => {
  const timestamp = parseTimestamp(text)

  expect(timestamp?.date.toISOString()).toBe(iso)
  expect(timestamp?.text).toBe(shown)
})

test.each([
  '',
  '20190523',
  '2024-01-07',
  '2024-01-07 12:00:00Z',
  '2024-01-07T12:00:00',
  '2024-02-30T00:00:00Z',
  '2024-13-01T00:00:00Z',
  '2024-01-07T24:00:00Z',
  '2024-01-07T12:60:00Z',
  '2024-01-07t12:00:00z',
  '0001-01-01T00:00:00Z',
])('takes %s for no time', (text) => {
  expect(parseTimestamp(text)).toBeUndefined()
})

test('knows the nanoseconds below a millisecond', () => {
  expect(subMillisecondNs('2024-01-07T12:00:00.123456789Z')).toBe(456_789)
  expect(subMillisecondNs('2024-01-07T12:00:00.1234Z')).toBe(400_000)
  expect(subMillisecondNs('2024-01-07T12:00:00Z')).toBe(0)
})

test('its own text reads as the same time', () => {
  const dates = fc.date({
    min: new Date('0002-01-01T00:00:00Z'),
    max: new Date('9998-01-01T00:00:00Z'),
    noInvalidDate: true,
  })
  fc.assert(
    fc.property(dates, (date) => {
      const once = parseTimestamp(date.toISOString())

      expect(once?.date).toEqual(date)
      expect(parseTimestamp(once?.text ?? '')).toEqual(once)
    }),
  )
})
