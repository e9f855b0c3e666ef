import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isJsonObject, type JsonValue, valueAt } from '../../core/json.ts'
import { runProgram } from '../processes.ts'
import type { Programs } from './programs.ts'
import { imageRepository } from './repository.ts'
import type { Screen } from './screen.ts'
import type { TourWorld } from './world.ts'

/** The workload that the story is about. */
export const workload = 'demo:deployment/podinfo'
export const workloadPath = '/apis/apps/v1/namespaces/demo/deployments/podinfo'

/** What a scene has at hand: the screen, the world, a person in their clone, and questions about how things stand. */
export interface Stage extends Screen {
  readonly world: TourWorld
  /** Run a command of the person's in their clone. @returns what it said */
  command(program: string, args: readonly string[], options?: { exitCode?: number }): Promise<string>
  /** The same, without a word. */
  ask(program: string, args: readonly string[]): Promise<{ exitCode: number; output: string }>
  /** The same, for the built fluxctl. */
  fluxctl(args: readonly string[], options?: { exitCode?: number }): Promise<string>
  /** Write files of the clone: path → text. */
  write(files: Readonly<Record<string, string>>): Promise<void>
  /** Show a request to the API server, and make it. */
  request(method: string, path: string, body: unknown, headers?: Record<string, string>): Promise<void>
  /** The workload's image with this tag. */
  image(tag: string): string
  /** Head of the branch on the server. */
  head(): Promise<string>
  /** Subject of its newest commit. */
  subject(): Promise<string>
  /** The revision that is marked as applied. */
  synced(): Promise<string>
  /** Whether a Deployment is rolled out: all of its pods are new and ready, and as many as this. */
  isRolledOut(path: string, replicas: number): Promise<boolean>
  /** Check that the workload has come to run two pods of this version. */
  checkRuns(tag: string): Promise<void>
}

export function createStage(screen: Screen, world: TourWorld, programs: Programs): Stage {
  const { git, registry, person } = world

  const command: Stage['command'] = (program, args, options = {}) => {
    const isOurs = program === 'fluxctl'
    return screen.run([program, ...args.map(quoteForShell)].join(' '), {
      file: isOurs ? process.execPath : program,
      args: isOurs ? [programs.fluxctl, ...args] : args,
      env: person.env,
      cwd: person.clone,
      ...options,
    })
  }
  const image = (tag: string) => `${registry.host}/${imageRepository}:${tag}`
  const read = async (path: string) => (await world.cluster.request('GET', path)).body as JsonValue
  const isRolledOut: Stage['isRolledOut'] = async (path, replicas) => {
    const deployment = await read(path)
    if (valueAt(deployment, 'spec', 'replicas') !== replicas) return false
    return !world.cluster.runsPods || hasOnlyNewPods(deployment, replicas)
  }

  return {
    ...screen,
    world,
    command,
    ask: (file, args) =>
      runProgram({ file, args, env: person.env, cwd: person.clone, signal: screen.signal }),
    fluxctl: (args, options) => command('fluxctl', args, options),
    async write(files) {
      for (const [path, text] of Object.entries(files)) {
        const file = join(person.clone, path)
        await mkdir(dirname(file), { recursive: true })
        await writeFile(file, text)
      }
    },
    async request(method, path, body, headers = {}) {
      screen.show(`> ${method} ${path}\n> ${JSON.stringify(body)}`)
      const reply = await world.cluster.request(method, path, body, headers)
      screen.show(`< ${reply.status}`)
      if (reply.status >= 300) throw new Error(JSON.stringify(reply.body))
    },
    image,
    head: () => git.git('rev-parse', `refs/heads/${git.branch}`),
    subject: () => git.git('log', '-1', '--format=%s', git.branch),
    synced: () => git.git('rev-parse', 'refs/tags/flux-sync^{commit}'),
    isRolledOut,
    checkRuns(tag) {
      const claim = world.cluster.runsPods
        ? `two pods run podinfo ${tag} and are ready`
        : `the Deployment asks for two pods of podinfo ${tag} (no pods run in this cluster)`
      return screen.check(claim, async () => {
        const deployment = await read(workloadPath)
        const running = valueAt(deployment, 'spec', 'template', 'spec', 'containers', 0, 'image')
        return running === image(tag) && isRolledOut(workloadPath, 2)
      })
    },
  }
}

/** Whether the controllers have caught up, and there are only new and ready pods. */
function hasOnlyNewPods(deployment: JsonValue, replicas: number): boolean {
  const status = valueAt(deployment, 'status')
  const count = (key: string) => Number(isJsonObject(status) ? (status[key] ?? 0) : 0)
  return (
    count('observedGeneration') === valueAt(deployment, 'metadata', 'generation') &&
    ['replicas', 'updatedReplicas', 'readyReplicas'].every((key) => count(key) === replicas)
  )
}

/** A revision as people read it. */
export function short(revision: string): string {
  return revision.slice(0, 7)
}

/** A word as a shell reads it; of `--flag=value`, the value is quoted. */
export function quoteForShell(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  const [flag = ''] = /^--[\w-]+=/.exec(word) ?? []
  return `${flag}'${word.slice(flag.length).replaceAll("'", "'\\''")}'`
}
