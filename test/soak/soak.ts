import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type JsonValue, valueAt } from '../../src/core/json.ts'
import { imageRelease, policyUpdate } from '../agent/fixtures.ts'
import type { BuiltPrograms } from '../support/built-programs.ts'
import { startHostileWriter } from './hostile-writer.ts'
import { type Answer, type Asked, judge, judgeHistory } from './judge.ts'
import { childrenOf, type Running, startProgram } from './programs.ts'
import { type Chances, chancesFrom } from './random.ts'
import { type Recorder, startRecorder } from './recorder.ts'
import { type ApiKind, type SoakWorld, startSoakWorld, workloads } from './world.ts'

/**
 * The soak: fluxd is killed again and again, at any instruction, while people release, a hostile writer pushes to the
 * same files and branch, and registry, Git server and API server fail. Afterwards, and in between, what is there is
 * judged.
 *
 * The seed decides what is done; when it happens is the machine's. So a seed leads back to the same story, not to the
 * same moment.
 */
export interface SoakOptions {
  seed: number
  api: ApiKind
  /** fluxd is killed so often */
  kills: number
  /** so many releases have lost a push to the hostile writer at least once */
  races: number
  /** it ends by then, however far it came */
  limitMs: number
  programs: BuiltPrograms
  onProgress?: (line: string) => void
}

export interface SoakReport {
  kills: number
  /** kills while a push was under way */
  killsInPush: number
  releases: number
  /** releases that lost a push to the writer at least once */
  races: number
  /** repeats of requests that were answered already */
  repeats: number
  answers: number
  automatedCommits: number
  writerCommits: number
  markerMoves: number
  outages: number
  /** by code: ends of jobs that are no fault of fluxd's */
  failures: ReadonlyMap<string, number>
  /** what should never be, in words; empty is good */
  violations: readonly string[]
  /** all of what fluxd said, over all its lives */
  log: readonly string[]
  tookMs: number
}

