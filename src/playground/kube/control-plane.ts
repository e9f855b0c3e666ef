import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { createFolder, type Program, startProgram } from '../processes.ts'

/**
 * A real, throw-away control plane on loopback: etcd and kube-apiserver, on demand with kube-controller-manager,
 * kube-scheduler and kwok, which plays the kubelet of one node.
 *
 * The programs come from the folder `KUBEBUILDER_ASSETS`, the field's name for it. They and their files are gone after
 * `close()`, after this process, and also when it is killed.
 */

export interface ControlPlaneOptions {
  /** also run the controllers, the scheduler and kwok with a node, so that pods become ready */
  controllers?: boolean
  /** where port-forwards to pods of a namespace lead on 127.0.0.1; needs `controllers` */
  portForwards?: readonly { namespace: string; port: number; targetPort: number }[]
  /** environment of its programs; this process's own */
  env?: Readonly<Record<string, string>>
  signal?: AbortSignal
}

/** One line of the audit log: one finished request. */
export interface AuditEntry {
  verb: string
  requestURI: string
  userAgent?: string
  user: { username: string }
  objectRef?: {
    resource?: string
    namespace?: string
    name?: string
    apiGroup?: string
    apiVersion?: string
    subresource?: string
  }
  responseStatus?: { code: number }
  requestReceivedTimestamp: string
}

export interface ControlPlaneAccess {
  /** path of a kubeconfig file with one context, `test`, for a user who may do everything */
  kubeconfig: string
  server: string
  token: string
  /** the API server's certificate, which it signed itself, as PEM */
  ca: string
  auditLogPath: string
}

export interface ControlPlane extends ControlPlaneAccess, AsyncDisposable {
  /** every finished request so far, oldest first */
  auditLog(): Promise<AuditEntry[]>
  /** one request as the administrator, past all of our own code */
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<RawReply>
  /** kill the API server alone; `startApiServer` brings it back on the same port and data */
  stopApiServer(): Promise<void>
  startApiServer(): Promise<void>
  close(): Promise<void>
}

export interface RawReply {
  status: number
  /** parsed where it is JSON, otherwise the text */
  body: unknown
}

/** The folder with the programs, or `undefined` where tests with a real API server are to be skipped. */
export function controlPlaneAssets(): string | undefined {
  return process.env['KUBEBUILDER_ASSETS'] || undefined
}

export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const assets = controlPlaneAssets()
  if (assets === undefined) throw new Error('KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver')
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(assets, options)
    } catch (error) {
      // a port found free may be taken by somebody else before the program listens on it
      if (attempt === 3 || !String(error).includes('address already in use')) throw error
    }
  }
}

