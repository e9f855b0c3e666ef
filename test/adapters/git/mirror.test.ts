import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gitServer } from '../../../src/playground/git/server.ts'
import { failureOf, fetchedMirror, headOf, mirrorOf, transports } from './support.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mirror-test-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe.each(transports)('over $transport', ({ urlOf }) => {
  test('a fetch brings branches, tags and notes, and takes away what is gone upstream', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    const first = await upstream.git('rev-parse', 'main')
    await upstream.git('branch', 'old')
    await upstream.git('tag', 'light')
    await upstream.git('tag', '-a', '-m', 'x', 'annotated')
    await using mirror = await fetchedMirror(urlOf(upstream))
    expect(await mirror.branchHead('old')).toBe(first)

    const second = await upstream.commit({ 'a.yaml': 'a: 2\n' })
    await upstream.git('branch', '-D', 'old')
    await upstream.git('branch', 'old/nested', 'main')
    await upstream.git('tag', '-d', 'light')
    await upstream.git('notes', '--ref', 'flux', 'add', '-m', 'hello', second)
    await mirror.fetch()

    expect(await mirror.branchHead('main')).toBe(second)
    expect(await mirror.branchHead('old')).toBeUndefined()
    expect(await mirror.branches()).toEqual({ default: 'main', names: ['main', 'old/nested'] })
    expect([await mirror.readTag('light'), await mirror.readTag('annotated')]).toEqual([undefined, first])
    expect(await mirror.readNote(second)).toBe('hello\n')
  })

  test('a branch that was rewritten upstream is followed', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(urlOf(upstream))
    await upstream.commit({ 'a.yaml': 'a: 2\n' }, 'other', 'orphan')

    await upstream.git('update-ref', 'refs/heads/main', 'refs/heads/orphan')
    await mirror.fetch()

    expect(await mirror.branchHead('main')).toBe(await upstream.git('rev-parse', 'orphan'))
  })

  test('names are resolved as people write them', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' }, { branch: 'trunk' })
    const revision = await upstream.git('rev-parse', 'trunk')
    await upstream.git('tag', '-a', '-m', 'x', 'v1')
    await using mirror = await fetchedMirror(urlOf(upstream))

    for (const name of [revision, revision.slice(0, 7), 'trunk', 'refs/heads/trunk', 'v1', 'HEAD']) {
      expect(await mirror.resolve(name), name).toBe(revision)
    }
    for (const name of [
      'nosuch',
      'deadbeef',
      '0'.repeat(40),
      '',
      '-x',
      '--all',
      'a\nb',
      'HEAD^{tree}',
      'HEAD:a.yaml',
    ]) {
      expect(await mirror.resolve(name), name).toBeUndefined()
    }
  })

  test('an empty repository has no branches, and its first push is seen', async () => {
    await using upstream = await gitServer()
    await using mirror = await fetchedMirror(urlOf(upstream))
    expect(await mirror.branches()).toEqual({ default: undefined, names: [] })
    expect(await mirror.branchHead('main')).toBeUndefined()
    expect(await mirror.resolve('HEAD')).toBeUndefined()

    const revision = await upstream.commit({ 'a.yaml': 'a: 1\n' })
    await mirror.fetch()

    expect(await mirror.branchHead('main')).toBe(revision)
    expect(await mirror.branches()).toEqual({ default: 'main', names: ['main'] })
  })

  test('a repository of SHA-256 hashes is read and written', async () => {
    await using upstream = await gitServer({ 'deploy/a.yaml': 'a: 1\n' }, { objectFormat: 'sha256' })
    await using mirror = await fetchedMirror(urlOf(upstream))
    const parent = await headOf(mirror)
    const committer = { name: 'Flux', email: 'flux@example.com' }

    const changes = new Map([['deploy/a.yaml', Buffer.from('a: 2\n')]])
    const revision = await mirror.commit({ parent, changes, message: 'Change', committer })
    const notes = new Map([[revision, 'a note']])
    await mirror.publish({ branch: 'main', expected: parent, revision, notes, committer })

    expect(revision).toHaveLength(64)
    expect(await upstream.git('show', 'main:deploy/a.yaml')).toBe('a: 2')
    expect(await upstream.git('notes', '--ref', 'flux', 'show', 'main')).toBe('a note')
    expect(await upstream.git('fsck', '--strict', '--no-progress')).toBe('')
  })
})

