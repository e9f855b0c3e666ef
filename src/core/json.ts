/**
 * JSON as Kubernetes and Go mean it: 64-bit integers stay exact (as `bigint` where a `number` would round), and text
 * comes out as Go's `encoding/json` writes it: keys of maps sorted where asked, `<`, `>`, `&` escaped where asked.
 */

export type JsonValue = null | boolean | number | bigint | string | JsonValue[] | JsonObject
export interface JsonObject {
  [key: string]: JsonValue
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value at a path of keys and indices, or `undefined` where it leads nowhere. */
export function valueAt(value: JsonValue | undefined, ...path: (string | number)[]): JsonValue | undefined {
  let at: JsonValue | undefined = value
  for (const step of path) {
    if (Array.isArray(at)) at = typeof step === 'number' ? at[step] : undefined
    else if (isJsonObject(at)) at = Object.hasOwn(at, step) ? at[step as string] : undefined
    else return undefined
  }
  return at
}

/** Sixteen digits and more may be beyond 2^53. A string is stepped over as a whole. */
const longIntegers = /"(?:[^"\\]|\\.)*"|-?[1-9]\d{15,}(?![\d.eE])/g
/** Marks an integer that travels as a string through the parser; nothing else holds this text. */
const integerMark = `\u0000${Math.random()}:`

/** Read JSON; integers beyond 2^53 come as `bigint`. @throws SyntaxError */
export function parseJson(text: string): JsonValue {
  if (!/\d{16}/.test(text)) return JSON.parse(text) as JsonValue
  let marked = false
  const plain = text.replace(longIntegers, (token) => {
    if (token.startsWith('"') || Number.isSafeInteger(Number(token))) return token
    marked = true
    return JSON.stringify(integerMark + token)
  })
  if (!marked) return JSON.parse(text) as JsonValue
  return JSON.parse(plain, (key, value: JsonValue) => {
    if (key.startsWith(integerMark)) throw new SyntaxError('an integer stands where a key must be')
    if (typeof value !== 'string' || !value.startsWith(integerMark)) return value
    return BigInt(value.slice(integerMark.length))
  }) as JsonValue
}

export interface JsonFormat {
  /** keys of every object in code point order, as Go prints maps */
  sortKeys?: boolean
  /** `<`, `>`, `&`, U+2028 and U+2029 as `\u003c` …, as Go's encoder does by default */
  escapeHtml?: boolean
}

/** Print a value on one line. Integers beyond 2^53 held as `bigint` keep every digit. */
export function formatJson(
  value: JsonValue,
  { sortKeys = false, escapeHtml = false }: JsonFormat = {},
): string {
  const text = (plain: string) => {
    const quoted = JSON.stringify(plain)
    return escapeHtml
      ? quoted.replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
      : quoted
  }
  const print = (at: JsonValue): string => {
    if (typeof at === 'string') return text(at)
    if (typeof at === 'bigint') return at.toString()
    if (Array.isArray(at)) return `[${at.map(print).join(',')}]`
    if (isJsonObject(at)) {
      const keys = Object.keys(at).filter((key) => at[key] !== undefined)
      if (sortKeys) keys.sort(compareCodePoints)
      return `{${keys.map((key) => `${text(key)}:${print(at[key] as JsonValue)}`).join(',')}}`
    }
    return JSON.stringify(at)
  }
  return print(value)
}

/** Order by Unicode code point, which is the byte order of UTF-8 and so Go's string order. */
export function compareCodePoints(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    // surrogates sort above every other code unit, as the code points they stand for do
    const xHigh = x >= 0xd800 && x <= 0xdfff
    const yHigh = y >= 0xd800 && y <= 0xdfff
    if (xHigh !== yHigh) return xHigh ? 1 : -1
    return x - y
  }
  return a.length - b.length
}
