import { formatJson, isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../core/json.ts'
import { type KubeObject, type ObjectMeta, type Resource, StatusError } from '../model.ts'
import { applyDefaults } from '../schema/defaults.ts'
import { normalize, zeroObject } from '../schema/read.ts'
import { wholeObject } from '../schema/types.ts'
import {
  difference,
  emptySet,
  type FieldSet,
  FieldSetBuilder,
  formatPath,
  hasPath,
  intersection,
  isEmpty,
  pathsOf,
  readFields,
  union,
  withNamedFields,
  writeFields,
} from './field-set.ts'
import { isSame } from './patch.ts'
import { type Comparison, compare, faultsOf, fieldsOf, merge, without } from './typed.ts'

/**
 * Who owns which field of an object (`metadata.managedFields`), and server-side apply, which goes by it.
 *
 * What is left out: entries in versions of the resource other than the one at hand are read by the schema of that one.
 *
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */

export interface ApplyRequest {
  resource: Resource
  /** the object as it is; `undefined` when there is none yet */
  live: KubeObject | undefined
  /** what was sent, as it was sent */
  config: JsonObject
  manager: string
  /** take fields over from others that want another value */
  force: boolean
  /** `status`, `scale`, …; empty or absent for the object itself */
  subresource?: string | undefined
  now: Date
}

/**
 * Lay a configuration over an object: its fields become the manager's, and fields that the manager applied last time
 * and leaves out now go, unless somebody else owns them too.
 *
 * @returns the object read, filled in with defaults and with its managed fields; `changed` is false when it is `live`
 * @throws StatusError 400 | 409 with a cause for each conflict | 500
 */
export function applyServerSide(request: ApplyRequest): { object: KubeObject; changed: boolean } {
  const { resource, config, manager } = request
  checkConfig(resource, config)
  const live = request.live ?? zeroObject(resource)
  let managed = readManaged(live)
  if (managed.size === 0 && request.live !== undefined) {
    managed = noteUpdate(managed, resource, zeroObject(resource), live, 'before-first-apply', request)
  }
  const applied = applyOver(live, managed, request)
  let merged = applied.merged
  if (manager === 'kubectl') merged = syncLastApplied(merged, config)
  const object = withManaged(merged, applied.managed)
  const kept = request.live === undefined ? object : keepTimes(request.live, object)
  return { object: kept, changed: kept !== request.live }
}

export interface UpdateRequest {
  resource: Resource
  /** `undefined` for an object that is new */
  old: KubeObject | undefined
  /** read and filled in with defaults */
  new: KubeObject
  manager: string
  subresource?: string | undefined
  now: Date
}

/** Note who changed what by any other verb. @returns the new object with its managed fields */
export function trackUpdate(request: UpdateRequest): KubeObject {
  const { resource, old, manager, subresource = '' } = request
  const { managedFields, ...metadata } = request.new.metadata
  const object: KubeObject = { ...request.new, metadata: metadata as ObjectMeta }
  const isReset =
    subresource === '' &&
    Array.isArray(managedFields) &&
    managedFields.every((entry) => isJsonObject(entry) && Object.keys(entry).length === 0)
  let managed: Managed = new Map()
  if (!isReset) {
    if (subresource === '') managed = readManaged(request.new)
    if (managed.size === 0 && old !== undefined) managed = readManaged(old)
  }
  // an object whose fields nobody owns stays so until it is applied
  if (managed.size === 0 && old !== undefined) return object
  const noted = noteUpdate(managed, resource, old ?? zeroObject(resource), object, manager, request)
  const tracked = withManaged(object, capped(noted))
  return old === undefined ? tracked : keepTimes(old, tracked)
}

/* ---- entries ---- */

interface Entry {
  readonly manager: string
  readonly operation: 'Apply' | 'Update'
  readonly apiVersion: string
  readonly subresource: string
  readonly time: string | undefined
  readonly fields: FieldSet
}

/** By what tells entries apart. */
type Managed = Map<string, Entry>

function keyOf({ manager, operation, apiVersion, subresource }: Omit<Entry, 'time' | 'fields'>): string {
  return JSON.stringify([manager, operation, operation === 'Apply' ? '' : apiVersion, subresource])
}

/** Entries of an object; none when one of them makes no sense. */
function readManaged({ metadata }: KubeObject): Managed {
  const managed: Managed = new Map()
  const entries = metadata['managedFields']
  for (const entry of Array.isArray(entries) ? entries : []) {
    if (!isJsonObject(entry)) return new Map()
    const { manager, operation, apiVersion, subresource, time, fieldsType, fieldsV1 } = entry
    if (operation !== 'Apply' && operation !== 'Update') return new Map()
    if (typeof apiVersion !== 'string' || apiVersion === '' || fieldsType !== 'FieldsV1') return new Map()
    const read: Entry = {
      manager: typeof manager === 'string' ? manager : '',
      operation,
      apiVersion,
      subresource: typeof subresource === 'string' ? subresource : '',
      time: typeof time === 'string' ? time : undefined,
      fields: isJsonObject(fieldsV1) ? readFields(fieldsV1) : emptySet,
    }
    managed.set(keyOf(read), read)
  }
  return managed
}

function withManaged(object: KubeObject, managed: Managed): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata
  if (managed.size === 0) return { ...object, metadata: metadata as ObjectMeta }
  const entries = [...managed.values()].sort(compareEntries).map((entry) => ({
    ...(entry.manager !== '' && { manager: entry.manager }),
    operation: entry.operation,
    apiVersion: entry.apiVersion,
    ...(entry.time !== undefined && { time: entry.time }),
    fieldsType: 'FieldsV1',
    fieldsV1: writeFields(entry.fields),
    ...(entry.subresource !== '' && { subresource: entry.subresource }),
  }))
  return { ...object, metadata: { ...metadata, managedFields: entries } as ObjectMeta }
}

