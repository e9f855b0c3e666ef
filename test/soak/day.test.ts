import { expect, test } from 'vitest'
import { liveOneDay } from './day.ts'

test('a day of polls, commits, scans and automation leaves the heap as it was in the morning', {
  timeout: 90_000,
}, async () => {
  const { heapBytes, syncs, automated } = await liveOneDay({
    hours: 24,
    stepMs: 15 * 60_000,
    changeEvery: 2,
    apps: 10,
    limitMs: 50_000, // on a busy machine the evening is left out
  })

  // the first hours load what is loaded when it is needed
  const [morning = 0, evening = 0] = [heapBytes[3], heapBytes.at(-1)]
  expect(heapBytes.length).toBeGreaterThan(6)
  expect(syncs).toBeGreaterThan(heapBytes.length)
  expect(automated).toBeGreaterThan(heapBytes.length / 2)
  expect((evening - morning) / 1024).toBeLessThan(1024)
})
