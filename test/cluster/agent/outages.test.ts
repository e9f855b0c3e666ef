import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { valueAt } from '../../../src/core/json.ts'
import { gitServer } from '../../../src/playground/git/server.ts'
import { test } from '../../support/cluster-test.ts'
import { kubeconfigFor, planeSkipReason, request, startControlPlane } from '../../support/control-plane.ts'
import { eventually, type FluxdProcess, fluxctl, fluxd } from '../../support/programs.ts'
import { configMap, createAccount, deployment, readObject } from './fixtures.ts'

/** The API server goes and comes back, tokens end, fluxd is stopped and killed half-way. */

const fetched = (agent: FluxdProcess) => fluxctl(['sync', '--url', agent.url])

describe.skipIf(planeSkipReason !== undefined)('an API server of its own', () => {
  test('is missed and found again, with a new token', { timeout: 120_000 }, async () => {
    await using plane = await startControlPlane()
    await request(plane, 'POST', '/api/v1/namespaces', { metadata: { name: 'demo' } })
    await using account = await createAccount(plane, 'demo')
    const tokenFile = join(account.folder, 'token')
    await writeFile(tokenFile, await account.token())
    const config = JSON.parse(kubeconfigFor(plane))
    config.users[0].user = { tokenFile }
    await writeFile(account.kubeconfig, JSON.stringify(config))
    await using upstream = await gitServer({
      'kept.yaml': configMap('kept', 'demo'),
      'lost.yaml': configMap('lost', 'demo'),
    })
    await using agent = await fluxd({
      kubeconfig: account.kubeconfig,
      args: [`--git-url=${upstream.fileUrl}`, '--git-branch=main', '--registry-disable-scanning'],
    })
    const settings = (name: string) => readObject(plane, `/api/v1/namespaces/demo/configmaps/${name}`)
    const from = async (name: string) => valueAt(await settings(name), 'data', 'from')
    await agent.until(/state="tag flux-sync"/)
    const synced = await upstream.git('rev-parse', 'flux-sync^{commit}')

    await plane.stopApiServer()
    const gone = agent.log.length
    await upstream.commit({ 'kept.yaml': configMap('kept', 'demo', 'later') })
    const sync = fetched(agent)
    await agent.until(/component=sync-loop .*code=CLUSTER_UNREACHABLE/, gone)

    expect(await upstream.git('rev-parse', 'flux-sync^{commit}')).toBe(synced)
    expect((await fetch(`${agent.url}/v6/identity.pub`)).status).toBe(200)
    expect((await fetch(`${agent.url}/v11/services?namespace=`)).status).toBe(200)

    await plane.startApiServer()
    await request(plane, 'DELETE', '/api/v1/namespaces/demo/configmaps/lost')
    await eventually(async () => {
      await fetch(`${agent.url}/v11/notify`, { method: 'POST', body: '{"Kind":"git","Source":{}}' })
      return (await from('kept')) === 'later' && (await settings('lost')) !== undefined
    }, 'the sync after the outage')
    expect(await sync).toMatchObject({ exit: 0 })

    // whoever makes an account anew invalidates its tokens
    const accounts = '/api/v1/namespaces/demo/serviceaccounts'
    await request(plane, 'DELETE', `${accounts}/${account.name}`)
    await request(plane, 'POST', accounts, { metadata: { name: account.name } })
    await writeFile(tokenFile, await account.token())
    await upstream.commit({ 'kept.yaml': configMap('kept', 'demo', 'latest') })

    expect(await fetched(agent)).toMatchObject({ exit: 0 })
    expect(await from('kept')).toBe('latest')
    expect(await agent.end()).toMatchObject({ exit: 0 })
  })
})

test('stopped during a pass it ends in time, and the next one goes on', async ({ plane, namespace }) => {
  const count = 400
  const files = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`c${index}.yaml`, configMap(`c${index}`, namespace)]),
  )
  await using upstream = await gitServer(files)
  const options = {
    kubeconfig: plane.kubeconfig,
    args: [`--git-url=${upstream.fileUrl}`, '--git-branch=main', '--registry-disable-scanning'],
  }
  const applied = async () => {
    const { body } = await request(plane, 'GET', `/api/v1/namespaces/${namespace}/configmaps`)
    const items = (body as { items: { metadata: { name: string } }[] }).items
    return items.filter(({ metadata }) => metadata.name.startsWith('c')).length
  }

  await using first = await fluxd(options)
  await first.until(/cmd=apply /)
  const told = Date.now()
  const ending = await first.end()
  const tookMs = Date.now() - told

  expect(ending).toMatchObject({ exit: 0, stderr: expect.stringContaining('exiting=terminated') })
  expect(tookMs).toBeLessThan(10_000)
  expect(await applied()).toBeLessThan(count)
  await expect(upstream.git('rev-parse', '--verify', '--quiet', 'flux-sync')).rejects.toThrow()

  await using second = await fluxd(options)
  await second.until(/state="tag flux-sync"/)
  expect(await applied()).toBe(count)
})

test('killed while it pushes, it leaves no half commit, and the same again makes one', async ({
  plane,
  namespace,
}) => {
  await using upstream = await gitServer({ 'web.yaml': deployment('web', { namespace }) })
  const options = {
    kubeconfig: plane.kubeconfig,
    args: [`--git-url=${upstream.url}`, '--git-branch=main', '--registry-disable-scanning'],
  }
  const lock = (agent: FluxdProcess) =>
    fluxctl(['lock', '--workload', `${namespace}:deployment/web`, '--url', agent.url], plane)
  await using first = await fluxd(options)
  await first.until(/state="tag flux-sync"/)
  const base = await upstream.git('rev-parse', 'main')

  upstream.stall(/git-receive-pack/)
  const asked = lock(first)
  await eventually(() => upstream.requests.at(-1)?.includes('receive-pack'), 'the push')
  await first.end('SIGKILL')

  expect(await asked).toMatchObject({ exit: 1 })
  expect(await upstream.git('rev-parse', 'main')).toBe(base)

  upstream.stall(undefined)
  await using second = await fluxd(options)
  await second.until(/event=refreshed/)
  expect(await lock(second)).toMatchObject({ exit: 0 })
  expect(await lock(second)).toMatchObject({ exit: 0 })
  expect(await upstream.git('rev-list', '--count', `${base}..main`)).toBe('1')
  await eventually(
    async () =>
      valueAt(
        await readObject(plane, `/apis/apps/v1/namespaces/${namespace}/deployments/web`),
        'metadata',
        'annotations',
        'fluxcd.io/locked',
      ) === 'true',
    'the lock',
  )
})