describe('files of a revision', () => {
  const files = {
    ' leading blank.yaml': '1',
    'a.yaml': '22',
    'a/b.yaml': '333',
    'a/sub/c.yaml': '4444',
    'a0.yaml': '5',
    'ab/d.yaml': '6',
    'quote"d\ttab.yaml': '7',
    'ü.yaml': '8',
  }

  test('come in tree order with their sizes', async () => {
    await using upstream = await gitServer(files)
    await using mirror = await fetchedMirror(upstream.fileUrl)

    const listed = await mirror.listFiles(await headOf(mirror))

    const expected = (await upstream.git('ls-tree', '-r', '-z', '-l', 'main')).split('\0').filter(Boolean)
    expect(
      listed.map(
        ({ path, mode, hash, sizeBytes }) => `${mode} blob ${hash} ${`${sizeBytes}`.padStart(7)}\t${path}`,
      ),
    ).toEqual(expected)
    expect(new Set(listed.map(({ path }) => path))).toEqual(new Set(Object.keys(files)))
  })

  test.each([
    { paths: ['a'], found: ['a/b.yaml', 'a/sub/c.yaml'] },
    { paths: ['./a/sub/'], found: ['a/sub/c.yaml'] },
    { paths: ['ab', 'a/b.yaml', 'a/b.yaml'], found: ['a/b.yaml', 'ab/d.yaml'] },
    { paths: ['a', 'a/sub'], found: ['a/b.yaml', 'a/sub/c.yaml'] },
    { paths: ['.'], found: Object.keys(files).length },
    { paths: [' leading blank.yaml'], found: [' leading blank.yaml'] },
    { paths: ['nosuch', 'a/nosuch', 'a.yaml/x', '../a', '-x', '*'], found: [] },
  ])('below $paths', async ({ paths, found }) => {
    await using upstream = await gitServer(files)
    await using mirror = await fetchedMirror(upstream.fileUrl)

    const listed = await mirror.listFiles(await headOf(mirror), paths)

    if (typeof found === 'number') expect(listed).toHaveLength(found)
    else expect(listed.map(({ path }) => path)).toEqual(found)
  })

  test('are asked of git once, and then come from memory', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 1000 }, (_, i) => [`apps/${i % 20}/${i}.yaml`, `a: ${i}\n`]),
    )
    await using upstream = await gitServer(many)
    await using mirror = await fetchedMirror(upstream.fileUrl)
    const first = await mirror.listFiles(await headOf(mirror))
    await upstream.commit({ 'apps/3/3.yaml': 'changed\n' })
    await mirror.fetch()

    const second = await mirror.listFiles(await headOf(mirror))

    const changed = second.filter(({ hash }, index) => hash !== first[index]?.hash)
    expect([first.length, second.length]).toEqual([1000, 1000])
    expect(changed.map(({ path, sizeBytes }) => ({ path, sizeBytes }))).toEqual([
      { path: 'apps/3/3.yaml', sizeBytes: 8 },
    ])
  })

  test('show links and submodules as what they are', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    const revision = await upstream.git('rev-parse', 'main')
    const blob = await upstream.git('rev-parse', 'main:a.yaml')
    await upstream.git('read-tree', 'main')
    for (const entry of [`120000,${blob},link`, `160000,${revision},module`, `100755,${blob},run`]) {
      await upstream.git('update-index', '--add', '--cacheinfo', entry)
    }
    const tree = await upstream.git('write-tree')
    await upstream.git('update-ref', 'refs/heads/main', await upstream.git('commit-tree', '-m', 'x', tree))
    await using mirror = await fetchedMirror(upstream.fileUrl)

    const listed = await mirror.listFiles(await headOf(mirror))

    expect(listed.map(({ mode, path, hash, sizeBytes }) => [mode, path, hash, sizeBytes])).toEqual([
      ['100644', 'a.yaml', blob, 5],
      ['120000', 'link', blob, 5],
      ['160000', 'module', revision, 0],
      ['100755', 'run', blob, 5],
    ])
  })

  test('are refused where there are too many, also where few trees stand for many', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    let object = await upstream.git('rev-parse', 'main:a.yaml')
    for (let level = 0; level < 10; level++) {
      const kind = level === 0 ? '100644' : '40000'
      const entries = Array.from({ length: 10 }, (_, i) => `M ${kind} ${object} d/${i}\n`).join('')
      await upstream.stream(
        `commit refs/heads/bomb\ncommitter a <a@b> 0 +0000\ndata 1\nx\ndeleteall\n${entries}\n`,
      )
      object = await upstream.git('rev-parse', 'bomb:d')
    }
    await using mirror = await fetchedMirror(upstream.fileUrl)

    const failure = await failureOf(mirror.listFiles(await headOf(mirror, 'bomb')))

    expect(failure).toMatchObject({ code: 'GIT_TREE_TOO_LARGE' })
  })

  test('of an unknown revision are an error', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(upstream.fileUrl)
    const blob = await upstream.git('rev-parse', 'main:a.yaml')

    for (const revision of ['0'.repeat(40), 'main', blob, '-x']) {
      expect((await failureOf(mirror.listFiles(revision))).code).toBe('GIT_OBJECT_MISSING')
    }
  })
})

