import { randomUUID } from 'node:crypto'
import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../core/json.ts'
import { applyServerSide, trackUpdate } from '../apply/managed-fields.ts'
import { applyPatch } from '../apply/patch.ts'
import { type KubeObject, type ObjectMeta, type Resource, StatusError } from '../model.ts'
import { applyDefaults } from '../schema/defaults.ts'
import { readFields, readPatched, zeroObject } from '../schema/read.ts'
import { validate } from '../schema/validate.ts'
import { checkNamespace, refuseProtected } from './admission.ts'
import { definitions, prepareDefinition } from './definitions.ts'
import { isSame } from './equal.ts'
import { countsGenerations, isOtherGeneration, prepareCreate, prepareUpdate } from './prepare.ts'
import { placeOf, storedCollection } from './resources.ts'
import {
  alreadyExists,
  badRequest,
  type Cause,
  collectionName,
  conflict,
  invalid,
  notFound,
} from './status.ts'
import { toServed, toStored } from './versions.ts'
import { timestamp, type World, type Writer } from './world.ts'

/**
 * The verbs on one object, in the order of the real server: read, default, note who owns what, admit, complete,
 * validate, store. Each takes and gives objects in the version of the resource it was called for.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/
 */

/** @throws StatusError 404 */
export function getObject(world: World, resource: Resource, namespace: string, name: string): KubeObject {
  const found = findObject(world, resource, namespace, name)
  if (found === undefined) throw notFound(resource, name)
  return found
}

export function findObject(
  { store }: World,
  resource: Resource,
  namespace: string,
  name: string,
): KubeObject | undefined {
  const stored = store.get({ collection: storedCollection(resource), namespace, name })
  return stored === undefined ? undefined : toServed(stored, resource)
}

/** @throws StatusError 400, 403, 404, 409, 422 */
export function createObject(
  world: World,
  resource: Resource,
  namespace: string,
  value: JsonObject,
  writer: Writer,
): KubeObject {
  const read = readObject(resource, value, writer)
  const object = inNamespace(resource, read, namespace)
  if (object.metadata['resourceVersion'] !== undefined && object.metadata['resourceVersion'] !== '') {
    throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created')
  }
  const named = applyDefaults(resource, withGeneratedName(world, resource, object))
  return insert(world, resource, named, writer, (begun) => track(world, resource, undefined, begun, writer))
}

/** The part of a creation that server-side apply shares. */
function insert(
  world: World,
  resource: Resource,
  object: KubeObject,
  writer: Writer,
  tracked: (object: KubeObject) => KubeObject,
): KubeObject {
  const now = world.now()
  checkNamespace(world, resource, object)
  const { status: _status, ...withoutStatus } = object
  const begun = resource.status ? { ...withoutStatus, ...emptyStatus(resource) } : object
  const owned = tracked(begun as KubeObject)
  const {
    deletionTimestamp: _deleted,
    deletionGracePeriodSeconds: _grace,
    selfLink: _link,
    resourceVersion: _version,
    ...metadata
  } = owned.metadata
  const named: KubeObject = {
    ...owned,
    metadata: {
      ...metadata,
      uid: randomUUID(),
      ...(countsGenerations(resource) && { generation: 1 }),
      creationTimestamp: timestamp(now),
    } as ObjectMeta,
  }
  const prepared = prepareDefinition(resource, prepareCreate(world, resource, named), undefined, now)
  validate(resource, prepared)
  warnOfFinalizers(resource, undefined, prepared, writer)
  const place = placeOf(resource, prepared)
  const there = world.store.get(place)
  if (there !== undefined) {
    const ending = there.metadata['deletionTimestamp'] !== undefined
    throw alreadyExists(resource, prepared.metadata.name, ending)
  }
  if (writer.dryRun === true) return prepared
  return toServed(world.store.create(place, storedForm(world, resource, prepared)), resource)
}

/** typed objects always have their status, custom ones have it when somebody has written it */
function emptyStatus(resource: Resource): JsonObject {
  let empty = emptyStatuses.get(resource)
  if (empty === undefined) {
    const status = resource.custom ? undefined : zeroObject(resource)['status']
    empty = status === undefined ? {} : { status }
    emptyStatuses.set(resource, empty)
  }
  return empty
}

