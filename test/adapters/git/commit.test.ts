import { readdir } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { gitServer } from '../../../src/playground/git/server.ts'
import { commitOn, failureOf, fetchedMirror, flux, headOf } from './support.ts'

test('a commit changes the files it names and nothing else', async () => {
  await using upstream = await gitServer({
    'README.md': 'hello\n',
    'a/b/c/deep.yaml': 'a: 1\n',
    'a/b/other.yaml': 'a: 1\n',
    'a0.yaml': 'a: 1\n',
    ' odd "name\t.yaml': 'a: 1\n',
  })
  await using mirror = await fetchedMirror(upstream.fileUrl)
  const parent = await headOf(mirror)
  const changes = new Map([
    ['a/b/c/deep.yaml', Buffer.from('a: 2\n')],
    ['a/b/other.yaml', Buffer.from('')],
    [' odd "name\t.yaml', Buffer.from([0, 1, 2, 255])],
  ])

  const revision = await mirror.commit({ parent, changes, message: 'Release', committer: flux })
  await mirror.publish({ branch: 'main', expected: parent, revision, notes: new Map(), committer: flux })

  expect(await upstream.git('diff', '--name-status', '-z', parent, revision)).toBe(
    ['M', ' odd "name\t.yaml', 'M', 'a/b/c/deep.yaml', 'M', 'a/b/other.yaml', ''].join('\0'),
  )
  expect(await upstream.git('show', 'main:a/b/c/deep.yaml')).toBe('a: 2')
  expect(await upstream.git('show', 'main:a0.yaml')).toBe('a: 1')
  expect(await upstream.git('fsck', '--strict', '--no-progress')).toBe('')
})

test('a commit says who, when and why', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using mirror = await fetchedMirror(upstream.fileUrl)
  const parent = await headOf(mirror)

  const revision = await mirror.commit({
    parent,
    changes: new Map([['a.yaml', Buffer.from('a: 2\n')]]),
    message: 'Release x to y\n\n- a line  \n\n\n[ci skip]\n\n',
    author: { name: 'World User', email: 'world@example.com' },
    committer: flux,
  })
  await mirror.publish({ branch: 'main', expected: parent, revision, notes: new Map(), committer: flux })

  expect(await upstream.git('cat-file', 'commit', 'main')).toBe(
    [
      `tree ${await upstream.git('rev-parse', 'main^{tree}')}`,
      `parent ${parent}`,
      'author World User <world@example.com> 1717322400 +0000',
      'committer Flux <flux@example.com> 1717322400 +0000',
      '',
      'Release x to y\n\n- a line\n\n[ci skip]',
    ].join('\n'),
  )
})

test('equal requests make equal commits, whoever writes them', async () => {
  await using upstream = await gitServer({ 'deploy/a.yaml': 'a: 1\n' })
  await using one = await fetchedMirror(upstream.fileUrl)
  await using other = await fetchedMirror(upstream.url)

  const [first, again, elsewhere] = [
    await commitOn(one, 'deploy/a.yaml', 'a: 2\n'),
    await commitOn(one, 'deploy/a.yaml', 'a: 2\n'),
    await commitOn(other, 'deploy/a.yaml', 'a: 2\n'),
  ]

  expect(again).toEqual(first)
  expect(elsewhere).toEqual(first)
})

test('the mode of a file stays', async () => {
  await using upstream = await gitServer({ 'run.sh': 'one\n' })
  const blob = await upstream.git('rev-parse', 'main:run.sh')
  await upstream.git('read-tree', 'main')
  await upstream.git('update-index', '--cacheinfo', `100755,${blob},run.sh`)
  const tree = await upstream.git('write-tree')
  await upstream.git('update-ref', 'refs/heads/main', await upstream.git('commit-tree', '-m', 'x', tree))
  await using mirror = await fetchedMirror(upstream.fileUrl)

  const { revision } = await commitOn(mirror, 'run.sh', 'two\n')

  expect(await mirror.listFiles(revision)).toMatchObject([{ path: 'run.sh', mode: '100755', sizeBytes: 4 }])
})

