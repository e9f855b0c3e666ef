import { ask } from '../ask.ts'
import { fluxdObjects } from './bootstrap.ts'
import { brokenFile, firstFiles, imageRepository } from './repository.ts'
import { type Stage, short, workload, workloadPath } from './stage.ts'

/** A step of the tour, once the world stands. It throws where something is not as told. */
export interface Scene {
  title: string
  /** a sentence or two about what is going to happen */
  about: string | ((stage: Stage) => string)
  play(stage: Stage): Promise<void>
}

const fluxdPath = '/apis/apps/v1/namespaces/flux/deployments/flux'
const podinfoFile = 'workloads/podinfo.yaml'

export const story: readonly Scene[] = [
  {
    title: 'A repository',
    about: 'What shall run is written down and pushed: a namespace, and a Deployment of two pods.',
    async play({ world, command, write, check, image, head }) {
      await command('git', ['clone', '--quiet', world.git.openUrl, '.'])
      await write(firstFiles(image('3.1.0')))
      await command('cat', [podinfoFile])
      await command('git', ['add', '.'])
      await command('git', ['commit', '--quiet', '-m', 'podinfo 3.1.0'])
      await command('git', ['push', '--quiet', 'origin', 'main'])
      const pushed = (await command('git', ['rev-parse', 'HEAD'])).trim()
      await check('the server has that commit', async () => (await head()) === pushed)
    },
  },
  {
    title: 'fluxd, and its key',
    about: ({ world: { ssh } }) =>
      ssh
        ? 'fluxd is to look after the repository. It makes an SSH key, and changes nothing until Git lets that key in.'
        : 'fluxd is to look after the repository. There is no working ssh on this machine, so it uses HTTP and a password;\nwith SSH it would make a key of its own, for you to let in.',
    async play(stage) {
      await installFluxd(stage)
    },
  },
  {
    title: 'First sync',
    about: 'fluxd applies what the repository says; `sync` waits for it.',
    async play({ fluxctl, check, head, synced, checkRuns }) {
      await fluxctl(['sync'])
      await check('the tag flux-sync marks the commit', async () => (await synced()) === (await head()))
      await checkRuns('3.1.0')
    },
  },
  {
    title: 'What runs, and what could run',
    about: 'fluxd knows the workloads from the cluster, and the images from the registry.',
    async play({ fluxctl, check }) {
      const workloads = await fluxctl(['list-workloads', '--namespace=demo'])
      await check(`${workload} is there`, () => workloads.includes(`\n${workload} `))
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
        return numbers === `1\t1\t${podinfoFile}`
      })
      await check('the comment on that line is still there', async () => {
        const text = await git.git('show', `main:${podinfoFile}`)
        return text.includes(`image: ${image('3.1.5')}  # kept in step with the cluster\n`)
      })
    },
  },
  {
    title: 'Rolled out',
    about: 'The cluster follows the commit, and replaces the pods.',
    async play({ fluxctl, check, head, synced, checkRuns }) {
      await check('the tag flux-sync marks the commit', async () => (await synced()) === (await head()))
      await checkRuns('3.1.5')
      await fluxctl(['list-workloads', '--namespace=demo'])
    },
  },
  {
    title: 'Automation',
    about: 'From now on fluxd shall release new images by itself, but only patches of 3.1.',
    async play({ world: { git }, fluxctl, check, synced, head }) {
      await fluxctl(['policy', `--workload=${workload}`, '--tag-all=semver:~3.1'])
      await fluxctl(['automate', `--workload=${workload}`])
      await check('both stand in Git, as annotations', async () => {
        const text = await git.git('show', `main:${podinfoFile}`)
        return /fluxcd.io\/automated: ['"]true['"]/.test(text) && text.includes('semver:~3.1')
      })
      await check('the cluster has them', async () => (await synced()) === (await head()))
      const workloads = await fluxctl(['list-workloads', '--namespace=demo'])
      await check('the workload is listed as automated', () => / automated *$/m.test(workloads))
    },
  },
  {
    title: 'A new image',
    about: 'Two images are pushed, as a CI system would. The registry tells fluxd, and fluxd commits.',
    async play({ fluxctl, command, check, head, subject, synced, image, checkRuns }) {
      await fluxctl(['demo', 'push', `${imageRepository}:3.2.0`])
      await fluxctl(['demo', 'push', `${imageRepository}:3.1.6`])
      await check(
        'fluxd has committed 3.1.6',
        async () => (await subject()) === `Auto-release ${image('3.1.6')}`,
      )
      await command('git', ['pull', '--quiet'])
      await command('git', ['show'])
      await check('the cluster has it', async () => (await synced()) === (await head()))
      await checkRuns('3.1.6')
      const images = await fluxctl(['list-images', `--workload=${workload}`])
      await check('3.2.0 is known, and not released: it is no patch of 3.1', () =>
        /^ *\| +3\.2\.0 [\s\S]*^ *'-> 3\.1\.6 /m.test(images),
      )
    },
  },
  {
    title: 'A lock',
    about: 'Whoever locks a workload stops its releases, those of automation too.',
    async play(stage) {
      const { world, fluxctl, check, note, image, head, subject, synced, checkRuns } = stage
      await fluxctl(['lock', `--workload=${workload}`, '--message=we are on holiday'])
      const locked = await head()
      await check('the cluster has it', async () => (await synced()) === locked)
      await fluxctl(['demo', 'push', `${imageRepository}:3.1.7`])
      await check('fluxd knows of 3.1.7', () => knowsOf('3.1.7', stage))
      await fluxctl(['release', `--workload=${workload}`, `--update-image=${image('3.1.7')}`], {
        exitCode: 1,
      })
      note('the release ended with exit code 1')
      const plan = await fluxctl([
        'release',
        `--workload=${workload}`,
        '--update-all-images',
        '--dry-run',
        '-v',
      ])
      await check('the plan tells why: locked', () => / skipped +locked/.test(plan))
      await check('nothing was committed', async () => (await head()) === locked)
      await checkRuns('3.1.6')
      await fluxctl(['unlock', `--workload=${workload}`])
      await check(
        'automation has gone on: it has committed 3.1.7',
        async () => (await subject()) === `Auto-release ${image('3.1.7')}`,
      )
      await check('the lock is gone from Git', async () => {
        const text = await world.git.git('show', `main:${podinfoFile}`)
        return !text.includes('locked')
      })
      await checkRuns('3.1.7')
    },
  },
  {
    title: 'A change by hand',
    about: 'Somebody takes all pods away, past Git; the next sync puts back what Git says.',
    async play({ request, fluxctl, check, isRolledOut, checkRuns }) {
      const headers = { 'content-type': 'application/merge-patch+json' }
      await request('PATCH', `${workloadPath}?fieldManager=somebody`, { spec: { replicas: 0 } }, headers)
      await check('no pod is left', () => isRolledOut(workloadPath, 0))
      await fluxctl(['sync'])
      await checkRuns('3.1.7')
    },
  },
  {
    title: 'A broken manifest',
    about: 'Somebody pushes a file that nobody can read; fluxd says where, and leaves alone what runs.',
    async play({ world, command, fluxctl, write, show, check, head, synced, checkRuns }) {
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
      await checkRuns('3.1.7')
      await command('git', ['revert', '--no-edit', 'HEAD'])
      await command('git', ['push', '--quiet', 'origin', 'main'])
      await fluxctl(['sync'])
      await check('the repository is sound again', async () => (await synced()) === (await head()))
    },
  },
  {
    title: 'Undo',
    about:
      'Git undoes what Git did. Automation is taken off first, or it would release the same image again.',
    async play({ command, fluxctl, check, head, synced, image, checkRuns }) {
      await fluxctl(['deautomate', `--workload=${workload}`])
      await command('git', ['pull', '--quiet'])
      await command('git', ['revert', '--no-edit', `:/^Auto-release ${image('3.1.7')}`])
      await command('git', ['push', '--quiet', 'origin', 'main'])
      await fluxctl(['sync'])
      await check('the tag flux-sync marks the revert', async () => (await synced()) === (await head()))
      await checkRuns('3.1.6')
      await command('git', ['log', '--oneline'])
    },
  },
]

