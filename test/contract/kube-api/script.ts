import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { stringify } from 'yaml'
import { test as clusterTest } from '../../support/cluster-test.ts'
import { planeKind } from '../../support/control-plane.ts'
import type { SharedControlPlane } from '../../support/control-plane-for-run.ts'
import { kubectl, type kubectlVersions } from '../../support/neighbours.ts'
import { createMask, type Mask } from './mask.ts'

/**
 * The contract of a Kubernetes API server, as scripts of requests and commands.
 *
 * Each test is one script. What the real server answers, with times, names and numbers of the day masked, is the file
 * `golden/FILE/TEST.txt`; every server has to answer just that. `npx vitest run --project real test/contract -u` writes
 * the files anew, from the real server alone.
 */

export interface Script {
  /** The namespace of the test; in the transcript it is `NS`. */
  readonly namespace: string
  readonly plane: SharedControlPlane
  /** Write a line of prose. */
  note(text: string): void
  /** One request, with its reply in the transcript. `$NS` in path and body is the namespace. */
  request(method: string, path: string, body?: unknown, options?: RequestExtras): Promise<Reply>
  /** One request that the transcript says nothing of. */
  quietly(method: string, path: string, body?: unknown, options?: RequestExtras): Promise<Reply>
  /** Poll without a word until the object is so. */
  until(path: string, isSo: (body: Answer, status: number) => boolean): Promise<Answer>
  /** Watch until `enough`; `meanwhile` runs once the stream is open. Bookmarks that only tell of time are left out. */
  watch(
    path: string,
    enough: (events: readonly Answer[]) => boolean,
    meanwhile?: () => Promise<unknown>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<readonly Answer[]>
  /** Run kubectl in the namespace, with its screen in the transcript. `stdin` may be an object, or several. */
  kubectl(line: string, options?: KubectlOptions): Promise<CommandRun>
  /** The same, unseen. */
  kubectlQuietly(line: string, options?: KubectlOptions): Promise<CommandRun>
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape, and fail where it is another
export type Answer = any

export interface Reply {
  status: number
  headers: Readonly<Record<string, string | string[] | undefined>>
  /** parsed where it is JSON, otherwise the text */
  body: Answer
}

export interface RequestExtras {
  /** `Content-Type` of the body; `application/json` */
  type?: string
  headers?: Readonly<Record<string, string>>
  /** what to show of a reply in place of its body */
  show?: (body: Answer) => unknown
}

export interface KubectlOptions {
  stdin?: unknown
  env?: Readonly<Record<string, string>>
  /** what to show in place of its standard output */
  show?: (stdout: string) => string
  /** sort the lines of its standard output, where their order is chance */
  sorted?: boolean
}

export interface CommandRun {
  exit: number
  stdout: string
  stderr: string
}

interface ScriptFixtures {
  /** for scripts with commands: which kubectl */
  kubectlVersion: (typeof kubectlVersions)[number] | undefined
  script: Script
}

export const mergePatch = 'application/merge-patch+json'
export const jsonPatch = 'application/json-patch+json'
export const strategicPatch = 'application/strategic-merge-patch+json'
export const applyPatch = 'application/apply-patch+yaml'

export const test = clusterTest.extend<ScriptFixtures>({
  kubectlVersion: undefined,
  script: async ({ plane, namespace, kubectlVersion, task, skip }, use) => {
    if (kubectlVersion !== undefined && kubectl(kubectlVersion) === undefined) {
      skip(`kubectl ${kubectlVersion} is not there: npm run neighbours`)
    }
    const home = mkdtempSync(join(tmpdir(), 'contract-'))
    const { script, transcript } = createScript(plane, namespace, home, kubectlVersion)
    await use(script)
    rmSync(home, { recursive: true, force: true, maxRetries: 5 })
    if (task.result?.state === 'fail') return
    const suites: string[] = []
    for (let suite = task.suite; suite?.name; suite = suite.suite) suites.unshift(suite.name)
    const file = task.file.name.replace(/^.*\//, '').replace(/\.test\.ts$/, '')
    const name = [...suites, task.name]
      .join(' ')
      .replace(/[^a-zA-Z0-9.]+/g, '-')
      .replace(/-$/, '')
    await expectGolden(join(import.meta.dirname, 'golden', file, `${name}.txt`), transcript())
  },
})

/** Only the real server may write golden files. */
async function expectGolden(path: string, text: string): Promise<void> {
  if (planeKind === 'real') await expect(text).toMatchFileSnapshot(path)
  else expect(text).toBe(readFileSync(path, 'utf8'))
}

function createScript(
  plane: SharedControlPlane,
  namespace: string,
  home: string,
  kubectlVersion: (typeof kubectlVersions)[number] | undefined,
): { script: Script; transcript: () => string } {
  const lines: string[] = []
  const mask = createMask({ namespace, server: plane.server, token: plane.token, home })
  const here = <T>(value: T): T => {
    const text = JSON.stringify(value)
    return text === undefined ? value : (JSON.parse(text.replaceAll('$NS', namespace)) as T)
  }

  const quietly: Script['quietly'] = (method, path, body, extras = {}) =>
    send(plane, method, here(path), body instanceof Uint8Array ? body : here(body), extras)

  const run = async (line: string, { stdin, env = {} }: KubectlOptions = {}): Promise<CommandRun> => {
    const program = kubectl(kubectlVersion ?? '1.36')
    if (program === undefined) throw new Error('no kubectl')
    return execute(program, splitLine(here(line)), {
      input: stdin === undefined ? '' : inputText(here(stdin)),
      env: { HOME: home, TMPDIR: home, KUBECONFIG: plane.kubeconfig, TZ: 'UTC', ...env },
      cwd: home,
      namespace,
    })
  }

  const script: Script = {
    namespace,
    plane,
    note: (text) => void lines.push('', `# ${text}`),
    quietly,
    async request(method, path, body, extras = {}) {
      lines.push('', `> ${method} ${path}`)
      for (const [name, value] of Object.entries(extras.headers ?? {})) lines.push(`> ${name}: ${value}`)
      if (extras.type !== undefined) lines.push(`> content-type: ${extras.type}`)
      if (body !== undefined && !(body instanceof Uint8Array)) {
        lines.push(typeof body === 'string' ? body : asYaml(mask.value(body)))
      }
      const reply = await quietly(method, path, body, extras)
      lines.push(...replyLines(reply, mask, extras.show))
      return reply
    },
    async until(path, isSo) {
      const deadline = Date.now() + 40_000
      for (;;) {
        const { status, body } = await quietly('GET', path)
        if (isSo(body, status)) return body
        if (Date.now() > deadline) throw new Error(`${path} never became so: ${JSON.stringify(body)}`)
        await new Promise((done) => setTimeout(done, 25))
      }
    },
    async watch(path, enough, meanwhile, headers = {}) {
      lines.push('', `> WATCH ${path.replace(/(resourceVersion=)\d{2,}/, '$1<rv>')}`)
      for (const [name, value] of Object.entries(headers)) lines.push(`> ${name}: ${value}`)
      const { status, events, body } = await watchUntil(plane, here(path), enough, meanwhile, headers)
      if (status !== 200) lines.push(...replyLines({ status, headers: {}, body }, mask))
      for (const event of events) lines.push(asYaml([mask.value(event)]))
      return events
    },
    kubectlQuietly: run,
    async kubectl(line, options = {}) {
      lines.push('', `$ kubectl ${line}`)
      if (options.stdin !== undefined) lines.push(...indent(inputText(options.stdin)))
      const { exit, stdout, stderr } = await run(line, options)
      const shown = mask.screen(options.show?.(stdout) ?? stdout).split('\n')
      if (options.sorted) shown.sort()
      lines.push(...shown.filter((text, index) => text !== '' || index < shown.length - 1))
      lines.push(
        ...mask
          .screen(stderr)
          .split('\n')
          .filter(Boolean)
          .map((text) => `! ${text}`),
      )
      if (exit !== 0) lines.push(`exit ${exit}`)
      return { exit, stdout, stderr }
    },
  }
  return { script, transcript: () => `${lines.join('\n').trim()}\n` }
}

function replyLines(reply: Reply, mask: Mask, show?: (body: Answer) => unknown): string[] {
  const warnings = [reply.headers['warning'] ?? []].flat()
  const type = String(reply.headers['content-type'] ?? 'application/json')
  return [
    `< ${reply.status}${type === 'application/json' ? '' : ` ${type}`}`,
    ...warnings.map((text) => `< warning: ${mask.text(text)}`),
    typeof reply.body === 'string' && show === undefined
      ? mask.text(reply.body)
      : asYaml(mask.value(show ? show(reply.body) : reply.body)),
  ]
}

/** Keys sorted: no client heeds their order. */
function asYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, sortMapEntries: true }).trimEnd()
}

