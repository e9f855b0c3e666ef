import { expect, test } from 'vitest'
import { type JsonValue, valueAt } from '../../src/core/json.ts'
import { gitServer } from '../support/git-server.ts'
import { configMap, deployment, memoryCluster, policyUpdate, pollFor, worldAgent } from './fixtures.ts'

/** Flags that change what a sync does, or what it may do. */

const web = 'demo:deployment/web'

test('--git-readonly syncs, refuses every change, and never pushes', async () => {
  await using upstream = await gitServer({
    'web.yaml': deployment('web', 'example/app:1', { annotations: "fluxcd.io/automated: 'true'" }),
  })
  await upstream.setReadOnly(true)
  const cluster = memoryCluster()
  const patches: JsonValue[] = []
  cluster.get = async () => ({ metadata: { name: 'flux-git-deploy', annotations: {} } })
  cluster.patch = async (_, patch) => {
    patches.push(patch)
    return patch
  }
  await using agent = await worldAgent({
    cluster,
    args: [
      `--git-url=${upstream.url}`,
      '--git-branch=main',
      '--git-readonly',
      '--k8s-secret-namespace=flux',
      '--registry-disable-scanning',
    ],
  })
  await pollFor(() => cluster.read('Deployment', 'demo', 'web'), 'the sync')

  const { status } = await agent.update(policyUpdate(web, { add: { locked: 'true' } }))
  const sync = await agent.update({ type: 'sync', cause: { Message: '', User: '' }, spec: {} })
  const listed = await agent.ask('GET', '/v6/services?namespace=demo')

  expect(status).toMatchObject({
    StatusString: 'failed',
    Err: 'cannot make a working clone of a read-only git repo',
    ErrCode: 'GIT_READONLY',
  })
  expect(sync.status).toMatchObject({
    StatusString: 'succeeded',
    Result: { revision: await upstream.git('rev-parse', 'main') },
  })
  expect(listed.body).toMatchObject([{ ID: web, ReadOnly: 'ReadOnlyMode' }])
  expect(JSON.stringify(patches)).toContain(await upstream.git('rev-parse', 'main'))
  expect(upstream.requests.filter((request) => request.includes('git-receive-pack'))).toEqual([])
  expect(agent.log.join('\n')).toContain('Repo is read-only; no image updates will be attempted')
})

test('--k8s-allow-namespace leaves other namespaces alone, and says so', async () => {
  await using upstream = await gitServer({
    'ours.yaml': deployment('ours', 'example/app:1', { namespace: 'ours' }),
    'theirs.yaml': deployment('theirs', 'example/app:1', { namespace: 'theirs' }),
    'namespaces.yaml': ['ours', 'theirs']
      .map((name) => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}\n`)
      .join('---\n'),
  })
  const cluster = memoryCluster()
  await using agent = await worldAgent({
    cluster,
    args: [
      `--git-url=${upstream.fileUrl}`,
      '--git-branch=main',
      '--k8s-allow-namespace=ours',
      '--registry-disable-scanning',
    ],
  })

  await agent.until(/state="tag flux-sync"/)

  expect(cluster.applies.toSorted()).toEqual(['Deployment ours/ours', 'Namespace /ours'])
  const line = agent.log.find((text) => text.includes('excluded by namespace constraints'))
  expect(line).toContain('theirs:deployment/theirs')
})

test('between two full passes at --sync-interval a deaf watch hides what the next one repairs', async () => {
  await using upstream = await gitServer({ 'a.yaml': configMap('a'), 'b.yaml': configMap('b') })
  const cluster = memoryCluster()
  const key = async (name: string) => {
    const type = (await cluster.discover()).find('v1', 'ConfigMap')
    if (!type) throw new Error('there are no ConfigMaps')
    return { type, namespace: 'demo', name }
  }
  // it neither tells anything nor ends: as a connection that was cut in the middle
  cluster.watch = async function* (_, { signal }) {
    await new Promise((resolve) => signal?.addEventListener('abort', resolve))
  }
  await using agent = await worldAgent({
    cluster,
    args: [
      `--git-url=${upstream.fileUrl}`,
      '--git-branch=main',
      '--sync-interval=2s',
      '--drift=instant',
      '--registry-disable-scanning',
    ],
  })
  await agent.until(/state="tag flux-sync"/)
  await agent.until(/trying to sync git changes/, agent.log.length)
  const applied = cluster.applies.length

  await cluster.delete(await key('a'))
  await pollFor(() => cluster.read('ConfigMap', 'demo', 'a'), 'the repair')

  expect(cluster.applies.slice(applied)).toEqual(['ConfigMap demo/a'])
  expect(valueAt(cluster.read('ConfigMap', 'demo', 'b'), 'data', 'from')).toBe('git')
})
