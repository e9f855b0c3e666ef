import { FluxError } from '../core/errors.ts'
import { type Flag, type FlagValues, parseFlags, quote, takesNextWord } from '../runtime/flags.ts'
import type { Command, Outcome } from './command.ts'
import { findCommand, similarCommands } from './commands.ts'
import { createContext, type Neighbours } from './context.ts'
import { type Ending, endWith, endWithFailure } from './exit.ts'
import { type GlobalFlags, globalFlags, helpFlag } from './flags.ts'
import { createIo, type Streams } from './io.ts'

/**
 * The frame of every command: find it, read its flags, run it, end with an exit code.
 *
 * fluxctl's command line is read by `runtime/flags.ts` alone. A command library in front of it would read the same words a
 * second time, with another meaning.
 */

export interface Invocation extends Streams {
  /** without the program's own name */
  argv: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  /** aborted when the person interrupts */
  signal: AbortSignal
  neighbours: Neighbours
}

/** New flags, after whose use the full table of exit codes applies. */
const newFlags = ['detailed-exitcode', 'output', 'request-id'] as const

/** @returns the exit code */
export async function run(invocation: Invocation): Promise<number> {
  const { env, signal } = invocation
  const ending: Ending = {
    io: createIo(invocation),
    commandPath: 'fluxctl',
    fullTable: env['FLUXCTL_EXIT_CODES'] === '2',
    json: false,
  }
  try {
    return endWith(await runCommand(invocation, ending), ending)
  } catch (error) {
    return endWithFailure(
      signal.aborted ? new FluxError('INTERRUPTED', { what: 'interrupted' }) : error,
      ending,
    )
  }
}

async function runCommand({ argv, env, signal, neighbours }: Invocation, ending: Ending): Promise<Outcome> {
  const { io } = ending
  const at = commandPosition(argv)
  const word = at === undefined ? undefined : argv[at]
  if (word === undefined) return runWithoutCommand(argv, ending)
  const entry = findCommand(word)
  if (!entry) throw unknownCommand(word)

  ending.commandPath = `fluxctl ${entry.name}`
  ending.fullTable ||= entry.isNew === true
  const command = await entry.load()
  const ownWords = argv.filter((_, index) => index !== at)
  const flags: readonly Flag[] = [...globalFlags, ...command.flags, helpFlag]
  ending.json = command.flags.some(({ name }) => name === 'output') && asksForJson(ownWords)
  ending.fullTable ||= ending.json
  const { values, given, args } = parseFlags(flags, ownWords, { env, warn: io.say })
  if (values['help'] === true) {
    const { commandHelp } = await import('./help.ts')
    io.out(commandHelp(entry, command))
    return 'done'
  }
  ending.fullTable ||= newFlags.some((name) => given.has(name))
  ending.json = values['output'] === 'json'
  checkWords(command, args, values)

  const { ctx, close } = createContext({ io, signal, settings: values as unknown as GlobalFlags, neighbours })
  try {
    return await command.run(ctx, { flags: values, given, words: args })
  } finally {
    await close()
  }
}

async function runWithoutCommand(argv: readonly string[], { io }: Ending): Promise<Outcome> {
  const { values, args } = parseFlags([...globalFlags, helpFlag], argv, { warn: io.say })
  if (args[0] !== undefined) throw unknownCommand(args[0])
  const { firstSteps, overview } = await import('./help.ts')
  io.out(values.help ? overview() : firstSteps)
  return 'done'
}

/** Known before flags are read, so that a wrong flag is told of in a document too. */
function asksForJson(words: readonly string[]): boolean {
  return / (-o ?=?|--output[ =])json /.test(` ${words.join(' ')} `)
}

function checkWords(command: Command, words: readonly string[], values: FlagValues<readonly Flag[]>): void {
  if (words.length > 0 && !command.words)
    throw new FluxError('USAGE_INVALID', { what: 'expected no (non-flag) arguments' })
  if ('output' in values && values['output'] !== 'text' && values['output'] !== 'json')
    throw new FluxError('USAGE_INVALID', { what: 'invalid output format specified' })
}

/**
 * Where the command's name stands: the first word that is neither a flag nor the value of one. A flag that isn't global is
 * taken to have a value, as v1 does.
 */
function commandPosition(argv: readonly string[]): number | undefined {
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? ''
    if (word === '--') return undefined
    if (word !== '' && !word.startsWith('-')) return index
    const isFlag = word.startsWith('--') || word.length === 2
    if (isFlag && !word.includes('=') && hasValueAfter(word)) index++
  }
  return undefined
}

function hasValueAfter(word: string): boolean {
  const flag = [...globalFlags, helpFlag].find((candidate: Flag) =>
    word.startsWith('--') ? candidate.name === word.slice(2) : candidate.short === word.slice(1),
  )
  return flag === undefined || takesNextWord(flag)
}

function unknownCommand(word: string): FluxError {
  const similar = similarCommands(word).map((name) => `\t${name}\n`)
  const suggestion = similar.length > 0 ? `\n\nDid you mean this?\n${similar.join('')}` : ''
  return new FluxError('USAGE_INVALID', { what: `unknown command ${quote(word)} for "fluxctl"${suggestion}` })
}
