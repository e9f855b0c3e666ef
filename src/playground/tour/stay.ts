import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bootstrap } from './bootstrap.ts'
import type { Programs } from './programs.ts'
import { imageRepository } from './repository.ts'
import { quoteForShell, workload } from './stage.ts'
import { startWorld, type TourWorld } from './world.ts'

/** A world that stays up, for people after the tour, and for scripts and tests. */

/** Nobody forgets a world for longer. */
const longestMs = 8 * 60 * 60 * 1000

export interface ServeOptions {
  programs: Programs
  out: (text: string) => void
  /** a folder for its state */
  state: string
  kubeconfig?: string | undefined
  signal: AbortSignal
}

/** Bring a world up, with fluxd and the first commit applied; say `ready`; stay until the signal. */
export async function serveWorld(options: ServeOptions): Promise<void> {
  const { out, signal } = options
  const world = await startWorld({ ...options, colour: false })
  try {
    await bootstrap(world, signal)
    await writeAccess(world, options.programs)
    out('ready\n')
    await aborted(signal)
  } finally {
    await world.close()
  }
}

/** Say how to go on by hand, and wait until the person has had enough. */
export async function linger(
  world: TourWorld,
  { programs, out, signal }: { programs: Programs; out: (text: string) => void; signal: AbortSignal },
): Promise<void> {
  const { cluster, git, ssh, registry, front } = world
  const file = await writeAccess(world, programs)
  const open = [
    ['Kubernetes API', cluster.server],
    ['fluxd', new URL(front.url).origin],
    ['Git', git.openUrl],
    ...(ssh ? [['Git by SSH', ssh.url]] : []),
    ['registry', `http://${registry.host}`],
  ]
  const width = Math.max(...open.map(([name = '']) => name.length))
  out(
    `
Go on by hand, in another terminal:

  . ${quoteForShell(file)}
  fluxctl list-workloads -n demo
  git clone "$GIT_URL" config && cd config
  fluxctl demo push ${imageRepository}:3.1.8
  fluxctl release --workload=${workload} --update-all-images
  kubectl get pods -n demo

That file sets KUBECONFIG, FLUX_URL, GIT_URL, REGISTRY and DOCKER_CONFIG, with the passwords of this world, and puts
fluxctl on the PATH. kubectl, docker and Git work as they do elsewhere, if you have them.

It listens on this machine alone, for as long as this runs:

${open.map(([name = '', url]) => `  ${name.padEnd(width)}  ${url}\n`).join('')}
Ctrl-C ends it and takes all of it away; so do 8 hours.
`,
  )
  await aborted(AbortSignal.any([signal, AbortSignal.timeout(longestMs)]))
}

/** @returns the file that a shell reads; it is there when it is whole */
async function writeAccess({ folder, access }: TourWorld, { fluxctl }: Programs): Promise<string> {
  const file = join(folder, 'env')
  const programs = join(folder, 'bin')
  const quoted = (value: string) => `'${value.replaceAll("'", "'\\''")}'`
  await mkdir(programs)
  await writeFile(
    join(programs, 'fluxctl'),
    `#!/bin/sh\nexec ${quoted(process.execPath)} ${quoted(fluxctl)} "$@"\n`,
    { mode: 0o700 },
  )
  const lines = Object.entries(access).map(([name, value]) => `export ${name}=${quoted(value)}\n`)
  lines.push(`export PATH=${quoted(programs)}:"$PATH"\n`)
  await writeFile(`${file}.new`, lines.join(''), { mode: 0o600 })
  await rename(`${file}.new`, file)
  return file
}

/** The open servers keep the process alive. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
