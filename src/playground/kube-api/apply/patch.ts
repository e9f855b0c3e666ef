import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'
import { type KubeObject, type Resource, type Schema, StatusError } from '../model.ts'
import { formatGo, kindOf } from '../schema/go-text.ts'

/**
 * The three kinds of patches: JSON Patch, JSON Merge Patch and strategic merge patch, as the API server applies them.
 * Values that are handed in stay as they are; the result shares with them what did not change.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6902 https://www.rfc-editor.org/rfc/rfc7386
 * @see https://github.com/kubernetes/community/blob/main/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */

export type PatchType = 'json' | 'merge' | 'strategic'

/**
 * Apply a patch. Nothing of the result is checked, filled in or dropped yet: read it like a body that was sent.
 *
 * @throws StatusError 400 | 422 | 500
 */
export function applyPatch(
  type: PatchType,
  live: KubeObject,
  patch: JsonValue,
  resource: Resource,
): JsonObject {
  if (type === 'json') {
    if (!Array.isArray(patch)) throw undecodable(patch, '[]handlers.jsonPatchOp')
    return applyJsonPatch(live, patch)
  }
  if (!isJsonObject(patch)) throw undecodable(patch, 'map[string]interface {}')
  return type === 'merge' ? applyMergePatch(live, patch) : mergeObjects(live, patch, resource.schema)
}

function undecodable(patch: JsonValue, wanted: string): StatusError {
  const message = `error decoding patch: json: cannot unmarshal ${kindOf(patch)} into Go value of type ${wanted}`
  return new StatusError(400, 'BadRequest', message)
}

/* ---- JSON Patch ---- */

/** The most operations that one patch may have. */
const maxOperations = 10_000

function applyJsonPatch(live: JsonObject, operations: readonly JsonValue[]): JsonObject {
  if (operations.length > maxOperations) {
    const message = `Request entity is too large: The allowed maximum operations in a JSON patch is ${maxOperations}, got ${operations.length}`
    throw new StatusError(413, 'RequestEntityTooLarge', message)
  }
  let document: JsonValue = live
  for (const operation of operations) document = applyOperation(document, operation)
  if (!isJsonObject(document)) throw inapplicable()
  return document
}

/** The server keeps to itself which operation did not apply, and why. */
function inapplicable(): StatusError {
  return new StatusError(422, 'Invalid', 'the server rejected our request due to an error in our request', {})
}

function applyOperation(document: JsonValue, operation: JsonValue): JsonValue {
  if (!isJsonObject(operation)) throw inapplicable()
  const { op, path, from, value = null } = operation
  if (typeof path !== 'string') throw inapplicable()
  const keys = keysOf(path)
  if (op === 'add') return addAt(document, keys, value)
  if (op === 'remove') return removeAt(document, keys)
  if (op === 'replace') return path === '' ? value : replaceAt(document, keys, value)
  if (op === 'test') {
    const found = path === '' ? document : valueAtKeys(document, keys)
    if (!isSame(found ?? null, value)) throw inapplicable()
    return document
  }
  if (op === 'move' || op === 'copy') {
    if (typeof from !== 'string') throw inapplicable()
    const source = keysOf(from)
    const found = valueAtKeys(document, source) ?? null
    return addAt(op === 'move' ? removeAt(document, source) : document, keys, found)
  }
  throw inapplicable()
}

