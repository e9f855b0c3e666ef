import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type JsonValue, valueAt } from '../src/core/json.ts'
import { createFolder } from '../src/playground/processes.ts'
import { startProgram } from '../test/soak/programs.ts'
import type { BuiltPrograms, ProgramName } from '../test/support/built-programs.ts'

/** A program as it is built, that runs and writes a log. */
export interface BenchProgram extends AsyncDisposable {
  readonly pid: number
  /** where it listens on 127.0.0.1 */
  readonly port: number
  readonly log: readonly string[]
  /** Wait for a line of its log, from the given one on. @returns its index */
  until(line: RegExp, from?: number, limitMs?: number): Promise<number>
  /** when a line was written, in milliseconds since 1970 */
  atMs(index: number): number
}

/** fluxd, with what a row asks of it. */
export interface BenchAgent extends BenchProgram {
  /** for fluxctl: `--url` */
  readonly url: string
  ask(method: string, path: string, body?: unknown): Promise<JsonValue>
  /** Have an update done. @returns when it was asked for, how long it took, and the revision */
  update(spec: unknown): Promise<{ askedAtMs: number; tookMs: number; revision: string }>
  /** a figure of its metrics, summed over labels that match */
  metric(name: RegExp): Promise<number>
}

export interface BenchProgramOptions {
  args: readonly string[]
  kubeconfig: string
}

/** Start a program, and wait until it listens. */
export async function startBenchProgram(
  programs: BuiltPrograms,
  name: ProgramName,
  { args, kubeconfig }: BenchProgramOptions,
): Promise<BenchProgram> {
  const { path: home, remove } = await createFolder('bench-program-')
  await mkdir(join(home, 'tmp'))
  const env = { PATH: process.env['PATH'], HOME: home, TMPDIR: join(home, 'tmp'), KUBECONFIG: kubeconfig }
  const program = startProgram(programs.main(name), ['--listen=127.0.0.1:0', ...args], env)
  let over: number | string | undefined
  void program.ended.then((how) => {
    over = how
  })
  const until: BenchProgram['until'] = async (line, from = 0, limitMs = 120_000) => {
    const deadlineMs = Date.now() + limitMs
    for (let next = from; ; ) {
      for (; next < program.log.length; next++) if (line.test(program.log[next] ?? '')) return next
      if (over !== undefined || Date.now() > deadlineMs) {
        const why = over === undefined ? 'takes too long' : `ended with ${over}`
        throw new Error(`${name} ${why} before ${line}:\n${program.log.slice(-30).join('\n')}`)
      }
      await delay(2)
    }
  }
  const close = async () => {
    program.kill('SIGTERM')
    await Promise.race([program.ended, delay(10_000)])
    program.kill('SIGKILL')
    await remove()
  }
  try {
    const at = await until(/ addr=\S* port=\d+/)
    return {
      pid: program.pid,
      port: Number(/ port=(\d+)/.exec(program.log[at] ?? '')?.[1]),
      log: program.log,
      until,
      atMs: (index) => Date.parse(/ts=(\S+)/.exec(program.log[index] ?? '')?.[1] ?? ''),
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

export async function startAgent(
  programs: BuiltPrograms,
  { args, kubeconfig }: BenchProgramOptions,
): Promise<BenchAgent> {
  const program = await startBenchProgram(programs, 'fluxd', {
    args: ['--git-branch=main', ...args],
    kubeconfig,
  })
  const url = `http://127.0.0.1:${program.port}/api/flux`
  const ask: BenchAgent['ask'] = async (method, path, body) => {
    const headers = { accept: 'application/json' }
    const reply = await fetch(`${url}${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await reply.text()
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`)
    return text === '' ? null : (JSON.parse(text) as JsonValue)
  }
  return {
    ...program,
    url,
    ask,
    async update(spec) {
      const askedAtMs = Date.now()
      const startedMs = performance.now()
      const id = String(await ask('POST', '/v9/update-manifests', spec))
      for (;;) {
        const status = await ask('GET', `/v6/jobs?id=${id}`)
        const state = valueAt(status, 'StatusString')
        if (state === 'failed') throw new Error(`the job failed: ${String(valueAt(status, 'Err'))}`)
        if (state === 'succeeded') {
          const revision = String(valueAt(status, 'Result', 'revision'))
          return { askedAtMs, tookMs: performance.now() - startedMs, revision }
        }
        await delay(2)
      }
    },
    async metric(name) {
      const text = await (await fetch(url.replace('/api/flux', '/metrics'))).text()
      return text
        .split('\n')
        .filter((line) => name.test(line))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
    },
  }
}
