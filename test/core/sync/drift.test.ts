import { describe, expect, test } from 'vitest'
import type { JsonValue } from '../../../src/core/json.ts'
import {
  decideRepair,
  explainDrift,
  isStillOwned,
  type Repair,
  readOwnership,
  withoutReplicasOf,
} from '../../../src/core/sync/drift.ts'

type Fields = Record<string, JsonValue>

const image = { 'f:template': { 'f:containers': { 'k:{"name":"app"}': { '.': {}, 'f:image': {} } } } }
const ours = (spec: Fields, more: Fields = {}) => ({
  manager: 'fluxd',
  operation: 'Apply',
  time: '2024-01-01T00:00:00Z',
  fieldsV1: { 'f:spec': spec },
  ...more,
})
const theirs = (manager: string, fieldsV1: Fields, more: Fields = {}) => ({
  manager,
  operation: 'Update',
  time: '2024-01-02T00:00:00Z',
  fieldsV1,
  ...more,
})
const whole = [ours({ 'f:replicas': {}, ...image })]
const unscaled = ours(image)
const scaler = theirs('autoscaler', { 'f:spec': { 'f:replicas': {} } }, { subresource: 'scale' })

describe('drift is', () => {
  test.each<{ name: string; live: JsonValue; still: boolean; applied?: JsonValue; left?: boolean }>([
    { name: 'nothing new', live: whole, still: true },
    {
      name: 'a later time alone',
      live: [ours({ 'f:replicas': {}, ...image }, { time: 'later' })],
      still: true,
    },
    {
      name: 'an injected container',
      live: [
        ...whole,
        theirs('injector', {
          'f:spec': { 'f:template': { 'f:containers': { 'k:{"name":"sidecar"}': {} } } },
        }),
      ],
      still: true,
    },
    {
      name: 'a status write',
      live: [...whole, theirs('kubelet', { 'f:status': {} }, { subresource: 'status' })],
      still: true,
    },
    {
      name: 'a field that others own as well',
      live: [...whole, theirs('other', { 'f:spec': image })],
      still: true,
    },
    { name: 'replicas through scale', live: [unscaled, scaler], still: true },
    { name: 'replicas through scale, as Git says', live: [...whole, scaler], still: true },
    {
      name: 'replicas by an edit',
      live: [unscaled, theirs('kubectl-edit', { 'f:spec': { 'f:replicas': {} } })],
      still: false,
    },
    {
      name: 'an image that was taken, beside a scale',
      live: [ours({}), scaler, theirs('kubectl-edit', { 'f:spec': image })],
      still: false,
    },
    { name: 'a field that was lost', live: [ours({ 'f:replicas': {} })], still: false },
    { name: 'our entry gone', live: [theirs('replacer', { 'f:spec': image })], still: false },
    { name: 'no managed fields', live: null, still: false },
    {
      name: 'replicas left to scale, and scaled again',
      left: true,
      applied: [unscaled, scaler],
      live: [unscaled, scaler],
      still: true,
    },
    {
      name: 'replicas left to scale, then edited',
      left: true,
      applied: [unscaled, scaler],
      live: [unscaled, theirs('kubectl-edit', { 'f:spec': { 'f:replicas': {} } })],
      still: false,
    },
    {
      name: 'an object that never named replicas, scaled and edited',
      applied: [unscaled, scaler],
      live: [unscaled, theirs('kubectl-edit', { 'f:spec': { 'f:replicas': {} } })],
      still: true,
    },
  ])('$name: still as applied is $still', ({ applied = whole, left = false, live, still }) => {
    expect(isStillOwned({ ...readOwnership(applied), leftToScale: left }, readOwnership(live))).toBe(still)
  })
})

describe('the cause of drift', () => {
  test('names each field and who took it', () => {
    const before = [ours({ 'f:replicas': {} }), theirs('kubectl-edit', { 'f:spec': image })]

    expect(explainDrift(before, whole)).toEqual({
      fields: ['.spec.template.containers[name="app"].image'],
      manager: 'kubectl-edit',
    })
  })

  test('of a field that is gone is the last to write, other than a status', () => {
    const before = [
      ours({ 'f:replicas': {} }),
      theirs('early', { 'f:metadata': {} }, { time: '2024-01-01T00:00:00Z' }),
      theirs('late', { 'f:metadata': {} }, { time: '2024-01-03T00:00:00Z' }),
      theirs('kubelet', { 'f:status': {} }, { time: '2024-01-04T00:00:00Z', subresource: 'status' }),
    ]

    expect(explainDrift(before, whole).manager).toBe('late')
  })

  test('of an object that was deleted is nobody', () => {
    expect(explainDrift(undefined, whole).manager).toBeUndefined()
  })
})

describe('a repair', () => {
  const by = (manager: string | undefined, ...seconds: number[]): Repair[] =>
    seconds.map((second) => ({ atMs: second * 1_000, manager }))

  test.each<{ name: string; repairs: Repair[]; now: number; decision: unknown }>([
    { name: 'the first is done at once', repairs: [], now: 0, decision: { kind: 'repair' } },
    { name: 'the second waits a second', repairs: by('a', 0), now: 0.4, decision: { kind: 'wait', ms: 600 } },
    { name: 'and is done then', repairs: by('a', 0), now: 1, decision: { kind: 'repair' } },
    { name: 'the third waits two', repairs: by('a', 0, 1), now: 1, decision: { kind: 'wait', ms: 2_000 } },
    {
      name: 'a fourth by one manager is none',
      repairs: by('a', 0, 1, 3),
      now: 100,
      decision: { kind: 'hold', manager: 'a' },
    },
    {
      name: 'after ten minutes it is done',
      repairs: by('a', 0, 1, 3),
      now: 604,
      decision: { kind: 'repair' },
    },
    {
      name: 'by several it is done, later and later',
      repairs: [...by('a', 0, 1), ...by('b', 3)],
      now: 3,
      decision: { kind: 'wait', ms: 4_000 },
    },
    {
      name: 'by nobody it is never contested',
      repairs: by(undefined, 0, 1, 3, 7),
      now: 100,
      decision: { kind: 'repair' },
    },
    {
      name: 'never later than the pass',
      repairs: by(undefined, 0, 1, 3, 7, 15),
      now: 15,
      decision: { kind: 'wait', ms: 5_000 },
    },
  ])('$name', ({ repairs, now, decision }) => {
    expect(decideRepair(repairs, now * 1_000, 5_000)).toEqual(decision)
  })
})

test('replicas are left out without touching the manifest', () => {
  const manifest = { kind: 'Deployment', spec: { replicas: 2, paused: false } }

  expect(withoutReplicasOf(manifest)).toEqual({ kind: 'Deployment', spec: { paused: false } })
  expect(withoutReplicasOf({ kind: 'ConfigMap' })).toEqual({ kind: 'ConfigMap' })
  expect(manifest.spec.replicas).toBe(2)
})