const emptyStatuses = new WeakMap<Resource, JsonObject>()

/** the door that a write came through */
export type Subresource = 'status' | 'scale' | 'finalize' | 'binding'

export interface UpdateOptions {
  subresource?: Subresource | undefined
}

/** @throws StatusError 400, 404, 409, 422 */
export function updateObject(
  world: World,
  resource: Resource,
  namespace: string,
  name: string,
  value: JsonObject,
  writer: Writer,
  { subresource }: UpdateOptions = {},
): { object: KubeObject; created: boolean } {
  const object = readObject(resource, value, writer)
  checkName(object, name)
  const placed = inNamespace(resource, object, namespace)
  const live = findObject(world, resource, namespace, name)
  if (live === undefined) {
    if (subresource !== undefined || !createdByUpdate.has(collectionName(resource)))
      throw notFound(resource, name)
    return { object: createObject(world, resource, namespace, value, writer), created: true }
  }
  checkVersion(resource, live, placed)
  checkUid(resource, live, placed)
  const version = placed.metadata['resourceVersion']
  if (resource.custom && (version === undefined || version === '')) {
    throw invalid(resource.group, resource.plural, name, [
      {
        reason: 'FieldValueInvalid',
        message: 'Invalid value: 0: must be specified for an update',
        field: 'metadata.resourceVersion',
      },
    ])
  }
  const next = applyDefaults(resource, placed)
  const tracked = track(world, resource, live, narrow(resource, live, next, subresource), writer, subresource)
  return { object: replace(world, resource, live, tracked, writer, subresource), created: false }
}

export type PatchType = 'json' | 'merge' | 'strategic'

/** @throws StatusError 400, 404, 409, 422 */
export function patchObject(
  world: World,
  resource: Resource,
  namespace: string,
  name: string,
  type: PatchType,
  patch: JsonValue,
  writer: Writer,
  { subresource }: UpdateOptions = {},
): KubeObject {
  const live = getObject(world, resource, namespace, name)
  const { fieldValidation = 'Warn', duplicates } = writer
  const result = applyPatch(type, live, patch, resource)
  const { object, warnings } = readPatched(
    resource,
    result,
    { type, value: patch },
    fieldValidation,
    duplicates,
  )
  for (const warning of warnings) writer.warn?.(warning)
  const patched = withoutStringData(resource, object)
  checkName(patched, name)
  const placed = inNamespace(resource, patched, namespace)
  checkVersion(resource, live, placed)
  const next = applyDefaults(resource, placed)
  const tracked = track(world, resource, live, narrow(resource, live, next, subresource), writer, subresource)
  return replace(world, resource, live, tracked, writer, subresource)
}

