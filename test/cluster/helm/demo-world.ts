import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JsonObject, JsonValue } from '../../../src/core/json.ts'
import { valueAt } from '../../../src/core/json.ts'
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts'
import { type Files, type GitServer, gitServer } from '../../support/git-server.ts'
import { helm, type helmVersions } from '../../support/neighbours.ts'
import { eventually, type FluxdProcess, fluxctl, fluxd, helmOperator } from '../../support/programs.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { serveHelmReleases } from './world.ts'

/**
 * The demo repository `examples/gitops-helm` with an API server, a registry, fluxd and the Helm operator of its own: the
 * setup of the walk-through (`spec/demo-repo.md` §7).
 */
export interface DemoWorld extends AsyncDisposable {
  readonly plane: ControlPlane
  readonly upstream: GitServer
  readonly registry: TestRegistry
  readonly image: string
  readonly agent: FluxdProcess
  readonly operator: FluxdProcess
  /** Push an image of podinfo, and tell fluxd as a webhook would. */
  push(tag: string, createdAt: string): Promise<void>
  /** Commit on the branch as a person; texts are translated as those of the example. */
  commit(files: Files, message: string): Promise<string>
  /** A file of the branch. */
  file(path: string): Promise<string>
  /** author, message and changed lines of the commit after one */
  commitAfter(
    revision: string,
  ): Promise<{ author: string; message: string; files: string[]; lines: string[] }>
  head(): Promise<string>
  get(path: string): Promise<JsonObject | undefined>
  release(namespace: string, name: string): Promise<JsonObject>
  /** `status description` of each revision in Helm's storage, oldest first */
  history(namespace: string, release: string): Promise<string[]>
  helm(...args: string[]): Promise<string>
  fluxctl(...args: string[]): Promise<{ exit: number | null; stdout: string; stderr: string }>
  /** Wait until a release has so many revisions and its resource says `Succeeded`. */
  untilRevision(namespace: string, release: string, count: number): Promise<void>
  /** Wait until the operator has looked at everything so many times more. */
  untilPasses(count: number): Promise<void>
  /** Start both; the operator must find its CRD. */
  start(): Promise<void>
  /** Start fluxd anew, with more arguments. */
  restartAgent(...args: string[]): Promise<void>
}

const root = 'examples/gitops-helm'
const branch = 'master'

export interface DemoOptions {
  version: (typeof helmVersions)[number]
  paths?: string
  /** read the kinds of 2018 and 2019 too */
  older?: boolean
  images?: Readonly<Record<string, string>>
  files?: Files
}

