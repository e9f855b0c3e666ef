import { readFile } from 'node:fs/promises'
import { formatImageRef, parseImageRef } from '../../../src/core/image/ref.ts'
import { parseManifestFile } from '../../../src/core/manifest/document.ts'
import { type ControlPlaneAccess, request } from '../../support/control-plane.ts'
import { type GitServer, gitServer } from '../../support/git-server.ts'
import { eventually, type FluxdProcess, fluxd } from '../../support/programs.ts'
import { startRegistry, type TestRegistry, type TestRegistryOptions } from '../../support/registry.ts'

/** fluxd with a repository, a registry and a namespace of a real API server, all synced. */
export interface AutomatedWorld<Registry extends WorldRegistry = TestRegistry> extends AsyncDisposable {
  registry: Registry
  upstream: GitServer
  /** the one that runs now */
  readonly agent: FluxdProcess
  /** Push an image, and tell fluxd as a webhook would. */
  push(repository: string, tag: string, createdAt: string): Promise<void>
  announce(repository: string): Promise<void>
  /** The next commit after the last that was seen. */
  nextCommit(): Promise<Commit>
  /** Make sure that automation has looked at everything pushed so far and left it alone. */
  expectQuiet(): Promise<void>
  /** End fluxd and start it again, on the same store. */
  restart(signal?: NodeJS.Signals): Promise<void>
}

export interface Commit {
  revision: string
  message: string
  author: string
  /** lines taken away and added, with `-` and `+` */
  lines: string[]
  files: string[]
}

/** A registry that images are pushed to. */
export interface WorldRegistry extends AsyncDisposable {
  readonly host: string
  push(repository: string, tag: string, createdAt: string): unknown
}

interface WorldOptions {
  /** repository → tag → creation time */
  images: NonNullable<TestRegistryOptions['images']>
  /** `$REGISTRY` and `$NAMESPACE` stand for the test's own */
  files: Readonly<Record<string, string>>
  args?: readonly string[]
}

/** Runs the one image that tells whether automation has looked: see `expectQuiet`. */
const canary = 'example/canary'

export async function automatedWorld(
  plane: ControlPlaneAccess,
  namespace: string,
  { registry = {}, ...options }: WorldOptions & { registry?: Omit<TestRegistryOptions, 'images'> },
): Promise<AutomatedWorld> {
  return worldAround(await startRegistry(registry), plane, namespace, options)
}

/** The same around another registry, which ends with the world. */
export async function worldAround<Registry extends WorldRegistry>(
  registry: Registry,
  plane: ControlPlaneAccess,
  namespace: string,
  { images, files, args = [] }: WorldOptions,
): Promise<AutomatedWorld<Registry>> {
  await serveHelmReleases(plane)
  for (const [repository, tags] of Object.entries(images)) {
    for (const [tag, createdAt] of Object.entries(tags)) await registry.push(repository, tag, createdAt)
  }
  await registry.push(canary, '1', '2024-01-01T00:00:00Z')
  const translate = (text: string) =>
    text.replaceAll('$REGISTRY', registry.host).replaceAll('$NAMESPACE', namespace)
  const all = {
    ...files,
    'canary.yaml': workload('canary', { image: `$REGISTRY/${canary}:1`, annotations: automated() }),
  }
  const upstream = await gitServer(
    Object.fromEntries(Object.entries(all).map(([path, text]) => [path, translate(text)])),
    { branch: 'master' },
  )
  const start = () =>
    fluxd({
      kubeconfig: plane.kubeconfig,
      args: [
        `--git-url=${upstream.url}`,
        '--git-branch=master',
        '--git-user=Flux',
        '--git-email=flux@example.com',
        '--git-poll-interval=1h',
        '--sync-interval=1h',
        '--automation-interval=1h',
        `--k8s-allow-namespace=${namespace}`,
        '--registry-insecure-host=127.0.0.1',
        ...args,
      ],
    })
  let agent = await start()
  await agent.until(/event="Sync: /)

  const log = () => upstream.git('log', '--reverse', '--format=%H', 'master').then((text) => text.split('\n'))
  let seen = 1
  const announce = async (repository: string) => {
    const change = { Kind: 'image', Source: { Name: { Domain: registry.host, Image: repository } } }
    const { status } = await fetch(`${agent.url}/v11/notify`, {
      method: 'POST',
      body: JSON.stringify(change),
    })
    if (status !== 202) throw new Error(`notify: ${status}`)
  }
  const push = async (repository: string, tag: string, createdAt: string) => {
    await registry.push(repository, tag, createdAt)
    await announce(repository)
  }
  const nextCommit = async () => {
    const revision = await eventually(async () => (await log())[seen], 'the next commit').catch((error) => {
      throw new Error(`${error.message}\n${agent.log.slice(-30).join('\n')}`)
    })
    seen += 1
    return readCommit(upstream, revision)
  }
  let canaries = 1
  return {
    registry,
    upstream,
    get agent() {
      return agent
    },
    push,
    announce,
    nextCommit,
    async expectQuiet() {
      canaries += 1
      await push(canary, String(canaries), `2024-01-${String(canaries).padStart(2, '0')}T00:00:00Z`)
      const { message } = await nextCommit()
      const expected = `Auto-release ${formatImageRef(parseImageRef(`${registry.host}/${canary}:${canaries}`))}`
      if (message !== expected) throw new Error(`automation did not keep quiet: ${message}`)
    },
    async restart(signal = 'SIGTERM') {
      await agent.end(signal)
      agent = await start()
      await agent.until(/event=refreshed/)
    },
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]()
      await Promise.all([registry[Symbol.asyncDispose](), upstream[Symbol.asyncDispose]()])
    },
  }
}

