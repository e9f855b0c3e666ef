import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadAll } from 'js-yaml'
import { readStatus } from '../../../src/core/helm/conditions.ts'
import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../src/core/json.ts'
import { type ControlPlaneAccess, request } from '../../support/control-plane.ts'
import { type Files, type GitServer, gitServer } from '../../support/git-server.ts'
import { helm, type helmVersions } from '../../support/neighbours.ts'
import { eventually, type FluxdProcess, helmOperator } from '../../support/programs.ts'
import { type Account, createAccount } from '../agent/fixtures.ts'

/** The Helm operator with a repository of charts and a namespace of an API server, and what people look at. */
export interface HelmWorld extends AsyncDisposable {
  readonly upstream: GitServer
  readonly account: Account
  readonly namespace: string
  /** the one that runs now */
  readonly operator: FluxdProcess
  /** Make a HelmRelease, or change it: `metadata` and `spec` are merged. */
  apply(name: string, spec: JsonObject, metadata?: JsonObject): Promise<void>
  get(name: string): Promise<JsonObject>
  remove(name: string): Promise<void>
  /** Wait until it is so. @returns the HelmRelease then */
  until(name: string, what: string, so: (seen: Seen) => boolean): Promise<Seen>
  /** `status description` of each revision in Helm's storage, oldest first. */
  history(release: string): Promise<string[]>
  object(path: string): Promise<JsonObject | undefined>
  events(name: string): Promise<string[]>
  /** @param more arguments of the new one, over those so far */
  restart(signal?: NodeJS.Signals, more?: readonly string[]): Promise<void>
  /** Run helm as a person would. */
  helm(...args: string[]): Promise<string>
}

export interface Seen {
  phase: string
  /** condition → status */
  conditions: Readonly<Record<string, string>>
  messages: Readonly<Record<string, string>>
  status: ReturnType<typeof readStatus>
  generation: number
}

export interface HelmWorldOptions {
  version?: (typeof helmVersions)[number]
  args?: readonly string[]
  files?: Files
  env?: Readonly<Record<string, string>>
}

const group = '/apis/helm.fluxcd.io/v1'
const charts = 'examples/gitops-helm/charts'

/** The files of the demo's charts. */
export function demoCharts(): Record<string, string> {
  const names = readdirSync(charts, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  return Object.fromEntries(
    names.map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return [`charts/${path.slice(charts.length + 1)}`, readFileSync(path, 'utf8')]
    }),
  )
}