/** Server-side apply. @throws StatusError 400, 403, 404, 409, 422 */
export function applyObject(
  world: World,
  resource: Resource,
  namespace: string,
  name: string,
  config: JsonObject,
  writer: Writer & { force: boolean },
  { subresource }: UpdateOptions = {},
): { object: KubeObject; created: boolean } {
  const live = findObject(world, resource, namespace, name)
  if (live === undefined && subresource !== undefined) throw notFound(resource, name)
  const apply = (object: KubeObject | undefined) => {
    const applied = applyServerSide({
      resource,
      live: object,
      config,
      manager: writer.manager,
      force: writer.force,
      subresource,
      now: world.now(),
    })
    const named = {
      ...applied.object,
      metadata: { ...applied.object.metadata, name: applied.object.metadata.name || name },
    }
    checkName(named, name)
    return { ...applied, object: inNamespace(resource, withoutStringData(resource, named), namespace) }
  }
  if (live === undefined) {
    const uid = valueAt(config, 'metadata', 'uid')
    if (typeof uid === 'string' && uid !== '') {
      const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`
      throw conflict(resource, name, why)
    }
    const { object } = apply(undefined)
    const created = insert(world, resource, object, writer, (named) => named)
    return { object: created, created: true }
  }
  const { object, changed } = apply(live)
  checkVersion(resource, live, object)
  if (!changed) return { object: live, created: false }
  const narrowed = narrow(resource, live, object, subresource)
  return { object: replace(world, resource, live, narrowed, writer, subresource), created: false }
}

export interface DeleteRequest {
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  gracePeriodSeconds?: number
  uid?: string
  resourceVersion?: string
}

/**
 * Delete an object, or begin to: what has finalizers stays until they are gone, a pod that runs until it has ended.
 *
 * @returns the object while it stays, and its last state when it is gone
 * @throws StatusError 403, 404, 409
 */
export function deleteObject(
  world: World,
  resource: Resource,
  namespace: string,
  name: string,
  writer: Writer,
  request: DeleteRequest = {},
): { object: KubeObject; gone: boolean } {
  const live = getObject(world, resource, namespace, name)
  checkPreconditions(resource, live, request)
  refuseProtected(resource, name)
  const finalizers = finalizersFor(resource, live, request)
  const graceSeconds = graceOf(resource, live, request)
  const waits =
    finalizers.length > 0 ||
    graceSeconds > 0 ||
    hasOwnFinalizers(resource, live) ||
    collectionName(resource) === definitions
  const place = placeOf(resource, live)
  if (!waits) {
    if (writer.dryRun === true) return { object: live, gone: true }
    return { object: toServed(world.store.delete(place) ?? live, resource), gone: true }
  }
  const now = world.now()
  const begun = live.metadata['deletionTimestamp']
  const { finalizers: _finalizers, ...metadata } = live.metadata
  const endsAt = timestamp(new Date(now.getTime() + graceSeconds * 1000))
  const sooner = graceSeconds < Number(metadata['deletionGracePeriodSeconds'] ?? 0)
  const generation = Number(metadata['generation'] ?? 0)
  const next: KubeObject = {
    ...live,
    metadata: {
      ...metadata,
      ...(generation > 0 && begun === undefined && { generation: generation + 1 }),
      ...(begun === undefined || sooner
        ? { deletionTimestamp: endsAt, deletionGracePeriodSeconds: graceSeconds }
        : {}),
      ...(finalizers.length > 0 && { finalizers }),
    } as ObjectMeta,
  }
  if (collectionName(resource) === 'namespaces') {
    const { deletionGracePeriodSeconds: _grace, ...rest } = next.metadata
    next.metadata = rest as ObjectMeta
    next['status'] = { ...(isJsonObject(next['status']) && next['status']), phase: 'Terminating' }
  }
  const prepared = prepareDefinition(resource, next, live, now)
  if (writer.dryRun === true || isSame(prepared, live)) return { object: prepared, gone: false }
  const stored = world.store.update(place, storedForm(world, resource, prepared))
  return { object: toServed(stored, resource), gone: false }
}

/** Whether the reply to a deletion is the object; for most it is a short `Status`. */
export function returnsDeleted(resource: Resource): boolean {
  return deletedObjects.has(collectionName(resource))
}

const deletedObjects = new Set([
  'csidrivers.storage.k8s.io',
  'csinodes.storage.k8s.io',
  'persistentvolumeclaims',
  'persistentvolumes',
  'pods',
  'podtemplates',
  'replicationcontrollers',
  'resourcequotas',
  'serviceaccounts',
  'services',
  'storageclasses.storage.k8s.io',
  'volumeattachments.storage.k8s.io',
])

/** a PUT to a name that isn't there makes these */
const createdByUpdate = new Set([
  'clusterrolebindings.rbac.authorization.k8s.io',
  'clusterroles.rbac.authorization.k8s.io',
  'endpoints',
  'events',
  'events.events.k8s.io',
  'leases.coordination.k8s.io',
  'limitranges',
  'rolebindings.rbac.authorization.k8s.io',
  'roles.rbac.authorization.k8s.io',
  'services',
])

/** kinds whose dependents stay when nothing is said */
const orphanByDefault = new Set(['jobs.batch', 'replicationcontrollers'])

/** What the client sent as an object of this resource; warnings go to the writer. */
function readObject(resource: Resource, value: JsonObject, writer: Writer): KubeObject {
  const { object, warnings } = readFields(
    resource,
    value,
    writer.fieldValidation ?? 'Warn',
    writer.duplicates,
  )
  for (const warning of warnings) writer.warn?.(warning)
  return withoutStringData(resource, object)
}

/** `stringData` of a Secret is only another way to write its `data`. */
function withoutStringData(resource: Resource, object: KubeObject): KubeObject {
  if (collectionName(resource) !== 'secrets' || !isJsonObject(object['stringData'])) return object
  const { stringData, ...secret } = object
  const data = Object.entries(stringData).map(([key, text]) => [
    key,
    Buffer.from(String(text)).toString('base64'),
  ])
  return {
    ...secret,
    data: { ...(isJsonObject(secret['data']) && secret['data']), ...Object.fromEntries(data) },
  }
}

function inNamespace(resource: Resource, object: KubeObject, namespace: string): KubeObject {
  const { namespace: own, ...metadata } = object.metadata
  const said = own === undefined || own === '' ? undefined : own
  if (!resource.namespaced) return { ...object, metadata: metadata as ObjectMeta }
  if (said !== undefined && said !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  return { ...object, metadata: { ...object.metadata, namespace } }
}

function checkName({ metadata }: KubeObject, name: string): void {
  if (metadata.name === undefined || metadata.name === '') {
    throw badRequest(
      `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
    )
  }
  if (metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`)
  }
}

function withGeneratedName(world: World, resource: Resource, object: KubeObject): KubeObject {
  const { name, generateName, namespace } = object.metadata
  if (name !== undefined && name !== '') return object
  if (typeof generateName !== 'string' || generateName === '') {
    throw invalid(resource.group, resource.kind, '', [
      {
        reason: 'FieldValueRequired',
        message: 'Required value: name or generateName is required',
        field: 'metadata.name',
      },
    ])
  }
  for (;;) {
    const generated = `${generateName.slice(0, 58)}${randomSuffix()}`
    if (findObject(world, resource, String(namespace ?? ''), generated) === undefined) {
      return { ...object, metadata: { ...object.metadata, name: generated } }
    }
  }
}

/** Five letters without vowels and digits without those that look like letters, as Kubernetes makes them. */
function randomSuffix(): string {
  const letters = 'bcdfghjklmnpqrstvwxz2456789'
  return Array.from({ length: 5 }, () => letters[Math.floor(Math.random() * letters.length)]).join('')
}

function checkVersion(resource: Resource, live: KubeObject, next: KubeObject): void {
  const { resourceVersion } = next.metadata
  const { name } = live.metadata
  if (
    resourceVersion !== undefined &&
    resourceVersion !== '' &&
    resourceVersion !== live.metadata['resourceVersion']
  ) {
    const why = 'the object has been modified; please apply your changes to the latest version and try again'
    throw conflict(resource, name, why)
  }
}

/** Of another object by the same name. */
function checkUid(resource: Resource, live: KubeObject, next: KubeObject): void {
  const { uid, name } = next.metadata
  if (uid !== undefined && uid !== '' && uid !== live.metadata['uid']) {
    const key = ['/registry', storedCollection(resource), live.metadata['namespace'], name]
      .filter(Boolean)
      .join('/')
    throw conflict(
      resource,
      name,
      `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: ` +
        `UID in precondition: ${String(uid)}, UID in object meta: ${String(live.metadata['uid'])}`,
    )
  }
}

function checkPreconditions(
  { kind, group }: Resource,
  live: KubeObject,
  { uid, resourceVersion }: DeleteRequest,
): void {
  const { name } = live.metadata
  const refuse = (why: string) => conflict({ group, plural: kind }, name, why)
  if (uid !== undefined && uid !== live.metadata['uid']) {
    throw refuse(
      `the UID in the precondition (${uid}) does not match the UID in record (${String(live.metadata['uid'])}). ` +
        'The object might have been deleted and then recreated',
    )
  }
  if (resourceVersion !== undefined && resourceVersion !== live.metadata['resourceVersion']) {
    throw refuse(
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record ` +
        `(${String(live.metadata['resourceVersion'])}). The object might have been modified`,
    )
  }
}

