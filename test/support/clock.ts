import type { Clock } from '../../src/ports/clock.ts'

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** Move on, waking sleepers in order; what they start runs before this resolves. */
  advance(durationMs: number): Promise<void>
  /** durations of the sleeps that go on now, from the shortest left */
  readonly sleeping: number[]
}

export function manualClock(start = new Date('2026-01-01T00:00:00Z')): ManualClock {
  let nowMs = 0
  const sleepers = new Set<{ untilMs: number; wake: () => void }>()
  /** let everything run that waits for promises only */
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

  return {
    now: () => new Date(start.getTime() + nowMs),
    monotonicMs: () => nowMs,
    sleep: (durationMs, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const leave = () => {
          if (sleepers.delete(sleeper)) reject(signal?.reason)
        }
        const wake = () => {
          signal?.removeEventListener('abort', leave)
          resolve()
        }
        const sleeper = { untilMs: nowMs + durationMs, wake }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', leave, { once: true })
      }),
    async advance(durationMs) {
      await settle()
      const endMs = nowMs + durationMs
      for (;;) {
        const [first] = [...sleepers].sort((a, b) => a.untilMs - b.untilMs)
        if (!first || first.untilMs > endMs) break
        nowMs = first.untilMs
        sleepers.delete(first)
        first.wake()
        await settle()
      }
      nowMs = endMs
      await settle()
    },
    get sleeping() {
      return [...sleepers].map(({ untilMs }) => untilMs - nowMs).sort((a, b) => a - b)
    },
  }
}
