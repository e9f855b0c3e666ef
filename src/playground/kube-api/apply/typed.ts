import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'
import type { Schema } from '../model.ts'
import { formatGo, kindOf } from '../schema/go-text.ts'
import {
  anything,
  type FieldSet,
  FieldSetBuilder,
  fieldSchema,
  formatElement,
  keyElement,
  valueElement,
} from './field-set.ts'
import { isSame } from './patch.ts'

/**
 * Objects seen through their schema: what differs between two, what one holds, what comes of laying one over the other.
 * Maps and structs are told apart by field, lists of type `map` by their items' keys, lists of type `set` by value;
 * everything else (scalars, atomic lists and maps) is one piece.
 *
 * An empty or absent map or list is a piece too, as long as it is so on both sides.
 *
 * @see https://github.com/kubernetes-sigs/structured-merge-diff
 */

export interface Comparison {
  readonly added: FieldSet
  readonly modified: FieldSet
  readonly removed: FieldSet
}

/** How a value is taken apart; what has no known type, by what it is. */
function shapeOf(schema: Schema, value: JsonValue | undefined): 'map' | 'list' | 'piece' {
  if (schema.type === 'any') return isJsonObject(value) ? 'map' : 'piece'
  if (schema.type === 'list') return schema.list === 'map' || schema.list === 'set' ? 'list' : 'piece'
  return (schema.type === 'object' || schema.type === 'map') && !schema.atomic ? 'map' : 'piece'
}

/** What an item of a list is told apart by. */
function elementOf(item: JsonValue, schema: Schema): string | undefined {
  if (schema.list === 'set') return typeof item === 'object' ? undefined : valueElement(item)
  return isJsonObject(item) ? keyElement(item, schema) : undefined
}

function sizeOf(value: JsonValue | undefined): number {
  if (Array.isArray(value)) return value.length
  if (!isJsonObject(value)) return 0
  for (const _ in value) return 1
  return 0
}

/* ---- compare ---- */

export function compare(before: JsonValue, after: JsonValue, schema: Schema): Comparison {
  const comparison = {
    added: new FieldSetBuilder(),
    modified: new FieldSetBuilder(),
    removed: new FieldSetBuilder(),
  }
  compareAt(before, after, schema, [], comparison)
  return comparison
}

type Builders = Record<keyof Comparison, FieldSetBuilder>

function compareAt(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  schema: Schema,
  path: string[],
  found: Builders,
): void {
  if (before === after) return
  const shape = shapeOf(schema, after === undefined ? before : after)
  if (
    schema.type === 'any' &&
    before !== undefined &&
    after !== undefined &&
    isJsonObject(before) !== isJsonObject(after)
  ) {
    found.modified.insert(path)
    const [gone, come] = isJsonObject(before) ? [before, undefined] : [undefined, after]
    compareItems(gone, come, schema, path, found)
    return
  }
  if (shape === 'piece' || (sizeOf(before) === 0 && sizeOf(after) === 0)) {
    if (before === undefined) found.added.insert(path)
    else if (after === undefined) found.removed.insert(path)
    else if (!isSame(before, after)) found.modified.insert(path)
    return
  }
  if (shape === 'map') compareItems(before, after, schema, path, found)
  else compareLists(before, after, schema, path, found)
  if (before === undefined) found.added.insert(path)
  else if (after === undefined) found.removed.insert(path)
}

function compareItems(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  schema: Schema,
  path: string[],
  found: Builders,
): void {
  const old = isJsonObject(before) ? before : {}
  const now = isJsonObject(after) ? after : {}
  const visit = (key: string, a: JsonValue | undefined, b: JsonValue | undefined) => {
    if (a === b) return
    path.push(`f:${key}`)
    compareAt(a, b, fieldSchema(schema, key) ?? anything, path, found)
    path.pop()
  }
  for (const key in old) visit(key, old[key], now[key])
  for (const key in now) if (old[key] === undefined) visit(key, undefined, now[key])
}

function compareLists(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  schema: Schema,
  path: string[],
  found: Builders,
): void {
  const old = itemsByElement(before, schema)
  const now = itemsByElement(after, schema)
  const items = schema.values ?? anything
  for (const element of new Set([...old.keys(), ...now.keys()])) {
    const a = old.get(element) ?? []
    const b = now.get(element) ?? []
    path.push(element)
    if (a.length < 2 && b.length < 2) compareAt(a[0], b[0], items, path, found)
    else if (a.length > 1 && b.length > 1) {
      if (!isSame(a, b)) found.modified.insert(path)
    } else if (a.length > 1) {
      if (b[0] !== undefined) compareAt(undefined, b[0], items, path, found)
      found.removed.insert(path)
    } else {
      if (a[0] !== undefined) compareAt(a[0], undefined, items, path, found)
      found.added.insert(path)
    }
    path.pop()
  }
}