/** A JSON pointer taken apart; what stands before the first slash is passed over. */
function keysOf(pointer: string): string[] {
  const [, ...keys] = pointer.split('/')
  return keys.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** Go on with the container that holds the last key. */
function changeAt(
  document: JsonValue | undefined,
  keys: readonly string[],
  change: (container: JsonValue[] | JsonObject, key: string) => JsonValue,
): JsonValue {
  const [key, ...rest] = keys
  if (key === undefined || typeof document !== 'object' || document === null) throw inapplicable()
  if (rest.length === 0) return change(document, key)
  if (Array.isArray(document)) {
    const index = indexIn(document, key)
    return document.with(index, changeAt(document[index], rest, change))
  }
  return { ...document, [key]: changeAt(ownValue(document, key), rest, change) }
}

function valueAtKeys(document: JsonValue, keys: readonly string[]): JsonValue | undefined {
  let found: JsonValue | undefined
  changeAt(document, keys, (container, key) => {
    found = Array.isArray(container) ? container[indexIn(container, key)] : ownValue(container, key)
    return container
  })
  return found
}

function addAt(document: JsonValue, keys: readonly string[], value: JsonValue): JsonValue {
  return changeAt(document, keys, (container, key) => {
    if (!Array.isArray(container)) return { ...container, [key]: value }
    if (key === '-') return [...container, value]
    return container.toSpliced(indexIn(container, key, container.length + 1), 0, value)
  })
}

/** A key that is not there yet may be replaced too, an item of a list may not. */
function replaceAt(document: JsonValue, keys: readonly string[], value: JsonValue): JsonValue {
  return changeAt(document, keys, (container, key) =>
    Array.isArray(container)
      ? container.with(indexIn(container, key), value)
      : { ...container, [key]: value },
  )
}

function removeAt(document: JsonValue, keys: readonly string[]): JsonValue {
  return changeAt(document, keys, (container, key) => {
    if (Array.isArray(container)) return container.toSpliced(indexIn(container, key), 1)
    if (!Object.hasOwn(container, key)) throw inapplicable()
    const { [key]: _, ...rest } = container
    return rest
  })
}

/** Negative ones count from the end. */
function indexIn(list: readonly JsonValue[], key: string, length = list.length): number {
  const written = /^[+-]?\d+$/.test(key) ? Number(key) : Number.NaN
  const index = written < 0 ? written + length : written
  if (!(index >= 0 && index < length)) throw inapplicable()
  return index
}

function ownValue(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

/** Whether two values are the same JSON, whatever the order of keys. */
export function isSame(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    // an integer may be held as a number or, where it is long, as a bigint
    return (typeof a === 'bigint' || typeof b === 'bigint') && typeof a !== 'string' && typeof b !== 'string'
      ? // biome-ignore lint/suspicious/noDoubleEquals: 1n == 1
        a == b
      : false
  }
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false
    for (let i = 0; i < a.length; i++) if (!isSame(a[i], b[i])) return false
    return true
  }
  if (Array.isArray(b)) return false
  let count = 0
  for (const key in a) {
    if (!Object.hasOwn(b, key) || !isSame(a[key], b[key])) return false
    count++
  }
  return count === Object.keys(b).length
}

/* ---- JSON Merge Patch ---- */

function applyMergePatch(live: JsonObject, patch: JsonObject): JsonObject {
  const merged = { ...live }
  for (const [key, value] of Object.entries(patch)) {
    const old = ownValue(live, key)
    if (value === null) delete merged[key]
    else if (isJsonObject(old) && isJsonObject(value)) merged[key] = applyMergePatch(old, value)
    else merged[key] = isJsonObject(old) ? value : withoutNulls(value)
  }
  return merged
}

/** Without the fields that are null; lists keep theirs. */
function withoutNulls(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map((item) => (item === null ? null : withoutNulls(item)))
  if (!isJsonObject(value)) return value
  const fields = Object.entries(value).filter(([, field]) => field !== null)
  return Object.fromEntries(fields.map(([key, field]) => [key, withoutNulls(field)]))
}

/* ---- strategic merge patch ---- */

const deleteList = '$deleteFromPrimitiveList/'
const setOrder = '$setElementOrder/'

