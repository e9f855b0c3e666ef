import { expect } from 'vitest'
import { valueAt } from '../../../src/core/json.ts'
import { test as base } from '../../support/cluster-test.ts'
import { request } from '../../support/control-plane.ts'
import { helm } from '../../support/neighbours.ts'
import { eventually } from '../../support/programs.ts'
import { gitChart, helmWorld } from './world.ts'

const test = base.skipIf(helm('4.2') === undefined)

test('what a person changes by hand is reported, and put right where that is asked for', async ({
  plane,
  namespace,
}) => {
  await using world = await helmWorld(plane, namespace, { args: ['--drift-interval=2s'] })
  await world.apply(
    'podinfo',
    { chart: gitChart(world.upstream), releaseName: 'podinfo' },
    { annotations: { 'helm.fluxcd.io/drift-ignore': 'Deployment/podinfo:spec.paused' } },
  )
  await world.until('podinfo', 'released', ({ phase }) => phase === 'Succeeded')
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments/podinfo`
  const merge = { 'content-type': 'application/merge-patch+json' }
  const patch = (body: unknown) => request(plane, 'PATCH', path, body, merge)

  await patch({ spec: { paused: true } })
  await patch({ spec: { replicas: 3 } })
  const told = await eventually(async () => {
    const events = await world.events('podinfo')
    return events.find((event) => event.includes('DriftDetected'))
  }, 'a report')
  expect(told).toMatch(/differs from its manifest: Deployment\/podinfo spec\.replicas$/)
  expect(valueAt(await world.object(path), 'spec', 'replicas')).toBe(3)
  expect(await world.history('podinfo')).toEqual(['deployed Install complete'])

  await world.restart('SIGTERM', ['--drift=correct'])
  await expect
    .poll(async () => valueAt(await world.object(path), 'spec', 'replicas'), { timeout: 30_000 })
    .toBe(1)
  await expect
    .poll(() => world.history('podinfo'), { timeout: 20_000 })
    .toEqual(['superseded Install complete', 'deployed Upgrade complete'])
  await patch({ spec: { paused: false } })
})
