import { FluxError } from '../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts'
import { UnreadableNode } from '../manifest/node.ts'
import { readPart } from '../manifest/read-part.ts'
import { Lines } from '../manifest/scan.ts'

/**
 * Values of a release: what its sources and the resource itself say, later ones over earlier ones.
 *
 * Maps are merged, everything else replaces, and `null` is passed on: Helm then drops the chart's default. The chart's
 * own defaults are Helm's business. Follows `spec/helm-operator.md` §1.5. No message holds a value.
 */

/** Merge; neither argument changes. */
export function mergeValues(base: JsonObject, over: JsonObject): JsonObject {
  const merged: JsonObject = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const old = Object.hasOwn(merged, key) ? merged[key] : undefined
    setOwn(merged, key, isJsonObject(old) && isJsonObject(value) ? mergeValues(old, value) : value)
  }
  return merged
}

/**
 * Read the YAML of a values source.
 *
 * @param where as v1 names it, such as `values.yaml in Secret demo/redis-auth`
 * @throws FluxError `HELM_VALUES_INVALID`, naming the place and never the content
 */
export function parseValues(text: string, where: string): JsonObject {
  try {
    const documents = readPart(text.replace(/^\uFEFF/, ''))
    const value = documents[0]?.value ?? null
    if (documents.length <= 1 && value === null) return {}
    if (documents.length === 1 && isJsonObject(value)) return value
    throw invalid(where, 'it is not a map')
  } catch (cause) {
    if (!(cause instanceof UnreadableNode)) throw cause
    const { line, column } = new Lines(text).at(cause.offset)
    throw invalid(where, `line ${line}, column ${column}: ${faults[cause.fault]}`)
  }
}

/** The parser's own words may quote the content. */
const faults = {
  syntax: 'not valid YAML',
  depth: 'nested too deeply',
  aliases: 'too many aliases',
} as const

function invalid(where: string, why: string): FluxError {
  return new FluxError('HELM_VALUES_INVALID', {
    what: `unable to yaml.Unmarshal from ${where}: ${why}`,
    next: 'Correct it: values are one YAML map.',
  })
}

/** Paths of keys whose values differ, dotted, at most `limit` of them. Values are never told. */
export function changedKeys(before: JsonObject, after: JsonObject, limit = 20): string[] {
  const changed: string[] = []
  const compare = (a: JsonValue | undefined, b: JsonValue | undefined, path: string) => {
    if (changed.length >= limit) return
    if (isJsonObject(a) && isJsonObject(b)) {
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
        compare(a[key], b[key], path === '' ? key : `${path}.${key}`)
      }
    } else if (!isSame(a, b)) changed.push(path)
  }
  compare(before, after, '')
  return changed
}

/** Whether two values are equal; numbers by value, keys in any order. */
export function isSame(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === b) return true
  if (isNumber(a) && isNumber(b)) return a <= b && a >= b // a number and a bigint may be the same
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => isSame(item, b[index]))
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]))
  )
}

/** Every text and number at the ends of a value: what must not be shown where it came from a Secret. */
export function leafTexts(value: JsonValue): string[] {
  if (Array.isArray(value)) return value.flatMap(leafTexts)
  if (isJsonObject(value)) return Object.values(value).flatMap(leafTexts)
  return value === null || typeof value === 'boolean' ? [] : [String(value)]
}

function isNumber(value: JsonValue | undefined): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

/** Set a key of one's own, `__proto__` too. */
function setOwn(object: JsonObject, key: string, value: JsonValue): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  } else object[key] = value
}