/** Those that apply first, then by time, by name. */
function compareEntries(a: Entry, b: Entry): number {
  const order = (x: string, y: string) => (x < y ? -1 : x > y ? 1 : 0)
  return (
    order(a.operation, b.operation) ||
    order(a.time ?? '', b.time ?? '') ||
    order(a.manager, b.manager) ||
    order(a.apiVersion, b.apiVersion) ||
    order(a.subresource, b.subresource)
  )
}

/** Keep the times of entries, when nothing but times would change. @returns `live` itself when nothing does */
function keepTimes(live: KubeObject, next: KubeObject): KubeObject {
  const old = live.metadata['managedFields']
  const now = next.metadata['managedFields']
  if (old === undefined && now === undefined) return isSame(live, next) ? live : next
  if (!Array.isArray(old) || !Array.isArray(now) || old.length !== now.length) return next
  const timeless = (entry: JsonValue | undefined) => (isJsonObject(entry) ? { ...entry, time: null } : null)
  if (!old.every((entry, at) => isSame(timeless(entry), timeless(now[at])))) return next
  const kept = { ...next, metadata: { ...next.metadata, managedFields: old } }
  return isSame(live, kept) ? live : next
}

function timestamp(now: Date): string {
  return now.toISOString().replace(/\.\d+Z$/, 'Z')
}

/* ---- fields that are nobody's ---- */

function pathSet(...paths: string[][]): FieldSet {
  const set = new FieldSetBuilder()
  for (const path of paths) set.insert(path.map((field) => `f:${field}`))
  return set
}

const systemFields = pathSet(
  ['apiVersion'],
  ['kind'],
  ['metadata'],
  ['metadata', 'name'],
  ['metadata', 'namespace'],
  ['metadata', 'creationTimestamp'],
  ['metadata', 'selfLink'],
  ['metadata', 'uid'],
  ['metadata', 'clusterName'],
  ['metadata', 'generation'],
  ['metadata', 'managedFields'],
  ['metadata', 'resourceVersion'],
)

