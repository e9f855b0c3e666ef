import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

export interface Running {
  readonly pid: number
  readonly log: readonly string[]
  /** its exit code, or the signal that ended it */
  readonly ended: Promise<number | string>
  kill(signal: NodeJS.Signals): void
}

/** Start a program; each line of its log is told. */
export function startProgram(
  main: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  onLine: (line: string) => void = () => {},
): Running {
  const child: ChildProcess = spawn(process.execPath, [main, ...args], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const log: string[] = []
  const killNow = () => child.kill('SIGKILL')
  process.once('exit', killNow)
  let rest = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      log.push(line)
      onLine(line)
    }
  })
  return {
    pid: child.pid ?? 0,
    log,
    ended: new Promise((done) => {
      // the end of the pipe is not waited for: children that outlive a kill hold none of it
      child.once('exit', (code, signal) => {
        process.off('exit', killNow)
        setImmediate(() => done(code ?? signal ?? 'unknown'))
      })
    }),
    kill: (signal) => void child.kill(signal),
  }
}

/** Processes that a process has started and that still run. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1]) === pid
      } catch {
        return false // gone by now
      }
    })
    .map(Number)
}

/** Told to end, end as usual: what was started and made goes too. */
export function endWhenTold(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
}
