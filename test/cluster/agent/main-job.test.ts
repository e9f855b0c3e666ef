import { networkInterfaces } from 'node:os'
import { describe, expect } from 'vitest'
import { type JsonValue, valueAt } from '../../../src/core/json.ts'
import { gitServer } from '../../../src/playground/git/server.ts'
import { startRegistry } from '../../../src/playground/registry/registry.ts'
import { test } from '../../support/cluster-test.ts'
import { type ControlPlaneAccess, freePorts, request } from '../../support/control-plane.ts'
import { eventually, type FluxdProcess, fluxctl, fluxd } from '../../support/programs.ts'
import { configMap, createAccount, deployment, readDocuments, readObject, summaries } from './fixtures.ts'

/** The main job: a repository becomes what runs, and a command becomes a commit that rolls out. */

const collections: Record<string, string> = {
  Namespace: '/api/v1/namespaces',
  ServiceAccount: '/api/v1/namespaces/{ns}/serviceaccounts',
  Secret: '/api/v1/namespaces/{ns}/secrets',
  Service: '/api/v1/namespaces/{ns}/services',
  ConfigMap: '/api/v1/namespaces/{ns}/configmaps',
  Deployment: '/apis/apps/v1/namespaces/{ns}/deployments',
  ClusterRole: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  ClusterRoleBinding: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
}

/** Install a fixture with only the image replaced. @returns arguments and environment of the agent in it */
async function install(plane: ControlPlaneAccess, file: string, namespace: string) {
  const documents = await readDocuments(file)
  await request(plane, 'POST', '/api/v1/namespaces', { metadata: { name: namespace } })
  for (const document of documents) {
    const path = collections[String(document['kind'])]?.replace('{ns}', namespace) ?? ''
    const text = JSON.stringify(document).replace('docker.io/fluxcd/flux:1.25.4', 'example.com/fluxd:new')
    const { status, body } = await request(plane, 'POST', path, JSON.parse(text))
    expect([201, 409], JSON.stringify(body)).toContain(status)
  }
  const agent = documents.find(({ kind }) => kind === 'Deployment')
  const args = valueAt(agent, 'spec', 'template', 'spec', 'containers', 0, 'args')
  return (args as string[]).map(String)
}

const isReady = (workload: JsonValue | undefined, replicas: number) =>
  valueAt(workload, 'status', 'readyReplicas') === replicas &&
  valueAt(workload, 'status', 'observedGeneration') === valueAt(workload, 'metadata', 'generation')

/** Ask a fluxd at an address; gives the status and the body. */
async function ask(address: string, port: number, path: string) {
  const reply = await fetch(`http://${address}:${port}${path}`, { headers: { accept: 'application/json' } })
  return { status: reply.status, body: await reply.text() }
}

const podAddress = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address