/** Make sure that the API server knows the kinds of a file of `deploy/crds`. */
export async function serveHelmReleases(
  plane: ControlPlaneAccess,
  file = 'helmreleases.yaml',
): Promise<void> {
  const crds = (loadAll(readFileSync(`deploy/crds/${file}`, 'utf8')) as unknown[]).filter(isJsonObject)
  for (const crd of crds) {
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${valueAt(crd, 'metadata', 'name')}`
    await request(plane, 'PATCH', `${path}?fieldManager=test&force=true`, crd, {
      'content-type': 'application/apply-patch+yaml',
    })
    const version = valueAt(crd, 'spec', 'versions', 0, 'name')
    const served = `/apis/${valueAt(crd, 'spec', 'group')}/${version}/${valueAt(crd, 'spec', 'names', 'plural')}`
    await eventually(async () => (await request(plane, 'GET', served)).status === 200, served)
  }
}

export async function helmWorld(
  plane: ControlPlaneAccess,
  namespace: string,
  { version = '4.2', args = [], files = {}, env = {} }: HelmWorldOptions = {},
): Promise<HelmWorld> {
  const program = helm(version)
  if (program === undefined) throw new Error(`no helm ${version}`)
  await serveHelmReleases(plane)
  const upstream = await gitServer({ ...demoCharts(), ...files }, { branch: 'master' })
  const account = await createAccount(plane, namespace, { name: 'helm-operator' })
  const start = (more: readonly string[] = []) =>
    helmOperator({
      args: [
        `--helm-path=${program}`,
        '--git-allow-protocols=http,file',
        `--allow-namespace=${namespace}`,
        '--charts-sync-interval=3s',
        '--git-poll-interval=1s',
        ...args,
        ...more,
      ],
      kubeconfig: account.kubeconfig,
      env,
    })
  let operator = await start()

  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    type?: string,
  ): Promise<JsonObject | undefined> => {
    const headers = type === undefined ? {} : { 'content-type': type }
    const reply = await request(plane, method, path, body, headers)
    if (reply.status === 404) return undefined
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(reply.body)}`)
    return reply.body as JsonObject
  }
  const collection = `${group}/namespaces/${namespace}/helmreleases`
  const get = async (name: string): Promise<JsonObject> => (await ask('GET', `${collection}/${name}`)) ?? {}

  return {
    upstream,
    account,
    namespace,
    get operator() {
      return operator
    },
    async apply(name, spec, metadata = {}) {
      const object = {
        apiVersion: 'helm.fluxcd.io/v1',
        kind: 'HelmRelease',
        metadata: { name, ...metadata },
        spec,
      }
      const changed = await ask('PATCH', `${collection}/${name}`, object, 'application/merge-patch+json')
      if (!changed) await ask('POST', collection, object)
    },
    get,
    async remove(name) {
      await ask('DELETE', `${collection}/${name}`)
    },
    async until(name, what, so) {
      let last: Seen | undefined
      try {
        return await eventually(async () => {
          last = see(await get(name))
          return so(last) && last
        }, what)
      } catch (error) {
        throw new Error(
          `${String(error)}\n${JSON.stringify(last, null, 1)}\n${operator.log.slice(-25).join('\n')}`,
        )
      }
    },
    async history(release) {
      const text = await runHelm(program, account, [
        'history',
        release,
        `--namespace=${namespace}`,
        '-o',
        'json',
      ])
      return (JSON.parse(text) as { status: string; description: string }[]).map(
        ({ status, description }) => `${status} ${description}`,
      )
    },
    object: (path) => ask('GET', path),
    async events(name) {
      const list = await ask('GET', `/api/v1/namespaces/${namespace}/events?limit=500`)
      return ((list?.['items'] as JsonValue[]) ?? [])
        .filter((event) => valueAt(event, 'involvedObject', 'name') === name)
        .map((event) => `${valueAt(event, 'type')} ${valueAt(event, 'reason')} ${valueAt(event, 'message')}`)
    },
    async restart(signal = 'SIGTERM', more = []) {
      await operator.end(signal)
      operator = await start(more)
    },
    helm: (...words) => runHelm(program, account, [...words, `--namespace=${namespace}`]),
    async [Symbol.asyncDispose]() {
      // what is left must not hold up the namespace
      const { items = [] } = ((await ask('GET', collection)) ?? {}) as { items?: JsonObject[] }
      for (const item of items) {
        const name = String(valueAt(item, 'metadata', 'name'))
        await ask(
          'PATCH',
          `${collection}/${name}`,
          { metadata: { finalizers: null } },
          'application/merge-patch+json',
        )
      }
      await operator.end()
      await account[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

/** A chart of the world's repository. */
export function gitChart(upstream: GitServer, path = 'charts/podinfo'): JsonObject {
  return { git: upstream.openUrl, path, ref: 'master' }
}

function see(object: JsonObject): Seen {
  const status = readStatus(object['status'])
  return {
    phase: status.phase,
    conditions: Object.fromEntries(status.conditions.map(({ type, status }) => [type, status])),
    messages: Object.fromEntries(status.conditions.map(({ type, message }) => [type, message])),
    status,
    generation: Number(valueAt(object, 'metadata', 'generation') ?? 0),
  }
}

async function runHelm(program: string, account: Account, args: readonly string[]): Promise<string> {
  const { execFile } = await import('node:child_process')
  return new Promise((resolve, reject) => {
    const env = { HOME: account.folder, PATH: process.env['PATH'], KUBECONFIG: account.kubeconfig }
    execFile(program, [...args], { env }, (error, stdout, stderr) =>
      error ? reject(new Error(`${error.message}\n${stderr}`)) : resolve(stdout),
    )
  })
}
