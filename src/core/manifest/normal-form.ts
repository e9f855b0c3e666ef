import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts'
import { resolvePlain } from './scalar.ts'

/**
 * One text for equal objects, however they were written: YAML with sorted keys and no comments. Its SHA-1 is the
 * checksum that v1 puts on objects, so it is laid out as v1's YAML library prints: blocks by two, sequences at their
 * key's column, long texts folded after column 80. A cluster that v1 filled is then taken over without a new apply.
 *
 * Differs from v1 only where JSON cannot tell what YAML could: a float with a whole value, a key that was no text.
 *
 * @returns the text with a newline at its end; see the vector in `spec/flux-v1/sync.md` §6
 * @see https://github.com/go-yaml/yaml/blob/v2.4.0/emitterc.go
 */
export function normalForm(value: JsonObject): string {
  const out = new Printer()
  printNode(out, value, 0, 'root')
  return `${out.text}\n`
}

const foldAfter = 80
const longestSimpleKey = 128

/** Text so far and the column it has reached, counted in code points. */
class Printer {
  text = ''
  column = 0

  put(text: string): void {
    this.text += text
    this.column += text.length < 128 && /^[ -~]*$/.test(text) ? text.length : [...text].length
  }

  breakLine(indent: number): void {
    this.text += `\n${' '.repeat(indent)}`
    this.column = indent
  }
}

type Position = 'root' | 'map value' | 'item'

/** Print a node; `indent` is the column of the collection that holds it. */
function printNode(out: Printer, value: JsonValue, indent: number, position: Position): void {
  if (Array.isArray(value) && value.length > 0) {
    // as a map's value a sequence stands at the column of its key
    const column = position === 'item' ? indent + 2 : indent
    value.forEach((item, index) => {
      if (position === 'map value' || index > 0) out.breakLine(column)
      else if (position === 'item') out.put(' ')
      out.put('-')
      printNode(out, item, column, 'item')
    })
  } else if (isJsonObject(value) && Object.keys(value).length > 0) {
    const column = position === 'root' ? indent : indent + 2
    Object.keys(value)
      .sort(compareKeys)
      .forEach((key, index) => {
        if (position === 'map value' || index > 0) out.breakLine(column)
        else if (position === 'item') out.put(' ')
        const isSimple = printKey(out, key, column)
        printNode(out, value[key] ?? null, column, isSimple ? 'map value' : 'item')
      })
  } else {
    if (position !== 'root') out.put(' ')
    printScalar(out, value, indent + 2, false)
  }
}

/** @returns whether it stands on one line; otherwise it took a `?` and its colon begins a line */
function printKey(out: Printer, key: string, column: number): boolean {
  const isSimple =
    !/[\n\x85\u2028\u2029]/.test(key) && new TextEncoder().encode(key).length <= longestSimpleKey
  if (!isSimple) out.put('? ')
  printScalar(out, key, column + 2, isSimple)
  if (!isSimple) out.breakLine(column)
  out.put(':')
  return isSimple
}

function printScalar(out: Printer, value: JsonValue, indent: number, isKey: boolean): void {
  if (typeof value === 'string') printText(out, value, indent, isKey)
  else if (typeof value === 'number') out.put(formatNumber(value))
  else if (Array.isArray(value)) out.put('[]')
  else if (isJsonObject(value)) out.put('{}')
  else out.put(String(value))
}