test('a repository is applied, and a release by port-forward is one line that rolls out', async ({
  plane,
  namespace,
}) => {
  await using registry = await startRegistry({
    images: { 'example/podinfo': { '3.1.4': '2024-05-01T00:00:00Z', '3.1.5': '2024-05-02T00:00:00Z' } },
  })
  const image = `${registry.host}/example/podinfo`
  await using upstream = await gitServer({
    'namespaces.yaml': `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${namespace}-demo}\n`,
    'demo/podinfo.yaml': deployment('podinfo', {
      namespace: `${namespace}-demo`,
      container: 'podinfod',
      image: `${image}:3.1.4`,
    }),
    'dev/config.yaml': configMap('settings', `${namespace}-demo`),
    'README.md': '# demo\n',
  })
  const v1Args = await install(plane, 'test/fixtures/deployments/install.yaml', 'flux')
  const [metricsPort = 0] = await freePorts(1)
  await using agent = await fluxd({
    kubeconfig: plane.kubeconfig,
    args: [
      ...v1Args,
      `--git-url=${upstream.url}`,
      '--git-branch=main',
      '--git-path=.',
      `--listen=:${plane.forwards.flux}`,
      `--listen-metrics=127.0.0.1:${metricsPort}`,
      `--registry-insecure-host=${registry.host}`,
    ],
  })
  const deploymentPath = `/apis/apps/v1/namespaces/${namespace}-demo/deployments/podinfo`
  const workload = `${namespace}-demo:deployment/podinfo`
  const release = ['release', '--workload', workload, '--update-image', `${image}:3.1.5`, '--k8s-fwd-ns=flux']
  const user = ['--user', 'Jane <jane@example.com>', '--message', 'for the launch']

  await eventually(async () => isReady(await readObject(plane, deploymentPath), 2), 'podinfo')
  await eventually(
    async () => isReady(await readObject(plane, '/apis/apps/v1/namespaces/flux/deployments/flux'), 1),
    'the agent’s pod',
  )
  const base = await upstream.git('rev-parse', 'main')
  const first = await fluxctl([...release, ...user], plane)
  const head = await upstream.git('rev-parse', 'main')

  expect(first).toMatchObject({ exit: 0 })
  const [columns, row, ...rest] = first.stdout.split('\n')
  expect(columns).toMatch(/^WORKLOAD +STATUS +UPDATES$/)
  expect(row?.split(/ {2,}/)).toEqual([workload, 'success', `podinfod: ${image}:3.1.4 -> 3.1.5`])
  expect(rest).toEqual([''])
  expect(await upstream.git('rev-list', '--count', `${base}..main`)).toBe('1')
  const diff = await upstream.git('diff', '--unified=0', base, head)
  expect(diff.split('\n').filter((line) => /^[-+](?![-+])/.test(line))).toEqual([
    `-        image: ${image}:3.1.4   # the one to change`,
    `+        image: ${image}:3.1.5   # the one to change`,
  ])
  await eventually(async () => {
    const live = await readObject(plane, deploymentPath)
    const running = valueAt(live, 'spec', 'template', 'spec', 'containers', 0, 'image')
    return running === `${image}:3.1.5` && isReady(live, 2)
  }, 'the new image')
  await eventually(async () => (await upstream.git('rev-parse', 'flux^{commit}')) === head, 'the marker')
  expect(await upstream.git('notes', '--ref=flux', 'show', head)).toContain(`"${workload}"`)

  const second = await fluxctl([...release, ...user], plane)

  expect(second).toMatchObject({ exit: 1 })
  expect(second.stderr).toContain('Error: no changes made in repo')
  expect(await upstream.git('rev-parse', 'main')).toBe(head)
  const { exit, stderr } = await agent.end()
  expect({ exit, last: stderr.trim().split('\n').at(-1) }).toEqual({
    exit: 0,
    last: expect.stringContaining('exiting=terminated'),
  })
})

