import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createGitMirror } from '../adapters/git/mirror.ts'
import { type OpenSsh, openSsh } from '../adapters/git/ssh.ts'
import { createCluster } from '../adapters/kube/cluster.ts'
import { loadKubeConnection, readPodNamespace } from '../adapters/kube/connection.ts'
import { createImageRegistry } from '../adapters/registry/client.ts'
import { parseDockerConfig } from '../adapters/registry/credentials.ts'
import { readDockerConfig } from '../adapters/registry/docker-config.ts'
import { createMemoryStore } from '../adapters/store/memory.ts'
import { systemClock } from '../adapters/system/clock.ts'
import { createLog } from '../adapters/system/log.ts'
import { keepHeapSmall } from '../adapters/system/memory.ts'
import { createMetrics } from '../adapters/system/metrics.ts'
import { makeOwnFolder } from '../adapters/system/own-folder.ts'
import { FluxError } from '../core/errors.ts'
import { isHttpUrl, isSshUrl } from '../core/git/remote-url.ts'
import { createApiServer, createMetricsServer, type HttpServer } from '../http/server.ts'
import type { Cluster } from '../ports/cluster.ts'
import type { ImageStore } from '../ports/image-store.ts'
import type { Log } from '../ports/log.ts'
import type { Keychain } from '../ports/registry.ts'
import { startProgram } from '../runtime/program.ts'
import { version } from '../version.ts'
import { startAgent } from './agent.ts'
import { type Config, readConfig, settingsLine } from './config.ts'
import { flags } from './flags.ts'
import { type Identity, noIdentity, openKeyRing } from './identity.ts'
import { platformsOf } from './platforms.ts'
import { failureFields } from './tell.ts'
import { usage } from './usage.ts'

/** fluxd: the parts list. Neighbours are made here and handed in; nothing else of the agent knows adapters. */

const clock = systemClock

async function run(config: Config, log: Log, signal: AbortSignal): Promise<void> {
  keepHeapSmall(signal)
  const connection = await loadKubeConnection(config.kubeconfig ? { kubeconfig: config.kubeconfig } : {})
  const cluster = createCluster({ connection })
  const metrics = createMetrics()
  const folder = await makeOwnFolder([tmpdir()])
  // in memory, where people mount a tmpfs for it
  const keyFolder = hasKeyRing(config) ? await makeOwnFolder([config.ssh.folder]) : undefined
  const own = folder ? [folder.path] : []
  const ssh = hasKeyRing(config)
    ? await openSsh({ parentDirectories: [...(keyFolder ? [keyFolder.path] : own), tmpdir()] })
    : undefined
  const mirror = config.git.url
    ? createGitMirror({
        url: config.git.url,
        notesRef: config.git.notesRef,
        timeoutMs: config.git.timeoutMs,
        ...(folder && { parentDirectory: folder.path }),
        ...(ssh && { sshCommand: ssh.command }),
      })
    : undefined
  const registry = createImageRegistry({
    insecureHosts: config.registry.insecureHosts,
    requestsPerSecond: config.registry.requestsPerSecond,
    burst: config.registry.burst,
    trace: config.registry.trace,
    platforms: platformsOf(cluster, clock),
    environment: process.env,
    clock,
    log,
    onFetched: (kind, success, durationMs) => metrics.observeRegistryRequest({ kind, success, durationMs }),
  })
  const defaultKeychain = await openDockerConfig(config.registry.dockerConfig, log)
  const imageStore = await openStore(config, log)
  const servers: HttpServer[] = []
  try {
    log.write({ host: cluster.server, version: `kubernetes-${await cluster.version(signal)}`, ping: true })
    log.write(settingsLine(config))
    log.write({ upstream: 'no upstream URL given' })

    const agent = startAgent(
      config,
      {
        mirror,
        identity: ssh ? await openIdentity(config, ssh, cluster, log, signal) : noIdentity,
        cluster,
        registry,
        imageStore,
        parseDockerConfig,
        defaultKeychain,
        contextNamespace: connection.origin.namespace,
        version,
        clock,
        log,
        metrics,
      },
      signal,
    )
    const auth =
      config.apiAuth === 'token' ? { mode: config.apiAuth, token: config.token } : { mode: config.apiAuth }
    const api = createApiServer({
      routes: agent.routes,
      auth,
      metrics,
      exposeMetrics: !config.listenMetrics,
      log,
    })
    servers.push(api)
    log.write({ addr: config.listen, port: await api.listen(config.listen) })
    if (config.listenMetrics) {
      const exposed = createMetricsServer({ metrics, log })
      servers.push(exposed)
      log.write({ 'metrics-addr': config.listenMetrics, port: await exposed.listen(config.listenMetrics) })
    }
    await agent.ended
  } finally {
    await Promise.allSettled(servers.map((server) => server.close()))
    await Promise.allSettled([mirror?.close(), cluster.close(), registry.close(), imageStore.close()])
    await ssh?.close()
    await Promise.allSettled([folder?.remove(), keyFolder?.remove()])
  }
}

