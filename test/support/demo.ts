import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
}

export function startDemo(
  args: readonly string[] = [],
  { env = {}, terminal = false }: DemoOptions = {},
): Demo {
  const folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
  const words = [process.execPath, 'bin/fluxctl.cjs', 'demo', ...args]
  const [file = '', ...rest] = terminal ? ['script', '-qec', `exec ${words.join(' ')}`, '/dev/null'] : words
  const child = spawn(file, rest, {
    env: {
      HOME: '/nonexistent',
      PATH: process.env['PATH'],
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
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
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
