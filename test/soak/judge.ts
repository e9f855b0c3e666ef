import { setTimeout as delay } from 'node:timers/promises'
import { parseAllDocuments } from 'yaml'
import { type JsonValue, valueAt } from '../../src/core/json.ts'
import { request } from '../../src/playground/kube/control-plane.ts'
import type { HostileWriter } from './hostile-writer.ts'
import { contentOf, type Recorder } from './recorder.ts'
import { fileOf, namespace, type SoakWorld, workloads } from './world.ts'

/** What must hold whatever happened. Each function returns what doesn't, in words. */

export interface Asked {
  id: string
  workload: string
  /** of a release */
  tag?: string
  /** of a change of policy */
  pattern?: string
  spec: unknown
}

export interface Answer {
  id: string
  job: string
  revision: string
  raced: boolean
}

interface Judged {
  world: SoakWorld
  asked: ReadonlyMap<string, Asked>
  answers: ReadonlyMap<string, Answer>
  writer: HostileWriter
}

interface Commit {
  revision: string
  parents: string[]
  committer: string
  message: string
  /** the request that it says it was made for */
  id: string | undefined
  /** path → lines that went, lines that came */
  changes: Map<string, { removed: string[]; added: string[] }>
}

/** Branch and objects, at any moment. */
export async function judgeHistory({ world, asked, answers, writer }: Judged): Promise<string[]> {
  const { upstream } = world
  const wrong: string[] = []
  const answered = [...answers.values()]
  const written = [...writer.commits()]
  const commits = await readCommits(world)
  const byRevision = new Map(commits.map((commit) => [commit.revision, commit]))

  const fsck = () => upstream.git('fsck', '--strict', '--no-dangling', '--no-progress').catch(String)
  // it reads refs after objects: what is pushed in between looks lost to it
  for (let tries = 1, said = await fsck(); said !== ''; said = await fsck()) {
    if (tries++ === 5) {
      wrong.push(`git fsck --strict: ${said}`)
      break
    }
  }
  for (const { revision, parents } of commits.slice(0, -1)) {
    if (parents.length !== 1) wrong.push(`commit ${revision} has ${parents.length} parents`)
  }
  for (const revision of written) {
    if (!byRevision.has(revision)) wrong.push(`commit ${revision} of the writer is lost`)
  }
  const made = new Map<string, string>()
  const versions = new Map<string, number>()
  for (const commit of commits.toReversed()) {
    const { revision, id, committer } = commit
    if (committer !== 'fluxd') continue
    if (id === undefined) wrong.push(...judgeAutomated(commit, versions))
    else {
      const request = asked.get(id)
      if (made.has(id)) wrong.push(`request ${id} made two commits: ${made.get(id)} and ${revision}`)
      made.set(id, revision)
      if (!request) wrong.push(`commit ${revision} is of request ${id}, which nobody made`)
      else wrong.push(...judgeChange(commit, request))
    }
  }
  for (const { id, revision } of answered) {
    if (made.get(id) !== revision)
      wrong.push(`request ${id} is answered by ${revision}, its commit is ${made.get(id)}`)
  }
  return wrong
}

