import { timeToWire } from '../../api/json.ts'
import { withoutUserInfo } from '../../core/git/remote-url.ts'
import { compareCodePoints } from '../../core/json.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log, LogFields, LogValue } from '../../ports/log.ts'

/**
 * Log lines as v1 wrote them, which people's log pipelines read: logfmt, or an object of JSON with its keys sorted.
 *
 * Our own writer, since both formats are prescribed to the byte and no logging library has them. What comes from
 * outside can't forge a line or move the reader's terminal: control, bidirectional and line separator characters are
 * escaped. URLs lose their user-info here at the latest. Follows `spec/flux-v1/daemon.md` §6.
 */
export interface LogOptions {
  format: 'fmt' | 'json'
  clock: Clock
  /** takes one line with its line feed; standard error, if not said otherwise */
  write?: (line: string) => void
}

export function createLog({ format, clock, write = (line) => process.stderr.write(line) }: LogOptions): Log {
  const print = format === 'json' ? formatJsonLine : formatLogfmtLine
  const logWith = (first: LogFields): Log => ({
    write: (fields) => write(`${print({ ts: clock.now(), ...first, ...fields })}\n`),
    with: (fields) => logWith({ ...first, ...fields }),
  })
  return logWith({})
}

/** Keys in the order given. */
function formatLogfmtLine(fields: LogFields): string {
  let line = ''
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue
    const plain = plainValue(value)
    line += `${line && ' '}${key}=${typeof plain === 'string' ? logfmtText(plain) : String(plain)}`
  }
  return line
}

function formatJsonLine(fields: LogFields): string {
  const printed = Object.entries(fields)
    .filter((entry): entry is [string, Exclude<LogValue, undefined>] => entry[1] !== undefined)
    .sort(([a], [b]) => compareCodePoints(a, b))
    .map(([key, value]) => {
      const plain = plainValue(value)
      return `"${key}":${typeof plain === 'string' ? quote(plain) : String(plain)}`
    })
  return `{${printed.join(',')}}`
}

function plainValue(value: Exclude<LogValue, undefined>): string | number | boolean | null {
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (value instanceof Date) return timeToWire(value)
  if (value instanceof Error) return withoutUserInfo(value.message)
  return withoutUserInfo(typeof value === 'string' ? value : value.join(','))
}

/** controls, lone surrogates, and what reorders or breaks a line; a byte order mark and U+FFFD, as Go does */
const unprintable = '\\p{Cc}\\p{Cs}\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff\\ufffd'
const needsQuotes = new RegExp(`[ ="${unprintable}]`, 'u')
const needsEscape = new RegExp(`["\\\\${unprintable}]`, 'gu')
const shortEscapes = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
])

/** Bare where it can be; `null` in quotes, to tell it from nothing. */
function logfmtText(text: string): string {
  return text === 'null' || needsQuotes.test(text) ? quote(text) : text
}

function quote(text: string): string {
  const escapeOf = (c: string) => shortEscapes.get(c) ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
  return `"${text.replace(needsEscape, escapeOf)}"`
}