/** fluxd comes into an empty cluster, and Git lets it in. */
export async function installFluxd(stage: Stage): Promise<void> {
  const { world, request, show, check, isRolledOut } = stage
  for (const { path, body } of fluxdObjects(world)) await request('POST', path, body)
  show(`$ fluxd ${world.fluxdArgs.join(' ')} &`)
  await world.startFluxd()
  if (world.cluster.forwards) {
    await check('its pod is ready, and a port-forward leads to it', () => isRolledOut(fluxdPath, 1))
    show('$ export FLUX_FORWARD_NAMESPACE=flux')
  }
  if (world.ssh) await letKeyIn(stage)
  await check('fluxd has cloned the repository, and may push to it', () =>
    world.fluxdLog().includes(' event=refreshed '),
  )
}

/** A person takes fluxd's key to the Git server. */
async function letKeyIn({ world, fluxctl, show, check }: Stage): Promise<void> {
  await check('Git refuses the key, for it does not know it yet', () =>
    world.fluxdLog().includes('GIT_KEY_REFUSED'),
  )
  const [, key = ''] = /^(\S+ AAAA\S+)/m.exec(await fluxctl(['identity'])) ?? []
  const keys = new URL('/keys', world.git.url)
  const body = { title: 'fluxd', key, read_only: false }
  show(`> POST ${new URL('/keys', world.git.openUrl)}\n> ${JSON.stringify(body)}`)
  const { status, text } = await ask(keys, { method: 'POST', body: JSON.stringify(body) })
  show(`< ${status}`)
  if (status >= 300) throw new Error(text)
}

/** Whether fluxd has seen this tag at the registry. */
async function knowsOf(tag: string, { world: { front } }: Stage): Promise<boolean> {
  const query = new URLSearchParams({ service: workload, containerFields: '' })
  const { text } = await ask(`${front.url}/v10/images?${query}`)
  return text.includes(`:${tag}"`)
}
