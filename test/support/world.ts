import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { parseAllDocuments } from 'yaml'
import { type ControlPlane, freePorts, startControlPlane } from './control-plane.ts'
import { createGitWorld } from './git.ts'
import { mainOf } from './programs.ts'
import { startRegistry, type TestRegistry } from './registry.ts'

/**
 * The small world in which the original was recorded, built again around our fluxd: a control plane with controllers and
 * a node, the cluster's own objects, the repository with its three commits, the registry.
 *
 * Ports and the folder are not those of the recordings: `fromRecorded` and `toRecorded` translate texts. All ports have five
 * digits, so tables keep their columns.
 */
export interface World extends AsyncDisposable {
  readonly plane: ControlPlane
  readonly registry: TestRegistry
  /** the last of the three commits */
  readonly base: string
  /** the bare repository */
  readonly path: string
  readonly git: (...args: string[]) => Promise<string>
  /** What follows the recordings' own words into this world's. */
  fromRecorded(text: string): string
  toRecorded(text: string): string
  /** Let a port of the recordings mean another one here. */
  map(recorded: number, ours: number): void
  /** One commit of a person on the branch: path → text, `null` removes. @returns the revision */
  commit(files: Readonly<Record<string, string | null>>, message: string): Promise<string>
  /** Put branch and notes back to the base. */
  resetBranch(): Promise<void>
  /** The revision that the sync tag points to; empty without one. */
  marker(): Promise<string>
  startAgent(options?: AgentStart): Promise<RunningAgent>
}

export interface AgentStart {
  /** the recorded arguments, changed */
  args?: (recorded: readonly string[]) => string[]
}

export interface RunningAgent extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  /** every line of the log so far */
  readonly log: readonly string[]
}

export const fixtures = 'test/fixtures/recordings'
const port = { registry: 23055, agent: 23030, proxy: 23031, closed: 23999 }

/** The files of each commit, first to last, with what it says. */
const history: readonly { message: string; at: string; holds: (path: string) => boolean }[] = [
  { message: 'Namespaces', at: '2024-06-01T09:00:00Z', holds: (path) => !path.includes('/') },
  {
    message: 'Workloads of the demo',
    at: '2024-06-01T10:00:00Z',
    holds: (path) => path.startsWith('demo/'),
  },
  {
    message: 'Releases and production',
    at: '2024-06-01T11:00:00Z',
    holds: (path) => /^(dev|prod)\//.test(path),
  },
]

