import { FluxError, messageOf } from '../core/errors.ts'
import { type ImageRef, parseImageRef } from '../core/image/ref.ts'
import type {
  ImageListing,
  ListedContainer,
  ListedImage,
  ReadOnlyReason,
  WorkloadListing,
} from '../core/listing.ts'
import type { PolicyUpdate } from '../core/policy/policy.ts'
import { parseResourceId, type ResourceId } from '../core/resource/id.ts'
import type {
  JobState,
  JobStatus,
  ResultStatus,
  UpdateResult,
  WorkloadResult,
} from '../core/update/result.ts'
import {
  allWorkloads,
  type Cause,
  type ContainerUpdate,
  type PolicyUpdates,
  type UpdateSpec,
} from '../core/update/spec.ts'
import { fieldsOf, readCount, readFlag, readList, readMap, readText, readTime } from './json.ts'
import type { Change, GitConfig, PublicKey } from './values.ts'

/**
 * What comes over the wire, turned from `unknown` into our own types at the door. `write.ts` goes the other way.
 *
 * @throws FluxError `API_BAD_REQUEST` from every function here, with the short text that Flux v1 gives where it gives
 *   one (`unknown spec type: x`, `parsing x: invalid service ID`)
 */

/**
 * A request. An empty `Current` of a container is refused, as in Flux v1; leave it out to say nothing. What automation
 * chose is its own to ask for.
 *
 * @throws FluxError also `UPDATE_TYPE_UNKNOWN`
 */
export function readUpdateSpec(body: unknown): UpdateSpec {
  const update = readSpec(body, (value, at) => {
    if (fieldsOf(value, at)('Current') === '') readRef('')
    return readContainerUpdate(value, at)
  })
  if (update.type === 'auto') {
    throw new FluxError('UPDATE_TYPE_UNKNOWN', {
      what: 'unknown update type "auto"',
      why: 'Automated releases are made by fluxd itself.',
      next: 'Ask for a release of images or of containers.',
    })
  }
  return update
}

/** A spec that some fluxd has echoed. The original writes an absent `Current` as an empty one. */
export function readEchoedSpec(body: unknown): UpdateSpec {
  return readSpec(body, readContainerUpdate)
}

function readSpec(body: unknown, readUpdate: typeof readContainerUpdate): UpdateSpec {
  const field = fieldsOf(body, 'the update')
  const type = readText(field('type'), 'type')
  const cause = readCause(field('cause'))
  const spec = field('spec')
  if (!(type === 'image' || type === 'containers' || type === 'policy' || type === 'sync' || type === 'auto'))
    throw badRequest(`unknown spec type: ${type}`)
  if (spec === undefined) throw badRequest('reading spec: it is missing')
  switch (type) {
    case 'image':
      return { type, cause, spec: readImageRelease(spec) }
    case 'containers':
      return { type, cause, spec: readContainersRelease(spec, readUpdate) }
    case 'policy':
      return { type, cause, spec: readPolicyUpdates(spec) }
    case 'sync':
      return { type, cause }
    case 'auto':
      return { type, cause, changes: readAutomatedChanges(spec) }
  }
}

/** The older `POST /v6/update-images`: a release of one image, all in the query. */
export function readUpdateImagesQuery(query: URLSearchParams): UpdateSpec {
  const kind = query.get('kind') ?? ''
  if (kind !== 'plan' && kind !== 'execute') throw badRequest(`unknown release kind ${JSON.stringify(kind)}`)
  return {
    type: 'image',
    cause: readCauseQuery(query),
    spec: {
      workloads: query.getAll('service').map(readWorkloadSpec),
      image: query.get('image') ?? '',
      kind,
      excludes: query.has('exclude') ? query.getAll('exclude').map(readId) : null,
      force: false,
    },
  }
}

/** An ID, or the word for all workloads, in a query. */
export function readWorkloadSpec(text: string): ResourceId | typeof allWorkloads {
  return text === allWorkloads ? text : readWorkloadId(text)
}

