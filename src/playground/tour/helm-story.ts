import { type JsonValue, valueAt } from '../../core/json.ts'
import { chartFiles, environments, helmFiles } from './helm-files.ts'
import { imageRepository } from './repository.ts'
import type { Stage } from './stage.ts'
import { installFluxd, type Scene } from './story.ts'

/** The second half of the story, where there is a helm: releases of a chart, by Git as well. */
export const helmStory: readonly Scene[] = [
  {
    title: 'Charts, the same way',
    about:
      'A chart is in Git, and a HelmRelease for each of dev, staging and production. fluxd applies those; the Helm operator turns\neach into a release, by the helm that is on this machine.',
    async play(stage) {
      const { world, command, fluxctl, write, check } = stage
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
      await startOperator(stage)
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

/** The end of the story, where the cluster is ours to lose. */
export const disasterRecovery: Scene = {
  title: 'Disaster, and back',
  about:
    'The whole cluster is lost, with fluxd, its key and the operator. An empty one takes its place; Git is all there is to go by.',
  async play(stage) {
    const { world, command, fluxctl, check, head, synced, checkRuns } = stage
    await world.replaceCluster?.()
    await command('helm', ['list', '--all-namespaces'])
    await check(`the cluster at ${world.cluster.server} has no namespace of ours`, async () => {
      const { status } = await world.cluster.request('GET', '/api/v1/namespaces/demo')
      return status === 404
    })
    await installFluxd(stage)
    await startOperator(stage)
    await fluxctl(['sync'])
    await check('the tag flux-sync marks the newest commit', async () => (await synced()) === (await head()))
    await checkRuns('3.1.6')
    for (const { release } of environments) await checkRelease(stage, release, 1, 'podinfo-0.1.0')
    const workloads = await fluxctl(['list-workloads', '--namespace=dev'])
    await check('dev runs the image that automation had committed', () =>
      /^dev:deployment\/podinfo-dev .*:dev-2 /m.test(workloads),
    )
  },
}

async function startOperator({ world, show }: Stage): Promise<void> {
  show(`$ helm-operator ${world.operatorArgs.join(' ')} &`)
  await world.startOperator()
}

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
