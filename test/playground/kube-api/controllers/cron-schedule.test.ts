import { expect, test } from 'vitest'
import { parseSchedule } from '../../../../src/playground/kube-api/controllers/cron-schedule.ts'

test.each([
  { schedule: '* * * * *', after: '2026-03-01T10:00:30Z', next: '2026-03-01T10:01:00Z' },
  { schedule: '* * * * *', after: '2026-03-01T10:00:00Z', next: '2026-03-01T10:01:00Z' },
  { schedule: '*/15 * * * *', after: '2026-03-01T10:46:00Z', next: '2026-03-01T11:00:00Z' },
  { schedule: '30 2 * * *', after: '2026-03-01T10:00:00Z', next: '2026-03-02T02:30:00Z' },
  { schedule: '0 0 1 1 *', after: '2026-03-01T10:00:00Z', next: '2027-01-01T00:00:00Z' },
  { schedule: '0 9-17/4 * * mon-fri', after: '2026-03-06T17:00:00Z', next: '2026-03-09T09:00:00Z' },
  { schedule: '0 0 13 * fri', after: '2026-03-01T00:00:00Z', next: '2026-03-06T00:00:00Z' },
  { schedule: '0 0 29 feb *', after: '2026-03-01T00:00:00Z', next: '2028-02-29T00:00:00Z' },
  { schedule: '0 0 * * 7', after: '2026-03-02T00:00:00Z', next: '2026-03-08T00:00:00Z' },
  { schedule: '5,10 1 * * *', after: '2026-03-01T01:05:00Z', next: '2026-03-01T01:10:00Z' },
  { schedule: '@hourly', after: '2026-03-01T10:00:30Z', next: '2026-03-01T11:00:00Z' },
  { schedule: '@weekly', after: '2026-03-02T00:00:00Z', next: '2026-03-08T00:00:00Z' },
])('$schedule after $after', ({ schedule, after, next }) => {
  const time = parseSchedule(schedule)?.next(Date.parse(after))

  expect(time && new Date(time).toISOString()).toBe(next.replace('Z', '.000Z'))
})

test.each([
  { timeZone: 'Europe/Berlin', next: '2026-06-01T07:00:00.000Z' },
  { timeZone: 'Asia/Kolkata', next: '2026-06-01T03:30:00.000Z' },
  { timeZone: 'Etc/UTC', next: '2026-06-01T09:00:00.000Z' },
])('nine o’clock in $timeZone', ({ timeZone, next }) => {
  const time = parseSchedule('0 9 * * *', timeZone)?.next(Date.parse('2026-06-01T00:00:00Z'))

  expect(time && new Date(time).toISOString()).toBe(next)
})

test('a time that the clock leaves out in spring is passed over', () => {
  const time = parseSchedule('30 2 29 3 *', 'Europe/Berlin')?.next(Date.parse('2026-03-01T00:00:00Z'))

  expect(time && new Date(time).toISOString()).toBe('2027-03-29T00:30:00.000Z')
})

test.each([
  '',
  '* * * *',
  '60 * * * *',
  '* * 0 * *',
  '*/0 * * * *',
  '5-1 * * * *',
  'x * * * *',
  '@never',
  '@every 1h',
])('%j is no schedule', (text) => {
  expect(parseSchedule(text)).toBeUndefined()
})

test('a day that never comes is not looked for without end', () => {
  expect(parseSchedule('0 0 30 feb *')?.next(0)).toBeUndefined()
  expect(parseSchedule('0 0 * * *', 'Mars/Olympus')).toBeUndefined()
})
