import { tmpdir } from 'node:os'
import { FluxError, messageOf } from '../../core/errors.ts'
import { type JsonValue, valueAt } from '../../core/json.ts'
import { ask } from '../ask.ts'
import { disasterRecovery, helmStory } from './helm-story.ts'
import { canUseHelm, type Programs } from './programs.ts'
import { createScreen, type Screen } from './screen.ts'
import { createStage } from './stage.ts'
import { linger } from './stay.ts'
import { story } from './story.ts'
import { startWorld, type TourWorld } from './world.ts'

/**
 * The story of `fluxctl demo`: Git becomes a cluster, a command becomes a commit, and what does not belong is refused or
 * repaired. Each claim is checked where it would show: in Git, in the cluster, in what a command said.
 */
export interface TourOptions {
  programs: Programs
  out: (text: string) => void
  colour: boolean
  /** whether the world stays when the story is told, for whoever wants to try more */
  stay: boolean
  /** a folder for its state */
  state?: string | undefined
  /** a real API server in the place of the playground's */
  kubeconfig?: string | undefined
  /** ends the tour, and its world, early */
  signal: AbortSignal
}

/** @throws FluxError `DEMO_CHECK_FAILED` when something does not come out as told; `DEMO_REFUSED`; the signal's reason */
export async function runTour(options: TourOptions): Promise<void> {
  const { programs, out, colour, signal } = options
  const startedMs = performance.now()
  let world: TourWorld | undefined
  const hasHelm = await canUseHelm(tmpdir(), signal)
  const helmScenes = options.kubeconfig === undefined ? [...helmStory, disasterRecovery] : helmStory
  const scenes = hasHelm ? [...story, ...helmScenes] : story
  const clues = () => {
    const logs = [world?.fluxdLog(), world?.operatorLog()]
    return logs
      .map((log = '') => log.trimEnd().split('\n').slice(-10).join('\n'))
      .join('\n')
      .trim()
  }
  const screen = createScreen({ steps: scenes.length + 1, out, colour, signal, clues })
  try {
    screen.step(
      'A world',
      `${options.kubeconfig ? 'A' : 'A Kubernetes API, a'} Git server and an image registry start on this machine, for this machine only.`,
    )
    world = await startWorld(options)
    await checkWorld(world, screen)

    const stage = createStage(screen, world, programs)
    for (const { title, about, play } of scenes) {
      screen.step(title, typeof about === 'string' ? about : about(stage))
      await play(stage)
    }
    const seconds = Math.ceil((performance.now() - startedMs) / 1000)
    if (!hasHelm) out(withoutHelm(helmScenes.length))
    out(`\nAll ${scenes.length + 1} steps came out as told, in ${seconds} s.`)
    if (options.stay) {
      out('\n')
      await linger(world, { programs, out, signal })
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof FluxError) throw error
    throw new FluxError('DEMO_CHECK_FAILED', {
      what: 'the demo can not go on',
      // a program that ended has said its last words already
      why: messageOf(error).includes('\n')
        ? messageOf(error)
        : [messageOf(error), clues()].join('\n\n').trim(),
      next: 'Run it again. If it ends the same way, please report it with all of the above.',
      cause: error,
    })
  } finally {
    await world?.close()
  }
  out(`${options.stay ? '\n' : ' '}Nothing of that world is left on this machine.\n`)
}

const withoutHelm = (steps: number) => `
Left out are ${steps} steps with Helm charts: there is no helm 3.17 or newer on the PATH (https://helm.sh/docs/intro/install).
`

async function checkWorld(
  { cluster, git, ssh, registry, front }: TourWorld,
  { check }: Screen,
): Promise<void> {
  const { body } = await cluster.request('GET', '/version')
  const version = String(valueAt(body as JsonValue, 'gitVersion'))
  await check(`Kubernetes ${version} is ready at ${cluster.server}`, async () => {
    const { status } = await cluster.request('GET', '/readyz')
    return status === 200
  })
  const closed: [string, string][] = [
    [
      `Git answers at ${git.openUrl}${ssh ? `, and at ${ssh.url}` : ''}`,
      `${git.openUrl}/info/refs?service=git-upload-pack`,
    ],
    [`the registry answers at ${registry.host}`, `http://${registry.host}/v2/`],
    [`fluxd's API will answer at ${new URL(front.url).host}`, `http://${new URL(front.url).host}/api/flux`],
  ]
  for (const [what, url] of closed) {
    await check(`${what}, and asks for a password`, async () => (await ask(url)).status === 401)
  }
}
