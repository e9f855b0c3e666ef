import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { parseAllDocuments } from 'yaml'
import { formatWire } from '../../../src/api/json.ts'
import type { ResourceId } from '../../../src/core/resource/id.ts'
import { gcMark } from '../../../src/core/sync/inventory.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import { fixtures } from '../../support/world.ts'
import { typedError } from './differences.ts'

/** What recordings are compared by: the same words for what varies from run to run, and the same shapes on both sides. */

export interface CommitMade {
  message: string
  author: string
  committer: string
  /** unified diff */
  files: string
  note: string | null
}

export interface RecordedGit {
  branchBefore: string
  branchAfter?: string
  commitsMade: CommitMade[]
  markerBefore: string
  markerAfter: string
}

export interface HttpRecording {
  id: string
  name: string
  family: string
  request: { method: string; path: string; query: string; headers: Record<string, string>; body: string }
  response: HttpAnswer
  jobStatusesSeen?: { status: number; body: string }[]
  git?: RecordedGit
  /** bodies posted upstream meanwhile */
  events?: string[]
}

export interface HttpAnswer {
  status: number
  headers: Record<string, string>
  body: string
}

export function readHttpRecordings(): HttpRecording[] {
  return readdirSync(`${fixtures}/http`).map((file) => ({
    ...(JSON.parse(readFileSync(`${fixtures}/http/${file}`, 'utf8')) as HttpRecording),
    id: file.replace('.json', ''),
  }))
}

/** What is the same word on both sides: revisions by what they are, and everything random. */
export interface Words {
  base: string
  /** other revisions, told by nothing but that they are some */
  revisions: Iterable<string>
  syncSet: string
}

/** Where nothing is known of revisions and marks. */
export const noWords: Words = { base: '<none>', revisions: [], syncSet: '' }

const ids = JSON.parse(
  (JSON.parse(readFileSync(`${fixtures}/cli/list-workloads--json-all.json`, 'utf8')) as { stdout: string })
    .stdout,
) as { ID: ResourceId }[]
const others = [
  '<cluster>:namespace/demo',
  'demo:cronjob/report',
  'demo:cronjob/report-old',
  'prod:secret/settings',
] as ResourceId[]

