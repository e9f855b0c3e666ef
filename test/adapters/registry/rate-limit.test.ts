import { expect, test } from 'vitest'
import { HostPace, readRetryAfter } from '../../../src/adapters/registry/rate-limit.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import type { Log, LogFields } from '../../../src/ports/log.ts'

function world(options: { requestsPerSecond?: number; burst?: number } = {}) {
  const time = { nowMs: 0 }
  const waits: number[] = []
  const entries: LogFields[] = []
  const clock: Clock = {
    now: () => new Date(time.nowMs),
    monotonicMs: () => time.nowMs,
    async sleep(durationMs) {
      waits.push(Math.round(durationMs))
    },
  }
  const log: Log = { write: (fields) => void entries.push(fields), with: () => log }
  const pace = new HostPace('r.io', {
    requestsPerSecond: options.requestsPerSecond ?? 10,
    burst: options.burst ?? 2,
    maxWaitMs: 1000,
    clock,
    log,
  })
  return { time, waits, entries, pace }
}

test('lets a burst through, then keeps the rate', async () => {
  const { pace, waits } = world()

  for (let i = 0; i < 5; i++) await pace.wait()

  expect(waits).toEqual([100, 200, 300])
})

test('fills up again while nothing is asked, to the burst and no further', async () => {
  const { pace, time, waits } = world()
  for (let i = 0; i < 2; i++) await pace.wait()

  time.nowMs = 60_000
  for (let i = 0; i < 3; i++) await pace.wait()

  expect(waits).toEqual([100])
})

test('refuses at once what would have to wait too long', async () => {
  const { pace } = world({ requestsPerSecond: 1, burst: 1 })
  await pace.wait()
  await pace.wait()

  await expect(pace.wait()).rejects.toMatchObject({ code: 'REGISTRY_RATE_LIMITED' })
})

test('halves the rate at a complaint, once for all requests that were under way', async () => {
  const { pace, time, waits, entries } = world({ burst: 1 })
  await pace.wait()
  time.nowMs = 50

  pace.slowDown(0, 0)
  pace.slowDown(10, 0)
  pace.slowDown(50, 0)
  time.nowMs = 1050
  for (let i = 0; i < 2; i++) await pace.wait()

  expect(entries).toEqual([{ info: 'reducing rate limit', host: 'r.io', limit: '5.00' }])
  expect(waits).toEqual([200])
})

test('never goes below one request in ten seconds', () => {
  const { pace, time, entries } = world()

  for (let i = 0; i < 20; i++) {
    time.nowMs += 10
    pace.slowDown(time.nowMs, 0)
  }

  expect(entries.at(-1)).toMatchObject({ limit: '0.10' })
})

test('pauses for as long as the host asks', async () => {
  const { pace, time, waits } = world()

  pace.slowDown(0, 800)
  await pace.wait()
  time.nowMs = 800
  await pace.wait()

  expect(waits).toEqual([800])
})

test('refuses while a longer pause lasts', async () => {
  const { pace, time } = world()
  pace.slowDown(0, 30_000)

  await expect(pace.wait()).rejects.toMatchObject({ code: 'REGISTRY_RATE_LIMITED' })

  time.nowMs = 29_500
  await pace.wait()
})

test('recovers by half after twenty quiet minutes, up to where it began', () => {
  const { pace, time, entries } = world()
  pace.slowDown(0, 0)
  entries.length = 0

  pace.recover()
  time.nowMs = 20 * 60_000
  pace.recover()
  pace.recover()
  pace.recover()

  expect(entries.map(({ info, limit }) => `${info} ${limit}`)).toEqual([
    'increasing rate limit 7.50',
    'increasing rate limit 10.00',
  ])
})

test.each([
  [undefined, undefined],
  ['0', 0],
  ['7', 7000],
  ['Thu, 01 Jan 1970 00:00:10 GMT', 10_000],
  ['Wed, 31 Dec 1969 00:00:00 GMT', 0],
  ['soon', undefined],
])('Retry-After: %s is %s ms', (header, ms) => {
  expect(readRetryAfter(header, new Date(0))).toBe(ms)
})
