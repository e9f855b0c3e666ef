import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { inlineOrFile } from '../../adapters/kube/credentials.ts'
import { type KubeconfigEntry, readKubeconfig, textIn } from '../../adapters/kube/kubeconfig.ts'
import { FluxError, messageOf } from '../../core/errors.ts'
import { type JsonValue, valueAt } from '../../core/json.ts'
import type { RawReply } from '../kube/control-plane.ts'
import { startKubeApi } from '../kube-api/api.ts'

/** The Kubernetes API of a world: the playground's own, or a real one that somebody names. */
export interface TourCluster {
  readonly server: string
  /** written by us, for everybody in the world */
  readonly kubeconfig: string
  /** whether a port-forward to fluxd's pod leads to fluxd */
  readonly forwards: boolean
  /** whether pods become ready */
  readonly runsPods: boolean
  request(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<RawReply>
  close(): Promise<void>
}

/** What the tour makes in a cluster, and takes away again. */
const ownNamespaces = ['demo', 'dev', 'flux', 'prod', 'stg'] as const
const releases = '/apis/helm.fluxcd.io/v1/helmreleases'
const ownDefinitions = [
  'helmreleases.helm.fluxcd.io',
  'helmreleases.flux.weave.works',
  'fluxhelmreleases.helm.integrations.flux.weave.works',
] as const
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

/** What stands in a cluster before anybody uses it; `local-path-storage` comes with kind. */
const systemNamespaces = new Set([
  'default',
  'kube-node-lease',
  'kube-public',
  'kube-system',
  'local-path-storage',
])
const workloadPaths = ['deployments', 'statefulsets', 'daemonsets'].map((name) => `/apis/apps/v1/${name}`)

export interface OwnClusterOptions {
  /** where to write the kubeconfig that everybody in the world uses */
  kubeconfig: string
  /** where port-forwards to fluxd's pod lead */
  fluxdSocket: string
  signal: AbortSignal
}

export async function startOwnCluster(options: OwnClusterOptions): Promise<TourCluster> {
  const { kubeconfig, fluxdSocket, signal } = options
  const api = await startKubeApi({
    controllers: true,
    portForwards: [{ namespace: 'flux', port: 3030, targetSocket: fluxdSocket }],
    signal,
  })
  await copyFile(api.kubeconfig, kubeconfig)
  return {
    server: api.server,
    kubeconfig,
    forwards: true,
    runsPods: true,
    request: api.request,
    close: api.close,
  }
}

/**
 * Use the API server of a kubeconfig: on this machine, and empty.
 *
 * Its programs for credentials are not run: they would act with the rights of whoever started the demo.
 *
 * @param copy where to write the kubeconfig that everybody in the world uses
 * @throws FluxError `DEMO_REFUSED` | `KUBECONFIG_INVALID`
 */
export async function openGivenCluster(file: string, copy: string): Promise<TourCluster> {
  const access = await readAccess(file)
  await writeFile(copy, JSON.stringify(kubeconfigOf(access)), { mode: 0o600, flag: 'wx' })
  const request: TourCluster['request'] = (...args) => ask(access, ...args)
  const list = async (path: string): Promise<JsonValue[]> => {
    const { status, body } = await request('GET', path).catch((cause: unknown) => {
      throw refused(`${access.server} does not answer: ${messageOf(cause)}`, 'Start it, and run it again.')
    })
    const items = valueAt(body as JsonValue, 'items')
    if (status !== 200 || !Array.isArray(items)) {
      throw refused(`GET ${path} is answered by ${status}`, 'The demo wants to be an administrator there.')
    }
    return items
  }

  const namespaces = (await list('/api/v1/namespaces')).map((item) =>
    String(valueAt(item, 'metadata', 'name')),
  )
  const strange = namespaces.filter((name) => !systemNamespaces.has(name))
  if (strange.length > 0) throw inUse(access.server, `the namespaces ${strange.sort().join(', ')}`)
  const workloads = (await Promise.all(workloadPaths.map(list))).flat()
  const foreign = workloads.filter((item) => valueAt(item, 'metadata', 'namespace') === 'default')
  if (foreign.length > 0) throw inUse(access.server, 'workloads in the namespace default')
  const found = (await list(definitions)).map((item) => String(valueAt(item, 'metadata', 'name')))
  const taken = ownDefinitions.filter((name) => found.includes(name))
  if (taken.length > 0) throw inUse(access.server, `the definitions ${taken.join(', ')}`)
  const nodes = await list('/api/v1/nodes')

  return {
    server: access.server,
    kubeconfig: copy,
    forwards: false,
    runsPods: nodes.length > 0 && nodes.every(pretends),
    request,
    async close() {
      try {
        // the operator would see to its finalizers, but it is gone
        for (const release of await list(releases).catch(() => [])) {
          const at = (key: string) => String(valueAt(release, 'metadata', key))
          const path = `/apis/helm.fluxcd.io/v1/namespaces/${at('namespace')}/helmreleases/${at('name')}`
          const headers = { 'content-type': 'application/merge-patch+json' }
          await request('PATCH', path, { metadata: { finalizers: null } }, headers)
        }
        for (const name of ownDefinitions) await request('DELETE', `${definitions}/${name}`)
        for (const name of ownNamespaces) await request('DELETE', `/api/v1/namespaces/${name}`)
      } catch {
        // the server is gone, and they with it
      }
    },
  }
}

/** Whether a node only says that it runs pods, as kwok's and the playground's: a real one can't pull from our registry. */
function pretends(node: JsonValue): boolean {
  return (
    valueAt(node, 'metadata', 'annotations', 'kwok.x-k8s.io/node') !== undefined ||
    valueAt(node, 'status', 'nodeInfo', 'kubeletVersion') === 'playground'
  )
}

interface Access {
  server: string
  ca?: string
  serverName?: string
  skipVerify: boolean
  token?: string
  cert?: string
  key?: string
}

async function readAccess(file: string): Promise<Access> {
  if ((await readFile(file, 'utf8').catch(() => undefined)) === undefined) {
    throw refused(`${file} can not be read`, 'Name a kubeconfig with --kubeconfig.')
  }
  const config = await readKubeconfig([file])
  const context = config.contexts.get(config.currentContext)?.value
  const cluster = config.clusters.get(textIn(context, 'cluster') ?? '')
  const user: KubeconfigEntry = config.users.get(textIn(context, 'user') ?? '') ?? { value: {}, folder: '' }
  const server = textIn(cluster?.value, 'server') ?? ''
  if (!cluster || !URL.canParse(server)) {
    throw refused(`${file} names no server`, 'Set its current-context to a cluster with a server.')
  }
  if (!isLoopback(new URL(server)) || textIn(cluster.value, 'proxy-url') !== undefined) {
    throw refused(
      `${server} is not on this machine`,
      'The demo changes what it finds, so it takes a server on a loopback address only, such as that of setup-envtest or kind.',
    )
  }
  const odd = ['exec', 'auth-provider', 'as', 'username'].find((key) => user.value[key] !== undefined)
  if (odd !== undefined) {
    throw refused(
      `${file} proves who you are by \`${odd}\``,
      'The demo takes a token or a client certificate, and runs no programs for credentials.',
    )
  }
  const ca = await inlineOrFile(cluster, 'certificate-authority')
  const cert = await inlineOrFile(user, 'client-certificate')
  const key = await inlineOrFile(user, 'client-key')
  const token = textIn(user.value, 'token')
  const serverName = textIn(cluster.value, 'tls-server-name')
  return {
    server: server.replace(/\/+$/, ''),
    skipVerify: cluster.value['insecure-skip-tls-verify'] === true,
    ...(ca && { ca }),
    ...(serverName && { serverName }),
    ...(token && { token }),
    ...(cert && { cert }),
    ...(key && { key }),
  }
}

function kubeconfigOf({ server, ca, serverName, skipVerify, token, cert, key }: Access): object {
  const encode = (text: string) => Buffer.from(text).toString('base64')
  const cluster = {
    server,
    ...(ca && { 'certificate-authority-data': encode(ca) }),
    ...(serverName && { 'tls-server-name': serverName }),
    ...(skipVerify && { 'insecure-skip-tls-verify': true }),
  }
  const user = {
    ...(token && { token }),
    ...(cert && { 'client-certificate-data': encode(cert) }),
    ...(key && { 'client-key-data': encode(key) }),
  }
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'demo',
    clusters: [{ name: 'demo', cluster }],
    users: [{ name: 'demo', user }],
    contexts: [{ name: 'demo', context: { cluster: 'demo', user: 'demo' } }],
  }
}

