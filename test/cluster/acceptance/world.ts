import { createServer, request as httpRequest } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type JsonObject, type JsonValue, valueAt } from '../../../src/core/json.ts'
import { type ControlPlaneAccess, request } from '../../support/control-plane.ts'
import { type GitServer, gitServer } from '../../support/git-server.ts'
import { eventually, type FluxdProcess, fluxctl, fluxd, type ProgramRun } from '../../support/programs.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'

/**
 * The common set-up of v1's end-to-end scenarios: the get-started repository, fluxd with the arguments that
 * `fluxctl install` writes, a registry that stands for Docker Hub. `demo` is a namespace of four letters, so that
 * several can stand beside each other and tables keep their columns.
 */
export interface Scenario extends AsyncDisposable {
  upstream: GitServer
  registry: TestRegistry
  agent: FluxdProcess
  /** Run fluxctl against it; texts come back with `demo` for the namespace. */
  ask(...args: string[]): Promise<ProgramRun>
  /** Commit as a person: path → text with `demo`, `null` removes. */
  commit(files: Readonly<Record<string, string | null>>): Promise<string>
  /** A file of the branch, with `demo`. */
  read(path: string): Promise<string>
  head(): Promise<string>
  /** what the sync tag points to; empty without one */
  tag(): Promise<string>
  /** Wait until the tag is where the branch is. */
  synced(): Promise<void>
  /** the Deployment podinfo as the API server has it */
  deployment(): Promise<JsonObject | undefined>
  /** images of the running pods of podinfo */
  podImages(): Promise<string[]>
}

export const podinfoFile = 'workloads/podinfo-dep.yaml'

export const podinfo = (tag: string) => `---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: podinfo
  namespace: demo
  labels:
    app: podinfo
  annotations:
    fluxcd.io/automated: "true"
    fluxcd.io/tag.init: regex:^3.10.*
    fluxcd.io/tag.podinfod: semver:~3.1
spec:
  replicas: 1
  selector:
    matchLabels:
      app: podinfo
  template:
    metadata:
      labels:
        app: podinfo
    spec:
      initContainers:
      - name: init
        image: alpine:3.10.1
      containers:
      - name: podinfod
        image: exampleowner/podinfo:${tag}
        ports:
        - containerPort: 9898
`

const release = (name: string, image: string, annotations: string) => `---
apiVersion: helm.fluxcd.io/v1
kind: HelmRelease
metadata:
  name: ${name}
  namespace: demo${annotations && `\n  annotations:\n${annotations}`}
spec:
  releaseName: ${name}
  chart:
    repository: https://charts.example.com/
    name: ${name}
    version: 1.0.0
  values:
    image: ${image}
`

const files = {
  'namespaces/demo.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: demo\n',
  [podinfoFile]: podinfo('3.1.0'),
  'releases/ghost.yaml': release(
    'ghost',
    'bitnami/ghost:3.1.1-debian-9-r0',
    '    fluxcd.io/tag.chart-image: glob:3.1.1-debian-9-*',
  ),
  'releases/mongodb.yaml': release('mongodb', 'bitnami/mongodb:4.0.13', ''),
  'releases/redis.yaml': release(
    'redis',
    'bitnami/redis:5.0.7',
    '    fluxcd.io/automated: "true"\n    fluxcd.io/locked: "true"',
  ),
}

/** Arguments of the scenarios with images. */
export const scanning = [
  '--registry-disable-scanning=false',
  '--registry-exclude-image=*bitnami/mongodb,*bitnami/redis,*k8s.gcr.io*,*alpine,*memcached',
  '--registry-insecure-host=index.docker.io',
  '--automation-interval=5s',
]

