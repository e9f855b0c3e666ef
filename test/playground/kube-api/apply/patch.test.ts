import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject, JsonValue } from '../../../../src/core/json.ts'
import { applyPatch } from '../../../../src/playground/kube-api/apply/patch.ts'
import { type KubeObject, StatusError } from '../../../../src/playground/kube-api/model.ts'
import { resourceFor } from '../answers.ts'

const resource = resourceFor({ apiVersion: 'apps/v1', kind: 'Deployment' })
const live: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', labels: { a: '1', 'x/y': '2' }, finalizers: ['f/a', 'f/b'] },
  spec: {
    replicas: 2,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } },
    template: {
      spec: {
        containers: [
          {
            name: 'a',
            image: 'a:1',
            args: ['x'],
            env: [
              { name: 'E', value: '1' },
              { name: 'F', value: '2' },
            ],
          },
          { name: 'b', image: 'b:1' },
        ],
        volumes: [{ name: 'v', emptyDir: {} }],
      },
    },
  },
}

function failureOf(action: () => unknown): { code: number; message: string } {
  try {
    action()
  } catch (error) {
    if (error instanceof StatusError) return { code: error.code, message: error.message }
  }
  throw new Error('it did not fail')
}

describe('a JSON Patch', () => {
  const patched = (...operations: JsonValue[]) => applyPatch('json', live, operations, resource) as JsonObject

  test.each<{ does: string; operation: JsonObject; spec?: JsonObject; metadata?: JsonObject }>([
    {
      does: 'replaces',
      operation: { op: 'replace', path: '/spec/replicas', value: 3 },
      spec: { replicas: 3 },
    },
    {
      does: 'replaces what is not there',
      operation: { op: 'replace', path: '/spec/paused', value: true },
      spec: { paused: true },
    },
    { does: 'adds', operation: { op: 'add', path: '/spec/paused', value: true }, spec: { paused: true } },
    {
      does: 'copies',
      operation: { op: 'copy', from: '/spec/replicas', path: '/spec/minReadySeconds' },
      spec: { minReadySeconds: 2 },
    },
    {
      does: 'adds at the end of a list',
      operation: { op: 'add', path: '/metadata/finalizers/-', value: 'f/c' },
      metadata: { finalizers: ['f/a', 'f/b', 'f/c'] },
    },
    {
      does: 'adds into a list',
      operation: { op: 'add', path: '/metadata/finalizers/1', value: 'f/c' },
      metadata: { finalizers: ['f/a', 'f/c', 'f/b'] },
    },
    {
      does: 'counts from the end of a list',
      operation: { op: 'remove', path: '/metadata/finalizers/-1' },
      metadata: { finalizers: ['f/a'] },
    },
    {
      does: 'reads escaped keys',
      operation: { op: 'replace', path: '/metadata/labels/x~1y', value: '3' },
      metadata: { labels: { a: '1', 'x/y': '3' } },
    },
    {
      does: 'moves',
      operation: { op: 'move', from: '/metadata/labels/a', path: '/metadata/labels/b' },
      metadata: { labels: { 'x/y': '2', b: '1' } },
    },
    {
      does: 'tests whatever the order of keys',
      operation: { op: 'test', path: '/metadata/labels', value: { 'x/y': '2', a: '1' } },
    },
  ])('$does', ({ operation, spec, metadata }) => {
    expect(patched(operation)).toEqual({
      ...live,
      metadata: { ...live.metadata, ...metadata },
      spec: { ...(live['spec'] as JsonObject), ...spec },
    })
  })

  test.each<{ fault: string; operation: JsonValue }>([
    { fault: 'tests what is not so', operation: { op: 'test', path: '/spec/replicas', value: 3 } },
    { fault: 'removes what is not there', operation: { op: 'remove', path: '/spec/paused' } },
    { fault: 'leads through nothing', operation: { op: 'add', path: '/spec/nothing/there', value: 1 } },
    { fault: 'goes beyond a list', operation: { op: 'add', path: '/metadata/finalizers/5', value: 'x' } },
    { fault: 'has no path', operation: { op: 'add', value: 1 } },
    { fault: 'does something unknown', operation: { op: 'turn', path: '/spec/replicas' } },
  ])('that $fault does not apply, and nobody learns why', ({ operation }) => {
    expect(failureOf(() => patched(operation))).toEqual({
      code: 422,
      message: 'the server rejected our request due to an error in our request',
    })
  })

  test('is a list', () => {
    expect(failureOf(() => applyPatch('json', live, {}, resource))).toEqual({
      code: 400,
      message:
        'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
    })
  })
})