/** What a write through this door may change; the rest stays as it is. */
function narrow(
  resource: Resource,
  live: KubeObject,
  next: KubeObject,
  subresource: Subresource | undefined,
): KubeObject {
  const { status: liveStatus, ...liveRest } = live
  const { status, ...rest } = next
  if (subresource === 'status') {
    const { managedFields } = next.metadata
    const metadata = { ...live.metadata, ...(managedFields !== undefined && { managedFields }) }
    const own = resource.custom ? metadata : { ...metadata, ...labelsOf(next) }
    return { ...liveRest, metadata: own, ...(status !== undefined && { status }) }
  }
  if (subresource === 'finalize') return { ...live, spec: next['spec'] ?? {} }
  if (!resource.status) return next
  return { ...rest, ...(liveStatus !== undefined && { status: liveStatus }) }
}

function labelsOf({ metadata: { labels, annotations } }: KubeObject): JsonObject {
  return { ...(labels !== undefined && { labels }), ...(annotations !== undefined && { annotations }) }
}

function track(
  world: World,
  resource: Resource,
  old: KubeObject | undefined,
  object: KubeObject,
  { manager }: Writer,
  subresource?: string,
): KubeObject {
  return trackUpdate({ resource, old, new: object, manager, subresource, now: world.now() })
}

