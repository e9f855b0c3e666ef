import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * The built programs, run as a user would run them. Theirs is a copy of `dist`, so that a build that others start in
 * the meantime changes nothing for them.
 */
export interface BuiltPrograms extends Disposable {
  /** path of `main.cjs` of a program */
  main(program: 'fluxctl' | 'fluxd'): string
}

export function buildPrograms(): BuiltPrograms {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/setup.mjs'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the build failed:\n${stderr}`)
  mkdirSync('.cache', { recursive: true })
  // inside the checkout, for they find what is not bundled by going up to its node_modules
  const folder = mkdtempSync(resolve('.cache/programs-'))
  cpSync('dist', folder, { recursive: true })
  return {
    main: (program) => join(folder, program, 'main.cjs'),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

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
