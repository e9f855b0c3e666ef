import { FluxError } from '../core/errors.ts'
import type { GitChart, ObjectRef, RepositoryChart } from '../core/helm/chart.ts'
import { finalizer, type HelmRelease, readHelmRelease } from '../core/helm/resource.ts'
import type { Route } from '../http/route.ts'
import { textBody } from '../http/route.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster } from '../ports/cluster.ts'
import type { ChartSources, Helm, HelmStorage } from '../ports/helm.ts'
import type { Log } from '../ports/log.ts'
import type { OperatorMetrics } from '../ports/operator-metrics.ts'
import { parseDuration } from '../runtime/flags.ts'
import { startLoop } from '../runtime/loop.ts'
import { createActor } from './act.ts'
import { joinCharts } from './charts.ts'
import type { Config } from './config.ts'
import { createDriftWatch } from './drift.ts'
import { createOwnership } from './ownership.ts'
import { startWorkQueue } from './queue.ts'
import { createReconciler } from './reconcile.ts'
import { createSourceReader, type SourceReader } from './sources.ts'
import { createStatusWriter } from './status.ts'
import { failureFields } from './tell.ts'
import { createView, objectKeyOf, releaseTypes, type View } from './view.ts'

/**
 * The Helm operator, put together: a view of the cluster, a queue of releases, a pass over each, and mirrors that are
 * fetched. What is decided stands in `core/helm`; neighbours come as ports, from `main.ts`.
 */

export interface OperatorParts {
  cluster: Cluster
  helm: Helm
  storage: HelmStorage
  /** charts, which may need what a Secret holds */
  openCharts(readSecret: ReadSecret): {
    git: ChartSources<GitChart> & {
      refresh(signal?: AbortSignal): Promise<void>
      revision(source: GitChart): Promise<string | undefined>
      keep(sources: readonly GitChart[]): Promise<void>
    }
    repository: ChartSources<RepositoryChart>
  }
  /** @throws FluxError `HELM_VALUES_MISSING` */
  fetchValues(url: string, signal?: AbortSignal): Promise<string>
  metrics: OperatorMetrics
  clock: Clock
  log: Log
}

/** Entries of a Secret as text. @throws FluxError `SECRET_MISSING` | `CLUSTER_…` */
export type ReadSecret = (ref: ObjectRef) => Promise<ReadonlyMap<string, string>>

export interface Operator {
  routes: readonly Route[]
  /** Resolves when everything has stopped. */
  ended: Promise<void>
}

