import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { mainIn, type ProgramName } from './built-programs.ts'

/**
 * fluxd, the Helm operator and fluxctl as processes, built from the sources for this run of tests.
 *
 * Each has a home of its own and nothing of the caller's environment but `PATH`.
 */

export interface ProgramRun {
  /** null where a signal ended it */
  exit: number | null
  stdout: string
  stderr: string
}

export interface ProgramOptions {
  args: readonly string[]
  /** path of a kubeconfig file: `KUBECONFIG` */
  kubeconfig?: string
  env?: Readonly<Record<string, string>>
}

export interface FluxdProcess extends AsyncDisposable {
  /** where the API is served */
  readonly port: number
  /** for fluxctl: `--url` */
  readonly url: string
  /** lines of its log so far */
  readonly log: readonly string[]
  /** Wait for a line of the log, from the given one on. @returns the number of the line after it */
  until(line: RegExp, from?: number): Promise<number>
  /** Send a signal and wait for the end. */
  end(signal?: NodeJS.Signals): Promise<ProgramRun>
}

const waitMs = 45_000

/** Start fluxd and wait until it listens. Without `--listen` it gets a free port on loopback. */
export async function fluxd(options: ProgramOptions): Promise<FluxdProcess> {
  return startDaemon('fluxd', options, '/api/flux')
}

/** Start the Helm operator and wait until it listens. */
export function helmOperator(options: ProgramOptions): Promise<FluxdProcess> {
  return startDaemon('helm-operator', options)
}

async function startDaemon(
  name: ProgramName,
  { args, ...options }: ProgramOptions,
  path = '',
): Promise<FluxdProcess> {
  const listens = args.some((arg) => arg.startsWith('--listen='))
  const program = start(name, {
    ...options,
    args: listens ? args : [...args, '--listen=127.0.0.1:0'],
  })
  const lines = () => program.output.stderr.split('\n').slice(0, -1)
  const until = async (line: RegExp, from = 0): Promise<number> => {
    const deadline = Date.now() + waitMs
    for (;;) {
      const ended = program.hasEnded()
      const at = lines().findIndex((text, index) => index >= from && line.test(text))
      if (at >= 0) return at + 1
      if (ended || Date.now() > deadline) {
        const why = ended ? 'ended' : 'takes too long'
        throw new Error(`${name} ${why} before ${line}:\n${lines().slice(from).slice(-40).join('\n')}`)
      }
      await delay(20)
    }
  }
  const end = async (signal: NodeJS.Signals = 'SIGTERM') => {
    program.child.kill(signal)
    return program.ended
  }

  const listening = / addr=\S* port=(\d+)/
  try {
    const at = await until(listening)
    const port = Number(listening.exec(lines()[at - 1] ?? '')?.[1])
    return {
      port,
      url: `http://127.0.0.1:${port}${path}`,
      get log() {
        return lines()
      },
      until,
      end,
      async [Symbol.asyncDispose]() {
        await end('SIGKILL')
      },
    }
  } catch (error) {
    await end('SIGKILL')
    throw error
  }
}

/** Run fluxd to an end that it comes to by itself. */
export function fluxdToTheEnd(options: ProgramOptions): Promise<ProgramRun> {
  return start('fluxd', options).ended
}

/** Run the Helm operator to an end that it comes to by itself. */
export function helmOperatorToTheEnd(options: ProgramOptions): Promise<ProgramRun> {
  return start('helm-operator', options).ended
}

/** Run fluxctl to its end. */
export function fluxctl(
  args: readonly string[],
  options: Omit<ProgramOptions, 'args'> = {},
): Promise<ProgramRun> {
  return start('fluxctl', { ...options, args }).ended
}

/** What Node is started with for a program: as it was built for this run of tests. */
export function mainOf(program: ProgramName): string {
  const folder = process.env['TEST_PROGRAMS']
  if (folder === undefined) throw new Error('TEST_PROGRAMS is not set: see programs-for-run.ts')
  return mainIn(folder, program)
}

interface Program {
  child: ChildProcess
  output: { stdout: string; stderr: string }
  hasEnded(): boolean
  ended: Promise<ProgramRun>
}

function start(name: ProgramName, { args, kubeconfig, env }: ProgramOptions): Program {
  const home = mkdtempSync(join(tmpdir(), 'program-home-'))
  const child = spawn(process.execPath, [mainOf(name), ...args], {
    env: {
      PATH: process.env['PATH'],
      HOME: home,
      TMPDIR: home,
      ...(kubeconfig !== undefined && { KUBECONFIG: kubeconfig }),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const killNow = () => child.kill('SIGKILL')
  process.once('exit', killNow)
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  let over = false
  const ended = new Promise<ProgramRun>((done) => {
    child.once('close', (exit) => {
      over = true
      process.off('exit', killNow)
      rmSync(home, { recursive: true, force: true })
      done({ exit, ...output })
    })
  })
  return { child, output, hasEnded: () => over, ended }
}

/** Poll until something is the case. @returns what `found` returned at last */
export async function eventually<T>(
  found: () => Promise<T | undefined | false> | T | undefined | false,
  what = 'it',
  limitMs = waitMs,
): Promise<T> {
  const deadline = Date.now() + limitMs
  let last: unknown
  for (;;) {
    try {
      const value = await found()
      if (value !== undefined && value !== false) return value
      last = value
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline) throw new Error(`${what} never came to be; last seen: ${String(last)}`)
    await delay(50)
  }
}
