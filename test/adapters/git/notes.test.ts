import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { listNoteBlobs } from '../../../src/adapters/git/notes.ts'
import type { Trees } from '../../../src/adapters/git/trees.ts'
import { gitServer } from '../../../src/playground/git/server.ts'
import { fetchedMirror, flux, headOf, publishChange } from './support.ts'

test('without notes the list is empty', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using mirror = await fetchedMirror(upstream.fileUrl)

  expect(await mirror.listNotes()).toEqual(new Set())
  expect(await mirror.readNote(await headOf(mirror))).toBeUndefined()
})

test('two notes that were published are listed and read, by us and by git', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using mirror = await fetchedMirror(upstream.url)

  const first = await publishChange(mirror, 'a.yaml', 'one')
  const second = await publishChange(mirror, 'a.yaml', 'two')

  expect(await mirror.listNotes()).toEqual(new Set([first, second]))
  expect(await mirror.readNote(first)).toBe('{"jobID":"one"}')
  expect(await upstream.git('notes', '--ref', 'flux', 'show', second)).toBe('{"jobID":"two"}')
  expect(await upstream.git('log', '--format=%an %ae %s', 'refs/notes/flux')).toBe(
    Array(2).fill("Flux flux@example.com Notes added by 'git notes add'").join('\n'),
  )
})

test('notes that others wrote stay, also where they are spread over folders', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  const initial = await upstream.git('rev-parse', 'main')
  await upstream.stream(
    `commit refs/notes/flux\ncommitter a <a@b> 0 +0000\ndata 1\nx\n` +
      Array.from({ length: 300 }, (_, i) => {
        const hash = createHash('sha1').update(String(i)).digest('hex')
        const path = `${hash.slice(0, 2)}/${hash.slice(2, 4)}/${hash.slice(4)}`
        return `M 100644 inline ${path}\ndata ${`${i}`.length}\n${i}\n`
      }).join('') +
      `M 100644 inline ${initial}\ndata 4\nroot\nM 100644 inline README\ndata 1\nx\n`,
  )
  await using mirror = await fetchedMirror(upstream.fileUrl)

  const revision = await publishChange(mirror, 'a.yaml', 'ours')

  const seventh = createHash('sha1').update('7').digest('hex')
  expect((await mirror.listNotes()).size).toBe(302)
  expect(await mirror.readNote(initial)).toBe('root')
  expect(await mirror.readNote(seventh)).toBe('7')
  expect(await upstream.git('notes', '--ref', 'flux', 'show', revision)).toBe('{"jobID":"ours"}')
  expect(await upstream.git('notes', '--ref', 'flux', 'show', initial)).toBe('root')
  expect((await upstream.git('notes', '--ref', 'flux', 'list')).split('\n')).toHaveLength(302)
  expect(await upstream.git('show', 'refs/notes/flux:README')).toBe('x')
})

test('many notes are spread over folders, and one more changes little', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using mirror = await fetchedMirror(upstream.fileUrl)
  const expected = await headOf(mirror)
  const hashes = Array.from({ length: 700 }, (_, i) => createHash('sha1').update(String(i)).digest('hex'))
  const notes = new Map(hashes.map((hash, i) => [hash, `note ${i}`]))

  await mirror.publish({ branch: 'main', expected, revision: expected, notes, committer: flux })
  const revision = await publishChange(mirror, 'a.yaml', 'one more')

  expect((await upstream.git('ls-tree', 'refs/notes/flux')).split('\n').length).toBeLessThanOrEqual(256)
  expect((await upstream.git('notes', '--ref', 'flux', 'list')).split('\n')).toHaveLength(701)
  expect(await upstream.git('notes', '--ref', 'flux', 'show', revision)).toBe('{"jobID":"one more"}')
  expect(await mirror.readNote(hashes[500] ?? '')).toBe('note 500')
  expect(await upstream.git('fsck', '--strict', '--no-progress')).toBe('')
})

test('a note written again replaces the old one', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using mirror = await fetchedMirror(upstream.fileUrl)
  const expected = await headOf(mirror)
  const publish = (text: string) =>
    mirror.publish({
      branch: 'main',
      expected,
      revision: expected,
      notes: new Map([[expected, text]]),
      committer: flux,
    })

  await publish('old')
  await publish('new')

  expect(await mirror.readNote(expected)).toBe('new')
  expect(await mirror.listNotes()).toEqual(new Set([expected]))
})

test('another notes ref is another set of notes', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using mirror = await fetchedMirror(upstream.fileUrl, { notesRef: 'refs/notes/team/b' })

  const revision = await publishChange(mirror, 'a.yaml', 'x')

  expect(await upstream.git('notes', '--ref', 'team/b', 'show', revision)).toBe('{"jobID":"x"}')
  expect(await upstream.git('for-each-ref', '--format=%(refname)', 'refs/notes')).toBe('refs/notes/team/b')
})

test('a listing after another reads the folders that have changed', async () => {
  const hashOf = (text: string) => createHash('sha1').update(text).digest('hex')
  const rest = '0'.repeat(38)
  const note = (blob: string) => [{ mode: '100644', name: rest, hash: hashOf(blob), hashOffset: 0 }]
  const folder = (name: string, hash: string) => ({ mode: '40000', name, hash: hashOf(hash), hashOffset: 0 })
  const contents: Record<string, ReturnType<typeof note>> = {
    [hashOf('before')]: [folder('aa', 'a1'), folder('bb', 'b1')],
    [hashOf('after')]: [folder('aa', 'a2'), folder('bb', 'b1')],
    [hashOf('a1')]: note('1'),
    [hashOf('a2')]: note('2'),
    [hashOf('b1')]: note('3'),
  }
  const read: string[] = []
  const trees = {
    async read(hash: string) {
      read.push(hash)
      return { bytes: Buffer.alloc(0), entries: contents[hash] ?? [] }
    },
  } as Pick<Trees, 'read'> as Trees

  const { folders } = await listNoteBlobs(trees, hashOf('before'))
  read.length = 0
  const { blobs } = await listNoteBlobs(trees, hashOf('after'), folders)

  expect(read).toEqual([hashOf('after'), hashOf('a2')])
  expect(blobs).toEqual(
    new Map([
      [`aa${rest}`, hashOf('2')],
      [`bb${rest}`, hashOf('3')],
    ]),
  )
})
