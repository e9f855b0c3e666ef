import type { Clock } from '../ports/clock.ts'
import { rest } from './rest.ts'

/** A pass, done again and again: at an interval, and whenever somebody asks. */
export interface Loop {
  /** Have a pass as soon as may be. Asked several times before it begins, there is one; asked during a pass, another follows. */
  ask(): void
  /** Resolves when the signal is aborted and the pass that ran has ended. */
  readonly ended: Promise<void>
}

export interface LoopOptions {
  /** One pass. What it throws goes to `onError`, and the loop goes on. */
  pass(signal: AbortSignal): Promise<void>
  /** from the end of a pass to the start of the next: at most this, and up to a tenth less, so that many loops don't march in step */
  intervalMs: number
  signal: AbortSignal
  clock: Clock
  onError(thrown: unknown): void
  /** in [0, 1) */
  random?: () => number
}

/** Start with a pass at once. */
export function startLoop({
  pass,
  intervalMs,
  signal,
  clock,
  onError,
  random = Math.random,
}: LoopOptions): Loop {
  let asked = false
  let wake = () => {}

  async function run(): Promise<void> {
    while (!signal.aborted) {
      asked = false
      try {
        await pass(signal)
      } catch (thrown) {
        if (!signal.aborted) onError(thrown)
      }
      if (asked) continue
      await rest(clock, intervalMs * (1 - random() / 10), signal, (waken) => {
        wake = waken
      })
    }
  }

  return {
    ask() {
      asked = true
      wake()
    },
    ended: Promise.resolve().then(run),
  }
}
