import { FluxError } from '../core/errors.ts'
import { type ContainerDemand, firstTags, tagsForAutomation } from '../core/image/demand.ts'
import { canonicalName, type ImageRef } from '../core/image/ref.ts'
import type { Clock } from '../ports/clock.ts'
import type { ImageStore } from '../ports/image-store.ts'
import type { Log } from '../ports/log.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { ImageRegistry } from '../ports/registry.ts'
import { rest } from '../runtime/rest.ts'
import type { Demand } from './demand.ts'
import { type ImageCatalog, listingProblems, type TagProblems, type WantedImage } from './images.ts'
import { createHostLines, type HostLine, takeFirst } from './scan-hosts.ts'
import { createRepositoryScan, type Need, type ScannedRepository } from './scan-repository.ts'
import { failureFields } from './tell.ts'

/**
 * Asks registries for what the catalog shows, as seldom as may be.
 *
 * Once a minute the tags of everything that runs are listed, with the ETags of the last time. Of a tag more than its
 * name is asked for on demand, in three ranks: automation that orders by time, at once; images that a person asks for,
 * first; the rest in the background, to a depth. What a digest stands for is asked for once; which digest a tag
 * names is looked at again by HEAD, on v1's widening schedule (`spec/flux-v1/automation.md` §3).
 *
 * Each host has its own line and its own workers, so that a slow one delays nobody else.
 */
export interface Scanner {
  /** Images of these whose tags, or whose first images by depth, are not known yet. */
  lacking(images: readonly ImageRef[], depth: number): Promise<ImageRef[]>
  /** Ask for what lacks, ahead of the background. It goes on when the wait is over. */
  look(wanted: readonly WantedImage[], options: LookOptions): Promise<void>
  /** The image behind a reference is there. @throws FluxError of `ImageRegistry` */
  exists(image: WantedImage, signal?: AbortSignal): Promise<boolean>
  /** A webhook says that a repository has something new. */
  notify(name: ImageRef): void
  /** What runs may have changed: have a round soon. */
  wake(): void
  /** Scan what runs, until aborted. */
  run(): Promise<void>
}

export interface LookOptions {
  /** which lists of tags to ask for: those never had, those older than the last round too, or all */
  lists: 'missing' | 'stale' | 'all'
  /** how many images of each container to know all about, 0 for all; or just what it takes to choose the best */
  depth: Depth
  signal?: AbortSignal
}

export type Depth = number | 'best'

export interface ScannerOptions {
  registry: ImageRegistry
  store: ImageStore
  catalog: ImageCatalog
  /** images that run, with credentials */
  wanted(): Promise<readonly WantedImage[]>
  demand(): Promise<Demand>
  /** globs on canonical names: labels of these images say when they were made */
  useLabels: readonly string[]
  /** `--registry-disable-scanning` */
  disabled: boolean
  /** how many images of one host are asked for at a time */
  concurrency: number
  /** how many images of each container the background looks at; 0: all */
  depth: number
  /** told when there is something that automation may not have seen */
  onNews(): void
  clock: Clock
  log: Log
  metrics: Metrics
  signal: AbortSignal
}