test('a quiet pass asks nothing, a full pass writes nothing, and both repair', async ({
  plane,
  namespace,
}) => {
  await using account = await createAccount(plane, namespace)
  await using upstream = await gitServer({
    'web.yaml': deployment('web', { namespace }),
    'kept.yaml': configMap('kept', namespace),
    'lost.yaml': configMap('lost', namespace),
  })
  const settings = `/api/v1/namespaces/${namespace}/configmaps`
  await using agent = await fluxd({
    kubeconfig: account.kubeconfig,
    args: [
      `--git-url=${upstream.fileUrl}`,
      '--git-branch=main',
      '--sync-interval=4s',
      '--sync-garbage-collection',
      '--registry-disable-scanning',
    ],
  })
  const pass = /trying to sync git changes to the cluster/
  const notify = async () => {
    const from = agent.log.length
    const change = { Kind: 'git', Source: { URL: upstream.fileUrl, Branch: 'main' } }
    await fetch(`${agent.url}/v11/notify`, { method: 'POST', body: JSON.stringify(change) })
    await agent.until(/event=refreshed/, from)
  }
  const writesSince = async (count: number) =>
    summaries((await account.requests()).slice(count)).filter((text) => !/^(get|list) /.test(text))

  // the pass that applies, then one that follows the marker's move or the interval
  await agent.until(/state="tag flux-sync"/)
  await eventually(async () =>
    isReady(await readObject(plane, `/apis/apps/v1/namespaces/${namespace}/deployments/web`), 2),
  )
  const beforeFull = await account.requests()
  await agent.until(pass, agent.log.length)
  const afterFull = await eventually(async () => {
    const entries = await account.requests()
    return entries.length > beforeFull.length ? entries : undefined
  })

  expect(summaries(afterFull.slice(beforeFull.length)).filter((text) => !text.startsWith('list '))).toEqual(
    [],
  )

  // between two full passes
  const passes = () => agent.log.filter((line) => pass.test(line)).length
  const ended = async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${agent.port}/metrics`)).text()
    const counts = metrics.matchAll(/^flux_daemon_sync_duration_seconds_count\{.*\} (\d+)$/gm)
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
  }
  const quiet = await eventually(async () => {
    const passed = passes()
    if ((await ended()) < passed) return false
    const requests = (await account.requests()).length
    for (let count = 0; count < 3; count++) await notify()
    return passes() === passed && { requests: (await account.requests()).length - requests }
  }, 'three quiet passes')
  expect(quiet).toEqual({ requests: 0 })

  const beforeRepair = (await account.requests()).length
  await request(plane, 'DELETE', `${settings}/lost`)
  await request(
    plane,
    'PATCH',
    `${settings}/kept?fieldManager=somebody`,
    { data: { from: 'hand' } },
    { 'content-type': 'application/merge-patch+json' },
  )
  await eventually(async () => {
    const [lost, kept] = [
      await readObject(plane, `${settings}/lost`),
      await readObject(plane, `${settings}/kept`),
    ]
    await notify()
    return lost !== undefined && valueAt(kept, 'data', 'from') === 'git'
  }, 'the repair')
  expect((await writesSince(beforeRepair)).sort()).toEqual(['patch configmaps kept', 'patch configmaps lost'])

  const afterRepair = (await account.requests()).length
  await agent.until(pass, agent.log.length)
  await agent.until(pass, agent.log.length)
  expect(await writesSince(afterRepair)).toEqual([])
})

describe('an existing Deployment, with only the image replaced', () => {
  test.for([
    { file: 'install.yaml', namespace: 'flux', name: 'flux' },
    { file: 'chart.yaml', namespace: 'flux-chart', name: 'agent-flux' },
  ])('$file becomes ready', async ({ file, namespace, name }, { plane }) => {
    const v1Args = await install(plane, `test/fixtures/deployments/${file}`, namespace)
    const [port = 0, metricsPort = 0] = await freePorts(2)
    const metrics = v1Args.some((arg) => arg.startsWith('--listen-metrics='))

    await using agent = await fluxd({
      kubeconfig: plane.kubeconfig,
      args: [...v1Args, `--listen=:${port}`, ...(metrics ? [`--listen-metrics=:${metricsPort}`] : [])],
    })

    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`
    await eventually(async () => isReady(await readObject(plane, path), 1), 'the pod')
    await expectClosedToThePodNetwork(agent)
    const inert = agent.log.filter((line) => line.includes('flag=--memcached-service'))
    expect(inert).toEqual([expect.stringContaining('has no effect')])
    expect(await agent.end()).toMatchObject({ exit: 0 })
  })
})

async function expectClosedToThePodNetwork({ port }: FluxdProcess): Promise<void> {
  if (podAddress === undefined) return
  expect(await ask(podAddress, port, '/api/flux/v6/identity.pub')).toMatchObject({ status: 200 })
  expect(await ask(podAddress, port, '/api/flux/v11/ping')).toMatchObject({ status: 204 })
  const refused = await ask(podAddress, port, '/api/flux/v11/services?namespace=')
  expect(refused.status).toBe(403)
  expect(JSON.parse(refused.body)).toMatchObject({
    code: 'API_NOT_EXPOSED',
    next: expect.stringMatching(/port-forward/),
  })
  expect(await ask('127.0.0.1', port, '/api/flux/v11/services?namespace=')).toMatchObject({ status: 200 })
}
