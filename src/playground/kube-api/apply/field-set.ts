import {
  compareCodePoints,
  formatJson,
  isJsonObject,
  type JsonObject,
  type JsonValue,
} from '../../../core/json.ts'
import type { Schema } from '../model.ts'
import { quoteGo } from '../schema/go-text.ts'

/**
 * Sets of paths into an object, as managed fields hold them: a tree whose nodes say which of their elements are in the
 * set themselves, and what is in the set below. An element is written as in `fieldsV1`: `f:name` a field, `k:{…}` an
 * item of a list by its keys, `v:…` by its value.
 *
 * A set is not changed any more once it was handed out.
 *
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
 */
export interface FieldSet {
  readonly members: ReadonlySet<string>
  readonly children: ReadonlyMap<string, FieldSet>
}

const none: ReadonlySet<string> = new Set()
const noChildren: ReadonlyMap<string, FieldSet> = new Map()
export const emptySet: FieldSet = { members: none, children: noChildren }

export function isEmpty({ members, children }: FieldSet): boolean {
  return members.size === 0 && children.size === 0
}

/** Gathers paths one by one. */
export class FieldSetBuilder implements FieldSet {
  readonly members = new Set<string>()
  readonly children = new Map<string, FieldSetBuilder>()

  insert(path: readonly string[]): void {
    let node: FieldSetBuilder = this
    const last = path.length - 1
    for (let i = 0; i < last; i++) node = node.child(path[i] as string)
    if (last >= 0) node.members.add(path[last] as string)
  }

  child(element: string): FieldSetBuilder {
    let child = this.children.get(element)
    if (child === undefined) {
      child = new FieldSetBuilder()
      this.children.set(element, child)
    }
    return child
  }
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b || isEmpty(b)) return a
  if (isEmpty(a)) return b
  const children = new Map(a.children)
  for (const [element, theirs] of b.children) {
    const mine = children.get(element)
    children.set(element, mine === undefined ? theirs : union(mine, theirs))
  }
  return { members: b.members.size === 0 ? a.members : new Set([...a.members, ...b.members]), children }
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const members = new Set<string>()
  const children = new Map<string, FieldSet>()
  for (const element of a.members) if (b.members.has(element)) members.add(element)
  for (const [element, mine] of a.children) {
    const theirs = b.children.get(element)
    const both = theirs && intersection(mine, theirs)
    if (both && !isEmpty(both)) children.set(element, both)
  }
  return members.size === 0 && children.size === 0 ? emptySet : { members, children }
}

/** What is in `a` and not in `b`; with `below`, nothing that lies below a path in `b` either. */
export function difference(a: FieldSet, b: FieldSet, below = false): FieldSet {
  if (isEmpty(b)) return a
  let members: ReadonlySet<string> = a.members
  if ([...b.members].some((element) => a.members.has(element))) {
    members = new Set([...a.members].filter((element) => !b.members.has(element)))
  }
  const children = new Map<string, FieldSet>()
  for (const [element, mine] of a.children) {
    if (below && b.members.has(element)) continue
    const theirs = b.children.get(element)
    const rest = theirs === undefined ? mine : difference(mine, theirs, below)
    if (!isEmpty(rest)) children.set(element, rest)
  }
  return { members, children }
}

export function hasPath(set: FieldSet, path: readonly string[]): boolean {
  let node: FieldSet | undefined = set
  for (const element of path.slice(0, -1)) node = node?.children.get(element)
  return node?.members.has(path.at(-1) ?? '') ?? false
}

/** Take fields that the schema names, and of which something below is in the set, into the set too. */
export function withNamedFields(set: FieldSet, schema: Schema | undefined): FieldSet {
  if (set.children.size === 0) return set
  const members = new Set(set.members)
  const children = new Map<string, FieldSet>()
  for (const [element, child] of set.children) {
    const isField = element.startsWith('f:')
    if (isField && schema?.fields?.[element.slice(2)] !== undefined) members.add(element)
    children.set(
      element,
      withNamedFields(child, isField ? fieldSchema(schema, element.slice(2)) : schema?.values),
    )
  }
  return { members, children }
}

/** What a field of an object or a map holds; `undefined` where there may be no such field. */
export function fieldSchema(schema: Schema | undefined, field: string): Schema | undefined {
  if (schema === undefined) return undefined
  if (schema.type === 'object') {
    return schema.fields?.[field] ?? (schema.preserveUnknown ? anything : undefined)
  }
  return schema.type === 'map' ? (schema.values ?? anything) : schema.type === 'any' ? anything : undefined
}

export const anything: Schema = { type: 'any' }

/* ---- as managed fields write them ---- */

