import { FluxError, messageOf } from '../core/errors.ts'
import { type ImageInfo, readLabelTime } from '../core/image/info.ts'
import { canonicalName, formatImageRef, type ImageRef, imageName, withTag } from '../core/image/ref.ts'
import { isScanned, type ScanScope } from '../core/image/scope.ts'
import { globMatches } from '../core/policy/glob.ts'
import type { ListingState } from '../core/update/automation.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { ImageRegistry, Keychain } from '../ports/registry.ts'

/**
 * What is known of the images that run: tags and creation times of each repository, in memory, refreshed in the
 * background.
 *
 * Listings are answered from here and never wait for a registry that was asked before; a release of one image asks
 * the registry itself.
 */
export interface ImageCatalog {
  /** Every known image of a repository, named as `like` is; `undefined`: nothing is known of it. */
  images(like: ImageRef): readonly ImageInfo[] | undefined
  /** How far the known images of a repository can be trusted. */
  stateOf(like: ImageRef): ListingState
  /** Whether a repository was ever asked for, or never will be. */
  isKnown(image: ImageRef): boolean
  /** Ask for repositories that were never asked for. Failures are kept, and logged. */
  ensure(wanted: readonly WantedImage[], signal?: AbortSignal): Promise<void>
  /** Ask for repositories now, whatever is known. */
  refresh(wanted: readonly WantedImage[], signal?: AbortSignal): Promise<void>
  /** The image behind a reference, or `undefined` where the registry has none. @throws FluxError of `ImageRegistry` */
  find(image: WantedImage, signal?: AbortSignal): Promise<ImageInfo | undefined>
  /** Scan what runs, once a minute, until aborted. */
  run(wanted: () => Promise<readonly WantedImage[]>, signal: AbortSignal): Promise<void>
  /** A webhook says that a repository has something new. */
  notify(name: ImageRef): void
}

export interface WantedImage {
  image: ImageRef
  keychain: Keychain
}

export interface ImageCatalogOptions {
  registry: ImageRegistry
  /** `--registry-disable-scanning`: nothing is ever known */
  disabled: boolean
  scope: ScanScope
  /** globs on canonical names: labels of these images say when they were made */
  useLabels: readonly string[]
  /** told when a scan has found tags that weren't there before */
  onNews(): void
  /** how many images of one repository are asked for at a time */
  concurrency: number
  clock: Clock
  log: Log
}

interface Repository {
  infos: Map<string, ImageInfo>
  tags: readonly string[]
  error: string | undefined
  scannedAtMs: number
}

const roundMs = 60_000
const freshMs = 5 * 60_000

