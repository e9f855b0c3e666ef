import { createHash } from 'node:crypto'
import { setMaxListeners } from 'node:events'
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
import { FluxError, messageOf } from '../core/errors.ts'
import { isHttpUrl, isSshUrl } from '../core/git/remote-url.ts'
import { createApiServer, createMetricsServer, type HttpServer } from '../http/server.ts'
import type { Cluster } from '../ports/cluster.ts'
import type { ImageStore } from '../ports/image-store.ts'
import type { Log } from '../ports/log.ts'
import type { Keychain } from '../ports/registry.ts'
import { type ParsedFlags, parseFlags } from '../runtime/flags.ts'
import { runUntilTold } from '../runtime/shutdown.ts'
import { version } from '../version.ts'
import { startAgent } from './agent.ts'
import { type Config, readConfig, settingsLine } from './config.ts'
import { flags } from './flags.ts'
import { type Identity, noIdentity, openKeyRing } from './identity.ts'
import { platformsOf } from './platforms.ts'
import { failureFields } from './tell.ts'
import { usage } from './usage.ts'

/** fluxd: the parts list. Neighbours are made here and handed in; nothing else of the agent knows adapters. */

// many requests wait on one signal: that is no leak
setMaxListeners(0)

const graceMs = 25_000
const clock = systemClock

async function main(argv: readonly string[]): Promise<number> {
  if (argv.some((word) => word === '--help' || word === '-h')) {
    process.stdout.write(usage())
    return 0
  }
  let config: Config
  let notices: Record<string, string>[]
  let parsed: ParsedFlags<typeof flags> | undefined
  try {
    parsed = parseFlags(flags, argv, {
      env: process.env,
      warn: (line) => process.stderr.write(`${line}\n`),
    })
    if (parsed.values.version) {
      process.stdout.write(`${version}\n`)
      return 0
    }
    ;({ config, notices } = readConfig(parsed, { POD_NAMESPACE: await readPodNamespace(), ...process.env }))
  } catch (thrown) {
    if (!(thrown instanceof FluxError)) throw thrown
    process.stderr.write(`Error: ${[thrown.what, thrown.why, thrown.next].filter(Boolean).join('\n')}\n`)
    process.stderr.write('fluxd --help shows all flags.\n')
    return parsed ? 1 : 2 // as v1: what can't be read is 2, what can't be done is 1
  }

  const log = createLog({ format: config.logFormat, clock })
  log.write({ version })
  for (const notice of notices) log.write(notice)
  const ending = await runUntilTold((signal) => run(config, log, signal), {
    graceMs,
    clock,
    source: process,
    onSignal: (name) => log.write({ exiting: name }),
  })
  if (ending.how === 'clean') return 0
  if (ending.how === 'late') {
    log.write({ warning: 'work under way did not end in time and is left where it stands' })
    return 0
  }
  const { thrown } = ending
  const error = thrown instanceof FluxError ? thrown : undefined
  log.write({
    err: messageOf(thrown),
    code: error?.code,
    why: error?.why,
    next: error?.next,
    stack: error ? undefined : stackOf(thrown),
  })
  return 1
}

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

function stackOf(thrown: unknown): string {
  return (thrown instanceof Error && thrown.stack) || String(thrown)
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (thrown) => {
    process.stderr.write(
      `fluxd failed in a way that it should not have. Please report this:\n${stackOf(thrown)}\n`,
    )
    process.exit(1)
  },
)
