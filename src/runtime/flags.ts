import { FluxError } from '../core/errors.ts'
import { similarNames } from '../core/similar.ts'

/**
 * Command line flags with the meaning of Go's pflag, which scripts written for Flux v1 count on: `--flag=value`,
 * `--flag value`, `-fvalue`, `-f=value`, grouped short flags, `--switch=false`, lists that repeat and split as CSV, Go
 * durations, `--`. A program's flags are data; parsing gives a value for each, typed by its definition.
 *
 * Follows pflag 1.0.5, error texts included. Left out: normalised names and flags that are deprecated in their short
 * form only.
 *
 * @see https://pkg.go.dev/github.com/spf13/pflag@v1.0.5
 */

/** What each type of flag gives. Durations are milliseconds. */
export interface FlagTypes {
  bool: boolean
  string: string
  int: number
  float: number
  /** how often it was given: `-vv` is 2 */
  count: number
  duration: number
  strings: readonly string[]
  /** `key=value` pairs */
  map: ReadonlyMap<string, string>
}
export type FlagType = keyof FlagTypes

interface FlagOf<T extends FlagType> {
  /** as typed after `--` */
  name: string
  /** one letter, as typed after `-` */
  short?: string
  type: T
  /** `false`, 0, or empty where absent */
  default?: FlagTypes[T]
  /** environment variables that stand in for a flag that isn't given; the last that is set wins, a bad value is ignored */
  env?: readonly string[]
  /** works, but isn't shown in help */
  hidden?: true
  /** what to use instead; said on standard error whenever the flag is used, and hides it from help */
  deprecated?: string
  /** word for the value in help, such as `NAMESPACE` */
  value?: string
  summary: string
}
export type Flag = { [T in FlagType]: FlagOf<T> }[FlagType]

type Camel<S extends string> = S extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S

/** A value for each flag, by its name in camel case: `--dry-run` is `dryRun`. */
export type FlagValues<F extends readonly Flag[]> = {
  readonly [D in F[number] as Camel<D['name']>]: FlagTypes[D['type']]
}

export interface ParsedFlags<F extends readonly Flag[]> {
  values: FlagValues<F>
  /** names of the flags that stand on the command line */
  given: ReadonlySet<string>
  /** what is not a flag, in order */
  args: string[]
}

export interface ParseOptions {
  env?: Readonly<Record<string, string | undefined>>
  /** takes a line for each use of a deprecated flag */
  warn?: (line: string) => void
}

/**
 * Read a command line.
 *
 * @throws FluxError `FLAG_INVALID`
 */
export function parseFlags<const F extends readonly Flag[]>(
  flags: F,
  argv: readonly string[],
  { env = {}, warn = () => {} }: ParseOptions = {},
): ParsedFlags<F> {
  const values = new Map<Flag, FlagTypes[FlagType]>()
  const given = new Set<string>()
  const args: string[] = []
  const rest = [...argv]

  const set = (flag: Flag, text: string) => {
    try {
      values.set(flag, readValue(flag, text, values.get(flag)))
    } catch (error) {
      const shown = flag.short ? `-${flag.short}, --${flag.name}` : `--${flag.name}`
      throw invalid(`invalid argument ${quote(text)} for "${shown}" flag: ${(error as Error).message}`)
    }
    given.add(flag.name)
    if (flag.deprecated) warn(`Flag --${flag.name} has been deprecated, ${flag.deprecated}`)
  }
  const nextArgument = (what: string): string => {
    const value = rest.shift()
    if (value === undefined) throw invalid(`flag needs an argument: ${what}`)
    return value
  }

  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!word.startsWith('-') || word === '-') {
      args.push(word)
    } else if (word === '--') {
      args.push(...rest.splice(0))
    } else if (word.startsWith('--')) {
      const [name, value] = cut(word.slice(2))
      if (name === '' || name.startsWith('-')) throw invalid(`bad flag syntax: ${word}`)
      const flag = flags.find((candidate) => candidate.name === name)
      if (!flag) throw unknownFlag(name, flags)
      set(flag, value ?? impliedValue(flag) ?? nextArgument(word))
    } else {
      let letters = word.slice(1)
      while (letters !== '') {
        const letter = String.fromCodePoint(letters.codePointAt(0) ?? 0)
        const what = `'${letter}' in -${letters}`
        const flag = flags.find(({ short }) => short === letter)
        if (!flag) throw invalid(`unknown shorthand flag: ${what}`)
        const after = letters.slice(letter.length)
        const written = after.length > 1 && after.startsWith('=') ? after.slice(1) : undefined
        const implied = impliedValue(flag)
        set(flag, written ?? implied ?? (after || nextArgument(what)))
        letters = written === undefined && implied !== undefined ? after : ''
      }
    }
  }

  for (const flag of flags) {
    for (const name of given.has(flag.name) ? [] : (flag.env ?? [])) {
      const text = env[name]
      if (!text) continue
      try {
        values.set(flag, readValue(flag, text, undefined))
      } catch {
        // v1 ignores what it can't read here
      }
    }
  }
  return {
    values: Object.fromEntries(
      flags.map((flag) => [camelCase(flag.name), values.get(flag) ?? defaultOf(flag)]),
    ) as FlagValues<F>,
    given,
    args,
  }
}

