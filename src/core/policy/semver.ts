import { RE2JS } from 're2js'
import { compareCodePoints } from '../json.ts'

/**
 * Semantic versions and constraints with the meaning of Go's Masterminds/semver 3.1.1, which v1 uses and npm's
 * `semver` does not share: versions may leave parts out and begin with `v` or zeros; a prerelease fits a comparator
 * only where that comparator names one, whatever the others say; `>11` starts at 12.
 *
 * `test/fixtures/semver-vectors.json` holds what the Go library answers; the oddities of its grammar are kept.
 *
 * @see https://github.com/Masterminds/semver/tree/v3.1.1
 */
export interface Version {
  major: bigint
  minor: bigint
  patch: bigint
  /** without the hyphen; empty for a release */
  prerelease: string
}

const versionForm = /^v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?$/
/** Go keeps each number in 64 bits, and refuses a version beyond. */
const maxNumber = 2n ** 64n - 1n
const numeric = /^[0-9]+$/

/** Read a version leniently; `undefined` for what is none. Build metadata is checked and forgotten. */
export function parseVersion(text: string): Version | undefined {
  const match = versionForm.exec(text)
  if (!match) return undefined
  const [major = 0n, minor = 0n, patch = 0n] = match.slice(1, 4).map((digits) => BigInt(digits ?? 0))
  if (major > maxNumber || minor > maxNumber || patch > maxNumber) return undefined
  const prerelease = match[4] ?? ''
  const identifiers = prerelease === '' ? [] : prerelease.split('.')
  if (identifiers.some((part) => part === '' || (numeric.test(part) && /^0./.test(part)))) return undefined
  if (match[5]?.split('.').includes('')) return undefined
  return { major, minor, patch, prerelease }
}

/** Order of precedence, lower first. Build metadata does not count. */
export function compareVersions(a: Version, b: Version): number {
  return (
    compareNumbers(a.major, b.major) ||
    compareNumbers(a.minor, b.minor) ||
    compareNumbers(a.patch, b.patch) ||
    comparePrereleases(a.prerelease, b.prerelease)
  )
}

function compareNumbers(a: bigint, b: bigint): number {
  return a === b ? 0 : a < b ? -1 : 1
}

/** A release stands above its prereleases; of two that begin alike the longer stands above. */
function comparePrereleases(a: string, b: string): number {
  if (a === b) return 0
  if (a === '' || b === '') return a === '' ? 1 : -1
  const left = a.split('.')
  const right = b.split('.')
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const order = compareIdentifiers(left[i], right[i])
    if (order !== 0) return order
  }
  return 0
}

/** Numbers by size and below words; words by code point. A number beyond 64 bits is a word, as in Go. */
function compareIdentifiers(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return a === undefined ? -1 : 1
  const x = identifierNumber(a)
  const y = identifierNumber(b)
  if (x !== undefined && y !== undefined) return compareNumbers(x, y)
  if (x === undefined && y === undefined) return compareCodePoints(a, b)
  return x === undefined ? 1 : -1
}

function identifierNumber(text: string): bigint | undefined {
  if (!numeric.test(text)) return undefined
  const number = BigInt(text)
  return number > maxNumber ? undefined : number
}

/** Alternatives, of which one must hold whole. */
export type Constraint = readonly (readonly Comparator[])[]

interface Comparator {
  /** spelled the usual way: `>=` also for `=>`, `~` also for `~>`, `=` also for none */
  operator: '=' | '!=' | '>' | '<' | '>=' | '<=' | '~' | '^'
  version: Version
  /** the parts that were written out: `*`, `1` or `1.x`, `1.2` or `1.2.x`, `1.2.3` */
  given: 'none' | 'major' | 'minor' | 'all'
}

const spellings: Readonly<Record<string, Comparator['operator']>> = {
  '': '=',
  '=>': '>=',
  '=<': '<=',
  '~>': '~',
}

const space = '[\\t\\n\\f\\r ]'
/** the Go library takes `|` for a digit too; such a version then fails to read, except behind a wildcard */
const part = '[0-9|xX*]+'
const partial = `v?(${part})(\\.${part})?(\\.${part})?(-[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?`
const operators = '(!=|>=|=>|<=|=<|~>|=|>|<|~|\\^|)'
const comparatorForm = new RegExp(`${operators}${space}*(${partial})`, 'g')
const hyphenRange = new RegExp(`${space}*(${partial})${space}+-${space}+(${partial})${space}*`, 'g')
/** repeats inside a repeat: left to the linear-time engine */
const conjunctionForm = RE2JS.compile(`^(${space}*${operators}${space}*${partial}${space}*,?)+$`)

