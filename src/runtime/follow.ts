import { messageOf } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster, ResourceType } from '../ports/cluster.ts'

/**
 * Follow a collection of the API server: list it, then watch, and list again whenever the thread is lost. What may not
 * be read, or isn't served yet, is asked for again, ever more seldom.
 */

export interface FollowOptions {
  cluster: Cluster
  type: ResourceType
  /** all, if absent */
  namespace?: string | undefined
  labelSelector?: string
  metadataOnly?: boolean
  /** Everything there is; what was known before and is not among it is gone. */
  onList(objects: readonly JsonObject[]): void
  onChange(object: JsonObject): void
  onGone(object: JsonObject): void
  /** told when following fails, once for each message in a row */
  onError(thrown: unknown): void
  clock: Clock
  signal: AbortSignal
}

export interface Following {
  /** resolves when the first list is done; never, if it never is */
  readonly listed: Promise<void>
  /** listed, and followed since without a gap */
  healthy(): boolean
  /** resolves when the signal is aborted */
  readonly ended: Promise<void>
}

const firstPauseMs = 500
const longestPauseMs = 30_000
/** A server that ends watches sooner than this is not asked again at once. */
const shortWatchMs = 1_000

export function followObjects(options: FollowOptions): Following {
  const { cluster, type, onList, onChange, onGone, onError, clock, signal } = options
  const selection = {
    ...(options.namespace !== undefined && { namespace: options.namespace }),
    ...(options.labelSelector !== undefined && { labelSelector: options.labelSelector }),
    ...(options.metadataOnly && { metadataOnly: true }),
    signal,
  }
  let healthy = false
  let lastError: string | undefined
  let markListed = () => {}
  const listed = new Promise<void>((resolve) => {
    markListed = resolve
  })

  const follow = async (): Promise<void> => {
    const list = await cluster.list(type, selection)
    onList(list.items)
    healthy = true
    lastError = undefined
    markListed()
    let { resourceVersion } = list
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs()
      for await (const event of cluster.watch(type, { ...selection, resourceVersion })) {
        if (event.type === 'BOOKMARK') resourceVersion = event.resourceVersion
        else {
          const version = (event.object['metadata'] as JsonObject | undefined)?.['resourceVersion']
          if (typeof version === 'string') resourceVersion = version
          if (event.type === 'DELETED') onGone(event.object)
          else onChange(event.object)
        }
      }
      if (clock.monotonicMs() - startedMs < shortWatchMs) await clock.sleep(shortWatchMs, signal)
    }
  }

  const run = async (): Promise<void> => {
    for (let failures = 0; !signal.aborted; failures++) {
      const startedMs = clock.monotonicMs()
      try {
        await follow()
      } catch (thrown) {
        healthy = false
        if (signal.aborted) return
        if (clock.monotonicMs() - startedMs > longestPauseMs) failures = 0
        const message = messageOf(thrown)
        if (message !== lastError) onError(thrown)
        lastError = message
        const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** failures)
        await clock.sleep(pauseMs * (0.5 + Math.random() / 2), signal).catch(() => {})
      }
    }
  }

  return { listed, healthy: () => healthy, ended: Promise.resolve().then(run) }
}
