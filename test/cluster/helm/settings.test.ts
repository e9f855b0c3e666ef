import { expect } from 'vitest'
import { valueAt } from '../../../src/core/json.ts'
import { test as base } from '../../support/cluster-test.ts'
import { request } from '../../support/control-plane.ts'
import { helm } from '../../support/neighbours.ts'
import { gitChart, helmWorld, type Seen } from './world.ts'

const test = base.skipIf(helm('4.2') === undefined)
const released = ({ phase, status, generation }: Seen) =>
  phase === 'Succeeded' && status.observedGeneration === generation

test('one release has one owner, and a new name moves it', { timeout: 120_000 }, async ({
  plane,
  namespace,
}) => {
  await using world = await helmWorld(plane, namespace)
  const chart = gitChart(world.upstream)
  await world.apply('first', { chart, releaseName: 'shared' })
  await world.until('first', 'released', released)

  await world.apply('second', { chart, releaseName: 'shared' })
  const refused = await world.until('second', 'refused', ({ phase }) => phase === 'Failed')
  expect(refused.messages['Released']).toContain(
    `release appears to be managed by '${namespace}:helmrelease/first'`,
  )
  await world.remove('second')
  await expect.poll(async () => Object.keys(await world.get('second')).length, { timeout: 20_000 }).toBe(0)
  expect(await world.history('shared')).toEqual(['deployed Install complete'])

  await world.apply('first', { releaseName: 'moved' })
  await world.until('first', 'moved', released)
  expect(await world.history('moved')).toEqual(['deployed Install complete'])
  await expect
    .poll(() => world.object(`/apis/apps/v1/namespaces/${namespace}/deployments/shared`), { timeout: 20_000 })
    .toBeUndefined()

  await world.apply('first', {}, { annotations: { 'helm.fluxcd.io/keep': 'true' } })
  await world.remove('first')
  await expect.poll(async () => Object.keys(await world.get('first')).length, { timeout: 20_000 }).toBe(0)
  expect(await world.history('moved')).toEqual(['deployed Install complete'])
})

test('suspended or waiting for others, a release is left alone', { timeout: 120_000 }, async ({
  plane,
  namespace,
}) => {
  await using world = await helmWorld(plane, namespace)
  const chart = gitChart(world.upstream)
  await world.apply(
    'after',
    { chart, releaseName: 'after' },
    { annotations: { 'helm.fluxcd.io/depends-on': 'before' } },
  )
  await world.operator.until(new RegExp(`waiting for ${namespace}/before`))
  await world.apply(
    'before',
    { chart, releaseName: 'before' },
    { annotations: { 'helm.fluxcd.io/suspend': 'true' } },
  )
  await world.operator.until(/info=suspended/)
  expect(await world.get('after')).not.toHaveProperty('status.phase', 'Succeeded')

  await world.apply('before', {}, { annotations: { 'helm.fluxcd.io/suspend': null } })

  await world.until('before', 'released', released)
  await world.until('after', 'released', released)
})

test('other namespaces are refused where that is asked for, and names that Helm refuses', {
  timeout: 120_000,
}, async ({ plane, namespace }) => {
  await using world = await helmWorld(plane, namespace, { args: ['--no-cross-namespace'] })
  const chart = gitChart(world.upstream)
  const message = async (name: string) =>
    (await world.until(name, 'refused', ({ phase }) => phase === 'Failed')).messages['Released']

  await world.apply('target', { chart, releaseName: 'r', targetNamespace: 'default' })
  await world.apply('secret', {
    chart,
    releaseName: 'r',
    valuesFrom: [{ secretKeyRef: { name: 's', namespace: 'default' } }],
  })
  await world.apply('long', { chart, releaseName: 'x'.repeat(54) })
  await world.apply('old', { chart, helmVersion: 'v2' })
  await world.apply(
    'migrate',
    { chart, releaseName: 'm' },
    { annotations: { 'helm.fluxcd.io/migrate': 'false' } },
  )

  expect(await message('target')).toContain("namespace 'default' is another than the HelmRelease's")
  expect(await message('secret')).toContain("namespace 'default' is another than the HelmRelease's")
  expect(await message('long')).toContain('It has 54 characters, and Helm takes at most 53.')
  expect(await message('old')).toContain("no client found for Helm 'v2'")
  expect(await message('migrate')).toContain('which is not supported')
})

test('a service account is acted for', { timeout: 120_000 }, async ({ plane, namespace }) => {
  await using world = await helmWorld(plane, namespace)
  const chart = gitChart(world.upstream)
  await world.apply('tenant', { chart, releaseName: 'tenant', serviceAccountName: 'deployer' })
  const refused = await world.until(
    'tenant',
    'refused',
    ({ phase }) => phase === 'DeployFailed' || phase === 'Failed',
  )
  expect(refused.messages['Released']).toContain(`system:serviceaccount:${namespace}:deployer`)

  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`
  await request(plane, 'POST', `${rbac}/roles`, {
    metadata: { name: 'deployer' },
    rules: [{ apiGroups: ['', 'apps', 'batch'], resources: ['*'], verbs: ['*'] }],
  })
  await request(plane, 'POST', `${rbac}/rolebindings`, {
    metadata: { name: 'deployer' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'deployer' },
    subjects: [{ kind: 'ServiceAccount', name: 'deployer', namespace }],
  })
  await world.until('tenant', 'released', released)
  const deployment = await world.object(`/apis/apps/v1/namespaces/${namespace}/deployments/tenant`)
  expect(valueAt(deployment, 'metadata', 'name')).toBe('tenant')
})
