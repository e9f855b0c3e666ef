import { FluxError } from '../../core/errors.ts'
import { type ProgramOptions, runProgram } from '../processes.ts'

/** How a tour is told: what is about to happen, the real command with its real output, then what was checked. */
export interface Screen {
  /** ends all that is shown */
  readonly signal: AbortSignal
  step(title: string, about: string): void
  /** Show a command, run it, and show what it says. @throws FluxError `DEMO_CHECK_FAILED` for another exit code */
  run(shown: string, program: ProgramOptions & { exitCode?: number }): Promise<string>
  /** Show something that was said elsewhere. */
  show(text: string): void
  /** Wait until something holds, and say so. @throws FluxError `DEMO_CHECK_FAILED` when it does not come to hold */
  check(what: string, holds: () => Promise<boolean> | boolean): Promise<void>
  /** Say what was found true by other means. */
  note(what: string): void
}

export interface ScreenOptions {
  steps: number
  out: (text: string) => void
  colour: boolean
  signal: AbortSignal
  /** what helps to understand a failure: the last lines of a log */
  clues: () => string
}

/** of terminals */
const codes = { bold: 1, green: 32, cyan: 36 }
const checkMs = 20_000
const pollMs = 50

export function createScreen({ steps, out, colour, signal, clues }: ScreenOptions): Screen {
  const paint = (code: number, text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text)
  let step = 0

  const note = (what: string) => out(`${paint(codes.green, '✓')} ${what}\n`)
  const fail = (what: string, why: string): never => {
    throw new FluxError('DEMO_CHECK_FAILED', {
      what,
      why: [why, clues()].filter(Boolean).join('\n\n'),
      next: 'Run it again. If it ends the same way, please report it with all of the above.',
    })
  }
  return {
    signal,
    note,
    show: (text) => out(text.endsWith('\n') ? text : `${text}\n`),
    step(title, about) {
      step += 1
      out(`\n${paint(codes.bold, `${step}/${steps}  ${title}`)}\n${about}\n\n`)
    },
    async run(shown, { exitCode: expected = 0, ...program }) {
      out(`${paint(codes.cyan, `$ ${shown}`)}\n`)
      const { exitCode, output } = await runProgram({ ...program, signal, onOutput: out })
      if (exitCode !== expected) fail(`\`${shown}\` ended with exit code ${exitCode}, not ${expected}`, '')
      return output
    },
    async check(what, holds) {
      const deadline = Date.now() + checkMs
      let problem = ''
      const isSo = async () => holds()
      for (;;) {
        const so = await isSo().catch((error: Error) => {
          problem = error.message
          return false
        })
        if (so) return note(what)
        signal.throwIfAborted()
        if (Date.now() > deadline) fail(`this did not come true: ${what}`, problem)
        await new Promise((resolve) => setTimeout(resolve, pollMs))
      }
    },
  }
}
