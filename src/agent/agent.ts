import { type Note, readNote } from '../api/note.ts'
import { FluxError } from '../core/errors.ts'
import { commitEvent, planSyncEvents } from '../core/sync/event.ts'
import { syncSetName } from '../core/sync/inventory.ts'
import type { Route } from '../http/route.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster } from '../ports/cluster.ts'
import type { CommitSummary, GitMirror } from '../ports/git.ts'
import type { ImageStore } from '../ports/image-store.ts'
import type { Log } from '../ports/log.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { ImageRegistry, Keychain } from '../ports/registry.ts'
import { startLoop } from '../runtime/loop.ts'
import { createQueue } from '../runtime/queue.ts'
import { startAutomation } from './automation.ts'
import { createClusterView } from './cluster-view.ts'
import type { Config } from './config.ts'
import { readDemand } from './demand.ts'
import { createEvents } from './events.ts'
import { createHistory } from './history.ts'
import type { Identity } from './identity.ts'
import { createImageCatalog } from './images.ts'
import { createJobs } from './jobs.ts'
import { createKeychains } from './keychains.ts'
import { createListings } from './listings.ts'
import { createManifestStore } from './manifests.ts'
import { secretMarker, tagMarker } from './marker.ts'
import { createPublisher } from './publisher.ts'
import { createRepository } from './repository.ts'
import { aboutRoutes } from './routes/about.ts'
import { getJob } from './routes/get-job.ts'
import { getSyncStatus } from './routes/get-sync-status.ts'
import { gitRepoConfig } from './routes/git-repo-config.ts'
import { identityRoutes } from './routes/identity.ts'
import { listImages } from './routes/list-images.ts'
import { listWorkloads } from './routes/list-workloads.ts'
import { notify } from './routes/notify.ts'
import { updateManifests } from './routes/update-manifests.ts'
import { createScanner } from './scan.ts'
import { createSyncer } from './sync.ts'
import { failureFields } from './tell.ts'
import { createUpdater } from './updates.ts'

/**
 * fluxd, put together: a repository that is fetched, passes from Git to the cluster, jobs from requests to commits,
 * automation, listings, and the routes that ask for these. Who may run when is settled by one queue with lanes.
 *
 * `docs/architecture.md` has the picture. What is decided stands in `core`; each part here carries out. Neighbours come
 * as ports, from `main.ts`.
 */

/** How soon a pass that a neighbour's fault ended is tried again, doubling from the first to the second. */
const minRetryMs = 1_000
const maxRetryMs = 60_000

/** The neighbours that fluxd works with. */
export interface AgentParts {
  /** absent: run without Git */
  mirror: GitMirror | undefined
  /** the SSH key that the mirror presents */
  identity: Identity
  cluster: Cluster
  registry: ImageRegistry
  imageStore: ImageStore
  parseDockerConfig(text: string, source: string): Keychain
  /** credentials from `--docker-config` */
  defaultKeychain(): Promise<Keychain>
  /** namespace of the credentials' context, or `default` */
  contextNamespace: string
  version: string
  clock: Clock
  log: Log
  metrics: Metrics
}

export interface Agent {
  routes: readonly Route[]
  /** Resolves when everything has stopped. */
  ended: Promise<void>
}

