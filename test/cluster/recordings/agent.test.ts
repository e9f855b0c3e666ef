import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readGitUser } from '../../../src/adapters/fluxd/git-user.ts'
import { openKubeAccess } from '../../../src/adapters/kube/access.ts'
import { syncSetName } from '../../../src/core/sync/inventory.ts'
import { type CliRun, runCli } from '../../support/cli.ts'
import { planeSkipReason } from '../../support/control-plane.ts'
import { createGitWorld, type GitWorld } from '../../support/git.ts'
import { type Recording, readRecording } from '../../support/replay.ts'
import {
  fixtures,
  type RunningAgent,
  startWorld,
  until,
  type World,
  writeHistory,
} from '../../support/world.ts'
import {
  bodyValue,
  type CommitMade,
  countChanges,
  cronJob,
  type EventTold,
  eventsLogged,
  eventsPosted,
  fastClock,
  fluxSeries,
  type HttpRecording,
  helpIn,
  inWords,
  logFields,
  meaningOf,
  noWords,
  parseJson,
  type RecordedGit,
  type Recorder,
  readHttpRecordings,
  revisionsIn,
  type SeenExchange,
  send,
  startRecorder,
  type Words,
  withoutCronJob,
  withoutPolls,
} from './compare.ts'
import {
  type Answer,
  differences,
  isLineLeftOut,
  isMetricLeftOut,
  leftOut,
  personCommits,
  typedError,
} from './differences.ts'

/**
 * Every recording of the original fluxd, asked of ours: the world built again on a real API server, the same requests and
 * the same commands, and then the same answers, screens, commits, notes and marks, but for what `differences.ts` lists.
 */

interface CliRecording extends Recording {
  id: string
  git?: RecordedGit
  events?: string[]
}

const recordedBase = JSON.parse(readFileSync(`${fixtures}/misc/base.json`, 'utf8')) as {
  syncSetName: string
  base: string
}
const families: Record<string, (recorded: readonly string[]) => string[]> = {
  'allowed-namespaces': (args) => [...args, '--k8s-allow-namespace=dev,demo', '--log-format=json'],
  'broken-manifest': (args) => [...args],
  'http-repository': (args) => withUrl(args, 'http://user:secret@127.0.0.1:23999/repo.git'),
  'missing-branch': (args) =>
    args.map((arg) => (arg.startsWith('--git-branch') ? '--git-branch=nosuch' : arg)),
  'no-repository': (args) => args.filter((arg) => !arg.startsWith('--git-url')),
  'scanning-disabled': (args) => [...args, '--registry-disable-scanning'],
  'unreadable-repository': (args) => withUrl(args, 'file://$WORLD/nosuch.git'),
}

const http = readHttpRecordings().filter(({ id, family }) => !isLeftOut(id, family))
const cli = (JSON.parse(readFileSync(`${fixtures}/index.json`, 'utf8')) as { file: string; agent?: string }[])
  .filter(({ file, agent }) => file.startsWith('cli/') && agent === 'original')
  .map(({ file }) => ({
    ...(readRecording(file.slice('cli/'.length)) as CliRecording),
    id: file.slice('cli/'.length, -'.json'.length),
  }))
  .filter(({ id, family, argv }) => !isLeftOut(id, family) && !argv.includes('save'))

let world: World
let proxy: Recorder
let agent: RunningAgent
let original: { git: GitWorld; folder: string; base: string }

