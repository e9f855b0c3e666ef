import { expect, test } from 'vitest'
import { formatTable } from '../../../src/cli/output/table.ts'

test('pads every cell but the last to the widest of its column and two blanks', () => {
  const rows = [
    ['WORKLOAD', 'CONTAINER', 'IMAGE'],
    ['demo:deployment/web', 'web', 'web:1'],
    ['', 'sidecar', ''],
  ]

  expect(formatTable(rows)).toBe(
    [
      'WORKLOAD             CONTAINER  IMAGE\n',
      'demo:deployment/web  web        web:1\n',
      '                     sidecar    \n',
    ].join(''),
  )
})

test('a row without a column ends the block that shares its width', () => {
  const rows = [['wide cell', 'a', 'b'], ['c', 'd'], ['e', 'longer', 'f'], ['alone'], ['g', 'h']]

  expect(formatTable(rows)).toBe(
    ['wide cell  a  b\n', 'c          d\n', 'e          longer  f\n', 'alone\n', 'g  h\n'].join(''),
  )
})

test('a column of empty cells still takes two blanks', () => {
  expect(formatTable([['', 'x']])).toBe('  x\n')
})

test('counts code points, as Go does', () => {
  expect(formatTable([['über', '1'], ['🚀', '2']])).toBe('über  1\n🚀     2\n') // biome-ignore format: a table
})

test('shows what could move the cursor, rather than send it', () => {
  expect(formatTable([['a\nb\tc\u001b[2J', '\u202eevil']])).toBe('a\\u000ab\\u0009c\\u001b[2J  \\u202eevil\n')
})

test('no rows make no lines', () => {
  expect(formatTable([])).toBe('')
})
