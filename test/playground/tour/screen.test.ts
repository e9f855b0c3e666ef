import { afterEach, expect, test, vi } from 'vitest'
import { FluxError } from '../../../src/core/errors.ts'
import { closedEnvironment } from '../../../src/playground/processes.ts'
import { createScreen, type ScreenOptions } from '../../../src/playground/tour/screen.ts'

const env = closedEnvironment('/nonexistent')

function screenOf(options: Partial<ScreenOptions> = {}) {
  const shown: string[] = []
  const screen = createScreen({
    steps: 2,
    out: (text) => shown.push(text),
    colour: false,
    signal: new AbortController().signal,
    clues: () => '',
    ...options,
  })
  return { screen, shown: () => shown.join('') }
}

afterEach(() => {
  vi.useRealTimers()
})

test('tells what comes, the command with its output, and what was checked', async () => {
  const { screen, shown } = screenOf()

  screen.step('First', 'Something is said.')
  await screen.run('say hello', { file: 'echo', args: ['hello'], env })
  await screen.check('it was said', () => true)

  expect(shown()).toBe('\n1/2  First\nSomething is said.\n\n$ say hello\nhello\n✓ it was said\n')
})

test('uses colours where it is told to', () => {
  const { screen, shown } = screenOf({ colour: true })

  screen.step('First', 'Something is said.')
  screen.note('it was said')

  expect(shown()).toBe('\n\x1b[1m1/2  First\x1b[0m\nSomething is said.\n\n\x1b[32m✓\x1b[0m it was said\n')
})

test('stops at an exit code that was not expected', async () => {
  const { screen } = screenOf({ clues: () => 'the last words of a log' })

  const run = screen.run('false', { file: 'false', args: [], env })

  await expect(run).rejects.toMatchObject({
    code: 'DEMO_CHECK_FAILED',
    what: '`false` ended with exit code 1, not 0',
    why: 'the last words of a log',
  })
})

test('an expected failure goes on', async () => {
  const { screen } = screenOf()

  await expect(screen.run('false', { file: 'false', args: [], env, exitCode: 1 })).resolves.toBe('')
})

test('waits for what is to come true', async () => {
  const { screen, shown } = screenOf()
  let asked = 0

  await screen.check('third time lucky', () => ++asked === 3)

  expect(shown()).toBe('✓ third time lucky\n')
})

test('stops at what does not come true, with the last problem', async () => {
  vi.useFakeTimers()
  const { screen, shown } = screenOf()

  const check = screen.check('pigs fly', () => Promise.reject(new Error('no wings'))).catch((error) => error)
  await vi.advanceTimersByTimeAsync(25_000)

  const error = await check
  expect(error).toBeInstanceOf(FluxError)
  expect(error).toMatchObject({
    code: 'DEMO_CHECK_FAILED',
    what: 'this did not come true: pigs fly',
    why: 'no wings',
  })
  expect(shown()).toBe('')
})

test('stops checking when it is interrupted', async () => {
  const stop = new AbortController()
  const { screen } = screenOf({ signal: stop.signal })

  const check = screen.check('pigs fly', () => {
    stop.abort(new Error('enough'))
    return false
  })

  await expect(check).rejects.toThrow('enough')
})
