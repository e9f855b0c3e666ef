import type { Clock } from '../ports/clock.ts'
import { rest } from '../runtime/rest.ts'

/**
 * Which release is looked at next: each at most once at a time, what changed before what is merely due, the first to
 * come first. A release that is asked for while it is worked on is looked at once more afterwards.
 */

export type Urgency = 'changed' | 'due'

export interface WorkQueue {
  ask(key: string, urgency: Urgency): void
  /** Ask after a while, in place of what was planned for this key before. */
  askIn(key: string, delayMs: number): void
  /** Forget what is planned for a key. */
  drop(key: string): void
  /** how many wait */
  length(): number
  /** resolves when the signal is aborted and all workers are done */
  readonly ended: Promise<void>
}

export interface WorkQueueOptions {
  workers: number
  /** Never rejects. */
  work(key: string): Promise<void>
  onLength(length: number): void
  clock: Clock
  signal: AbortSignal
}

/** Plans come due together, so that a pass over many releases wakes the process a few times and not once for each. */
const tickMs = 500
const longestRestMs = 3_600_000

export function startWorkQueue({ workers, work, onLength, clock, signal }: WorkQueueOptions): WorkQueue {
  const waiting: Record<Urgency, Set<string>> = { changed: new Set(), due: new Set() }
  const working = new Map<string, Urgency | undefined>()
  /** when a key is due, in ticks of the clock */
  const plans = new Map<string, number>()
  let nextTickMs = Number.POSITIVE_INFINITY
  let ring = () => {}
  let idle: (() => void)[] = []

  const length = () => waiting.changed.size + waiting.due.size
  const put = (key: string, urgency: Urgency) => {
    if (urgency === 'changed') {
      waiting.due.delete(key)
      waiting.changed.add(key)
    } else if (!waiting.changed.has(key)) waiting.due.add(key)
  }
  const ask = (key: string, urgency: Urgency) => {
    if (signal.aborted) return
    if (working.has(key)) {
      if (working.get(key) !== 'changed') working.set(key, urgency)
      return
    }
    put(key, urgency)
    onLength(length())
    idle.shift()?.()
  }

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      const lane = waiting.changed.size > 0 ? waiting.changed : waiting.due
      const [key] = lane
      if (key === undefined) {
        await new Promise<void>((resume) => idle.push(resume))
        continue
      }
      lane.delete(key)
      working.set(key, undefined)
      onLength(length())
      await work(key)
      const again = working.get(key)
      working.delete(key)
      if (again !== undefined) ask(key, again)
    }
  }
  const askForPlanned = async (): Promise<void> => {
    while (!signal.aborted) {
      const nowMs = clock.monotonicMs()
      nextTickMs = Number.POSITIVE_INFINITY
      for (const [key, atMs] of plans) {
        if (atMs > nowMs) nextTickMs = Math.min(nextTickMs, atMs)
        else if (plans.delete(key)) ask(key, 'due')
      }
      await rest(clock, Math.min(nextTickMs - nowMs, longestRestMs), signal, (waken) => {
        ring = waken
      })
    }
  }
  signal.addEventListener('abort', () => {
    const resumed = idle
    idle = []
    for (const resume of resumed) resume()
  })

  return {
    ask,
    askIn(key, delayMs) {
      const atMs = Math.ceil((clock.monotonicMs() + delayMs) / tickMs) * tickMs
      plans.set(key, atMs)
      if (atMs < nextTickMs) ring()
    },
    drop: (key) => plans.delete(key),
    length,
    ended: Promise.all([askForPlanned(), ...Array.from({ length: workers }, run)]).then(() => {}),
  }
}