/** The end of every change: keep what is not the client's to change, validate, store, and end a deletion that waited. */
function replace(
  world: World,
  resource: Resource,
  live: KubeObject,
  next: KubeObject,
  writer: Writer,
  subresource: string | undefined,
): KubeObject {
  const { dryRun = false } = writer
  const now = world.now()
  checkMetadata(resource, live, next)
  const kept = keepSystemFields(live, next)
  const completed = subresource === undefined ? prepareUpdate(world, resource, live, kept) : kept
  // a scheduler may do what is forbidden to others, and nobody counts it
  const counted = subresource === 'binding' ? completed : countGeneration(resource, live, completed)
  const prepared = prepareDefinition(resource, counted, live, now)
  if (subresource !== 'binding') {
    validate(resource, prepared, live, { onlyStatus: subresource === 'status' })
  }
  const place = placeOf(resource, live)
  if (hasEnded(resource, live, prepared)) {
    if (dryRun) return prepared
    world.store.delete(place)
    return prepared
  }
  if (saysTheSame(prepared, live)) return live
  if (dryRun) return prepared
  return toServed(world.store.update(place, storedForm(world, resource, prepared)), resource)
}

const systemFields = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'resourceVersion',
  'generateName',
  'selfLink',
]

function keepSystemFields(live: KubeObject, next: KubeObject): KubeObject {
  const metadata: JsonObject = { ...next.metadata }
  for (const field of systemFields) {
    const value = live.metadata[field]
    if (value === undefined) delete metadata[field]
    else metadata[field] = value
  }
  return { ...next, metadata: metadata as ObjectMeta }
}

function countGeneration(resource: Resource, live: KubeObject, next: KubeObject): KubeObject {
  if (!countsGenerations(resource) || !isOtherGeneration(resource, live, next)) return next
  const generation = Number(live.metadata['generation'] ?? 0) + 1
  return { ...next, metadata: { ...next.metadata, generation } }
}