describe('a blob', () => {
  test('is read byte for byte', async () => {
    const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251)
    await using upstream = await gitServer({ bytes, empty: '' })
    await using mirror = await fetchedMirror(upstream.url)
    const [binary, empty] = await mirror.listFiles(await headOf(mirror))

    expect(await mirror.readBlob(binary?.hash ?? '')).toEqual(Buffer.from(bytes))
    expect(await mirror.readBlob(empty?.hash ?? '')).toEqual(Buffer.alloc(0))
  })

  test('above the limit is refused, below it is read', async () => {
    await using upstream = await gitServer({ large: 'x'.repeat(4 * 1024 * 1024 + 1) })
    await using mirror = await fetchedMirror(upstream.fileUrl)
    const [large] = await mirror.listFiles(await headOf(mirror))

    expect((await failureOf(mirror.readBlob(large?.hash ?? ''))).code).toBe('MANIFEST_TOO_LARGE')
    expect(await mirror.readBlob(large?.hash ?? '', 5 * 1024 * 1024)).toHaveLength(4 * 1024 * 1024 + 1)
  })

  test('that is none is an error', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(upstream.fileUrl)

    for (const hash of [await headOf(mirror), '0'.repeat(40), 'main:a.yaml', '']) {
      expect((await failureOf(mirror.readBlob(hash))).code).toBe('GIT_OBJECT_MISSING')
    }
  })
})

describe('the log', () => {
  test('lists commits newest first, those that touch the paths', async () => {
    await using upstream = await gitServer({ 'a/x.yaml': '1', 'b/y.yaml': '1' }, { message: 'first' })
    const first = await upstream.git('rev-parse', 'main')
    const second = await upstream.commit({ 'a/x.yaml': '2' }, 'second: with : colons  and blanks\n\nbody')
    const third = await upstream.commit({ 'b/y.yaml': '2' }, 'third\nof two lines')
    await using mirror = await fetchedMirror(upstream.fileUrl)
    const subjects = async (range: { from?: string; paths?: string[] }) =>
      (await mirror.log({ to: third, ...range })).map(({ subject }) => subject)

    expect(await mirror.log({ from: first, to: third })).toEqual([
      { revision: third, subject: 'third of two lines' },
      { revision: second, subject: 'second: with : colons  and blanks' },
    ])
    expect(await subjects({})).toHaveLength(3)
    expect(await subjects({ from: first, paths: ['a'] })).toEqual(['second: with : colons  and blanks'])
    expect(await subjects({ from: first, paths: ['./b/', 'nosuch'] })).toEqual(['third of two lines'])
    expect(await subjects({ from: first, paths: ['.'] })).toHaveLength(2)
    expect(await subjects({ from: first, paths: ['--all', '*', ':/'] })).toEqual([])
    expect(await subjects({ from: third })).toEqual([])
    expect((await failureOf(mirror.log({ from: '0'.repeat(40), to: third }))).code).toBe('GIT_OBJECT_MISSING')
  })

  test('shows the commits of a merged branch', async () => {
    await using upstream = await gitServer({ 'a.yaml': '1' }, { message: 'first' })
    const first = await upstream.git('rev-parse', 'main')
    await upstream.git('branch', 'side')
    await upstream.commit({ 'b.yaml': '1' }, 'on the side', 'side')
    await upstream.commit({ 'a.yaml': '2' }, 'on main')
    const tree = await upstream.git('merge-tree', '--write-tree', 'main', 'side')
    const merge = await upstream.git('commit-tree', '-p', 'main', '-p', 'side', '-m', 'merge', tree)
    await upstream.git('update-ref', 'refs/heads/main', merge)
    await using mirror = await fetchedMirror(upstream.fileUrl)

    const log = await mirror.log({ from: first, to: merge })

    expect(log.map(({ subject }) => subject)).toEqual(['merge', 'on main', 'on the side'])
  })

  test('knows ancestors', async () => {
    await using upstream = await gitServer({ 'a.yaml': '1' })
    const first = await upstream.git('rev-parse', 'main')
    const second = await upstream.commit({ 'a.yaml': '2' })
    await using mirror = await fetchedMirror(upstream.fileUrl)

    expect(await mirror.isAncestor(first, second)).toBe(true)
    expect(await mirror.isAncestor(second, second)).toBe(true)
    expect(await mirror.isAncestor(second, first)).toBe(false)
    expect(await mirror.isAncestor('0'.repeat(40), second)).toBe(false)
    expect(await mirror.isAncestor('--help', second)).toBe(false)
  })
})

