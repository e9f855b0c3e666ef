import { FluxError } from '../core/errors.ts'
import { type ImageRef, registryHost } from '../core/image/ref.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { ScannedRepository } from './scan-repository.ts'

/**
 * A line for each registry host, with its own workers, so that a slow one delays nobody else. A host that complains is
 * left alone for a while.
 */
export interface HostLines {
  of(image: ImageRef): HostLine
  all(): Iterable<HostLine>
  /** Give the host some rest, if that is what it asked for. */
  heed(image: ImageRef, thrown: unknown): void
  rests(image: ImageRef): boolean
}

/** What waits for one host. Each repository waits once in a line. */
export interface HostLine {
  urgent: Map<string, ScannedRepository>
  due: Map<string, ScannedRepository>
  background: Map<string, ScannedRepository>
  workers: number
}

/** how long a host that complained is left alone */
const restMs = 60_000

export function createHostLines({ clock, log }: { clock: Clock; log: Log }): HostLines {
  const lines = new Map<string, HostLine>()
  const restsUntilMs = new Map<string, number>()
  const rests = (host: string) => (restsUntilMs.get(host) ?? Number.NEGATIVE_INFINITY) > clock.monotonicMs()

  return {
    of(image) {
      const host = registryHost(image)
      const line = lines.get(host) ?? {
        urgent: new Map(),
        due: new Map(),
        background: new Map(),
        workers: 0,
      }
      lines.set(host, line)
      return line
    },
    all: () => lines.values(),
    heed(image, thrown) {
      const host = registryHost(image)
      if (!(thrown instanceof FluxError) || thrown.code !== 'REGISTRY_RATE_LIMITED' || rests(host)) return
      restsUntilMs.set(host, clock.monotonicMs() + restMs)
      const warning = 'aborting image tag fetching due to rate limiting, will try again later'
      log.write({ warning, host, code: thrown.code })
    },
    rests: (image) => rests(registryHost(image)),
  }
}

/** Take the first that waits. */
export function takeFirst(waiting: Map<string, ScannedRepository>): ScannedRepository | undefined {
  const [first] = waiting
  if (!first) return undefined
  waiting.delete(first[0])
  return first[1]
}