/** What a job may fail with while the world is as it is; after that the same request is sent again. */
const excused = new Set([
  'CLUSTER_UNREACHABLE',
  'GIT_NOT_READY',
  'GIT_PUSH_REJECTED',
  'GIT_PUSH_RACE',
  'GIT_UNREACHABLE',
  'GIT_TIMEOUT',
  'GIT_NOT_WRITABLE',
  'GIT_OBJECT_MISSING',
  'JOB_TIMEOUT',
  'MANIFEST_SYNTAX',
  'IMAGE_MISSING',
  'REGISTRY_RATE_LIMITED',
  'REGISTRY_UNAVAILABLE',
  'REGISTRY_INVALID',
  'REGISTRY_TIMEOUT',
])
const clients = 4

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const startedMs = Date.now()
  const deadlineMs = startedMs + options.limitMs
  const chances = chancesFrom(options.seed)
  await using world = await startSoakWorld(options.api)
  const violations: string[] = []
  const log: string[] = []
  const asked = new Map<string, Asked>()
  const answers = new Map<string, Answer>()
  const failures = new Map<string, number>()
  const raced = new Set<string>()
  const unapplied: { object: string; atMs: number }[] = []
  const count = { kills: 0, killsInPush: 0, repeats: 0, outages: 0, automated: 0 }

  // ---- fluxd, and whoever kills it

  let running: Running | undefined
  let url: string | undefined
  const take = (line: string) => {
    log.push(line)
    const port = / addr=\S* port=(\d+)/.exec(line)?.[1]
    if (port) url = `http://127.0.0.1:${port}/api/flux`
    if (line.includes('deriving the change again')) {
      for (const id of /jobID=(\S+)/.exec(line)?.[1]?.split(',') ?? []) raced.add(id)
    }
    const failed = /method=Sync resource=\S+:(\w+)\/(\S+) source=\S+ err=/.exec(line)
    if (failed) unapplied.push({ object: `${failed[1]}/${failed[2]}`, atMs: Date.now() })
    if (/code=(INTERNAL|STORE_REBUILT|STORE_LOCKED|STORE_UNUSABLE)\b|stack=|should not have/.test(line))
      violations.push(`fluxd says: ${line}`)
  }
  const start = () => {
    log.push(`---- life ${count.kills + 1}`)
    running = startFluxd(world, options.programs, take)
    const mine = running
    void mine.ended.then(async (code) => {
      if (running !== mine) return
      // as the original does, which its Deployment starts again
      const gaveUp = code === 1 && mine.log.some((line) => line.includes('code=CLUSTER_UNREACHABLE'))
      if (!gaveUp) return void violations.push(`fluxd ended by itself with ${code}`)
      await delay(200)
      if (running === mine) start()
    })
  }
  const kill = async (withChildren: boolean) => {
    const dying = running
    if (!dying) return
    const orphans = withChildren ? childrenOf(dying.pid) : []
    url = undefined
    running = undefined
    dying.kill('SIGKILL')
    for (const pid of orphans) {
      try {
        process.kill(-pid, 'SIGKILL') // each leads a group of its own
      } catch {
        // it ended by itself
      }
    }
    await dying.ended
    count.kills += 1
  }

  const isReady = () => running?.log.some((line) => line.includes('event=refreshed')) ?? false
  const killAgainAndAgain = async (mine: Chances) => {
    let answered = 0
    while (count.kills < options.kills && Date.now() < deadlineMs && violations.length === 0) {
      if (mine.percent(15)) await delay(mine.between(0, 700))
      else {
        await waitFor(isReady, 30_000)
        if (mine.percent(50)) await delay(mine.between(0, 5_000))
        else {
          const before = world.upstream.requests.length
          const pushes = () =>
            world.upstream.requests
              .slice(before)
              .some((line) => line.includes('POST') && line.includes('receive-pack'))
          if (await waitFor(pushes, 20_000)) count.killsInPush += 1
          await delay(mine.between(0, 250))
        }
      }
      // it may live until somebody got an answer, now and then: else a slow machine sees nothing but starts
      if (count.kills % 3 === 2) await waitFor(() => answers.size > answered, 60_000)
      answered = answers.size
      await kill(mine.percent(40))
      const folders = temporaryFolders(world)
      if (folders.length > 3) violations.push(`temporary folders pile up: ${folders.join(' ')}`)
      start()
    }
  }

  // ---- people

  const ask = async (id: string): Promise<string | undefined> => {
    const { spec } = asked.get(id) ?? {}
    const { status, body } = await send(url, 'POST', '/v9/update-manifests', spec, { 'flux-request-id': id })
    if (status === 200) return String(body)
    tally(failures, String(valueAt(body, 'code') ?? status))
    if (status !== 0 && !excused.has(String(valueAt(body, 'code')))) {
      violations.push(`request ${id} was refused with ${status}: ${JSON.stringify(body)}`)
    }
    return undefined
  }

  /** Ask until there is an answer, as a script would that has a retry around it. */
  const insist = async (
    id: string,
  ): Promise<{ job: string; revision: string; raced: boolean } | undefined> => {
    let lost = false
    while (violations.length === 0 && Date.now() < deadlineMs + 60_000) {
      const job = await ask(id)
      let state = 'unknown'
      while (job !== undefined && ['unknown', 'queued', 'running'].includes(state)) {
        await delay(60)
        const { status, body } = await send(url, 'GET', `/v6/jobs?id=${job}`)
        if (status !== 200) break // it was killed, and its successor may not know
        state = String(valueAt(body, 'StatusString'))
        lost ||= raced.has(job)
        if (state === 'succeeded') {
          return { job, revision: String(valueAt(body, 'Result', 'revision') ?? ''), raced: lost }
        }
        if (state === 'failed') {
          const code = String(valueAt(body, 'ErrCode') ?? 'none')
          tally(failures, code)
          if (!excused.has(code)) {
            violations.push(
              `job ${job} of request ${id} failed with ${code}: ${String(valueAt(body, 'Err'))}`,
            )
          }
        }
      }
      await delay(100)
    }
    return undefined
  }

  let done = false
  const racedReleases = () =>
    [...answers.values()].filter((answer) => answer.raced && asked.get(answer.id)?.tag !== undefined).length
  const isEnough = () =>
    (count.kills >= options.kills && racedReleases() >= options.races) ||
    Date.now() >= deadlineMs ||
    violations.length > 0
  let requests = 0
  const beClient = async (mine: Chances) => {
    while (!isEnough()) {
      const id = `soak-${options.seed}-${++requests}`
      asked.set(id, mine.percent(75) ? release(world, mine, id, requests) : ruling(mine, id, requests))
      const answer = await insist(id)
      if (!answer) return
      answers.set(id, { id, ...answer })
      if (mine.percent(30)) {
        await delay(mine.between(0, 2_000))
        count.repeats += 1
        const again = await insist(id)
        if (again && again.revision !== answer.revision) {
          violations.push(`request ${id} made ${answer.revision}, and asked again ${again.revision}`)
        }
        // the note that binds the job to the commit may have been dropped by the hostile writer
        if (again && again.job !== answer.job && writer.notesDropped() === 0) {
          violations.push(`request ${id} got job ${answer.job}, and asked again ${again.job}`)
        }
      }
      await delay(mine.between(0, 400))
    }
  }

  // ---- the rest of the world

  const pushImages = async (mine: Chances) => {
    while (!isEnough()) {
      await delay(mine.between(1_000, 4_000))
      const name = mine.pick(workloads.automated)
      count.automated += 1
      await pushImage(world, name, count.automated)
      await notifyOf(world, url, name)
    }
  }
  const hinderRegistry = async (mine: Chances) => {
    while (!isEnough()) {
      const headers = { 'retry-after': '1' }
      // a complaint halves the rate for twenty minutes: more of them, and nothing would be asked for any more
      const complains = mine.percent(2)
      const answer = mine.pick([
        { status: complains ? 429 : 502, headers },
        { status: 500 },
        { status: 503, headers },
        'truncate' as const,
        'stall' as const,
        'drop' as const,
        'corrupt' as const,
      ])
      // an image whose bytes are spoiled is left alone for an hour, and automation by time waits for it
      const on = answer === 'corrupt' ? /tags\/list/ : /^/
      world.registry.fail({ on, answer, times: 1 + mine.below(3) })
      await delay(mine.between(500, 3_000))
    }
  }
  const hinderGit = async (mine: Chances) => {
    while (!isEnough()) {
      const before = mine.percent(60) ? mine.between(0, 0.25) : 0
      const after = mine.percent(30) ? mine.between(0, 0.4) : 0
      await world.setHooks({ before, after, refuse: false })
      await delay(mine.between(200, 1_500))
      // for a moment only: a fluxd that may not write looks again after ten seconds
      if (mine.percent(5)) await world.setHooks({ before, after, refuse: true })
      await delay(mine.between(0, 100))
    }
    await world.setHooks({ before: 0, after: 0, refuse: false })
  }
  const hinderApi = async (mine: Chances) => {
    while (!isEnough()) {
      await delay(mine.between(2_000, 8_000))
      count.outages += 1
      if (mine.percent(options.api === 'real' ? 4 : 30)) {
        await world.plane.stopApiServer()
        await delay(mine.between(0, 1_000))
        await world.plane.startApiServer()
      } else {
        await world.gate.bar()
        await delay(mine.between(0, 1_200))
        await world.gate.unbar()
      }
    }
  }
  const tell = async () => {
    let checkedAt = 0
    while (!done) {
      await delay(1_000)
      const seconds = Math.round((Date.now() - startedMs) / 1000)
      if (seconds % 10 === 0) {
        options.onProgress?.(
          `${seconds} s: ${count.kills} kills, ${answers.size} answers, ${racedReleases()} raced releases, ${writer.commits().length} of the writer`,
        )
      }
      if (count.kills >= checkedAt + 25) {
        checkedAt = count.kills
        violations.push(...(await judgeHistory({ world, asked, writer, answers })))
      }
    }
  }

  // ---- the story

  const stopRecording = new AbortController()
  const recorder: Recorder = startRecorder(world.plane, stopRecording.signal)
  const writer = startHostileWriter(world, chances.branch(), isEnough, () => answers.size)
  start()
  // who is released must run
  await waitFor(() => log.some((line) => line.includes('state="tag flux-sync"')), 60_000)
  const telling = tell()
  try {
    await Promise.all([
      killAgainAndAgain(chances.branch()),
      ...Array.from({ length: clients }, () => beClient(chances.branch())),
      pushImages(chances.branch()),
      hinderRegistry(chances.branch()),
      hinderGit(chances.branch()),
      hinderApi(chances.branch()),
      writer.ended,
    ])
    if (violations.length === 0) {
      await useUpFaults(world)
      for (const name of workloads.automated) await pushImage(world, name, 1_000_000)
      violations.push(
        ...(await judge({
          world,
          asked,
          answers,
          writer,
          recorder,
          unapplied,
          poke: () => pokeAll(world, url),
        })),
      )
    }
    const last = running
    running = undefined
    last?.kill('SIGTERM')
    const code = await last?.ended
    if (code !== 0) violations.push(`told to end, fluxd ended with ${code}`)
    const folders = temporaryFolders(world)
    if (folders.length > 0) violations.push(`temporary folders are left: ${folders.join(' ')}`)
  } finally {
    done = true
    running?.kill('SIGKILL')
    await telling
    stopRecording.abort()
    await recorder.ended
  }
  const refLog = await world.refLog()
  return {
    kills: count.kills,
    killsInPush: count.killsInPush,
    releases: [...answers.keys()].filter((id) => asked.get(id)?.tag !== undefined).length,
    races: racedReleases(),
    repeats: count.repeats,
    answers: answers.size,
    automatedCommits: log.filter((line) => line.includes('added update to automation run')).length,
    writerCommits: writer.commits().length,
    markerMoves: refLog.filter(({ ref, pushed }) => pushed && ref === 'refs/tags/flux-sync').length,
    outages: count.outages,
    failures,
    violations: [...new Set(violations)],
    log,
    tookMs: Date.now() - startedMs,
  }
}

