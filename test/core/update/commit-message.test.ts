import { expect, test } from 'vitest'
import { parseImageRef } from '../../../src/core/image/ref.ts'
import { parseResourceId, type ResourceId } from '../../../src/core/resource/id.ts'
import { commitMessage } from '../../../src/core/update/commit-message.ts'
import { resultError, type UpdateResult, type WorkloadResult } from '../../../src/core/update/result.ts'
import type { UpdateSpec } from '../../../src/core/update/spec.ts'

const a = parseResourceId('default:deployment/a')
const b = parseResourceId('default:deployment/b')
const silent = { message: '', user: '' }
const success = (...images: string[]): WorkloadResult => ({
  status: 'success',
  updates: images.map((image) => ({ container: 'c', target: parseImageRef(image) })),
})
const failed = (error: string): WorkloadResult => ({ status: 'failed', error, updates: [] })
const resultOf = (...entries: [ResourceId, WorkloadResult][]): UpdateResult => new Map(entries)

test.each([
  { workloads: ['<all>'], image: '<all latest>', message: 'Release all latest to all' },
  { workloads: [a, b], image: 'quay.io/x/y:2', message: `Release quay.io/x/y:2 to ${a}, ${b}` },
])('$message', ({ workloads, image, message }) => {
  const spec = { workloads, image, kind: 'execute', excludes: null, force: false }

  expect(commitMessage({ type: 'image', cause: silent, spec }, new Map())).toBe(message)
})

test.each([
  { result: resultOf(), message: 'Auto-release (no images)\n' },
  { result: resultOf([a, success('quay.io/x/y:2')]), message: 'Auto-release quay.io/x/y:2' },
  {
    result: resultOf([a, success('quay.io/x/b:7', 'quay.io/x/a:2')], [b, success('quay.io/x/a:2')]),
    message: 'Auto-release multiple (2) images\n\n - quay.io/x/a:2\n - quay.io/x/b:7\n',
  },
])('automation: $message', ({ result, message }) => {
  expect(commitMessage({ type: 'auto', cause: silent, changes: [] }, result)).toBe(message)
})

test('containers: what is set where', () => {
  const spec = { kind: 'execute', containers: null, skipMismatches: false, force: false }
  const result = resultOf([b, success('x/b:1')], [a, success('quay.io/x/a:2', 'x/sidecar:2')])

  expect(commitMessage({ type: 'containers', cause: silent, spec }, result)).toBe(
    `Update image refs in ${a}, ${b}\n\n${a}\n- quay.io/x/a:2\n- x/sidecar:2\n\n${b}\n- x/b:1\n`,
  )
})

const policies = (
  entries: [ResourceId, { add?: string[]; remove?: string[] }][],
  message = '',
): UpdateSpec => ({
  type: 'policy',
  cause: { message, user: '' },
  spec: new Map(
    entries.map(([id, { add, remove }]) => [
      id,
      {
        add: new Map(add?.map((policy) => [policy, 'true'])),
        remove: new Map(remove?.map((policy) => [policy, 'true'])),
      },
    ]),
  ),
})

test.each([
  {
    update: policies([
      [b, { add: ['automated'] }],
      [a, { add: ['automated'] }],
    ]),
    message: `Automated: ${a}, ${b}\n`,
  },
  { update: policies([[a, { remove: ['automated'] }]]), message: `Deautomated: ${a}\n` },
  {
    update: policies([[a, { add: ['locked', 'locked_user', 'locked_msg'] }]]),
    message: `Updated workload policies\n\n- Locked: ${a}\n- Updated policies: ${a}\n`,
  },
  {
    update: policies([[a, { add: ['locked', 'locked_user'] }]], 'because'),
    message: `because\n\n- Locked: ${a}\n- Updated policies: ${a}\n`,
  },
  {
    update: policies([[a, { add: ['tag.x', 'automated'], remove: ['locked'] }]]),
    message: `Updated workload policies\n\n- Automated: ${a}\n- Unlocked: ${a}\n- Updated policies: ${a}\n`,
  },
])('policies: $message', ({ update, message }) => {
  expect(commitMessage(update, new Map())).toBe(message)
})

test('does not speak of resources that Git does not have', () => {
  const update = policies([
    [a, { add: ['locked'] }],
    [b, { add: ['locked'] }],
  ])

  expect(commitMessage(update, resultOf([b, failed('not found')]))).toBe(`Locked: ${a}\n`)
})

test('takes the words of whoever asked', () => {
  expect(commitMessage({ type: 'auto', cause: { message: 'mine', user: '' }, changes: [] }, new Map())).toBe(
    'mine',
  )
})

test.each([
  { result: resultOf([a, success()]), error: '' },
  { result: resultOf([a, failed('boom')], [b, success()]), error: `${a} failed: boom` },
  { result: resultOf([b, failed('x')], [a, failed('y')]), error: `Multiple workloads failed: ${a}, ${b}` },
])('a result as one error: "$error"', ({ result, error }) => {
  expect(resultError(result)).toBe(error)
})
