import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'

/**
 * Who owns which field: the entries of `metadata.managedFields`, and how fields that client-side kubectl (or we, by a
 * merge patch) once wrote become ours.
 *
 * A field set is a tree: `f:name` a field, `k:{…}` and `v:…` an item of a list, `.` the thing itself beside what is
 * in it; a leaf is an empty object.
 *
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/#upgrading-from-client-side-apply-to-server-side-apply
 */

export const fieldManager = 'fluxd'

/** Their plain updates of an object that Git describes were made from a manifest. */
const takenOver = new Set(['kubectl-client-side-apply', 'kubectl', 'before-first-apply', fieldManager])

export interface Takeover {
  /** the new `metadata.managedFields` */
  managedFields: JsonObject[]
  /** some fields were not in what we applied: after the takeover, applying again removes them */
  applyAgain: boolean
}

/**
 * Plan how the fields of client-side managers become ours, after we applied.
 *
 * @returns `undefined` when there is nothing to take over
 */
export function planTakeover(managedFields: JsonValue | undefined): Takeover | undefined {
  const entries = Array.isArray(managedFields) ? managedFields.filter(isJsonObject) : []
  const theirs = entries.filter(isTakenOver)
  const ours = entries.find(
    (entry) => entry['manager'] === fieldManager && entry['operation'] === 'Apply' && !entry['subresource'],
  )
  if (theirs.length === 0 || ours === undefined) return undefined
  const own = fieldsOf(ours)
  // paths of another version may not exist in ours; such entries end without an heir, as in client-go
  const missing = theirs
    .filter((entry) => entry['apiVersion'] === ours['apiVersion'])
    .map(fieldsOf)
    .filter((fields) => !includesFields(own, fields))
  const heir = missing.length === 0 ? ours : { ...ours, fieldsV1: missing.reduce(unionFields, own) }
  return {
    managedFields: entries
      .filter((entry) => !isTakenOver(entry))
      .map((entry) => (entry === ours ? heir : entry)),
    applyAgain: missing.length > 0,
  }
}

function isTakenOver(entry: JsonObject): boolean {
  return (
    typeof entry['manager'] === 'string' &&
    takenOver.has(entry['manager']) &&
    entry['operation'] === 'Update' &&
    !entry['subresource']
  )
}

function fieldsOf(entry: JsonObject): JsonObject {
  return isJsonObject(entry['fieldsV1']) ? entry['fieldsV1'] : {}
}

/** All that is in one of the two sets. */
export function unionFields(a: JsonObject, b: JsonObject): JsonObject {
  const leafBesideTree = isLeaf(a) !== isLeaf(b)
  const union: JsonObject = { ...(leafBesideTree && { '.': {} }), ...a }
  for (const [key, theirs] of Object.entries(b)) {
    const mine = union[key]
    union[key] = isJsonObject(mine) && isJsonObject(theirs) ? unionFields(mine, theirs) : theirs
  }
  return union
}

/**
 * Whether every field of `b` is in `a`. Containers are not compared, only what is in them: server-side apply does not
 * own a map for itself, and a client-side update does.
 */
export function includesFields(a: JsonObject, b: JsonObject): boolean {
  return Object.entries(b).every(([key, theirs]) => {
    if (key === '.') return true
    const mine = a[key]
    return isJsonObject(mine) && isJsonObject(theirs) && includesFields(mine, theirs)
  })
}

function isLeaf(fields: JsonObject): boolean {
  return Object.keys(fields).length === 0
}