function startFluxd(world: SoakWorld, programs: BuiltPrograms, onLine: (line: string) => void): Running {
  const args = [
    `--git-url=${world.upstream.url}`,
    '--git-branch=main',
    '--git-user=fluxd',
    '--git-email=fluxd@example.com',
    '--git-set-author',
    '--git-poll-interval=1s',
    '--git-timeout=10s',
    '--sync-interval=2s',
    '--sync-timeout=15s',
    '--automation-interval=2s',
    `--registry-cache-dir=${join(world.home, 'store')}`,
    `--registry-insecure-host=${world.registry.host}`,
    '--listen=127.0.0.1:0',
  ]
  const env = {
    PATH: process.env['PATH'],
    HOME: world.home,
    TMPDIR: join(world.home, 'tmp'),
    KUBECONFIG: world.kubeconfig,
  }
  return startProgram(programs.main('fluxd'), args, env, onLine)
}

/** What fluxd leaves in its folder for temporary files. */
/** Without those of a fluxd that was killed while it made one: they go when they are a minute old. */
function temporaryFolders(world: SoakWorld): string[] {
  const parent = join(world.home, 'tmp')
  return readdirSync(parent).filter((name) => {
    const inTheMaking = name.startsWith('flux-run-') && readdirSync(join(parent, name)).length === 0
    return !inTheMaking || Date.now() - statSync(join(parent, name)).mtimeMs > 120_000
  })
}

