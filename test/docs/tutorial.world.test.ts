import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { expectNothingLeft, startDemo } from '../support/demo.ts'
import { shownCommands, startShell, withoutChance } from './console.ts'

/** Every command of the tutorial, in the world that the tour leaves up, with the output that the page shows. */

const homes: string[] = []
afterAll(() => {
  for (const home of homes) rmSync(home, { recursive: true })
})

test.skipIf(!existsSync('/usr/bin/script'))(
  'the tutorial is true',
  async () => {
    const home = mkdtempSync(join(tmpdir(), 'tutorial-'))
    homes.push(home)
    writeFileSync(join(home, '.gitconfig'), '[user]\n\tname = Ada\n\temail = ada@example.com\n')
    await using demo = startDemo([], { terminal: true, env: { NO_COLOR: '1' } })
    await demo.said('Ctrl-C ends it')
    const [, env = ''] = /\n {2}\. (\S+)\/env\r?\n/.exec(demo.stdout()) ?? []
    await using shell = startShell({ PATH: '/usr/bin:/bin', HOME: home, GIT_CONFIG_NOSYSTEM: '1' }, home)

    const [first] = shownCommands('docs/tutorial.md')
    expect(first?.command).toMatch(/^\. \/tmp\/fluxctl-demo-\w+\/env$/)
    for (const { command, output, line } of shownCommands('docs/tutorial.md')) {
      const run = async () => {
        const said = await shell.run(command.replace(/^\. \/tmp\/fluxctl-demo-\w+/, `. ${env}`))
        return { line, output: withoutChance(said.output) }
      }
      const shown = { line, output: withoutChance(output) }
      // what is listed may be on its way; a reader would look again
      if (command.startsWith('fluxctl list-')) await expect.poll(run, { timeout: 20_000 }).toEqual(shown)
      else expect(await run()).toEqual(shown)
    }

    demo.child.stdin?.write('\x03')
    expect((await demo.ended()).code).toBe(0)
    await expectNothingLeft(demo)
  },
  240_000,
)
