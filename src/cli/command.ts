import type { Flag, FlagValues } from '../runtime/flags.ts'
import type { CliContext } from './context.ts'

/**
 * How a command ended that didn't fail. `exit.ts` makes a number of it.
 *
 * `done` · `nothing`: there was nothing to change · `pending`: committed, but not seen applied in time · `cancelled` by
 * the person · `rollout-failed`: released, but a workload can't get on
 */
export type Outcome = 'done' | 'nothing' | 'pending' | 'cancelled' | 'rollout-failed'

/** What stands on the command line after the name. */
export interface Arguments<F extends readonly Flag[]> {
  flags: FlagValues<F>
  /** names of the flags that were given */
  given: ReadonlySet<string>
  /** words that aren't flags */
  words: readonly string[]
}

export interface Command<F extends readonly Flag[] = readonly Flag[]> {
  /** sentences for help, below the summary */
  about?: string
  /** command lines for help, without what each does */
  examples?: readonly string[]
  flags: F
  /** word for what follows the name, such as `[COMMAND]`; without it, words are refused */
  words?: string
  run(ctx: CliContext, args: Arguments<F>): Promise<Outcome>
}

/** Check a command's `run` against its flags, and forget their names for the table. */
export function defineCommand<const F extends readonly Flag[]>(command: Command<F>): Command {
  return command as unknown as Command
}