describe.skipIf(planeSkipReason !== undefined)('the recordings', () => {
  beforeAll(async () => {
    const [ours, recorder, git] = await Promise.all([startWorld(), startRecorder(), createGitWorld()])
    world = ours
    proxy = recorder
    world.map(23031, proxy.port)
    const folder = mkdtempSync(join(tmpdir(), 'original-repo-'))
    await git.git(folder, [
      'init',
      '--quiet',
      '--bare',
      '--initial-branch=master',
      join(git.home, 'base.git'),
    ])
    const base = await writeHistory(git.git, join(git.home, 'base.git'), (text) => text)
    cpSync(`${fixtures}/world/repo`, folder, { recursive: true })
    original = { git, folder, base }
    writeFileSync(join(git.home, 'gitconfig'), '[user]\n\tname = World User\n\temail = world@example.com\n')
  }, 60_000)

  afterAll(async () => {
    rmSync(original.folder, { recursive: true, force: true })
    await Promise.all([original.git, proxy, world].map((part) => part[Symbol.asyncDispose]()))
  })

  test('the world is the recorded one', () => {
    expect(original.base).toBe(recordedBase.base)
  })

  describe('the main agent', () => {
    useAgent('main')
    const mine = ({ family }: { family: string }) => families[family] === undefined

    test.each(['deployment-list-a', 'deployment-podinfo', 'namespace-demo', 'secret-settings'])(
      'applies the object %s as it was',
      compareObject,
    )
    describe('over HTTP', () => {
      test.each(http.filter(mine))('$id', (recording) => replayHttp(recording))
    })
    describe('by fluxctl', () => {
      test.each(cli.filter(mine))('$id', (recording) => replayCli(recording))
    })

    test('has the same metrics', async () => {
      const theirs = fluxSeries(readFileSync(`${fixtures}/misc/metrics.txt`, 'utf8'))
      const { body } = await send(agent.url, { ...plainGet, path: '/metrics' })
      const ours = fluxSeries(body)

      const missing = [...theirs].filter((series) => !ours.has(series) && !isMetricLeftOut(series))
      expect(missing).toEqual([])
    })

    test('says the same in its log', () => {
      const ours = agent.log.map((line) => logFields(world.toRecorded(line)))
      const recorded = ['agent-log-first-start', 'agent-log-line-shapes'].flatMap((name) =>
        readFileSync(`${fixtures}/misc/${name}.txt`, 'utf8')
          .split('\n')
          .filter((line) => line.startsWith('ts=')),
      )

      const missing = recorded
        .filter((line) => !isLineLeftOut(line))
        .map(logFields)
        .filter((fields) => !ours.some((line) => isPart(fields, line)))
      expect(missing).toEqual([])
    })
  })

  describe.each(Object.keys(families))('%s', (family) => {
    useAgent(family)
    const mine = (recording: { family: string }) => recording.family === family

    test.each(http.filter(mine))('$id over HTTP', (recording) => replayHttp(recording))
    test.each(cli.filter(mine))('$id by fluxctl', (recording) => replayCli(recording))
  })
})

const isPart = (fields: Record<string, string>, line: Record<string, string>) =>
  Object.entries(fields).every(([key, value]) => line[key] === value)

const plainGet = { method: 'GET', path: '/', query: '', headers: {}, body: '' }

/** A live object, but for what the API server numbers and dates. */
async function compareObject(name: string): Promise<void> {
  const theirs = JSON.parse(readFileSync(`${fixtures}/misc/object-${name}.json`, 'utf8')) as LiveObject
  const { kind, metadata } = theirs
  const root = theirs.apiVersion === 'v1' ? '/api/v1' : `/apis/${theirs.apiVersion}`
  const within = metadata.namespace ? `/namespaces/${metadata.namespace}` : ''
  const path = `${root}${within}/${kind.toLowerCase()}s/${metadata.name}`
  const { body } = await world.plane.request('GET', path)
  const ours = JSON.parse(world.toRecorded(JSON.stringify(body))) as LiveObject
  const said = await words({})

  expect(readObject(ours, said.ours)).toEqual(readObject(theirs, said.theirs))
}

interface LiveObject {
  apiVersion: string
  kind: string
  metadata: {
    name: string
    namespace?: string
    labels: Record<string, string>
    annotations: Record<string, string>
  }
  spec?: object
}

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

function readObject({ metadata, spec, ...object }: LiveObject, said: Words) {
  const { name, namespace, labels, annotations } = metadata
  const { [lastApplied]: applied = 'null', ...others } = annotations
  // checksums of what names the registry's port differ with it
  const plain = (value: unknown): unknown =>
    JSON.parse(
      inWords(JSON.stringify(value ?? null), said).replace(
        spec && object.kind === 'Deployment' ? /("fluxcd.io\/sync-checksum":)"[\da-f]{40}"/g : /$^/g,
        '$1"<checksum>"',
      ),
    )
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name,
    namespace,
    labels: plain(labels),
    annotations: plain(others),
    applied: plain(JSON.parse(applied)),
    spec: plain(object.kind === 'Namespace' ? null : spec),
  }
}

function isLeftOut(id: string, family: string): boolean {
  return (leftOut[family] ?? leftOut[id]) !== undefined
}

function withUrl(args: readonly string[], url: string): string[] {
  return args.map((arg) => (arg.startsWith('--git-url') ? `--git-url=${url}` : arg))
}

/** Start one fluxd for the tests of a describe, on a world at its base. */
function useAgent(family: string): void {
  beforeAll(async () => {
    await world.resetBranch()
    await commitAsPerson(family)
    agent = await world.startAgent({ args: families[family] ?? ((args) => [...args]) })
    world.map(23030, agent.port)
    proxy.target = agent.url
    await until('fluxd has tried Git', async () =>
      /"status":"unconf|not exist|fatal:|ready"/.test(await gitStatus()),
    )
    if (family === 'main') {
      await until('the base is synced', async () => (await world.marker()) === world.base)
      await setReleaseStatus()
      await settled()
    }
  }, 60_000)

  afterAll(() => agent[Symbol.asyncDispose]())
}