function mergeObjects(live: JsonObject, patch: JsonObject, schema: Schema | undefined): JsonObject {
  const { $patch: directive, $retainKeys: retained, ...changes } = patch
  if (directive === 'replace') return retained === undefined ? changes : { ...changes, $retainKeys: retained }
  if (directive === 'delete') return {}
  if (directive !== undefined) throw unknownDirective(directive, patch)

  const merged: JsonObject = retained === undefined ? { ...live } : retainKeys(live, changes, retained)
  const ordered = new Set<string>()
  for (const [key, order] of Object.entries(changes)) {
    if (!key.startsWith(setOrder)) continue
    const field = key.slice(setOrder.length)
    ordered.add(key).add(field)
    const list = mergeOrdered(merged[field], changes[field], order, schema?.fields?.[field])
    if (list !== undefined) merged[field] = list
  }
  for (const [key, change] of Object.entries(changes)) {
    if (ordered.has(key)) continue
    const isDeletion = key.startsWith(deleteList)
    const field = isDeletion ? key.slice(deleteList.length) : key
    const old = ownValue(merged, field)
    if (change === null) delete merged[field]
    else if (isDeletion) {
      if (Array.isArray(old) && Array.isArray(change)) {
        merged[field] = old.filter((item) => !change.some((gone) => isSame(gone, item)))
      }
    } else if (isJsonObject(old) && isJsonObject(change)) {
      const known = schema?.fields?.[field]
      merged[field] = strategiesOf(known).includes('replace') ? change : mergeObjects(old, change, known)
    } else if (Array.isArray(old) && Array.isArray(change)) {
      merged[field] = mergeLists(old, change, schema?.fields?.[field])
    } else {
      const value = withoutDirectives(withoutNulls(change))
      if (value === undefined) delete merged[field]
      else merged[field] = value
    }
  }
  return merged
}

function strategiesOf(schema: Schema | undefined): string[] {
  return schema?.patchStrategy?.split(',') ?? []
}

/** Keep of an object only what the patch lists; whatever the patch sets has to be in its list. */
function retainKeys(live: JsonObject, changes: JsonObject, retained: JsonValue): JsonObject {
  if (!Array.isArray(retained)) throw badFormat('retainKeys')
  for (const [key, value] of Object.entries(changes)) {
    const isDirective = key.startsWith(deleteList) || key.startsWith(setOrder)
    if (value !== null && !isDirective && !retained.includes(key)) throw badFormat('retainKeys')
  }
  return Object.fromEntries(Object.entries(live).filter(([key]) => retained.includes(key)))
}

/** Merge a list whose new order was told. */
function mergeOrdered(
  live: JsonValue | undefined,
  patch: JsonValue | undefined,
  order: JsonValue,
  schema: Schema | undefined,
): JsonValue[] | undefined {
  if (!Array.isArray(order)) throw badArgument('[]interface {}', order)
  if (live !== undefined && !Array.isArray(live)) throw badArgument('[]interface {}', live)
  if (patch !== undefined && !Array.isArray(patch)) throw badArgument('[]interface {}', patch)
  const key = schema?.patchMergeKey ?? ''
  checkOrder(patch ?? [], order, key)
  if (live === undefined && patch === undefined) return undefined
  const merged =
    live === undefined
      ? (patch ?? []).flatMap((item) => withoutDirectives(item) ?? [])
      : patch === undefined
        ? live
        : mergeLists(live, patch, schema)
  if (merged.length === 0) return merged
  return interleave(merged, order, live ?? [], key)
}

/** Items of a patch come in the told order, and every one of them is in it. */
function checkOrder(patch: readonly JsonValue[], order: readonly JsonValue[], key: string): void {
  if (order.length === 0 || patch.length === 0) return
  const items = patch.filter((item) => !(isJsonObject(item) && '$patch' in item))
  let at = 0
  for (const wanted of order) {
    const item = items[at]
    if (item === undefined) break
    if (isSame(mergeValue(item, key), mergeValue(wanted, key))) at++
  }
  if (at < items.length) {
    const message = `The order in patch list:\n${formatGo([...patch])}\n doesn't match $setElementOrder list:\n${formatGo([...order])}\n`
    throw new StatusError(500, '', message)
  }
}

function mergeLists(
  live: readonly JsonValue[],
  patch: readonly JsonValue[],
  schema: Schema | undefined,
): JsonValue[] {
  if (!strategiesOf(schema).includes('merge')) return [...patch]
  const items = [...live, ...patch]
  const [first] = items
  if (first === undefined) return []
  if (Array.isArray(first)) throw inapplicable() // no lists of lists
  if (items.some((item) => kindOf(item) !== kindOf(first))) {
    const message = `list element types are not identical: ${formatGo([[...live], [...patch]])}`
    throw new StatusError(500, '', message)
  }
  const key = schema?.patchMergeKey ?? ''
  if (!isJsonObject(first)) {
    const merged = items.filter((item, at) => items.findIndex((other) => isSame(other, item)) === at)
    return interleave(merged, patch, live, '')
  }
  if (key === '') throw new StatusError(500, '', 'cannot merge lists without merge key for struct')
  return mergeListsOfObjects(live, patch.filter(isJsonObject), key, schema?.values)
}

