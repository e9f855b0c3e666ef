import { FluxError, messageOf } from '../core/errors.ts'
import { type ContainerDemand, firstTags, tagsForAutomation } from '../core/image/demand.ts'
import { readLabelTime } from '../core/image/info.ts'
import { canonicalName, type ImageRef, imageName, registryHost } from '../core/image/ref.ts'
import { globMatches } from '../core/policy/glob.ts'
import type { Clock } from '../ports/clock.ts'
import type { ImageStore, StoredRepository, StoredTag } from '../ports/image-store.ts'
import type { Log } from '../ports/log.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { ImageRegistry, Keychain } from '../ports/registry.ts'
import type { Demand } from './demand.ts'
import type { ImageCatalog, WantedImage } from './images.ts'

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
  /** list tags although they are known */
  again: boolean
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

interface Repo {
  name: string
  image: ImageRef
  keychain: Keychain
  containers: readonly ContainerDemand[]
}

/** What waits for one host. Each repository waits once in a line. */
interface HostLine {
  urgent: Map<string, Repo>
  due: Map<string, Repo>
  background: Map<string, Repo>
  workers: number
  restsUntilMs: number
}

const roundMs = 60_000
/** a list younger than this is not asked for again in a round */
const freshMs = 55_000
const listWorkers = 4
/** how long a host that complained is left alone */
const restMs = 60_000

/** v1's bounds between two looks at a tag. */
const minRefreshMs = 5 * 60_000
const firstRefreshMs = 60 * 60_000
const maxRefreshMs = 7 * 24 * 60 * 60_000
/** by what is wrong with an image: when it may have changed */
const refreshAfterProblemMs: Record<string, number> = {
  IMAGE_PLATFORM_MISSING: 24 * 60 * 60_000,
  IMAGE_MANIFEST_UNSUPPORTED: 24 * 60 * 60_000,
  REGISTRY_INVALID: firstRefreshMs,
  REGISTRY_TOO_LARGE: firstRefreshMs,
  REGISTRY_MANIFEST_UNKNOWN: minRefreshMs,
}

