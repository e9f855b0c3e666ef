import { describe, expect, test } from 'vitest'
import { commands, findCommand } from '../../src/cli/commands.ts'
import { globalFlags, helpFlag } from '../../src/cli/flags.ts'
import type { Flag } from '../../src/runtime/flags.ts'
import { readRecording } from '../support/replay.ts'

/** A walk over v1's flags, as its help lists them: each has the same letter and the same type here. */

interface V1Flag {
  name: string
  short?: string
  type: Flag['type']
}

const types: Record<string, Flag['type']> = {
  '': 'bool',
  count: 'count',
  duration: 'duration',
  int: 'int',
  string: 'string',
  stringToString: 'map',
  strings: 'strings',
}

function readV1Flags(help: string): V1Flag[] {
  return [...help.matchAll(/^ {2,6}(?:-(\w), )?--([\w-]+)(?: (\w+))? {2,}/gm)].map(
    ([, short, name = '', type = '']) => ({
      name,
      ...(short && { short }),
      type: types[type] ?? expect.fail(`v1 has a flag of the type ${type}`),
    }),
  )
}

/** `policy` alone has no recorded help. */
const policy: V1Flag[] = [
  { name: 'namespace', short: 'n', type: 'string' },
  { name: 'workload', short: 'w', type: 'string' },
  { name: 'automate', type: 'bool' },
  { name: 'deautomate', type: 'bool' },
  { name: 'lock', type: 'bool' },
  { name: 'unlock', type: 'bool' },
  { name: 'tag-all', type: 'string' },
  { name: 'tag', type: 'strings' },
  { name: 'message', short: 'm', type: 'string' },
  { name: 'user', type: 'string' },
  { name: 'verbose', short: 'v', type: 'count' },
]

/** Flags that v1's help doesn't show. */
const deprecated: Record<string, V1Flag[]> = Object.fromEntries(
  ['automate', 'deautomate', 'list-images', 'lock', 'policy', 'release', 'unlock'].map((name) => [
    name,
    [{ name: 'controller', short: 'c', type: name === 'release' ? 'strings' : 'string' }],
  ]),
)

const names = commands.filter(({ isNew }) => !isNew).map(({ name }) => name)

describe('v1 knows these flags, and so do we:', () => {
  test.each(names)('%s', async (name) => {
    const help = name === 'policy' ? '' : (readRecording(`help--for-${name}.json`).stdout ?? '')
    const v1 = [...(name === 'policy' ? policy : readV1Flags(help)), ...(deprecated[name] ?? [])]
    const command = await findCommand(name)?.load()
    const ours: readonly Flag[] = [...globalFlags, ...(command?.flags ?? []), helpFlag]

    expect(v1.length).toBeGreaterThan(0)
    for (const flag of v1) expect(ours).toContainEqual(expect.objectContaining(flag))
  })
})

test('no letter and no name stands for two flags of a command', async () => {
  for (const { name, load } of commands) {
    const flags: readonly Flag[] = [...globalFlags, ...(await load()).flags, helpFlag]
    const taken = flags.flatMap((flag) => [flag.name, ...(flag.short ? [flag.short] : [])])
    expect({ name, twice: taken.filter((word, index) => taken.indexOf(word) !== index) }).toEqual({
      name,
      twice: [],
    })
  }
})

test('every command but those of later issues is there, under the names that it had', () => {
  const listed = readRecording('help--help-flag.json')
    .stdout?.split('Available Commands:\n')[1]
    ?.split('\n\n')[0]
    ?.split('\n')
    .map((line) => line.trim().split(/\s+/)[0] ?? '')

  expect(listed?.filter((name) => !findCommand(name))).toEqual(['completion', 'install', 'save'])
  expect(findCommand('list-controllers')?.name).toBe('list-workloads')
})