export async function startWorld(): Promise<World> {
  const closers: (() => PromiseLike<unknown>)[] = []
  const close = async () => {
    for (const closer of closers.reverse()) await closer()
  }
  const use = <T extends AsyncDisposable>(part: T): T => {
    closers.push(() => part[Symbol.asyncDispose]())
    return part
  }
  try {
    const folder = await mkdtemp(join(tmpdir(), 'recorded-world-'))
    closers.push(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
    const images = JSON.parse(readFileSync(`${fixtures}/world/registry.json`, 'utf8')) as Record<
      string,
      Record<string, string>
    >
    const registry = use(await startRegistry({ images, kind: 'schema2' }))
    const plane = use(await startControlPlane({ controllers: true }))
    const gitWorld = use(await createGitWorld())

    const ports = new Map([[port.registry, Number(registry.host.split(':')[1])]])
    const [closed = 0] = await freePorts(1)
    ports.set(port.closed, closed)
    const { base: recordedBase } = JSON.parse(readFileSync(`${fixtures}/misc/base.json`, 'utf8')) as {
      base: string
    }
    let base = ''
    const fromRecorded = (text: string) =>
      text
        .replaceAll('$WORLD', folder)
        .replaceAll('$ORIGINALS', `${folder}/originals`)
        .replaceAll(recordedBase, base)
        .replace(/(:|%3A| )(23\d{3})\b/g, (found, mark, number) => {
          const ours = ports.get(Number(number))
          return ours === undefined ? found : `${mark}${ours}`
        })
    const toRecorded = (text: string) => {
      const back = new Map([...ports].map(([recorded, ours]) => [ours, recorded]))
      return text.replaceAll(folder, '$WORLD').replace(/(:|%3A| )(\d{5})\b/g, (found, mark, number) => {
        const recorded = back.get(Number(number))
        return recorded === undefined ? found : `${mark}${recorded}`
      })
    }

    const path = join(folder, 'repo.git')
    const git = (...args: string[]) => gitWorld.git(path, args)
    await gitWorld.git(folder, ['init', '--quiet', '--bare', '--initial-branch=master', path])
    base = await writeHistory(gitWorld.git, path, fromRecorded)

    await mkdir(join(folder, 'cluster'))
    await mkdir(join(folder, 'keys'))
    await mkdir(join(folder, 'tmp'))
    await writeFile(join(folder, 'cluster/kubeconfig'), readFileSync(plane.kubeconfig))
    for (const file of ['helmrelease-crd', 'manual', 'flux-pod']) {
      await applyFile(plane, fromRecorded(readFileSync(`${fixtures}/world/cluster/${file}.yaml`, 'utf8')))
    }

    return {
      plane,
      registry,
      base,
      path,
      git,
      fromRecorded,
      toRecorded,
      map: (recorded, ours) => void ports.set(recorded, ours),
      async commit(files, message) {
        const head = await git('rev-parse', 'refs/heads/master')
        await gitWorld.git(
          path,
          ['fast-import', '--quiet', '--date-format=raw'],
          Buffer.concat([
            ...commitCommand(message, gitWorld.nextDate(), head),
            ...Object.entries(files).flatMap(([file, text]) =>
              text === null ? [Buffer.from(`D ${file}\n`)] : fileCommand(file, fromRecorded(text)),
            ),
          ]),
        )
        return git('rev-parse', 'refs/heads/master')
      },
      async resetBranch() {
        await git('update-ref', 'refs/heads/master', base)
      },
      marker: () => git('rev-parse', '--verify', '--quiet', 'refs/tags/flux-sync^{commit}').catch(() => ''),
      async startAgent({ args = (recorded: readonly string[]) => [...recorded] }: AgentStart = {}) {
        const recorded = JSON.parse(readFileSync(`${fixtures}/misc/agent-arguments.json`, 'utf8')) as string[]
        const given = args(recorded.map((word) => word.replace(`:${port.agent}`, ':0')))
        return startAgent(given.map(fromRecorded), folder)
      },
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

type RunGit = (directory: string, args: readonly string[], input?: Uint8Array) => Promise<string>

/** Write the three commits. With the texts as recorded their hashes are the recorded ones. @returns the last revision */
export async function writeHistory(
  git: RunGit,
  path: string,
  translate: (text: string) => string,
): Promise<string> {
  const root = `${fixtures}/world/repo`
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort()
  for (const { message, at, holds } of history) {
    const head = await git(path, ['rev-parse', '--verify', '--quiet', 'refs/heads/master']).catch(() => '')
    await git(
      path,
      ['fast-import', '--quiet', '--date-format=raw'],
      Buffer.concat([
        ...commitCommand(message, `${Date.parse(at) / 1000} +0000`, head),
        ...files
          .filter(holds)
          .flatMap((file) => fileCommand(file, translate(readFileSync(join(root, file), 'utf8')))),
      ]),
    )
  }
  return git(path, ['rev-parse', 'refs/heads/master'])
}

function commitCommand(message: string, date: string, parent: string): Buffer[] {
  return [
    Buffer.from(
      `commit refs/heads/master\ncommitter World User <world@example.com> ${date}\n` +
        `data ${Buffer.byteLength(message) + 1}\n${message}\n\n${parent ? `from ${parent}\n` : ''}`,
    ),
  ]
}

function fileCommand(path: string, text: string): Buffer[] {
  return [Buffer.from(`M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`)]
}

/** Create every object of a file, and wait until the API server serves what it defines. */
async function applyFile(plane: ControlPlane, text: string): Promise<void> {
  for (const document of parseAllDocuments(text)) {
    const object = document.toJS() as {
      apiVersion: string
      kind: string
      metadata: { name: string; namespace?: string }
    }
    const { apiVersion, kind, metadata } = object
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
    const within = metadata.namespace ? `/namespaces/${metadata.namespace}` : ''
    const { status, body } = await plane.request('POST', `${root}${within}/${kind.toLowerCase()}s`, object)
    if (status !== 201) throw new Error(`${kind} ${metadata.name}: ${JSON.stringify(body)}`)
    if (kind === 'CustomResourceDefinition') {
      await until('HelmReleases are served', async () => {
        return (await plane.request('GET', '/apis/helm.fluxcd.io/v1/helmreleases')).status === 200
      })
    }
  }
}

/** Poll until it is so. */
export async function until(what: string, done: () => Promise<boolean>, limitMs = 30_000): Promise<void> {
  const deadline = Date.now() + limitMs
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`it takes too long until ${what}`)
    await delay(20)
  }
}

/** fluxd with an environment that holds nothing of the machine's. */
async function startAgent(args: readonly string[], folder: string): Promise<RunningAgent> {
  const child: ChildProcess = spawn(process.execPath, [mainOf('fluxd'), ...args], {
    env: { HOME: folder, PATH: process.env['PATH'], TMPDIR: join(folder, 'tmp'), GIT_CONFIG_NOSYSTEM: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const log: string[] = []
  const ended = once(child, 'exit')
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  if (child.stderr) createInterface({ input: child.stderr }).on('line', (line) => log.push(line))
  const close = async () => {
    process.off('exit', kill)
    child.kill('SIGTERM')
    await ended
  }

  let listening = ''
  await until('fluxd listens', async () => {
    if (child.exitCode !== null) throw new Error(`fluxd ended:\n${log.join('\n')}`)
    const line = log.find((text) => /\baddr"?[=:]/.test(text))
    listening = /\bport"?[=:](\d+)/.exec(line ?? '')?.[1] ?? ''
    return listening !== ''
  })
  return {
    url: `http://127.0.0.1:${listening}`,
    port: Number(listening),
    log,
    [Symbol.asyncDispose]: close,
  }
}