/** Whether a flag takes the word after it as its value: `-n demo`, but not `--all demo`. */
export function takesNextWord(flag: Flag): boolean {
  return impliedValue(flag) === undefined
}

/** The value of a flag that isn't given. */
export function defaultOf(flag: Flag): FlagTypes[FlagType] {
  return flag.default ?? emptyValues[flag.type]
}

/**
 * Read a duration as Go writes it: `300ms`, `1h30m`, `-1.5s`, `0`.
 *
 * @returns milliseconds
 * @throws Error with the text of Go's `time.ParseDuration`
 */
export function parseDuration(text: string): number {
  const fail = (why: string) => new Error(`time: ${why} ${quote(text)}`)
  const sign = text.startsWith('-') ? -1 : 1
  let rest = /^[+-]/.test(text) ? text.slice(1) : text
  if (rest === '0') return 0
  if (rest === '') throw fail('invalid duration')
  let totalMs = 0
  while (rest !== '') {
    const number = /^(\d+\.?\d*|\.\d+)/.exec(rest)?.[0]
    if (number === undefined) throw fail('invalid duration')
    rest = rest.slice(number.length)
    const unit = /^[^.\d]*/.exec(rest)?.[0] ?? ''
    if (unit === '') throw fail('missing unit in duration')
    const unitMs = durationUnitsMs[unit]
    if (unitMs === undefined) throw fail(`unknown unit ${quote(unit)} in duration`)
    totalMs += Number(number) * unitMs
    rest = rest.slice(unit.length)
  }
  if (totalMs * 1e6 > 2 ** 63) throw fail('invalid duration')
  return sign * totalMs
}

