import { expect, test } from 'vitest'
import { createQueue, type Lane, type Turn } from '../../src/runtime/queue.ts'

function makeQueue() {
  const stop = new AbortController()
  return { queue: createQueue({ signal: stop.signal }), stop }
}

/** Puts tasks in line that write down their name, and tells the order in which they ran. */
function recorder(queue: ReturnType<typeof createQueue>) {
  const ran: string[] = []
  const add = (lane: Lane, name: string, task: (turn: Turn) => Promise<void> = async () => {}) =>
    queue.run(lane, async (turn) => {
      ran.push(name)
      await task(turn)
    })
  return { ran, add }
}

test('people go before automation, automation before full passes, and each in the order they came', async () => {
  const { queue } = makeQueue()
  const { ran, add } = recorder(queue)

  await Promise.all([
    add('passes', 'pass 1'),
    add('automation', 'automation 1'),
    add('people', 'person 1'),
    add('passes', 'pass 2'),
    add('people', 'person 2'),
  ])

  expect(ran).toEqual(['person 1', 'person 2', 'automation 1', 'pass 1', 'pass 2'])
})

test('one task runs at a time, and gives its result to whoever asked', async () => {
  const { queue } = makeQueue()
  let running = 0
  let most = 0
  const task = (result: number) =>
    queue.run('people', async () => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running--
      return result
    })

  const results = await Promise.all([task(1), task(2), task(3)])

  expect({ results, most }).toEqual({ results: [1, 2, 3], most: 1 })
})

test('a pass lets more urgent tasks by between its stages, and less urgent ones wait', async () => {
  const { queue } = makeQueue()
  const { ran, add } = recorder(queue)

  await add('passes', 'stage 1', async ({ giveWay }) => {
    void add('passes', 'other pass')
    void add('automation', 'automation')
    void add('people', 'person')
    await giveWay()
    ran.push('stage 2')
  })
  await queue.idle()

  expect(ran).toEqual(['stage 1', 'person', 'automation', 'stage 2', 'other pass'])
})

test('a task that fails tells its caller, and the next one runs', async () => {
  const { queue } = makeQueue()

  const failed = queue.run('people', () => Promise.reject(new Error('no')))
  const thrown = queue.run('people', () => {
    throw new Error('at once')
  })
  const next = queue.run('people', async () => 'yes')

  await expect(failed).rejects.toThrow('no')
  await expect(thrown).rejects.toThrow('at once')
  await expect(next).resolves.toBe('yes')
})

test('a task put in line by the end of another is not forgotten', async () => {
  const { queue } = makeQueue()

  for (let i = 0; i < 100; i++) await queue.run('passes', async () => {})

  await expect(queue.run('people', async () => 'ran')).resolves.toBe('ran')
})

test('an abort tells the task that runs and turns away those that wait', async () => {
  const { queue, stop } = makeQueue()
  const running = queue.run('people', async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    return 'ended in good order'
  })
  await new Promise((resolve) => setImmediate(resolve))
  const waiting = queue.run('people', async () => 'never')

  stop.abort(new Error('stopping'))

  await expect(waiting).rejects.toThrow('stopping')
  await expect(queue.run('people', async () => 'never')).rejects.toThrow('stopping')
  await expect(running).resolves.toBe('ended in good order')
  await queue.idle()
})
