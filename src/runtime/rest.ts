import type { Clock } from '../ports/clock.ts'

/**
 * Sleep until the time is over, somebody wakes us, or the end has come.
 *
 * A signal that lives as long as the process keeps something of each `AbortSignal.any` that it was part of: for what
 * is done every minute this is the way.
 *
 * @param onAsleep is handed what wakes us
 */
export async function rest(
  clock: Clock,
  durationMs: number,
  signal: AbortSignal,
  onAsleep: (wake: () => void) => void,
): Promise<void> {
  if (signal.aborted) return
  const woken = new AbortController()
  const wake = () => woken.abort()
  onAsleep(wake)
  signal.addEventListener('abort', wake)
  await clock.sleep(durationMs, woken.signal).catch((reason: unknown) => {
    if (!woken.signal.aborted) throw reason
  })
  signal.removeEventListener('abort', wake)
}
