import { FluxError, messageOf } from '../../core/errors.ts'
import { isJsonObject, type JsonObject, parseJson, valueAt } from '../../core/json.ts'
import {
  apiVersionOf,
  type ListOptions,
  type ObjectList,
  type ResourceType,
  type WatchEvent,
  type WatchOptions,
} from '../../ports/cluster.ts'
import { type ApiClient, unreachable } from './client.ts'
import { failureOf } from './failure.ts'
import { collectionPath } from './paths.ts'
import { TransportError } from './transport.ts'

/** Listing in pages, and watching. */

const pageSize = 500
/** the server ends a watch after this long, plus up to as much again, so that watches do not all end at once */
const watchSeconds = 300
/** one event of a watch: an object may have 3 MiB, and its managed fields come on top */
const longestEventBytes = 16 << 20

const metadataAccept = {
  list: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
  watch: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
}

/** List a whole collection; begins once more, in one page, when it took so long that the pages no longer fit. */
export async function listAll(
  client: ApiClient,
  type: ResourceType,
  options: ListOptions = {},
): Promise<ObjectList> {
  const items: JsonObject[] = []
  let limit: string | undefined = String(pageSize)
  let next: string | undefined
  for (;;) {
    const reply = await client.send({
      method: 'GET',
      path: collectionPath(type, options.namespace),
      query: { ...selectors(options), limit, continue: next },
      ...(options.metadataOnly && { accept: metadataAccept.list }),
      signal: options.signal,
    })
    if (reply.status === 410 && next !== undefined) {
      items.length = 0
      limit = undefined
      next = undefined
      continue
    }
    if (reply.status >= 300) throw failureOf(reply.status, reply.body, client.connection)
    const page = reply.body['items']
    for (const item of Array.isArray(page) ? page : []) if (isJsonObject(item)) items.push(typed(type, item))
    const more = valueAt(reply.body, 'metadata', 'continue')
    if (typeof more !== 'string' || more === '') {
      const resourceVersion = valueAt(reply.body, 'metadata', 'resourceVersion')
      return { items, resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : '' }
    }
    next = more
  }
}

/** Follow a collection; see `Cluster.watch`. Ends in silence when it is aborted, or the connection is cut. */
export async function* watchAll(
  client: ApiClient,
  type: ResourceType,
  options: WatchOptions,
): AsyncGenerator<WatchEvent> {
  const { signal } = options
  if (signal?.aborted) return
  const reply = await client
    .stream({
      method: 'GET',
      path: collectionPath(type, options.namespace),
      query: {
        ...selectors(options),
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: options.resourceVersion,
        timeoutSeconds: String(Math.round(watchSeconds * (1 + Math.random()))),
      },
      ...(options.metadataOnly && { accept: metadataAccept.watch }),
      signal,
    })
    .catch((error: unknown) => {
      if (signal?.aborted) return undefined
      throw error instanceof TransportError ? unreachable(client.connection, error) : error
    })
  if (reply === undefined) return
  try {
    for await (const line of lines(reply.body)) {
      const event = readEvent(client, type, line)
      if (event !== undefined) yield event
    }
  } catch (error) {
    if (signal?.aborted || error instanceof TransportError) return
    throw error
  } finally {
    reply.discard()
  }
}

function readEvent(client: ApiClient, type: ResourceType, line: string): WatchEvent | undefined {
  let event: unknown
  try {
    event = parseJson(line)
  } catch (error) {
    throw new FluxError('CLUSTER_UNAVAILABLE', {
      what: `the Kubernetes API sent a watch event that can't be read: ${messageOf(error)}`,
      next: 'List again, and watch from there.',
    })
  }
  const object = isJsonObject(event) ? event['object'] : undefined
  if (!isJsonObject(event) || !isJsonObject(object)) return undefined
  switch (event['type']) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: event['type'], object: typed(type, object) }
    case 'BOOKMARK': {
      const resourceVersion = valueAt(object, 'metadata', 'resourceVersion')
      return typeof resourceVersion === 'string' ? { type: 'BOOKMARK', resourceVersion } : undefined
    }
    case 'ERROR':
      throw failureOf(typeof object['code'] === 'number' ? object['code'] : 500, object, client.connection)
    default:
      return undefined
  }
}

/** Items of lists come without apiVersion and kind, metadata under a name of its own. */
function typed(type: ResourceType, object: JsonObject): JsonObject {
  return { ...object, apiVersion: apiVersionOf(type), kind: type.kind }
}

function selectors({ labelSelector, fieldSelector }: ListOptions): Record<string, string | undefined> {
  return { labelSelector, fieldSelector }
}

async function* lines(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    let start = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end))
      const line = Buffer.concat(parts).toString('utf8')
      parts = []
      bytes = 0
      start = end + 1
      if (line.trim() !== '') yield line
    }
    if (start === chunk.length) continue
    parts.push(chunk.subarray(start))
    bytes += chunk.length - start
    if (bytes > longestEventBytes) throw new TransportError('a watch event without end', { unsent: false })
  }
}
