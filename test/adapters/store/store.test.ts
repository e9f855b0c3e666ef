import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fallBackToMemory } from '../../../src/adapters/store/fallback.ts'
import { openImageStore } from '../../../src/adapters/store/lmdb.ts'
import { createMemoryStore } from '../../../src/adapters/store/memory.ts'
import type { ImageStore } from '../../../src/ports/image-store.ts'
import type { Log, LogFields } from '../../../src/ports/log.ts'

let folder: string
let entries: LogFields[]
const log: Log = { write: (fields) => void entries.push(fields), with: () => log }
const open = () => openImageStore({ folder, log })
const failing = (code: string) => expect.objectContaining({ code })

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-store-'))
  entries = []
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const name = 'index.docker.io/library/app'
const listed = { listedAtMs: 1, pages: [{ path: '/v2/', etag: '"x"' }] }
const facts = { digest: 'sha256:b', labels: { a: 'b' }, createdAt: new Date(5), createdAtText: 'text' }

describe.each([
  { kind: 'in LMDB', make: open },
  { kind: 'in memory', make: async () => createMemoryStore() },
])('a store $kind', ({ make }) => {
  let store: ImageStore
  beforeEach(async () => {
    store = await make()
  })
  afterEach(() => store.close())

  test('keeps the names of tags in order, and tells of each tag that changes', () => {
    const told: string[] = []
    store.onTagChange((_name, tag) => told.push(tag))
    expect(store.tagNames(name)).toEqual([])
    store.setListing(name, ['b', 'a'], listed)
    const names = store.tagNames(name)
    expect(names).toEqual(['a', 'b'])
    expect(told.splice(0).sort()).toEqual(['a', 'b'])

    store.setTag(name, 'a', { digest: 'sha256:a' })
    store.setTag(name, 'never', {})
    expect(store.tagNames(name)).toBe(names)
    expect(told.splice(0)).toEqual(['a'])

    store.setListing(name, ['b', 'c'], listed)
    expect(store.tagNames(name)).toEqual(['b', 'c'])
    expect(told.sort()).toEqual(['a', 'c'])
  })

  test('gives back what was put in', () => {
    expect(store.getRepository(name)).toBe(undefined)
    expect(store.setListing(name, ['b', 'a'], listed)).toBe(2)
    expect(store.setTag(name, 'a', { digest: 'sha256:a', fetchedAtMs: 1, dueAtMs: 2 })).toBe(true)
    store.setFacts('sha256:a', facts)

    expect(store.getRepository(name)).toEqual(listed)
    expect([...store.listTags(name)]).toEqual([
      ['a', { digest: 'sha256:a', fetchedAtMs: 1, dueAtMs: 2 }],
      ['b', {}],
    ])
    expect(store.getTag(name, 'b')).toEqual({})
    expect(store.getFacts('sha256:a')).toEqual(facts)
  })

  test('keeps what is known of tags that stay, drops those that go, and counts the new', () => {
    store.setListing(name, ['a', 'b'], listed)
    store.setTag(name, 'a', { digest: 'sha256:a' })

    expect(store.setListing(name, ['c', 'a'], { ...listed, listedAtMs: 2 })).toBe(1)

    expect([...store.listTags(name)]).toEqual([
      ['a', { digest: 'sha256:a' }],
      ['c', {}],
    ])
    expect(store.setTag(name, 'b', {})).toBe(false)
  })

  test('tells repositories apart whose names begin alike', () => {
    store.setListing('x/app', ['1'], listed)
    store.setListing('x/app-two', ['2'], listed)
    store.setListing('x/ap', ['3'], listed)

    expect([...store.listTags('x/app')].map(([tag]) => tag)).toEqual(['1'])
  })
})

test('what was written is there after the process has ended', async () => {
  const first = await open()
  first.setListing(name, ['a'], listed)
  await first.close()

  const second = await open()

  expect([...second.listTags(name)]).toEqual([['a', {}]])
  await second.close()
})

