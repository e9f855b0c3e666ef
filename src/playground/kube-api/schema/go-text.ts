import { compareCodePoints, isJsonObject, type JsonValue } from '../../../core/json.ts'

/** Values as Go's `fmt` prints them in messages. */

/** `%v`: `map[a:1 b:[x y]]`. */
export function formatGo(value: JsonValue | undefined): string {
  if (value === null || value === undefined) return '<nil>'
  if (Array.isArray(value)) return `[${value.map(formatGo).join(' ')}]`
  if (isJsonObject(value)) {
    const keys = Object.keys(value).sort(compareCodePoints)
    return `map[${keys.map((key) => `${key}:${formatGo(value[key])}`).join(' ')}]`
  }
  return String(value)
}

/** `%q`: in double quotes, with Go's escapes. */
export function quoteGo(text: string): string {
  return JSON.stringify(text).replace(/\\u([0-9a-f]{4})/g, (whole, digits: string) => {
    const code = Number.parseInt(digits, 16)
    if (code === 7) return '\\a'
    if (code === 11) return '\\v'
    return code < 0x80 ? `\\x${digits.slice(2)}` : whole
  })
}

/** What `%T` and messages of `encoding/json` call a value. */
export function kindOf(value: JsonValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'object') return 'object'
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'string' ? 'string' : 'number'
}
