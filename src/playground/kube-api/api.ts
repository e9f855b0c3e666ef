import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import {
  type ControlPlane,
  type ControlPlaneOptions,
  kubeconfigFor,
  readAuditLog,
  request,
} from '../kube/control-plane.ts'
import { createFolder } from '../processes.ts'
import { openAuditLog } from './audit.ts'
import type { Client } from './client.ts'
import { startControllers } from './controllers/controllers.ts'
import type { PortForwardTargets } from './port-forward/port-forward.ts'
import { Access } from './rest/access.ts'
import { createFirstObjects, furnishNamespaces } from './rest/bootstrap.ts'
import { collectGarbage, emptyNamespaces } from './rest/cleanup.ts'
import { createClient } from './rest/client.ts'
import { serveDefinitions } from './rest/definitions.ts'
import type { Handlers } from './rest/handle.ts'
import { Resources } from './rest/resources.ts'
import type { World } from './rest/world.ts'
import { builtInResources } from './schema/types.ts'
import { type ApiServer, startServer } from './server.ts'
import { Store } from './store.ts'

/**
 * A Kubernetes API in this process: what a machine without a cluster needs to try and test with.
 *
 * It answers clients as the API server does that its types come from. Everything is in memory and gone with it; it
 * listens on loopback alone, and only to whom holds the token of its kubeconfig, which is new each time.
 *
 * Left out: admission by webhooks and policies, quotas and limits, aggregated APIs, conversion webhooks, and that nobody
 * may hand out rights that are not theirs.
 */

export interface KubeApiOptions extends Omit<ControlPlaneOptions, 'env' | 'portForwards'> {
  /** where port-forwards to pods of a namespace lead: to a port, or to a socket, which other users can't reach */
  portForwards?: readonly PortForwardTarget[]
  /** how many changes are remembered for watches that begin in the past */
  historySize?: number
  /** images that can never be pulled: their pods never become ready; needs `controllers` */
  neverReady?: (image: string) => boolean
}

type PortForwardTarget =
  | NonNullable<ControlPlaneOptions['portForwards']>[number]
  | { namespace: string; port: number; targetSocket: string }

export interface KubeApi extends ControlPlane {
  /** the API from inside this process */
  readonly client: Client
}

export async function startKubeApi({
  controllers = false,
  portForwards = [],
  historySize,
  neverReady,
  signal,
}: KubeApiOptions = {}): Promise<KubeApi> {
  signal?.throwIfAborted()
  const [folder, certificate] = await Promise.all([createFolder('kube-api-'), createCertificate()])
  const path = (name: string) => join(folder.path, name)
  const token = randomBytes(16).toString('hex')
  const now = () => new Date()
  const store = new Store(historySize === undefined ? {} : { historySize })
  const world: World = { store, resources: new Resources(builtInResources()), now }
  const client = createClient(world, 'playground')
  const audit = openAuditLog(path('audit.log'))
  const ends: (() => void)[] = []

  let server: ApiServer | undefined
  const handlers: Handlers = {
    world,
    access: new Access({ store, now, token }),
    server: () => `https://127.0.0.1:${server?.port}`,
  }
  const start = async (port: number) => {
    server = await startServer({ handlers, audit, certificate, port, targets: forwardTo(portForwards) })
  }
  const stop = async () => {
    const running = server
    server = undefined
    await running?.close()
  }
  const close = async () => {
    for (const end of ends.splice(0).reverse()) end()
    await stop()
    audit.close()
    await folder.remove()
  }

  try {
    ends.push(serveDefinitions(world))
    if (controllers) ends.push(collectGarbage(world), emptyNamespaces(world))
    await start(0)
    const port = (server as ApiServer | undefined)?.port ?? 0
    createFirstObjects(client, { port })
    if (controllers) {
      ends.push(furnishNamespaces(client, certificate.cert))
      const running = startControllers(client, neverReady ? { neverReady } : {})
      ends.push(() => running.close())
    }
    const access = {
      kubeconfig: path('kubeconfig'),
      server: `https://127.0.0.1:${port}`,
      token,
      ca: certificate.cert,
      auditLogPath: path('audit.log'),
    }
    await writeFile(access.kubeconfig, kubeconfigFor(access), { mode: 0o600 })
    return {
      ...access,
      client,
      auditLog: () => readAuditLog(access.auditLogPath),
      request: (...args) => request(access, ...args),
      stopApiServer: stop,
      startApiServer: async () => {
        // as the real one, which remembers nothing of before it started
        store.forget()
        await start(port)
      },
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** For this host alone, and signed by itself. */
async function createCertificate(): Promise<{ key: string; cert: string }> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'kube-apiserver' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 2, value: 'kubernetes.default.svc' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  })
  return { key, cert }
}

function forwardTo(forwards: readonly PortForwardTarget[]): PortForwardTargets {
  return (namespace: string, pod: string, port: number) => {
    const found = forwards.find((forward) => forward.namespace === namespace && forward.port === port)
    if (found !== undefined && 'targetSocket' in found) return { socket: found.targetSocket }
    if (found !== undefined) return { host: '127.0.0.1', port: found.targetPort }
    return `no forward found for port ${port} in pod "${namespace}/${pod}"`
  }
}
