import { randomBytes } from 'node:crypto'
import { existsSync, realpathSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { delimiter, dirname, join } from 'node:path'
import { FluxError } from '../../core/errors.ts'
import { type GitServer, gitServer } from '../git/server.ts'
import { type ControlPlane, controlPlaneAssets, startControlPlane } from '../kube/control-plane.ts'
import { closedEnvironment, createFolder, type Folder, type Program, startProgram } from '../processes.ts'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'

/**
 * All that the tour needs, on loopback: a control plane, a Git server, a registry, a place for fluxd and one for a
 * person with a clone. Its children see nothing of the user's environment but `PATH`.
 */
export interface TourWorld {
  readonly kube: ControlPlane
  readonly git: GitServer
  readonly registry: TestRegistry
  readonly person: {
    readonly env: Readonly<Record<string, string>>
    /** an empty folder, for a clone */
    readonly clone: string
  }
  /** Start the fluxd that port-forwards to the namespace `flux` lead to. */
  startFluxd(args: readonly string[]): Promise<void>
  /** what fluxd has logged so far */
  fluxdLog(): string
  close(): Promise<void>
}

/** Paths of the built programs. */
export interface Programs {
  fluxctl: string
  fluxd: string
}

/** Port of fluxd's API in its pod. */
const fluxdPort = 3030

const controlPlanePrograms = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kwok',
] as const

/**
 * Look for everything that a world is made of.
 *
 * @param program the running program's file: ours stand in `bin`, in a folder above it
 * @throws FluxError `DEMO_UNAVAILABLE`
 */
export function findPrograms(program: string): Programs {
  const assets = controlPlaneAssets()
  const missing = controlPlanePrograms.filter((name) => !assets || !existsSync(join(assets, name)))
  if (missing.length > 0) {
    throw new FluxError('DEMO_UNAVAILABLE', {
      what: assets
        ? `the demo needs a Kubernetes control plane, and ${assets} lacks ${missing.join(', ')}`
        : 'the demo needs a Kubernetes control plane, and KUBEBUILDER_ASSETS does not say where its programs are',
      why: `It starts one on this machine for as long as it runs: ${controlPlanePrograms.join(', ')}. Nothing is installed, and no cluster of yours is touched.`,
      next: [
        'Put the programs in one folder, name it in KUBEBUILDER_ASSETS, and run the demo again:',
        '  setup-envtest use -p path    fetches etcd and kube-apiserver, and prints the folder',
        '  kube-controller-manager and kube-scheduler are in the same release of Kubernetes',
        '  kwok is at https://kwok.sigs.k8s.io',
      ].join('\n'),
    })
  }
  const path = (process.env['PATH'] ?? '').split(delimiter)
  if (!path.some((folder) => existsSync(join(folder, 'git')))) {
    throw new FluxError('DEMO_UNAVAILABLE', {
      what: 'the demo needs the program git, which is not on the PATH',
      next: 'Install Git, and run the demo again.',
    })
  }
  for (let folder = dirname(realpathSync(program)); ; folder = dirname(folder)) {
    const [fluxctl, fluxd] = [join(folder, 'bin', 'fluxctl.cjs'), join(folder, 'bin', 'fluxd.cjs')]
    if (existsSync(fluxctl) && existsSync(fluxd)) return { fluxctl, fluxd }
    if (folder === dirname(folder)) break
  }
  throw new FluxError('DEMO_UNAVAILABLE', {
    what: 'bin/fluxctl.cjs and bin/fluxd.cjs are missing',
    next: 'Build them with `npm run build`, or install the package again.',
  })
}

export interface WorldOptions {
  programs: Programs
  /** repository → tag → creation time */
  images: Readonly<Record<string, Readonly<Record<string, string>>>>
  colour: boolean
  signal: AbortSignal
}

export async function startWorld(options: WorldOptions): Promise<TourWorld> {
  const { programs, signal } = options
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const closer of closers.reverse()) await closer()
    closers.length = 0
  }
  try {
    const folder = await createFolder('fluxctl-demo-')
    closers.push(() => folder.remove())
    const registry = await startRegistry({ images: options.images })
    closers.push(() => registry.close())
    const auth = { user: 'demo', password: randomBytes(16).toString('hex') }
    const git = await gitServer({}, { auth })
    closers.push(async () => git[Symbol.asyncDispose]())
    const relay = await startRelay()
    closers.push(relay.close)

    const kube = await startControlPlane({
      controllers: true,
      portForwards: [{ namespace: 'flux', port: fluxdPort, targetPort: relay.port }],
      env: closedEnvironment(await makeHome(folder, 'cluster')),
      signal,
    })
    closers.push(() => kube.close())

    const fluxdHome = await makeHome(folder, 'fluxd')
    const personHome = await makeHome(folder, 'person')
    for (const home of [fluxdHome, personHome]) await writeGitCredentials(home, git)
    const person = {
      env: { ...closedEnvironment(personHome), KUBECONFIG: kube.kubeconfig },
      clone: join(personHome, 'clone'),
    }
    await mkdir(person.clone)
    await writeFile(join(personHome, '.gitconfig'), personalGitConfig(options.colour), { flag: 'a' })

    let fluxd: Program | undefined
    closers.push(async () => fluxd?.kill())
    return {
      kube,
      git,
      registry,
      person,
      async startFluxd(args) {
        fluxd = startProgram({
          file: process.execPath,
          args: [programs.fluxd, '--listen=127.0.0.1:0', ...args],
          env: { ...closedEnvironment(fluxdHome), KUBECONFIG: kube.kubeconfig },
          log: join(folder.path, 'fluxd.log'),
        })
        const listens = () => {
          const port = /\baddr=\S+ port=(\d+)/.exec(fluxd?.log() ?? '')?.[1]
          relay.lead(Number(port))
          return port !== undefined
        }
        await fluxd.until('it listens', listens, signal)
      },
      fluxdLog: () => fluxd?.log() ?? '',
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function makeHome(folder: Folder, name: string): Promise<string> {
  const home = join(folder.path, name)
  await mkdir(home)
  return home
}

/** Git finds the password there, so that it stands in no command. */
async function writeGitCredentials(home: string, git: GitServer): Promise<void> {
  await writeFile(join(home, '.git-credentials'), `${new URL(git.url).href}\n`, { mode: 0o600 })
  await writeFile(join(home, '.gitconfig'), '[credential]\n\thelper = store\n\tuseHttpPath = false\n')
}

const personalGitConfig = (colour: boolean) => `\
[user]
	name = A Person
	email = person@example.com
[color]
	ui = ${colour ? 'always' : 'never'}
`

/** A port of ours, known before fluxd has one: what connects to it comes out at fluxd. */
async function startRelay(): Promise<{ port: number; lead(port: number): void; close(): Promise<void> }> {
  let target = 0
  const open = new Set<Socket>()
  const server: Server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket)
      socket.on('close', () => {
        open.delete(socket)
        other.destroy()
      })
      socket.on('error', () => {}) // told to the other one by its end
      socket.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    lead(port) {
      target = port
    },
    close() {
      for (const socket of open) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