/** What metadata may not become. @throws StatusError 422 */
function checkMetadata(resource: Resource, live: KubeObject, next: KubeObject): void {
  const causes: Cause[] = []
  const { uid } = next.metadata
  if (uid !== undefined && uid !== '' && uid !== live.metadata['uid']) {
    const message = `Invalid value: ${JSON.stringify(uid)}: field is immutable`
    causes.push({ reason: 'FieldValueInvalid', message, field: 'metadata.uid' })
  }
  if (live.metadata['deletionTimestamp'] !== undefined) {
    const old = finalizersOf(live)
    const added = finalizersOf(next).filter((finalizer) => !old.includes(finalizer))
    const list = `[]string{${added.map((finalizer) => JSON.stringify(finalizer)).join(', ')}}`
    const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${list}`
    if (added.length > 0)
      causes.push({ reason: 'FieldValueForbidden', message, field: 'metadata.finalizers' })
  }
  if (causes.length === 0) return
  // the real server looks twice at the metadata of what it has types for
  const told = resource.custom ? causes : causes.flatMap((cause) => [cause, cause])
  throw invalid(resource.group, resource.kind, live.metadata.name, told)
}

/** Of custom resources, where short names are old use; others are refused. */
function warnOfFinalizers(
  resource: Resource,
  live: KubeObject | undefined,
  next: KubeObject,
  { warn }: Writer,
): void {
  if (!resource.custom || warn === undefined) return
  const old = live === undefined ? [] : finalizersOf(live)
  for (const finalizer of finalizersOf(next)) {
    if (finalizer.includes('/') || standardFinalizers.has(finalizer) || old.includes(finalizer)) continue
    warn(
      `metadata.finalizers: ${JSON.stringify(finalizer)}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers`,
    )
  }
}

const standardFinalizers = new Set(['foregroundDeletion', 'kubernetes', 'orphan'])

export function finalizersOf({ metadata }: KubeObject): string[] {
  const finalizers = metadata['finalizers']
  return Array.isArray(finalizers) ? finalizers.map(String) : []
}

/** namespaces have finalizers of their own kind in their `spec` */
function hasOwnFinalizers(resource: Resource, object: KubeObject): boolean {
  if (collectionName(resource) !== 'namespaces') return false
  const finalizers = valueAt(object, 'spec', 'finalizers')
  return Array.isArray(finalizers) && finalizers.length > 0
}

function hasEnded(resource: Resource, live: KubeObject, next: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds } = live.metadata
  if (deletionTimestamp === undefined || finalizersOf(next).length > 0) return false
  if (hasOwnFinalizers(resource, next)) return false
  const had = finalizersOf(live).length > 0 || hasOwnFinalizers(resource, live)
  return had && Number(deletionGracePeriodSeconds ?? 0) === 0
}

function finalizersFor(resource: Resource, live: KubeObject, { propagationPolicy }: DeleteRequest): string[] {
  const policy = propagationPolicy ?? (orphanByDefault.has(collectionName(resource)) ? 'Orphan' : undefined)
  const finalizers = finalizersOf(live)
  if (policy === undefined) return finalizers
  const others = finalizers.filter(
    (finalizer) => finalizer !== 'orphan' && finalizer !== 'foregroundDeletion',
  )
  if (policy === 'Orphan') return [...others, 'orphan']
  return policy === 'Foreground' ? [...others, 'foregroundDeletion'] : others
}

function graceOf(resource: Resource, live: KubeObject, { gracePeriodSeconds }: DeleteRequest): number {
  if (collectionName(resource) !== 'pods') return 0
  const phase = valueAt(live, 'status', 'phase')
  const runs = valueAt(live, 'spec', 'nodeName') !== undefined && phase !== 'Failed' && phase !== 'Succeeded'
  if (!runs) return 0
  return gracePeriodSeconds ?? Number(valueAt(live, 'spec', 'terminationGracePeriodSeconds') ?? 30)
}

function storedForm({ resources }: World, resource: Resource, object: KubeObject): KubeObject {
  return toStored(object, resource, resources.preferred(collectionName(resource)) ?? resource)
}

/** The same but for versions and for when who wrote what. */
function saysTheSame(a: KubeObject, b: KubeObject): boolean {
  const plain = (object: KubeObject): JsonObject => {
    const { managedFields, resourceVersion: _version, ...metadata } = object.metadata
    const owners = (Array.isArray(managedFields) ? managedFields : []).map((entry) => {
      if (!isJsonObject(entry)) return entry
      const { time: _time, ...rest } = entry
      return rest
    })
    return { ...object, metadata: { ...metadata, managedFields: owners } }
  }
  return isSame(plain(a), plain(b))
}
