import { isJsonObject, type JsonObject } from '../../../core/json.ts'
import { type KubeObject, type Resource, StatusError } from '../model.ts'
import { parseLabelSelector } from './label-selector.ts'
import { storedCollection } from './resources.ts'
import { type Matcher, parseFieldSelector } from './selectors.ts'
import { badRequest, invalid } from './status.ts'
import { toServed } from './versions.ts'
import type { World } from './world.ts'

/**
 * Lists: narrowed by selectors, in pages that all show the same moment.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
 */

export interface Page {
  readonly objects: readonly KubeObject[]
  /** as `metadata` of the list */
  readonly metadata: JsonObject
}

/** @throws StatusError 400, 410, 422, 504 */
export function listObjects(
  world: World,
  resource: Resource,
  namespace: string,
  query: URLSearchParams,
): Page {
  const matches = readSelectors(resource, query)
  const asked = readInteger(query.get('limit'))
  // at any version will do: from memory, where there are no pages
  const anyVersion =
    query.get('resourceVersion') === '0' && (query.get('resourceVersionMatch') ?? '') !== 'Exact'
  const limit = anyVersion ? 0 : asked
  const { at, after } = readPosition(world, query, limit)
  const { objects, version } = world.store.list(storedCollection(resource), namespace, at)
  const selects = matches !== undefined
  const found: KubeObject[] = []
  let remaining = 0
  let last = ''
  for (const stored of objects) {
    const key =
      namespace === '' && resource.namespaced
        ? `${stored.metadata['namespace']}/${stored.metadata.name}`
        : stored.metadata.name
    if (after !== undefined && key < after) continue
    const object = toServed(stored, resource)
    if (matches?.(object) === false) continue
    if (limit > 0 && found.length === limit) {
      remaining++
      continue
    }
    found.push(object)
    last = key
  }
  const resourceVersion = String(version)
  if (remaining === 0) return { objects: found, metadata: { resourceVersion } }
  return {
    objects: found,
    metadata: {
      resourceVersion,
      continue: formatContinue({ version, after: `${last}\0` }),
      ...(!selects && { remainingItemCount: remaining }),
    },
  }
}

/** What `labelSelector` and `fieldSelector` ask for; `undefined` for everything. @throws StatusError 400 */
export function readSelectors(resource: Resource, query: URLSearchParams): Matcher | undefined {
  const labels = query.get('labelSelector') ?? ''
  const fields = query.get('fieldSelector') ?? ''
  const test = labels === '' ? undefined : parseLabelSelector(labels)
  const hasLabels: Matcher | undefined = test && (({ metadata }) => test(labelsOf(metadata)))
  const hasFields = fields === '' ? undefined : parseFieldSelector(fields, resource)
  if (hasLabels === undefined) return hasFields
  if (hasFields === undefined) return hasLabels
  return (object) => hasLabels(object) && hasFields(object)
}

export function labelsOf({ labels }: KubeObject['metadata']): JsonObject {
  return isJsonObject(labels) ? labels : {}
}

function readPosition(
  { store }: World,
  query: URLSearchParams,
  limit: number,
): { at: number | undefined; after?: string } {
  const text = query.get('resourceVersion') ?? ''
  const match = query.get('resourceVersionMatch') ?? ''
  const token = query.get('continue') ?? ''
  if (match !== '' && text === '') {
    throw invalidOption('resourceVersionMatch is forbidden unless resourceVersion is provided')
  }
  if (match !== '' && match !== 'Exact' && match !== 'NotOlderThan') {
    throw invalidOption(`supported values: "Exact", "NotOlderThan", ""`)
  }
  if (token !== '') {
    if (text !== '' && text !== '0') {
      throw badRequest('specifying resource version is not allowed when using continue')
    }
    const { version, after } = parseContinue(token)
    if (version < 0) return { at: undefined, after }
    try {
      store.changesSince(version)
    } catch {
      throw new StatusError(
        410,
        'Expired',
        'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
      )
    }
    return { at: version, after }
  }
  const version = readVersion(text)
  if (version > store.version) {
    throw new StatusError(
      504,
      'Timeout',
      `Timeout: Too large resource version: ${version}, current: ${store.version}`,
      {
        causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
        retryAfterSeconds: 1,
      },
    )
  }
  const exact = match === 'Exact' || (match === '' && limit > 0 && version > 0)
  return { at: exact ? version : undefined }
}

/** 0 where nothing is said. @throws StatusError 400 */
function readVersion(text: string): number {
  if (text === '') return 0
  if (/^\d+$/.test(text)) return Number(text)
  throw badRequest(
    `invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
  )
}

function readInteger(text: string | null): number {
  if (text === null || text === '') return 0
  if (/^[-+]?\d+$/.test(text)) return Number(text)
  throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`)
}

export function invalidOption(message: string, field = 'resourceVersionMatch'): StatusError {
  const cause = { reason: 'FieldValueForbidden', message: `Forbidden: ${message}`, field }
  return invalid('meta.k8s.io', 'ListOptions', '', [cause])
}

interface Position {
  version: number
  /** the first key that is wanted, or would be */
  after: string
}

function formatContinue({ version, after }: Position): string {
  const token = JSON.stringify({ v: 'meta.k8s.io/v1', rv: version, start: after })
  return Buffer.from(token).toString('base64url')
}

function parseContinue(text: string): Position {
  try {
    const token: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    if (isJsonObject(token) && typeof token['rv'] === 'number' && typeof token['start'] === 'string') {
      return { version: token['rv'], after: token['start'] }
    }
  } catch {
    // refused below
  }
  throw badRequest('continue key is not valid: it is not a token of this server')
}
