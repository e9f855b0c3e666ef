import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isJsonObject, type JsonValue, valueAt } from '../../core/json.ts'
import { brokenFile, firstFiles } from './repository.ts'
import { createScreen } from './screen.ts'
import { type Programs, startWorld, type TourWorld } from './world.ts'

/**
 * The story of `fluxctl demo`: Git becomes a cluster, a command becomes a commit, and what does not belong is refused or
 * repaired. Nothing is claimed that was not checked: in Git, in the cluster, in what a command said.
 */
export interface TourOptions {
  programs: Programs
  out: (text: string) => void
  colour: boolean
  /** ends the tour, and its world, early */
  signal: AbortSignal
}

const workload = 'demo:deployment/podinfo'
const deploymentPath = '/apis/apps/v1/namespaces/demo/deployments/podinfo'
const steps = 11
const dayMs = 24 * 60 * 60 * 1000

/** @throws FluxError `DEMO_CHECK_FAILED` when something does not come out as told */
export async function runTour({ programs, out, colour, signal }: TourOptions): Promise<void> {
  const startedMs = performance.now()
  let world: TourWorld | undefined
  const clues = () => world?.fluxdLog().trimEnd().split('\n').slice(-10).join('\n') ?? ''
  const { step, run, quote, check, note } = createScreen({ steps, out, colour, signal, clues })

  try {
    step(
      'A world',
      'A Kubernetes control plane, a Git server and an image registry start on this machine, reachable from nowhere else.',
    )
    const made = (daysAgo: number) => new Date(Date.now() - daysAgo * dayMs).toISOString()
    world = await startWorld({
      programs,
      images: {
        'example/podinfo': { '3.1.0': made(40), '3.1.4': made(16), '3.1.5': made(2) },
        'example/fluxd': { demo: made(1) },
      },
      colour,
      signal,
    })
    const { kube, git, registry, person } = world
    const image = (tag: string) => `${registry.host}/example/podinfo:${tag}`
    const version = await kube.request('GET', '/version')
    note(`Kubernetes ${textAt(version.body, 'gitVersion')} answers at ${kube.server}, with one node`)
    note(`Git answers at ${git.openUrl}`)
    note(`the registry ${registry.host} has example/podinfo in versions 3.1.0, 3.1.4 and 3.1.5`)

    /** A command of the person's, in their clone. */
    const command = (file: string, args: readonly string[], rest: { exitCode?: number } = {}) => {
      const own =
        file === 'fluxctl' ? { file: process.execPath, args: [programs.fluxctl, ...args] } : { file, args }
      const shown = [file, ...args.map(quoteForShell)].join(' ')
      return run(shown, { ...own, env: person.env, cwd: person.clone, ...rest })
    }
    const fluxctl = (args: readonly string[], rest?: { exitCode?: number }) =>
      command('fluxctl', ['--k8s-fwd-ns=flux', ...args], rest)
    const head = () => git.git('rev-parse', 'refs/heads/main')
    const synced = () => git.git('rev-parse', 'refs/tags/flux-sync^{commit}')
    const writeFiles = async (files: Record<string, string>) => {
      for (const [path, text] of Object.entries(files)) {
        const file = join(person.clone, path)
        await mkdir(dirname(file), { recursive: true })
        await writeFile(file, text)
      }
    }
    const request = async (method: string, path: string, body: unknown, headers = {}) => {
      quote(`> ${method} ${path}`)
      const reply = await kube.request(method, path, body, headers)
      quote(`< ${reply.status}`)
      if (reply.status >= 300) throw new Error(`the API server refused: ${JSON.stringify(reply.body)}`)
    }
    const deployment = async () => (await kube.request('GET', deploymentPath)).body as JsonValue
    const runs = async (tag: string, replicas: number) => {
      const object = await deployment()
      return (
        textAt(object, 'spec', 'template', 'spec', 'containers', 0, 'image') === image(tag) &&
        isRolledOut(object, replicas)
      )
    }

    step(
      'A repository',
      'What shall run is written down and pushed: a namespace, and a Deployment of two pods.',
    )
    await command('git', ['clone', '--quiet', git.openUrl, '.'])
    await writeFiles(firstFiles(image('3.1.0')))
    await command('cat', ['workloads/podinfo.yaml'])
    await command('git', ['add', '.'])
    await command('git', ['commit', '--quiet', '--message=podinfo 3.1.0'])
    await command('git', ['push', '--quiet', 'origin', 'main'])
    const first = await head()
    await check(`the branch main of the server is at ${short(first)}`, async () =>
      (await readFile(join(person.clone, '.git/refs/heads/main'), 'utf8')).startsWith(first),
    )

    step(
      'fluxd',
      'One fluxd looks after the repository. Here it runs outside the cluster; a port-forward to its pod leads to it all the same.',
    )
    await request('POST', '/api/v1/namespaces', { metadata: { name: 'flux' } })
    await request('POST', '/apis/apps/v1/namespaces/flux/deployments', fluxdDeployment(registry.host))
    const fluxdArgs = [
      `--git-url=${git.openUrl}`,
      '--git-branch=main',
      `--registry-insecure-host=${registry.host}`,
    ]
    quote(`$ fluxd ${fluxdArgs.join(' ')} &`)
    await world.startFluxd(fluxdArgs)
    await check('the pod of fluxd is ready', async () => {
      const { body } = await kube.request('GET', '/apis/apps/v1/namespaces/flux/deployments/flux')
      return isRolledOut(body as JsonValue, 1)
    })
    await check('fluxd has cloned the repository, and may push to it', () =>
      /event=refreshed/.test(world?.fluxdLog() ?? ''),
    )

    step('First sync', 'fluxd applies what the repository says; `sync` waits until that is done.')
    await fluxctl(['sync'])
    await check(`the tag flux-sync marks ${short(first)} as applied`, async () => (await synced()) === first)
    await check('two pods run podinfo 3.1.0 and are ready', () => runs('3.1.0', 2))

    step(
      'What runs, and what could run',
      'fluxd knows the workloads from the cluster and the images from the registry.',
    )
    const workloads = await fluxctl(['list-workloads', '--namespace=demo'])
    await check(`the list has ${workload} as ready`, () =>
      workloads.split('\n').some((line) => line.startsWith(`${workload} `) && / ready\b/.test(line)),
    )
    const images = await fluxctl(['list-images', `--workload=${workload}`])
    await check('3.1.5 is newer than what runs', () => {
      const tags = images.split('\n').flatMap((line) => / (3\.1\.\d)\b/.exec(line)?.[1] ?? [])
      return tags.includes('3.1.5') && tags.indexOf('3.1.5') < tags.lastIndexOf('3.1.0')
    })

    step(
      'A release',
      'A release is a commit: fluxd changes the image where Git names it, pushes, and applies.',
    )
    await fluxctl([
      'release',
      `--workload=${workload}`,
      `--update-image=${image('3.1.5')}`,
      '--message=try the new version',
    ])
    const released = await head()
    await check(
      'the branch has one commit more',
      async () => (await git.git('rev-parse', `${released}^`)) === first,
    )
    await command('git', ['pull', '--quiet'])
    await command('git', ['show', '--format=medium'])
    await check('the commit changes one line', async () => {
      const numbers = await git.git('show', '--numstat', '--format=', released)
      return numbers === '1\t1\tworkloads/podinfo.yaml'
    })
    await check('the comment on that line is still there', async () =>
      (await git.git('show', `${released}:workloads/podinfo.yaml`)).includes(
        `${image('3.1.5')}  # kept in step`,
      ),
    )

    step('Rolled out', 'The Deployment replaces its pods.')
    await check(
      `the tag flux-sync marks ${short(released)} as applied`,
      async () => (await synced()) === released,
    )
    await check('two pods run podinfo 3.1.5 and are ready', () => runs('3.1.5', 2))
    await fluxctl(['list-workloads', '--namespace=demo'])

    step('A lock', 'Whoever locks a workload stops its releases, and says why.')
    await fluxctl(['lock', `--workload=${workload}`, '--message=we are on holiday'])
    const locked = await head()
    const refused = ['release', `--workload=${workload}`, `--update-image=${image('3.1.4')}`]
    await fluxctl(refused, { exitCode: 1 })
    note('the release ended with exit code 1')
    const why = await fluxctl([...refused, '--dry-run', '--verbose'])
    await check('the reason is given: locked', () => / skipped .*locked/.test(why))
    await check(
      'nothing was committed, and 3.1.5 goes on running',
      async () => (await head()) === locked && (await runs('3.1.5', 2)),
    )
    await fluxctl(['unlock', `--workload=${workload}`])

    step('A change by hand', 'Somebody takes all pods away, past Git. The next sync puts back what Git says.')
    await request(
      'PATCH',
      `${deploymentPath}?fieldManager=somebody`,
      { spec: { replicas: 0 } },
      {
        'content-type': 'application/merge-patch+json',
      },
    )
    await check('no pod is left', async () => isRolledOut(await deployment(), 0))
    await fluxctl(['sync'])
    await check('two pods run podinfo 3.1.5 and are ready', () => runs('3.1.5', 2))

    step(
      'A broken manifest',
      'Somebody pushes a file that nobody can read. fluxd says where, and changes nothing.',
    )
    await command('git', ['pull', '--quiet'])
    const sound = await head()
    await writeFiles({ [brokenFile.path]: brokenFile.text })
    await command('git', ['add', '.'])
    await command('git', ['commit', '--quiet', '--message=a cache'])
    await command('git', ['push', '--quiet', 'origin', 'main'])
    await fluxctl(['sync', '--timeout=2s'], { exitCode: 1 })
    const at = `${brokenFile.path}:${brokenFile.line}`
    await check(`fluxd's log names ${at}`, () => logLine(world, at) !== undefined)
    quote(logLine(world, at) ?? '')
    await check(`the tag flux-sync stays at ${short(sound)}`, async () => (await synced()) === sound)
    await check('two pods run podinfo 3.1.5 and are ready', () => runs('3.1.5', 2))

    step('Undo', 'Undoing is Git’s own business: revert the broken commit, and the release as well.')
    await command('git', ['revert', '--no-edit', 'HEAD'])
    await command('git', ['revert', '--no-edit', short(released)])
    await command('git', ['push', '--quiet', 'origin', 'main'])
    await fluxctl(['sync'])
    const last = await head()
    await check(`the tag flux-sync marks ${short(last)} as applied`, async () => (await synced()) === last)
    await check('two pods run podinfo 3.1.0 and are ready', () => runs('3.1.0', 2))
    await command('git', ['log', '--oneline'])
  } finally {
    await world?.close()
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0)
  out(
    `\nAll ${steps} steps came out as told, in ${seconds} s. Nothing of this world is left on your machine.\n`,
  )
  out('Your own cluster: `fluxctl --help` tells how to connect, `fluxd --help` how to run fluxd.\n')
}

