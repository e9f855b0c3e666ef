import { FluxError } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log } from '../../ports/log.ts'

/** Never slower than this, however often a host complains. */
const lowestRate = 0.1
/** A host that has not complained for so long may be asked faster again. */
const recoverAfterMs = 20 * 60_000

export interface RateLimitOptions {
  /** requests per second and host */
  requestsPerSecond: number
  /** how many may go out at once after a pause */
  burst: number
  /** the longest that one request waits for its turn */
  maxWaitMs: number
  clock: Clock
  log: Log
}

/** The pace at which one host is asked: a token bucket that halves its rate when the host complains. */
export class HostPace {
  readonly #host: string
  readonly #options: RateLimitOptions
  #rate: number
  #tokens: number
  #countedAt: number
  #pausedUntil = Number.NEGATIVE_INFINITY
  #slowedAt = Number.NEGATIVE_INFINITY

  constructor(host: string, options: RateLimitOptions) {
    this.#host = host
    this.#options = options
    this.#rate = options.requestsPerSecond
    this.#tokens = options.burst
    this.#countedAt = options.clock.monotonicMs()
  }

  /**
   * Wait for a turn.
   *
   * @throws FluxError `REGISTRY_RATE_LIMITED` at once, when the turn would come too late
   */
  async wait(signal?: AbortSignal): Promise<void> {
    const { burst, maxWaitMs, clock } = this.#options
    const now = clock.monotonicMs()
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#countedAt) / 1000) * this.#rate)
    this.#countedAt = now
    const untilToken = Math.max(0, ((1 - this.#tokens) / this.#rate) * 1000)
    const waitMs = Math.max(untilToken, this.#pausedUntil - now)
    if (waitMs > maxWaitMs) throw this.#tooMany(`rate limited: it is not the turn of ${this.#host}`, waitMs)
    this.#tokens -= 1
    if (waitMs > 0) await clock.sleep(waitMs, signal)
  }

  /**
   * Heed a 429: pause for as long as the host asks, and go on at half the rate. Answers to requests that were sent
   * before the last complaint add nothing.
   */
  slowDown(sentAtMs: number, pauseMs: number): void {
    const { clock, log } = this.#options
    const now = clock.monotonicMs()
    this.#pausedUntil = Math.max(this.#pausedUntil, now + pauseMs)
    if (sentAtMs <= this.#slowedAt) return
    this.#slowedAt = now
    this.#rate = Math.max(lowestRate, this.#rate / 2)
    log.write({ info: 'reducing rate limit', host: this.#host, limit: this.#rate.toFixed(2) })
  }

  /** Go half as fast again, up to the configured rate, where the host has been content for long. */
  recover(): void {
    const { requestsPerSecond, clock, log } = this.#options
    const now = clock.monotonicMs()
    if (this.#rate >= requestsPerSecond || now - this.#slowedAt < recoverAfterMs) return
    this.#rate = Math.min(requestsPerSecond, this.#rate * 1.5)
    log.write({ info: 'increasing rate limit', host: this.#host, limit: this.#rate.toFixed(2) })
  }

  /** What to throw for a 429. */
  complaint(pauseMs: number | undefined): FluxError {
    return this.#tooMany(`toomanyrequests: ${this.#host} answered 429`, pauseMs)
  }

  #tooMany(what: string, waitMs: number | undefined): FluxError {
    const seconds = Math.ceil((waitMs ?? 0) / 1000)
    return new FluxError('REGISTRY_RATE_LIMITED', {
      what,
      ...(waitMs !== undefined && { why: `The next request would have to wait ${seconds} s.` }),
      next: 'It is tried again later. Lower --registry-rps, or give credentials, which raise most limits.',
    })
  }
}

/**
 * `Retry-After` in milliseconds: seconds, or a date.
 *
 * @returns `undefined` where there is none or it can't be read
 */
export function readRetryAfter(header: string | undefined, now: Date): number | undefined {
  if (header === undefined) return undefined
  if (/^[0-9]{1,9}$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now.getTime())
}
