import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type GitServer, gitServer } from '../../src/playground/git/server.ts'
import {
  type ControlPlane,
  controlPlaneAssets,
  kubeconfigFor,
  startControlPlane,
} from '../../src/playground/kube/control-plane.ts'
import { startKubeApi } from '../../src/playground/kube-api/api.ts'
import { createFolder } from '../../src/playground/processes.ts'
import { startRegistry, type TestRegistry } from '../../src/playground/registry/registry.ts'
import { type Gate, openGate } from './gate.ts'

/** What stands around fluxd while it soaks: Git over HTTP, a registry, an API server, each to be hindered on cue. */
export interface SoakWorld extends AsyncDisposable {
  readonly upstream: GitServer
  readonly registry: TestRegistry
  readonly plane: ControlPlane
  /** stands on fluxd's way to the API server */
  readonly gate: Gate
  /** for fluxd: names the gate */
  readonly kubeconfig: string
  /** fluxd's own: `HOME` and `TMPDIR` */
  readonly home: string
  /** What receives a push does before it takes it, and after: durations in seconds, or refuse it. */
  setHooks(hooks: { before: number; after: number; refuse: boolean }): Promise<void>
  /** Every change of a ref so far, oldest first. */
  refLog(): Promise<RefChange[]>
}

export interface RefChange {
  atMs: number
  /** came by a push over HTTP; otherwise the writer's own */
  pushed: boolean
  ref: string
  /** all zeros: the ref was removed */
  to: string
}

export const namespace = 'demo'
export const workloads = {
  /** released by people; share their files with what the hostile writer changes */
  released: ['app-0', 'app-1', 'app-2', 'app-3', 'app-4', 'app-5'],
  /** policies of these are changed */
  ruled: ['rule-0', 'rule-1', 'rule-2'],
  /** by version, and by time */
  automated: ['auto-0', 'auto-1', 'auto-2'],
}

export function fileOf(name: string): string {
  return `${name.split('-')[0]}/${name}.yaml`
}

export async function startSoakWorld(api: ApiKind): Promise<SoakWorld> {
  const closers: (() => PromiseLike<unknown>)[] = []
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    return { ...(await startParts(api, closers)), [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

async function startParts(api: ApiKind, closers: (() => PromiseLike<unknown>)[]) {
  const use = <T extends AsyncDisposable>(part: T): T => {
    closers.push(() => part[Symbol.asyncDispose]())
    return part
  }
  const { path: home, remove } = await createFolder('soak-')
  closers.push(remove)
  await mkdir(join(home, 'tmp'))
  const registry = use(await startRegistry())
  const createdAt = '2024-06-01T09:00:00Z'
  for (const name of Object.values(workloads).flat()) registry.push(name, '1.0.0', createdAt)
  const upstream = use(await gitServer(manifests(registry.host)))
  const plane = use(await (api === 'real' ? startControlPlane() : startKubeApi()))
  const { gate, server } = await openWay(api, plane, use)
  const kubeconfig = join(home, 'kubeconfig')
  await writeFile(kubeconfig, kubeconfigFor({ ...plane, server }))

  const refs = join(home, 'refs.log')
  // to pack refs runs the hook below for each, as if it had moved
  await upstream.git('config', 'gc.packRefs', 'false')
  await upstream.hook(
    'reference-transaction',
    `[ "$1" = committed ] || exit 0
at=$(date +%s%3N)
while read -r old new ref; do echo "$at \${REMOTE_ADDR:-writer} $new $ref"; done >>'${refs}'`,
  )
  await upstream.hook(
    'pre-receive',
    '[ -e refuse ] && { echo refused on cue; exit 1; }; sleep "$(cat before)"',
  )
  await upstream.hook('post-receive', 'sleep "$(cat after)"')
  const setHooks: SoakWorld['setHooks'] = async ({ before, after, refuse }) => {
    await writeFile(join(upstream.path, 'before'), before.toFixed(3))
    await writeFile(join(upstream.path, 'after'), after.toFixed(3))
    const refusal = join(upstream.path, 'refuse')
    await (refuse ? writeFile(refusal, '') : rm(refusal, { force: true }))
  }
  await setHooks({ before: 0, after: 0, refuse: false })

  return {
    upstream,
    registry,
    plane,
    gate,
    kubeconfig,
    home,
    setHooks,
    async refLog(): Promise<RefChange[]> {
      return (await readFile(refs, 'utf8'))
        .split('\n')
        .filter(Boolean)
        .map((line) => {
          const [at, who, to = '', ref = ''] = line.split(' ')
          return { atMs: Number(at), pushed: who !== 'writer', ref, to }
        })
    },
  }
}

export type ApiKind = 'real' | 'embedded'

/** The API server to soak in where nobody says which. */
export function usualApi(): ApiKind {
  return controlPlaneAssets() === undefined ? 'embedded' : 'real'
}

/** fluxd's way to the API server. The embedded one knows its own address only, so it goes itself. */
async function openWay(
  api: ApiKind,
  plane: ControlPlane,
  use: <T extends AsyncDisposable>(part: T) => T,
): Promise<{ gate: Gate; server: string }> {
  if (api === 'embedded') {
    return { gate: { bar: plane.stopApiServer, unbar: plane.startApiServer }, server: plane.server }
  }
  const gate = use(await openGate(Number(new URL(plane.server).port)))
  return { gate, server: `https://127.0.0.1:${gate.port}` }
}

function manifests(host: string): Record<string, string> {
  const files: Record<string, string> = {
    'namespace.yaml': `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${namespace}}\n`,
  }
  const annotations: Record<string, string> = {
    'auto-0': 'fluxcd.io/automated: "true", fluxcd.io/tag.app: "semver:~1"',
    'auto-1': 'fluxcd.io/automated: "true", fluxcd.io/tag.app: "glob:1.*"',
    'auto-2': 'fluxcd.io/automated: "true", fluxcd.io/tag.app: "semver:*"',
  }
  for (const name of Object.values(workloads).flat()) {
    files[fileOf(name)] = manifestOf(name, `${host}/${name}:1.0.0`, annotations[name])
  }
  return files
}

/** A workload, and beside it in the same file what the hostile writer changes. */
function manifestOf(name: string, image: string, annotations = ''): string {
  return `# writer: nothing yet
apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
  namespace: ${namespace}${annotations && `\n  annotations: {${annotations}}`}
spec:
  replicas: 0
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      containers:
      - name: app
        image: ${image}   # the one to change
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ${name}, namespace: ${namespace}}
data: {from: writer-0}
`
}
