import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { childrenOf } from '../test/soak/programs.ts'

/** Measuring, and saying what was measured. */

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low = Number.NaN, high = Number.NaN] = [sorted[middle - 1], sorted[middle]]
  return sorted.length % 2 === 1 ? high : (low + high) / 2
}

/** How long it takes, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

/**
 * Run cases in turns, so that whatever else the machine does meets all of them.
 *
 * @returns the durations of each case
 */
export async function inTurns<Name extends string>(
  rounds: number,
  cases: Readonly<Record<Name, (round: number) => Promise<number>>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(cases) as Name[]
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = 0; round < rounds; round++) {
    // each goes first as often as the others
    const order = names
      .map((_, index) => names[(index + round) % names.length])
      .filter((name) => name !== undefined)
    for (const name of order) times[name].push(await cases[name](round))
  }
  return times
}

/** Run a program to its end. @returns its output @throws Error with what it said */
export function runProgram(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  cwd?: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(file, [...args], { env, cwd, maxBuffer: 2 ** 28 }, (error, stdout, stderr) =>
      error ? reject(new Error(`${file} ${args.join(' ')}: ${stderr || error.message}`)) : resolve(stdout),
    )
  })
}

const ticksPerSecond = 100 // as every Linux has it

/** CPU seconds of a process, its living children and those that have ended. */
export function cpuSeconds(pid: number): number {
  return [pid, ...childrenOf(pid)].map(ticksOf).reduce((sum, ticks) => sum + ticks, 0) / ticksPerSecond
}

function ticksOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index] ?? 0), 0)
  } catch {
    return 0 // it has ended
  }
}

/** Anonymous memory in MiB of a process and its living children. */
export function anonymousMiB(pid: number): number {
  return [pid, ...childrenOf(pid)].map(rssAnonKiB).reduce((sum, kib) => sum + kib, 0) / 1024
}

function rssAnonKiB(pid: number): number {
  try {
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

export function inMs(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : value < 10_000 ? `${Math.round(value)} ms` : inSeconds(value)
}

export function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