/** Put the operator together and start it; it stops when the signal is aborted. */
export function startOperator(config: Config, parts: OperatorParts, signal: AbortSignal): Operator {
  const { cluster, helm, storage, metrics, clock, log } = parts
  const intervalOf = ({ annotations: { interval } }: HelmRelease): number => {
    if (interval === undefined) return config.intervalMs
    try {
      const own = parseDuration(interval)
      return own > 0 ? own : config.intervalMs
    } catch {
      return config.intervalMs
    }
  }

  const view: View = createView({
    cluster,
    namespace: config.namespace,
    older: config.older,
    onRelease(key, now, before) {
      metrics.setReleaseCount(view.releases.size)
      // what only the status says is our own doing
      const sameGeneration = before?.uid === now.uid && before.generation === now.generation
      const statusOnly =
        sameGeneration &&
        before.deleting === now.deleting &&
        JSON.stringify(before.annotations) === JSON.stringify(now.annotations)
      if (!statusOnly) queue.ask(key, 'changed')
      for (const [other, { annotations }] of view.releases) {
        if (annotations.dependsOn.includes(key)) queue.ask(other, 'changed')
      }
    },
    onReleaseGone(key, last) {
      metrics.setReleaseCount(view.releases.size)
      metrics.forget(last)
      status.forget(last)
      queue.drop(key)
    },
    onRevision(namespace, release) {
      for (const at of view.releases.values()) {
        if (at.releaseName !== release || at.targetNamespace !== namespace) continue
        status.showRelease(at, view.revisions(namespace, release)[0]?.status ?? '')
      }
    },
    clock,
    log,
    signal,
  })
  const status = createStatusWriter({ cluster, view, metrics, clock, log })
  const sources: SourceReader = createSourceReader({
    cluster,
    onChange(kind, ref) {
      for (const [key, { valueSources }] of view.releases) {
        const refers = valueSources.some(
          (source) =>
            source.kind === kind && source.ref.namespace === ref.namespace && source.ref.name === ref.name,
        )
        if (refers) queue.ask(key, 'changed')
      }
    },
    clock,
    signal,
  })
  const { git, repository } = parts.openCharts(async (ref) => {
    const data = await sources.read('Secret', ref)
    if (data) return data
    throw new FluxError('SECRET_MISSING', {
      what: `Secret ${ref.namespace}/${ref.name} not found`,
      next: 'Create it: it is read again at the next try.',
    })
  })
  const charts = joinCharts(git, repository)
  const ownership = createOwnership(
    { cluster, storage, view, seesAll: config.namespace === '' },
    log.with({ component: 'annotator' }),
  )
  const reconciler = createReconciler({
    cluster,
    view,
    helm,
    storage,
    charts,
    values: {
      readKey: async (kind, ref, key) => (await sources.read(kind, ref))?.get(key),
      fetchUrl: parts.fetchValues,
      readChartFile: (source, head, path) => git.readFile(source, head, path),
    },
    status,
    ownership,
    actor: createActor({
      helm,
      storage,
      status,
      ownership,
      metrics,
      recoverPending: config.helm.recoverPending,
      logDiffs: config.logDiffs,
      intervalOf,
      revisions: ({ targetNamespace, releaseName }) => view.revisions(targetNamespace, releaseName),
      putRevisions: ({ targetNamespace, releaseName }, revisions) =>
        view.putRevisions(targetNamespace, releaseName, revisions),
      clock,
    }),
    metrics,
    crossNamespace: config.crossNamespace,
    intervalOf,
    clock,
    log,
    signal,
  })
  const queue = startWorkQueue({
    // a pass mostly waits for the API server; helm itself is run for so many releases at once as the flag says
    workers: 2 * config.workers,
    async work(key) {
      await view.listed
      const againMs = await reconciler.pass(key)
      // not all releases at the same moment
      if (againMs !== undefined) queue.askIn(key, againMs * (0.95 + Math.random() / 20))
    },
    onLength: (length) => metrics.setQueueLength(length),
    clock,
    signal,
  })

  const drift = createDriftWatch({
    cluster,
    storage,
    view,
    metrics,
    async onDrift(key, release, differences) {
      await reconciler.tellDrift(release, differences)
      if (config.drift.mode !== 'correct') return
      reconciler.repair(release)
      queue.ask(key, 'changed')
    },
    log: log.with({ component: 'drift' }),
  })
  const driftLoop = async () => {
    await Promise.race([view.listed, ended(signal)])
    // not at once: everything is new to us
    while (config.drift.mode !== 'off' && !signal.aborted) {
      await clock.sleep(config.drift.intervalMs, signal).catch(() => {})
      if (!signal.aborted) await drift.pass(signal)
    }
  }

  const gitCharts = () =>
    [...view.releases.values()].flatMap(({ chart }) => (chart?.kind === 'git' ? [chart] : []))
  const mirrors = startLoop({
    intervalMs: config.git.pollIntervalMs,
    signal,
    clock,
    async pass(passSignal) {
      await Promise.race([view.listed, ended(passSignal)])
      await git.keep(gitCharts())
      await git.refresh(passSignal)
      for (const [key, release] of view.releases) {
        if (release.chart?.kind !== 'git') continue
        const revision = await git.revision(release.chart)
        if (revision === undefined || !reconciler.hasSeen(release, revision)) queue.ask(key, 'due')
      }
    },
    onError: (thrown) => log.write({ component: 'gitchartsync', ...failureFields(thrown) }),
  })

  return {
    routes: [
      { method: 'GET', path: '/healthz', requiredQuery: [], handle: () => okText },
      {
        method: 'POST',
        path: '/api/v1/sync-git',
        requiredQuery: [],
        handle() {
          mirrors.ask()
          return okText
        },
      },
    ],
    ended: (async () => {
      await Promise.allSettled([view.ended, queue.ended, mirrors.ended, sources.ended(), driftLoop()])
      await charts.close()
    })(),
  }
}

const okText = { status: 200, body: textBody('OK') }

/** Take our finalizer off every HelmRelease. @returns how many had it */
export async function removeFinalizers(
  cluster: Cluster,
  namespace: string,
  signal: AbortSignal,
): Promise<number> {
  let removed = 0
  for (const type of Object.values(releaseTypes)) {
    const list = await cluster
      .list(type, { signal, ...(namespace !== '' && { namespace }) })
      .catch((thrown: unknown) => {
        if (thrown instanceof FluxError && thrown.kind !== 'server') return { items: [] } // not served
        throw thrown
      })
    for (const release of list.items.flatMap((item) => readHelmRelease(item) ?? [])) {
      if (!release.finalizers.includes(finalizer)) continue
      const finalizers = release.finalizers.filter((name) => name !== finalizer)
      await cluster.patch(objectKeyOf(release), { metadata: { finalizers } }, signal)
      removed++
    }
  }
  return removed
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