function judgeChange({ revision, changes }: Commit, { id, workload, tag, pattern }: Asked): string[] {
  const what = `commit ${revision} of request ${id}`
  const [change, ...others] = [...changes]
  if (!change || others.length > 0) return [`${what} changes ${[...changes.keys()].join(', ') || 'nothing'}`]
  const [path, { removed, added }] = change
  if (path !== fileOf(workload)) return [`${what} changes ${path}`]
  const lines = `-${removed.join('\n-')}\n+${added.join('\n+')}`
  if (tag !== undefined) {
    const replaced = removed.map((line) => line.replace(/:[^:\s]+( {3}#)/, `:${tag}$1`))
    const isOwn = removed.length === 1 && replaced[0] === added[0] && added.length === 1
    return isOwn ? [] : [`${what} changes more than the tag:\n${lines}`]
  }
  const isOwn =
    added.some((line) => line.includes(`fluxcd.io/tag.app: ${pattern}`)) &&
    [...removed, ...added].every((line) => /^\s*(annotations:|fluxcd\.io\/tag\.app: )/.test(line))
  return isOwn ? [] : [`${what} changes more than the policy:\n${lines}`]
}

/** Only images that are automated, one line each, and never backwards. */
function judgeAutomated({ revision, changes }: Commit, versions: Map<string, number>): string[] {
  return [...changes].flatMap(([path, { removed, added }]) => {
    const what = `automated commit ${revision}`
    const name = workloads.automated.find((name) => fileOf(name) === path)
    const version = /image: \S+:1\.0\.(\d+) /.exec(added[0] ?? '')?.[1]
    if (name === undefined || version === undefined || removed.length !== 1 || added.length !== 1) {
      return [`${what} changes ${path}:\n-${removed.join('\n-')}\n+${added.join('\n+')}`]
    }
    const before = versions.get(name) ?? 0
    versions.set(name, Number(version))
    return Number(version) > before ? [] : [`${what} takes ${name} from 1.0.${before} back to 1.0.${version}`]
  })
}

/** All of it, once nobody hinders fluxd any more: first it may catch up. */
export async function judge(
  judged: Judged & {
    recorder: Recorder
    /** objects that the API server refused, which v1 doesn't hold the marker for */
    unapplied: readonly { object: string; atMs: number }[]
    /** tell fluxd of new images */
    poke(): Promise<void>
  },
): Promise<string[]> {
  const { world } = judged
  const late = await catchUp(world, judged.poke)
  return [
    ...late,
    ...(await judgeHistory(judged)),
    ...(await judgeNotes(judged)),
    ...(await judgeMarker(judged)),
  ]
}

/** Wait until the newest images are in Git, the marker is at the head, and the cluster is what Git says. */
async function catchUp(world: SoakWorld, poke: () => Promise<void>): Promise<string[]> {
  const deadlineMs = Date.now() + 90_000
  for (let round = 0; ; round++) {
    if (round % 20 === 0) await poke()
    const wrong = await differences(world)
    if (wrong.length === 0) return []
    if (Date.now() > deadlineMs) return wrong
    await delay(250)
  }
}

async function differences(world: SoakWorld): Promise<string[]> {
  const { upstream, plane } = world
  const head = await upstream.git('rev-parse', 'refs/heads/main')
  const marker = await upstream.git('rev-parse', 'refs/tags/flux-sync^{commit}')
  const wrong = marker === head ? [] : [`the marker stays at ${marker}, and the branch is at ${head}`]
  const wanted = await contentsAt(world, head, new Map())
  for (const name of workloads.automated) {
    if (!wanted.get(`Deployment/${name}`)?.includes(':1.0.1000000'))
      wrong.push(`the newest image of ${name} is not released`)
  }
  for (const [object, content] of wanted) {
    const [kind = '', name = ''] = object.split('/')
    const root = kind === 'Deployment' ? '/apis/apps/v1' : '/api/v1'
    const path = `${root}/namespaces/${namespace}/${kind.toLowerCase()}s/${name}`
    const live = contentOf((await request(plane, 'GET', path)).body as JsonValue)
    if (live !== content) wrong.push(`${object} is ${live} in the cluster, and ${content} in Git`)
  }
  return wrong
}

/** Each note stands on a commit of the branch and tells of the same request; no commit of fluxd is without. */
async function judgeNotes({ world, writer }: Judged): Promise<string[]> {
  const { upstream } = world
  const wrong: string[] = []
  const commits = new Map((await readCommits(world)).map((commit) => [commit.revision, commit]))
  const listed = await upstream.git('notes', '--ref=flux', 'list').catch(() => '')
  const noted = new Set<string>()
  for (const line of listed.split('\n').filter(Boolean)) {
    const [blob = '', revision = ''] = line.split(' ')
    noted.add(revision)
    const commit = commits.get(revision)
    const note = JSON.parse(await upstream.git('cat-file', 'blob', blob)) as JsonValue
    if (!commit) wrong.push(`a note stands on ${revision}, which is not on the branch`)
    else if ((valueAt(note, 'requestID') ?? undefined) !== commit.id) {
      wrong.push(
        `the note on ${revision} is of request ${String(valueAt(note, 'requestID'))}, the commit of ${commit.id}`,
      )
    }
  }
  for (const { revision, committer } of commits.values()) {
    if (committer === 'fluxd' && !noted.has(revision) && !writer.beforeDrop.has(revision))
      wrong.push(`commit ${revision} has no note`)
  }
  return wrong
}

/** The marker went only to revisions of which every object had been applied, or refused, by then. */
async function judgeMarker({
  world,
  recorder,
  unapplied,
}: {
  world: SoakWorld
  recorder: Recorder
  unapplied: readonly { object: string; atMs: number }[]
}): Promise<string[]> {
  const wrong: string[] = []
  const blobs = new Map<string, Promise<string>>()
  const revisions = new Set((await world.upstream.git('rev-list', 'main')).split('\n'))
  for (const { ref, to, pushed, atMs } of await world.refLog()) {
    if (ref !== 'refs/tags/flux-sync' || !pushed || /^0+$/.test(to)) continue
    const revision = await world.upstream.git('rev-parse', `${to}^{commit}`)
    if (!revisions.has(revision)) wrong.push(`the marker went to ${revision}, which is not on the branch`)
    // a watch is told a little after the API server has said yes
    const byMs = atMs + 3_000
    if (recorder.blind.some(({ fromMs, toMs }) => atMs > fromMs - 1_000 && atMs < toMs + 1_000)) continue
    const contents = await contentsAt(world, revision, blobs).catch(String)
    if (typeof contents === 'string') {
      wrong.push(`the marker went to ${revision}, which cannot be read: ${contents}`)
      continue
    }
    for (const [object, content] of contents) {
      const seenAtMs = recorder.seenAtMs(object, content)
      if (seenAtMs !== undefined && seenAtMs <= byMs) continue
      const key = object.toLowerCase()
      if (
        unapplied.some(
          (refused) => refused.object === key && refused.atMs < byMs && refused.atMs > atMs - 20_000,
        )
      )
        continue
      wrong.push(
        `the marker went to ${revision} at ${atMs}, and ${object} was ${seenAtMs ? `applied at ${seenAtMs}` : `never ${content}`}`,
      )
    }
  }
  return wrong
}

/** What a revision says of every object, `Kind/name` → content. */
async function contentsAt(
  { upstream }: SoakWorld,
  revision: string,
  blobs: Map<string, Promise<string>>,
): Promise<Map<string, string>> {
  const contents = new Map<string, string>()
  for (const line of (await upstream.git('ls-tree', '-r', revision)).split('\n')) {
    const hash = line.split(/\s/)[2] ?? ''
    const text = blobs.get(hash) ?? upstream.git('cat-file', 'blob', hash)
    blobs.set(hash, text)
    for (const document of parseAllDocuments(await text)) {
      const [error] = document.errors
      if (error) throw error
      const object = document.toJS() as JsonValue
      const kind = String(valueAt(object, 'kind'))
      if (kind === 'Namespace') continue
      contents.set(`${kind}/${String(valueAt(object, 'metadata', 'name'))}`, contentOf(object))
    }
  }
  return contents
}

/** The branch, newest first. */
async function readCommits({ upstream }: SoakWorld): Promise<Commit[]> {
  const text = await upstream.git(
    'log',
    '--format=%x01%H%x02%P%x02%cn%x02%B%x02',
    '-U0',
    '-p',
    '--no-color',
    '--no-renames',
    'refs/heads/main',
  )
  return text
    .split('\x01')
    .slice(1)
    .map((entry) => {
      const [revision = '', parents = '', committer = '', message = '', diff = ''] = entry.split('\x02')
      return {
        revision,
        parents: parents.split(' ').filter(Boolean),
        committer,
        message,
        id: /^Flux-Request-Id: (\S+)$/m.exec(message)?.[1],
        changes: readDiff(diff),
      }
    })
}

function readDiff(diff: string): Commit['changes'] {
  const changes: Commit['changes'] = new Map()
  let current = { removed: [] as string[], added: [] as string[] }
  for (const line of diff.split('\n')) {
    const path = /^diff --git a\/(.+) b\//.exec(line)?.[1]
    if (path !== undefined) {
      current = { removed: [], added: [] }
      changes.set(path, current)
    } else if (/^(---|\+\+\+) /.test(line)) continue
    else if (line.startsWith('-')) current.removed.push(line.slice(1))
    else if (line.startsWith('+')) current.added.push(line.slice(1))
  }
  return changes
}