const status = pathSet(['status'])
const spec = pathSet(['spec'])
const all = pathSet(['metadata'], ['spec'])
/** Kinds whose `status` is set by writes of the object too, as far as ownership goes. */
const statusOwners = new Set(['resourcequotas/status'])
const statusReset: Readonly<Record<string, FieldSet>> = {
  deployments: pathSet(['spec'], ['metadata', 'labels']),
  pods: pathSet(['spec'], ['metadata', 'deletionTimestamp'], ['metadata', 'ownerReferences']),
}

/** What the server resets on a write, so that nobody comes to own it by that. */
function resetFields({ custom, group, plural, ...resource }: Resource, subresource: string): FieldSet {
  if (subresource === '') {
    return resource.status && !statusOwners.has(`${plural}/status`) ? status : emptySet
  }
  if (subresource !== 'status') return emptySet
  if (custom || group.endsWith('flowcontrol.apiserver.k8s.io')) return all
  return statusReset[plural] ?? spec
}

/* ---- update ---- */

interface Write {
  resource: Resource
  subresource?: string | undefined
  now: Date
}

function noteUpdate(
  managed: Managed,
  resource: Resource,
  old: KubeObject,
  object: KubeObject,
  manager: string,
  { subresource = '', now }: Write,
): Managed {
  const change = compareObjects(old, object, resource, subresource)
  const touched = union(change.modified, change.added)
  const noted = takeFrom(managed, undefined, touched, change.removed)
  const own = difference(touched, systemFields)
  if (isEmpty(own)) return noted
  const entry: Entry = {
    manager: manager === '' ? 'unknown' : manager,
    operation: 'Update',
    apiVersion: apiVersionOf(resource),
    subresource,
    time: timestamp(now),
    fields: own,
  }
  const key = keyOf(entry)
  const before = noted.get(key)
  noted.set(key, before === undefined ? entry : { ...entry, fields: union(own, before.fields) })
  return noted
}

/** What differs, without the fields that this write resets. */
function compareObjects(
  old: KubeObject,
  object: KubeObject,
  resource: Resource,
  subresource: string,
): Comparison {
  const { added, modified, removed } = compare(old, object, schemaOf(resource))
  const reset = resetFields(resource, subresource)
  if (isEmpty(reset)) return { added, modified, removed }
  return {
    added: difference(added, reset, true),
    modified: difference(modified, reset, true),
    removed: difference(removed, reset, true),
  }
}

/** Take fields from every entry but one. */
function takeFrom(managed: Managed, except: string | undefined, ...sets: FieldSet[]): Managed {
  const left: Managed = new Map()
  for (const [key, entry] of managed) {
    if (key === except) {
      left.set(key, entry)
      continue
    }
    let fields = entry.fields
    for (const set of sets) {
      if (!isEmpty(intersection(fields, set))) fields = difference(fields, set)
    }
    if (!isEmpty(fields)) left.set(key, fields === entry.fields ? entry : { ...entry, fields })
  }
  return left
}

const maxUpdaters = 10

/** At most ten entries of updates: the oldest are thrown together. */
function capped(managed: Managed): Managed {
  const updaters = [...managed].filter(([, { operation }]) => operation === 'Update')
  if (updaters.length <= maxUpdaters) return managed
  updaters.sort(([, a], [, b]) => compareEntries(a, b))
  const left = new Map(managed)
  const first = new Map<string, string>()
  let count = updaters.length
  for (const [key, entry] of updaters) {
    if (count <= maxUpdaters) break
    const bucket: Entry = { ...entry, manager: 'ancient-changes', subresource: '' }
    const bucketKey = keyOf(bucket)
    const before = first.get(entry.apiVersion)
    if (before === undefined) {
      first.set(entry.apiVersion, key)
      continue
    }
    const together = left.get(bucketKey) ?? left.get(before)
    if (!left.has(bucketKey)) left.delete(before)
    left.delete(key)
    left.set(bucketKey, { ...bucket, fields: union(entry.fields, together?.fields ?? emptySet) })
    count--
  }
  return left
}

