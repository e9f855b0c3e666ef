import { expect, test } from 'vitest'
import { commands } from '../../src/cli/commands.ts'
import { runCli } from '../support/cli.ts'

const screen = (name: string) => `../fixtures/screens/${name}.txt`

test('fluxctl alone says in six lines where to begin', async () => {
  const { exit, stdout, stderr } = await runCli([])

  expect({ exit, stderr, lines: stdout.split('\n').length - 1 }).toEqual({ exit: 0, stderr: '', lines: 6 })
  await expect(stdout).toMatchFileSnapshot(screen('fluxctl'))
})

test('--help, -h and help tell about every command', async () => {
  const [help, ...others] = await Promise.all([['--help'], ['-h'], ['help']].map((argv) => runCli(argv)))

  expect(others).toEqual([help, help])
  expect(help).toMatchObject({ exit: 0, stderr: '' })
  await expect(help?.stdout).toMatchFileSnapshot(screen('help'))
})

test.each(commands.map(({ name }) => name))('%s --help tells about that command', async (name) => {
  const asFlag = await runCli([name, '--help'])

  expect(asFlag).toMatchObject({ exit: 0, stderr: '' })
  expect(await runCli(['help', name])).toEqual(asFlag)
  expect(asFlag.stdout.split('\n').filter((line) => line.length > 100 && line.startsWith('    '))).toEqual([])
  await expect(asFlag.stdout).toMatchFileSnapshot(screen(`help-${name}`))
})

test('an older name shows the help of the newer', async () => {
  expect((await runCli(['list-controllers', '-h'])).stdout).toContain('Also called: list-controllers')
})

test('an unknown topic is told on standard error, and is no failure', async () => {
  const { exit, stdout, stderr } = await runCli(['help', 'nosuch'])

  expect({ exit, stdout }).toEqual({ exit: 0, stdout: '' })
  expect(stderr).toMatch(/^Unknown help topic \[`nosuch`\]\nfluxctl changes/)
})

test('deprecated flags are not shown', async () => {
  expect((await runCli(['release', '--help'])).stdout).not.toContain('--controller')
})
