import { expect, test } from 'vitest'
import { readConfig } from '../../src/agent/config.ts'
import { flags } from '../../src/agent/flags.ts'
import { FluxError } from '../../src/core/errors.ts'
import { type Flag, parseFlags } from '../../src/runtime/flags.ts'
import { rowAsShown, shownFlag } from './flags.ts'
import { rowsOf } from './page.ts'

const all: readonly Flag[] = flags
const rows = rowsOf('fluxd-flags.md').filter(({ cells: [names] }) => names?.includes('`--'))

test('the page of flags has every flag of fluxd with its default, and no other', () => {
  expect(rows.map(rowAsShown).toSorted()).toEqual(all.map(shownFlag).toSorted())
})

/** Values that a flag takes, where not any text will do. */
const samples: Record<string, string> = {
  'api-auth': 'none',
  drift: 'report',
  'git-verify-signatures-mode': 'all',
  'ssh-keygen-bits': '4096',
  'ssh-keygen-format': 'PEM',
  'ssh-keygen-type': 'rsa',
  'sync-state': 'git',
}
const samplesByType = {
  bool: 'true',
  string: 'x',
  int: '1',
  float: '1',
  count: '1',
  duration: '1s',
  strings: 'x',
  map: 'x=y',
}

/** What using a flag does: `yes`, `no effect` or `not yet`. */
function stateOf({ name, type }: Flag): string {
  const given = parseFlags(flags, [`--${name}=${samples[name] ?? samplesByType[type]}`])
  try {
    const { notices } = readConfig(given, { POD_NAMESPACE: 'flux' })
    const inert = notices.some(({ flag, info }) => flag === `--${name}` && info?.startsWith('has no effect'))
    return inert ? 'no effect' : 'yes'
  } catch (error) {
    if (error instanceof FluxError && error.code === 'FLAG_UNSUPPORTED') return 'not yet'
    throw error
  }
}

test.each(all)('of --$name it says whether it works', (flag) => {
  const [row] = rows.filter(({ cells: [names] }) =>
    names?.includes(`\`--${flag.name}${flag.value ? ' ' : '`'}`),
  )

  expect(row?.cells[2]).toBe(stateOf(flag))
})
