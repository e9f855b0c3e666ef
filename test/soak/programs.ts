import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'rolldown'
import configs from '../../rolldown.config.ts'

/** The programs as they are shipped, in a folder of their own, so that a build of others in the meantime changes nothing. */
export interface BuiltPrograms extends Disposable {
  /** path of `main.cjs` of a program */
  main(program: 'fluxctl' | 'fluxd'): string
}

export async function buildPrograms(): Promise<BuiltPrograms> {
  mkdirSync('.cache', { recursive: true })
  // inside the checkout, for they find what is not bundled by going up to its node_modules
  const folder = mkdtempSync(resolve('.cache/programs-'))
  const programs = ['fluxctl', 'fluxd'] as const
  await Promise.all(
    programs.map(async (program) => {
      const config = configs.find(({ output }) => [output].flat()[0]?.dir === `dist/${program}`)
      if (!config) throw new Error(`nothing says how ${program} is built`)
      await build({ ...config, output: { ...[config.output].flat()[0], dir: join(folder, program) } })
    }),
  )
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  return {
    main: (program) => join(folder, program, 'main.cjs'),
    [Symbol.dispose]() {
      process.off('exit', remove)
      remove()
    },
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

/** Told to end, end as usual: what was started and made goes too. */
export function endWhenTold(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
}