async function startOnce(assets: string, options: ControlPlaneOptions): Promise<ControlPlane> {
  const { env = process.env, signal } = options
  const folder = await createFolder('control-plane-')
  const path = (name: string) => join(folder.path, name)
  const processes = new Map<string, Program>()

  const close = async () => {
    await Promise.all([...processes.values()].map((program) => program.kill()))
    await folder.remove()
  }
  const start = (name: string, flags: Record<string, string | number | boolean>, starts = 1) => {
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)
    const again = 'n=$1; shift; while [ "$n" -gt 0 ]; do "$@"; n=$((n - 1)); done'
    const program = startProgram({
      file: '/bin/sh',
      args: ['-c', again, name, String(starts), join(assets, name), ...args],
      env,
      log: path(`${name}.log`),
    })
    processes.set(name, program)
    return program
  }

  try {
    const [apiPort = 0, etcdPort = 0, peerPort = 0, kubeletPort = 0] = await freePorts(4)
    const token = randomBytes(16).toString('hex')
    const server = `https://127.0.0.1:${apiPort}`
    const access: ControlPlaneAccess = {
      kubeconfig: path('kubeconfig'),
      server,
      token,
      ca: '',
      auditLogPath: path('audit.log'),
    }

    const serviceAccountKeys = generateKeyPairSync('rsa', { modulusLength: 2048 })
    await writeFile(path('sa.key'), serviceAccountKeys.privateKey.export({ type: 'pkcs8', format: 'pem' }))
    await writeFile(path('sa.pub'), serviceAccountKeys.publicKey.export({ type: 'spki', format: 'pem' }))
    await writeFile(path('tokens.csv'), `${token},admin,admin,system:masters\n`)
    await writeFile(
      path('audit-policy.yaml'),
      JSON.stringify({
        apiVersion: 'audit.k8s.io/v1',
        kind: 'Policy',
        omitStages: ['RequestReceived', 'ResponseStarted'],
        rules: [{ level: 'Metadata' }],
      }),
    )

    start('etcd', {
      'data-dir': path('etcd'),
      'listen-client-urls': `http://127.0.0.1:${etcdPort}`,
      'advertise-client-urls': `http://127.0.0.1:${etcdPort}`,
      'listen-peer-urls': `http://127.0.0.1:${peerPort}`,
      'initial-advertise-peer-urls': `http://127.0.0.1:${peerPort}`,
      'initial-cluster': `default=http://127.0.0.1:${peerPort}`,
      'unsafe-no-fsync': true,
    })

    const startApiServer = async () => {
      const apiServer = start('kube-apiserver', {
        'etcd-servers': `http://127.0.0.1:${etcdPort}`,
        'bind-address': '127.0.0.1',
        'secure-port': apiPort,
        'cert-dir': path('certs'),
        'service-account-issuer': 'https://kubernetes.default.svc',
        'service-account-key-file': path('sa.pub'),
        'service-account-signing-key-file': path('sa.key'),
        'token-auth-file': path('tokens.csv'),
        'authorization-mode': 'RBAC',
        'allow-privileged': true,
        'service-cluster-ip-range': '10.96.0.0/14',
        'kubelet-preferred-address-types': 'InternalIP',
        'disable-admission-plugins': 'ServiceAccount',
        'audit-policy-file': path('audit-policy.yaml'),
        'audit-log-path': access.auditLogPath,
      })
      const isReady = async () => {
        access.ca = await readFile(path('certs/apiserver.crt'), 'utf8')
        return (await request(access, 'GET', '/readyz')).status === 200
      }
      await apiServer.until('it is ready', isReady, signal)
    }
    await startApiServer()
    await writeFile(access.kubeconfig, kubeconfigFor(access), { mode: 0o600 })

    if (options.controllers) {
      start('kube-controller-manager', {
        kubeconfig: access.kubeconfig,
        'leader-elect': false,
        'secure-port': 0, // none
        'service-account-private-key-file': path('sa.key'),
        'root-ca-file': path('certs/apiserver.crt'),
        'kube-api-qps': 200,
        'kube-api-burst': 400,
        // the node that kwok plays sends few heartbeats
        'node-monitor-grace-period': '24h',
        'node-startup-grace-period': '24h',
      })
      start('kube-scheduler', {
        kubeconfig: access.kubeconfig,
        'leader-elect': false,
        'secure-port': 0, // none
      })
      await request(access, 'POST', '/api/v1/nodes', {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: {
          name: 'node-0',
          labels: {
            'kubernetes.io/hostname': 'node-0',
            'kubernetes.io/os': 'linux',
            // every kubelet still sets this one too, and v1's Deployments select by it
            'beta.kubernetes.io/os': 'linux',
            type: 'kwok',
          },
          annotations: { 'kwok.x-k8s.io/node': 'fake' },
        },
      })
      await writeFile(path('kwok.yaml'), kwokConfig(options.portForwards ?? []))
      const kwokFlags = {
        kubeconfig: access.kubeconfig,
        'manage-all-nodes': true,
        'node-ip': '127.0.0.1',
        'node-port': kubeletPort,
        'server-address': `127.0.0.1:${kubeletPort}`,
        cidr: '10.244.0.1/16',
        // the API server does not check its kubelets' certificate: its own will do
        'tls-cert-file': path('certs/apiserver.crt'),
        'tls-private-key-file': path('certs/apiserver.key'),
        config: path('kwok.yaml'),
      }
      // now and then it dies of "concurrent map writes" while it reads its stages (seen with kwok 0.7)
      const kwok = start('kwok', kwokFlags, 5)
      const isReady = async () => {
        const { body } = await request(access, 'GET', '/api/v1/nodes/node-0')
        const node = body as { status?: { conditions?: { type: string; status: string }[] } }
        return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
      }
      await kwok.until('the node is ready', isReady, signal)
    }

    return {
      ...access,
      auditLog: () => readAuditLog(access.auditLogPath),
      request: (...args) => request(access, ...args),
      stopApiServer: async () => processes.get('kube-apiserver')?.kill(),
      startApiServer,
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Every finished request in an audit log, oldest first. */
export async function readAuditLog(path: string): Promise<AuditEntry[]> {
  const lines = (await readFile(path, 'utf8')).split('\n')
  return lines.slice(0, -1).map((line) => JSON.parse(line) as AuditEntry)
}

/** One request to the API server with nothing of ours in between. */
export function request(
  { server, token, ca }: Pick<ControlPlaneAccess, 'server' | 'token' | 'ca'>,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<RawReply> {
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      new URL(path, server),
      {
        method,
        ca,
        agent: false,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      },
      async (reply) => {
        let text = ''
        reply.setEncoding('utf8').on('error', reject)
        for await (const chunk of reply) text += chunk
        const json = reply.headers['content-type']?.startsWith('application/json')
        resolve({ status: reply.statusCode ?? 0, body: json ? JSON.parse(text) : text })
      },
    )
    outgoing.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** Ports of 127.0.0.1 that nobody listens on at the moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return ports
}

/** A kubeconfig for one user with a token; JSON is YAML. */
export function kubeconfigFor(
  { server, token, ca }: Pick<ControlPlaneAccess, 'server' | 'token' | 'ca'>,
  namespace?: string,
): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [
      {
        name: 'test',
        cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') },
      },
    ],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin', namespace } }],
  })
}

function kwokConfig(forwards: NonNullable<ControlPlaneOptions['portForwards']>): string {
  const namespaces = [...new Set(forwards.map(({ namespace }) => namespace))]
  return namespaces
    .map((namespace) =>
      JSON.stringify({
        apiVersion: 'kwok.x-k8s.io/v1alpha1',
        kind: 'ClusterPortForward',
        metadata: { name: namespace },
        spec: {
          selector: { matchNamespaces: [namespace] },
          forwards: forwards
            .filter((forward) => forward.namespace === namespace)
            .map(({ port, targetPort }) => ({
              ports: [port],
              target: { address: '127.0.0.1', port: targetPort },
            })),
        },
      }),
    )
    .join('\n---\n')
}