describe('a JSON Merge Patch', () => {
  test('sets, removes and replaces lists', () => {
    const patch = {
      metadata: { labels: { a: null, b: '1' }, finalizers: ['f/c'] },
      spec: { new: { x: 1, y: null } },
    }

    const patched = applyPatch('merge', live, patch, resource) as KubeObject

    expect(patched.metadata).toEqual({ name: 'web', labels: { 'x/y': '2', b: '1' }, finalizers: ['f/c'] })
    expect(patched['spec']).toEqual({ ...(live['spec'] as JsonObject), new: { x: 1 } })
  })

  test('done twice is done once', () => {
    const json = fc.letrec<{ value: JsonValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.constantFrom<JsonValue>(null, 1, 'x', ['y', null], true),
        fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value')),
      ),
    })).value
    const objects = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), json)
    fc.assert(
      fc.property(objects, objects, (object, patch) => {
        const from = { ...live, ...object }
        const once = applyPatch('merge', from, patch, resource)
        expect(applyPatch('merge', once as KubeObject, patch, resource)).toEqual(once)
      }),
    )
  })
})

describe('a strategic merge patch', () => {
  const patchedSpec = (spec: JsonObject) => {
    const patched = applyPatch('strategic', live, { spec: { template: { spec } } }, resource)
    return ((patched['spec'] as JsonObject)['template'] as JsonObject)['spec'] as JsonObject
  }
  const [a, b] = (((live['spec'] as JsonObject)['template'] as JsonObject)['spec'] as JsonObject)[
    'containers'
  ] as [JsonObject, JsonObject]

  test.each<{ does: string; containers: JsonValue; order?: JsonValue; becomes: JsonValue }>([
    {
      does: 'merges containers by name',
      containers: [{ name: 'b', image: 'b:2' }],
      becomes: [a, { name: 'b', image: 'b:2' }],
    },
    {
      does: 'merges variables below them',
      containers: [{ name: 'a', env: [{ name: 'E', value: '9' }] }],
      becomes: [
        {
          ...a,
          env: [
            { name: 'E', value: '9' },
            { name: 'F', value: '2' },
          ],
        },
        b,
      ],
    },
    {
      does: 'replaces lists that have no key',
      containers: [{ name: 'a', args: ['y'] }],
      becomes: [{ ...a, args: ['y'] }, b],
    },
    { does: 'deletes one', containers: [{ name: 'a', $patch: 'delete' }], becomes: [b] },
    {
      does: 'replaces all',
      containers: [{ $patch: 'replace' }, { name: 'c', image: 'c:1' }],
      becomes: [{ name: 'c', image: 'c:1' }],
    },
    {
      does: 'puts them in the told order',
      containers: [{ name: 'c', image: 'c:1' }],
      order: [{ name: 'b' }, { name: 'c' }, { name: 'a' }],
      becomes: [b, { name: 'c', image: 'c:1' }, a],
    },
  ])('$does', ({ containers, order, becomes }) => {
    const patch = { containers, ...(order !== undefined && { '$setElementOrder/containers': order }) }

    expect(patchedSpec(patch)['containers']).toEqual(becomes)
  })

  test('keeps of a strategy what it lists', () => {
    const patch = { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } }

    const { spec } = applyPatch('strategic', live, patch, resource)

    expect((spec as JsonObject)['strategy']).toEqual({ type: 'Recreate' })
  })

  test('takes items out of a list of words', () => {
    const patch = { metadata: { '$deleteFromPrimitiveList/finalizers': ['f/a'] } }

    const { metadata } = applyPatch('strategic', live, patch, resource)

    expect((metadata as JsonObject)['finalizers']).toEqual(['f/b'])
  })

  test.each([
    {
      fault: 'names no item',
      patch: { spec: { template: { spec: { containers: [{ image: 'x' }] } } } },
      code: 500,
      message: 'map: map[image:x] does not contain declared merge key: name',
    },
    {
      fault: 'has an unknown directive',
      patch: { spec: { template: { spec: { containers: [{ name: 'a', $patch: 'turn' }] } } } },
      code: 500,
      message: 'unknown patch type: turn in map: map[$patch:turn name:a]',
    },
    {
      fault: 'keeps less than it sets',
      patch: { spec: { strategy: { $retainKeys: ['x'], type: 'Recreate' } } },
      code: 400,
      message: 'invalid patch format of retainKeys',
    },
  ])('that $fault is refused', ({ patch, code, message }) => {
    expect(failureOf(() => applyPatch('strategic', live, patch, resource))).toEqual({ code, message })
  })

  test('leaves the object it is handed as it was', () => {
    const before = structuredClone(live)

    patchedSpec({ containers: [{ name: 'a', $patch: 'delete' }], volumes: null })

    expect(live).toEqual(before)
  })
})
