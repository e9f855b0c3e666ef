import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FluxError, messageOf } from '../../core/errors.ts'
import { type GitServer, gitServer } from '../git/server.ts'
import { type GitSshServer, gitSshServer } from '../git/ssh.ts'
import { claimFolder, closedEnvironment, createFolder, type Program, startProgram } from '../processes.ts'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'
import { openGivenCluster, startOwnCluster, type TourCluster } from './cluster.ts'
import { type Front, startFront } from './front.ts'
import { canUseSsh, type Programs } from './programs.ts'
import { firstImages } from './repository.ts'

/**
 * All that the tour needs, on loopback: a Kubernetes API, a Git server, a registry, a place for fluxd and one for a
 * person with a clone.
 *
 * It is closed. Each server asks for a credential that is made anew for each run and kept in a folder that only this
 * user may enter; what is started sees nothing of the user's environment but `PATH`.
 */
export interface TourWorld {
  /** where all of it is kept */
  readonly folder: string
  readonly cluster: TourCluster
  /**
   * Throw the cluster away, with fluxd and the operator, and start an empty one: `cluster` from then on. There is none
   * for a cluster that somebody named.
   */
  readonly replaceCluster: (() => Promise<void>) | undefined
  readonly git: GitServer
  /** none where this machine has no ssh: fluxd then uses HTTP */
  readonly ssh: GitSshServer | undefined
  readonly registry: TestRegistry
  readonly front: Front
  readonly person: {
    readonly env: Readonly<Record<string, string>>
    /** an empty folder, for a clone */
    readonly clone: string
  }
  /** variables for a shell that wants to take part; they hold the credentials */
  readonly access: Readonly<Record<string, string>>
  /** as its command line shows them */
  readonly fluxdArgs: readonly string[]
  startFluxd(): Promise<void>
  /** Tell fluxd that something was pushed. */
  notifyOfGit(): void
  readonly operatorArgs: readonly string[]
  startOperator(): Promise<void>
  /** the CustomResourceDefinitions of the operator, as YAML */
  helmReleaseCrds(): Promise<string>
  /** what fluxd has logged so far */
  fluxdLog(): string
  /** the same of the Helm operator */
  operatorLog(): string
  close(): Promise<void>
}

export interface WorldOptions {
  programs: Programs
  /** a folder to make and to remove again; a temporary one */
  state?: string | undefined
  /** a real API server in the place of the playground's */
  kubeconfig?: string | undefined
  colour: boolean
  signal: AbortSignal
}

const user = 'demo'

