import { setMaxListeners } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { maxPackedBytes } from '../adapters/helm/archive.ts'
import { importRepositories, readRepositoryCredentials } from '../adapters/helm/credentials.ts'
import { vendorDependencies } from '../adapters/helm/dependencies.ts'
import { createFetcher } from '../adapters/helm/fetch.ts'
import { createGitCharts } from '../adapters/helm/git-charts.ts'
import { createMirrors } from '../adapters/helm/mirrors.ts'
import { createRepositoryCharts } from '../adapters/helm/repository-charts.ts'
import { createHelm } from '../adapters/helm/run.ts'
import { createHelmStorage } from '../adapters/helm/storage.ts'
import { createValuesFetcher } from '../adapters/helm/values-url.ts'
import { createCluster } from '../adapters/kube/cluster.ts'
import { loadKubeConnection } from '../adapters/kube/connection.ts'
import { createImageRegistry } from '../adapters/registry/client.ts'
import { systemClock } from '../adapters/system/clock.ts'
import { createLog } from '../adapters/system/log.ts'
import { createOperatorMetrics } from '../adapters/system/operator-metrics.ts'
import { FluxError, messageOf } from '../core/errors.ts'
import { createPlainServer } from '../http/server.ts'
import type { Log } from '../ports/log.ts'
import { type ParsedFlags, parseFlags } from '../runtime/flags.ts'
import { runUntilTold } from '../runtime/shutdown.ts'
import { version } from '../version.ts'
import { type Config, flags, readConfig } from './config.ts'
import { removeFinalizers, startOperator } from './operator.ts'
import { usage } from './usage.ts'

/** The Helm operator: the parts list. Neighbours are made here and handed in; nothing else of it knows adapters. */

// many requests wait on one signal: that is no leak
setMaxListeners(0)

/** helm marks its revision failed when it is told to end; that and the last writes fit in here */
const graceMs = 45_000
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
    ;({ config, notices } = readConfig(parsed))
  } catch (thrown) {
    if (!(thrown instanceof FluxError)) throw thrown
    process.stderr.write(`Error: ${[thrown.what, thrown.why, thrown.next].filter(Boolean).join('\n')}\n`)
    process.stderr.write('helm-operator --help shows all flags.\n')
    return parsed ? 1 : 2
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
  const connection = await loadKubeConnection(config.kubeconfig ? { kubeconfig: config.kubeconfig } : {})
  const cluster = createCluster({ connection, stateManager: 'helm-operator' })
  const folder = await makeFolder(tmpdir())
  const metrics = createOperatorMetrics()
  try {
    log.write({ host: cluster.server, version: `kubernetes-${await cluster.version(signal)}` })
    if (config.removeFinalizers) {
      const removed = await removeFinalizers(cluster, config.namespace, signal)
      log.write({ info: 'finalizers removed', count: removed })
      return
    }
    const helm = await createHelm({
      program: config.helm.program,
      folder,
      kubeconfigs: connection.origin.files,
      context: connection.origin.context,
      environment: process.env,
      concurrency: config.workers,
    })
    log.write({ component: 'helm', version: helm.version })
    const imported = await importRepositories(config.helm.repositoryFiles, log)
    const fetcher = createFetcher(process.env)
    const registry = createImageRegistry({
      insecureHosts: config.helm.insecureHosts,
      maxBodyBytes: maxPackedBytes,
      environment: process.env,
      clock,
      log,
    })
    const mirrors = await createMirrors({ git: config.git, folder, environment: process.env })
    const operator = startOperator(
      config,
      {
        cluster,
        helm,
        storage: createHelmStorage(cluster),
        openCharts(readSecret) {
          const repository = createRepositoryCharts({
            fetcher,
            registry,
            readCredentials: async (ref) => readRepositoryCredentials(await readSecret(ref)),
            imported,
            folder: join(folder, 'packages'),
          })
          return {
            git: createGitCharts({
              openMirror: mirrors.open,
              async readCredentials(ref) {
                const data = await readSecret(ref)
                return mirrors.readCredentials(data, `${ref.namespace}/${ref.name}`)
              },
              defaultRef: config.git.defaultRef,
              folder,
              async vendor(chart, root, stop) {
                if (config.updateDependencies) await vendorDependencies(chart, root, repository, stop)
              },
            }),
            repository,
          }
        },
        fetchValues: createValuesFetcher(fetcher),
        metrics,
        clock,
        log,
      },
      signal,
    )
    const server = createPlainServer({ routes: operator.routes, metrics, log })
    log.write({ addr: config.listen, port: await server.listen(config.listen) })
    await operator.ended
    await server.close()
    await Promise.all([mirrors.close(), registry.close()])
  } finally {
    await cluster.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** A folder for mirrors, charts and helm's caches; those of operators that were killed go. */
async function makeFolder(parent: string): Promise<string> {
  for (const name of await readdir(parent)) {
    const pid = Number(/^helm-operator-(\d+)-/.exec(name)?.[1])
    // in a container every operator has the same number
    if (Number.isInteger(pid) && (pid === process.pid || !isAlive(pid))) {
      await rm(join(parent, name), { recursive: true, force: true })
    }
  }
  return mkdtemp(join(parent, `helm-operator-${process.pid}-`))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function stackOf(thrown: unknown): string {
  return (thrown instanceof Error && thrown.stack) || String(thrown)
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (thrown) => {
    process.stderr.write(
      `helm-operator failed in a way that it should not have. Please report this:\n${stackOf(thrown)}\n`,
    )
    process.exit(1)
  },
)