function ask(method: string, path: string, body = ''): Promise<{ status: number; body: string }> {
  const headers = { Accept: 'application/json' }
  return send(agent.url, { method, path: `/api/flux${path}`, query: '', headers, body })
}

const gitStatus = async () => (await ask('POST', '/v9/git-repo-config', 'false')).body

/** What a person had committed before a recording, or a family of them. */
async function commitAsPerson(name: string): Promise<void> {
  const [files, message] = personCommits[name] ?? []
  if (files && message) await world.commit(files(readBaseFile), message)
}

const readBaseFile = (path: string) => readFileSync(`${fixtures}/world/repo/${path}`, 'utf8')

/** The one HelmRelease whose status somebody set. */
async function setReleaseStatus(): Promise<void> {
  const path = '/apis/helm.fluxcd.io/v1/namespaces/dev/helmreleases/podinfo-dev/status'
  const patch = { status: { releaseStatus: 'deployed' } }
  const { status } = await world.plane.request('PATCH', path, patch, {
    'content-type': 'application/merge-patch+json',
  })
  expect(status).toBe(200)
}

/** Until every rollout has ended. */
async function settled(): Promise<void> {
  await until('all rollouts have ended', async () => {
    const { status, body } = await ask('GET', '/v6/services')
    if (status !== 200) return true
    const workloads = (JSON.parse(body) ?? []) as { ID: string; Status: string }[]
    return workloads.every(({ ID, Status }) => ID.includes('helmrelease/') || Status === 'ready')
  })
}

/** The world at its base, or at what the recording began with. */
async function backToBase({ id, family }: { id: string; family: string }): Promise<void> {
  if (families[family]) return
  const head = await world.git('rev-parse', 'refs/heads/master')
  if (head !== world.base) {
    await world.resetBranch()
    await ask('POST', '/v9/update-manifests', '{"type":"sync","cause":{},"spec":{}}')
  }
  await until('the base is synced', async () => (await world.marker()) === world.base)
  if (/^(?:services|list-workloads)--/.test(id)) await settled()
  await commitAsPerson(id)
}

async function replayHttp(recording: HttpRecording): Promise<void> {
  await backToBase(recording)
  const before = await world.git('rev-parse', 'refs/heads/master')
  const linesBefore = agent.log.length
  const { request, response, jobStatusesSeen } = recording

  const answer = await send(agent.url, {
    ...request,
    path: world.fromRecorded(request.path),
    query: world.fromRecorded(request.query).replaceAll(' ', '%20'),
    body: world.fromRecorded(request.body),
  })
  const isJob = answer.status === 200 && jobStatusesSeen !== undefined
  const job = isJob ? await followJob(answer.body) : undefined
  const said = await words(recording)

  const lastSeen = jobStatusesSeen?.at(-1)
  const theirs = {
    status: response.status,
    type: response.headers['Content-Type'],
    location: response.headers['Location'],
    nosniff: response.headers['X-Content-Type-Options'],
    body: bodyValue(inWords(response.body, said.theirs)),
    job: lastSeen && { ...lastSeen, body: bodyValue(inWords(lastSeen.body, said.theirs)) },
  }
  const ours = {
    status: answer.status,
    type: answer.headers['content-type'],
    location: answer.headers['location'],
    nosniff: answer.headers['x-content-type-options'],
    body: bodyValue(inWords(world.toRecorded(answer.body), said.ours)),
    job: job && { ...job, body: bodyValue(inWords(world.toRecorded(job.body), said.ours)) },
  }
  const isTyped = typeof theirs.body === 'object' && theirs.body !== null && 'help' in theirs.body
  if (response.status === 400 && theirs.type?.startsWith('application/json') && !isTyped)
    theirs.body = typedError('user', expect.any(String))
  if (theirs.type?.startsWith('text/plain') && /\n\n/.test(response.body)) theirs.body = expect.any(String)
  expectEqual(recording.id, theirs, ours)
  if (recording.git) await compareGit(recording.id, recording.git, before, said)
  compareEvents(recording, linesBefore)
}

function expectEqual(id: string, theirs: object, ours: object): void {
  const expected = { ...theirs, ...differences[id]?.answer?.(theirs as Answer) }
  expect(withoutCronJob(theirs, ours)).toEqual(expected)
}

