/** Time as a port, so that tests can move it. Durations are milliseconds. */
export interface Clock {
  now(): Date
  /** milliseconds since some fixed point; never goes back */
  monotonicMs(): number
  /** Resolves after `durationMs`; rejects with the signal's reason when it is aborted first. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>
}
