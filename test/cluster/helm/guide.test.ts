import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { shownCommands, startShell, withoutChance } from '../../docs/console.ts'
import { planeSkipReason, startControlPlane } from '../../support/control-plane.ts'
import { helm, kubectl } from '../../support/neighbours.ts'

/** Every command of the guide, with the output that the page shows. `npm test` builds the programs that it runs. */
test.skipIf(planeSkipReason !== undefined || helm('4.2') === undefined || kubectl('1.36') === undefined)(
  'the guide is true',
  { timeout: 300_000, retry: 0 },
  async () => {
    await using plane = await startControlPlane({ controllers: true })
    const home = mkdtempSync(join(tmpdir(), 'guide-'))
    try {
      const bin = join(home, 'bin')
      mkdirSync(bin)
      symlinkSync(helm('4.2') ?? '', join(bin, 'helm'))
      symlinkSync(kubectl('1.36') ?? '', join(bin, 'kubectl'))
      writeFileSync(join(home, '.gitconfig'), '[user]\n\tname = Ada\n\temail = ada@example.com\n')
      const path = `${bin}:${dirname(process.execPath)}:/usr/bin:/bin`
      await using shell = startShell(
        { PATH: path, HOME: home, TMPDIR: home, GIT_CONFIG_NOSYSTEM: '1' },
        process.cwd(),
      )

      for (const { command, output, line } of shownCommands('docs/guide.md')) {
        const run = async () => {
          const own = command
            .replaceAll('/tmp/guide', `${home}/guide`)
            .replace('demo --serve', `demo --serve --kubeconfig=${plane.kubeconfig}`)
          const said = await shell.run(own)
          return { line, output: withoutChance(said.output) }
        }
        const shown = { line, output: withoutChance(output) }
        // what is listed may be on its way; a reader would look again
        if (command.startsWith('fluxctl list-')) await expect.poll(run, { timeout: 20_000 }).toEqual(shown)
        else expect(await run()).toEqual(shown)
      }
    } finally {
      rmSync(home, { recursive: true, force: true, maxRetries: 5 })
    }
  },
)
