import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../src/core/json.ts'
import { readRollout } from '../../../src/core/resource/rollout.ts'

const object = (spec: JsonObject, status: JsonObject, generation = 1): JsonObject => ({
  metadata: { generation },
  spec,
  status: { observedGeneration: 1, ...status },
})
const done = { replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 }

describe('a Deployment', () => {
  test.each([
    { why: 'all pods are new and available', status: done, expected: 'ready' },
    { why: 'a pod is not available', status: { ...done, availableReplicas: 1 }, expected: 'updating' },
    { why: 'an old pod is left', status: { ...done, replicas: 3 }, expected: 'updating' },
    { why: 'nothing is said yet', status: {}, expected: 'updating' },
    {
      why: 'it does not progress',
      status: { ...done, conditions: [{ type: 'Progressing', status: 'False', message: 'too slow' }] },
      expected: 'error',
    },
    {
      why: 'pods cannot be made',
      status: { conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'quota' }] },
      expected: 'error',
    },
    {
      why: 'its conditions are good',
      status: { ...done, conditions: [{ type: 'Progressing', status: 'True', message: 'fine' }] },
      expected: 'ready',
    },
  ])('is $expected when $why', ({ status, expected }) => {
    expect(readRollout('Deployment', object({ replicas: 2 }, status)).status).toBe(expected)
  })

  test('is started until its controller has seen the newest version', () => {
    expect(readRollout('Deployment', object({ replicas: 2 }, done, 2)).status).toBe('started')
  })

  test('counts its pods, and says why it does not get on', () => {
    const status = {
      replicas: 3,
      updatedReplicas: 1,
      readyReplicas: 2,
      availableReplicas: 2,
      conditions: [{ type: 'Progressing', status: 'False', message: 'too slow' }],
    }

    expect(readRollout('Deployment', object({}, status)).rollout).toEqual({
      desired: 1,
      updated: 1,
      ready: 2,
      available: 2,
      outdated: 2,
      messages: ['too slow'],
    })
  })
})

test.each([
  { scheduled: 2, updated: 2, available: 2, expected: 'ready' },
  { scheduled: 2, updated: 1, available: 2, expected: 'updating' },
  { scheduled: 2, updated: 2, available: 1, expected: 'updating' },
])(
  'a DaemonSet with $updated of $scheduled updated is $expected',
  ({ scheduled, updated, available, expected }) => {
    const status = {
      desiredNumberScheduled: scheduled,
      currentNumberScheduled: scheduled,
      updatedNumberScheduled: updated,
      numberReady: available,
      numberAvailable: available,
    }

    expect(readRollout('DaemonSet', object({}, status)).status).toBe(expected)
  },
)

describe('a StatefulSet', () => {
  const rolling = { currentRevision: 'a', updateRevision: 'b', currentReplicas: 1 }

  test.each([
    {
      why: 'settled',
      spec: { replicas: 3 },
      status: { currentRevision: 'a', updateRevision: 'a', currentReplicas: 3, readyReplicas: 3 },
      expected: 'ready',
    },
    {
      why: 'rolling',
      spec: { replicas: 3 },
      status: { ...rolling, updatedReplicas: 2, readyReplicas: 3 },
      expected: 'updating',
    },
    {
      why: 'rolled up to its partition',
      spec: { replicas: 3, updateStrategy: { rollingUpdate: { partition: 1 } } },
      status: { ...rolling, updatedReplicas: 2, readyReplicas: 3 },
      expected: 'ready',
    },
    {
      why: 'held by a partition beyond its size',
      spec: { replicas: 1, updateStrategy: { rollingUpdate: { partition: 5 } } },
      status: { ...rolling, updatedReplicas: 0, readyReplicas: 1 },
      expected: 'ready',
    },
  ])('that is $why: $expected', ({ spec, status, expected }) => {
    expect(readRollout('StatefulSet', object(spec, status)).status).toBe(expected)
  })
})

test.each([
  { kind: 'CronJob', status: {}, expected: 'ready' },
  { kind: 'HelmRelease', status: { releaseStatus: 'deployed' }, expected: 'deployed' },
  { kind: 'HelmRelease', status: {}, expected: '' },
  {
    kind: 'HelmRelease',
    status: { releaseStatus: 'deployed', conditions: [{ type: 'RolledBack', status: 'True' }] },
    expected: 'rolled-back',
  },
])('a $kind is "$expected" and has no rollout', ({ kind, status, expected }) => {
  const { status: found, rollout } = readRollout(kind, { status })

  expect(found).toBe(expected)
  expect(rollout).toMatchObject({ desired: 0, outdated: 0, messages: [] })
})