function release(world: SoakWorld, chances: Chances, id: string, number: number): Asked {
  const workload = chances.pick(workloads.released)
  const tag = `2.0.${number}`
  world.registry.push(workload, tag, '2024-06-02T09:00:00Z')
  const image = `${world.registry.host}/${workload}:${tag}`
  return {
    id,
    workload,
    tag,
    spec: imageRelease([`demo:deployment/${workload}`], image, { force: true }),
  }
}

function ruling(chances: Chances, id: string, number: number): Asked {
  const workload = chances.pick(workloads.ruled)
  const pattern = `glob:r${number}-*`
  return {
    id,
    workload,
    pattern,
    spec: policyUpdate(`demo:deployment/${workload}`, { add: { 'tag.app': pattern } }),
  }
}

async function pushImage(world: SoakWorld, name: string, number: number): Promise<void> {
  const createdAt = new Date(Date.UTC(2024, 6, 1) + number * 60_000).toISOString()
  world.registry.push(name, `1.0.${number}`, createdAt)
}

async function notifyOf(world: SoakWorld, url: string | undefined, name: string): Promise<void> {
  const Source = { Name: { Domain: world.registry.host, Image: name } }
  await send(url, 'POST', '/v11/notify', { Kind: 'image', Source })
}

/** Faults that have hit nobody yet. */
async function useUpFaults(world: SoakWorld): Promise<void> {
  const signal = AbortSignal.timeout(500)
  const address = `http://${world.registry.host}/v2/nosuch/tags/list`
  const tries = Array.from({ length: 40 }, () => fetch(address, { signal }))
  await Promise.allSettled(tries)
}

async function pokeAll(world: SoakWorld, url: string | undefined): Promise<void> {
  for (const name of workloads.automated) await notifyOf(world, url, name)
}

/** @returns status 0 where nobody answers */
async function send(
  url: string | undefined,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: JsonValue }> {
  if (url === undefined) return { status: 0, body: null }
  try {
    const reply = await fetch(`${url}${path}`, {
      method,
      headers: { accept: 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await reply.text()
    return { status: reply.status, body: text === '' ? null : (JSON.parse(text) as JsonValue) }
  } catch {
    return { status: 0, body: null }
  }
}

function tally(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1)
}

async function waitFor(isSo: () => boolean, limitMs: number): Promise<boolean> {
  const deadlineMs = Date.now() + limitMs
  while (!isSo()) {
    if (Date.now() > deadlineMs) return false
    await delay(15)
  }
  return true
}