test('a second holder is refused, and let in when the first has ended', async () => {
  const first = await open()

  await expect(open()).rejects.toThrow(failing('STORE_LOCKED'))

  await first.close()
  await (await open()).close()
})

test('a holder that was killed leaves no lock and the last whole state', async () => {
  const script = `
    import { fallBackToMemory } from '../../../src/adapters/store/fallback.ts'
import { openImageStore } from ${JSON.stringify(resolve('src/adapters/store/lmdb.ts'))}
    const log = { write() {}, with: () => log }
    const store = await openImageStore({ folder: process.argv[2], log })
    store.setListing('${name}', ['a', 'b'], { listedAtMs: 1, pages: [] })
    console.log('ready')
    for (let i = 0; ; i++) store.setListing('${name}', [String(i), 'x' + i], { listedAtMs: i, pages: [] })
  `
  const program = join(folder, 'holder.mts')
  await writeFile(program, script)
  const child = spawn(process.execPath, ['--import', 'tsx', program, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  await expect(open()).rejects.toThrow(failing('STORE_LOCKED'))
  child.kill('SIGKILL')
  await once(child, 'exit')

  const store = await open()

  expect([...store.listTags(name)]).toHaveLength(2)
  await store.close()
})

test.each([
  { what: 'no database', spoil: () => writeFile(join(folder, 'data.mdb'), 'x'.repeat(8192)) },
  { what: 'cut short', spoil: () => truncate(join(folder, 'data.mdb'), 8192) },
  { what: 'not whole pages', spoil: () => truncate(join(folder, 'data.mdb'), 9000) },
  { what: 'a store on which two processes died', spoil: () => writeFile(join(folder, 'opening'), 'twice') },
])('$what is made anew', async ({ spoil }) => {
  const first = await open()
  const many = Array.from({ length: 1000 }, (_, i) => `tag-${i}`)
  first.setListing(name, many, listed)
  await first.close()
  await spoil()

  const store = await open()

  expect(entries).toEqual([expect.objectContaining({ code: 'STORE_REBUILT' })])
  expect(store.getRepository(name)).toBe(undefined)
  expect(store.setListing(name, ['a'], listed)).toBe(1)
  await store.close()
})

test('a store on which one process died is opened as it is, for it may have been killed', async () => {
  const first = await open()
  first.setListing(name, ['a'], listed)
  await first.close()
  await writeFile(join(folder, 'opening'), 'once')

  const store = await open()

  expect(entries).toEqual([])
  expect([...store.listTags(name)].map(([tag]) => tag)).toEqual(['a'])
  expect(existsSync(join(folder, 'opening'))).toBe(false)
  await store.close()
})

test('a folder that cannot be made is named', async () => {
  await writeFile(join(folder, 'file'), '')

  await expect(openImageStore({ folder: join(folder, 'file', 'store'), log })).rejects.toThrow(
    failing('STORE_UNUSABLE'),
  )
})

test('a network file system is refused', async () => {
  await expect(openImageStore({ folder, log, typeOf: async () => 0x6969 })).rejects.toThrow(
    expect.objectContaining({ code: 'STORE_UNUSABLE', what: expect.stringContaining('network file system') }),
  )
})

test('a full disk: what is learnt is kept in memory, and that is said once', async () => {
  const full = () => {
    throw new Error('No space left on device')
  }
  const disk = { ...createMemoryStore(), setListing: full, setTag: full, setFacts: full, setRepository: full }
  const store = fallBackToMemory(disk, log)

  expect(store.setListing(name, ['a'], listed)).toBe(1)
  expect(store.setListing(name, ['a', 'b'], listed)).toBe(1)

  expect([...store.listTags(name)]).toHaveLength(2)
  expect(entries).toEqual([
    expect.objectContaining({ code: 'STORE_UNUSABLE', err: 'No space left on device' }),
  ])
})
