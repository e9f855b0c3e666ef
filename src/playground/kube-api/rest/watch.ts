import type { KubeObject, Resource } from '../model.ts'
import { StatusError } from '../model.ts'
import type { Change } from '../store.ts'
import { invalidOption, readSelectors } from './list.ts'
import { eventText, presentBookmark, presentEvent, type View } from './present.ts'
import { storedCollection } from './resources.ts'
import { expired, statusOf } from './status.ts'
import { jsonOf } from './text.ts'
import { toServed } from './versions.ts'
import type { World } from './world.ts'

/**
 * Watches: what happens to a collection, line by line, for as long as the client listens.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */

/** how often a quiet watch is told where it is, when it wants to know */
const bookmarkMs = 60_000
/** where the client does not say; the real one draws lots between 30 and 60 min */
const defaultTimeoutMs = 45 * 60_000

export interface Stream {
  write(text: string): void
  end(): void
}

/** @returns starts it, and gives what ends it. @throws StatusError 400, 422, 500 */
export function watchObjects(
  world: World,
  resource: Resource,
  namespace: string,
  query: URLSearchParams,
  view: View,
): (stream: Stream) => () => void {
  const matches = readSelectors(resource, query)
  const bookmarks = query.get('allowWatchBookmarks') === 'true'
  const initial = query.get('sendInitialEvents')
  checkInitialEvents(query)
  const from = readFrom(query)
  const collection = storedCollection(resource)
  const timeoutSeconds = Number(query.get('timeoutSeconds') ?? 0)

  return (stream) => {
    const { store } = world
    let isFirst = true
    const tell = (type: string, object: KubeObject) => {
      stream.write(presentEvent(view, resource, type, object, isFirst))
      isFirst = false
    }
    const served = (object: KubeObject) => toServed(object, resource)
    const isMatch = (object: KubeObject) => matches === undefined || matches(served(object))
    let told = 0
    const onChange = (change: Change) => {
      if (change.version <= told || change.collection !== collection) return
      if (namespace !== '' && change.namespace !== namespace) return
      told = change.version
      const { type, object, previous } = change
      const was = previous !== undefined && isMatch(previous)
      const is = type !== 'DELETED' && isMatch(object)
      if (is) tell(was ? 'MODIFIED' : 'ADDED', served(object))
      else if (was) tell('DELETED', served(withVersionOf(previous, object)))
    }

    // changes are delivered later than they happen: what was told here already is not told again
    const start = (version: number) => {
      told = version
      return store.subscribe(onChange)
    }
    let unsubscribe: () => void
    if (initial === 'true' || (initial === null && from === 0)) {
      const { objects, version } = store.list(collection, namespace)
      for (const object of objects) if (isMatch(object)) tell('ADDED', served(object))
      if (initial === 'true' && bookmarks) stream.write(presentBookmark(view, resource, version, true))
      unsubscribe = start(version)
    } else {
      try {
        const since = world.resources.servedSince(collection)
        if (from > 0 && from < since) throw expired(`too old resource version: ${from} (${since})`)
        const missed = from === 0 ? [] : store.changesSince(from)
        for (const change of missed) onChange(change)
        unsubscribe = start(Math.max(store.version, from))
      } catch (error) {
        if (!(error instanceof StatusError)) throw error
        stream.write(eventText('ERROR', jsonOf(statusOf(error))))
        stream.end()
        return () => {}
      }
    }

    const timers: NodeJS.Timeout[] = []
    if (bookmarks) {
      const bookmark = () => stream.write(presentBookmark(view, resource, store.version, false))
      timers.push(setInterval(bookmark, bookmarkMs))
    }
    timers.push(setTimeout(() => stream.end(), timeoutSeconds > 0 ? timeoutSeconds * 1000 : defaultTimeoutMs))
    return () => {
      unsubscribe()
      for (const timer of timers) clearTimeout(timer)
    }
  }
}

function checkInitialEvents(query: URLSearchParams): void {
  const initial = query.get('sendInitialEvents')
  const match = query.get('resourceVersionMatch') ?? ''
  if (initial === null) {
    if (match !== '')
      throw invalidOption('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided')
  } else if (match !== 'NotOlderThan') {
    throw invalidOption('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan')
  }
}

function readFrom(query: URLSearchParams): number {
  const text = query.get('resourceVersion') ?? ''
  if (text === '') return 0
  if (/^\d+$/.test(text)) return Number(text)
  const quoted = JSON.stringify(text)
  throw new StatusError(
    500,
    '',
    `resourceVersion: Invalid value: ${quoted}: strconv.ParseUint: parsing ${quoted}: invalid syntax`,
  )
}

/** An object that left the selection is shown as it was, at the time of leaving. */
function withVersionOf(object: KubeObject, { metadata: { resourceVersion = '' } }: KubeObject): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion } }
}
