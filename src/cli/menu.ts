import type { ResourceId } from '../core/resource/id.ts'
import type { UpdateResult } from '../core/update/result.ts'
import type { ContainerUpdate } from '../core/update/spec.ts'
import type { CliContext } from './context.ts'
import { formatRows, listResultRows } from './output/result.ts'

/** The menu of `release --interactive`. The cursor stops only at rows that can be chosen. */

type Choice = ReadonlyMap<ResourceId, readonly ContainerUpdate[]>

const keyHelp = 'Use arrow keys and [Space] to toggle updates; hit [Enter] to release selected.'
const hideCursor = '\x1b[?25l'
const showCursor = '\x1b[?25h'

/**
 * Let a person choose from the changes of a plan, all of which are chosen at first.
 *
 * @returns the chosen changes by workload
 */
export async function chooseUpdates(
  { io, signal }: CliContext,
  plan: UpdateResult,
  verbosity: number,
): Promise<Choice | 'nothing' | 'cancelled'> {
  const { terminal } = io
  const rows = listResultRows(plan, verbosity)
  const choices = rows.flatMap(({ update }, row) => (update ? [{ ...update, row, checked: true }] : []))
  if (choices.length === 0 || !terminal) return 'nothing'
  let cursor = 0

  const screen = () => {
    const marks = rows.map((_, row) => {
      const at = choices.findIndex((choice) => choice.row === row)
      return `${at === cursor ? '⇒' : ' '} ${at < 0 ? ' ' : choices[at]?.checked ? '◉' : '◯'} `
    })
    return [...formatRows(rows, marks, '    '), '', keyHelp]
  }
  const draw = (before: string) =>
    terminal.draw(
      before +
        screen()
          .map((line) => `${line}\n`)
          .join(''),
    )
  const height = screen().reduce((sum, line) => sum + linesOnScreen(line, terminal.columns), 0)

  const move = (step: number) => {
    cursor = (cursor + step + choices.length) % choices.length
  }
  const press = (key: string): 'accept' | 'cancel' | undefined => {
    const choice = choices[cursor]
    if (key === '\r' || key === '\n') return 'accept'
    if (['\x03', '\x1b', 'q'].includes(key)) return 'cancel'
    if (key === ' ' && choice) choice.checked = !choice.checked
    else if (['\t', 'j', '\x1b[B', '\x1bOB'].includes(key)) move(1)
    else if (['k', '\x1b[A', '\x1bOA'].includes(key)) move(-1)
    else return undefined
    draw(`\x1b[${height}A`)
    return undefined
  }

  draw('')
  terminal.draw(hideCursor)
  let end: 'accept' | 'cancel' | undefined
  try {
    end = await terminal.keys(press, signal)
  } finally {
    terminal.draw(end === 'accept' ? `\n${showCursor}` : showCursor)
  }
  if (end === 'cancel') return 'cancelled'
  const chosen = new Map<ResourceId, ContainerUpdate[]>()
  for (const { id, change } of choices.filter(({ checked }) => checked))
    chosen.set(id, [...(chosen.get(id) ?? []), change])
  return chosen
}

function linesOnScreen(line: string, columns: number): number {
  return Math.max(1, Math.ceil([...line].length / columns))
}
