import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { FluxError } from '../../core/errors.ts'
import type { KubeOrigin } from '../../ports/agent-access.ts'
import { type CredentialSource, inlineOrFile, tokenFileCredential, userCredential } from './credentials.ts'
import { invalidKubeconfig, type Kubeconfig, readKubeconfig, textIn } from './kubeconfig.ts'

/**
 * Where the API server is and who we are to it, found the way kubectl does: `KUBECONFIG`, else `~/.kube/config`, else
 * the service account of the pod we run in.
 *
 * Leaves out `proxy-url` and the proxies of the environment.
 */

export interface KubeConnectionOptions {
  /** read this file alone, which must exist */
  kubeconfig?: string
  /** instead of the current context */
  context?: string
  /** `KUBECONFIG`, `HOME` and `KUBERNETES_SERVICE_*` are read from it; absent: the environment of this process */
  env?: Readonly<Record<string, string | undefined>>
}

export interface KubeConnection {
  origin: KubeOrigin
  /** without user-info; a path is kept, as some proxies serve a cluster below one */
  server: URL
  /** certificates to trust, PEM; absent: the system's */
  ca?: string
  /** accept any certificate */
  skipVerify: boolean
  /** name to check the certificate against; absent: the host of `server` */
  serverName?: string
  credential: CredentialSource
}

const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * Find the connection settings. Nothing is asked of the server, and no credential program runs yet.
 *
 * A kubeconfig that defines no cluster leaves the pod's own settings in force, and may still name a namespace: v1's
 * image and chart ship such files.
 *
 * @throws FluxError `KUBECONFIG_MISSING` | `KUBECONFIG_INVALID`
 */
export async function loadKubeConnection(options: KubeConnectionOptions = {}): Promise<KubeConnection> {
  const env = options.env ?? process.env
  const files = kubeconfigFiles(options.kubeconfig, env)
  const config = await readKubeconfig(files)
  const name = options.context || config.currentContext
  const context = config.contexts.get(name)?.value
  if (name !== '' && context === undefined) throw unknownContext(name, config, files)

  const namespace = textIn(context, 'namespace') ?? 'default'
  const clusterName = textIn(context, 'cluster')
  const cluster = clusterName === undefined ? undefined : config.clusters.get(clusterName)
  if (clusterName !== undefined && cluster === undefined) {
    throw invalidKubeconfig(`cluster "${clusterName}" does not exist`, {
      why: `The context "${name}" names it, and none of these files defines it: ${files.join(', ')}.`,
      next: 'Correct the context, or choose another with --context.',
    })
  }
  if (cluster === undefined) {
    return (await inClusterConnection(env, namespace)) ?? Promise.reject(missingKubeconfig(config, files))
  }

  const server = serverUrl(textIn(cluster.value, 'server'), clusterName ?? '')
  if (textIn(cluster.value, 'proxy-url') !== undefined) {
    throw invalidKubeconfig(`cluster "${clusterName}" has a proxy-url`, {
      why: 'Connections through a proxy are not supported.',
      next: 'Remove proxy-url and make the server reachable directly, such as by a VPN or an SSH tunnel.',
    })
  }
  const userName = textIn(context, 'user')
  const user = userName === undefined ? undefined : config.users.get(userName)
  const ca = await inlineOrFile(cluster, 'certificate-authority')
  const serverName = textIn(cluster.value, 'tls-server-name')
  return {
    origin: { files, context: name, server: withoutUserInfo(server), namespace },
    server,
    ...(ca !== undefined && { ca }),
    ...(serverName !== undefined && { serverName }),
    skipVerify: cluster.value['insecure-skip-tls-verify'] === true,
    credential:
      user === undefined ? async () => ({ headers: {} }) : await userCredential(userName ?? '', user),
  }
}

/** Namespace of the pod we run in, as its service account tells; `undefined` outside a pod. */
export async function readPodNamespace(): Promise<string | undefined> {
  const text = await readFile(join(serviceAccountFolder, 'namespace'), 'utf8').catch(() => '')
  return text.trim() || undefined
}

function kubeconfigFiles(explicit: string | undefined, env: KubeConnectionOptions['env'] = {}): string[] {
  if (explicit !== undefined) return [explicit]
  const listed = (env['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '')
  if (listed.length > 0) return [...new Set(listed)]
  return [join(env['HOME'] || homedir(), '.kube', 'config')]
}

async function inClusterConnection(
  env: Readonly<Record<string, string | undefined>>,
  namespace: string,
): Promise<KubeConnection | undefined> {
  const host = env['KUBERNETES_SERVICE_HOST']
  const port = env['KUBERNETES_SERVICE_PORT']
  if (!host || !port) return undefined
  const ca = await readFile(join(serviceAccountFolder, 'ca.crt'), 'utf8').catch(() => undefined)
  const server = new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`)
  return {
    origin: { files: [], context: undefined, server: withoutUserInfo(server), namespace },
    server,
    ...(ca !== undefined && { ca }),
    skipVerify: false,
    credential: tokenFileCredential(join(serviceAccountFolder, 'token')),
  }
}

function serverUrl(text: string | undefined, cluster: string): URL {
  if (text !== undefined && /^https?:\/\//.test(text) && URL.canParse(text)) return new URL(text)
  throw invalidKubeconfig(`cluster "${cluster}" has no usable server`, {
    why: 'The address must begin with https:// (or http://).',
    next: `Set it: kubectl config set-cluster ${cluster} --server=https://…`,
  })
}

function withoutUserInfo(server: URL): string {
  const path = server.pathname === '/' ? '' : server.pathname.replace(/\/$/, '')
  return `${server.origin}${path}`
}

function unknownContext(name: string, { contexts }: Kubeconfig, files: string[]): FluxError {
  const known = [...contexts.keys()].sort()
  return invalidKubeconfig(`context "${name}" does not exist`, {
    why: `Looked in ${files.join(', ')}.`,
    next:
      known.length === 0
        ? 'There are no contexts at all: check KUBECONFIG.'
        : `Choose one of these with --context: ${known.join(', ')}.`,
  })
}

function missingKubeconfig({ contexts, currentContext }: Kubeconfig, files: string[]): FluxError {
  return new FluxError('KUBECONFIG_MISSING', {
    what:
      'Could not load kubernetes configuration file: invalid configuration: no configuration has been provided, ' +
      'try setting KUBERNETES_MASTER environment variable',
    why: `Looked in ${files.join(', ')}, and this is not a pod with a service account.`,
    next:
      currentContext === '' && contexts.size > 0
        ? `No context is current. Choose one with --context: ${[...contexts.keys()].sort().join(', ')}.`
        : 'Set KUBECONFIG to a kubeconfig file. Where the API of fluxd is reached without Kubernetes, give fluxctl its --url.',
  })
}
