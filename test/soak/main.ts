import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildPrograms } from '../support/built-programs.ts'
import { endWhenTold } from './programs.ts'
import { soak } from './soak.ts'
import { usualApi } from './world.ts'

/** `npm run soak`: the long soak, by hand. `--help` says what can be set. */

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    kills: { type: 'string', default: '200' },
    releases: { type: 'string', default: '200' },
    api: { type: 'string', default: usualApi() },
    minutes: { type: 'string', default: '45' },
    'operator-kills': { type: 'string', default: '100' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(`npm run soak -- [--seed N] [--kills N] [--releases N] [--minutes N] [--operator-kills N] [--api real|embedded]

Kills fluxd so many times, and lets so many releases lose a race against a hostile writer, within so many minutes;
then looks whether a commit was lost, doubled or left half done. Then kills the Helm operator so many times while helm
is at work, and looks whether every release ends as Git says, and no password anywhere. Either with 0 is left out.`)
  process.exit(0)
}

const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32))
const again = `npm run soak -- --seed ${seed} --kills ${values.kills} --releases ${values.releases} --minutes ${values.minutes} --operator-kills ${values['operator-kills']} --api ${values.api}`
console.log(`seed ${seed}`)
endWhenTold()

if (values.kills !== '0') await killFluxd()
if (values['operator-kills'] !== '0') killOperator()

async function killFluxd(): Promise<void> {
  using programs = await buildPrograms()
  const report = await soak({
    seed,
    api: values.api === 'embedded' ? 'embedded' : 'real',
    kills: Number(values.kills),
    races: Number(values.releases),
    limitMs: Number(values.minutes) * 60_000,
    programs,
    onProgress: (line) => console.log(line),
  })
  const { violations, log, failures, ...figures } = report
  console.log({ ...figures, failures: Object.fromEntries(failures) })
  if (violations.length > 0) {
    const file = join(tmpdir(), `soak-${seed}.log`)
    writeFileSync(file, log.join('\n'))
    console.log(`${violations.length} things that should never be:\n- ${violations.join('\n- ')}`)
    console.log(`\nWhat fluxd said: ${file}\nAgain: ${again}`)
    process.exitCode = 1
  } else {
    console.log('Nothing was lost, doubled or left half done.')
  }
}

/** As the test among the others does it, for longer. */
function killOperator(): void {
  const project = values.api === 'embedded' ? 'playground' : 'real'
  const words = ['run', '--project', project, 'test/cluster/helm/kill.test.ts']
  const env = {
    ...process.env,
    FLUXCTL_HELM_KILLS: values['operator-kills'],
    FLUXCTL_HELM_SEED: String(seed),
  }
  const { status } = spawnSync(process.execPath, ['node_modules/vitest/vitest.mjs', ...words], {
    env,
    stdio: 'inherit',
  })
  if (status === 0) return
  console.log(`\nAgain: ${again}`)
  process.exitCode = 1
}
