import { type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { lstat, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Programs and folders that never outlive this process, however it ends.
 *
 * Each stands behind a shell that reads a pipe from here. The pipe ends when this process does, by `kill -9` too; the
 * shell then ends its program, or removes its folder.
 */

/** Runs "$@" with both outputs in one; when the pipe ends, so does the whole process group. */
const programGuard = `exec 2>&1 3<&0
"$@" </dev/null 3<&- & program=$!
(read -r _ <&3; kill -KILL 0) & guard=$!
wait $program; code=$?
kill $guard
exit $code`

/** Removes "$1" when the pipe ends, once those who write there are gone. */
const folderGuard = `read -r _
for try in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; rm -rf "$1"; done 2>/dev/null`

/** Everything that a child gets to see of our environment: where programs are. */
export function closedEnvironment(home: string): Record<string, string> {
  return {
    HOME: home,
    TMPDIR: home,
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
  }
}

export interface Folder {
  readonly path: string
  remove(): Promise<void>
}

/** Make a new folder for temporary files that only this user may read. */
export async function createFolder(prefix: string): Promise<Folder> {
  return guardFolder(await mkdtemp(join(tmpdir(), prefix)))
}

/**
 * Make this folder, for this user only, and remove it in the end. One that is there must be this user's, closed to
 * others, and empty, such as `mktemp -d` makes it.
 *
 * @throws Error that says why it won't do
 */
export async function claimFolder(path: string): Promise<Folder> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const found = await lstat(path)
    if (!found.isDirectory()) throw new Error(`${path} is no folder`)
    if (found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) {
      throw new Error(`${path} is open to others`)
    }
    if ((await readdir(path)).length > 0) throw new Error(`${path} is not empty`)
  }
  return guardFolder(resolve(path))
}

function guardFolder(path: string): Folder {
  const guard = startGuard(folderGuard, [path], {
    env: closedEnvironment(tmpdir()),
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true, maxRetries: 5 })
      await guard.kill()
    },
  }
}

export interface ProgramOptions {
  file: string
  args: readonly string[]
  /** all of it: nothing is inherited */
  env: Readonly<Record<string, string | undefined>>
  cwd?: string
}

/** A program that runs in the background. */
export interface Program {
  /** Poll until `ready` says so; an error of `ready` counts as not yet. @throws Error when the program ends first */
  until(
    what: string,
    ready: () => Promise<boolean | undefined> | boolean | undefined,
    signal?: AbortSignal,
  ): Promise<void>
  /** what it has said so far */
  log(): string
  /** End it, and all that it started, at once. */
  kill(): Promise<void>
}

/** Start a program that writes to a log file. */
export function startProgram({ file, args, env, cwd, log }: ProgramOptions & { log: string }): Program {
  const output = openSync(log, 'a')
  const { size: begin } = fstatSync(output)
  const written = () => readFileSync(log).subarray(begin).toString()
  const stdio: SpawnOptions['stdio'] = ['pipe', output, output]
  const guard = startGuard(programGuard, [file, ...args], { env, stdio, ...(cwd !== undefined && { cwd }) })
  closeSync(output)
  return {
    log: written,
    kill: guard.kill,
    async until(what, ready, signal) {
      const deadline = Date.now() + 60_000
      const isReady = async () => ready()
      while (!(await isReady().catch(() => false))) {
        signal?.throwIfAborted()
        if (!guard.running() || Date.now() > deadline) {
          const lastLines = written().trimEnd().split('\n').slice(-20).join('\n')
          throw new Error(
            `${file} ${guard.running() ? 'takes too long' : 'ended'} before ${what}:\n${lastLines}`,
          )
        }
        await delay(25)
      }
    },
  }
}

export interface RunOptions extends ProgramOptions {
  signal: AbortSignal
  /** gets both outputs, in the order in which they were written */
  onOutput?: (text: string) => void
}

/** Run a program to its end. @throws the signal's reason, once all of the program is gone */
export async function runProgram(options: RunOptions): Promise<{ exitCode: number; output: string }> {
  const { file, args, env, cwd, signal, onOutput } = options
  signal.throwIfAborted()
  const guard = startGuard(programGuard, [file, ...args], {
    env,
    stdio: ['pipe', 'pipe', 'ignore'],
    ...(cwd !== undefined && { cwd }),
  })
  guard.child.ref() // this is waited for
  let output = ''
  guard.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text
    onOutput?.(text)
  })
  const onAbort = () => void guard.kill()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const [exitCode] = (await once(guard.child, 'close')) as [number | null]
    signal.throwIfAborted()
    return { exitCode: exitCode ?? -1, output }
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function startGuard(script: string, args: readonly string[], options: SpawnOptions) {
  const child = spawn('/bin/sh', ['-c', script, 'sh', ...args], { ...options, detached: true })
  child.unref()
  child.stdin?.on('error', () => {}) // it is gone
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const running = () => child.pid !== undefined && child.exitCode === null && child.signalCode === null
  return {
    child,
    running,
    async kill() {
      try {
        if (running() && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch {
        // it ended by itself in the meantime
      }
      child.ref() // this is waited for
      await ended
    },
  }
}
