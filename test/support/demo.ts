import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { expect } from 'vitest'

/** The built `fluxctl demo`, started as a stranger would, and what it leaves behind. `npm test` builds it. */

export interface Demo extends AsyncDisposable {
  child: ChildProcess
  /** its folder for temporary files, where it may leave things behind */
  folder: string
  stdout(): string
  /** Wait until it has said this. */
  said(text: string | RegExp): Promise<void>
  ended(): Promise<{ code: number | null; stdout: string; stderr: string }>
}

export interface DemoOptions {
  env?: Readonly<Record<string, string>>
  /** on a terminal, by `script` of util-linux */
  terminal?: boolean
  /** programs of the PATH that are elsewhere, or hidden; helm is, unless it is named */
  programs?: Readonly<Record<string, string | undefined>>
}

export function startDemo(
  args: readonly string[] = [],
  { env = {}, terminal = false, programs = {} }: DemoOptions = {},
): Demo {
  const folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
  const path = pathWith({ helm: undefined, ...programs })
  const words = [process.execPath, 'bin/fluxctl.cjs', 'demo', ...args]
  const [file = '', ...rest] = terminal ? ['script', '-qec', `exec ${words.join(' ')}`, '/dev/null'] : words
  const child = spawn(file, rest, {
    env: {
      HOME: '/nonexistent',
      PATH: path,
      TMPDIR: folder,
      TERM: 'xterm',
      ...env,
    },
    stdio: [terminal ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  const closed = once(child, 'close')
  return {
    child,
    folder,
    stdout: () => stdout,
    async said(text) {
      const isSaid = () =>
        (typeof text === 'string' ? stdout.includes(text) : text.test(stdout)) || child.exitCode !== null
      await expect.poll(isSaid, { timeout: 90_000 }).toBe(true)
      expect(stdout + stderr).toMatch(text)
    },
    async ended() {
      await closed
      return { code: child.exitCode, stdout, stderr }
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM')
        await closed
      }
      for (const each of [folder, path]) rmSync(each, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** A folder with all programs of the PATH, but for these. */
function pathWith(programs: Readonly<Record<string, string | undefined>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'demo-path-'))
  const link = (name: string, target: string) => {
    try {
      symlinkSync(target, join(folder, name))
    } catch {
      // an earlier folder of the PATH has it too
    }
  }
  for (const [name, target] of Object.entries(programs)) if (target !== undefined) link(name, target)
  for (const from of (process.env['PATH'] ?? '').split(delimiter).filter(existsSync)) {
    for (const name of readdirSync(from)) if (!(name in programs)) link(name, join(from, name))
  }
  return folder
}

/** Processes whose environment names a text, such as the folder that everything in a demo has there. */
export function processesWith(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(text)
      } catch {
        return false // it ended, or is another user's
      }
    })
}

export async function expectNothingLeft({ folder }: Demo): Promise<void> {
  const left = () => [...processesWith(folder), ...readdirSync(folder)]
  await expect.poll(left, { timeout: 20_000 }).toEqual([])
}