/** Stored objects may hold several items of one key, which no applied one may. */
function itemsByElement(list: JsonValue | undefined, schema: Schema): Map<string, JsonValue[]> {
  const items = new Map<string, JsonValue[]>()
  for (const item of Array.isArray(list) ? list : []) {
    const element = elementOf(item, schema)
    if (element === undefined) continue
    const same = items.get(element)
    if (same === undefined) items.set(element, [item])
    else same.push(item)
  }
  return items
}

/* ---- what an object holds ---- */

export function fieldsOf(value: JsonValue, schema: Schema): FieldSet {
  const set = new FieldSetBuilder()
  collect(value, schema, [], set)
  return set
}

function collect(value: JsonValue, schema: Schema, path: string[], set: FieldSetBuilder): void {
  const shape = shapeOf(schema, value)
  if (shape === 'piece') set.insert(path)
  else if (shape === 'map') {
    if (!isJsonObject(value)) return
    for (const key in value) {
      const item = value[key] as JsonValue
      path.push(`f:${key}`)
      collect(item, fieldSchema(schema, key) ?? anything, path, set)
      const isEmptyItem = item === null || (isJsonObject(item) && sizeOf(item) === 0)
      if (isEmptyItem || schema.fields?.[key] === undefined) set.insert(path)
      path.pop()
    }
  } else {
    for (const [element, items] of itemsByElement(value, schema)) {
      path.push(element)
      if (items.length === 1) collect(items[0] ?? null, schema.values ?? anything, path, set)
      set.insert(path)
      path.pop()
    }
  }
}

/* ---- lay one over the other ---- */

/** `over` wins where both say something. */
export function merge(
  live: JsonValue | undefined,
  over: JsonValue | undefined,
  schema: Schema,
): JsonValue | undefined {
  const shape = shapeOf(schema, over === undefined ? live : over)
  if (shape === 'piece' || (sizeOf(live) === 0 && sizeOf(over) === 0)) return over === undefined ? live : over
  if (over === undefined || over === null) return live
  if (live === undefined || live === null) return over
  if (shape === 'list') return mergeLists(live, over, schema)
  if (!isJsonObject(live) || !isJsonObject(over)) return over
  const merged: JsonObject = { ...live }
  for (const key in over) {
    const value = merge(live[key], over[key], fieldSchema(schema, key) ?? anything)
    if (value === undefined) delete merged[key]
    else merged[key] = value
  }
  return merged
}

/** Items of both stand in the order of `over`, the others where they stood beside them. */
function mergeLists(live: JsonValue, over: JsonValue, schema: Schema): JsonValue[] {
  const old = listElements(live, schema)
  const now = listElements(over, schema)
  const oldByElement = itemsByElement(live, schema)
  const nowElements = new Set(now.map(({ element }) => element))
  const shared = now.filter(({ element }) => oldByElement.has(element)).map(({ element }) => element)
  const merged: JsonValue[] = []
  const done = new Set<string>()
  let nextShared = shared.shift()
  let o = 0
  let n = 0
  const take = ({ element, item }: { element: string; item: JsonValue }) => {
    const olds = oldByElement.get(element) ?? []
    done.add(element)
    // items that stand there several times are not merged with
    const value = merge(olds.length === 1 ? olds[0] : undefined, item, schema.values ?? anything)
    if (value !== undefined) merged.push(value)
    n++
  }
  while (o < old.length || n < now.length) {
    const mine = old[o]
    const theirs = now[n]
    if (mine !== undefined && theirs !== undefined) {
      if (mine.element === theirs.element) {
        take(theirs)
        o++
        nextShared = shared.shift()
        continue
      }
      if (nowElements.has(mine.element) && nextShared !== undefined && nextShared !== mine.element) {
        o++
        continue
      }
    }
    if (mine !== undefined) {
      if (!nowElements.has(mine.element)) {
        merged.push(mine.item)
        o++
        continue
      }
      if (done.has(mine.element)) o++
    }
    if (theirs !== undefined) {
      take(theirs)
      if (nextShared === theirs.element) nextShared = shared.shift()
    }
  }
  return merged
}

function listElements(list: JsonValue, schema: Schema): { element: string; item: JsonValue }[] {
  return (Array.isArray(list) ? list : []).flatMap((item) => {
    const element = elementOf(item, schema)
    return element === undefined ? [] : [{ element, item }]
  })
}

/* ---- take out ---- */

