import type { Clock } from '../ports/clock.ts'

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

export function startWorkQueue({ workers, work, onLength, clock, signal }: WorkQueueOptions): WorkQueue {
  const waiting: Record<Urgency, Set<string>> = { changed: new Set(), due: new Set() }
  const working = new Map<string, Urgency | undefined>()
  const plans = new Map<string, AbortController>()
  let idle: (() => void)[] = []

  const length = () => waiting.changed.size + waiting.due.size
  const wake = () => {
    onLength(length())
    for (const resume of idle.splice(0)) resume()
  }
  const drop = (key: string) => {
    plans.get(key)?.abort()
    plans.delete(key)
  }
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
    wake()
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
  signal.addEventListener('abort', () => {
    for (const key of [...plans.keys()]) drop(key)
    const resumed = idle
    idle = []
    for (const resume of resumed) resume()
  })

  return {
    ask,
    askIn(key, delayMs) {
      drop(key)
      if (signal.aborted) return
      const plan = new AbortController()
      plans.set(key, plan)
      clock.sleep(delayMs, plan.signal).then(
        () => {
          if (plans.get(key) === plan) plans.delete(key)
          ask(key, 'due')
        },
        () => {},
      )
    },
    drop,
    length,
    ended: Promise.all(Array.from({ length: workers }, run)).then(() => {}),
  }
}
