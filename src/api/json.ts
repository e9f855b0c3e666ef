import { FluxError } from '../core/errors.ts'
import { parseTimestamp } from '../core/image/timestamp.ts'
import { compareCodePoints, formatJson, isJsonObject, type JsonValue } from '../core/json.ts'
import { scanJson } from './go-json.ts'

/**
 * JSON as Go's `encoding/json` reads and writes it, which is what both ends of the wire expect.
 *
 * Reading is lenient: names of fields match in any case, unknown fields are passed over, `null` and absent both leave
 * the zero value. Only a value of the wrong type is refused. Writing is exact: fields in the order of Go's struct (the
 * order in which our objects are built), keys of maps sorted, `<`, `>`, `&` escaped (`spec/flux-v1/http-api.md` §3).
 */

/**
 * The first JSON value of a text; what stands behind it is not looked at, as Go's decoder does.
 *
 * @throws FluxError `API_BAD_REQUEST` with Go's text where there is none
 */
export function parseBody(text: string): unknown {
  const { end, fault } = scanJson(text)
  if (fault !== undefined) throw new FluxError('API_BAD_REQUEST', { what: fault })
  return JSON.parse(text.slice(0, end)) as unknown
}

/** Print a value of `api/types.ts` byte for byte as Go does. */
export function formatWire(value: object | string | boolean | null): string {
  return formatJson(value as JsonValue, { escapeHtml: true })
}

/** An object with its keys in Go's order of maps. */
export function sortedRecord<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  return Object.fromEntries([...entries].sort(([a], [b]) => compareCodePoints(a, b)))
}

/** The fields of a Go struct by name; `null` reads as a struct without fields. */
export function fieldsOf(value: unknown, at: string): (name: string) => unknown {
  if (value === null || value === undefined) return () => undefined
  if (!isJsonObject(value)) throw wrongType(value, at, 'an object')
  return (name) => {
    if (Object.hasOwn(value, name)) return value[name]
    const key = Object.keys(value).findLast((key) => key.toLowerCase() === name.toLowerCase())
    return key === undefined ? undefined : value[key]
  }
}

export function readText(value: unknown, at: string): string {
  if (value === null || value === undefined) return ''
  if (typeof value !== 'string') throw wrongType(value, at, 'a string')
  return value
}

export function readFlag(value: unknown, at: string): boolean {
  if (value === null || value === undefined) return false
  if (typeof value !== 'boolean') throw wrongType(value, at, 'a boolean')
  return value
}

export function readCount(value: unknown, at: string): number {
  if (value === null || value === undefined) return 0
  if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(value, at, 'an integer')
  return value
}

export function readList<T>(value: unknown, at: string, read: (item: unknown, at: string) => T): T[] | null {
  if (value === null || value === undefined) return null
  if (!Array.isArray(value)) throw wrongType(value, at, 'an array')
  return value.map((item: unknown, index) => read(item, `${at}[${index}]`))
}

/** A Go map; keys keep the order in which they came. */
export function readMap<T>(
  value: unknown,
  at: string,
  read: (item: unknown, at: string) => T,
): Map<string, T> | null {
  if (value === null || value === undefined) return null
  if (!isJsonObject(value)) throw wrongType(value, at, 'an object')
  return new Map(Object.entries(value).map(([key, item]) => [key, read(item, `${at}.${key}`)]))
}

/** RFC 3339 text as Go prints it, without trailing zeros of the second's fraction; absent for the zero time. */
export function readTime(value: unknown, at: string): string | undefined {
  const text = readText(value, at)
  const time = parseTimestamp(text)
  if (text !== '' && !time && !text.startsWith('0001-01-01T')) throw wrongType(value, at, 'an RFC 3339 time')
  return time?.text
}

/** A `Date` as Go prints a UTC time: `2020-03-20T13:53:05.47Z`; the zero time where there is none. */
export function timeToWire(date: Date | undefined): string {
  return date?.toISOString().replace(/\.?0+Z$/, 'Z') ?? '0001-01-01T00:00:00Z'
}

function wrongType(value: unknown, at: string, expected: string): FluxError {
  const found = value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : found
  return new FluxError('API_BAD_REQUEST', { what: `reading ${at}: expected ${expected}, found ${shown}` })
}