function indent(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}`)
}

function inputText(stdin: unknown): string {
  if (typeof stdin === 'string') return stdin
  return [stdin]
    .flat()
    .map((object) => stringify(object))
    .join('---\n')
}

/** Words of a command line; single quotes keep a word together. */
function splitLine(line: string): string[] {
  return [...line.matchAll(/(?:[^\s']+|'[^']*')+/g)].map(([word]) => word.replaceAll("'", ''))
}

function execute(
  program: string,
  args: readonly string[],
  {
    input,
    env,
    cwd,
    namespace,
  }: { input: string; env: Record<string, string>; cwd: string; namespace: string },
): Promise<CommandRun> {
  return new Promise((done, fail) => {
    const child = execFile(
      program,
      [`--namespace=${namespace}`, ...args],
      { env, cwd, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const exit = error === null ? 0 : error.code
        if (typeof exit === 'number') done({ exit, stdout, stderr })
        else fail(new Error(`${args.join(' ')} did not end by itself:\n${stdout}${stderr}`, { cause: error }))
      },
    )
    child.stdin?.on('error', () => {}).end(input)
  })
}

function requestOptions(
  plane: SharedControlPlane,
  method: string,
  { type = 'application/json', headers = {} }: RequestExtras,
  hasBody: boolean,
): RequestOptions {
  return {
    method,
    ca: plane.ca,
    agent: false,
    headers: {
      authorization: `Bearer ${plane.token}`,
      accept: 'application/json',
      ...(hasBody && { 'content-type': type }),
      'user-agent': 'contract/1.0',
      ...headers,
    },
  }
}

function send(
  plane: SharedControlPlane,
  method: string,
  path: string,
  body: unknown,
  extras: RequestExtras,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const options = requestOptions(plane, method, extras, body !== undefined)
    const outgoing = httpsRequest(new URL(path, plane.server), options, async (reply) => {
      const chunks: Buffer[] = []
      reply.on('error', reject)
      for await (const chunk of reply) chunks.push(chunk)
      const text = Buffer.concat(chunks).toString('utf8')
      // some answers of the real server are JSON, and say that they are plain text
      const isJson = /^[{[]/.test(text)
      resolve({
        status: reply.statusCode ?? 0,
        headers: reply.headers,
        body: isJson ? JSON.parse(text) : text,
      })
    })
    outgoing.on('error', reject)
    if (body === undefined) outgoing.end()
    else {
      const raw = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
      // not told by Node for a DELETE
      outgoing.setHeader('content-length', Buffer.byteLength(raw))
      outgoing.end(raw)
    }
  })
}

function watchUntil(
  plane: SharedControlPlane,
  path: string,
  enough: (events: readonly Answer[]) => boolean,
  meanwhile?: () => Promise<unknown>,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; events: Answer[]; body: Answer }> {
  return new Promise((resolve, reject) => {
    const events: Answer[] = []
    const url = new URL(path, plane.server)
    const outgoing = httpsRequest(url, requestOptions(plane, 'GET', { headers }, false), (reply) => {
      const status = reply.statusCode ?? 0
      const limit = setTimeout(() => finish(new Error(`not enough: ${JSON.stringify(events)}`)), 30_000)
      const finish = (error?: unknown) => {
        clearTimeout(limit)
        outgoing.destroy()
        if (error) reject(error)
        else resolve({ status, events, body: status === 200 ? undefined : JSON.parse(pending) })
      }
      let pending = ''
      reply.setEncoding('utf8').on('error', () => {})
      reply.on('data', (chunk: string) => {
        pending += chunk
        if (status !== 200) return
        const lines = pending.split('\n')
        pending = lines.pop() ?? ''
        events.push(...lines.map((line) => JSON.parse(line)).filter((event) => !isClockBookmark(event)))
        if (enough(events)) finish()
      })
      reply.on('end', () => finish())
      meanwhile?.().catch(finish)
    })
    outgoing.on('error', reject).end()
  })
}

/** About once a minute the server tells how far it is; only that which ends the first events has its place. */
function isClockBookmark(event: Answer): boolean {
  return (
    event.type === 'BOOKMARK' && event.object.metadata.annotations?.['k8s.io/initial-events-end'] !== 'true'
  )
}
