import { describe, expect, test } from 'vitest'
import { createRepository, type Repository } from '../../src/agent/repository.ts'
import { FluxError } from '../../src/core/errors.ts'
import type { GitMirror } from '../../src/ports/git.ts'
import type { LogFields } from '../../src/ports/log.ts'
import { manualClock } from '../support/clock.ts'

const denied = () => new FluxError('GIT_CLONE_DENIED', { what: 'who are you?', next: 'Add the key.' })

/** The state machine over a mirror that does as it is told, with time standing still. */
function start({ readonly = false } = {}) {
  const clock = manualClock()
  const stop = new AbortController()
  const entries: LogFields[] = []
  const log = { write: (fields: LogFields) => entries.push(fields), with: () => log }
  const upstream = {
    fetches: 0,
    checks: 0,
    head: 'a'.repeat(40) as string | undefined,
    fetchFault: undefined as FluxError | undefined,
    writeFault: undefined as FluxError | undefined,
  }
  const mirror = {
    safeUrl: 'https://example.com/r.git',
    async fetch() {
      upstream.fetches++
      if (upstream.fetchFault) throw upstream.fetchFault
    },
    async checkWritable() {
      upstream.checks++
      if (upstream.writeFault) throw upstream.writeFault
    },
    branchHead: async () => upstream.head,
    branches: async () => ({ default: 'trunk', names: upstream.head ? ['main'] : ['trunk'] }),
  } as unknown as GitMirror
  const told: unknown[] = []
  const repository: Repository = createRepository({
    mirror,
    branch: 'main',
    readonly,
    pollIntervalMs: 300_000,
    clock,
    log,
    onReady: (ready) => told.push(ready),
    onRefreshed: (head) => told.push(head),
  })
  const ended = repository.run(stop.signal).catch(() => {})
  return { clock, stop, ended, entries, upstream, told, repository }
}

const head = 'a'.repeat(40)
const later = 'b'.repeat(40)

describe('the repository', () => {
  test('is cloned, checked and ready without a pause', async () => {
    const { clock, upstream, told, repository } = start()

    await clock.advance(0)

    expect(repository.status()).toEqual({ state: 'ready', error: undefined })
    expect(upstream).toMatchObject({ fetches: 2, checks: 1 })
    expect(told).toEqual([true, head])
    expect(repository.head()).toBe(head)
  })

  test('is not checked for write access where nothing is pushed', async () => {
    const { clock, upstream, repository } = start({ readonly: true })

    await clock.advance(0)

    expect(repository.status().state).toBe('ready')
    expect(upstream.checks).toBe(0)
  })

  test('is tried again every ten seconds, and its fault is told once', async () => {
    const { clock, upstream, entries, repository } = start()
    upstream.fetchFault = denied()
    await clock.advance(0)
    expect(() => repository.ready()).toThrow('git repo not ready: who are you?')

    await clock.advance(9_999)
    expect(upstream.fetches).toBe(1)
    await clock.advance(30_001)
    expect(upstream.fetches).toBe(5)
    expect(entries.filter(({ code }) => code === 'GIT_CLONE_DENIED')).toEqual([
      expect.objectContaining({ state: 'new', err: 'who are you?', next: 'Add the key.' }),
    ])

    upstream.fetchFault = undefined
    await clock.advance(10_000)
    expect(repository.status().state).toBe('ready')
  })

  test('is tried again at once when somebody says that something has changed, such as a key let in', async () => {
    const { clock, upstream, repository } = start()
    upstream.fetchFault = denied()

    await clock.advance(0)
    upstream.fetchFault = undefined
    repository.askRefresh()
    await clock.advance(0)

    expect(repository.status().state).toBe('ready')
  })

  test('names the branches there are where its own is missing, and takes it as soon as it is there', async () => {
    const { clock, upstream, entries, repository } = start()
    upstream.head = undefined
    await clock.advance(0)

    expect(repository.status().state).toBe('cloned')
    expect(entries.at(-1)).toMatchObject({
      code: 'GIT_BRANCH_MISSING',
      why: "The repository has trunk; its default branch is 'trunk'.",
      next: 'Create the branch, or start fluxd with --git-branch=trunk.',
    })

    upstream.head = later
    await clock.advance(10_000)
    expect(repository.head()).toBe(later)
  })

  test('is fetched at the poll, and when asked, however often, once', async () => {
    const { clock, upstream, told, repository } = start()
    await clock.advance(0)
    upstream.head = later

    await clock.advance(299_999)
    expect(upstream.fetches).toBe(2)
    await clock.advance(1)
    expect(upstream.fetches).toBe(3)
    expect(told.at(-1)).toBe(later)

    repository.askRefresh()
    repository.askRefresh()
    await clock.advance(0)
    expect(upstream.fetches).toBe(4)
  })

  test('a fetch that fails makes it new again, and it recovers', async () => {
    const { clock, upstream, told, repository } = start()
    await clock.advance(0)
    upstream.fetchFault = denied()
    repository.askRefresh()
    await clock.advance(0)
    expect(repository.status()).toMatchObject({ state: 'new', error: { code: 'GIT_CLONE_DENIED' } })
    expect(told.at(-1)).toBe(false)

    upstream.fetchFault = undefined
    await clock.advance(10_000)
    expect(repository.status().state).toBe('ready')
    expect(told.slice(-2)).toEqual([true, head])
  })

  test('ends when told, whatever it waits for', async () => {
    for (const fault of [undefined, denied()]) {
      const { clock, stop, ended, upstream } = start()
      upstream.fetchFault = fault
      await clock.advance(0)
      stop.abort()
      await ended
    }
  })
})
