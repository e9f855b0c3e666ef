import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { gitServer } from '../../../src/playground/git/server.ts'
import {
  commitOn,
  failureOf,
  fetchedMirror,
  flux,
  headOf,
  publishChange,
  type TestMirror,
  transports,
} from './support.ts'

describe.each(transports)('over $transport', ({ urlOf }) => {
  test('branch and notes arrive together, and the mirror knows without a fetch', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(urlOf(upstream))

    const revision = await publishChange(mirror, 'a.yaml', 'a: 2\n')

    expect(await upstream.git('rev-parse', 'main')).toBe(revision)
    expect(await upstream.git('notes', '--ref', 'flux', 'list')).toContain(revision)
    expect(await mirror.branchHead('main')).toBe(revision)
    expect(await mirror.listNotes()).toEqual(new Set([revision]))
  })

  test('of two mirrors that push, the second learns that it lost, and wins after a fetch', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using one = await fetchedMirror(urlOf(upstream))
    await using other = await fetchedMirror(urlOf(upstream))

    const first = await publishChange(one, 'a.yaml', 'one')
    const failure = await failureOf(publishChange(other, 'a.yaml', 'other'))
    const between = await upstream.git('rev-parse', 'main')
    await other.fetch()
    const second = await publishChange(other, 'a.yaml', 'other')

    expect(failure).toMatchObject({ code: 'GIT_PUSH_RACE', kind: 'server' })
    expect(failure.what).toContain(`[main refs/notes/flux]: failed to push some refs to '`)
    expect(between).toBe(first)
    expect(await upstream.git('log', '--format=%H', '-2', 'main')).toBe(`${second}\n${first}`)
    expect(await other.listNotes()).toEqual(new Set([first, second]))
  })

  test('notes that moved hold the branch back', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(urlOf(upstream))
    const initial = await headOf(mirror)
    await upstream.git('notes', '--ref', 'flux', 'add', '-m', 'theirs', 'main')

    const failure = await failureOf(publishChange(mirror, 'a.yaml', 'a: 2\n'))
    await mirror.fetch()
    const revision = await publishChange(mirror, 'a.yaml', 'a: 2\n')

    expect(failure.code).toBe('GIT_PUSH_RACE')
    expect(await mirror.listNotes()).toEqual(new Set([initial, revision]))
  })

  test('a branch that was removed or rewritten upstream is not brought back', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' }, { branch: 'trunk' })
    await upstream.commit({ 'a.yaml': 'a: 1\n' }, 'x', 'main')
    await using mirror = await fetchedMirror(urlOf(upstream))
    await upstream.git('branch', '-D', 'main')

    const failure = await failureOf(publishChange(mirror, 'a.yaml', 'a: 2\n'))

    expect(failure.code).toBe('GIT_PUSH_RACE')
    expect(await upstream.git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/trunk')
  })

  test('a hook that declines is told, with its words, and nothing has moved', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(urlOf(upstream))
    const before = await headOf(mirror)
    await upstream.hook('pre-receive', 'echo "not on a Sunday" >&2; exit 1')

    const failure = await failureOf(publishChange(mirror, 'a.yaml', 'a: 2\n'))

    expect(failure).toMatchObject({ code: 'GIT_PUSH_REJECTED', kind: 'user' })
    expect(failure.what).toContain('remote: not on a Sunday')
    expect(failure.why).toBe('The Git server refused the push: pre-receive hook declined.')
    expect([await mirror.branchHead('main'), await upstream.git('rev-parse', 'main')]).toEqual([
      before,
      before,
    ])
    expect(await mirror.listNotes()).toEqual(new Set())
  })

  test('a protected branch takes its notes down with it', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(urlOf(upstream))
    await upstream.hook('update', 'test "$1" != refs/heads/main')

    const failure = await failureOf(publishChange(mirror, 'a.yaml', 'a: 2\n'))

    expect(failure.code).toBe('GIT_PUSH_REJECTED')
    expect(await upstream.git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/main')
  })

  test('the write check leaves no tag behind', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(urlOf(upstream))
    await upstream.hook('post-receive', 'cat >> seen')

    await mirror.checkWritable('main')

    const seen = await readFile(join(upstream.path, 'seen'), 'utf8')
    expect(seen).toMatch(/^0+ (\w+) (refs\/tags\/flux-write-check-[0-9a-f]{10})\n\1 0+ \2\n$/)
    expect(await upstream.git('tag', '--list')).toBe('')
    await mirror.fetch()
    expect(await mirror.resolve(/flux-write\S+/.exec(seen)?.[0] ?? '')).toBeUndefined()
  })

  test('the write check fails where a hook declines', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(urlOf(upstream))
    await upstream.hook('pre-receive', 'exit 1')

    const failure = await failureOf(mirror.checkWritable('main'))

    expect(failure.code).toBe('GIT_NOT_WRITABLE')
    expect(failure.what).toMatch(
      /^attempt to push tag: failed to push some refs to '.*', full output:\n To /s,
    )
  })

  test('a tag is made and moved by force, and points to the commit', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    const first = await upstream.git('rev-parse', 'main')
    const second = await upstream.commit({ 'a.yaml': 'a: 2\n' })
    await using mirror = await fetchedMirror(urlOf(upstream))
    const about = { message: 'Sync pointer', tagger: flux }

    await mirror.moveTag('flux-sync', second, about)
    await mirror.moveTag('flux-sync', first, about)

    expect(await mirror.readTag('flux-sync')).toBe(first)
    expect(await upstream.git('rev-parse', 'flux-sync^{commit}')).toBe(first)
    expect(await upstream.git('cat-file', 'tag', 'flux-sync')).toBe(
      `object ${first}\ntype commit\ntag flux-sync\ntagger Flux <flux@example.com> 1717322400 +0000\n\nSync pointer`,
    )
    expect(await upstream.git('fsck', '--strict', '--no-progress', '--no-dangling')).toBe('')
  })

  test('a server without atomic pushes gets the branch, then the notes', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await upstream.git('config', 'receive.advertiseAtomic', 'false')
    await using mirror = await fetchedMirror(urlOf(upstream))
    const initial = await headOf(mirror)

    const first = await publishChange(mirror, 'a.yaml', 'a: 2\n')
    await upstream.git('notes', '--ref', 'flux', 'add', '-m', 'theirs', initial)
    const second = await publishChange(mirror, 'a.yaml', 'a: 3\n')

    expect(await upstream.git('log', '--format=%H', 'main')).toBe([second, first, initial].join('\n'))
    expect(await upstream.git('notes', '--ref', 'flux', 'show', initial)).toBe('theirs')
    expect(await mirror.listNotes()).toEqual(new Set([initial, first, second]))
  })
})

