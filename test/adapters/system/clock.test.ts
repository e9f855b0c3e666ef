import { expect, test } from 'vitest'
import { systemClock } from '../../../src/adapters/system/clock.ts'

test('sleeps at least as long as it is told', async () => {
  const before = systemClock.monotonicMs()

  await systemClock.sleep(20)

  expect(systemClock.monotonicMs() - before).toBeGreaterThanOrEqual(19)
})

test('an aborted sleep ends with the reason of the abort', async () => {
  const stop = new AbortController()
  const sleep = systemClock.sleep(60_000, stop.signal)

  stop.abort(new Error('stopping'))

  await expect(sleep).rejects.toThrow('stopping')
  await expect(systemClock.sleep(60_000, stop.signal)).rejects.toThrow('stopping')
})

test('sleeps longer than a timer of Node can hold', async () => {
  const days30 = 30 * 24 * 3600 * 1000
  const stop = new AbortController()
  const sleep = systemClock.sleep(days30, stop.signal).then(() => 'over')

  const first = await Promise.race([sleep, systemClock.sleep(20).then(() => 'still asleep')])

  expect(first).toBe('still asleep')
  stop.abort()
  await expect(sleep).rejects.toThrow()
})
