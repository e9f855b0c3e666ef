import { expect, test } from 'vitest'
import { createGitMirror } from '../../src/adapters/git/mirror.ts'
import { createHistory } from '../../src/agent/history.ts'
import { formatNote } from '../../src/api/note.ts'
import { signMessage } from '../../src/core/update/request-id.ts'
import type { UpdateSpec } from '../../src/core/update/spec.ts'
import type { GitMirror } from '../../src/ports/git.ts'
import { gitServer } from '../support/git-server.ts'

const update: UpdateSpec = { type: 'sync', cause: { message: '', user: '' } }
const flux = { name: 'Flux', email: 'flux@example.com' }

/** A repository, its mirror with the calls that cost a process counted, and a history to ask. */
async function world() {
  const upstream = await gitServer({ 'a.yaml': 'a: 0\n' })
  const real = createGitMirror({ url: upstream.fileUrl, notesRef: 'flux' })
  await real.fetch()
  const calls: string[] = []
  const mirror: GitMirror = {
    ...real,
    findCommits(query) {
      calls.push(query.from === undefined ? 'the whole history' : 'what is new')
      return real.findCommits(query)
    },
    readNote(revision) {
      calls.push('a note')
      return real.readNote(revision)
    },
  }
  const head = async () => (await real.branchHead('main')) ?? ''
  const commit = async (name: string, requestId?: string, parent?: string) =>
    mirror.commit({
      parent: parent ?? (await head()),
      changes: new Map([['a.yaml', Buffer.from(`a: ${name}\n`)]]),
      message: signMessage(`Change ${name}`, requestId),
      committer: flux,
    })
  return {
    upstream,
    mirror,
    calls,
    history: createHistory(),
    head,
    commit,
    async publish(name: string, requestId?: string) {
      const revision = await commit(name, requestId)
      const notes = new Map([[revision, formatNote({ jobId: `job-${name}`, spec: update, requestId })]])
      await mirror.publish({ branch: 'main', expected: await head(), revision, notes, committer: flux })
      return revision
    },
    async [Symbol.asyncDispose]() {
      await real.close()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

test('the whole history is searched for requests once, and then what is new', async () => {
  await using at = await world()
  const first = await at.publish('1', 'request-1')
  const find = async (requestId: string) => {
    const head = await at.head()
    return (await at.history.findCommit({ requestId, update }, at.mirror, { head, tip: head }))?.revision
  }

  const found = [await find('request-1'), await find('request-2')]
  const second = await at.publish('2', 'request-2')
  found.push(
    await find('request-1'),
    await find('request-2'),
    await find('request-2'),
    await find('request-3'),
  )

  expect(found).toEqual([first, undefined, first, second, second, undefined])
  expect(at.calls.filter((call) => call !== 'a note')).toEqual(['the whole history', 'what is new'])
})

test('a commit that is not pushed yet is found where it counts, and nowhere else', async () => {
  await using at = await world()
  const head = await at.head()
  const mine = await at.commit('mine', 'request-1')
  const request = { requestId: 'request-1', update }

  const upon = await at.history.findCommit(request, at.mirror, { head, tip: mine })
  const before = await at.history.findCommit(request, at.mirror, { head, tip: head })

  expect(upon?.revision).toBe(mine)
  expect(before).toBeUndefined()
})

test('what history lost when it was rewritten is found no more', async () => {
  await using at = await world()
  const base = await at.head()
  await at.publish('1', 'request-1')
  const request = { requestId: 'request-1', update }
  const found = async () => {
    const head = await at.head()
    return (await at.history.findCommit(request, at.mirror, { head, tip: head })) !== undefined
  }
  const before = await found()

  await at.upstream.git('update-ref', 'refs/heads/main', base)
  await at.upstream.commit({ 'a.yaml': 'a: other\n' })
  await at.mirror.fetch()

  expect([before, await found()]).toEqual([true, false])
})

test('jobs are found by notes, each of which is read once for all that are unknown', async () => {
  await using at = await world()
  const first = await at.publish('1')
  const second = await at.publish('2')
  await at.upstream.git('notes', '--ref=flux', 'add', '-m', 'not ours', 'main~2')
  await at.mirror.fetch()
  const find = async (id: string) => (await at.history.findJob(id, at.mirror, await at.head()))?.revision

  const found = [await find('job-1'), await find('job-2')]
  at.calls.length = 0
  const missing = [await find('job-3'), await find('job-4')]
  const callsForMissing = [...at.calls]
  const third = await at.publish('3')
  found.push(await find('job-3'))

  expect(found).toEqual([first, second, third])
  expect(missing).toEqual([undefined, undefined])
  expect(callsForMissing).toEqual([])
})
