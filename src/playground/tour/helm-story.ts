import { type JsonValue, valueAt } from '../../core/json.ts'
import { chartFiles, environments, helmFiles } from './helm-files.ts'
import { imageRepository } from './repository.ts'
import type { Stage } from './stage.ts'
import type { Scene } from './story.ts'

/** The second half of the story, where there is a helm: releases of a chart, by Git as well. */
export const helmStory: readonly Scene[] = [
  {
    title: 'Charts, the same way',
    about:
      'A chart is in Git, and a HelmRelease for each of dev, staging and production. fluxd applies those; the Helm operator turns\neach into a release, by the helm that is on this machine.',
    async play(stage) {
      const { world, command, fluxctl, write, show, check } = stage
      const { git, registry } = world
      for (const tag of ['dev-1', 'stg-1']) await fluxctl(['demo', 'push', `${imageRepository}:${tag}`])
      await command('git', ['pull', '--quiet'])
      const crds = await world.helmReleaseCrds()
      await write({
        'crds/helmreleases.yaml': crds,
        ...helmFiles({ gitUrl: git.openUrl, branch: git.branch, registry: registry.host }),
      })
      await command('cat', ['releases/dev.yaml'])
      await command('git', ['add', '.'])
      await command('git', ['commit', '--quiet', '-m', 'podinfo in dev, staging and production'])
      await command('git', ['push', '--quiet', 'origin', 'main'])
      await fluxctl(['sync'])
      show(`$ helm-operator ${world.operatorArgs.join(' ')} &`)
      await world.startOperator()
      for (const { release } of environments) await checkRelease(stage, release, 1, 'podinfo-0.1.0')
      await command('helm', ['list', '--all-namespaces'])
      const workloads = await fluxctl(['list-workloads', '--namespace=prod'])
      await check('fluxctl knows both, the HelmRelease and what came of it', () =>
        ['prod:deployment/podinfo-prod ', 'prod:helmrelease/podinfo-prod '].every((name) =>
          workloads.includes(name),
        ),
      )
    },
  },
  {
    title: 'An image for dev',
    about: 'An image of the branch dev is pushed. It goes to dev, and nowhere else.',
    async play(stage) {
      const { fluxctl, command, check, subject, image } = stage
      await fluxctl(['demo', 'push', `${imageRepository}:dev-2`])
      await check(
        'fluxd has committed it',
        async () => (await subject()) === `Auto-release ${image('dev-2')}`,
      )
      await command('git', ['pull', '--quiet'])
      await command('git', ['show', '-U0'])
      await checkRelease(stage, 'podinfo-dev', 2, 'podinfo-0.1.0')
      await checkRelease(stage, 'podinfo-stg', 1, 'podinfo-0.1.0')
      await checkRelease(stage, 'podinfo-prod', 1, 'podinfo-0.1.0')
    },
  },
  {
    title: 'A new chart, and back',
    about:
      'A change of the chart reaches all three, without a commit of fluxd; a `git revert` takes it back.',
    async play(stage) {
      const { command, write } = stage
      await write(chartFiles('0.2.0', 'debug'))
      await command('git', ['commit', '--quiet', '-a', '-m', 'a chart that says more'])
      await command('git', ['push', '--quiet', 'origin', 'main'])
      await checkRelease(stage, 'podinfo-dev', 3, 'podinfo-0.2.0')
      await checkRelease(stage, 'podinfo-stg', 2, 'podinfo-0.2.0')
      await checkRelease(stage, 'podinfo-prod', 2, 'podinfo-0.2.0')
      await command('git', ['revert', '--no-edit', 'HEAD'])
      await command('git', ['push', '--quiet', 'origin', 'main'])
      await checkRelease(stage, 'podinfo-dev', 4, 'podinfo-0.1.0')
      await checkRelease(stage, 'podinfo-stg', 3, 'podinfo-0.1.0')
      await checkRelease(stage, 'podinfo-prod', 3, 'podinfo-0.1.0')
      await command('helm', ['history', 'podinfo-prod', '--namespace=prod'])
    },
  },
]

/** Wait until helm's own record says which revision of a release is deployed, and of which chart. */
async function checkRelease(stage: Stage, release: string, revision: number, chart: string): Promise<void> {
  const environment = environments.find((each) => each.release === release)
  await stage.check(`${release} is deployed, revision ${revision}, chart ${chart}`, async () => {
    const { output } = await stage.ask('helm', [
      'list',
      `--namespace=${environment?.namespace}`,
      '-o',
      'json',
    ])
    const [first]: JsonValue[] = JSON.parse(output)
    const has = (key: string) => first !== undefined && valueAt(first, key)
    return has('status') === 'deployed' && has('revision') === String(revision) && has('chart') === chart
  })
}