/* ---- apply ---- */

function checkConfig(resource: Resource, config: JsonObject): void {
  const apiVersion = typeof config['apiVersion'] === 'string' ? config['apiVersion'] : ''
  const kind = typeof config['kind'] === 'string' ? config['kind'] : ''
  const type = `${apiVersion.includes('/') ? apiVersion : `/${apiVersion}`}, Kind=${kind}`
  const bad = (message: string) => new StatusError(400, 'BadRequest', message)
  if (apiVersion !== apiVersionOf(resource) || kind !== resource.kind)
    throw bad(`invalid object type: ${type}`)
  const metadata = isJsonObject(config['metadata']) ? config['metadata'] : {}
  if (metadata['managedFields'] !== undefined && metadata['managedFields'] !== null) {
    throw bad('metadata.managedFields must be nil')
  }
  const faults = faultsOf(config, schemaOf(resource))
  if (faults.length === 0) return
  const what =
    faults.length === 1 ? faults[0] : ['errors:', ...faults.map((fault) => `  ${fault}`)].join('\n')
  const name = `${String(metadata['namespace'] ?? '')}/${String(metadata['name'] ?? '')}`
  throw new StatusError(500, '', `failed to create typed patch object (${name}; ${type}): ${what}`)
}

function applyOver(
  live: KubeObject,
  before: Managed,
  { resource, config, manager, force, subresource = '', now }: ApplyRequest,
): { merged: KubeObject; managed: Managed } {
  const schema = schemaOf(resource)
  const identity = {
    manager: manager === '' ? 'unknown' : manager,
    operation: 'Apply' as const,
    apiVersion: apiVersionOf(resource),
    subresource,
  }
  const key = keyOf(identity)
  const reset = resetFields(resource, subresource)
  const fields = difference(fieldsOf(config, schema), reset, true)
  const last = before.get(key)
  const managed: Managed = new Map(before)
  managed.set(key, { ...identity, time: last?.time, fields })

  let laid = merge(live, config, schema) as KubeObject
  if (last !== undefined && !isEmpty(difference(last.fields, fields))) {
    laid = prune(laid, last.fields, managed, resource)
  }
  const change = compareObjects(live, laid, resource, subresource)
  const touched = union(change.modified, change.added)
  if (!force) refuseConflicts(managed, key, touched, { live, config, resource, manager })
  const noted = takeFrom(managed, key, touched, change.removed)
  const isChanged = !isSame(live, laid)
  const own = difference(fields, systemFields)
  if (isEmpty(own)) noted.delete(key)
  else noted.set(key, { ...identity, time: isChanged ? timestamp(now) : last?.time, fields: own })
  return { merged: isChanged ? applyDefaults(resource, normalize(resource, laid)) : live, managed: noted }
}

/** Take out what the manager applied last time and does not now, except what anybody still owns. */
function prune(merged: KubeObject, last: FieldSet, managed: Managed, resource: Resource): KubeObject {
  const schema = schemaOf(resource)
  const named = (set: FieldSet) => withNamedFields(set, schema)
  const fieldsIn = (object: JsonValue) => named(fieldsOf(object, schema))
  const owned = [...managed.values()].reduce((all, { fields }) => union(all, fields), emptySet)
  const lastNamed = named(last)
  const bare = without(merged, lastNamed, schema) ?? {}
  const inMerged = fieldsIn(merged)
  const back = without(merged, difference(inMerged, union(fieldsIn(bare), named(owned))), schema) ?? {}
  const gone = intersection(difference(inMerged, fieldsIn(back)), lastNamed)
  return (without(merged, gone, schema) ?? {}) as KubeObject
}

interface Attempt {
  live: KubeObject
  config: JsonObject
  resource: Resource
  manager: string
}