test('without atomic pushes a lost note is told, and the commit counts', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await upstream.git('config', 'receive.advertiseAtomic', 'false')
  await upstream.hook('update', 'case "$1" in refs/notes/*) exit 1;; esac')
  await using mirror = await fetchedMirror(upstream.url)
  const { parent, revision } = await commitOn(mirror, 'a.yaml', 'a: 2\n')

  const outcome = await mirror.publish({
    branch: 'main',
    expected: parent,
    revision,
    notes: new Map([[revision, 'x']]),
    committer: flux,
  })

  expect(outcome).toEqual({ notesPublished: false })
  expect(await upstream.git('rev-parse', 'main')).toBe(revision)
})

test('a branch that is missing fails the write check', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using mirror = await fetchedMirror(upstream.url)

  expect(await failureOf(mirror.checkWritable('nosuch'))).toMatchObject({
    code: 'GIT_BRANCH_MISSING',
    what: "configured branch 'nosuch' does not exist",
  })
})

test('a commit that went away with a lost mirror is to be made again', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using mirror = await fetchedMirror(upstream.url)
  const head = await headOf(mirror)
  const publication = { branch: 'main', expected: head, notes: new Map(), committer: flux }

  const failure = await failureOf(mirror.publish({ ...publication, revision: '1'.repeat(40) }))

  expect(failure.code).toBe('GIT_PUSH_RACE')
})

test('without notes only the branch is pushed', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using mirror = await fetchedMirror(upstream.url)
  const { parent, revision } = await commitOn(mirror, 'a.yaml', 'a: 2\n')

  await mirror.publish({ branch: 'main', expected: parent, revision, notes: new Map(), committer: flux })

  expect(await upstream.git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/main')
})

test('many writers that fetch and try again all get their commit in', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  const writers = await Promise.all(
    Array.from({ length: 4 }, (_, i) => fetchedMirror(i % 2 ? upstream.url : upstream.fileUrl)),
  )
  const write = async (mirror: TestMirror, text: string): Promise<string> => {
    for (;;) {
      try {
        return await publishChange(mirror, 'a.yaml', text)
      } catch (error) {
        expect(error).toMatchObject({ code: 'GIT_PUSH_RACE' })
        await mirror.fetch()
      }
    }
  }

  const revisions = await Promise.all(
    writers.map(async (mirror, i) => [await write(mirror, `${i} a`), await write(mirror, `${i} b`)]),
  )

  const log = (await upstream.git('log', '--format=%H', 'main')).split('\n')
  expect(new Set(log.slice(0, -1))).toEqual(new Set(revisions.flat()))
  expect((await upstream.git('notes', '--ref', 'flux', 'list')).split('\n')).toHaveLength(8)
  expect(await upstream.git('fsck', '--strict', '--no-progress', '--no-dangling')).toBe('')
  await Promise.all(writers.map((mirror) => mirror.close()))
})

test.each(['--upload-pack=touch /tmp/x', '--receive-pack=x', '-f', 'a b', 'a..b', 'x:y', '', 'a\nb'])(
  'a branch or tag that is no ref name never reaches git: %j',
  async (name) => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(upstream.url)
    const head = await headOf(mirror)
    const before = upstream.requests.length
    const publication = { branch: name, expected: head, revision: head, notes: new Map(), committer: flux }

    const failures = [
      await failureOf(mirror.publish(publication)),
      await failureOf(mirror.moveTag(name, head, { message: 'x', tagger: flux })),
      await failureOf(mirror.checkWritable(name)),
    ]

    expect(upstream.requests.length).toBe(before)
    expect(failures.map(({ code }) => code)).toEqual([
      'GIT_REF_INVALID',
      'GIT_REF_INVALID',
      'GIT_BRANCH_MISSING',
    ])
    expect(await mirror.branchHead(name)).toBeUndefined()
    expect(await mirror.readTag(name)).toBeUndefined()
  },
)

test('revisions that are none never reach git', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using mirror = await fetchedMirror(upstream.url)
  const head = await headOf(mirror)
  const publication = { branch: 'main', expected: head, revision: head, notes: new Map(), committer: flux }

  for (const bad of ['--all', 'main', '']) {
    const failures = [
      await failureOf(mirror.publish({ ...publication, revision: bad })),
      await failureOf(mirror.publish({ ...publication, expected: bad })),
      await failureOf(mirror.publish({ ...publication, notes: new Map([[bad, 'x']]) })),
      await failureOf(mirror.moveTag('t', bad, { message: 'x', tagger: flux })),
    ]
    expect(new Set(failures.map(({ code }) => code))).toEqual(new Set(['GIT_OBJECT_MISSING']))
  }
})