/** Ask for a job until it is done. */
async function followJob(id: string): Promise<{ status: number; body: string }> {
  let last = { status: 0, body: '' }
  await until('the job is done', async () => {
    last = await ask('GET', `/v6/jobs?id=${JSON.parse(id) as string}`)
    return last.status !== 200 || /"StatusString":"(?:succeeded|failed)"/.test(last.body)
  })
  return { status: last.status, body: last.body }
}

async function replayCli(recording: CliRecording): Promise<void> {
  await backToBase(recording)
  const before = await world.git('rev-parse', 'refs/heads/master')
  const linesBefore = agent.log.length
  proxy.take()

  const run = await runFluxctl(recording)
  const exchanges = proxy.take().map((exchange) => ({
    ...exchange,
    query: world.toRecorded(exchange.query),
    requestBody: world.toRecorded(exchange.requestBody),
    responseBody: world.toRecorded(exchange.responseBody),
  }))
  const said = await words(recording)

  const theirs = readRun(recording as CliRun & { http: SeenExchange[] }, said.theirs)
  const ours = readRun(
    { ...run, stdout: world.toRecorded(run.stdout), stderr: world.toRecorded(run.stderr), http: exchanges },
    said.ours,
  )
  if (!theirs.http.some(isLookup)) ours.http = ours.http.filter((exchange) => !isLookup(exchange))
  expectEqual(recording.id, theirs, ours)
  if (recording.git) await compareGit(recording.id, recording.git, before, said)
  compareEvents(recording, linesBefore)
}

/** fluxctl looks whether a workload exists before it says that it doesn't. */
const isLookup = ({ request }: { request: string }) => /\/v11\/services\?.*services=/.test(request)

function readRun({ exit, stdout, stderr, http: seen }: CliRun & { http: SeenExchange[] }, said: Words) {
  const helps = seen.map(({ responseBody }) => helpIn(responseBody)).filter((help) => help !== undefined)
  const screen = (text: string | null) =>
    inWords(
      helps.reduce(
        (shown, help) => shown.replace(help, '<prose>').replace(/<prose>\s+/, '<prose>\n'),
        text ?? '',
      ),
      said,
    )
  return {
    exit,
    stdout: screen(stdout),
    stderr: screen(stderr),
    http: withoutPolls(seen).map(({ method, path, query, requestBody, status, responseBody }) => ({
      request: `${method} ${path}?${inWords(query, said)} ${inWords(requestBody, said)}`,
      status,
      // whether a job has begun yet depends on speed
      body: bodyValue(
        inWords(responseBody, said).replace('"StatusString":"queued"', '"StatusString":"running"'),
      ),
    })),
  }
}

async function runFluxctl({ argv, env, kubeconfig }: CliRecording): Promise<CliRun> {
  const place = (text: string) => world.fromRecorded(text)
  const { home } = original.git
  return runCli(argv.map(place), {
    env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, place(value)])),
    neighbours: {
      clock: fastClock(5),
      gitUser: () =>
        readGitUser({
          PATH: process.env['PATH'],
          GIT_DIR: join(home, 'none'),
          GIT_CONFIG_NOSYSTEM: '1',
          GIT_CONFIG_GLOBAL: env['GIT_CONFIG_GLOBAL'] ?? join(home, 'gitconfig'),
        }),
      openKube: ({ context }) =>
        openKubeAccess({
          context,
          env: { KUBECONFIG: kubeconfig ? world.plane.kubeconfig : join(home, 'none') },
        }),
    },
  })
}

/** What varies, on either side. */
async function words(recording: unknown): Promise<{ theirs: Words; ours: Words }> {
  return {
    theirs: {
      base: recordedBase.base,
      revisions: revisionsIn(recording),
      syncSet: recordedBase.syncSetName,
    },
    ours: {
      base: world.base,
      revisions: (await world.git('rev-list', '--all')).split('\n'),
      syncSet: syncSetName(`file://${world.path}`, 'master', []),
    },
  }
}