/** An ID in a query. */
export function readWorkloadId(text: string): ResourceId {
  try {
    return parseResourceId(text)
  } catch (cause) {
    throw badRequest(`parsing service spec ${JSON.stringify(text)}: ${messageOf(cause)}`, cause)
  }
}

/** The older `PATCH /v6/policies`: updates in the body, who and why in the query. */
export function readUpdatePoliciesRequest(query: URLSearchParams, body: unknown): UpdateSpec {
  return { type: 'policy', cause: readCauseQuery(query), spec: readPolicyUpdates(body) }
}

function readPolicyUpdates(body: unknown): PolicyUpdates | null {
  return byId(
    readMap(body, 'spec', (item, at): PolicyUpdate => {
      const field = fieldsOf(item, at)
      return {
        add: readPolicySet(field('add'), `${at}.add`),
        remove: readPolicySet(field('remove'), `${at}.remove`),
      }
    }),
  )
}

export function readJobStatus(body: unknown): JobStatus {
  const field = fieldsOf(body, 'the job status')
  const outcome = fieldsOf(field('Result'), 'Result')
  const revision = readText(outcome('revision'), 'Result.revision')
  const errorCode = readText(field('ErrCode'), 'ErrCode')
  const spec = outcome('spec')
  const result = readUpdateResult(outcome('result'))
  return {
    state: readText(field('StatusString'), 'StatusString') as JobState,
    error: readText(field('Err'), 'Err'),
    ...(errorCode && { errorCode }),
    ...(revision && { revision }),
    ...(spec !== undefined && spec !== null && { spec: readEchoedSpec(spec) }),
    ...(result && { result }),
  }
}

/** Results by workload, or `undefined` where there are none. */
export function readUpdateResult(value: unknown): UpdateResult | undefined {
  const results = byId(
    readMap(value, 'result', (item, at): WorkloadResult => {
      const field = fieldsOf(item, at)
      const error = readText(field('Error'), `${at}.Error`)
      return {
        status: readText(field('Status'), `${at}.Status`) as ResultStatus,
        ...(error && { error }),
        updates: readList(field('PerContainer'), `${at}.PerContainer`, readContainerUpdate) ?? [],
      }
    }),
  )
  return results ?? undefined
}

export function readControllerStatuses(body: unknown): WorkloadListing[] {
  return readList(body, 'the workloads', readControllerStatus) ?? []
}

function readControllerStatus(value: unknown, at: string): WorkloadListing {
  const field = fieldsOf(value, at)
  const text = (name: string) => readText(field(name), `${at}.${name}`)
  const rollout = fieldsOf(field('Rollout'), `${at}.Rollout`)
  const count = (name: string) => readCount(rollout(name), `${at}.Rollout.${name}`)
  const labels = readMap(field('Labels'), `${at}.Labels`, readText)
  const antecedent = text('Antecedent')
  return {
    id: readId(text('ID')),
    containers: readList(field('Containers'), `${at}.Containers`, readContainer) ?? [],
    readOnly: text('ReadOnly') as ReadOnlyReason,
    status: text('Status'),
    rollout: {
      desired: count('Desired'),
      updated: count('Updated'),
      ready: count('Ready'),
      available: count('Available'),
      outdated: count('Outdated'),
      messages: readList(rollout('Messages'), `${at}.Rollout.Messages`, readText) ?? [],
    },
    syncError: text('SyncError'),
    ...(antecedent && { antecedent: readId(antecedent) }),
    labels: labels && Object.fromEntries(labels),
    automated: readFlag(field('Automated'), `${at}.Automated`),
    locked: readFlag(field('Locked'), `${at}.Locked`),
    ignore: readFlag(field('Ignore'), `${at}.Ignore`),
    policies: readMap(field('Policies'), `${at}.Policies`, readText) ?? new Map(),
  }
}