/** @throws FluxError `DEMO_REFUSED` */
export async function startWorld(options: WorldOptions): Promise<TourWorld> {
  const { programs, state, signal } = options
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const folder = state === undefined ? await createFolder('fluxctl-demo-') : await claim(state)
    closers.push(() => folder.remove())
    const path = (...names: string[]) => join(folder.path, ...names)
    const homes = { fluxd: path('fluxd'), person: path('person'), operator: path('operator') }
    for (const home of Object.values(homes)) await mkdir(join(home, '.ssh'), { recursive: true })

    const front = await startFront({
      socket: path('fluxd.sock'),
      token: newSecret(),
      user,
      password: newSecret(),
    })
    closers.push(() => front.close())
    const registryLogin = { user, password: newSecret() }
    const registry = await startRegistry({
      images: firstImages(Date.now()),
      auth: { type: 'basic', ...registryLogin },
      onPush: (repository) =>
        front.notify({ Kind: 'image', Source: { Name: { Domain: registry.host, Image: repository } } }),
    })
    closers.push(() => registry.close())

    let ssh: GitSshServer | undefined
    const git = await gitServer(
      {},
      {
        auth: { user, password: newSecret() },
        onPush: () => notifyOfGit(),
        onKey(publicKey, readOnly) {
          if (!ssh) throw new Error('there is no SSH here')
          ssh.add({ publicKey, mayWrite: !readOnly })
          notifyOfGit()
        },
      },
    )
    closers.push(async () => git[Symbol.asyncDispose]())
    if (await canUseSsh(homes.fluxd, signal)) {
      const server = await gitSshServer({ path: git.path, env: closedEnvironment(homes.fluxd) })
      closers.push(async () => server[Symbol.asyncDispose]())
      ssh = server
    }
    const gitUrl = ssh?.url ?? git.openUrl
    const notifyOfGit = () => front.notify({ Kind: 'git', Source: { URL: gitUrl, Branch: git.branch } })

    const kubeconfig = path('kubeconfig')
    const startOwn = () => startOwnCluster({ kubeconfig, fluxdSocket: front.socket, signal })
    let cluster = await (options.kubeconfig === undefined
      ? startOwn()
      : openGivenCluster(options.kubeconfig, kubeconfig))
    closers.push(() => cluster.close())

    const docker = await writeDockerConfig(path('docker'), registry.host, registryLogin)
    for (const home of Object.values(homes)) await writeGitCredentials(home, git)
    await writeFile(join(homes.fluxd, '.ssh', 'known_hosts'), ssh?.knownHosts() ?? '')
    // so that nobody else's is read
    for (const home of Object.values(homes)) await writeFile(join(home, '.ssh', 'config'), '')
    await writeFile(join(homes.person, '.gitconfig'), personalGitConfig(options.colour), { flag: 'a' })
    const clone = join(homes.person, 'clone')
    await mkdir(clone)

    const access = {
      KUBECONFIG: kubeconfig,
      FLUX_URL: front.url,
      GIT_URL: git.url,
      REGISTRY: registry.host,
      DOCKER_CONFIG: docker,
    }
    const fluxdArgs = [
      `--git-url=${gitUrl}`,
      `--git-branch=${git.branch}`,
      '--k8s-secret-namespace=flux',
      '--automation-interval=2s',
      `--registry-insecure-host=${registry.host}`,
      `--docker-config=${join(docker, 'config.json')}`,
    ]
    const operatorArgs = ['--git-allow-protocols=http', '--git-poll-interval=1s', '--charts-sync-interval=2s']
    let fluxd: Program | undefined
    let operator: Program | undefined
    const killAgents = () => Promise.all([fluxd?.kill(), operator?.kill()])
    closers.push(killAgents)
    const replaceCluster = async () => {
      await killAgents()
      await cluster.close()
      cluster = await startOwn()
    }
    return {
      folder: folder.path,
      get cluster() {
        return cluster
      },
      replaceCluster: options.kubeconfig === undefined ? replaceCluster : undefined,
      git,
      ssh,
      registry,
      front,
      person: {
        clone,
        env: {
          ...closedEnvironment(homes.person),
          KUBECONFIG: kubeconfig,
          REGISTRY: registry.host,
          DOCKER_CONFIG: docker,
          ...(cluster.forwards ? { FLUX_FORWARD_NAMESPACE: 'flux' } : { FLUX_URL: front.url }),
        },
      },
      access,
      fluxdArgs,
      async startFluxd() {
        fluxd = startProgram({
          file: process.execPath,
          args: [programs.fluxd, '--listen=127.0.0.1:0', '--api-auth=token', ...fluxdArgs],
          env: { ...closedEnvironment(homes.fluxd), KUBECONFIG: kubeconfig, FLUXD_TOKEN: front.token },
          log: path('fluxd.log'),
        })
        const listens = () => {
          const port = /\baddr=\S+ port=(\d+)/.exec(fluxd?.log() ?? '')?.[1]
          if (port !== undefined) front.lead(Number(port))
          return port !== undefined
        }
        await fluxd.until('it listens', listens, signal)
      },
      operatorArgs,
      async startOperator() {
        operator = startProgram({
          file: process.execPath,
          args: [programs.operator, '--listen=127.0.0.1:0', ...operatorArgs],
          env: { ...closedEnvironment(homes.operator), KUBECONFIG: kubeconfig },
          log: path('helm-operator.log'),
        })
        await operator.until('it listens', () => operator?.log().includes(' port='), signal)
      },
      helmReleaseCrds: () => readFile(programs.crds, 'utf8'),
      notifyOfGit,
      fluxdLog: () => fluxd?.log() ?? '',
      operatorLog: () => operator?.log() ?? '',
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function newSecret(): string {
  return randomBytes(16).toString('hex')
}

async function claim(state: string) {
  try {
    return await claimFolder(state)
  } catch (cause) {
    throw new FluxError('DEMO_REFUSED', {
      what: `the state can not be kept in ${state}: ${messageOf(cause)}`,
      next: 'Name a folder with --state that is not there yet, in one that is.',
      cause,
    })
  }
}

/** @returns the folder, for `DOCKER_CONFIG` */
async function writeDockerConfig(
  folder: string,
  host: string,
  { user, password }: { user: string; password: string },
): Promise<string> {
  await mkdir(folder)
  const auth = Buffer.from(`${user}:${password}`).toString('base64')
  await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }), {
    mode: 0o600,
  })
  return folder
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
