import { setMaxListeners } from 'node:events'
import { FluxError, messageOf } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log, LogFields } from '../ports/log.ts'
import { type Flag, type ParsedFlags, parseFlags } from './flags.ts'
import { runUntilTold } from './shutdown.ts'

/** What a program that runs until it is told to end is made of; `fluxd` and `helm-operator` are two. */
export interface Program<F extends readonly Flag[], C> {
  name: string
  version: string
  flags: F
  /** what `--help` prints */
  usage(): string
  /** @throws FluxError where flags can be read but not be followed: the program ends with 1 */
  readConfig(parsed: ParsedFlags<F>): Promise<Configured<C>> | Configured<C>
  openLog(config: C): Log
  clock: Clock
  /** how long the work may take to end after SIGINT or SIGTERM */
  graceMs: number
  run(config: C, log: Log, signal: AbortSignal): Promise<void>
}

interface Configured<C> {
  config: C
  /** for the log's first lines */
  notices: readonly LogFields[]
}

/**
 * Run a program from its words to the end of its process: 0 done or told to end, 1 failed, 2 words that can't be read,
 * as v1 has them.
 */
export function startProgram<const F extends readonly Flag[], C>(program: Program<F, C>): void {
  setMaxListeners(0) // many requests wait on one signal: that is no leak
  runToExitCode(program, process.argv.slice(2)).then(
    (code) => process.exit(code),
    (thrown) => {
      process.stderr.write(
        `${program.name} failed in a way that it should not have. Please report this:\n${stackOf(thrown)}\n`,
      )
      process.exit(1)
    },
  )
}

async function runToExitCode<F extends readonly Flag[], C>(
  { name, version, flags, usage, readConfig, openLog, clock, graceMs, run }: Program<F, C>,
  words: readonly string[],
): Promise<number> {
  if (words.some((word) => word === '--help' || word === '-h')) {
    process.stdout.write(usage())
    return 0
  }
  let configured: Configured<C>
  let parsed: ParsedFlags<F> | undefined
  try {
    const warn = (line: string) => process.stderr.write(`${line}\n`)
    parsed = parseFlags(flags, words, { env: process.env, warn })
    if ('version' in parsed.values && parsed.values.version) {
      process.stdout.write(`${version}\n`)
      return 0
    }
    configured = await readConfig(parsed)
  } catch (thrown) {
    if (!(thrown instanceof FluxError)) throw thrown
    process.stderr.write(`Error: ${[thrown.what, thrown.why, thrown.next].filter(Boolean).join('\n')}\n`)
    process.stderr.write(`${name} --help shows all flags.\n`)
    return parsed ? 1 : 2
  }

  const { config, notices } = configured
  const log = openLog(config)
  log.write({ version })
  for (const notice of notices) log.write(notice)
  const ending = await runUntilTold((signal) => run(config, log, signal), {
    graceMs,
    clock,
    source: process,
    onSignal: (told) => log.write({ exiting: told }),
  })
  if (ending.how === 'clean') return 0
  if (ending.how === 'late') {
    log.write({ warning: 'work under way did not end in time and is left where it stands' })
    return 0
  }
  const { thrown } = ending
  const error = thrown instanceof FluxError ? thrown : undefined
  log.write({
    err: messageOf(thrown),
    code: error?.code,
    why: error?.why,
    next: error?.next,
    stack: error ? undefined : stackOf(thrown),
  })
  return 1
}

function stackOf(thrown: unknown): string {
  return (thrown instanceof Error && thrown.stack) || String(thrown)
}
