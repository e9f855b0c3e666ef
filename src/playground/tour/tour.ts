import { FluxError, messageOf } from '../../core/errors.ts'
import { valueAt } from '../../core/json.ts'
import { createScreen, type Screen } from './screen.ts'
import { createStage, imageRepository, statusOf } from './stage.ts'
import { story } from './story.ts'
import { type Programs, startWorld, type TourWorld } from './world.ts'

/**
 * The story of `fluxctl demo`: Git becomes a cluster, a command becomes a commit, and what does not belong is refused or
 * repaired. Each claim is checked where it would show: in Git, in the cluster, in what a command said.
 */
export interface TourOptions {
  programs: Programs
  out: (text: string) => void
  colour: boolean
  /** ends the tour, and its world, early */
  signal: AbortSignal
}

const dayMs = 24 * 60 * 60 * 1000

/** @throws FluxError `DEMO_CHECK_FAILED` when something does not come out as told; the signal's reason */
export async function runTour({ programs, out, colour, signal }: TourOptions): Promise<void> {
  const startedMs = performance.now()
  const steps = story.length + 1
  let world: TourWorld | undefined
  const clues = () => world?.fluxdLog().trimEnd().split('\n').slice(-10).join('\n') ?? ''
  const screen = createScreen({ steps, out, colour, signal, clues })
  try {
    screen.step(
      'A world',
      'A Kubernetes control plane, a Git server and an image registry start on this machine, for this machine only.',
    )
    world = await startWorld({ programs, images: imagesAt(Date.now()), colour, signal })
    await checkWorld(world, screen)

    const stage = createStage(screen, world, programs)
    for (const { title, about, play } of story) {
      screen.step(title, about)
      await play(stage)
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof FluxError) throw error
    throw new FluxError('DEMO_CHECK_FAILED', {
      what: 'the demo can not go on',
      why: [messageOf(error), clues()].filter(Boolean).join('\n\n'),
      next: 'Run it again. If it ends the same way, please report it with all of the above.',
      cause: error,
    })
  } finally {
    await world?.close()
  }
  const seconds = Math.ceil((performance.now() - startedMs) / 1000)
  out(
    `\nAll ${steps} steps came out as told, in ${seconds} s. Nothing of that world is left on this machine.\n` +
      '`fluxctl --help` tells how to connect to a fluxd of your own, `fluxd --help` how to run one.\n',
  )
}

function imagesAt(nowMs: number): Record<string, Record<string, string>> {
  const daysAgo = (days: number) => new Date(nowMs - days * dayMs).toISOString()
  return {
    [imageRepository]: { '3.1.0': daysAgo(40), '3.1.4': daysAgo(16), '3.1.5': daysAgo(2) },
    'example/fluxd': { demo: daysAgo(1) },
  }
}

async function checkWorld({ kube, git, registry }: TourWorld, { check }: Screen): Promise<void> {
  const { body } = await kube.request('GET', '/version')
  const version = valueAt(body as { gitVersion: string }, 'gitVersion')
  await check(`Kubernetes ${version} is ready at ${kube.server}`, async () => {
    const { status } = await kube.request('GET', '/readyz')
    return status === 200
  })
  await check(
    `Git answers at ${git.openUrl}, and asks for a password`,
    async () => (await statusOf(`${git.openUrl}/info/refs?service=git-upload-pack`)) === 401,
  )
  await check(
    `the registry at ${registry.host} has ${imageRepository}:3.1.5`,
    async () => (await statusOf(`http://${registry.host}/v2/${imageRepository}/manifests/3.1.5`)) === 200,
  )
}
