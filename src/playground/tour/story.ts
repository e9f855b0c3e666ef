import { brokenFile, firstFiles } from './repository.ts'
import { type Stage, short, workload, workloadPath } from './stage.ts'

/** A step of the tour, once the world stands. It throws where something is not as told. */
export interface Scene {
  title: string
  /** one sentence about what is going to happen */
  about: string
  play(stage: Stage): Promise<void>
}

const fluxdPath = '/apis/apps/v1/namespaces/flux/deployments/flux'

export const story: readonly Scene[] = [
  {
    title: 'A repository',
    about: 'What shall run is written down and pushed: a namespace, and a Deployment of two pods.',
    async play({ world, command, write, check, image, head }) {
      await command('git', ['clone', '--quiet', world.git.openUrl, '.'])
      await write(firstFiles(image('3.1.0')))
      await command('cat', ['workloads/podinfo.yaml'])
      await command('git', ['add', '.'])
      await command('git', ['commit', '--quiet', '-m', 'podinfo 3.1.0'])
      await command('git', ['push', '--quiet', 'origin', 'main'])
      const pushed = (await command('git', ['rev-parse', 'HEAD'])).trim()
      await check('the server has that commit', async () => (await head()) === pushed)
    },
  },
  {
    title: 'fluxd',
    about:
      'fluxd is to look after the repository. It runs beside the cluster here, and a port-forward to its pod leads to it.',
    async play({ world, request, show, check, isRolledOut }) {
      await request('POST', '/api/v1/namespaces', { metadata: { name: 'flux' } })
      await request('POST', '/apis/apps/v1/namespaces/flux/deployments', fluxdDeployment(world.registry.host))
      const args = [
        `--git-url=${world.git.openUrl}`,
        `--git-branch=${world.git.branch}`,
        `--registry-insecure-host=${world.registry.host}`,
      ]
      show(`$ fluxd ${args.join(' ')} &`)
      await world.startFluxd(args)
      await check('its pod is ready', () => isRolledOut(fluxdPath, 1))
      await check('it has cloned the repository, and may push to it', () =>
        world.fluxdLog().includes(' event=refreshed '),
      )
    },
  },
  {
    title: 'First sync',
    about: 'fluxd applies what the repository says, and `sync` waits for it.',
    async play({ world, fluxctl, check, head, synced, runs }) {
      await fluxctl(['sync'])
      await check('fluxctl came through a port-forward', async () =>
        (await world.kube.auditLog()).some(({ objectRef }) => objectRef?.subresource === 'portforward'),
      )
      await check('the tag flux-sync marks the commit', async () => (await synced()) === (await head()))
      await check('two pods run podinfo 3.1.0 and are ready', () => runs('3.1.0'))
    },
  },
  {
    title: 'What runs, and what could run',
    about: 'fluxd knows the workloads from the cluster, and the images from the registry.',
    async play({ fluxctl, check }) {
      const workloads = await fluxctl(['list-workloads', '--namespace=demo'])
      await check(`${workload} is there and ready`, () =>
        workloads.split('\n').some((line) => line.startsWith(`${workload} `) && / ready\b/.test(line)),
      )
      const images = await fluxctl(['list-images', `--workload=${workload}`])
      await check('3.1.0 is marked as running, below the newer 3.1.5', () =>
        /^ *\| +3\.1\.5 [\s\S]*^ *'-> 3\.1\.0 /m.test(images),
      )
    },
  },
  {
    title: 'A release',
    about: 'A release is a commit: fluxd changes the image where Git names it, and pushes.',
    async play({ world: { git }, fluxctl, command, check, image, head }) {
      const before = await head()
      await fluxctl([
        'release',
        `--workload=${workload}`,
        `--update-image=${image('3.1.5')}`,
        '--message=try the new version',
      ])
      await command('git', ['pull', '--quiet'])
      await command('git', ['show'])
      await check('it is one commit', async () => (await git.git('rev-parse', 'main^')) === before)
      await check('it changes one line', async () => {
        const numbers = await git.git('show', '--numstat', '--format=', 'main')
        return numbers === '1\t1\tworkloads/podinfo.yaml'
      })
      await check('the comment on that line is still there', async () => {
        const text = await git.git('show', 'main:workloads/podinfo.yaml')
        return text.includes(`image: ${image('3.1.5')}  # kept in step with the cluster\n`)
      })
    },
  },
  {
    title: 'Rolled out',
    about: 'The cluster replaces the pods.',
    async play({ fluxctl, check, head, synced, runs }) {
      await check('the tag flux-sync marks the commit', async () => (await synced()) === (await head()))
      await check('two pods run podinfo 3.1.5 and are ready', () => runs('3.1.5'))
      await fluxctl(['list-workloads', '--namespace=demo'])
    },
  },
  {
    title: 'A lock',
    about: 'Whoever locks a workload stops its releases.',
    async play({ world: { git }, fluxctl, check, note, image, head, runs }) {
      await fluxctl(['lock', `--workload=${workload}`, '--message=we are on holiday'])
      const locked = await head()
      const release = ['release', `--workload=${workload}`, `--update-image=${image('3.1.4')}`]
      await fluxctl(release, { exitCode: 1 })
      note('the release ended with exit code 1')
      const plan = await fluxctl([...release, '--dry-run', '--verbose'])
      await check('the plan tells why: locked', () => / skipped +locked/.test(plan))
      await check('nothing was committed', async () => (await head()) === locked)
      await check('two pods run podinfo 3.1.5 and are ready', () => runs('3.1.5'))
      await fluxctl(['unlock', `--workload=${workload}`])
      await check('the lock is gone from Git', async () => {
        const text = await git.git('show', 'main:workloads/podinfo.yaml')
        return !text.includes('locked')
      })
    },
  },
  {
    title: 'A change by hand',
    about: 'Somebody takes all pods away, past Git; the next sync puts back what Git says.',
    async play({ request, fluxctl, check, isRolledOut, runs }) {
      const headers = { 'content-type': 'application/merge-patch+json' }
      await request('PATCH', `${workloadPath}?fieldManager=somebody`, { spec: { replicas: 0 } }, headers)
      await check('no pod is left', () => isRolledOut(workloadPath, 0))
      await fluxctl(['sync'])
      await check('two pods run podinfo 3.1.5 and are ready', () => runs('3.1.5'))
    },
  },
  {
    title: 'A broken manifest',
    about: 'Somebody pushes a file that nobody can read; fluxd says where, and leaves alone what runs.',
    async play({ world, command, fluxctl, write, show, check, synced, runs }) {
      const place = `${brokenFile.path}:${brokenFile.line}`
      const complaint = () =>
        world
          .fluxdLog()
          .split('\n')
          .find((line) => line.includes(place))
      await command('git', ['pull', '--quiet'])
      const sound = await synced()
      await write({ [brokenFile.path]: brokenFile.text })
      await command('cat', [brokenFile.path])
      await command('git', ['add', '.'])
      await command('git', ['commit', '--quiet', '-m', 'a cache'])
      await command('git', ['push', '--quiet', 'origin', 'main'])
      await fluxctl(['sync', '--timeout=2s'], { exitCode: 1 })
      await check(`fluxd's log names file and line, ${place}`, () => complaint() !== undefined)
      show(complaint() ?? '')
      await check(`the tag flux-sync stays at ${short(sound)}`, async () => (await synced()) === sound)
      await check('two pods run podinfo 3.1.5 and are ready', () => runs('3.1.5'))
    },
  },
  {
    title: 'Undo',
    about: 'Git undoes what Git did: the broken commit is reverted, and the release as well.',
    async play({ command, fluxctl, check, head, synced, runs }) {
      await command('git', ['revert', '--no-edit', 'HEAD', ':/^try the new version'])
      await command('git', ['push', '--quiet', 'origin', 'main'])
      await fluxctl(['sync'])
      await check(
        'the tag flux-sync marks the newest commit',
        async () => (await synced()) === (await head()),
      )
      await check('two pods run podinfo 3.1.0 and are ready', () => runs('3.1.0'))
      await command('git', ['log', '--oneline'])
    },
  },
]

/** The pod that stands for fluxd. */
function fluxdDeployment(registry: string) {
  const labels = { app: 'flux' }
  const container = {
    name: 'flux',
    image: `${registry}/example/fluxd:demo`,
    ports: [{ containerPort: 3030 }],
  }
  return {
    metadata: { name: 'flux' },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  }
}
