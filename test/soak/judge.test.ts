import { expect, test } from 'vitest'
import { gitServer } from '../support/git-server.ts'
import { type Asked, judgeHistory } from './judge.ts'
import type { SoakWorld } from './world.ts'

/** The judge of the soak finds what it looks for: a soak that never fails proves nothing otherwise. */

const line = (tag: string) => `        image: example/app:${tag}   # the one to change`
const file = (tag: string) => `# writer: nothing\n${line(tag)}\n`
const request: Asked = { id: 'soak-1-1', workload: 'app-0', tag: '2.0.1', spec: {} }

async function world() {
  const upstream = await gitServer({
    'app/app-0.yaml': file('1.0.0'),
    'app/app-1.yaml': file('1.0.0'),
    'auto/auto-0.yaml': file('1.0.5'),
  })
  const commitAs = async (committer: string, files: Record<string, string>, message: string) => {
    const changes = Object.entries(files).map(
      ([path, text]) => `M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`,
    )
    await upstream.stream(
      `commit refs/heads/main\ncommitter ${committer} <x@example.com> 1717236000 +0000\n` +
        `data ${Buffer.byteLength(message)}\n${message}\nfrom refs/heads/main^0\n${changes.join('')}`,
    )
    return upstream.git('rev-parse', 'main')
  }
  return {
    upstream,
    release: (files: Record<string, string>, id = request.id) =>
      commitAs('fluxd', files, `Release\n\nFlux-Request-Id: ${id}\n`),
    automate: (tag: string) => commitAs('fluxd', { 'auto/auto-0.yaml': file(tag) }, 'Auto-release'),
    write: (text: string) => commitAs('Hostile Writer', { 'app/app-0.yaml': text }, 'writer 1'),
    judge: ({ revision, written = [] }: { revision?: string; written?: string[] }) =>
      judgeHistory({
        world: { upstream } as SoakWorld,
        asked: new Map([[request.id, request]]),
        answers: new Map(
          revision === undefined
            ? []
            : [[request.id, { id: request.id, job: 'job', revision, raced: false }]],
        ),
        writer: {
          commits: () => written,
          notesDropped: () => 0,
          beforeDrop: new Set(),
          ended: Promise.resolve(),
        },
      }),
    [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose](),
  }
}

test('what is as it should be is let pass', async () => {
  await using at = await world()
  const written = await at.write(file('1.0.0').replace('nothing', 'something'))
  const revision = await at.release({ 'app/app-0.yaml': file('2.0.1').replace('nothing', 'something') })
  await at.automate('1.0.6')

  expect(await at.judge({ revision, written: [written] })).toEqual([])
})

test('a request with two commits is found', async () => {
  await using at = await world()
  const revision = await at.release({ 'app/app-0.yaml': file('2.0.1') })
  await at.write(file('hostile'))
  await at.release({ 'app/app-0.yaml': file('2.0.1') })

  expect(await at.judge({ revision })).toContainEqual(
    expect.stringMatching(/^request soak-1-1 made two commits/),
  )
})

test('a commit that undoes the change of somebody else is found', async () => {
  await using at = await world()
  await at.write(file('1.0.0').replace('nothing', 'something'))
  const revision = await at.release({ 'app/app-0.yaml': file('2.0.1') })

  expect(await at.judge({ revision })).toEqual([expect.stringContaining('changes more than the tag')])
})

test('a commit that is in another file, or in two, is found', async () => {
  await using at = await world()
  const revision = await at.release({ 'app/app-0.yaml': file('2.0.1'), 'app/app-1.yaml': file('2.0.1') })

  expect(await at.judge({ revision })).toEqual([
    expect.stringContaining('changes app/app-0.yaml, app/app-1.yaml'),
  ])
})

test('what is lost is found: an answer, and a commit of the writer', async () => {
  await using at = await world()
  const lost = '1234567890123456789012345678901234567890'

  expect(await at.judge({ revision: lost, written: [lost] })).toEqual([
    expect.stringContaining(`commit ${lost} of the writer is lost`),
    expect.stringContaining(`request soak-1-1 is answered by ${lost}, its commit is undefined`),
  ])
})

test('automation that goes backwards is found', async () => {
  await using at = await world()
  await at.automate('1.0.7')
  await at.automate('1.0.6')

  expect(await at.judge({})).toEqual([expect.stringContaining('takes auto-0 from 1.0.7 back to 1.0.6')])
})

test('a commit of a request that nobody made is found', async () => {
  await using at = await world()
  await at.release({ 'app/app-0.yaml': file('2.0.1') }, 'stolen-1')

  expect(await at.judge({})).toEqual([expect.stringContaining('of request stolen-1, which nobody made')])
})
