import { describe, expect, test } from 'vitest'
import { valueAt } from '../../src/core/json.ts'
import { gitServer } from '../support/git-server.ts'
import { deployment, policyUpdate, pollFor, worldAgent } from './fixtures.ts'

/** Asking again under a request id of one's own: at most one commit, and always the same answer. */

const web = 'demo:deployment/web'
const lock = policyUpdate(web, { add: { locked: 'true' } })
const unlock = policyUpdate(web, { remove: { locked: 'true' } })

async function repository() {
  const upstream = await gitServer({ 'web.yaml': deployment('web', 'example/app:1') })
  const args = [`--git-url=${upstream.url}`, '--git-branch=main', '--registry-disable-scanning']
  const start = async () => {
    const agent = await worldAgent({ args })
    await pollFor(
      async () =>
        valueAt((await agent.ask('POST', '/v9/git-repo-config', false)).body, 'status') === 'ready' ||
        undefined,
      'the repository',
    )
    await pollFor(
      () => upstream.git('rev-parse', '--verify', '--quiet', 'refs/tags/flux-sync').catch(() => undefined),
      'the marker',
    )
    return agent
  }
  const commits = async () => Number(await upstream.git('rev-list', '--count', 'main')) - 1
  return { upstream, start, commits, [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose]() }
}

test('a repeat gets the first job, while it waits, when it is done, and after a restart', async () => {
  await using world = await repository()
  const agent = await world.start()

  const [first, meanwhile] = await Promise.all([
    agent.submit(lock, 'ci-job-1'),
    agent.submit(lock, 'ci-job-1'),
  ])
  const status = await agent.finished(first)
  const afterwards = await agent.submit(lock, 'ci-job-1')
  await agent.stop()
  await using next = await world.start()
  const restarted = await next.submit(lock, 'ci-job-1')

  expect([meanwhile, afterwards, restarted]).toEqual([first, first, first])
  const head = await world.upstream.git('rev-parse', 'main')
  expect(status).toMatchObject({ StatusString: 'succeeded', Result: { revision: head } })
  expect(await next.finished(restarted)).toMatchObject({
    StatusString: 'succeeded',
    Result: { revision: head },
  })
  expect(await world.commits()).toBe(1)
  expect((await world.upstream.git('log', '-1', '--format=%(trailers:only)', 'main')).trim()).toBe(
    'Flux-Request-Id: ci-job-1',
  )
  expect(await world.upstream.git('notes', '--ref=flux', 'show', 'main')).toContain('"requestID":"ci-job-1"')
})

test('without an id nothing is written of one, and asking again is another change', async () => {
  await using world = await repository()
  await using agent = await world.start()

  const first = await agent.update(lock)
  const second = await agent.update(lock)

  expect(second.id).not.toBe(first.id)
  expect(await world.upstream.git('log', '-1', '--format=%B', 'main')).not.toContain('Request')
  expect(await world.upstream.git('notes', '--ref=flux', 'show', 'main')).not.toContain('requestID')
})

describe('an id that was used for another change is refused', () => {
  test('while the job is known, and after a restart', async () => {
    await using world = await repository()
    const agent = await world.start()
    await agent.finished(await agent.submit(lock, 'ci-job-1'))
    const ask = (to: typeof agent) =>
      to.ask('POST', '/v9/update-manifests', unlock, { 'flux-request-id': 'ci-job-1' })

    const known = await ask(agent)
    await agent.stop()
    await using next = await world.start()
    const found = await ask(next)

    const refusal = {
      status: 409,
      body: { code: 'REQUEST_ID_REUSED', type: 'user', error: expect.stringContaining('ci-job-1') },
    }
    expect(known).toMatchObject(refusal)
    expect(found).toMatchObject(refusal)
    expect(await next.submit(lock, 'ci-job-1')).toBeTruthy()
    expect(await world.commits()).toBe(1)
  })
})

test('an id that is none is refused', async () => {
  await using world = await repository()
  await using agent = await world.start()

  for (const id of ['short', 'with space', 'x'.repeat(129), 'quote"quote']) {
    const reply = await agent.ask('POST', '/v9/update-manifests', lock, { 'flux-request-id': id })
    expect(reply).toMatchObject({
      status: 400,
      body: { code: 'API_BAD_REQUEST', error: 'invalid Flux-Request-Id' },
    })
  }
  expect(await world.commits()).toBe(0)
})

test('a request whose push arrived and whose answer was lost is answered by its commit', async () => {
  await using world = await repository()
  const agent = await world.start()
  // the push arrives; the reply doesn't
  await world.upstream.hook('post-receive', 'exec sleep 30')
  const before = world.upstream.requests.length
  const lost = await agent.submit(lock, 'ci-job-1')
  await pollFor(async () => (await world.commits()) === 1 || undefined, 'the commit')
  expect(world.upstream.requests.length).toBeGreaterThan(before)
  await agent.stop()
  await world.upstream.hook('post-receive', undefined)

  await using next = await world.start()
  const found = await next.submit(lock, 'ci-job-1')
  const status = await next.finished(found)

  expect(found).toBe(lost)
  expect(status).toMatchObject({
    StatusString: 'succeeded',
    Result: { revision: await world.upstream.git('rev-parse', 'main') },
  })
  expect(await world.commits()).toBe(1)
})

test('a push that timed out is asked for again by the same fluxd, which finds that it had arrived', async () => {
  await using world = await repository()
  await using agent = await worldAgent({
    args: [
      `--git-url=${world.upstream.url}`,
      '--git-branch=main',
      '--registry-disable-scanning',
      '--git-timeout=2s',
    ],
  })
  await agent.until(/state="tag flux-sync"/)
  await world.upstream.hook('post-receive', 'exec sleep 30')
  const first = await agent.finished(await agent.submit(lock, 'ci-job-1'))
  await world.upstream.hook('post-receive', undefined)

  const again = await agent.finished(await agent.submit(lock, 'ci-job-1'))

  expect(first).toMatchObject({ StatusString: 'failed', ErrCode: 'GIT_TIMEOUT' })
  expect(again).toMatchObject({
    StatusString: 'succeeded',
    Result: { revision: await world.upstream.git('rev-parse', 'main') },
  })
  expect(await world.commits()).toBe(1)
})

test('a note that was lost is written again when its request is repeated', async () => {
  await using world = await repository()
  const agent = await world.start()
  await agent.finished(await agent.submit(lock, 'ci-job-1'))
  await agent.stop()
  await world.upstream.git('update-ref', '-d', 'refs/notes/flux')

  await using next = await world.start()
  const again = await next.submit(lock, 'ci-job-1')
  const status = await next.finished(again)

  const head = await world.upstream.git('rev-parse', 'main')
  expect(valueAt(status, 'Result', 'revision')).toBe(head)
  expect(await world.upstream.git('notes', '--ref=flux', 'show', 'main')).toContain(`"jobID":"${again}"`)
  expect(await world.commits()).toBe(1)
})

test('a request that failed is done when it is asked for again', async () => {
  await using world = await repository()
  await using agent = await world.start()
  await world.upstream.hook('pre-receive', 'exit 1')
  const first = await agent.finished(await agent.submit(lock, 'ci-job-1'))
  await world.upstream.hook('pre-receive', undefined)

  const again = await agent.finished(await agent.submit(lock, 'ci-job-1'))

  expect([valueAt(first, 'StatusString'), valueAt(again, 'StatusString')]).toEqual(['failed', 'succeeded'])
  expect(await world.commits()).toBe(1)
})