test('several commits are made one on the other before they are published', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n', 'b.yaml': 'b: 1\n' })
  await using mirror = await fetchedMirror(upstream.url)
  const { parent, revision: first } = await commitOn(mirror, 'a.yaml', 'a: 2\n', 'first')

  const changes = new Map([['b.yaml', Buffer.from('b: 2\n')]])
  const revision = await mirror.commit({ parent: first, changes, message: 'second', committer: flux })
  expect(await mirror.branchHead('main')).toBe(parent)
  await mirror.publish({ branch: 'main', expected: parent, revision, notes: new Map(), committer: flux })

  expect(await upstream.git('log', '--format=%s', 'main')).toBe('second\nfirst\nInitial')
})

test.each([
  { path: 'nosuch.yaml' },
  { path: 'a.yaml/below' },
  { path: 'deploy' },
  { path: 'deploy/nosuch.yaml' },
  { path: '' },
  { path: '../a.yaml' },
  { path: '/a.yaml' },
  { path: 'deploy//b.yaml' },
])('a path that is no file is refused: "$path"', async ({ path }) => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n', 'deploy/b.yaml': 'b: 1\n' })
  await using mirror = await fetchedMirror(upstream.fileUrl)

  expect((await failureOf(commitOn(mirror, path, 'x'))).code).toBe('GIT_PATH_MISSING')
})

test('a link is not written through', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  const blob = await upstream.git('rev-parse', 'main:a.yaml')
  await upstream.git('update-index', '--add', '--cacheinfo', `120000,${blob},link`)
  const tree = await upstream.git('write-tree')
  await upstream.git('update-ref', 'refs/heads/main', await upstream.git('commit-tree', '-m', 'x', tree))
  await using mirror = await fetchedMirror(upstream.fileUrl)

  expect((await failureOf(commitOn(mirror, 'link', 'x'))).code).toBe('GIT_PATH_MISSING')
})

test('an unknown parent is refused', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using mirror = await fetchedMirror(upstream.fileUrl)
  const request = { changes: new Map(), message: 'x', committer: flux }

  for (const parent of ['0'.repeat(40), 'main', '--all']) {
    expect((await failureOf(mirror.commit({ ...request, parent }))).code).toBe('GIT_OBJECT_MISSING')
  }
})

describe('whatever people write', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom(
      'Eve <eve@example.com>\ncommitter Mallory <m@example.com> 0 +0000',
      '\0\0',
      '<><>',
      '\n\n',
      '\ud800 half a pair',
      '-x',
      'tree 0000',
    ),
  )
  const message = fc.oneof(
    hostile,
    fc.constantFrom('x'.repeat(200_000), 'ü\r\n'.repeat(40_000), '\n-- \nparent 0\n', 'gpgsig x\n y'),
  )

  test('the commit passes fsck, has one author and one committer', async () => {
    await using upstream = await gitServer({ 'deploy/a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(upstream.fileUrl)
    const identity = fc.record({ name: hostile, email: hostile })

    await fc.assert(
      fc.asyncProperty(identity, identity, message, hostile, async (author, committer, text, content) => {
        const parent = await headOf(mirror)
        const changes = new Map([['deploy/a.yaml', Buffer.from(content)]])
        const revision = await mirror.commit({ parent, changes, message: text, author, committer })
        const notes = new Map([[revision, text]])
        await mirror.publish({ branch: 'main', expected: parent, revision, notes, committer })
        await mirror.moveTag('flux-sync', revision, { message: text, tagger: author })
      }),
      { numRuns: 25 },
    )

    expect(await upstream.git('fsck', '--strict', '--no-progress', '--no-dangling')).toBe('')
    const commits = await upstream.git('rev-list', '--first-parent', 'main')
    expect(await upstream.git('log', '--all', '--format=%at %ct', '--since=2030-01-01')).toBe('')
    expect(commits.split('\n')).toHaveLength(26)
    for (const revision of commits.split('\n')) {
      const header = (await upstream.git('cat-file', 'commit', revision)).split('\n\n')[0] ?? ''
      expect(header.match(/^(author|committer|parent|tree) /gm)?.length).toBeLessThanOrEqual(4)
      expect(header).not.toMatch(/gpgsig/)
    }
  }, 60_000)
})

test('writing leaves no temporary files', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  const parentDirectory = upstream.path
  await using mirror = await fetchedMirror(upstream.fileUrl, { parentDirectory })

  await Promise.all(Array.from({ length: 20 }, (_, i) => commitOn(mirror, 'a.yaml', `a: ${i % 3}\n`)))

  const files = await readdir(parentDirectory, { recursive: true })
  expect(files.filter((file) => file.includes('tmp_obj'))).toEqual([])
})