/** A text with a name for everything that varies from run to run. */
export function inWords(text: string, { base, revisions, syncSet }: Words): string {
  let plain = text
    .replace(/\b[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}\b/g, '<job>')
    .replace(/\b(flux-run-\w+\/)?flux-gitclone\w+/g, '<clone>')
    .replace(/\bafter \d+ ms\b/g, 'after 0 ms')
    .replace(/(example\/sidecar@|-> )sha256:(?!0123)[\da-f]{64}/g, '$1<new digest>')
    .replace(/("LastFetched":\s*")[^"]+/g, '$1<time>')
    .replace(/("(?:Digest|ImageID)":\s*"sha256:)[\da-f]{64}/g, '$1<digest>')
  for (const id of [...ids.map(({ ID }) => ID), ...others]) {
    plain = plain.replaceAll(gcMark(syncSet, id), `<mark of ${id}>`)
  }
  plain = plain.replaceAll(base, '<base>').replaceAll(new RegExp(`\\b${base.slice(0, 7)}\\b`, 'g'), '<base>')
  for (const revision of revisions) {
    plain = plain
      .replaceAll(revision, '<commit>')
      .replaceAll(new RegExp(`\\b${revision.slice(0, 7)}\\b`, 'g'), '<commit>')
  }
  return plain
}

/** Every revision that a recording names. */
export function revisionsIn(recording: unknown): string[] {
  return [...new Set(JSON.stringify(recording).match(/\b[\da-f]{40}\b/g))]
}

/**
 * A body as both sides can be held against each other: JSON read, lists of workloads by ID, since Go's order is random; of
 * errors the help by its name only, and without the fields that only ours has.
 */
export function bodyValue(body: string): unknown {
  const value = parseJson(body)
  if (Array.isArray(value) && value.every(hasId)) return value.toSorted((a, b) => (a.ID < b.ID ? -1 : 1))
  if (isError(value)) return typedError(value.type, value.error)
  if (isObject(value)) {
    const { ErrCode: _, ...rest } = value
    return rest
  }
  return value === undefined ? body : value
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hasId(value: unknown): value is { ID: string } {
  return isObject(value) && 'ID' in value
}

function isError(value: unknown): value is { type: string; help: string; error: string } {
  return isObject(value) && 'help' in value && 'error' in value
}

/** The help of an error, which a screen may show. */
export function helpIn(body: string): string | undefined {
  const value = parseJson(body)
  return isError(value) ? value.help.trimEnd() : undefined
}

export const cronJob = 'demo:cronjob/report'

/** Ours without what it says of the CronJob that the original can't see, wherever the recorded side does not see it. */
export function withoutCronJob(theirs: unknown, ours: unknown): unknown {
  if (typeof theirs === 'string' && typeof ours === 'string') return withoutRows(theirs, ours)
  if (Array.isArray(theirs) && Array.isArray(ours)) {
    const seen = theirs.some((item) => hasId(item) && item.ID === cronJob)
    return ours
      .filter((item) => seen || !hasId(item) || item.ID !== cronJob)
      .map((item, index) => withoutCronJob(theirs[index], item))
  }
  // a list of the CronJob alone is nothing at all to the original
  if (theirs === null && Array.isArray(ours)) {
    const others = ours.filter((item) => !hasId(item) || item.ID !== cronJob)
    return others.length === 0 ? null : others
  }
  if (!isObject(theirs) || !isObject(ours)) return ours
  return Object.fromEntries(
    Object.entries(ours).map(([key, value]) => {
      const recorded = theirs[key]
      const unseen =
        key === cronJob && isObject(recorded) && recorded['Error'] === 'not accessible in cluster'
      return [key, unseen ? recorded : withoutCronJob(recorded, value)]
    }),
  )
}

/** A screen without the rows of the CronJob, or with them as the original has them. */
function withoutRows(theirs: string, ours: string): string {
  if (theirs.startsWith('[')) {
    const document = withoutCronJob(parseJson(theirs), parseJson(ours)) as object
    const text = formatWire(document).replace(/\\u003c(digest|time|mark of [^\\]+)\\u003e/g, '<$1>')
    return ours.includes(cronJob) ? `${text}\n` : ours
  }
  const rows = new RegExp(`^${cronJob} .*\\n(?: .*\\S.*\\n)*`, 'gm')
  const recorded = theirs.match(rows)?.join('') ?? ''
  return recorded === '' || recorded.includes('not accessible in cluster')
    ? ours.replace(rows, recorded)
    : ours
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What a file of manifests says, whatever its layout. */
export function meaningOf(text: string | undefined): unknown[] {
  if (text === undefined) return []
  return parseAllDocuments(text)
    .map((document) => document.toJS() as unknown)
    .filter((value) => value !== null)
}

/** How many values differ between two readings. */
export function countChanges(before: unknown, after: unknown): number {
  if (typeof before !== 'object' || typeof after !== 'object' || before === null || after === null) {
    return before === after ? 0 : 1
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys].reduce((sum, key) => {
    const [a, b] = [before, after].map((side) => (side as Record<string, unknown>)[key])
    return sum + countChanges(a ?? {}, b ?? {}) + (a === undefined || b === undefined ? 1 : 0)
  }, 0)
}

/** Send one request exactly as given: no header of its own but `Host` and those of the body. */
export function send(
  url: string,
  { method, path, query, headers, body }: HttpRecording['request'],
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      new URL(url),
      { method, path: query === '' ? path : `${path}?${query}`, headers, agent: false },
      async (reply) => {
        let text = ''
        for await (const chunk of reply.setEncoding('utf8')) text += chunk
        resolve({
          status: reply.statusCode ?? 0,
          headers: reply.headers as Record<string, string>,
          body: text,
        })
      },
    )
    outgoing.on('error', reject).end(body)
  })
}

export interface SeenExchange {
  method: string
  path: string
  query: string
  requestBody: string
  status: number | null
  responseBody: string
}

export interface Recorder extends AsyncDisposable {
  readonly port: number
  /** what went through since this was last asked */
  take(): SeenExchange[]
  /** where requests go from now on */
  target: string
}

/** Stands between client and agent and writes down what they say. */
export async function startRecorder(): Promise<Recorder> {
  const seen: SeenExchange[] = []
  const server = createServer(async (incoming, response) => {
    const requestBody = await readAll(incoming)
    const [path = '', query = ''] = (incoming.url ?? '').split('?')
    const { accept, authorization } = incoming.headers
    const headers = { ...(accept && { accept }), ...(authorization && { authorization }) }
    const method = incoming.method ?? ''
    const answer = await send(proxy.target, { method, path, query, headers, body: requestBody }).catch(
      () => undefined,
    )
    if (!answer) return void response.destroy()
    seen.push({ method, path, query, requestBody, status: answer.status, responseBody: answer.body })
    const type = answer.headers['content-type']
    response.writeHead(answer.status, type ? { 'content-type': type } : {}).end(answer.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy: Recorder = {
    port: (server.address() as AddressInfo).port,
    take: () => seen.splice(0),
    target: '',
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return proxy
}

async function readAll(incoming: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk
  return text
}

/** Exchanges without those that only repeat a question: of each run of polls, the last answer. */
export function withoutPolls(exchanges: readonly SeenExchange[]): SeenExchange[] {
  return exchanges.filter((exchange, index) => {
    const next = exchanges[index + 1]
    return !next || exchange.method !== 'GET' || exchange.path !== next.path || exchange.query !== next.query
  })
}

/** A clock that runs as much faster as it says. */
export function fastClock(times: number): Clock {
  const start = performance.now()
  return {
    now: () => new Date(),
    monotonicMs: () => (performance.now() - start) * times,
    sleep: (durationMs, signal) => delay(durationMs / times, undefined, signal ? { signal } : {}),
  }
}

/** An event as both sides can be held against each other: what kind, and of which resources where the log line lists them. */
export interface EventTold {
  type: string
  ids?: string[]
}

/** Events that the original posted. */
export function eventsPosted(bodies: readonly string[]): EventTold[] {
  return bodies.map((body) => {
    const { type, serviceIDs } = JSON.parse(body) as { type: string; serviceIDs: string[] }
    return type === 'commit' || type === 'sync' ? { type, ids: serviceIDs.toSorted() } : { type }
  })
}

/** Events in lines of a log. */
export function eventsLogged(lines: readonly string[]): EventTold[] {
  return lines.flatMap((line): EventTold[] => {
    const text = /\bevent="((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? ''
    const [, type, listed = ''] = /^(Commit|Sync): [\da-f.]+, (.*)$/.exec(text) ?? []
    if (type) {
      const ids = listed.split(', ').filter((id) => id !== 'no workloads changed' && id !== '<no changes>')
      return [{ type: type.toLowerCase(), ids: ids.toSorted() }]
    }
    if (text.startsWith('Released: ')) return [{ type: 'release' }]
    return text.startsWith('Automated release of ') ? [{ type: 'autorelease' }] : []
  })
}

/**
 * The fields of a line of logfmt, without when, how fast, on which port and where in the original's code; what was applied, in
 * order; revisions and jobs by that they are some.
 */
export function logFields(line: string): Record<string, string> {
  const plain = inWords(line, noWords).replace(/\b(?:[\da-f]{40}|[\da-f]{7})\b/g, '<revision>')
  const fields = [...plain.matchAll(/([\w-]+)=("(?:[^"\\]|\\.)*"|\S*)/g)]
  return Object.fromEntries(
    fields
      .filter(([, name = '']) => !['ts', 'caller', 'took', 'host', 'addr', 'logupstream'].includes(name))
      .map(([, name = '', value = '']) => [
        name,
        name === 'output' ? value.slice(1, -1).split('\\n').toSorted().join('\\n') : value,
      ]),
  )
}

/** Every series of `/metrics` whose name begins with `flux_`: labels and their values, without numbers. */
export function fluxSeries(text: string): Set<string> {
  const series = text.split('\n').filter((line) => line.startsWith('flux_'))
  return new Set(
    series.map((line) => {
      const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})? \S+$/.exec(line) ?? []
      const each = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => `${label}=${value}`)
      return `${name}{${each.sort().join(',')}}`
    }),
  )
}