describe('the folder of the mirror', () => {
  test('is closed to others, holds no password, and goes with the mirror', async () => {
    await using upstream = await gitServer(
      { 'a.yaml': '1' },
      { auth: { user: 'me', password: 'hunter2:/@' } },
    )
    const parentDirectory = await mkdtemp(join(folder, 'parent-'))
    const mirror = await fetchedMirror(upstream.url, { parentDirectory })
    const [name = ''] = await readdir(parentDirectory)
    const directory = join(parentDirectory, name)

    const mode = (await stat(directory)).mode & 0o777
    const config = await readFile(join(directory, 'config'), 'utf8')
    await mirror.close()
    await mirror.close()

    expect(mode).toBe(0o700)
    expect(config).toContain(upstream.openUrl)
    expect(config).not.toMatch(/hunter2|me:|me@/)
    expect(await readdir(parentDirectory)).toEqual([])
    await expect(mirror.branchHead('main')).rejects.toThrow('the mirror of the git repo is closed')
    await expect(mirror.fetch()).rejects.toThrow('the mirror of the git repo is closed')
  })

  test('is made anew when it was lost', async () => {
    await using upstream = await gitServer({ 'a.yaml': '1' })
    const parentDirectory = await mkdtemp(join(folder, 'parent-'))
    await using mirror = await fetchedMirror(upstream.fileUrl, { parentDirectory })
    const [name = ''] = await readdir(parentDirectory)
    await rm(join(parentDirectory, name), { recursive: true })

    await mirror.fetch()

    expect(await mirror.listFiles(await headOf(mirror))).toHaveLength(1)
    expect(await readdir(parentDirectory)).toHaveLength(1)
  })

  test('is made anew after a fetch that failed for no known reason', async () => {
    await using upstream = await gitServer({ 'a.yaml': '1' })
    const parentDirectory = await mkdtemp(join(folder, 'parent-'))
    await using mirror = await fetchedMirror(upstream.fileUrl, { parentDirectory })
    const [name = ''] = await readdir(parentDirectory)
    await rm(join(parentDirectory, name, 'objects'), { recursive: true })

    const failure = await failureOf(mirror.fetch())
    await mirror.fetch()

    expect(failure.code).toBe('GIT_FAILED')
    expect(await mirror.listFiles(await headOf(mirror))).toHaveLength(1)
    expect(await readdir(parentDirectory)).toHaveLength(1)
  })

  test('is not left behind by a clone that fails', async () => {
    const parentDirectory = await mkdtemp(join(folder, 'parent-'))
    await using mirror = mirrorOf(join(folder, 'nosuch.git'), { parentDirectory })

    await failureOf(mirror.fetch())

    expect(await readdir(parentDirectory)).toEqual([])
  })
})

test('before the first fetch there is nothing to read', async () => {
  await using mirror = mirrorOf('/nosuch')

  const failure = await failureOf(mirror.branchHead('main'))

  expect(failure).toMatchObject({ code: 'GIT_NOT_READY', what: 'git repo has not been cloned yet' })
})
