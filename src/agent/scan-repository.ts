import { FluxError, messageOf } from '../core/errors.ts'
import type { ContainerDemand } from '../core/image/demand.ts'
import { readLabelTime } from '../core/image/info.ts'
import { type ImageRef, imageName } from '../core/image/ref.ts'
import { globMatches } from '../core/policy/glob.ts'
import type { Clock } from '../ports/clock.ts'
import type { ImageStore, StoredRepository, StoredTag } from '../ports/image-store.ts'
import type { Log } from '../ports/log.ts'
import type { ImageRegistry, Keychain } from '../ports/registry.ts'
import { type ImageCatalog, listingProblems } from './images.ts'
import type { HostLines } from './scan-hosts.ts'
import type { TagTable } from './tag-tables.ts'

/**
 * Asks for one image repository, and keeps what it learns in the store: the list of tags, with the ETags of the last
 * time, and of each tag what it names. What a digest stands for is asked for once; which digest a tag names is looked
 * at again by HEAD, on v1's widening schedule (`spec/flux-v1/automation.md` §3).
 */
export interface RepositoryScan {
  /** List the tags. What fails is kept beside what is known. @returns whether there are tags that were not there before */
  list(repository: ScannedRepository): Promise<boolean>
  /** What there is to ask for of these tags now; what has failed before comes last. */
  needed(name: string, tags: Iterable<string>): Need[]
  /** Ask for it. @returns whether anything came of it */
  fetch(repository: ScannedRepository, needs: readonly Need[]): Promise<boolean>
  tags(name: string): readonly string[]
}

export interface ScannedRepository {
  /** canonical */
  name: string
  image: ImageRef
  keychain: Keychain
  containers: readonly ContainerDemand[]
}

export interface Need {
  tag: string
  need: 'missing' | 'refresh'
}

export interface RepositoryScanOptions {
  registry: ImageRegistry
  store: ImageStore
  catalog: Pick<ImageCatalog, 'tags'>
  hosts: HostLines
  /** globs on canonical names: labels of these images say when they were made */
  useLabels: readonly string[]
  /** how many images of one repository are asked for at a time */
  concurrency: number
  clock: Clock
  log: Log
  signal: AbortSignal
}

/** v1's bounds between two looks at a tag. */
const minRefreshMs = 5 * 60_000
const firstRefreshMs = 60 * 60_000
const maxRefreshMs = 7 * 24 * 60 * 60_000
/** after so many failures in a row that are not the images' own the rest is left for the next round */
const maxFailures = 20
/** by what is wrong with an image: when it may have changed */
const refreshAfterProblemMs: Record<string, number> = {
  IMAGE_PLATFORM_MISSING: 24 * 60 * 60_000,
  IMAGE_MANIFEST_UNSUPPORTED: 24 * 60 * 60_000,
  // a reply that was cut or changed on its way may be whole the next time
  REGISTRY_INVALID: minRefreshMs,
  REGISTRY_TOO_LARGE: firstRefreshMs,
  REGISTRY_MANIFEST_UNKNOWN: minRefreshMs,
}

export function createRepositoryScan(options: RepositoryScanOptions): RepositoryScan {
  const { registry, store, hosts, clock, log, signal } = options
  const fetches = new Map<string, Promise<boolean>>()
  const nowMs = () => clock.now().getTime()

  /** @returns whether there are tags that were not there before */
  const list = async ({ name, image, keychain }: ScannedRepository): Promise<boolean> => {
    const known = store.getRepository(name)
    for (const { message, code } of listingProblems(known, clock.now())) {
      if (code === 'CLOCK_SET_BACK') log.write({ canonical_name: name, warning: message, code })
    }
    try {
      const found = await registry.listTags(image, keychain, {
        ...(known?.listedAtMs !== undefined && { known: known.pages }),
        signal,
      })
      const { pages = [], dropped = 0 } = found ?? known ?? {}
      const listed = { listedAtMs: nowMs(), pages, ...(dropped > 0 && { dropped }) }
      if (found) return store.setListing(name, found.tags, listed) > 0
      store.setRepository(name, listed)
    } catch (thrown) {
      if (signal.aborted) throw thrown
      hosts.heed(image, thrown)
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
  const needOf = (
    { fetchedAtMs, dueAtMs }: TagTable,
    place: number,
    now: number,
  ): Need['need'] | undefined => {
    const fetchedMs = fetchedAtMs[place] ?? Number.NaN
    if (Number.isNaN(fetchedMs)) return 'missing'
    const dueMs = dueAtMs[place] ?? Number.NaN
    // of a clock that was set back nothing can be concluded
    return Number.isNaN(dueMs) || now >= dueMs || now < fetchedMs ? 'refresh' : undefined
  }

  const fetch = async ({ name, image, keychain }: ScannedRepository, tag: string): Promise<boolean> => {
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
      hosts.heed(image, thrown)
      const problem = problemFrom(thrown)
      const againMs = refreshAfterProblemMs[problem.code]
      const isNew = known.problem?.message !== problem.message
      if (againMs === undefined) {
        if (isNew) store.setTag(name, tag, { ...known, problem })
        if (isNew && !hosts.rests(image))
          log.write({ canonical_name: name, tag, err: problem.message, code: problem.code })
        return false
      }
      if (isNew) {
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
  const fetchOnce = (repo: ScannedRepository, tag: string): Promise<boolean> => {
    const key = `${repo.name}:${tag}`
    const running = fetches.get(key)
    if (running) return running
    const started = fetch(repo, tag).finally(() => fetches.delete(key))
    fetches.set(key, started)
    return started
  }

  const needed = (name: string, tags: Iterable<string>): Need[] => {
    const table = options.catalog.tags(name)
    const now = nowMs()
    const needs: Need[] = []
    const again: Need[] = []
    for (const tag of tags) {
      const place = table.placeOf(tag)
      const need = place < 0 ? undefined : needOf(table, place, now)
      if (need) (table.hasProblem(place) ? again : needs).push({ tag, need })
    }
    return [...needs, ...again]
  }

  /** @returns whether anything came of it */
  const fetchAll = async (repo: ScannedRepository, needs: readonly Need[]): Promise<boolean> => {
    if (needs.length === 0 || hosts.rests(repo.image)) return false
    const refresh = needs.filter(({ need }) => need === 'refresh').length
    log.write({
      info: 'refreshing image',
      image: imageName(repo.image),
      tag_count: store.tagNames(repo.name).length,
      to_update: needs.length,
      of_which_refresh: refresh,
      of_which_missing: needs.length - refresh,
    })
    let successful = 0
    let failures = 0
    const next = needs.values()
    const work = async () => {
      for (const { tag } of next) {
        if (signal.aborted || hosts.rests(repo.image) || failures >= maxFailures) return
        const succeeded = await fetchOnce(repo, tag)
        if (succeeded) successful += 1
        failures = succeeded ? 0 : failures + 1
      }
    }
    await Promise.all(Array.from({ length: Math.min(options.concurrency, needs.length) }, work))
    log.write({ updated: imageName(repo.image), successful, attempted: needs.length })
    return successful > 0
  }

  return {
    list,
    needed,
    fetch: fetchAll,
    tags: (name) => store.tagNames(name),
  }
}

function problemFrom(thrown: unknown): { code: string; message: string } {
  return { code: thrown instanceof FluxError ? thrown.code : 'INTERNAL', message: messageOf(thrown) }
}