/** Print milliseconds as Go does: `1m0s`, `1.5s`, `300ms`, `0s`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 0) return `-${formatDuration(-durationMs)}`
  if (durationMs === 0) return '0s'
  if (durationMs < 0.001) return `${Math.round(durationMs * 1e6)}ns`
  if (durationMs < 1) return `${durationMs * 1e3}µs`
  if (durationMs < 1000) return `${durationMs}ms`
  const hours = Math.floor(durationMs / 3_600_000)
  const minutes = Math.floor((durationMs % 3_600_000) / 60_000)
  const seconds = `${(durationMs % 60_000) / 1000}s`
  if (hours > 0) return `${hours}h${minutes}m${seconds}`
  return minutes > 0 ? `${minutes}m${seconds}` : seconds
}

/** Text in double quotes with Go's escapes (`%q`). */
export function quote(text: string): string {
  const escaped = text.replace(/["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (character) => {
    const short = shortEscapes[character]
    if (short) return short
    const code = character.codePointAt(0) ?? 0
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`
    return code > 0xffff
      ? `\\U${code.toString(16).padStart(8, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`
  })
  return `"${escaped}"`
}

const shortEscapes: Record<string, string> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}

const durationUnitsMs: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  // the micro sign and the Greek letter
  '\u00b5s': 1e-3,
  '\u03bcs': 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

const emptyValues: FlagTypes = {
  bool: false,
  string: '',
  int: 0,
  float: 0,
  count: 0,
  duration: 0,
  strings: [],
  map: new Map(),
}

/** Turn the text of one use into a value; `before` is what earlier uses gave. Errors carry Go's texts. */
const readers: { [T in FlagType]: (text: string, before: FlagTypes[T] | undefined) => FlagTypes[T] } = {
  bool: parseBool,
  string: (text) => text,
  int: parseInteger,
  float(text) {
    const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
    if (Number.isNaN(number)) throw new Error(`strconv.ParseFloat: parsing ${quote(text)}: invalid syntax`)
    return number
  },
  count: (text, before = 0) => (text === '+1' ? before + 1 : parseInteger(text)),
  duration: parseDuration,
  strings: (text, before = []) => [...before, ...(text === '' ? [] : parseCsvRecord(text))],
  map(text, before = new Map()) {
    const equalSigns = text.split('=').length - 1
    const pairs = equalSigns > 1 ? parseCsvRecord(text) : [text.replace(/^"+|"+$/g, '')]
    const added = pairs.map((pair): [string, string] => {
      const [key, value] = cut(pair)
      if (value === undefined) throw new Error(`${pair} must be formatted as key=value`)
      return [key, value]
    })
    return new Map([...before, ...added])
  },
}

function readValue(flag: Flag, text: string, before: FlagTypes[FlagType] | undefined): FlagTypes[FlagType] {
  return readers[flag.type](text, before as never)
}

/** The value of a flag that is given without one, or `undefined` where it must have one. */
function impliedValue(flag: Flag): string | undefined {
  if (flag.type === 'bool') return 'true'
  return flag.type === 'count' ? '+1' : undefined
}

function parseBool(text: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false
  throw new Error(`strconv.ParseBool: parsing ${quote(text)}: invalid syntax`)
}

/** An integer as in Go's source: `10`, `0x1f`, `0o17`, `017`, `0b11`, `1_000`. */
function parseInteger(text: string): number {
  const fail = (why: string) => new Error(`strconv.ParseInt: parsing ${quote(text)}: ${why}`)
  const digits = /^[+-]?(0x(?:_?[\da-f])+|0b(?:_?[01])+|0o?(?:_?[0-7])+|0|[1-9](?:_?\d)*)$/i.exec(text)?.[1]
  if (digits === undefined) throw fail('invalid syntax')
  const plain = digits.replaceAll('_', '').toLowerCase()
  const size = BigInt(/^0\d/.test(plain) ? `0o${plain.slice(1)}` : plain)
  const value = text.startsWith('-') ? -size : size
  if (value !== BigInt.asIntN(64, value)) throw fail('value out of range')
  return Number(value)
}

/** The fields of one CSV record, which may be quoted: `a,"b,c"`. Errors are those of Go's `encoding/csv`. */
function parseCsvRecord(text: string): string[] {
  const fields: string[] = []
  const fail = (at: number, why: string) => new Error(`parse error on line 1, column ${at + 1}: ${why}`)
  let at = 0
  for (;;) {
    if (text[at] === '"') {
      let field = ''
      let end = at + 1
      for (;;) {
        const close = text.indexOf('"', end)
        if (close < 0) throw fail(text.length, 'extraneous or missing " in quoted-field')
        field += text.slice(end, close)
        end = close + 1
        if (text[end] !== '"') break
        field += '"'
        end++
      }
      if (end < text.length && text[end] !== ',')
        throw fail(end - 1, 'extraneous or missing " in quoted-field')
      fields.push(field)
      at = end
    } else {
      const comma = text.indexOf(',', at)
      const field = text.slice(at, comma < 0 ? undefined : comma)
      if (field.includes('"')) throw fail(at + field.indexOf('"'), 'bare " in non-quoted-field')
      fields.push(field)
      at += field.length
    }
    if (text[at] !== ',') return fields
    at++
  }
}

/** Text before and after the first `=`; the latter is absent where there is none. */
function cut(text: string): [string, string | undefined] {
  const at = text.indexOf('=')
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

function unknownFlag(name: string, flags: readonly Flag[]): FluxError {
  const shown = flags.filter(({ hidden, deprecated }) => !hidden && !deprecated)
  const similar = similarNames(
    name,
    shown.map((flag) => flag.name),
  )
  const what = `unknown flag: --${name}`
  if (similar.length === 0) return invalid(what)
  return new FluxError('FLAG_INVALID', {
    what,
    next: `Did you mean ${similar.map((other) => `--${other}`).join(' or ')}?`,
  })
}

function invalid(what: string): FluxError {
  return new FluxError('FLAG_INVALID', { what })
}