function mergeListsOfObjects(
  live: readonly JsonValue[],
  patch: readonly JsonObject[],
  key: string,
  schema: Schema | undefined,
): JsonValue[] {
  let merged = [...live]
  const changes: JsonObject[] = []
  let replaces = false
  for (const item of patch) {
    const { $patch: directive } = item
    if (directive === undefined) changes.push(item)
    else if (directive === 'replace') replaces = true
    else if (directive === 'delete') {
      const gone = mergeValue(item, key)
      merged = merged.filter((old) => !isJsonObject(old) || !isSame(old[key], gone))
    } else if (directive === 'merge') {
      throw new StatusError(500, '', 'merging lists cannot yet be specified in the patch')
    } else throw unknownDirective(directive, item)
  }
  if (replaces) return changes
  const before = [...merged]
  for (const item of changes) {
    const wanted = mergeValue(item, key)
    const at = merged.findIndex((old) => isJsonObject(old) && isSame(old[key], wanted))
    const old = merged[at]
    if (isJsonObject(old)) merged[at] = mergeObjects(old, item, schema)
    else merged.push(item)
  }
  return interleave(merged, changes, before, key)
}

/**
 * Order a merged list: items of the patch as the patch has them, the others as they were, and each of the others in
 * front of the first item of the patch that stood behind it.
 */
function interleave(
  merged: readonly JsonValue[],
  order: readonly JsonValue[],
  live: readonly JsonValue[],
  key: string,
): JsonValue[] {
  const placeIn = (list: readonly JsonValue[], item: JsonValue) => {
    const value = mergeValue(item, key)
    return list.findIndex((other) => isSame(mergeValue(other, key), value))
  }
  const withPlaces = merged.map((item) => ({ item, told: placeIn(order, item), old: placeIn(live, item) }))
  const told = withPlaces.filter((item) => item.told >= 0).sort((a, b) => a.told - b.told)
  const others = withPlaces.filter((item) => item.told < 0).sort((a, b) => a.old - b.old)
  const ordered: JsonValue[] = []
  let next = 0
  for (const { item, old } of told) {
    for (
      let other = others[next];
      other && old >= 0 && other.old >= 0 && other.old < old;
      other = others[next]
    ) {
      ordered.push(other.item)
      next++
    }
    ordered.push(item)
  }
  return [...ordered, ...others.slice(next).map(({ item }) => item)]
}

/** What an item of a list is told apart by. */
function mergeValue(item: JsonValue, key: string): JsonValue {
  if (key === '') return item
  if (!isJsonObject(item)) throw badArgument('map[string]interface {}', item)
  const value = item[key]
  if (value !== undefined) return value
  const message = `map: ${formatGo(item)} does not contain declared merge key: ${key}`
  throw new StatusError(500, '', message)
}

/** A value that is new: what its directives would delete was never there. */
function withoutDirectives(value: JsonValue): JsonValue | undefined {
  if (Array.isArray(value)) return value.flatMap((item) => withoutDirectives(item) ?? [])
  if (!isJsonObject(value)) return value
  if ('$patch' in value) return undefined
  const kept: JsonObject = {}
  for (const [key, field] of Object.entries(value)) {
    const without = withoutDirectives(field)
    if (without !== undefined) kept[key] = without
  }
  return kept
}

function unknownDirective(directive: JsonValue, patch: JsonObject): StatusError {
  return new StatusError(500, '', `unknown patch type: ${formatGo(directive)} in map: ${formatGo(patch)}`)
}

function badFormat(what: string): StatusError {
  return new StatusError(400, 'BadRequest', `invalid patch format of ${what}`)
}

function badArgument(wanted: string, value: JsonValue): StatusError {
  const types: Record<string, string> = {
    object: 'map[string]interface {}',
    array: '[]interface {}',
    number: 'int64',
    null: '%!s(<nil>)',
  }
  const received = types[kindOf(value)] ?? kindOf(value)
  return new StatusError(500, '', `expected a ${wanted}, but received a ${received}`)
}
