import { expect, test } from 'vitest'
import { gitServer } from '../support/git-server.ts'
import { deployment, imageRelease, policyUpdate, pollFor, worldAgent } from './fixtures.ts'

test('a hundred jobs are remembered; the oldest that ended go first, none that runs', async () => {
  await using upstream = await gitServer({ 'web.yaml': deployment('web', 'example/app:1') })
  await using agent = await worldAgent({
    args: [`--git-url=${upstream.url}`, '--git-branch=main', '--registry-disable-scanning'],
  })
  await agent.until(/state="tag flux-sync"/)
  upstream.stall(/git-receive-pack/)
  const running = await agent.submit(policyUpdate('demo:deployment/web', { add: { locked: 'true' } }))
  await pollFor(() => upstream.requests.at(-1)?.includes('receive-pack') || undefined, 'the push')

  const planned: string[] = []
  for (let count = 0; count < 120; count++) {
    planned.push(await agent.submit(imageRelease(['<all>'], '<all latest>', { kind: 'plan' })))
  }

  const known = await Promise.all(
    planned.map(async (id) => (await agent.ask('GET', `/v6/jobs?id=${id}`)).status === 200),
  )
  expect(known).toEqual([...Array(21).fill(false), ...Array(99).fill(true)])
  expect((await agent.ask('GET', `/v6/jobs?id=${running}`)).body).toMatchObject({ StatusString: 'running' })
})
