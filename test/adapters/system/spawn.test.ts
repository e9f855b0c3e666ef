import { readFile } from 'node:fs/promises'
import { describe, expect, test, vi } from 'vitest'
import { redact, runChild, startChild } from '../../../src/adapters/system/spawn.ts'

const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' }
const sh = (script: string) => ({ program: 'sh', args: ['-c', script], env, timeoutMs: 10_000 })

/** Resolves when a process is gone, or has nothing left but its exit code. */
async function ended(pid: number): Promise<void> {
  expect(pid).toBeGreaterThan(1)
  await vi.waitUntil(async () => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '0 (gone) Z')
    return /\) [ZX]/.test(stat)
  })
}

describe('a child that is run', () => {
  test('gets its input, and its output and exit code come back', async () => {
    const result = await runChild({ ...sh('cat; echo oops >&2; exit 3'), input: 'hello' })

    expect(result).toEqual({
      exitCode: 3,
      signal: undefined,
      error: undefined,
      stopped: undefined,
      stdout: Buffer.from('hello'),
      stderr: 'oops\n',
    })
  })

  test('sees the environment it is given, and nothing of ours', async () => {
    vi.stubEnv('A_SECRET_OF_OURS', 'x')

    const { stdout } = await runChild({ ...sh('env'), env: { ...env, GIVEN: '1' } })

    vi.unstubAllEnvs()
    expect(stdout.toString()).toContain('GIVEN=1')
    expect(stdout.toString()).not.toContain('A_SECRET_OF_OURS')
  })

  test('that does not read its input is no failure', async () => {
    const result = await runChild({ ...sh('exit 0'), input: 'x'.repeat(1_000_000) })

    expect(result.exitCode).toBe(0)
  })

  test('that is not there is told', async () => {
    const result = await runChild({ ...sh(''), program: '/nosuch/program' })

    expect(result.exitCode).toBeUndefined()
    expect(result.error?.message).toContain('ENOENT')
  })

  test('that ends itself by a signal is told', async () => {
    expect(await runChild(sh('kill -9 $$'))).toMatchObject({ exitCode: undefined, signal: 'SIGKILL' })
  })

  test('that writes more than it may is ended', async () => {
    const result = await runChild({ ...sh('yes'), maxOutputBytes: 1000 })

    expect(result.stopped).toBe('output')
    expect(result.stdout).toHaveLength(1000)
  })

  test('may write any amount of errors, of which the first are kept', async () => {
    const result = await runChild(sh('head -c 1000000 /dev/zero >&2; echo done'))

    expect(result).toMatchObject({ exitCode: 0, stdout: Buffer.from('done\n') })
    expect(result.stderr).toHaveLength(64 * 1024)
  })

  test('has no terminal to ask at', async () => {
    const { exitCode } = await runChild(sh('true < /dev/tty'))

    expect(exitCode).not.toBe(0)
  })
})

describe('the whole group ends', () => {
  const withGrandchild = (more = '') => `sleep 60 & echo $!; ${more} wait`

  test('at the time limit', async () => {
    const result = await runChild({ ...sh(withGrandchild()), timeoutMs: 200 })

    expect(result.stopped).toBe('timeout')
    await ended(Number(result.stdout))
  })

  test('when the signal is aborted, and the reason is thrown', async () => {
    const controller = new AbortController()
    const child = runChild({ ...sh(withGrandchild()), signals: [controller.signal] })
    controller.abort(new Error('enough'))

    await expect(child).rejects.toThrow('enough')
  })

  test('even where it does not listen to SIGTERM', async () => {
    const result = await runChild({ ...sh(`trap '' TERM; ${withGrandchild('echo $$;')}`), timeoutMs: 100 })

    const pids = result.stdout.toString().trim().split('\n').map(Number)
    expect(pids).toHaveLength(2)
    await Promise.all(pids.map(ended))
  })

  test('also where a grandchild outlives its parent', async () => {
    const child = startChild(
      sh('trap "exit 0" TERM; sh -c "trap \'\' TERM; echo \\$\\$; sleep 60 & wait; sleep 60"'),
    )
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    await vi.waitUntil(() => output.includes('\n'))

    await child.stop()

    await ended(Number(output))
  })

  test('is not started at all where the signal was aborted before', async () => {
    const signal = AbortSignal.abort(new Error('before'))

    await expect(runChild({ ...sh(''), program: '/nosuch', signals: [signal] })).rejects.toThrow('before')
  })
})

test('a child that has ended can be stopped, twice', async () => {
  const child = startChild(sh('exit 4'))
  child.stdout.resume()
  child.stderr.resume()
  expect(await child.ended).toMatchObject({ exitCode: 4 })

  await child.stop()
  await child.stop()
})

test.each([
  { text: 'push to https://me:pw@h/x failed', secrets: [], shown: 'push to https://h/x failed' },
  { text: 'the server says hunter2', secrets: ['hunter2'], shown: 'the server says ***' },
  { text: 'hunter2 and hunter', secrets: ['hunter', 'hunter2', ''], shown: '*** and ***' },
  { text: 'nothing', secrets: [], shown: 'nothing' },
])('"$text" is shown as "$shown"', ({ text, secrets, shown }) => {
  expect(redact(text, secrets)).toBe(shown)
})