function ask(
  { server, ca, serverName, skipVerify, token, cert, key }: Access,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawReply> {
  return new Promise((resolve, reject) => {
    const url = new URL(`${server}${path}`)
    const outgoing = (url.protocol === 'https:' ? requestHttps : requestHttp)(
      url,
      {
        method,
        agent: false,
        headers: {
          'content-type': 'application/json',
          ...(token && { authorization: `Bearer ${token}` }),
          ...headers,
        },
        ...(ca && { ca }),
        ...(serverName && { servername: serverName }),
        ...(cert && { cert }),
        ...(key && { key }),
        rejectUnauthorized: !skipVerify,
      },
      async (reply) => {
        let text = ''
        reply.setEncoding('utf8').on('error', reject)
        for await (const chunk of reply) text += chunk
        const isJson = reply.headers['content-type']?.startsWith('application/json')
        resolve({ status: reply.statusCode ?? 0, body: isJson ? JSON.parse(text) : text })
      },
    )
    outgoing.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body))
  })
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
}

function inUse(server: string, what: string): FluxError {
  return refused(
    `${server} is in use: it has ${what}`,
    'The demo takes an empty cluster only, so that nothing of yours can come to harm. Name another with --kubeconfig, or leave that out: the demo then brings one along.',
  )
}

function refused(what: string, next: string): FluxError {
  return new FluxError('DEMO_REFUSED', { what, next })
}
