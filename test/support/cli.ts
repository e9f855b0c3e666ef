import { createFluxdClient } from '../../src/adapters/fluxd/client.ts'
import type { Neighbours } from '../../src/cli/context.ts'
import { type Invocation, run } from '../../src/cli/run.ts'
import type { Clock } from '../../src/ports/clock.ts'

/** fluxctl in this process, with streams and time of its own. */

export interface CliRun {
  exit: number
  stdout: string
  stderr: string
}

/** A clock on which sleeping takes no time, but moves it. */
export function quickClock(): Clock & { sleptMs: number[] } {
  const sleptMs: number[] = []
  let nowMs = 0
  return {
    sleptMs,
    now: () => new Date(nowMs),
    monotonicMs: () => nowMs,
    async sleep(durationMs, signal) {
      signal?.throwIfAborted()
      sleptMs.push(durationMs)
      nowMs += durationMs
    },
  }
}

export function neighboursWith(some: Partial<Neighbours> = {}): Neighbours {
  return {
    version: '1.25.4',
    clock: quickClock(),
    openKube: () => Promise.reject(new Error('no cluster in this test')),
    connect: async (options) => createFluxdClient(options),
    gitUser: async () => 'World User <world@example.com>',
    ...some,
  }
}

export interface CliOptions extends Partial<Omit<Invocation, 'argv' | 'neighbours'>> {
  neighbours?: Partial<Neighbours>
}

export async function runCli(argv: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  let stdout = ''
  let stderr = ''
  const nothing = { on() {}, off() {}, resume() {}, pause() {} }
  const exit = await run({
    argv,
    env: {},
    stdin: nothing,
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    signal: new AbortController().signal,
    ...options,
    neighbours: neighboursWith(options.neighbours),
  })
  return { exit, stdout, stderr }
}
