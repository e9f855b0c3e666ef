import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, expect, test, vi } from 'vitest'
import {
  closedEnvironment,
  createFolder,
  type Folder,
  runProgram,
  startProgram,
} from '../../src/playground/processes.ts'

const folders: Folder[] = []
afterEach(async () => {
  vi.unstubAllEnvs()
  for (const folder of folders.splice(0)) await folder.remove()
})

async function newFolder(): Promise<string> {
  const folder = await createFolder('processes-test-')
  folders.push(folder)
  return folder.path
}

const env = closedEnvironment('/nonexistent')
const signal = new AbortController().signal

function isAlive(pid: number): boolean {
  try {
    // a zombie is dead, only not yet buried
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

test('makes folders that only this user may enter', async () => {
  const path = await newFolder()

  expect(statSync(path).mode & 0o777).toBe(0o700)
})

test('gives children no variable of ours but PATH', () => {
  vi.stubEnv('KUBECONFIG', '/home/user/.kube/config')
  vi.stubEnv('GIT_DIR', '/home/user/repository')
  vi.stubEnv('NPM_TOKEN', 'secret')

  const { HOME, PATH, TMPDIR, ...fixed } = closedEnvironment('/some/home')

  expect({ HOME, PATH, TMPDIR }).toEqual({
    HOME: '/some/home',
    PATH: process.env['PATH'],
    TMPDIR: '/some/home',
  })
  expect(fixed).toEqual({ LC_ALL: 'C', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' })
})

test('gives both outputs of a program in their order, and its exit code', async () => {
  const parts: string[] = []

  const result = await runProgram({
    file: 'sh',
    args: ['-c', 'echo one; echo two >&2; echo three; exit 7'],
    env,
    signal,
    onOutput: (text) => parts.push(text),
  })

  expect(result).toEqual({ exitCode: 7, output: 'one\ntwo\nthree\n' })
  expect(parts.join('')).toBe(result.output)
})

test('a program finds its input empty', async () => {
  const { output } = await runProgram({ file: 'cat', args: [], env, signal })

  expect(output).toBe('')
})

test('an aborted program ends with all that it started', async () => {
  const stop = new AbortController()
  let pid = 0

  const run = runProgram({
    file: 'sh',
    args: ['-c', 'sleep 1000 & echo $!; wait'],
    env,
    signal: stop.signal,
    onOutput(text) {
      pid = Number(text)
      stop.abort(new Error('enough'))
    },
  })

  await expect(run).rejects.toThrow('enough')
  await expect.poll(() => isAlive(pid)).toBe(false)
})

test('waits for a program to be ready, and shows its last words when it ends before', async () => {
  const folder = await newFolder()
  const log = join(folder, 'log')

  const ready = startProgram({ file: 'sh', args: ['-c', 'echo ready; sleep 1000'], env, log })
  await ready.until('it says so', () => ready.log().includes('ready'))
  await ready.kill()
  const failing = startProgram({ file: 'sh', args: ['-c', 'echo no such luck; exit 1'], env, log })

  await expect(failing.until('it is ready', () => false)).rejects.toThrow(
    /^sh ended before it is ready:\n[\s\S]*no such luck$/,
  )
})

test('leaves neither programs nor folders behind when it is killed', async () => {
  const folder = await newFolder()
  const script = join(folder, 'owner.mjs')
  const module = join(process.cwd(), 'src/playground/processes.ts')
  writeFileSync(
    script,
    `const { createFolder, runProgram, startProgram } = await import(${JSON.stringify(module)})
    const { path } = await createFolder('processes-test-owned-')
    const program = { file: 'sh', args: ['-c', 'echo $$; sleep 1000 & echo $!; wait'], env: process.env }
    const background = startProgram({ ...program, log: path + '/log' })
    await background.until('it has begun', () => background.log().split('\\n').length > 2)
    console.log(path)
    for (const pid of background.log().trim().split('\\n')) console.log(pid)
    await runProgram({ ...program, signal: new AbortController().signal, onOutput: (text) => process.stdout.write(text) })`,
  )
  const owner = spawn(process.execPath, ['--import', 'tsx', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  for await (const line of createInterface(owner.stdout)) if (lines.push(line) === 5) break
  const [path = '', ...pids] = lines
  const isLeft = () => existsSync(path) || pids.some((pid) => isAlive(Number(pid)))
  expect(isLeft()).toBe(true)

  owner.kill('SIGKILL')

  await expect.poll(isLeft, { timeout: 10_000 }).toBe(false)
})