export async function scenario(plane: ControlPlaneAccess, args: readonly string[] = []): Promise<Scenario> {
  const namespace = Array.from({ length: 4 }, () => 'abcdefghij'[Math.floor(Math.random() * 10)]).join('')
  const mine = (text: string) => text.replaceAll('demo', namespace)
  const theirs = (text: string) => text.replaceAll(namespace, 'demo')
  const mineAll = (some: Readonly<Record<string, string | null>>) =>
    Object.fromEntries(Object.entries(some).map(([path, text]) => [path, text === null ? null : mine(text)]))

  const registry = await startRegistry({
    images: {
      'bitnami/ghost': {
        '3.0.2-debian-9-r3': '2020-01-20T13:53:05.47178071Z',
        '3.1.1-debian-9-r0': '2020-02-20T13:53:05.47178071Z',
      },
      'exampleowner/podinfo': {
        '3.1.0': '2020-03-20T13:53:05.47178071Z',
        '3.0.5': '2020-04-20T13:53:05.47178071Z',
      },
    },
  })
  const dockerHub = await aliasOf(registry.host)
  const upstream = await gitServer(mineAll(files) as Record<string, string>, { branch: 'master' })
  const agent = await fluxd({
    kubeconfig: plane.kubeconfig,
    args: [
      '--memcached-service=',
      `--git-url=${upstream.url}`,
      '--git-branch=master',
      '--git-path=',
      '--git-label=flux',
      '--git-user=flux',
      '--git-email=foo',
      '--git-poll-interval=10s',
      '--sync-interval=10s',
      '--registry-disable-scanning',
      // other tests share the API server
      `--k8s-allow-namespace=${namespace}`,
      ...args,
    ],
    env: {
      HTTP_PROXY: dockerHub.url,
      HTTPS_PROXY: dockerHub.url,
      NO_PROXY: '127.0.0.1',
      no_proxy: '127.0.0.1',
    },
  })
  const readAt = async (path: string): Promise<JsonObject | undefined> => {
    const { status, body } = await request(plane, 'GET', path)
    return status === 200 ? (body as JsonObject) : undefined
  }
  const head = () => upstream.git('rev-parse', 'refs/heads/master')
  const tag = () =>
    upstream.git('rev-parse', '--verify', '--quiet', 'refs/tags/flux^{commit}').catch(() => '')
  return {
    upstream,
    registry,
    agent,
    async ask(...words) {
      const run = await fluxctl(words.map(mine), { env: { FLUX_URL: agent.url } })
      return { exit: run.exit, stdout: theirs(run.stdout), stderr: theirs(run.stderr) }
    },
    commit: (some) => upstream.commit(mineAll(some)),
    read: async (path) => theirs(await upstream.git('show', `refs/heads/master:${path}`)),
    head,
    tag,
    synced: async () => {
      await eventually(async () => (await tag()) === (await head()), 'the sync tag at the head')
    },
    deployment: () => readAt(`/apis/apps/v1/namespaces/${namespace}/deployments/podinfo`),
    async podImages() {
      const pods = await readAt(`/api/v1/namespaces/${namespace}/pods?labelSelector=app%3Dpodinfo`)
      const items = (pods?.['items'] ?? []) as JsonValue[]
      return items
        .filter((pod) => valueAt(pod, 'status', 'phase') === 'Running')
        .map((pod) => String(valueAt(pod, 'spec', 'containers', 0, 'image')))
    },
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]()
      await request(plane, 'DELETE', `/api/v1/namespaces/${namespace}`)
      await Promise.all([registry.close(), dockerHub.close(), upstream[Symbol.asyncDispose]()])
    },
  }
}

/** A proxy that sends whatever is asked for to one server: the host alias of the scenarios. */
async function aliasOf(host: string) {
  const server = createServer((incoming, reply) => {
    const { pathname, search } = new URL(incoming.url ?? '/', 'http://any')
    const { host: _, ...headers } = incoming.headers
    incoming.pipe(
      httpRequest(`http://${host}${pathname}${search}`, { method: incoming.method, headers }, (answer) => {
        reply.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(reply)
      }).on('error', () => reply.destroy()),
    )
  })
  server.on('connect', (_, downstream) => {
    const upstream = connect((server.address() as AddressInfo).port, '127.0.0.1', () => {
      downstream.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(downstream).pipe(upstream)
    })
    upstream.on('error', () => downstream.destroy())
    downstream.on('error', () => upstream.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
