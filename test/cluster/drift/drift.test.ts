import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { type JsonValue, valueAt } from '../../../src/core/json.ts'
import { test } from '../../support/cluster-test.ts'
import { type ControlPlaneAccess, kubeconfigFor, request } from '../../support/control-plane.ts'
import { gitServer } from '../../support/git-server.ts'
import { eventually, type FluxdProcess, fluxd } from '../../support/programs.ts'
import { configMap, deployment, readObject } from '../agent/fixtures.ts'

/** What others change of what we applied: put right, told of, or left alone. */

const mergePatch = { 'content-type': 'application/merge-patch+json' }

/** A way to the API server that can be cut, or let nothing through any more. */
async function relayTo(plane: ControlPlaneAccess) {
  const pairs = new Set<[Socket, Socket]>()
  const relay = createServer((near) => {
    const far = connect(Number(new URL(plane.server).port), '127.0.0.1')
    const pair: [Socket, Socket] = [near, far]
    pairs.add(pair)
    for (const socket of pair) {
      socket.on('error', () => {})
      socket.on('close', () => {
        pairs.delete(pair)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far).pipe(near)
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  const folder = await mkdtemp(join(tmpdir(), 'relay-'))
  const kubeconfig = join(folder, 'kubeconfig')
  const server = `https://127.0.0.1:${(relay.address() as AddressInfo).port}`
  await writeFile(kubeconfig, kubeconfigFor({ ...plane, server }))
  const cut = () => {
    for (const [near, far] of pairs) {
      near.destroy()
      far.destroy()
    }
  }
  return {
    kubeconfig,
    cut,
    /** Connections that are open stay so, and nothing comes back on them. */
    deafen() {
      for (const [, far] of pairs) far.unpipe().pause()
    },
    async [Symbol.asyncDispose]() {
      relay.close()
      cut()
      await rm(folder, { recursive: true })
    },
  }
}

async function driftWorld(
  plane: ControlPlaneAccess,
  namespace: string,
  args: readonly string[],
  kubeconfig = plane.kubeconfig,
) {
  const upstream = await gitServer({
    'web.yaml': deployment('web', { namespace }),
    'settings.yaml': configMap('settings', namespace),
  })
  const start = async () => {
    const process = await fluxd({
      kubeconfig,
      args: [
        `--git-url=${upstream.fileUrl}`,
        '--git-branch=main',
        `--k8s-allow-namespace=${namespace}`,
        '--registry-disable-scanning',
        ...args,
      ],
    })
    await process.until(/cmd="kubectl apply|state="tag flux-sync"/)
    return process
  }
  let agent = await start()
  await agent.until(/state="tag flux-sync"/)
  const settings = `/api/v1/namespaces/${namespace}/configmaps/settings`
  const web = `/apis/apps/v1/namespaces/${namespace}/deployments/web`
  const edit = async (path: string, patch: JsonValue, manager: string) => {
    const { status, body } = await request(
      plane,
      'PATCH',
      `${path}?fieldManager=${manager}`,
      patch,
      mergePatch,
    )
    if (status !== 200) throw new Error(JSON.stringify(body))
  }
  const at = async (path: string, ...field: (string | number)[]) => {
    const object = await readObject(plane, path)
    return object && valueAt(object, ...field)
  }
  const sync = async () => {
    const from = agent.log.length
    const change = { Kind: 'git', Source: { URL: upstream.fileUrl, Branch: 'main' } }
    await fetch(`${agent.url}/v11/notify`, { method: 'POST', body: JSON.stringify(change) })
    await agent.until(/event=refreshed/, from)
  }
  return {
    upstream,
    settings,
    web,
    edit,
    at,
    sync,
    get agent(): FluxdProcess {
      return agent
    },
    async restart() {
      await agent.end()
      agent = await start()
    },
    /** Have something repaired, so that everything before it was looked at as well. */
    async looked() {
      await request(plane, 'DELETE', settings)
      await eventually(() => at(settings, 'data', 'from'), 'the repair that follows')
    },
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

describe('--drift=instant', () => {
  const instant = ['--drift=instant', '--sync-interval=1h', '--git-poll-interval=1h']

  test('repairs what was changed, lost or deleted, that object alone', async ({ plane, namespace }) => {
    await using world = await driftWorld(plane, namespace, instant)
    const { settings, web, edit, at, agent } = world
    await eventually(() => at(web, 'metadata', 'resourceVersion'), 'web')
    const passes = () => agent.log.filter((line) => line.includes('trying to sync git changes')).length
    await eventually(() => passes() >= 1, 'the first pass')

    await edit(settings, { data: { from: 'hand' } }, 'kubectl-edit')
    await eventually(async () => (await at(settings, 'data', 'from')) === 'git', 'the change undone')
    await agent.until(/info="repaired drift".*manager=kubectl-edit.*\.data\.from/)
    await edit(settings, { data: { from: null } }, 'kubectl-edit')
    await eventually(async () => (await at(settings, 'data', 'from')) === 'git', 'the field back')
    await request(plane, 'DELETE', settings)
    await eventually(() => at(settings, 'data', 'from'), 'the object back')

    expect(agent.log.filter((line) => /^.*cmd=apply/.test(line)).length).toBe(1)
  })

  test('leaves replicas that were scaled, until Git names others', async ({ plane, namespace }) => {
    await using world = await driftWorld(plane, namespace, instant)
    const { web, edit, at, upstream } = world
    const replicas = () => at(web, 'spec', 'replicas')

    await edit(`${web}/scale`, { spec: { replicas: 5 } }, 'autoscaler')
    await world.looked()
    expect(await replicas()).toBe(5)

    await edit(
      web,
      { spec: { template: { spec: { containers: [{ name: 'app', image: 'example/app:9' }] } } } },
      'somebody',
    )
    await eventually(
      async () => (await at(web, 'spec', 'template', 'spec', 'containers', 0, 'image')) === 'example/app:1',
      'the image',
    )
    expect(await replicas()).toBe(5)

    await upstream.commit({ 'web.yaml': deployment('web', { namespace, image: 'example/app:2' }) })
    await world.sync()
    await eventually(
      async () => (await at(web, 'spec', 'template', 'spec', 'containers', 0, 'image')) === 'example/app:2',
      'the new image',
    )
    expect(await replicas()).toBe(5)

    await world.restart()
    await world.looked()
    expect(await replicas()).toBe(5)

    await edit(web, { spec: { replicas: 7 } }, 'kubectl-edit')
    await eventually(async () => (await replicas()) === 2, 'the replicas that nobody scaled')

    await edit(`${web}/scale`, { spec: { replicas: 6 } }, 'autoscaler')
    const text = deployment('web', { namespace, image: 'example/app:2' }).replace(
      'replicas: 2',
      'replicas: 3',
    )
    await upstream.commit({ 'web.yaml': text })
    await world.sync()
    await eventually(async () => (await replicas()) === 3, 'Git’s own new value')
  })

  test('takes injected fields, status and labels of others for no drift', async ({ plane, namespace }) => {
    await using world = await driftWorld(plane, namespace, instant)
    const { settings, web, edit, at, agent } = world

    await edit(settings, { data: { theirs: 'too' }, metadata: { labels: { team: 'a' } } }, 'injector')
    await edit(web, { metadata: { annotations: { note: 'x' } }, spec: { paused: true } }, 'injector')
    await edit(`${web}/status`, { status: { observedGeneration: 1 } }, 'controller')
    await edit(
      web,
      { spec: { template: { metadata: { annotations: { restartedAt: 'now' } } } } },
      'kubectl-rollout',
    )
    await request(plane, 'PATCH', `${settings}?fieldManager=nobody`, {}, mergePatch)
    const version = await at(web, 'metadata', 'resourceVersion')
    await edit(settings, { data: { from: 'hand' } }, 'kubectl-edit')
    await eventually(async () => (await at(settings, 'data', 'from')) === 'git', 'the repair that follows')

    expect(await at(settings, 'data', 'theirs')).toBe('too')
    expect(await at(settings, 'metadata', 'labels', 'team')).toBe('a')
    expect(agent.log.filter((line) => /repaired drift.*deployment\/web/.test(line))).toEqual([])
    expect(await at(web, 'spec', 'paused')).toBe(true)
    expect(Number(await at(web, 'metadata', 'resourceVersion'))).toBeGreaterThanOrEqual(Number(version))
  })

  test('stops at once where the live object says ignore', async ({ plane, namespace }) => {
    await using world = await driftWorld(plane, namespace, instant)
    const { settings, web, edit, at } = world

    await edit(
      web,
      { metadata: { annotations: { 'fluxcd.io/ignore': 'true' } }, spec: { replicas: 9 } },
      'kubectl-edit',
    )
    await edit(settings, { data: { from: 'hand' } }, 'kubectl-edit')
    await eventually(async () => (await at(settings, 'data', 'from')) === 'git', 'the repair that follows')

    expect(await at(web, 'spec', 'replicas')).toBe(9)
    await edit(web, { metadata: { annotations: { 'fluxcd.io/ignore': null } } }, 'kubectl-edit')
    await eventually(async () => (await at(web, 'spec', 'replicas')) === 2, 'the replicas')
  })

  test('holds what another manager changes again and again, and says who and what', async ({
    plane,
    namespace,
  }) => {
    await using world = await driftWorld(plane, namespace, instant)
    const { settings, edit, at, agent, upstream } = world

    for (let round = 1; round <= 4; round++) {
      await edit(settings, { data: { from: `rival-${round}` } }, 'rival')
      if (round < 4)
        await eventually(async () => (await at(settings, 'data', 'from')) === 'git', `repair ${round}`)
    }
    await agent.until(/code=DRIFT_CONTESTED/)

    const line = agent.log.find((text) => text.includes('DRIFT_CONTESTED'))
    expect(line).toMatch(/rival keeps changing \.data\.from/)
    expect(await at(settings, 'data', 'from')).toBe('rival-4')
    await eventually(async () => {
      const { body } = await request(plane, 'GET', `/api/v1/namespaces/${namespace}/events`)
      return JSON.stringify(body).includes('DriftContested')
    }, 'the event')

    await upstream.commit({ 'settings.yaml': configMap('settings', namespace, 'newer') })
    await world.sync()
    await eventually(async () => (await at(settings, 'data', 'from')) === 'newer', 'the new content')
  })
})

test('--drift=report tells, and writes nothing until Git has something new', async ({ plane, namespace }) => {
  await using world = await driftWorld(plane, namespace, ['--drift=report', '--sync-interval=2s'])
  const { settings, edit, at, agent, upstream } = world

  await edit(settings, { data: { from: 'hand' } }, 'kubectl-edit')
  const from = await agent.until(/info=drift .*manager=kubectl-edit.*\.data\.from/)
  await agent.until(/trying to sync git changes/, from)
  await agent.until(/trying to sync git changes/, agent.log.length)

  expect(await at(settings, 'data', 'from')).toBe('hand')
  expect(agent.log.filter((line) => line.includes('info=drift '))).toHaveLength(1)
  const metrics = await (await fetch(agent.url.replace('/api/flux', '/metrics'))).text()
  expect(metrics).toContain('fluxd_drifted_objects 1')

  await upstream.commit({ 'settings.yaml': configMap('settings', namespace, 'newer') })
  await world.sync()
  await eventually(async () => (await at(settings, 'data', 'from')) === 'newer', 'the new content')
})

test('--drift=interval repairs at the next pass', async ({ plane, namespace }) => {
  await using world = await driftWorld(plane, namespace, ['--sync-interval=2s'])
  const { settings, web, edit, at } = world

  await edit(`${web}/scale`, { spec: { replicas: 5 } }, 'autoscaler')
  await edit(settings, { data: { from: 'hand' } }, 'kubectl-edit')

  await eventually(async () => (await at(settings, 'data', 'from')) === 'git', 'the repair')
  expect(await at(web, 'spec', 'replicas')).toBe(5)
})

test('a watch that is cut goes on where it was: what happened meanwhile is repaired at once', async ({
  plane,
  namespace,
}) => {
  await using relay = await relayTo(plane)
  await using world = await driftWorld(
    plane,
    namespace,
    ['--drift=instant', '--sync-interval=1h', '--git-poll-interval=1h'],
    relay.kubeconfig,
  )
  const { settings, edit, at, agent } = world
  await world.looked()
  const passes = () => agent.log.filter((line) => line.includes('trying to sync git changes')).length
  const before = passes()

  for (let cuts = 0; cuts < 3; cuts++) {
    relay.cut()
    await edit(settings, { data: { from: 'hand' } }, 'kubectl-edit')
    await eventually(async () => (await at(settings, 'data', 'from')) === 'git', 'the change undone')
  }

  expect(passes()).toBe(before)
})

test('a connection that has gone deaf is found out, and what it hid is repaired', {
  timeout: 120_000,
}, async ({ plane, namespace }) => {
  await using relay = await relayTo(plane)
  await using world = await driftWorld(
    plane,
    namespace,
    ['--drift=instant', '--sync-interval=5s', '--sync-timeout=10s'],
    relay.kubeconfig,
  )
  const { settings, edit, at } = world
  await world.looked()

  relay.deafen()
  await edit(settings, { data: { from: 'hand' } }, 'kubectl-edit')

  await eventually(async () => (await at(settings, 'data', 'from')) === 'git', 'the change undone')
})
