import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startWorkQueue } from '../../src/operator/queue.ts'
import { manualClock } from '../support/clock.ts'

/** A queue whose work waits until it is let go. */
function heldQueue(workers: number) {
  const clock = manualClock()
  const stop = new AbortController()
  const started: string[] = []
  const lengths: number[] = []
  const held = new Map<string, () => void>()
  const queue = startWorkQueue({
    workers,
    work(key) {
      started.push(key)
      return new Promise((resolve) => held.set(key, resolve))
    },
    onLength: (length) => lengths.push(length),
    clock,
    signal: stop.signal,
  })
  const finish = async (key: string) => {
    held.get(key)?.()
    await setImmediate()
  }
  return { queue, clock, stop, started, lengths, finish }
}

test('takes what changed before what is due, and each key once', async () => {
  const { queue, started, finish } = heldQueue(1)
  queue.ask('running', 'due')
  await setImmediate()

  for (const key of ['a', 'b', 'a']) queue.ask(key, 'due')
  queue.ask('c', 'changed')
  queue.ask('b', 'changed')
  expect(queue.length()).toBe(3)
  for (const key of ['running', 'c', 'b', 'a']) await finish(key)

  expect(started).toEqual(['running', 'c', 'b', 'a'])
})

test('never works on a key twice at once, and once more where it was asked for meanwhile', async () => {
  const { queue, started, finish } = heldQueue(2)
  queue.ask('a', 'due')
  await setImmediate()

  queue.ask('a', 'changed')
  queue.ask('a', 'due')
  await setImmediate()
  expect(started).toEqual(['a'])
  await finish('a')

  expect(started).toEqual(['a', 'a'])
})

test('asks again after a while; a new plan takes the place of the old one', async () => {
  const { queue, clock, started } = heldQueue(1)
  queue.askIn('a', 1_000)
  queue.askIn('a', 5_000)
  queue.askIn('b', 2_000)
  queue.drop('b')

  await clock.advance(4_999)
  expect(started).toEqual([])
  await clock.advance(1)
  await setImmediate()

  expect(started).toEqual(['a'])
})

test('ends when it is told to, with the work under way', async () => {
  const { queue, stop, started, finish } = heldQueue(2)
  queue.ask('a', 'due')
  await setImmediate()
  stop.abort()
  queue.ask('b', 'changed')
  let ended = false
  void queue.ended.then(() => {
    ended = true
  })
  await setImmediate()
  expect(ended).toBe(false)

  await finish('a')

  await queue.ended
  expect(started).toEqual(['a'])
})
