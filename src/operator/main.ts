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
import { makeOwnFolder } from '../adapters/system/own-folder.ts'
import { FluxError } from '../core/errors.ts'
import { createPlainServer } from '../http/server.ts'
import type { Log } from '../ports/log.ts'
import { startProgram } from '../runtime/program.ts'
import { version } from '../version.ts'
import { type Config, flags, readConfig } from './config.ts'
import { removeFinalizers, startOperator } from './operator.ts'
import { usage } from './usage.ts'

/** The Helm operator: the parts list. Neighbours are made here and handed in; nothing else of it knows adapters. */

const clock = systemClock

async function run(config: Config, log: Log, signal: AbortSignal): Promise<void> {
  const connection = await loadKubeConnection(config.kubeconfig ? { kubeconfig: config.kubeconfig } : {})
  const cluster = createCluster({ connection, stateManager: 'helm-operator' })
  const own = await makeOwnFolder([tmpdir()])
  if (!own) {
    throw new FluxError('FOLDER_UNUSABLE', {
      what: `no folder can be made in ${tmpdir()}`,
      why: 'mirrors, charts and the caches of helm are kept in one',
      next: 'mount a writable folder there, such as an emptyDir, or name another by TMPDIR',
    })
  }
  const folder = own.path // for mirrors, charts and helm's caches
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
    await own.remove()
  }
}

startProgram({
  name: 'helm-operator',
  version,
  flags,
  usage,
  readConfig,
  openLog: (config) => createLog({ format: config.logFormat, clock }),
  clock,
  graceMs: 45_000, // helm marks its revision failed when it is told to end; that and the last writes fit in here
  run,
})