/** Read a constraint; `undefined` for what is none, such as the empty text. */
export function parseConstraint(text: string): Constraint | undefined {
  const alternatives: Comparator[][] = []
  for (const conjunction of expandHyphenRanges(text).split('||')) {
    if (!conjunctionForm.test(conjunction)) return undefined
    const comparators = [...conjunction.matchAll(comparatorForm)].map(readComparator)
    if (!comparators.every((comparator) => comparator !== undefined)) return undefined
    alternatives.push(comparators)
  }
  return alternatives
}

/** `1.2 - 2` as `>= 1.2, <= 2`. */
function expandHyphenRanges(text: string): string {
  return text.replace(hyphenRange, (...groups: string[]) => `>= ${groups[1]}, <= ${groups[6]}`)
}

function readComparator(match: RegExpExecArray): Comparator | undefined {
  const [, sign = '', written = '', major = '', minor = '', patch = '', prerelease = ''] = match
  const operator = spellings[sign] ?? (sign as Comparator['operator'])
  const isWildcard = (text: string) => ['', '.x', '.X', '.*'].includes(text)

  const [given, text]: [Comparator['given'], string] = isWildcard(`.${major}`)
    ? ['none', '0']
    : isWildcard(minor)
      ? ['major', `${major}${prerelease}`]
      : isWildcard(patch)
        ? ['minor', `${major}${minor}${prerelease}`]
        : ['all', written]
  const version = parseVersion(text)
  return version && { operator, version, given }
}

/** Whether a version fits a constraint. */
export function satisfies(version: Version, constraint: Constraint): boolean {
  return constraint.some((all) => all.every((comparator) => fits(version, comparator)))
}

function fits(version: Version, comparator: Comparator): boolean {
  const { operator, version: bound, given } = comparator
  if (version.prerelease !== '' && bound.prerelease === '') {
    // `!=` of a whole version is the one comparator that lets prereleases pass unasked
    if (operator !== '!=' || given !== 'all') return false
  }
  const order = compareVersions(version, bound)
  switch (operator) {
    case '=':
      return given === 'all' ? order === 0 : fitsTilde(version, comparator)
    case '!=':
      return fitsNot(version, comparator)
    case '>':
      if (given === 'major') return version.major > bound.major
      if (given === 'minor' && version.major === bound.major) return version.minor > bound.minor
      return order > 0
    case '<':
      return order < 0
    case '>=':
      return order >= 0
    case '<=':
      if (given === 'all') return order <= 0
      if (version.major !== bound.major) return version.major < bound.major
      return given === 'major' || version.minor <= bound.minor
    case '~':
      return fitsTilde(version, comparator)
    case '^':
      return fitsCaret(version, comparator)
  }
}

/** The parts given but the patch must agree. `~0.0.0` and `~*` take everything. */
function fitsTilde(version: Version, { version: bound, given }: Comparator): boolean {
  if (compareVersions(version, bound) < 0) return false
  const fromZero = bound.major === 0n && bound.minor === 0n && bound.patch === 0n
  if (fromZero && (given === 'none' || given === 'all')) return true
  return version.major === bound.major && (given === 'major' || version.minor === bound.minor)
}

/** The first part that is not zero must agree, and all before it. */
function fitsCaret(version: Version, { version: bound, given }: Comparator): boolean {
  if (compareVersions(version, bound) < 0) return false
  if (version.major !== bound.major) return false
  if (bound.major > 0n || given === 'major') return true
  if (bound.minor > 0n || given === 'minor') return version.minor === bound.minor
  return version.patch === bound.patch
}

function fitsNot(version: Version, { version: bound, given }: Comparator): boolean {
  if (given === 'all' || given === 'none') {
    return compareVersions(version, bound) !== 0
  }
  if (version.major !== bound.major) return true
  if (given === 'major') return false
  if (version.minor !== bound.minor) return true
  return version.prerelease !== bound.prerelease
}
