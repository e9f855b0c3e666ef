import { getHeapStatistics } from 'node:v8'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keepHeapSmall } from '../../../src/adapters/system/memory.ts'

beforeEach(() => vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
afterEach(() => vi.useRealTimers())

test('what was used once and is not any more is given back within a minute', () => {
  const stop = new AbortController()
  keepHeapSmall(stop.signal)
  vi.advanceTimersByTime(60_000)
  const before = getHeapStatistics().total_heap_size
  let ballast: object[] | undefined = Array.from({ length: 4_000_000 }, (_, index) => ({ index }))
  const full = getHeapStatistics().total_heap_size
  expect(ballast.length).toBe(4_000_000)

  ballast = undefined
  vi.advanceTimersByTime(60_000)
  const after = getHeapStatistics().total_heap_size
  stop.abort()

  expect(full - before).toBeGreaterThan(32 * 1024 * 1024)
  expect(after).toBeLessThan(before + (full - before) / 2)
})
