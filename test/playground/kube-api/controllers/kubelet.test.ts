import { expect, test } from 'vitest'
import type { JsonObject } from '../../../../src/core/json.ts'
import { textAt } from '../../../../src/playground/kube-api/fields.ts'
import { conditions, startTestCluster } from './cluster.ts'

const pod = (metadata: JsonObject = {}, spec: JsonObject = {}) => ({
  kind: 'Pod',
  metadata: { name: 'web', ...metadata },
  spec: { containers: [{ name: 'web', image: 'web:1' }], ...spec },
})
const told = (outcome: string) => ({ annotations: { 'playground.fluxcd.io/outcome': outcome } })
const hook = { annotations: { 'helm.sh/hook': 'test' } }

test.each([
  { what: 'a pod', object: pod(), phase: 'Running', ready: 'True' },
  { what: 'a pod that ends', object: pod({}, { restartPolicy: 'Never' }), phase: 'Running', ready: 'True' },
  {
    what: 'a Helm test',
    object: pod(hook, { restartPolicy: 'Never' }),
    phase: 'Succeeded',
    ready: 'False PodCompleted',
  },
  {
    what: 'a Helm test told to fail',
    object: pod(
      { annotations: { ...hook.annotations, ...told('failed').annotations } },
      { restartPolicy: 'Never' },
    ),
    phase: 'Failed',
    ready: 'False ContainersNotReady',
  },
  {
    what: 'a pod told to fail',
    object: pod(told('failed')),
    phase: 'Running',
    ready: 'False ContainersNotReady',
  },
  {
    what: 'a pod told to wait',
    object: pod(told('never-ready')),
    phase: 'Pending',
    ready: 'False ContainersNotReady',
  },
])('$what: $phase, ready $ready', async ({ object, phase, ready }) => {
  const cluster = startTestCluster()
  cluster.create(object)

  const found = await cluster.until(() => {
    const live = cluster.get('pods', 'web')
    return textAt(live, 'status.startTime') !== '' && live
  })

  expect(textAt(found, 'status.phase')).toBe(phase)
  expect(found.metadata['generation']).toBe(1)
  expect(conditions(found)).toContain(`Ready=${ready}${ready === 'True' ? ' undefined' : ''}`)
})

test('a pod that waited becomes ready when it is told so', async () => {
  const cluster = startTestCluster()
  cluster.create(pod(told('never-ready')))
  await cluster.until(() => textAt(cluster.get('pods', 'web'), 'status.startTime') !== '')

  cluster.client.patch('pods', 'demo', 'web', { metadata: told('running') })

  await cluster.until(() => textAt(cluster.get('pods', 'web'), 'status.phase') === 'Running')
})

test('a deleted pod goes at once, whatever grace it has', async () => {
  const cluster = startTestCluster()
  cluster.create(pod({}, { terminationGracePeriodSeconds: 3600 }))
  await cluster.until(() => textAt(cluster.get('pods', 'web'), 'status.phase') === 'Running')

  cluster.client.delete('pods', 'demo', 'web')

  await cluster.until(() => cluster.list('pods').length === 0)
})

test('a pod that fits no node says so, and is placed when one fits', async () => {
  const cluster = startTestCluster()
  cluster.create(pod({}, { nodeSelector: { disk: 'fast' } }))
  await cluster.until(() =>
    conditions(cluster.get('pods', 'web')).includes('PodScheduled=False Unschedulable'),
  )
  expect(cluster.events('Pod')).toEqual([
    expect.stringMatching(
      /^FailedScheduling: 0\/1 nodes are available: 1 node\(s\) didn't match Pod's node affinity/,
    ),
  ])

  cluster.client.patch('nodes', '', 'node-0', { metadata: { labels: { disk: 'fast' } } })

  await cluster.until(() => textAt(cluster.get('pods', 'web'), 'status.phase') === 'Running')
  expect(conditions(cluster.get('pods', 'web'))).toContain('PodScheduled=True undefined')
})

test('a gated pod is not placed', async () => {
  const cluster = startTestCluster()
  cluster.create(pod({}, { schedulingGates: [{ name: 'example.com/wait' }] }))
  cluster.create({ ...pod(), metadata: { name: 'other' } })

  await cluster.until(() => textAt(cluster.get('pods', 'other'), 'status.phase') === 'Running')

  expect(textAt(cluster.get('pods', 'web'), 'spec.nodeName')).toBe('')
})
