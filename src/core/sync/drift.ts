import { createHash } from 'node:crypto'
import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../json.ts'

/**
 * Drift: a field that we applied was lost or taken by another manager. It is read from `metadata.managedFields` alone,
 * so defaults, injected containers, fields of others and status never count.
 *
 * `spec.replicas` is a case of its own: written last through the `scale` subresource (an autoscaler, `kubectl scale`) it
 * stays, until Git's own value changes. Follows `spec/decisions.md`, "drift".
 *
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */

/** The field manager under which we apply. */
const fieldManager = 'fluxd'

/** Who owns what of an object, as far as drift is concerned. */
export interface Ownership {
  /** digest of the set of fields that our own apply owns; absent where we own none */
  own: string | undefined
  /** the same without `spec.replicas` */
  ownUnscaled: string | undefined
  /** `spec.replicas` was written through `scale` */
  scaled: boolean
}

export function readOwnership(managedFields: JsonValue | undefined): Ownership {
  const entries = entriesOf(managedFields)
  const own = entries.find(isOwn)
  const scaled = entries.some((entry) => entry['subresource'] === 'scale' && hasReplicas(fieldsOf(entry)))
  if (own === undefined) return { own: undefined, ownUnscaled: undefined, scaled }
  const fields = fieldsOf(own)
  const digest = digestOf(fields)
  return {
    own: digest,
    ownUnscaled: hasReplicas(fields) ? digestOf(withoutReplicas(fields)) : digest,
    scaled,
  }
}

/**
 * Whether we still own what we owned after we applied.
 *
 * @param applied as it was then; `leftToScale`: the manifest's replicas were left out
 */
export function isStillOwned(applied: Ownership & { leftToScale: boolean }, live: Ownership): boolean {
  if (live.own === applied.own) return !applied.leftToScale || live.scaled
  return live.scaled && live.own === applied.ownUnscaled
}

/** What drifted, and by whom as far as it can be told. */
export interface DriftCause {
  /** such as `.data.from` or `.spec.template.spec.containers[name="app"].image` */
  fields: readonly string[]
  manager: string | undefined
}

/**
 * Why an object drifted.
 *
 * @param before `managedFields` as they were found
 * @param after the same once we have applied
 */
export function explainDrift(before: JsonValue | undefined, after: JsonValue | undefined): DriftCause {
  const entries = entriesOf(before)
  const own = entries.find(isOwn)
  const kept = new Set(own ? leavesOf(fieldsOf(own)) : [])
  const again = entriesOf(after).find(isOwn)
  const fields = (again ? leavesOf(fieldsOf(again)) : []).filter((path) => !kept.has(path))
  const others = entries.filter((entry) => !isOwn(entry) && entry['subresource'] !== 'status')
  const lost = new Set(fields)
  const taker = others.find((entry) => leavesOf(fieldsOf(entry)).some((path) => lost.has(path)))
  // who removes a field is left with nothing to show for it: then the last to write
  const last = others.toSorted((a, b) => String(b['time']).localeCompare(String(a['time'])))[0]
  const manager = (taker ?? last)?.['manager']
  return { fields, manager: typeof manager === 'string' ? manager : undefined }
}

export interface Repair {
  atMs: number
  manager: string | undefined
}

export type RepairDecision =
  | { kind: 'repair' }
  | { kind: 'wait'; ms: number }
  | { kind: 'hold'; manager: string }

const contestWindowMs = 10 * 60_000
const contestRepairs = 3
const firstDelayMs = 1_000

/**
 * Whether to repair an object that has drifted again: each repair waits twice as long as the one before, and a third that
 * one manager has caused within ten minutes was the last.
 *
 * @param repairs of this object so far, oldest first
 * @param maxDelayMs the interval of full passes, which repair anyway
 */
export function decideRepair(repairs: readonly Repair[], nowMs: number, maxDelayMs: number): RepairDecision {
  const recent = repairs.filter(({ atMs }) => nowMs - atMs < contestWindowMs)
  const last = recent.at(-1)
  if (last === undefined) return { kind: 'repair' }
  const manager = last.manager
  const theirs = recent.filter((repair) => repair.manager === manager).length
  if (manager !== undefined && theirs >= contestRepairs) return { kind: 'hold', manager }
  const delayMs = Math.min(maxDelayMs, firstDelayMs * 2 ** (recent.length - 1))
  const ms = last.atMs + delayMs - nowMs
  return ms > 0 ? { kind: 'wait', ms } : { kind: 'repair' }
}

/** A manifest that leaves the number of replicas to whoever scales. */
export function withoutReplicasOf(object: JsonObject): JsonObject {
  const spec = object['spec']
  if (!isJsonObject(spec)) return object
  const { replicas: _replicas, ...rest } = spec
  return { ...object, spec: rest }
}

function entriesOf(managedFields: JsonValue | undefined): JsonObject[] {
  return Array.isArray(managedFields) ? managedFields.filter(isJsonObject) : []
}

function isOwn(entry: JsonObject): boolean {
  return entry['manager'] === fieldManager && entry['operation'] === 'Apply' && !entry['subresource']
}

function fieldsOf(entry: JsonObject): JsonObject {
  return isJsonObject(entry['fieldsV1']) ? entry['fieldsV1'] : {}
}

function hasReplicas(fields: JsonObject): boolean {
  return valueAt(fields, 'f:spec', 'f:replicas') !== undefined
}

function withoutReplicas(fields: JsonObject): JsonObject {
  const spec = fields['f:spec']
  if (!isJsonObject(spec)) return fields
  const { 'f:replicas': _replicas, ...rest } = spec
  return { ...fields, 'f:spec': rest }
}

function digestOf(fields: JsonObject): string {
  return createHash('sha1').update(JSON.stringify(fields)).digest('base64')
}

/** Paths of the leaves of a field set. */
function leavesOf(fields: JsonObject, path = ''): string[] {
  return Object.entries(fields).flatMap(([key, below]) => {
    if (key === '.') return []
    const at = path + stepOf(key)
    return isJsonObject(below) && Object.keys(below).length > 0 ? leavesOf(below, at) : [at]
  })
}

/** `f:data` → `.data` · `k:{"name":"app"}` → `[name="app"]` · `v:"x"` → `["x"]` */
function stepOf(key: string): string {
  const text = key.slice(2)
  if (key.startsWith('f:')) return `.${text}`
  return key.startsWith('k:') ? `[${text.slice(1, -1).replace(/"([^"]+)":/g, '$1=')}]` : `[${text}]`
}