export function createScanner(options: ScannerOptions): Scanner {
  const { registry, store, catalog, clock, signal } = options
  const log = options.log.with({ component: 'warmer' })
  const hosts = new Map<string, HostLine>()
  const scans = new Map<string, Promise<void>>()
  const fetches = new Map<string, Promise<boolean>>()
  const notified = new Set<string>()
  let asked = false
  let ring = () => {}

  const nowMs = () => clock.now().getTime()

  const lineOf = (image: ImageRef): HostLine => {
    const host = registryHost(image)
    const line = hosts.get(host) ?? {
      urgent: new Map(),
      due: new Map(),
      background: new Map(),
      workers: 0,
      restsUntilMs: Number.NEGATIVE_INFINITY,
    }
    hosts.set(host, line)
    return line
  }

  const problemFrom = (thrown: unknown) => ({
    code: thrown instanceof FluxError ? thrown.code : 'INTERNAL',
    message: messageOf(thrown),
  })

  /** Give a host that complained some rest. */
  const heed = (image: ImageRef, thrown: unknown) => {
    if (!(thrown instanceof FluxError) || thrown.code !== 'REGISTRY_RATE_LIMITED') return
    const line = lineOf(image)
    if (line.restsUntilMs > clock.monotonicMs()) return
    line.restsUntilMs = clock.monotonicMs() + restMs
    log.write({
      warning: 'aborting image tag fetching due to rate limiting, will try again later',
      host: registryHost(image),
      code: thrown.code,
    })
  }
  const rests = (image: ImageRef) => lineOf(image).restsUntilMs > clock.monotonicMs()

  /** of the last round */
  let names: ReadonlySet<string> = new Set()
  const countProblems = () => {
    const problems = new Map<string, number>()
    for (const name of names) {
      const code = store.getRepository(name)?.problem?.code ?? 'OK'
      problems.set(code, (problems.get(code) ?? 0) + 1)
    }
    options.metrics.setImageRepositories(problems)
  }

  /** @returns whether there are tags that were not there before */
  const list = async ({ name, image, keychain }: Repo): Promise<boolean> => {
    const known = store.getRepository(name)
    try {
      const found = await registry.listTags(image, keychain, {
        ...(known?.listedAtMs !== undefined && { known: known.pages }),
        signal,
      })
      const listed = { listedAtMs: nowMs(), pages: found?.pages ?? known?.pages ?? [] }
      if (found) return store.setListing(name, found.tags, listed) > 0
      store.setRepository(name, listed)
    } catch (thrown) {
      if (signal.aborted) throw thrown
      heed(image, thrown)
      const problem = problemFrom(thrown)
      if (known?.problem?.message !== problem.message) {
        log.write({ canonical_name: name, err: `requesting tags: ${problem.message}`, code: problem.code })
      }
      const before: StoredRepository = known ?? { pages: [] }
      store.setRepository(name, { ...before, problem })
    }
    return false
  }

  /** What there is to ask for of a tag. */
  const needOf = (known: StoredTag | undefined): 'missing' | 'refresh' | undefined => {
    if (!known) return undefined
    if (known.fetchedAtMs === undefined) return 'missing'
    const now = nowMs()
    // of a clock that was set back nothing can be concluded
    return now >= (known.dueAtMs ?? 0) || now < known.fetchedAtMs ? 'refresh' : undefined
  }

  const fetch = async ({ name, image, keychain }: Repo, tag: string): Promise<boolean> => {
    const known = store.getTag(name, tag)
    if (!known) return true
    const { registry: host, repository } = image
    const ref: ImageRef = { ...(host !== undefined && { registry: host }), repository, tag }
    const now = nowMs()
    const previousMs =
      known.fetchedAtMs === undefined || known.dueAtMs === undefined
        ? undefined
        : known.dueAtMs - known.fetchedAtMs
    const keep = (next: StoredTag, intervalMs: number) => {
      const boundMs = Math.min(maxRefreshMs, Math.max(minRefreshMs, intervalMs))
      store.setTag(name, tag, { ...next, fetchedAtMs: now, dueAtMs: now + boundMs })
    }
    try {
      if (known.digest !== undefined && store.getFacts(known.digest)) {
        const digest = await registry.getDigest(ref, keychain, signal)
        if (digest === known.digest) {
          keep({ digest }, (previousMs ?? minRefreshMs) * 2)
          return true
        }
      }
      const { digest, facts } = await registry.getImage(ref, keychain, {
        knownFacts: (known) => store.getFacts(known),
        signal,
      })
      if (!store.getFacts(digest)) store.setFacts(digest, facts)
      const moved = known.digest !== undefined && known.digest !== digest
      keep({ digest }, moved && previousMs !== undefined ? previousMs / 2 : firstRefreshMs)
      tellUnreadableLabels(name, facts.labels)
      return true
    } catch (thrown) {
      if (signal.aborted) throw thrown
      heed(image, thrown)
      const problem = problemFrom(thrown)
      const againMs = refreshAfterProblemMs[problem.code]
      if (againMs === undefined) {
        if (!rests(image)) log.write({ canonical_name: name, tag, err: problem.message, code: problem.code })
        return false
      }
      if (known.problem?.message !== problem.message) {
        const unknown = problem.code === 'REGISTRY_MANIFEST_UNKNOWN'
        const warning = unknown
          ? `manifest for tag ${tag} missing in repository ${name}`
          : `image excluded: ${problem.message}`
        log.write({ canonical_name: name, tag, warning, code: problem.code })
      }
      keep({ problem }, againMs)
      return true
    }
  }

  const told = new Set<string>()
  const tellUnreadableLabels = (name: string, labels: Readonly<Record<string, string>>) => {
    if (told.has(name) || !options.useLabels.some((glob) => globMatches(glob, name))) return
    const { unreadable } = readLabelTime(labels)
    if (unreadable.length === 0) return
    told.add(name)
    log.write({
      canonical_name: name,
      warning: `failed to parse ${unreadable.length} timestamp label(s) as RFC3339 (${unreadable.join(', ')})`,
      code: 'LABEL_TIME_INVALID',
    })
  }

  /** One request for a tag at a time, whoever asks. */
  const fetchOnce = (repo: Repo, tag: string): Promise<boolean> => {
    const key = `${repo.name}:${tag}`
    const running = fetches.get(key)
    if (running) return running
    const started = fetch(repo, tag).finally(() => fetches.delete(key))
    fetches.set(key, started)
    return started
  }

  const needed = (name: string, tags: Iterable<string>) => {
    const needs: { tag: string; need: 'missing' | 'refresh' }[] = []
    for (const tag of tags) {
      const need = needOf(store.getTag(name, tag))
      if (need) needs.push({ tag, need })
    }
    return needs
  }

  /** @returns whether anything came of it */
  const fetchAll = async (repo: Repo, needs: ReturnType<typeof needed>): Promise<boolean> => {
    if (needs.length === 0 || rests(repo.image)) return false
    const refresh = needs.filter(({ need }) => need === 'refresh').length
    log.write({
      info: 'refreshing image',
      image: imageName(repo.image),
      tag_count: [...store.listTags(repo.name)].length,
      to_update: needs.length,
      of_which_refresh: refresh,
      of_which_missing: needs.length - refresh,
    })
    let successful = 0
    const next = needs.values()
    const work = async () => {
      for (const { tag } of next) {
        if (signal.aborted || rests(repo.image)) return
        if (await fetchOnce(repo, tag)) successful += 1
      }
    }
    await Promise.all(Array.from({ length: Math.min(options.concurrency, needs.length) }, work))
    log.write({ updated: imageName(repo.image), successful, attempted: needs.length })
    return successful > 0
  }

  const tagsWithin = ({ name, containers }: Repo, depth: Depth): Iterable<string> => {
    const tags = tagsOf(name)
    if (depth !== 'best') return firstTags(tags, containers, depth)
    return tagsForAutomation(
      tags,
      containers.map((container) => ({ ...container, automated: true })),
    )
  }

  const tagsOf = (name: string) => [...store.listTags(name)].map(([tag]) => tag)

  /** List the tags, and know what automation needs of them. */
  const scan = async (repo: Repo, depth: Depth | undefined): Promise<void> => {
    const added = await list(repo)
    countProblems()
    const tags = tagsOf(repo.name)
    const first = needed(repo.name, tagsForAutomation(tags, repo.containers))
    const fetched = await fetchAll(repo, first)
    if (added || fetched) options.onNews()
    if (depth !== undefined) await fetchFirst(repo, depth)
  }

  /** One scan of a repository at a time. One that runs already may have listed before what is asked for was there. */
  const scanAnew = (repo: Repo, depth?: Depth): Promise<void> => {
    const before = scans.get(repo.name) ?? Promise.resolve()
    const started: Promise<void> = before
      .catch(() => {})
      .then(() => scan(repo, depth))
      .finally(() => {
        if (scans.get(repo.name) === started) scans.delete(repo.name)
      })
    scans.set(repo.name, started)
    return started
  }

  const fetchFirst = async (repo: Repo, depth: Depth): Promise<void> => {
    await fetchAll(repo, needed(repo.name, tagsWithin(repo, depth)))
  }

  const take = (line: Map<string, Repo>): Repo | undefined => {
    const [first] = line
    if (!first) return undefined
    line.delete(first[0])
    return first[1]
  }

  /** Work off the line of one host: lists first, then a few images of one repository after the other. */
  const work = async (line: HostLine): Promise<void> => {
    while (!signal.aborted) {
      const repo = take(line.urgent) ?? take(line.due)
      if (repo) {
        await scanAnew(repo)
        line.background.set(repo.name, repo)
        continue
      }
      const next = take(line.background)
      if (!next) return
      const needs = needed(next.name, firstTags(tagsOf(next.name), next.containers, options.depth))
      await fetchAll(next, needs.slice(0, options.concurrency))
      if (needs.length > options.concurrency && !rests(next.image)) line.background.set(next.name, next)
    }
  }

  const serve = (line: HostLine) => {
    const waiting = line.urgent.size + line.due.size + line.background.size
    while (line.workers < Math.min(listWorkers, waiting)) {
      line.workers += 1
      work(line)
        .catch((thrown) => {
          if (!signal.aborted) log.write({ err: messageOf(thrown), code: problemFrom(thrown).code })
        })
        .finally(() => {
          line.workers -= 1
        })
    }
  }

  const reposOf = async (wanted: readonly WantedImage[]): Promise<Repo[]> => {
    const demand = await options.demand()
    const repos = new Map<string, Repo>()
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

  /** Whether automation can't choose from what is known of a repository. */
  const isLacking = (name: string, containers: readonly ContainerDemand[]): boolean =>
    !store.getRepository(name) ||
    needed(name, tagsForAutomation(tagsOf(name), containers)).some(({ need }) => need === 'missing')

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
    countProblems()
    for (const name of notified) {
      if (names.has(name)) continue
      log.write({ priority: name, err: 'no creds available' })
      notified.delete(name)
    }
    for (const repo of repos) {
      const line = lineOf(repo.image)
      if (rests(repo.image)) continue
      if (notified.delete(repo.name)) line.urgent.set(repo.name, repo)
      else if (full ? isDue(repo.name) : isLacking(repo.name, repo.containers)) line.due.set(repo.name, repo)
      else line.background.set(repo.name, repo)
    }
    for (const line of hosts.values()) serve(line)
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
        const first = firstTags(tagsOf(name), demand.get(name) ?? [], depth)
        return first.some((tag) => needOf(store.getTag(name, tag)) === 'missing')
      })
    },

    async look(wanted, { again, depth, signal: limit }) {
      const repos = await reposOf(wanted)
      const all = Promise.all(
        repos.map((repo) =>
          again || store.getRepository(repo.name)?.listedAtMs === undefined
            ? scanAnew(repo, depth)
            : fetchFirst(repo, depth),
        ),
      )
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
          if (!signal.aborted) log.write({ err: messageOf(thrown), code: problemFrom(thrown).code })
        })
        if (asked) continue
        const bell = new AbortController()
        ring = () => bell.abort()
        const restMs = Math.max(0, roundAtMs + roundMs - clock.monotonicMs())
        await clock.sleep(restMs, AbortSignal.any([signal, bell.signal])).catch(() => {})
      }
    },
  }
}
