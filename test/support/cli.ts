import { createFluxdClient } from '../../src/adapters/fluxd/client.ts'
import { openFolder } from '../../src/adapters/system/folder.ts'
import type { Neighbours } from '../../src/cli/context.ts'
import { type Invocation, run } from '../../src/cli/run.ts'
import { FluxError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Fluxd } from '../../src/ports/fluxd.ts'

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

function neighboursWith(some: Partial<Neighbours> = {}): Neighbours {
  return {
    version: '1.25.4',
    clock: quickClock(),
    openKube: () => Promise.reject(new FluxError('KUBECONFIG_MISSING', { what: 'there is no kubeconfig' })),
    connect: async (options) => createFluxdClient(options),
    gitUser: async () => 'World User <world@example.com>',
    openFolder,
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

/** A fluxd that answers as told, and fails the test where it isn't told anything. */
export function fluxdThat(answers: Partial<Fluxd>): Fluxd {
  const untold = (name: string) => () => Promise.reject(new Error(`nobody told this fluxd about ${name}`))
  return {
    listWorkloads: untold('listWorkloads'),
    getWorkloads: untold('getWorkloads'),
    listImages: untold('listImages'),
    update: untold('update'),
    getJob: untold('getJob'),
    listUnapplied: untold('listUnapplied'),
    getRepository: untold('getRepository'),
    ...answers,
  }
}

/** Run against a fluxd at a URL. */
export function runWith(
  fluxd: Partial<Fluxd>,
  argv: readonly string[],
  options: CliOptions = {},
): Promise<CliRun> {
  const neighbours = { connect: async () => fluxdThat(fluxd), ...options.neighbours }
  return runCli(['--url=http://127.0.0.1:1/api/flux', ...argv], { ...options, neighbours })
}
