import { expect, onTestFinished, test } from 'vitest'
import { startLoop } from '../../src/runtime/loop.ts'
import { manualClock } from '../support/clock.ts'

function start({
  pass = async () => {},
  random = () => 0,
}: {
  pass?: (signal: AbortSignal) => Promise<void>
  random?: () => number
} = {}) {
  const clock = manualClock()
  const stop = new AbortController()
  const startedAt: number[] = []
  const errors: unknown[] = []
  const loop = startLoop({
    pass(signal) {
      startedAt.push(clock.monotonicMs())
      return pass(signal)
    },
    intervalMs: 1000,
    signal: stop.signal,
    clock,
    onError: (thrown) => errors.push(thrown),
    random,
  })
  onTestFinished(() => stop.abort())
  return { clock, stop, loop, startedAt, errors }
}

test('begins at once, then keeps its interval', async () => {
  const { clock, startedAt } = start()

  await clock.advance(2500)

  expect(startedAt).toEqual([0, 1000, 2000])
})

test('comes up to a tenth early, and never late', async () => {
  const draws = [0, 0.5, 0.999]
  const { clock, startedAt } = start({ random: () => draws.shift() ?? 0 })

  await clock.advance(3000)

  expect(startedAt).toEqual([0, 1000, 1950, expect.closeTo(2850.1)])
})

test('asked while it rests, it passes at once, and rests a whole interval after', async () => {
  const { clock, loop, startedAt } = start()
  await clock.advance(300)

  loop.ask()
  loop.ask()
  await clock.advance(1200)

  expect(startedAt).toEqual([0, 300, 1300])
})

test('asked many times during a pass, it makes one more', async () => {
  const { clock, loop, startedAt } = start({ pass: () => clock.sleep(100) })
  await clock.advance(50)

  for (let i = 0; i < 5; i++) loop.ask()
  await clock.advance(500)

  expect(startedAt).toEqual([0, 100])
})

test('goes on after a pass that failed', async () => {
  const { clock, startedAt, errors } = start({
    pass: () => {
      throw new Error('no')
    },
  })

  await clock.advance(1000)

  expect(startedAt).toEqual([0, 1000])
  expect(errors).toEqual([new Error('no'), new Error('no')])
})

test('ends while it rests', async () => {
  const { clock, stop, loop } = start()
  await clock.advance(10)

  stop.abort()

  await loop.ended
  expect(clock.sleeping).toEqual([])
})

test('ends with the pass that runs, which is told, and whose failure is then no news', async () => {
  const { clock, stop, loop, errors, startedAt } = start({ pass: (signal) => clock.sleep(60_000, signal) })
  await clock.advance(10)

  stop.abort(new Error('stopping'))

  await loop.ended
  expect({ errors, startedAt }).toEqual({ errors: [], startedAt: [0] })
})
