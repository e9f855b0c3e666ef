import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createObjectReader } from '../../../src/adapters/git/objects.ts'
import { type Child, startChild } from '../../../src/adapters/system/spawn.ts'
import { type GitServer, gitServer } from '../../../src/playground/git/server.ts'

let upstream: GitServer
const texts = Array.from({ length: 200 }, (_, i) => `text ${i}\n${'x'.repeat((i * 997) % 5000)}`)
beforeAll(async () => {
  upstream = await gitServer(Object.fromEntries(texts.map((text, i) => [`${i}.txt`, text])))
})
afterAll(() => upstream[Symbol.asyncDispose]())

/** A reader of the upstream's objects, and the children that it started. */
function readerOf(args = ['cat-file', '--batch-command', '--buffer'], program = 'git') {
  const children: Child[] = []
  const reader = createObjectReader(() => {
    const env = { PATH: process.env['PATH'] ?? '', GIT_DIR: upstream.path }
    const child = startChild({ program, args, env })
    children.push(child)
    return child
  })
  return { ...reader, children, [Symbol.asyncDispose]: () => reader.close() }
}

test('answers come to the one who asked, in whatever order things are asked', async () => {
  await using reader = readerOf()

  const answers = await Promise.all(
    texts.flatMap((_, i) => [
      reader.read(`main:${i}.txt`),
      reader.info(`main:${i}.txt`),
      reader.read(`main:nosuch ${i}`),
      reader.info('deadbeef'),
    ]),
  )

  for (const [i, text] of texts.entries()) {
    const [content, info, ...none] = answers.slice(i * 4, i * 4 + 4)
    expect(String(content)).toBe(text)
    expect(info).toMatchObject({ type: 'blob', sizeBytes: text.length })
    expect(none).toEqual([undefined, undefined])
  }
  expect(reader.children).toHaveLength(1)
})

test('no program is started before something is asked', async () => {
  await using reader = readerOf()

  expect(reader.children).toHaveLength(0)
})

test('what is fetched and written later is seen', async () => {
  await using reader = readerOf()
  await reader.info('main')

  const revision = await upstream.commit({ 'new.txt': 'new' })
  const loose = await upstream.git('hash-object', '-w', 'HEAD')
  await upstream.git('repack', '-adq')

  expect(await reader.info('main')).toMatchObject({ hash: revision, type: 'commit' })
  expect(String(await reader.read('main:new.txt'))).toBe('new')
  expect(await reader.info(loose)).toMatchObject({ type: 'blob' })
  expect(String(await reader.read('main:7.txt'))).toBe(texts[7])
})

test('a text with a line end is no request', async () => {
  await using reader = readerOf()

  expect(await reader.info('main\ncontents main')).toBeUndefined()
  expect(await reader.info('main')).toMatchObject({ type: 'commit' })
})

describe('when the program is killed', () => {
  test('it is started again', async () => {
    await using reader = readerOf()
    await reader.info('main')

    process.kill(reader.children[0]?.pid ?? 0, 'SIGKILL')
    await reader.children[0]?.ended

    expect(String(await reader.read('main:3.txt'))).toBe(texts[3])
    expect(reader.children).toHaveLength(2)
  })

  test('requests under way are answered all the same', async () => {
    await using reader = readerOf()
    await reader.info('main')

    const answers = Promise.all(texts.map((_, i) => reader.read(`main:${i}.txt`)))
    process.kill(reader.children[0]?.pid ?? 0, 'SIGKILL')

    expect((await answers).map(String)).toEqual(texts)
  })

  test('by what it is asked, again and again, it gives up and says so', async () => {
    await using reader = readerOf(['-c', 'read line; kill -9 $$'], 'sh')

    await expect(reader.info('main')).rejects.toMatchObject({
      code: 'GIT_FAILED',
      message: 'git cat-file: ended before it answered',
    })
    expect(reader.children).toHaveLength(2)
  })

  test('and can not be started again, that is told', async () => {
    await using reader = readerOf([], '/nosuch/git')

    await expect(reader.info('main')).rejects.toMatchObject({ code: 'GIT_FAILED' })
  })
})

test('closing ends the program and what still waits', async () => {
  const reader = readerOf(['-c', 'sleep 60'], 'sh')
  const waiting = reader.info('main').catch((error: Error) => error.message)
  await vi.waitUntil(() => reader.children.length === 1)

  await reader.close()

  expect(await waiting).toBe('git cat-file: ended before it answered')
  await expect(reader.info('main')).rejects.toThrow('git cat-file')
})