async function readCommit(upstream: GitServer, revision: string): Promise<Commit> {
  const [author = '', ...message] = (
    await upstream.git('show', '--no-patch', '--format=%an <%ae>%n%B', revision)
  ).split('\n')
  const diff = await upstream.git('show', '--format=', '--unified=0', revision)
  return {
    revision,
    author,
    message: message.join('\n').trimEnd(),
    lines: diff.split('\n').filter((line) => /^[-+](?![-+]{2} )/.test(line)),
    files: (await upstream.git('show', '--format=', '--name-only', revision)).split('\n'),
  }
}

/** Annotations of an automated workload. @param filters container → pattern */
export function automated(filters: Readonly<Record<string, string>> = {}): Record<string, string> {
  const tags = Object.entries(filters).map(([container, pattern]) => [`fluxcd.io/tag.${container}`, pattern])
  return { 'fluxcd.io/automated': 'true', ...Object.fromEntries(tags) }
}

/** A Deployment in the test's namespace. */
export function workload(
  name: string,
  {
    image,
    init,
    annotations = {},
  }: { image: string; init?: string; annotations?: Readonly<Record<string, string>> },
): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
  namespace: $NAMESPACE
  annotations: ${JSON.stringify(annotations)}
spec:
  selector:
    matchLabels: {app: ${name}}
  template:
    metadata:
      labels: {app: ${name}}
    spec:
${init ? `      initContainers:\n      - name: init\n        image: ${init}\n` : ''}      containers:
      - name: app
        image: ${image}   # the one to change
`
}

/** A HelmRelease in the test's namespace; `values` as YAML lines without indentation. */
export function helmRelease(
  name: string,
  values: readonly string[],
  annotations: Readonly<Record<string, string>>,
): string {
  return `apiVersion: helm.fluxcd.io/v1
kind: HelmRelease
metadata:
  name: ${name}
  namespace: $NAMESPACE
  annotations: ${JSON.stringify(annotations)}
spec:
  releaseName: ${name}
  chart: {git: 'file:///nowhere', path: charts/podinfo, ref: master}
  values:
${values.map((line) => `    ${line}\n`).join('')}`
}

/** Have the API server know HelmReleases. */
export async function serveHelmReleases(plane: ControlPlaneAccess): Promise<void> {
  const file = 'test/fixtures/recordings/world/cluster/helmrelease-crd.yaml'
  const [crd] = parseManifestFile(file, await readFile(file, 'utf8')).manifests
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  await request(plane, 'POST', path, crd?.value)
  await eventually(
    async () => (await request(plane, 'GET', '/apis/helm.fluxcd.io/v1/helmreleases')).status === 200,
    'HelmReleases are served',
  )
}
