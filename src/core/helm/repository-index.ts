import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../json.ts'
import { UnreadableNode } from '../manifest/node.ts'
import { readPart } from '../manifest/read-part.ts'
import { compareVersions, parseConstraint, parseVersion, satisfies } from '../policy/semver.ts'

/**
 * The index of a Helm repository: which versions of a chart it has, and where they are.
 *
 * Public indexes hold tens of megabytes about thousands of charts. Of one that is written the usual way only the lines
 * about the chart that is asked for are read.
 *
 * @see https://helm.sh/docs/topics/chart_repository/#the-index-file
 */
export interface PublishedChart {
  version: string
  /** absolute, or relative to the index; the first is used */
  urls: readonly string[]
  /** SHA-256 of the package, in hex; empty where the index has none */
  digest: string
}

/**
 * The versions of one chart, in the order of the index; none where the repository does not have it.
 *
 * @returns `undefined` where the text is no index
 */
export function readPublishedCharts(index: string, name: string): PublishedChart[] | undefined {
  const entries = entriesOf(index, name)
  if (!isJsonObject(entries)) return undefined
  const versions = Object.hasOwn(entries, name) ? entries[name] : []
  return (Array.isArray(versions) ? versions : []).filter(isJsonObject).flatMap((entry: JsonObject) => {
    const { version, urls, digest } = entry
    const addresses = Array.isArray(urls) ? urls.filter((url) => typeof url === 'string') : []
    if (typeof version !== 'string' || addresses.length === 0) return []
    return [{ version, urls: addresses, digest: typeof digest === 'string' ? plainDigest(digest) : '' }]
  })
}

const plainDigest = (text: string) => text.replace(/^sha256:/, '').toLowerCase()

function entriesOf(index: string, name: string): JsonValue | undefined {
  try {
    if (/^\s*\{/.test(index)) return valueAt(JSON.parse(index) as JsonValue, 'entries')
    const lines = cutEntry(index, name)
    if (lines !== undefined) return lines === '' ? {} : readPart(lines)[0]?.value
    return valueAt(readPart(index)[0]?.value, 'entries')
  } catch (error) {
    if (error instanceof UnreadableNode || error instanceof SyntaxError) return undefined
    throw error
  }
}

/** The lines of one key of a block map `entries`; empty without the key, `undefined` where the text isn't laid out so. */
function cutEntry(index: string, name: string): string | undefined {
  const head = /^entries:[ \t]*\r?\n/m.exec(index)
  if (!head) return undefined
  const start = head.index + head[0].length
  const indent = /^( *)[^\s#-]/.exec(index.slice(start, start + 4096))?.[1]
  if (!indent) return undefined
  const entries = index.slice(start)
  const key = new RegExp(`^${indent}(["']?)${escapeRegExp(name)}\\1:[ \\t]*\\r?\\n`, 'm')
  const found = key.exec(entries)
  if (!found) return ''
  const body = entries.slice(found.index + found[0].length)
  // up to the next key of this map, or of the one around it; items may stand below their key without more blanks
  const end = new RegExp(`^ {0,${indent.length}}[^\\s#-]`, 'm').exec(body)
  return found[0] + (end ? body.slice(0, end.index) : body)
}

/**
 * The version that is meant: the one that is named exactly, or the highest within a range.
 *
 * @param wanted a version or a range with Masterminds' meaning; empty is any release
 * @throws never; a range that can't be read fits nothing
 */
export function choosePublishedVersion<T extends { version: string }>(
  published: readonly T[],
  wanted: string,
): T | undefined {
  const exact = published.find(({ version }) => version === wanted)
  if (exact) return exact
  const constraint = parseConstraint(wanted || '*')
  if (!constraint) return undefined
  let best: T | undefined
  for (const candidate of published) {
    const version = parseVersion(candidate.version)
    if (!version || !satisfies(version, constraint)) continue
    const against = best && parseVersion(best.version)
    if (!against || compareVersions(version, against) > 0) best = candidate
  }
  return best
}

/** Whether a text names one version, and no range. */
export function isExactVersion(text: string): boolean {
  return /^v?\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?$/.test(text)
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