async function compareGit(
  id: string,
  recorded: RecordedGit,
  before: string,
  said: { theirs: Words; ours: Words },
): Promise<void> {
  const automates = !agent.log.some((line) => line.includes('automation is not part of this version'))
  const theirs = recorded.commitsMade.filter(
    ({ message }) => automates || !message.startsWith('Auto-release'),
  )
  const expected = differences[id]?.commits?.(theirs) ?? theirs
  // lock-prod: made, and not written down
  if (
    recorded.commitsMade.length === 0 &&
    recorded.branchAfter?.endsWith(recorded.branchBefore.slice(-40)) === false
  )
    return
  const listMade = async () =>
    (await world.git('rev-list', '--reverse', `${before}..refs/heads/master`)).split('\n').filter(Boolean)
  // a client that doesn't wait leaves before the commit is there
  if (expected.length > 0) {
    const made = async () => (await listMade()).length >= expected.length
    await until('the commits are made', made, 5_000).catch(() => {})
  }
  const revisions = await listMade()
  const made = await Promise.all(revisions.map(readCommit))

  const read = (commit: CommitMade, side: Words) => ({
    message: orderedLines(commit.message),
    author: commit.author,
    committer: commit.committer,
    note: parseJson(inWords(commit.note ?? '', side)),
  })
  const ours = made.map((commit) =>
    read(
      { ...commit, message: world.toRecorded(commit.message), note: world.toRecorded(commit.note ?? '') },
      said.ours,
    ),
  )
  const wanted = expected.map((commit) => read(commit, said.theirs))
  expect(withoutCronJob(wanted, ours)).toEqual(wanted)
  try {
    for (const [index, revision] of revisions.entries()) {
      await compareFiles(id, revision, expected[index]?.files ?? '')
    }
  } finally {
    cpSync(`${fixtures}/world/repo`, original.folder, { recursive: true, force: true })
  }
  const moves = recorded.markerAfter !== recorded.markerBefore.replace('BASE ', '')
  if (moves && expected.length > 0) {
    await until('the marker has moved', async () => (await world.marker()) === revisions.at(-1))
  }
}

/** What the log tells as events, where the branch was synced meanwhile. */
function compareEvents({ id, family, events, git }: HttpRecording | CliRecording, linesBefore: number): void {
  if (!git || !events || families[family] || differences[id]?.commits?.([]).length === 0) return
  const theirs = eventsPosted(events)
  const seen = theirs.some(({ ids }) => ids?.includes(cronJob))
  const ours = eventsLogged(agent.log.slice(linesBefore)).map(({ ids, ...event }) => ({
    ...event,
    ...(ids && { ids: ids.filter((of) => seen || of !== cronJob) }),
  }))
  // ours lets automation go before a pass, so that the order of the two may be another
  const ordered = (told: EventTold[]) =>
    told.some(({ type }) => type === 'autorelease')
      ? told.toSorted((a, b) => (a.type < b.type ? -1 : 1))
      : told
  expect(ordered(ours)).toEqual(ordered(theirs))
}

/** The lines of a policy commit come in Go's random order. */
function orderedLines(message: string): string {
  const [subject, ...rest] = message.split('\n')
  return [subject, ...rest.toSorted()].join('\n')
}

async function readCommit(revision: string): Promise<CommitMade> {
  const text = await world.git('show', '--no-patch', '--format=%an <%ae>%x00%cn <%ce>%x00%B', revision)
  const [author = '', committer = '', message = ''] = text.split('\0')
  const note = await world.git('notes', '--ref=flux', 'show', revision).catch(() => null)
  return { author, committer, message: `${message.trimEnd()}\n`, files: '', note }
}

/** Both commits lead to files that say the same; ours changes no line that it need not. */
async function compareFiles(id: string, revision: string, diff: string): Promise<void> {
  const { folder, git } = original
  const patch = join(git.home, 'patch')
  writeFileSync(patch, diff)
  await git.git(folder, ['apply', '--whitespace=nowarn', patch])
  const theirPaths = [...diff.matchAll(/^\+\+\+ b\/(.*)$/gm)].map(([, path = '']) => path)
  const numbers = new Map(
    (await world.git('diff', '--numstat', `${revision}^`, revision)).split('\n').map((line) => {
      const [added, removed, path = ''] = line.split('\t')
      return [path, Math.max(Number(added), Number(removed))]
    }),
  )
  const change = differences[id]?.meaning ?? ((value: unknown) => value)
  const read = async (at: string, path: string) =>
    meaningOf(inWords(world.toRecorded(await world.git('show', `${at}:${path}`)), noWords))
  for (const path of new Set([...theirPaths, ...numbers.keys()])) {
    if (path === 'demo/cronjobs.yaml' && !theirPaths.includes(path)) continue
    const theirs = meaningOf(readFileSync(join(folder, path), 'utf8'))
    const ours = await read(revision, path)
    expect({ path, meaning: ours }).toEqual({ path, meaning: change(theirs) })

    const changes = countChanges(await read(`${revision}^`, path), ours)
    expect(numbers.get(path) ?? 0, `lines changed in ${path}`).toBeLessThanOrEqual(changes)
  }
}