/** what only an escape can print; the library escapes every character beyond the first plane */
const hasSpecial = /[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]/u
/** what may not begin a plain text, or stand in it followed by a blank */
const hasIndicator = /^(?:---|\.\.\.|[#,[\]{}&*!|>'"%@`]|[?:-](?:[ \t\n]|$))|:(?:[ \t\n]|$)|[ \t\n]#/
const sexagesimal = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/

function printText(out: Printer, text: string, indent: number, isKey: boolean): void {
  const special = hasSpecial.test(text) || text.includes(' \n')
  const multiline = text.includes('\n')
  const otherwiseRead = resolvePlain(text) !== text || isTimestamp(text) || sexagesimal.test(text)
  if (multiline && !special && !isKey && !text.endsWith(' ')) printLiteral(out, text, indent)
  else if (special || multiline || otherwiseRead) printDoubleQuoted(out, text, indent, isKey)
  else if (text.startsWith(' ') || text.endsWith(' ') || hasIndicator.test(text)) {
    out.put("'")
    fold(out, text.replaceAll("'", "''"), indent, isKey)
    out.put("'")
  } else fold(out, text, indent, isKey)
}

/** A single blank beyond the width becomes a line break. */
function fold(out: Printer, text: string, indent: number, isKey: boolean): void {
  // blanks between other characters stand at the odd places
  text.split(/(?<=[^ ])( )(?=[^ ])/).forEach((piece, index) => {
    if (index % 2 === 1 && !isKey && out.column > foldAfter) out.breakLine(indent)
    else out.put(piece)
  })
}

function printLiteral(out: Printer, text: string, indent: number): void {
  const hint = /^[ \n]/.test(text) ? '2' : ''
  const chomping = !text.endsWith('\n') ? '-' : text === '\n' || text.endsWith('\n\n') ? '+' : ''
  out.put(`|${hint}${chomping}`)
  const lines = text.split('\n')
  if (text.endsWith('\n')) lines.pop()
  for (const line of lines) {
    out.breakLine(line === '' ? 0 : indent)
    out.put(line)
  }
}

const escapes: Record<string, string> = {
  '\0': '\\0',
  '\x07': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\x1b': '\\e',
  '"': '\\"',
  '\\': '\\\\',
  '\x85': '\\N',
  '\u2028': '\\L',
  '\u2029': '\\P',
}

function printDoubleQuoted(out: Printer, text: string, indent: number, isKey: boolean): void {
  out.put('"')
  const chars = [...text]
  let afterSpace = false
  chars.forEach((char, index) => {
    const isInner = index > 0 && index < chars.length - 1
    if (char === ' ' && !isKey && !afterSpace && out.column > foldAfter && isInner) {
      out.breakLine(indent)
      if (chars[index + 1] === ' ') out.put('\\')
    } else out.put(hasSpecial.test(char) || escapes[char] ? (escapes[char] ?? numericEscape(char)) : char)
    afterSpace = char === ' '
  })
  out.put('"')
}

function numericEscape(char: string): string {
  const hex = (char.codePointAt(0) ?? 0).toString(16).toUpperCase()
  if (hex.length <= 2) return `\\x${hex.padStart(2, '0')}`
  return hex.length <= 4 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}

/** As Go prints a float in its shortest form: with an exponent from a million on and below a ten-thousandth. */
function formatNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return BigInt(value).toString()
  const [digits = '', power = '0'] = value.toExponential().split('e')
  const exponent = Number(power)
  if (exponent >= -4 && exponent < 6) return String(value)
  return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
}

/** What the library would take for a point in time, and so puts in quotes. */
function isTimestamp(text: string): boolean {
  const parts =
    /^(\d{4})-(\d\d?)-(\d\d?)(?:([Tt ])(\d\d?):(\d\d?):(\d\d?)(?:\.\d+)?(Z|[-+]\d\d:\d\d)?)?$/.exec(text)
  if (!parts) return false
  const [year, month, day, hour, minute, second] = [1, 2, 3, 5, 6, 7].map((i) => Number(parts[i] ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  if (parts[4] && (parts[4] === ' ') === (parts[8] !== undefined)) return false
  const days = new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate()
  return month >= 1 && month <= 12 && day >= 1 && day <= days && hour < 24 && minute < 60 && second < 60
}

const isLetter = /\p{L}/u
const isDigit = /\p{Nd}/u

/** Natural order: runs of digits compare as numbers, letters sort after everything else. */
function compareKeys(left: string, right: string): number {
  const a = [...left]
  const b = [...right]
  for (let i = 0; i < a.length && i < b.length; i++) {
    const x = a[i] ?? ''
    const y = b[i] ?? ''
    if (x === y) continue
    const order = (x.codePointAt(0) ?? 0) - (y.codePointAt(0) ?? 0)
    const xIsLetter = isLetter.test(x)
    const yIsLetter = isLetter.test(y)
    if (xIsLetter && yIsLetter) return order
    if (xIsLetter || yIsLetter) return yIsLetter ? -1 : 1
    const carry = (x === '0' || y === '0') && followsNumber(a, i) ? '1' : '0'
    const xs = digitsFrom(a, i)
    const ys = digitsFrom(b, i)
    const difference = BigInt(carry + xs) - BigInt(carry + ys)
    if (difference !== 0n) return difference < 0n ? -1 : 1
    if (xs.length !== ys.length) return xs.length - ys.length
    return order
  }
  return a.length - b.length
}

/** Whether the digits before a place hold more than zeros. */
function followsNumber(text: readonly string[], end: number): boolean {
  for (let i = end - 1; i >= 0 && isDigit.test(text[i] ?? ''); i--) if (text[i] !== '0') return true
  return false
}

function digitsFrom(text: readonly string[], start: number): string {
  let end = start
  while (/[0-9]/.test(text[end] ?? '')) end++
  return text.slice(start, end).join('')
}