/** The pods that stand for fluxd; kwok plays them. */
function fluxdDeployment(registry: string) {
  const labels = { app: 'flux' }
  return {
    metadata: { name: 'flux' },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            { name: 'flux', image: `${registry}/example/fluxd:demo`, ports: [{ containerPort: 3030 }] },
          ],
        },
      },
    },
  }
}

/** Whether the controllers have caught up, and all pods are new, ready and no more than wanted. */
function isRolledOut(deployment: JsonValue, replicas: number): boolean {
  const status = valueAt(deployment, 'status')
  const count = (key: string) => Number(isJsonObject(status) ? (status[key] ?? 0) : 0)
  return (
    valueAt(deployment, 'spec', 'replicas') === replicas &&
    count('observedGeneration') === valueAt(deployment, 'metadata', 'generation') &&
    [count('replicas'), count('updatedReplicas'), count('readyReplicas')].every((n) => n === replicas)
  )
}

function textAt(value: unknown, ...path: (string | number)[]): string {
  return String(valueAt(value as JsonValue, ...path))
}

function logLine(world: TourWorld | undefined, text: string): string | undefined {
  return world
    ?.fluxdLog()
    .split('\n')
    .find((line) => line.includes(text))
}

function short(revision: string): string {
  return revision.slice(0, 7)
}

function quoteForShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