const roundMs = 60_000
/** a list younger than this is not asked for again in a round */
const freshMs = 55_000
const listWorkers = 4
/** how long news for automation wait for more of it, at most */
const newsMs = 5_000
export function createScanner(options: ScannerOptions): Scanner {
  const { registry, store, catalog, clock, signal } = options
  const log = options.log.with({ component: 'warmer' })
  const hosts = createHostLines({ clock, log })
  const repositories = createRepositoryScan({ ...options, hosts, log })
  const scans = new Map<string, Promise<boolean>>()
  const notified = new Set<string>()
  let asked = false
  let ring = () => {}

  const nowMs = () => clock.now().getTime()

  /** of the last round */
  let names: ReadonlySet<string> = new Set()
  /** what is wrong, by repository */
  const problems = new Map<string, { listing: string; tags: TagProblems }>()

  const noteProblems = (name: string, tags: TagProblems) => {
    const [problem] = listingProblems(store.getRepository(name), clock.now())
    problems.set(name, { listing: problem?.code ?? 'OK', tags })
  }
  const countProblems = () => {
    const repositories = new Map<string, number>()
    const tags = new Map<string, number>()
    const add = (to: Map<string, number>, code: string, count = 1) =>
      to.set(code, (to.get(code) ?? 0) + count)
    for (const name of names) {
      const found = problems.get(name)
      add(repositories, found?.listing ?? 'OK')
      for (const [code, { count }] of found?.tags ?? []) add(tags, code, count)
    }
    options.metrics.setImageRepositories(repositories)
    options.metrics.setImageTags(tags)
    options.metrics.setImageStore(store.problem()?.code ?? 'OK')
  }

  const fetch = async (repo: ScannedRepository, needs: readonly Need[]): Promise<boolean> => {
    const fetched = await repositories.fetch(repo, needs)
    if (needs.length > 0) {
      noteProblems(repo.name, catalog.tagProblems(repo.name))
      countProblems()
    }
    return fetched
  }

  const tagsWithin = ({ name, containers }: ScannedRepository, depth: Depth): Iterable<string> => {
    const tags = repositories.tags(name)
    if (depth !== 'best') return firstTags(tags, containers, depth)
    return tagsForAutomation(
      tags,
      containers.map((container) => ({ ...container, automated: true })),
    )
  }

  /** something that automation has not been told of */
  let news = false
  let toldAtMs = Number.NEGATIVE_INFINITY
  const tellNews = () => {
    news = false
    toldAtMs = clock.monotonicMs()
    options.onNews()
  }

  /** List the tags, and know what automation needs of them. @returns whether it may have news for automation */
  const scan = async (repo: ScannedRepository): Promise<boolean> => {
    const added = await repositories.list(repo)
    noteProblems(repo.name, catalog.tagProblems(repo.name))
    countProblems()
    const tags = repositories.tags(repo.name)
    const first = repositories.needed(repo.name, tagsForAutomation(tags, repo.containers))
    const fetched = await fetch(repo, first)
    return added || fetched
  }

  /** One scan of a repository at a time. One that runs already may have listed before what is asked for was there. */
  const scanAnew = (repo: ScannedRepository): Promise<boolean> => {
    const before: Promise<unknown> = scans.get(repo.name) ?? Promise.resolve()
    const started: Promise<boolean> = before
      .catch(() => {})
      .then(() => scan(repo))
      .finally(() => {
        if (scans.get(repo.name) === started) scans.delete(repo.name)
      })
    scans.set(repo.name, started)
    return started
  }

  const fetchFirst = async (repo: ScannedRepository, depth: Depth): Promise<void> => {
    await fetch(repo, repositories.needed(repo.name, tagsWithin(repo, depth)))
  }

  /** Work off the line of one host: lists first, then a few images of one repository after the other. */
  const work = async (line: HostLine): Promise<void> => {
    while (!signal.aborted) {
      const urgent = takeFirst(line.urgent)
      const repo = urgent ?? takeFirst(line.due)
      if (repo) {
        news = (await scanAnew(repo)) || news
        // what is found together is released together; but nobody waits for a long line
        const isDue = urgent || line.due.size === 0 || clock.monotonicMs() - toldAtMs >= newsMs
        if (news && isDue) tellNews()
        line.background.set(repo.name, repo)
        continue
      }
      const next = takeFirst(line.background)
      if (!next) return
      const needs = repositories.needed(
        next.name,
        firstTags(repositories.tags(next.name), next.containers, options.depth),
      )
      const fetched = await fetch(next, needs.slice(0, options.concurrency))
      // where nothing comes of it, the next round is soon enough
      if (fetched && needs.length > options.concurrency) line.background.set(next.name, next)
    }
  }

  const serve = (line: HostLine) => {
    const waiting = line.urgent.size + line.due.size + line.background.size
    while (line.workers < Math.min(listWorkers, waiting)) {
      line.workers += 1
      work(line)
        .catch((thrown) => {
          if (!signal.aborted) log.write(failureFields(thrown))
        })
        .finally(() => {
          line.workers -= 1
        })
    }
  }

  const reposOf = async (wanted: readonly WantedImage[]): Promise<ScannedRepository[]> => {
    const demand = await options.demand()
    const repos = new Map<string, ScannedRepository>()
    for (const { image, keychain } of wanted) {
      if (!catalog.isScanned(image)) continue
      const name = canonicalName(image)
      repos.set(name, { name, image, keychain, containers: demand.get(name) ?? [] })
    }
    return [...repos.values()]
  }

  const isDue = (name: string): boolean => {
    const { listedAtMs, problem } = store.getRepository(name) ?? {}
    const ageMs = nowMs() - (listedAtMs ?? Number.NEGATIVE_INFINITY)
    return problem !== undefined || ageMs >= freshMs || ageMs < 0
  }

  const isNew = (name: string): boolean => store.getRepository(name)?.listedAtMs === undefined

  /** Whether its list is old, or was asked for by a webhook and has not come yet. */
  const isStale = ({ name, image }: ScannedRepository): boolean =>
    isDue(name) || notified.has(name) || scans.has(name) || hosts.of(image).urgent.has(name)

  /** Whether the last round has seen it, and nothing wrong with it. */
  const isKnownGood = (image: ImageRef): boolean => {
    const name = canonicalName(image)
    const { tag = '' } = image
    if (image.digest !== undefined || isDue(name) || !repositories.tags(name).includes(tag)) return false
    const { digest, problem } = store.getTag(name, tag) ?? {}
    return digest !== undefined && problem === undefined
  }

  /** Whether automation can't choose from what is known of a repository. */
  const isLacking = (name: string, containers: readonly ContainerDemand[]): boolean =>
    (store.getRepository(name)?.listedAtMs ?? 0) > nowMs() ||
    !store.getRepository(name) ||
    repositories
      .needed(name, tagsForAutomation(repositories.tags(name), containers))
      .some(({ need }) => need === 'missing')

  /** Between two full rounds only what is new is asked for, and where nothing is, nobody is asked. */
  const round = async (full: boolean): Promise<void> => {
    if (!full && notified.size === 0) {
      const lacking = [...(await options.demand())].some(
        ([name, containers]) =>
          containers.some(({ current }) => catalog.isScanned(current)) && isLacking(name, containers),
      )
      if (!lacking) return
    }
    const repos = await reposOf(await options.wanted())
    names = new Set(repos.map(({ name }) => name))
    for (const name of problems.keys()) if (!names.has(name)) problems.delete(name)
    for (const name of names) noteProblems(name, problems.get(name)?.tags ?? new Map())
    countProblems()
    for (const name of notified) {
      if (names.has(name)) continue
      log.write({ priority: name, err: 'no creds available' })
      notified.delete(name)
    }
    for (const repo of repos) {
      const line = hosts.of(repo.image)
      if (hosts.rests(repo.image)) continue
      if (notified.delete(repo.name)) line.urgent.set(repo.name, repo)
      else if (full ? isDue(repo.name) : isLacking(repo.name, repo.containers)) line.due.set(repo.name, repo)
      else line.background.set(repo.name, repo)
    }
    for (const line of hosts.all()) serve(line)
  }

  const wake = () => {
    asked = true
    ring()
  }

  return {
    async lacking(images, depth) {
      const demand = await options.demand()
      return images.filter((image) => {
        if (!catalog.isScanned(image)) return false
        const name = canonicalName(image)
        const { listedAtMs, problem } = store.getRepository(name) ?? {}
        if (listedAtMs === undefined) return problem === undefined
        const first = firstTags(repositories.tags(name), demand.get(name) ?? [], depth)
        return repositories.needed(name, first).some(({ need }) => need === 'missing')
      })
    },

    async look(wanted, { lists, depth, signal: limit }) {
      const repos = await reposOf(wanted)
      let hasNews = false
      const all = Promise.all(
        repos.map(async (repo) => {
          if (lists === 'all' || (lists === 'stale' ? isStale(repo) : isNew(repo.name))) {
            hasNews = (await scanAnew(repo)) || hasNews
          }
          await fetchFirst(repo, depth)
        }),
      ).finally(() => {
        if (hasNews) tellNews()
      })
      all.catch(() => {}) // it may end after nobody waits any more
      if (!limit) return void (await all)
      limit.throwIfAborted()
      await Promise.race([
        all,
        new Promise<void>((resolve) => limit.addEventListener('abort', () => resolve(), { once: true })),
      ])
    },

    async exists({ image, keychain }, limit) {
      if (!catalog.isScanned(image)) return false
      if (isKnownGood(image)) return true
      try {
        await registry.getImage(image, keychain, {
          knownFacts: (digest) => store.getFacts(digest),
          ...(limit && { signal: limit }),
        })
        return true
      } catch (thrown) {
        const missing = ['REGISTRY_MANIFEST_UNKNOWN', 'REGISTRY_IMAGE_MISSING']
        if (thrown instanceof FluxError && missing.includes(thrown.code)) return false
        throw thrown
      }
    },

    notify(name) {
      if (options.disabled) return
      notified.add(canonicalName(name))
      wake()
    },

    wake,

    async run() {
      if (options.disabled) return
      let roundAtMs = Number.NEGATIVE_INFINITY
      while (!signal.aborted) {
        asked = false
        const full = clock.monotonicMs() - roundAtMs >= roundMs
        if (full) roundAtMs = clock.monotonicMs()
        await round(full).catch((thrown) => {
          if (!signal.aborted) log.write(failureFields(thrown))
        })
        if (asked) continue
        await rest(clock, Math.max(0, roundAtMs + roundMs - clock.monotonicMs()), signal, (waken) => {
          ring = waken
        })
      }
    },
  }
}