/** A value without the fields and items of a set; containers that it empties go too. */
export function without(value: JsonValue, set: FieldSet, schema: Schema): JsonValue | undefined {
  const shape = shapeOf(schema, value)
  if (shape === 'piece') {
    return schema.type === 'list' || schema.atomic ? undefined : value
  }
  if (shape === 'map') {
    if (!isJsonObject(value) || sizeOf(value) === 0) return undefined
    const kept: JsonObject = {}
    for (const key in value) {
      const element = `f:${key}`
      if (set.members.has(element)) continue
      const below = set.children.get(element)
      const item = value[key] as JsonValue
      kept[key] =
        below === undefined ? item : (without(item, below, fieldSchema(schema, key) ?? anything) ?? null)
    }
    return sizeOf(kept) === 0 ? undefined : kept
  }
  if (!Array.isArray(value)) return undefined
  const kept = value.flatMap((item) => {
    const element = elementOf(item, schema)
    if (element === undefined || set.members.has(element)) return element === undefined ? [item] : []
    const below = set.children.get(element)
    return [below === undefined ? item : (without(item, below, schema.values ?? anything) ?? null)]
  })
  return kept.length === 0 ? undefined : kept
}

/* ---- what may be applied ---- */

/** What keeps a configuration from being applied: `.spec.foo: field not declared in schema`, … */
export function faultsOf(value: JsonValue, schema: Schema, path = ''): string[] {
  if (value === null) return []
  const kind = kindOf(value)
  switch (schema.type) {
    case 'any':
      return isJsonObject(value) ? faultsOfItems(value, schema, path) : []
    case 'object':
    case 'map':
      if (!isJsonObject(value)) return [`${path}: expected map, got ${goValue(value)}`]
      return faultsOfItems(value, schema, path)
    case 'list':
      if (!Array.isArray(value)) return [`${path}: expected list, got ${goValue(value)}`]
      return faultsOfList(value, schema, path)
    case 'boolean':
      return kind === 'bool' ? [] : [`${path}: expected boolean, got ${goValue(value)}`]
    case 'integer':
    case 'number':
      return kind === 'number' ? [] : [`${path}: expected numeric (int or float), got ${goType(value)}`]
    case 'string':
      if (schema.format === 'quantity')
        return kind === 'object' || kind === 'array' ? [anyScalar(path, value)] : []
      return kind === 'string' ? [] : [`${path}: expected string, got ${goSyntax(value)}`]
    case 'int-or-string':
      return [] // whatever it is: the server's schema for it says nothing
  }
}

function anyScalar(path: string, value: JsonValue): string {
  return `${path}: expected any scalar, got ${goValue(value)}`
}

function faultsOfItems(value: JsonObject, schema: Schema, path: string): string[] {
  const faults: string[] = []
  for (const key in value) {
    const known = fieldSchema(schema, key)
    if (known !== undefined) faults.push(...faultsOf(value[key] ?? null, known, `${path}.${key}`))
    else {
      faults.push(`${path}.${key}: field not declared in schema`)
      break // the server looks no further here
    }
  }
  return faults
}

function faultsOfList(value: readonly JsonValue[], schema: Schema, path: string): string[] {
  const faults: string[] = []
  const seen = new Set<string>()
  for (const [at, item] of value.entries()) {
    let element = `i:${at}`
    if (schema.list === 'map' || schema.list === 'set') {
      const found = elementOf(item, schema)
      if (found === undefined) return [...faults, `${path}: element ${at}: ${unkeyed(item, schema)}`]
      element = found
      if (seen.has(element)) faults.push(`${path}: duplicate entries for key ${formatElement(element)}`)
      seen.add(element)
    }
    faults.push(...faultsOf(item, schema.values ?? anything, path + formatElement(element)))
  }
  return faults
}

function unkeyed(item: JsonValue, schema: Schema): string {
  if (schema.list === 'set') {
    if (item === null) return "associative list without keys has an element that's an explicit null"
    return Array.isArray(item)
      ? 'not supported: associative list with lists as elements'
      : "associative list without keys has an element that's a map type"
  }
  if (item === null) return 'associative list with keys may not have a null element'
  if (!isJsonObject(item)) return 'associative list with keys may not have non-map elements'
  const keys = (schema.keys ?? []).map((key) => JSON.stringify(key)).join(' ')
  return `associative list with keys has an element that omits all key fields [${keys}] (and doesn't have default values for any key fields)`
}

function goType(value: JsonValue): string {
  const types: Record<string, string> = { object: 'map[string]interface {}', array: '[]interface {}' }
  return types[kindOf(value)] ?? kindOf(value)
}

/** `%v` of a value as the server holds it. */
function goValue(value: JsonValue): string {
  return `&{${formatGo(value)}}`
}

/** `%#v` of a value as the server holds it. */
function goSyntax(value: JsonValue): string {
  return `&value.valueUnstructured{Value:${JSON.stringify(value)}}`
}
