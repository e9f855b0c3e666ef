import type { Clock } from '../ports/clock.ts'

/** What a program is told to end by, as v1 names it in its log. */
const signalNames = { SIGINT: 'interrupt', SIGTERM: 'terminated' } as const

/** How a program ended. */
export type Ending =
  /** told to, or done: its work ended in time */
  | { how: 'clean' }
  /** told to: its work did not end in time, and is left where it stands */
  | { how: 'late' }
  | { how: 'failed'; thrown: unknown }

export interface ShutdownOptions {
  /** how long the work may take to end after a signal */
  graceMs: number
  clock: Clock
  /** called with `interrupt` or `terminated` when the program is told to end */
  onSignal(name: string): void
  /** where signals come from: `process` */
  source: Pick<NodeJS.Process, 'once' | 'off'>
}

/**
 * Run a program's work until it ends by itself, fails, or SIGINT or SIGTERM comes: then its signal is aborted and it
 * has some time to end. A second signal is not held back, and ends the process as the system does.
 */
export async function runUntilTold(
  work: (signal: AbortSignal) => Promise<void>,
  { graceMs, clock, onSignal, source }: ShutdownOptions,
): Promise<Ending> {
  const stop = new AbortController()
  const over = new AbortController()
  const late = new Promise<Ending>((resolve) => {
    stop.signal.addEventListener('abort', () => {
      clock.sleep(graceMs, over.signal).then(
        () => resolve({ how: 'late' }),
        () => {},
      )
    })
  })
  const onTold = (signal: keyof typeof signalNames) => {
    forget()
    onSignal(signalNames[signal])
    stop.abort()
  }
  const forget = () => {
    for (const signal of ['SIGINT', 'SIGTERM']) source.off(signal, onTold)
  }
  source.once('SIGINT', onTold)
  source.once('SIGTERM', onTold)

  const ended = work(stop.signal).then(
    (): Ending => ({ how: 'clean' }),
    (thrown: unknown): Ending => (stop.signal.aborted ? { how: 'clean' } : { how: 'failed', thrown }),
  )
  const ending = await Promise.race([ended, late])
  over.abort()
  forget()
  return ending
}