export function readImageStatuses(body: unknown): ImageListing[] {
  const listings = readList(body, 'the images', (item, at): ImageListing => {
    const field = fieldsOf(item, at)
    return {
      id: readId(readText(field('ID'), `${at}.ID`)),
      containers: readList(field('Containers'), `${at}.Containers`, readContainer) ?? [],
    }
  })
  return listings ?? []
}

function readContainer(value: unknown, at: string): ListedContainer {
  const field = fieldsOf(value, at)
  const count = (name: string) => readCount(field(name), `${at}.${name}`)
  const available = readList(field('Available'), `${at}.Available`, readImage)
  const reasons = readList(field('Reasons'), `${at}.Reasons`, (item, place) => {
    const reason = fieldsOf(item, place)
    return {
      code: readText(reason('Code'), `${place}.Code`),
      message: readText(reason('Message'), `${place}.Message`),
    }
  })
  return {
    name: readText(field('Name'), `${at}.Name`),
    current: readImage(field('Current'), `${at}.Current`),
    latestFiltered: readImage(field('LatestFiltered'), `${at}.LatestFiltered`),
    ...(available && { available }),
    availableError: readText(field('AvailableError'), `${at}.AvailableError`),
    availableCount: count('AvailableImagesCount'),
    newAvailableCount: count('NewAvailableImagesCount'),
    filteredCount: count('FilteredImagesCount'),
    newFilteredCount: count('NewFilteredImagesCount'),
    ...(reasons && { reasons }),
  }
}

/** An image whose name can't be read is nothing known of, as in Flux v1. */
function readImage(value: unknown, at: string): ListedImage {
  const field = fieldsOf(value, at)
  let ref: ImageRef
  try {
    ref = parseImageRef(readText(field('ID'), `${at}.ID`))
  } catch {
    return { labels: {} }
  }
  const digest = readText(field('Digest'), `${at}.Digest`)
  const imageId = readText(field('ImageID'), `${at}.ImageID`)
  const createdAt = readTime(field('CreatedAt'), `${at}.CreatedAt`)
  const lastFetchedAt = readTime(field('LastFetched'), `${at}.LastFetched`)
  return {
    ref,
    ...(digest && { digest }),
    ...(imageId && { imageId }),
    labels: Object.fromEntries(readMap(field('Labels'), `${at}.Labels`, readText) ?? []),
    ...(createdAt && { createdAt }),
    ...(lastFetchedAt && { lastFetchedAt }),
  }
}

export function readGitConfig(body: unknown): GitConfig {
  const field = fieldsOf(body, 'the Git configuration')
  const remote = fieldsOf(field('remote'), 'remote')
  return {
    url: readText(remote('url'), 'remote.url'),
    branch: readText(remote('branch'), 'remote.branch'),
    path: readText(remote('path'), 'remote.path'),
    publicKey: readPublicKey(field('publicSSHKey')),
    status: readText(field('status'), 'status'),
    error: readText(field('errors'), 'errors'),
  }
}

export function readPublicKey(body: unknown): PublicKey {
  const field = fieldsOf(body, 'publicSSHKey')
  const prints = readMap(field('fingerprints'), 'fingerprints', (item, at) => {
    const print = fieldsOf(item, at)
    return {
      hash: readText(print('hash'), `${at}.hash`),
      randomArt: readText(print('randomart'), `${at}.randomart`),
    }
  })
  const md5 = prints?.get('md5')
  const sha256 = prints?.get('sha256')
  return { key: readText(field('key'), 'key'), ...(md5 && { md5 }), ...(sha256 && { sha256 }) }
}

/** The body of `notify`. */
export function readChange(body: unknown): Change {
  const field = fieldsOf(body, 'the change')
  const kind = readText(field('Kind'), 'Kind')
  const source = fieldsOf(field('Source'), 'Source')
  if (kind === 'git')
    return {
      kind,
      url: readText(source('URL'), 'Source.URL'),
      branch: readText(source('Branch'), 'Source.Branch'),
    }
  if (kind === 'image') {
    const name = fieldsOf(source('Name'), 'Source.Name')
    const registry = readText(name('Domain'), 'Source.Name.Domain')
    const repository = readText(name('Image'), 'Source.Name.Image')
    return { kind, image: { ...(registry && { registry }), repository } }
  }
  throw badRequest('unknown kind of change')
}