/** Put the agent together and start it; it stops when the signal is aborted. */
export function startAgent(config: Config, parts: AgentParts, signal: AbortSignal): Agent {
  const { cluster, clock, log, metrics } = parts
  const { git, sync, k8s } = config
  const queue = createQueue({ signal })
  const view = createClusterView({
    cluster,
    namespaces: k8s.namespaces,
    onChange: (id) => syncer.changed(id),
    clock,
    log,
    signal,
  })
  const repository = createRepository({
    mirror: parts.mirror,
    branch: git.branch,
    readonly: git.readonly,
    pollIntervalMs: git.pollIntervalMs,
    clock,
    log,
    onReady(ready) {
      metrics.setGitReady(ready)
      if (ready) automation.ask()
    },
    onRefreshed: () => passes.ask(),
  })
  const identity: Identity = {
    ...parts.identity,
    async regenerate() {
      await parts.identity.regenerate()
      repository.askRefresh() // whether the new key is let in is known at once
    },
  }
  const manifests = createManifestStore({
    paths: git.paths,
    discovery: () => cluster.discover(signal),
    defaultNamespace: k8s.defaultNamespace || parts.contextNamespace,
  })
  const images = createImageCatalog({
    store: parts.imageStore,
    disabled: config.registry.disabled,
    scope: { include: config.registry.include, exclude: config.registry.exclude },
    useLabels: config.registry.useLabels,
    clock,
    metrics,
  })
  const keychains = createKeychains({
    cluster,
    view,
    parse: parts.parseDockerConfig,
    defaults: parts.defaultKeychain,
    log,
  })
  const scanner = createScanner({
    registry: parts.registry,
    store: parts.imageStore,
    catalog: images,
    wanted: () => keychains.unlock(),
    demand: () => readDemand({ view, repository, manifests }),
    useLabels: config.registry.useLabels,
    disabled: config.registry.disabled,
    concurrency: config.registry.burst,
    depth: config.registry.metadataDepth,
    onNews: () => automation.ask(),
    clock,
    log,
    metrics,
    signal,
  })
  const events = createEvents({ cluster, view, log })
  const syncer = createSyncer({
    repository,
    manifests,
    cluster,
    view,
    marker:
      sync.state === 'git'
        ? tagMarker(repository, git.syncTag, git.committer)
        : secretMarker(cluster, k8s.secretNamespace ?? '', k8s.secretName),
    gitPaths: git.paths,
    syncSet: syncSetName(repository.safeUrl, git.branch, git.paths),
    namespaces: k8s.namespaces,
    drift: sync.drift,
    prune: sync.prune,
    pruneBudget: sync.pruneBudget,
    pruneExcludes: sync.pruneExcludes,
    queue,
    intervalMs: sync.intervalMs,
    timeoutMs: sync.timeoutMs,
    signal,
    onTold: events.tellDrift,
    async onSynced(report, mirror) {
      const story = planSyncEvents({
        ...report,
        commits: report.commits.map(({ revision, subject }) => ({ revision, message: subject })),
        notes: await readNotes(mirror, report.commits),
        initial: report.from === undefined,
        errors: report.failures.map(({ id, path, error }) => ({ id, source: path, error: error.what })),
        endedAt: clock.now(),
      })
      if (story.warning) log.write({ component: 'daemon', warning: story.warning })
      for (const event of story.events) await events.emit(event)
      await events.tellFailures(report.failures)
      scanner.wake()
    },
    clock,
    log,
    metrics,
  })
  const updater = createUpdater({ repository, manifests, view, images, scanner, keychains, clock, metrics })
  const history = createHistory()
  const jobs = createJobs({
    queue,
    updater,
    publisher: createPublisher({
      updater,
      repository,
      history,
      committer: git.committer,
      setAuthor: git.setAuthor,
      skipMessage: git.skipMessage,
      timeoutMs: sync.timeoutMs,
      clock,
      log,
    }),
    repository,
    history,
    onCommit: (update, { revision = '', result }, startedAt) =>
      events.emit(commitEvent(revision, update, result, startedAt)),
    onAutomated: () => automation.ask(),
    timeoutMs: sync.timeoutMs,
    clock,
    log,
    metrics,
  })
  const automation = startAutomation({
    repository,
    manifests,
    view,
    images,
    jobs,
    scanningDisabled: config.registry.disabled,
    intervalMs: config.automation.intervalMs,
    clock,
    log,
    metrics,
    signal,
  })
  const listings = createListings({
    repository,
    manifests,
    view,
    images,
    scanner,
    keychains,
    syncer,
    depth: config.registry.metadataDepth,
  })

  let fullAtMs = Number.NEGATIVE_INFINITY
  let failures = 0
  const passes = startLoop({
    intervalMs: sync.intervalMs,
    signal,
    clock,
    pass: (passSignal) =>
      queue.run('passes', async (turn) => {
        passSignal.throwIfAborted()
        const full = clock.monotonicMs() - fullAtMs >= sync.intervalMs * 0.9
        await syncer.pass(full, turn)
        failures = 0
        if (full && repository.head()) fullAtMs = clock.monotonicMs()
      }),
    onError(thrown) {
      log.write({ component: 'sync-loop', ...failureFields(thrown) })
      if (!(thrown instanceof FluxError) || thrown.kind !== 'server') return
      // a neighbour that is gone may be back long before the next interval
      const backoffMs = Math.min(maxRetryMs, minRetryMs * 2 ** failures++)
      clock.sleep(backoffMs * (0.5 + Math.random() / 2), signal).then(passes.ask, () => {})
    },
  })
  const follow = async () => {
    while (!signal.aborted) {
      try {
        view.follow(await cluster.discover(signal), [])
        return
      } catch (thrown) {
        if (!signal.aborted) log.write({ component: 'cluster', ...failureFields(thrown) })
        await clock.sleep(5_000, signal).catch(() => {})
      }
    }
  }
  const scan = async () => {
    await follow()
    await view.listed()
    await scanner.run()
  }

  return {
    routes: [
      ...listWorkloads({ listings }),
      ...listImages({ listings }),
      ...updateManifests({ jobs }),
      getJob({ jobs }),
      getSyncStatus({ syncer }),
      gitRepoConfig({ repository, identity, gitPaths: git.paths }),
      ...identityRoutes({ identity }),
      notify({ repository, gitUrl: git.url, scanner, log }),
      ...aboutRoutes({ version: parts.version }),
    ],
    ended: Promise.allSettled([
      repository.run(signal),
      passes.ended,
      automation.ended,
      scan(),
      queue.idle(),
    ]).then(() => {}),
  }
}

/** Notes of those commits that have one which we understand. */
async function readNotes(mirror: GitMirror, commits: readonly CommitSummary[]): Promise<Map<string, Note>> {
  const noted = commits.length > 0 ? await mirror.listNotes() : new Set<string>()
  const notes = new Map<string, Note>()
  for (const { revision } of commits) {
    const note = noted.has(revision) ? readNote((await mirror.readNote(revision)) ?? '') : undefined
    if (note) notes.set(revision, note)
  }
  return notes
}
