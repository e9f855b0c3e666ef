import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { withoutUserInfo } from '../../core/git/remote-url.ts'

/**
 * Child processes: each in a process group of its own that ends as a whole, with an environment that is given and
 * never inherited, a limit of time and a limit of output.
 *
 * A group gets SIGTERM first, and SIGKILL when it has not ended after a grace of two seconds, or what is given.
 * Children have no terminal: nothing can ask a question there.
 */

const usualGraceMs = 2_000
/** how long the rest of a killed group is waited for: until nobody holds the pipes */
const goneMs = 500
const maxErrorBytes = 64 * 1024

export interface ChildOptions {
  program: string
  args: readonly string[]
  /** all of it: nothing is inherited */
  env: Readonly<Record<string, string>>
  cwd?: string
  /** between SIGTERM and SIGKILL */
  graceMs?: number
  /** end at once when this process is gone, by `kill -9` too; needs `/bin/sh` */
  tied?: boolean
}

/**
 * Runs "$@" and passes its exit code on. When the pipe 3 ends, so does the whole group. SIGTERM is for the program
 * alone: the shell waits for it.
 */
const tieScript = `exec 4<&0
trap : TERM
"$@" <&4 3<&- 4<&- & program=$!
(read -r _ <&3; kill -KILL 0) 4<&- >/dev/null 2>&1 & guard=$!
wait $program; code=$?
while kill -0 $program 2>/dev/null; do wait $program; code=$?; done
kill -KILL $guard 2>/dev/null
exit $code`

/** A child that lives until it is stopped. */
export interface Child {
  readonly pid: number | undefined
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** How it ended; never rejects. `error` is set when it could not be started. */
  readonly ended: Promise<ChildEnd>
  /** End the whole group. Resolves when it is gone. */
  stop(): Promise<void>
}

export interface ChildEnd {
  /** `undefined` when it was ended by a signal, or could not be started */
  exitCode: number | undefined
  signal: string | undefined
  error: Error | undefined
}

/** Start a child in a process group of its own. */
export function startChild({
  program,
  args,
  env,
  cwd,
  graceMs = usualGraceMs,
  tied = false,
}: ChildOptions): Child {
  const [file, words] = tied ? ['/bin/sh', ['-c', tieScript, 'sh', program, ...args]] : [program, args]
  const child: ChildProcess = spawn(file, words, {
    env,
    ...(cwd === undefined ? {} : { cwd }),
    stdio: tied ? ['pipe', 'pipe', 'pipe', 'pipe'] : ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const { stdin, stdout, stderr } = child
  if (!stdin || !stdout || !stderr) throw new Error('a child was started without its pipes')
  stdin.on('error', () => {}) // the child is gone before it has read all: its end tells why

  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const ended = new Promise<ChildEnd>((resolve) => {
    child.once('error', (error) => resolve({ exitCode: undefined, signal: undefined, error }))
    child.once('close', (code, signal) =>
      resolve({ exitCode: code ?? undefined, signal: signal ?? undefined, error: undefined }),
    )
  })

  let gone = false
  child.once('close', () => {
    gone = true // and its process id may soon be another's
  })
  const signalGroup = (signal: NodeJS.Signals) => {
    if (child.pid === undefined || gone) return
    try {
      process.kill(-child.pid, signal)
    } catch {
      // nobody of the group is left
    }
  }
  let stopping: Promise<void> | undefined
  const stop = async () => {
    signalGroup('SIGTERM')
    const timer = setTimeout(() => signalGroup('SIGKILL'), graceMs)
    await exited
    clearTimeout(timer)
    signalGroup('SIGKILL') // whoever of the group outlived its leader
    const noLonger = new AbortController()
    await Promise.race([ended, sleep(goneMs, undefined, { signal: noLonger.signal }).catch(() => {})])
    noLonger.abort()
    stdout.destroy()
    stderr.destroy()
    await ended
  }
  return {
    pid: child.pid,
    stdin,
    stdout,
    stderr,
    ended,
    stop: () => {
      stopping ??= stop()
      return stopping
    },
  }
}

export interface RunOptions extends ChildOptions {
  /** written to standard input, which is closed after it */
  input?: string | Uint8Array
  timeoutMs: number
  /** the first one to be aborted ends the child */
  signals?: readonly AbortSignal[]
  /** of standard output; a child that writes more is ended. Of standard error the first 64 KiB are kept */
  maxOutputBytes?: number
}

export interface RunResult extends ChildEnd {
  stdout: Buffer
  stderr: string
  /** why we ended it, or `undefined` when it ended by itself */
  stopped: 'timeout' | 'output' | undefined
}

/**
 * Run a child to its end.
 *
 * Never rejects for what the child does, or for one that can't be started (`error`): the caller knows what it means.
 *
 * @throws the reason of an aborted signal, after the whole group has ended
 */
export async function runChild(options: RunOptions): Promise<RunResult> {
  const { input = '', timeoutMs, signals = [], maxOutputBytes = 16 * 1024 * 1024 } = options
  for (const signal of signals) signal.throwIfAborted()
  const child = startChild(options)

  let stopped: RunResult['stopped']
  let stopping: Promise<void> | undefined
  const stop = (why?: 'timeout' | 'output') => {
    stopped ??= why
    stopping ??= child.stop()
  }
  const output = collect(child.stdout, maxOutputBytes, () => stop('output'))
  const errors = collect(child.stderr, maxErrorBytes)
  const timer = setTimeout(() => stop('timeout'), timeoutMs)
  const onAbort = () => stop()
  for (const signal of signals) signal.addEventListener('abort', onAbort)
  child.stdin.end(input)
  try {
    const end = await child.ended
    await stopping
    for (const signal of signals) signal.throwIfAborted()
    return { ...end, stdout: output(), stderr: errors().toString('utf8'), stopped }
  } finally {
    clearTimeout(timer)
    for (const signal of signals) signal.removeEventListener('abort', onAbort)
  }
}

/** Keep the first bytes of a stream, read the rest away, and tell when there is more. */
function collect(stream: Readable, maxBytes: number, onMore?: () => void): () => Buffer {
  const chunks: Buffer[] = []
  let size = 0
  stream.on('data', (chunk: Buffer) => {
    const room = maxBytes - size
    if (room > 0) chunks.push(chunk.subarray(0, room))
    size += chunk.length
    if (size > maxBytes) onMore?.()
  })
  return () => Buffer.concat(chunks)
}

/** A text for messages and logs: given secrets become `***`, URLs lose their user and password. */
export function redact(text: string, secrets: readonly string[] = []): string {
  const hidden = secrets
    .filter((secret) => secret !== '')
    .sort((a, b) => b.length - a.length)
    .reduce((shown, secret) => shown.replaceAll(secret, '***'), text)
  return withoutUserInfo(hidden)
}