/** The answer to `sync?ref=`: revisions that are not applied yet, newest first. */
export function readRevisions(body: unknown): string[] {
  return readList(body, 'the revisions', readText) ?? []
}

/** The answer to `export`: YAML. */
export function readExport(body: unknown): string {
  const bytes = Uint8Array.from(atob(readText(body, 'the export')), (char) => char.charCodeAt(0))
  return new TextDecoder().decode(bytes)
}

function readImageRelease(value: unknown) {
  const field = fieldsOf(value, 'spec')
  return {
    workloads: readList(field('ServiceSpecs'), 'spec.ServiceSpecs', readText),
    image: readText(field('ImageSpec'), 'spec.ImageSpec'),
    kind: readText(field('Kind'), 'spec.Kind'),
    excludes: readList(field('Excludes'), 'spec.Excludes', (item, at) => readId(readText(item, at))),
    force: readFlag(field('Force'), 'spec.Force'),
  }
}

function readContainersRelease(value: unknown, readUpdate: typeof readContainerUpdate) {
  const field = fieldsOf(value, 'spec')
  const containers = readMap(
    field('ContainerSpecs'),
    'spec.ContainerSpecs',
    (item, at) => readList(item, at, readUpdate) ?? [],
  )
  return {
    kind: readText(field('Kind'), 'spec.Kind'),
    containers: byId(containers),
    skipMismatches: readFlag(field('SkipMismatches'), 'spec.SkipMismatches'),
    force: readFlag(field('Force'), 'spec.Force'),
  }
}

function readAutomatedChanges(value: unknown) {
  return readList(fieldsOf(value, 'spec')('Changes'), 'spec.Changes', (item, at) => {
    const field = fieldsOf(item, at)
    const container = fieldsOf(field('Container'), `${at}.Container`)
    return {
      workload: readId(readText(field('WorkloadID'), `${at}.WorkloadID`)),
      container: readText(container('Name'), `${at}.Container.Name`),
      current: readRef(readText(container('Image'), `${at}.Container.Image`)),
      target: readRef(readText(field('ImageID'), `${at}.ImageID`)),
    }
  })
}

function readContainerUpdate(value: unknown, at: string): ContainerUpdate {
  const field = fieldsOf(value, at)
  const current = readText(field('Current'), `${at}.Current`)
  return {
    container: readText(field('Container'), `${at}.Container`),
    ...(current && { current: readRef(current) }),
    target: readRef(readText(field('Target'), `${at}.Target`)),
  }
}

/** A list of names is an older form, in which each is set to `true`. */
function readPolicySet(value: unknown, at: string): ReadonlyMap<string, string> | null {
  if (!Array.isArray(value)) return readMap(value, at, readText)
  return new Map((readList(value, at, readText) ?? []).map((name) => [name, 'true']))
}

function readCause(value: unknown): Cause {
  const field = fieldsOf(value, 'cause')
  return { message: readText(field('Message'), 'cause.Message'), user: readText(field('User'), 'cause.User') }
}

function readCauseQuery(query: URLSearchParams): Cause {
  return { message: query.get('message') ?? '', user: query.get('user') ?? '' }
}

function byId<T>(map: ReadonlyMap<string, T> | null): Map<ResourceId, T> | null {
  return map && new Map([...map].map(([id, item]) => [readId(id), item]))
}

function readId(text: string): ResourceId {
  try {
    return parseResourceId(text)
  } catch (cause) {
    throw badRequest(messageOf(cause), cause)
  }
}

function readRef(text: string): ImageRef {
  try {
    return parseImageRef(text)
  } catch (cause) {
    throw badRequest(messageOf(cause), cause)
  }
}

function badRequest(what: string, cause?: unknown): FluxError {
  return new FluxError('API_BAD_REQUEST', { what, ...(cause !== undefined && { cause }) })
}