export function createImageCatalog(options: ImageCatalogOptions): ImageCatalog {
  const { registry, clock, log } = options
  const repositories = new Map<string, Repository>()
  const scans = new Map<string, Promise<void>>()
  const urgent = new Set<string>()
  let wake = () => {}

  const isWatched = (image: ImageRef): boolean =>
    !options.disabled && isScanned(canonicalName(image), options.scope)

  const scan = async ({ image, keychain }: WantedImage, signal?: AbortSignal): Promise<void> => {
    const name = canonicalName(image)
    const known = repositories.get(name)
    const infos = new Map<string, ImageInfo>()
    try {
      const tags = await registry.listTags(image, keychain, signal)
      const missing = tags.filter((tag) => !known?.infos.has(tag))
      for (const tag of tags) {
        const info = known?.infos.get(tag)
        if (info) infos.set(tag, info)
      }
      let failed: unknown
      const next = missing.values()
      const work = async () => {
        for (const tag of next) {
          try {
            infos.set(tag, await registry.getImage(taggedRef(image, tag), keychain, signal))
          } catch (thrown) {
            failed ??= thrown
            if (thrown instanceof FluxError && thrown.code === 'REGISTRY_RATE_LIMITED') return
          }
        }
      }
      await Promise.all(Array.from({ length: Math.min(options.concurrency, missing.length) }, work))
      if (missing.length > 0) {
        const successful = missing.filter((tag) => infos.has(tag)).length
        log.write({ component: 'warmer', updated: imageName(image), successful, attempted: missing.length })
      }
      repositories.set(name, {
        infos,
        tags,
        error: failed === undefined ? undefined : messageOf(failed),
        scannedAtMs: clock.monotonicMs(),
      })
      if (missing.length > 0) options.onNews()
    } catch (thrown) {
      const error = messageOf(thrown)
      if (known?.error !== error)
        log.write({ component: 'warmer', canonical_name: name, err: `requesting tags: ${error}` })
      repositories.set(name, {
        infos: known?.infos ?? infos,
        tags: known?.tags ?? [],
        error,
        scannedAtMs: clock.monotonicMs(),
      })
    }
  }

  /** One scan of a repository at a time; who asks meanwhile waits for the same. */
  const scanOnce = (wanted: WantedImage, signal?: AbortSignal): Promise<void> => {
    const name = canonicalName(wanted.image)
    const running = scans.get(name)
    if (running) return running
    const started = scan(wanted, signal).finally(() => scans.delete(name))
    scans.set(name, started)
    return started
  }

  const scanAll = async (wanted: readonly WantedImage[], signal?: AbortSignal): Promise<void> => {
    const byName = new Map(
      wanted.filter(({ image }) => isWatched(image)).map((want) => [canonicalName(want.image), want]),
    )
    await Promise.all([...byName.values()].map((want) => scanOnce(want, signal)))
  }

  return {
    images(like) {
      if (!isWatched(like)) return undefined
      const known = repositories.get(canonicalName(like))
      if (!known || (known.error !== undefined && known.tags.length === 0)) return undefined
      const byLabel = options.useLabels.some((glob) => globMatches(glob, canonicalName(like)))
      return known.tags.map((tag) => {
        const info = known.infos.get(tag)
        return {
          ...(info && byLabel ? datedByLabel(info) : (info ?? { labels: {} })),
          ref: withTag(like, tag),
        }
      })
    },

    stateOf(like) {
      const known = repositories.get(canonicalName(like))
      if (!known) return 'incomplete'
      return known.error === undefined ? 'complete' : 'stale'
    },

    isKnown: (image) => !isWatched(image) || repositories.has(canonicalName(image)),

    ensure: (wanted, signal) =>
      scanAll(
        wanted.filter(({ image }) => !repositories.has(canonicalName(image))),
        signal,
      ),

    refresh: scanAll,

    async find({ image, keychain }, signal) {
      if (!isWatched(image)) return undefined
      try {
        return await registry.getImage(image, keychain, signal)
      } catch (thrown) {
        const missing = ['REGISTRY_MANIFEST_UNKNOWN', 'REGISTRY_IMAGE_MISSING']
        if (thrown instanceof FluxError && missing.includes(thrown.code)) return undefined
        throw thrown
      }
    },

    notify(name) {
      urgent.add(canonicalName(name))
      wake()
    },

    async run(wanted, signal) {
      if (options.disabled) return
      while (!signal.aborted) {
        const nowMs = clock.monotonicMs()
        const round = await wanted().catch((thrown) => {
          if (!signal.aborted) log.write({ component: 'warmer', err: messageOf(thrown) })
          return []
        })
        const due = round.filter(({ image }) => {
          const name = canonicalName(image)
          const known = repositories.get(name)
          return urgent.has(name) || !known || nowMs - known.scannedAtMs >= freshMs
        })
        for (const name of urgent) {
          if (!round.some(({ image }) => canonicalName(image) === name)) {
            log.write({ component: 'warmer', priority: name, err: 'no creds available' })
          }
        }
        urgent.clear()
        for (const want of due) await scanAll([want], signal)
        const bell = new AbortController()
        wake = () => bell.abort()
        if (urgent.size === 0)
          await clock.sleep(roundMs, AbortSignal.any([signal, bell.signal])).catch(() => {})
      }
    },
  }
}

/** An image with the time that its label says, where that can be read. */
function datedByLabel(info: ImageInfo): ImageInfo {
  const { time } = readLabelTime(info.labels)
  return time ? { ...info, createdAt: time.date, createdAtText: time.text } : info
}

/** A tag of the repository that an image is from, whatever digest the image is pinned to. */
function taggedRef({ registry, repository }: ImageRef, tag: string): ImageRef {
  return { ...(registry && { registry }), repository, tag }
}

/** v1's text for an image that a registry doesn't have. */
export function imageMissing(image: ImageRef): FluxError {
  return new FluxError('IMAGE_MISSING', {
    what: `image "${formatImageRef(image)}" does not exist: invalid image ID`,
    why: 'The registry has no such tag, or fluxd is told not to look at this repository.',
    next: 'Push the image, or look at `fluxctl list-images` for the tags that are there.',
  })
}
