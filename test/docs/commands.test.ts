import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { commands } from '../../src/cli/commands.ts'
import { changeFlags, globalFlags, helpFlag } from '../../src/cli/flags.ts'
import type { Flag } from '../../src/runtime/flags.ts'
import { rowAsShown, shownFlag } from './flags.ts'
import { codeIn, rowsOf } from './page.ts'

const rows = rowsOf('commands.md')
const flagRows = rows.filter(({ cells: [names] }) => names?.includes('`--'))

test('the page of commands lists every command with its summary', () => {
  const page = rows
    .filter(({ heading }) => heading === 'Commands')
    .map(({ cells: [name, summary] }) => [codeIn(name), summary])

  expect(page).toEqual(commands.map(({ name, summary }) => [name, summary]))
})

test('the page of commands names every alias', () => {
  const page = readFileSync('docs/commands.md', 'utf8')

  expect(
    commands.flatMap(({ aliases = [] }) => aliases).filter((alias) => !page.includes(`\`${alias}\``)),
  ).toEqual([])
})

test('flags of every command stand on the page of commands', () => {
  const page = flagRows.filter(({ heading }) => heading === 'Flags of every command').map(rowAsShown)

  expect(page).toEqual([...globalFlags, helpFlag].map(shownFlag))
})

describe.each(commands)('of $name', ({ name, load }) => {
  test('the flags, their short names and defaults are those of the program', async () => {
    const command = await load()

    const shared = hasChangeFlags(command.flags) ? 'Flags of every change' : undefined
    const page = flagRows
      .filter(({ heading }) => heading.split(', ').includes(name) || heading === shared)
      .map(rowAsShown)

    expect(page.toSorted()).toEqual(command.flags.map(shownFlag).toSorted())
  })
})

test('there is no section of a command that is not there', () => {
  const known = new Set([
    ...commands.map(({ name }) => name),
    'Flags of every change',
    'Flags of every command',
  ])

  const unknown = flagRows.flatMap(({ heading }) => heading.split(', ').filter((name) => !known.has(name)))

  expect(unknown).toEqual([])
})

/** They are told of once, for all commands that change Git. */
function hasChangeFlags(flags: readonly Flag[]): boolean {
  return changeFlags.every((flag) => flags.includes(flag))
}