const readSets = new WeakMap<JsonObject, FieldSet>()
const writtenSets = new WeakMap<FieldSet, JsonObject>()

/** Read `fieldsV1`. Elements of a kind that nobody knows are passed over. */
export function readFields(fields: JsonObject): FieldSet {
  const known = readSets.get(fields)
  if (known !== undefined) return known
  const members = new Set<string>()
  const children = new Map<string, FieldSet>()
  for (const element in fields) {
    const below = fields[element]
    if (element === '.' || !/^[fkvi]:/.test(element)) continue
    const child = isJsonObject(below) ? readFields(below) : emptySet
    if (!isEmpty(child)) children.set(element, child)
    if (isEmpty(child) || (isJsonObject(below) && '.' in below)) members.add(element)
  }
  const set = members.size === 0 && children.size === 0 ? emptySet : { members, children }
  readSets.set(fields, set)
  return set
}

/** Write `fieldsV1`; the same object for the same set. */
export function writeFields(set: FieldSet): JsonObject {
  const known = writtenSets.get(set)
  if (known !== undefined) return known
  const fields: JsonObject = {}
  for (const element of set.members) {
    const child = set.children.get(element)
    fields[element] = child === undefined ? {} : { '.': {}, ...writeFields(child) }
  }
  for (const [element, child] of set.children) {
    if (!set.members.has(element)) fields[element] = writeFields(child)
  }
  writtenSets.set(set, fields)
  readSets.set(fields, set)
  return fields
}

/** An item of a list with keys; `undefined` when it has none of them. */
export function keyElement(item: JsonObject, schema: Schema): string | undefined {
  const key: JsonObject = {}
  let isKeyed = false
  for (const name of schema.keys ?? []) {
    const value = item[name] ?? defaultOf(schema.values?.fields?.[name])
    if (value === undefined) continue
    key[name] = value
    isKeyed = true
  }
  return isKeyed ? `k:${formatJson(key, { sortKeys: true, escapeHtml: true })}` : undefined
}

/** The key that an item has which does not say it. */
function defaultOf(schema: Schema | undefined): JsonValue | undefined {
  if (schema?.default !== undefined || schema?.zero !== 'written') return schema?.default
  return schema.type === 'string' ? '' : schema.type === 'integer' ? 0 : undefined
}

export function valueElement(value: JsonValue): string {
  return `v:${formatJson(value, { escapeHtml: true })}`
}

/* ---- as messages print them ---- */

/** Every path of a set, in the server's order: those of a node, then those below it. */
export function pathsOf({ members, children }: FieldSet, above: readonly string[] = []): string[][] {
  return [
    ...[...members].sort(compareElements).map((element) => [...above, element]),
    ...[...children]
      .sort(([a], [b]) => compareElements(a, b))
      .flatMap(([element, child]) => pathsOf(child, [...above, element])),
  ]
}

/** `.spec.containers[name="app"].image` */
export function formatPath(path: readonly string[]): string {
  return path.map(formatElement).join('')
}

export function formatElement(element: string): string {
  const text = element.slice(2)
  if (element.startsWith('f:')) return `.${text}`
  if (element.startsWith('v:')) return `[=${formatScalar(JSON.parse(text))}]`
  if (element.startsWith('i:')) return `[${text}]`
  const key = Object.entries(JSON.parse(text) as JsonObject)
  return `[${key.map(([name, value]) => `${name}=${formatScalar(value)}`).join(',')}]`
}

function formatScalar(value: JsonValue): string {
  return typeof value === 'string' ? quoteGo(value) : formatJson(value)
}

const ranks = 'fkvi'

function compareElements(a: string, b: string): number {
  const byKind = ranks.indexOf(a[0] ?? '') - ranks.indexOf(b[0] ?? '')
  if (byKind !== 0 || a.startsWith('f:')) return byKind || compareCodePoints(a, b)
  const x = Object.values({ value: JSON.parse(a.slice(2)) as JsonValue })
  const y = Object.values({ value: JSON.parse(b.slice(2)) as JsonValue })
  return compareValues(x[0] ?? null, y[0] ?? null)
}

function compareValues(a: JsonValue, b: JsonValue): number {
  if (isJsonObject(a) && isJsonObject(b)) {
    const mine = Object.entries(a)
    const theirs = Object.entries(b)
    for (const [at, [name, value]] of mine.entries()) {
      const [otherName, otherValue] = theirs[at] ?? ['', null]
      const order = compareCodePoints(name, otherName) || compareValues(value, otherValue)
      if (order !== 0) return order
    }
    return mine.length - theirs.length
  }
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return compareCodePoints(String(a), String(b))
}