/**
 * The image store: where `--registry-cache-dir` says, or fluxd doesn't start; in a temporary folder of its own, or in
 * memory where there is none to be had.
 */
async function openStore({ registry, git }: Config, log: Log): Promise<ImageStore> {
  if (registry.disabled) return createMemoryStore()
  const { openImageStore } = await import('../adapters/store/lmdb.ts')
  if (registry.cacheDir) return openImageStore({ folder: registry.cacheDir, log })
  const user = process.getuid?.() ?? 0
  const world = createHash('sha256').update(`${git.url} ${git.branch}`).digest('hex').slice(0, 12)
  try {
    return await openImageStore({ folder: join(tmpdir(), `fluxd-${user}-${world}`), log })
  } catch (thrown) {
    if (!(thrown instanceof FluxError)) throw thrown
    const { what, why, code } = thrown
    const warning = 'what registries tell is kept in memory only'
    log.write({ component: 'store', warning, err: what, why, code })
    return createMemoryStore({ code, message: `${warning}: ${what}` })
  }
}

/** As v1: over HTTP no key is needed, and outside a pod there is nowhere to keep one. */
function hasKeyRing({ git, k8s }: Config): boolean {
  return k8s.secretNamespace !== undefined && !isHttpUrl(git.url)
}

/** fluxd's SSH key. Where the repository is reached without one, going on without is better than ending. */
async function openIdentity(
  { git, k8s, ssh: { keyFiles, newKey } }: Config,
  ssh: OpenSsh,
  cluster: Cluster,
  log: Log,
  signal: AbortSignal,
): Promise<Identity> {
  const secret = { namespace: k8s.secretNamespace ?? '', name: k8s.secretName, dataKey: k8s.secretDataKey }
  try {
    return await openKeyRing({ ssh, cluster, secret, files: keyFiles, newKey, log }, signal)
  } catch (thrown) {
    if (isSshUrl(git.url) || signal.aborted) throw thrown
    log.write({ component: 'cluster', warning: 'no SSH key', ...failureFields(thrown) })
    return noIdentity
  }
}

/** How long what `--docker-config` gives is kept: its helpers are programs, and may be slow. */
const dockerConfigMs = 55_000

/**
 * Credentials from `--docker-config`, read anew each round. One that can't be read at start is told of and left out
 * from then on, as v1 has it; one that can't be read later gives what it gave before.
 */
async function openDockerConfig(file: string, log: Log): Promise<() => Promise<Keychain>> {
  const nothing: Keychain = new Map()
  if (file === '') return async () => nothing
  const read = () => readDockerConfig({ file, environment: process.env, log })
  const tell = (warning: string, thrown: unknown) =>
    log.write({ component: 'registry', warning, ...failureFields(thrown) })
  let known: Keychain
  try {
    known = await read()
  } catch (thrown) {
    tell('--docker-config not used; pre-flight check failed', thrown)
    return async () => nothing
  }
  let readAtMs = clock.monotonicMs()
  return async () => {
    if (clock.monotonicMs() - readAtMs < dockerConfigMs) return known
    readAtMs = clock.monotonicMs()
    known = await read().catch((thrown) => {
      tell('--docker-config cannot be read: going on with what it said before', thrown)
      return known
    })
    return known
  }
}

startProgram({
  name: 'fluxd',
  version,
  flags,
  usage,
  readConfig: async (parsed) =>
    readConfig(parsed, { POD_NAMESPACE: await readPodNamespace(), ...process.env }),
  openLog: (config) => createLog({ format: config.logFormat, clock }),
  clock,
  graceMs: 25_000,
  run,
})
