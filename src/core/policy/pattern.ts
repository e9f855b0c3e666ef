import { RE2JS } from 're2js'
import { messageOf } from '../errors.ts'
import type { ImageInfo } from '../image/info.ts'
import { newestFirst } from '../image/order.ts'
import { formatImageRef } from '../image/ref.ts'
import { compareCodePoints } from '../json.ts'
import { globMatches } from './glob.ts'
import { compareVersions, parseConstraint, parseVersion, satisfies, type Version } from './semver.ts'

/**
 * Which tags of an image a workload may run, and which of them is the best.
 *
 * A pattern has the meaning that Go gives it: `glob:` knows only `*`, `semver:` is Masterminds/semver 3.1.1 (see
 * `semver.ts`), `regexp:` is RE2, unanchored and in linear time. Follows `spec/flux-v1/resources.md` §3, but an
 * invalid pattern matches nothing where v1 takes everything.
 */
export interface TagPattern {
  /** always with its prefix; `regex:` has become `regexp:` */
  readonly text: string
  readonly kind: 'glob' | 'semver' | 'regexp'
  /** why the pattern is invalid; it then matches nothing */
  readonly fault?: string
  /** whether its order is by creation time, which has to be fetched for each image */
  readonly needsTimestamps: boolean
  matches(tag: string): boolean
  /** the best first; a total order of images that differ in their reference */
  compare(a: ImageInfo, b: ImageInfo): number
}

/** A pattern that is longer, prefix and all, is invalid. */
export const maxPatternBytes = 1024

/** Steps of a compiled expression: time grows with them, and 1 KiB of repeats can make 200,000. */
const maxProgramSize = 2_000
const keptPatterns = 1_000
/** by text: each workload is asked about again and again */
const known = new Map<string, TagPattern>()

/** Read a pattern. Text without a known prefix is a glob. Never throws; see `fault`. */
export function parsePattern(text: string): TagPattern {
  const pattern = known.get(text) ?? compilePattern(text)
  if (known.size >= keptPatterns) known.clear()
  if (!isTooLong(text)) known.set(text, pattern)
  return pattern
}

function compilePattern(text: string): TagPattern {
  const [kind, body] = splitPrefix(text)
  const common = {
    text: `${kind}:${body}`,
    kind,
    needsTimestamps: kind !== 'semver',
    compare: kind === 'semver' ? highestFirst : newestFirst,
  }
  try {
    if (isTooLong(text)) throw new Error(`a tag pattern has at most ${maxPatternBytes} bytes`)
    return { ...common, matches: matcher(kind, body) }
  } catch (thrown) {
    return { ...common, fault: messageOf(thrown), matches: () => false }
  }
}

/** What holds where no policy says otherwise. */
export const matchAllTags = parsePattern('glob:*')

export function isTooLong(pattern: string): boolean {
  return Buffer.byteLength(pattern) > maxPatternBytes
}

function splitPrefix(text: string): [TagPattern['kind'], string] {
  const [, prefix, body = ''] = /^(glob|semver|regexp?):(.*)$/s.exec(text) ?? [text, 'glob', text]
  return prefix === 'regex' ? ['regexp', body] : [prefix as TagPattern['kind'], body]
}

function matcher(kind: TagPattern['kind'], body: string): (tag: string) => boolean {
  if (kind === 'glob') return (tag) => globMatches(body, tag)
  if (kind === 'regexp') {
    const expression = RE2JS.compile(body)
    if (expression.programSize() > maxProgramSize) throw new Error('the expression is too large')
    return (tag) => expression.test(tag)
  }
  const constraint = parseConstraint(body)
  if (!constraint) throw new Error(`improper constraint: ${body}`)
  return (tag) => {
    const version = versionOf(tag)
    return version !== undefined && satisfies(version, constraint)
  }
}

/**
 * Order by version, the highest first; equal ones by reference, descending (`1.10.0` before `1.10`); tags that are
 * no versions come last, by reference.
 */
function highestFirst(a: ImageInfo, b: ImageInfo): number {
  const left = versionOf(a.ref.tag ?? '')
  const right = versionOf(b.ref.tag ?? '')
  if (left && right) return compareVersions(right, left) || byReference(b, a)
  return (left ? 0 : 1) - (right ? 0 : 1) || byReference(a, b)
}

function byReference(a: ImageInfo, b: ImageInfo): number {
  return compareCodePoints(formatImageRef(a.ref), formatImageRef(b.ref))
}

/** Choosing asks for each version many times over, and images have many tags in common. */
const versions = new Map<string, Version | undefined>()
const keptVersions = 4_096

function versionOf(tag: string): Version | undefined {
  if (versions.has(tag)) return versions.get(tag)
  if (versions.size === keptVersions) versions.clear()
  const version = parseVersion(tag)
  versions.set(tag, version)
  return version
}