export async function demoWorld({
  version,
  paths = 'namespaces,releases',
  older = false,
  images = {},
  files = {},
}: DemoOptions): Promise<DemoWorld> {
  const program = helm(version)
  if (program === undefined) throw new Error(`no helm ${version}`)
  const plane = await startControlPlane({ controllers: true })
  await serveHelmReleases(plane)
  if (older) await serveHelmReleases(plane, 'older-helmreleases.yaml')
  const registry = await startRegistry({
    images: {
      'example/podinfo': {
        'dev-hdtwcel9': '2024-01-03T00:00:00Z',
        'stg-9ij63o4c': '2024-01-03T00:00:00Z',
        '0.4.11': '2024-01-03T00:00:00Z',
        ...images,
      },
    },
  })
  const image = `${registry.host}/example/podinfo`
  let upstream: GitServer | undefined
  const translate = (text: string | Uint8Array | null) =>
    typeof text === 'string'
      ? text
          .replaceAll('git@github.com:ORG/gitops-helm', upstream?.openUrl ?? '')
          .replace(/example\/podinfo/g, (found, at: number) => (text[at - 1] === '/' ? found : image))
      : text
  upstream = await gitServer({ 'README.md': 'ours\n' }, { branch })
  const server = upstream
  const commit = (more: Files, message: string) =>
    server.commit(
      Object.fromEntries(Object.entries(more).map(([path, text]) => [path, translate(text)])),
      message,
      branch,
    )
  await commit({ ...exampleFiles(), ...files }, 'The demo')

  let agent: FluxdProcess | undefined
  let operator: FluxdProcess | undefined
  const startAgent = (more: readonly string[] = []) =>
    fluxd({
      kubeconfig: plane.kubeconfig,
      args: [
        `--git-url=${server.url}`,
        `--git-branch=${branch}`,
        `--git-path=${paths}`,
        '--git-user=Flux',
        '--git-email=flux@example.com',
        '--git-poll-interval=1s',
        '--sync-interval=5s',
        '--automation-interval=1h',
        '--registry-insecure-host=127.0.0.1',
        ...more,
      ],
    })
  const running = (program: FluxdProcess | undefined) => {
    if (!program) throw new Error('it was not started')
    return program
  }
  const get = async (path: string): Promise<JsonObject | undefined> => {
    const reply = await plane.request('GET', path)
    return reply.status === 200 ? (reply.body as JsonObject) : undefined
  }
  const release = async (namespace: string, name: string) =>
    (await get(`/apis/helm.fluxcd.io/v1/namespaces/${namespace}/helmreleases/${name}`)) ?? {}
  const runHelm = (...args: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const env = { HOME: server.path, PATH: process.env['PATH'], KUBECONFIG: plane.kubeconfig }
      execFile(program, args, { env }, (error, stdout, stderr) =>
        error ? reject(new Error(`${error.message}\n${stderr}`)) : resolve(stdout),
      )
    })
  const history = async (namespace: string, name: string): Promise<string[]> => {
    const text = await runHelm('history', name, `--namespace=${namespace}`, '-o', 'json').catch(() => '[]')
    return (JSON.parse(text) as { status: string; description: string }[]).map(
      ({ status, description }) => `${status} ${description}`,
    )
  }
  const explain = (error: unknown) =>
    new Error(
      `${String(error)}\n${running(agent).log.slice(-15).join('\n')}\n${running(operator).log.slice(-25).join('\n')}`,
    )

  return {
    plane,
    upstream: server,
    registry,
    image,
    get agent() {
      return running(agent)
    },
    get operator() {
      return running(operator)
    },
    async start() {
      operator = await helmOperator({
        args: [
          `--helm-path=${program}`,
          '--git-allow-protocols=http,file',
          '--charts-sync-interval=2s',
          '--git-poll-interval=1s',
          '--workers=4',
          ...(older ? ['--enable-older-kinds', `--git-url=${server.openUrl}`] : []),
        ],
        kubeconfig: plane.kubeconfig,
      })
      agent = await startAgent()
    },
    async restartAgent(...args) {
      await running(agent).end()
      agent = await startAgent(args)
    },
    async push(tag, createdAt) {
      registry.push('example/podinfo', tag, createdAt)
      const change = { Kind: 'image', Source: { Name: { Domain: registry.host, Image: 'example/podinfo' } } }
      const { status } = await fetch(`${running(agent).url}/v11/notify`, {
        method: 'POST',
        body: JSON.stringify(change),
      })
      if (status !== 202) throw new Error(`notify: ${status}`)
    },
    commit,
    file: (path) => server.git('show', `${branch}:${path}`),
    head: () => server.git('rev-parse', branch),
    async commitAfter(revision) {
      const next = await eventually(async () => {
        const range = `${revision}..${branch}`
        return (await server.git('log', '--reverse', '--format=%H', range)).split('\n')[0] || undefined
      }, 'the next commit').catch((error) => {
        throw explain(error)
      })
      const [author = '', ...message] = (
        await server.git('show', '--no-patch', '--format=%an <%ae>%n%B', next)
      ).split('\n')
      const diff = await server.git('show', '--format=', '--unified=0', next)
      return {
        author,
        message: message.join('\n').trimEnd(),
        files: (await server.git('show', '--format=', '--name-only', next)).split('\n'),
        lines: diff.split('\n').filter((line) => /^[-+](?![-+]{2} )/.test(line)),
      }
    },
    get,
    release,
    history,
    helm: runHelm,
    fluxctl: (...args) => fluxctl([`--url=${running(agent).url}`, ...args]),
    async untilRevision(namespace, name, count) {
      await eventually(async () => {
        const status = (await release(namespace, name))['status'] as JsonValue | undefined
        const isDone =
          valueAt(status, 'phase') === 'Succeeded' && valueAt(status, 'releaseStatus') === 'deployed'
        return isDone && (await history(namespace, name)).length === count
      }, `${count} revisions of ${name}`).catch(async (error) => {
        const seen = [await history(namespace, name), (await release(namespace, name))['status']]
        throw explain(`${error}\n${JSON.stringify(seen)}`)
      })
    },
    async untilPasses(count) {
      const passes = async () => {
        const text = await (await fetch(`http://127.0.0.1:${running(operator).port}/metrics`)).text()
        const lines = text
          .split('\n')
          .filter(
            (line) =>
              line.startsWith('flux_helm_operator_release_action_duration_seconds_count') &&
              line.includes('action="sync"'),
          )
        return Math.min(...lines.map((line) => Number(line.split(' ').at(-1))))
      }
      const before = await passes()
      await eventually(async () => (await passes()) >= before + count, `${count} more passes`)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([agent?.end('SIGKILL'), operator?.end('SIGKILL')])
      await Promise.all([plane.close(), registry.close(), server[Symbol.asyncDispose]()])
    },
  }
}

function exampleFiles(): Record<string, string> {
  return Object.fromEntries(
    readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => {
        const path = join(entry.parentPath, entry.name)
        return [path.slice(root.length + 1), readFileSync(path, 'utf8')]
      }),
  )
}