function refuseConflicts(managed: Managed, key: string, touched: FieldSet, attempt: Attempt): void {
  let conflicts = [...managed]
    .filter(([other]) => other !== key)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, entry]) => pathsOf(intersection(entry.fields, touched)).map((path) => ({ entry, path })))
  if (conflicts.length > 0 && attempt.manager === 'kubectl') {
    const allowed = lastAppliedFields(attempt)
    conflicts = conflicts.filter(({ path }) => !hasPath(allowed, path))
  }
  const [first] = conflicts
  if (first === undefined) return
  const causes = conflicts.map(({ entry, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${formatManager(entry)}`,
    field: formatPath(path),
  }))
  throw new StatusError(409, 'Conflict', conflictText(conflicts), { causes })
}

function conflictText(conflicts: readonly { entry: Entry; path: readonly string[] }[]): string {
  const [first] = conflicts
  if (first !== undefined && conflicts.length === 1) {
    return `Apply failed with 1 conflict: conflict with ${formatManager(first.entry)}: ${formatPath(first.path)}`
  }
  const lines = [...new Set(conflicts.map(({ entry }) => entry))].flatMap((entry) => [
    `conflicts with ${formatManager(entry)}:`,
    ...conflicts.filter((conflict) => conflict.entry === entry).map(({ path }) => `- ${formatPath(path)}`),
  ])
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`
}

function formatManager({ manager, operation, apiVersion, subresource }: Entry): string {
  const name = JSON.stringify(manager) + (subresource === '' ? '' : ` with subresource "${subresource}"`)
  return operation === 'Update' ? `${name} using ${apiVersion}` : name
}

/* ---- what client-side apply has left ---- */

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/** Fields that client-side `kubectl apply` wrote and nobody has changed: `kubectl apply --server-side` may have them. */
function lastAppliedFields({ live, resource }: Attempt): FieldSet {
  const text = valueAt(live, 'metadata', 'annotations', lastApplied)
  if (typeof text !== 'string') return emptySet
  let last: JsonValue
  try {
    last = JSON.parse(text) as JsonValue
  } catch {
    return emptySet
  }
  if (!isJsonObject(last) || last['apiVersion'] !== apiVersionOf(resource)) return emptySet
  const schema = schemaOf(resource)
  if (faultsOf(last, schema).length > 0) return emptySet
  const { added, modified, removed } = compare(last, live, schema)
  return difference(difference(difference(fieldsOf(last, schema), modified), added), removed)
}

/** `kubectl apply --server-side` keeps the annotation of client-side apply up to date where there is one. */
function syncLastApplied(object: KubeObject, config: JsonObject): KubeObject {
  const annotations = object.metadata['annotations']
  if (!isJsonObject(annotations) || !annotations[lastApplied]) return object
  const metadata = isJsonObject(config['metadata']) ? config['metadata'] : {}
  const own = isJsonObject(metadata['annotations']) ? metadata['annotations'] : undefined
  const { [lastApplied]: _, ...rest } = own ?? {}
  const clean = own === undefined ? config : { ...config, metadata: { ...metadata, annotations: rest } }
  const next = { ...annotations, [lastApplied]: `${sortedJson(clean)}\n` }
  return { ...object, metadata: { ...object.metadata, annotations: next } }
}

function sortedJson(value: JsonObject): string {
  return formatJson(value, { sortKeys: true, escapeHtml: true })
}

function apiVersionOf({ group, version }: Resource): string {
  return group === '' ? version : `${group}/${version}`
}

const objectSchemas = new WeakMap<Resource, Resource['schema']>()

/** The schema of the whole object: that of a custom resource says nothing of its first three fields. */
function schemaOf(resource: Resource): Resource['schema'] {
  if (!resource.custom) return resource.schema
  let schema = objectSchemas.get(resource)
  if (schema === undefined) {
    schema = wholeObject(resource.schema)
    objectSchemas.set(resource, schema)
  }
  return schema
}
