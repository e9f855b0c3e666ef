import { expect } from 'vitest'
import { valueAt } from '../../../src/core/json.ts'
import { test as base } from '../../support/cluster-test.ts'
import { helm } from '../../support/neighbours.ts'
import { gitChart, helmWorld, type Seen } from './world.ts'

const test = base.skipIf(helm('4.2') === undefined)

const released = ({ phase, status, generation }: Seen) =>
  phase === 'Succeeded' && status.observedGeneration === generation

test('installs a chart from Git, follows it, and removes the release with its resource', async ({
  plane,
  namespace,
}) => {
  await using world = await helmWorld(plane, namespace)

  await world.apply('podinfo', { chart: gitChart(world.upstream), releaseName: 'podinfo' })
  const first = await world.until('podinfo', 'installed', released)
  const revision = await world.upstream.git('rev-parse', 'HEAD')

  expect(first.conditions).toEqual({ ChartFetched: 'True', Deployed: 'True', Released: 'True' })
  expect(first.status).toMatchObject({ revision, lastAttemptedRevision: revision, observedGeneration: 1 })
  expect(first.messages['Released']).toBe(
    `Release was successful for Helm release 'podinfo' in '${namespace}'.`,
  )
  await world.until('podinfo', 'its release shows', ({ status }) => status.releaseStatus === 'deployed')
  expect(await world.history('podinfo')).toEqual(['deployed Install complete'])
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments/podinfo`
  expect(valueAt(await world.object(path), 'metadata', 'annotations', 'helm.fluxcd.io/antecedent')).toBe(
    `${namespace}:helmrelease/podinfo`,
  )

  // a file of the chart changes
  const next = await world.upstream.commit({ 'charts/podinfo/templates/NOTES.txt': 'other notes\n' })
  await world.until('podinfo', 'upgraded', (seen) => released(seen) && seen.status.revision === next)
  // a file beside it does not matter
  await world.upstream.commit({ 'README.md': 'nothing\n' })
  await world.apply('podinfo', { values: { replicaCount: 2 } })
  await world.until(
    'podinfo',
    'upgraded again',
    (seen) => released(seen) && seen.status.observedGeneration === 2,
  )
  expect(valueAt(await world.object(path), 'spec', 'replicas')).toBe(2)
  expect(await world.history('podinfo')).toEqual([
    'superseded Install complete',
    'superseded Upgrade complete',
    'deployed Upgrade complete',
  ])
  expect(await world.events('podinfo')).toContainEqual(
    `Normal ReleaseSynced managed release 'podinfo' in namespace '${namespace}' synchronized (values changed: replicaCount)`,
  )

  await world.remove('podinfo')
  await expect.poll(() => world.object(path), { timeout: 20_000 }).toBeUndefined()
  await expect.poll(async () => Object.keys(await world.get('podinfo')).length).toBe(0)
})

test('goes back when an upgrade fails, and on again when it is fixed', async ({ plane, namespace }) => {
  await using world = await helmWorld(plane, namespace)
  const spec = {
    chart: gitChart(world.upstream),
    releaseName: 'podinfo',
    timeout: 5,
    rollback: { enable: true, wait: true, timeout: 20 },
    values: { faults: { unready: false } },
  }
  await world.apply('podinfo', spec)
  await world.until('podinfo', 'installed', released)

  await world.apply('podinfo', { values: { faults: { unready: true } } })
  const undone = await world.until(
    'podinfo',
    'undone',
    ({ conditions }) => conditions['RolledBack'] === 'True',
  )

  expect(undone.conditions).toMatchObject({ Deployed: 'False', Released: 'False' })
  expect(undone.status.rollbackCount).toBe(1)
  expect(undone.messages['Deployed']).toMatch(/^Installation or upgrade failed .* upgrade failed: /)
  expect(await world.history('podinfo')).toEqual([
    'superseded Install complete',
    expect.stringMatching(/^failed Upgrade "podinfo" failed: /),
    'deployed Rollback to 1',
  ])
  await world.operator.until(/held: this was rolled back/)

  await world.apply('podinfo', { values: { faults: { unready: false } } })
  const fixed = await world.until('podinfo', 'fixed', (seen) => released(seen) && seen.generation === 3)
  expect(fixed.conditions).toEqual({ ChartFetched: 'True', Deployed: 'True', Released: 'True' })
  expect(fixed.status.rollbackCount).toBe(0)
}, 120_000)

test('runs tests, and lets failing ones count or not', async ({ plane, namespace }) => {
  await using world = await helmWorld(plane, namespace)
  const spec = {
    chart: gitChart(world.upstream),
    releaseName: 'podinfo',
    timeout: 20,
    test: { enable: true, timeout: 20 },
  }
  await world.apply('podinfo', spec)
  const first = await world.until('podinfo', 'tested', released)
  expect(first.conditions).toMatchObject({ Tested: 'True', Released: 'True' })

  await world.apply('podinfo', { values: { tests: { fail: true } } })
  await world.until(
    'podinfo',
    'its tests failed',
    (seen) => seen.phase === 'TestFailed' && seen.generation === 2,
  )
  const held = await world.until('podinfo', 'seen', (seen) => seen.status.observedGeneration === 2)
  expect(held.conditions).toMatchObject({ Tested: 'False', Released: 'False', Deployed: 'True' })

  await world.apply('podinfo', { test: { ignoreFailures: true } })
  const ignored = await world.until('podinfo', 'ignored', (seen) => released(seen) && seen.generation === 3)
  expect(ignored.conditions).toMatchObject({ Tested: 'False', Released: 'True' })
  await world.operator.until(/test failed - ignoring failures/)
}, 120_000)

test('a failed installation is kept, then tried anew, and heals as soon as it is fixed', async ({
  plane,
  namespace,
}) => {
  await using world = await helmWorld(plane, namespace)
  const chart = gitChart(world.upstream)
  await world.apply('podinfo', {
    chart,
    releaseName: 'podinfo',
    wait: true,
    timeout: 2,
    values: { faults: { unready: true } },
  })

  await world.until('podinfo', 'failed', ({ phase }) => phase === 'DeployFailed')
  expect(await world.history('podinfo')).toEqual([
    expect.stringMatching(/^failed Release "podinfo" failed: /),
  ])
  const at = await world.operator.until(/uninstall succeeded/)
  await world.operator.until(/running installation/, at)

  await world.apply('podinfo', { values: { faults: { unready: false } } })
  await world.until('podinfo', 'healed', (seen) => released(seen) && seen.generation === 2)
}, 120_000)

test('values come from ConfigMaps and Secrets, are followed, and stay out of every text', async ({
  plane,
  namespace,
}) => {
  await using world = await helmWorld(plane, namespace)
  const secret = `/api/v1/namespaces/${namespace}/secrets`
  await world.apply('podinfo', {
    chart: gitChart(world.upstream),
    releaseName: 'podinfo',
    valueFileSecrets: [{ name: 'auth' }],
    valuesFrom: [{ configMapKeyRef: { name: 'settings', optional: true } }],
    values: { replicaCount: 1 },
  })
  const missing = await world.until('podinfo', 'missed', ({ phase }) => phase === 'Failed')
  expect(missing.messages['Released']).toContain(`could not find key values.yaml in Secret ${namespace}/auth`)

  const text = 'backend: s3cr3t-"password"\n'
  await post(world, secret, { metadata: { name: 'auth' }, stringData: { 'values.yaml': text } })
  await world.until('podinfo', 'released', released)
  await post(world, `/api/v1/namespaces/${namespace}/configmaps`, {
    metadata: { name: 'settings' },
    data: { 'values.yaml': 'logLevel: info\n' },
  })
  await expect.poll(() => world.history('podinfo'), { timeout: 20_000 }).toHaveLength(2)

  const config = await world.object(`/api/v1/namespaces/${namespace}/configmaps/podinfo-storage-cfg`)
  expect(valueAt(config, 'data', 'ping.sh')).toContain('s3cr3t')
  const everything = [
    ...world.operator.log,
    ...(await world.events('podinfo')),
    JSON.stringify(await world.get('podinfo')),
  ]
  expect(everything.join('\n')).not.toMatch(/s3cr3t|czNjcjN0/)
  async function post(at: typeof world, path: string, body: unknown) {
    const { request } = await import('../../support/control-plane.ts')
    const reply = await request(plane, 'POST', path, body)
    expect(reply.status, at.namespace).toBe(201)
  }
})

test('what a killed operator left pending is brought to what Git says', async ({ plane, namespace }) => {
  await using world = await helmWorld(plane, namespace)
  const chart = gitChart(world.upstream)
  await world.apply('podinfo', { chart, releaseName: 'podinfo', wait: true, timeout: 30 })
  await world.until('podinfo', 'installed', released)
  await world.apply('podinfo', { values: { faults: { unready: true } } })
  await world.until('podinfo', 'upgrading', ({ phase }) => phase === 'Upgrading')
  await expect
    .poll(() => world.history('podinfo'), { timeout: 20_000 })
    .toContainEqual(expect.stringMatching(/^pending-upgrade/))

  await world.operator.end('SIGKILL')
  await world.apply('podinfo', { values: { faults: { unready: false } } })
  expect(await world.history('podinfo')).toContainEqual(expect.stringMatching(/^pending-upgrade/))
  await world.restart()

  await world.until('podinfo', 'recovered', (seen) => released(seen) && seen.generation === 3)
  expect(await world.history('podinfo')).toEqual([
    'superseded Install complete',
    'pending-upgrade Preparing upgrade', // Helm leaves it in the history for good
    'superseded Rollback to 1',
    'deployed Upgrade complete',
  ])
}, 120_000)
