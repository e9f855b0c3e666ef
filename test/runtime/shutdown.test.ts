import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { runUntilTold } from '../../src/runtime/shutdown.ts'
import { manualClock } from '../support/clock.ts'

function run(work: (signal: AbortSignal) => Promise<void>) {
  const source = new EventEmitter()
  const clock = manualClock()
  const told: string[] = []
  const ending = runUntilTold(work, {
    graceMs: 1000,
    clock,
    onSignal: (name) => told.push(name),
    source: source as unknown as NodeJS.Process,
  })
  return { source, clock, told, ending }
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))

test.each([
  { signal: 'SIGINT', name: 'interrupt' },
  { signal: 'SIGTERM', name: 'terminated' },
])('$signal tells the work to end', async ({ signal, name }) => {
  const { source, told, ending, clock } = run(untilAborted)

  source.emit(signal, signal)

  expect(await ending).toEqual({ how: 'clean' })
  expect(told).toEqual([name])
  expect(clock.sleeping).toEqual([])
})

test('work that has ended leaves no ear behind', async () => {
  const { source, ending } = run(async () => {})

  expect(await ending).toEqual({ how: 'clean' })
  expect(source.eventNames()).toEqual([])
})

test('a second signal is left to the system', async () => {
  const { source } = run(() => new Promise(() => {}))

  source.emit('SIGTERM', 'SIGTERM')

  expect(source.eventNames()).toEqual([])
})

test('work that does not end in time is left where it stands', async () => {
  const { source, clock, ending } = run(() => new Promise(() => {}))

  source.emit('SIGTERM', 'SIGTERM')
  await clock.advance(1000)

  expect(await ending).toEqual({ how: 'late' })
})

test('work that fails by itself says why', async () => {
  const { ending } = run(() => Promise.reject(new Error('address in use')))

  expect(await ending).toEqual({ how: 'failed', thrown: new Error('address in use') })
})

test('work that fails because it was told to end has ended', async () => {
  const { source, ending } = run(async (signal) => {
    await untilAborted(signal)
    throw signal.reason
  })

  source.emit('SIGINT', 'SIGINT')

  expect(await ending).toEqual({ how: 'clean' })
})
