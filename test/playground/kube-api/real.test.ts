import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatJson, type JsonObject, type JsonValue } from '../../../src/core/json.ts'
import {
  type ControlPlane,
  controlPlaneAssets,
  startControlPlane,
} from '../../../src/playground/kube/control-plane.ts'
import { applyServerSide, trackUpdate } from '../../../src/playground/kube-api/apply/managed-fields.ts'
import { applyPatch } from '../../../src/playground/kube-api/apply/patch.ts'
import { type KubeObject, type Resource, StatusError } from '../../../src/playground/kube-api/model.ts'
import { applyDefaults } from '../../../src/playground/kube-api/schema/defaults.ts'
import { readFields } from '../../../src/playground/kube-api/schema/read.ts'
import { type Answers, causesOf, masked, resourceFor } from './answers.ts'
import { accepted, refused } from './objects.ts'

/**
 * The same objects, applies and patches sent to a real API server. What it answers to single objects is kept in
 * `test/fixtures/kube-api`, where the other tests read it (`vitest -u` asks again); random histories are compared as
 * they happen.
 */
describe.skipIf(controlPlaneAssets() === undefined)('beside a real API server', () => {
  let plane: ControlPlane
  beforeAll(async () => {
    plane = await startControlPlane()
  }, 60_000)
  afterAll(() => plane.close())

  const pathOf = ({ group, version, namespaced, plural }: Resource, name = '') => {
    const root = `${group === '' ? '/api' : `/apis/${group}`}/${version}`
    return `${root}${namespaced ? '/namespaces/default' : ''}/${plural}${name && `/${name}`}`
  }
  const ask = async (method: string, path: string, body?: unknown, contentType = 'application/json') => {
    const { status, body: answer } = await plane.request(method, path, body, { 'content-type': contentType })
    return { status, answer: answer as KubeObject }
  }

  test('it answers as it did when its answers were written down', { timeout: 120_000 }, async () => {
    const found: Answers = { accepted: [], refused: [] }
    for (const object of accepted) {
      const resource = resourceFor(object)
      const { name } = object['metadata'] as JsonObject
      const query = '?dryRun=All&fieldManager=test'
      const created = await ask('POST', pathOf(resource) + query, object)
      const applied = await ask('PATCH', pathOf(resource, String(name)) + query, object, types.apply)
      found.accepted.push({ created: masked(created.answer), applied: masked(applied.answer) })
    }
    for (const object of refused) {
      const { answer } = await ask(
        'POST',
        `${pathOf(resourceFor(object))}?dryRun=All&fieldValidation=Ignore`,
        object,
      )
      found.refused.push(causesOf(answer['details']))
    }

    await expect(`${JSON.stringify(found, null, 1)}\n`).toMatchFileSnapshot(
      '../../fixtures/kube-api/answers.json',
    )
  })

  test('the table of types is what it serves', { timeout: 60_000 }, async () => {
    const check = promisify(execFile)(process.execPath, ['scripts/kube-types.mjs', '--check'])

    await expect(check).resolves.toMatchObject({ stderr: '' })
  })

  test.each([11, 12, 13])(
    'random history %i of one Deployment is the same on both',
    { timeout: 120_000 },
    async (seed) => {
      const random = randomFrom(seed)
      const resource = resourceFor({ apiVersion: 'apps/v1', kind: 'Deployment' })
      const name = `history-${seed}-${Date.now()}`
      const path = pathOf(resource, name)
      let live: KubeObject | undefined

      for (let step = 0; step < 60; step++) {
        const change = nextChange(random, name, live)
        const url = change.type === 'create' ? pathOf(resource) : path
        const force = change.type === 'apply' ? `&force=${change.force}` : ''
        const reply = await ask(
          change.method,
          `${url}?fieldManager=${change.manager}${force}`,
          change.body,
          change.type === 'apply' || change.type in types
            ? types[change.type as keyof typeof types]
            : undefined,
        )

        const ours = answerOf(resource, live, change)

        if (reply.status < 300) {
          expect(ours instanceof StatusError ? ours.message : withoutTimes(ours)).toEqual(
            withoutTimes(reply.answer),
          )
          live = reply.answer
        } else if (ours instanceof StatusError) {
          expect({ code: ours.code, message: ours.message }).toEqual({
            code: reply.status,
            message: reply.answer['message'],
          })
        } else {
          // what only looking at the whole object tells is not asked here
          expect(reply.answer['reason']).toBe('Invalid')
        }
      }
    },
  )
})

const types = {
  apply: 'application/apply-patch+yaml',
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
}

interface Change {
  type: 'create' | 'update' | 'apply' | 'json' | 'merge' | 'strategic'
  method: 'POST' | 'PUT' | 'PATCH'
  manager: string
  force: boolean
  body: JsonValue
}

function answerOf(
  resource: Resource,
  live: KubeObject | undefined,
  change: Change,
): KubeObject | StatusError {
  const { type, manager, force, body } = change
  const now = new Date()
  try {
    if (type === 'apply') {
      return applyServerSide({ resource, live, config: body as JsonObject, manager, force, now }).object
    }
    const sent =
      live !== undefined && type !== 'update' && type !== 'create'
        ? applyPatch(type, live, body, resource)
        : (body as JsonObject)
    const read = applyDefaults(resource, readFields(resource, sent, 'Warn').object)
    const next = { ...read, status: live?.['status'] ?? {} }
    return trackUpdate({ resource, old: live, new: next, manager, now })
  } catch (error) {
    if (error instanceof StatusError) return error
    throw error
  }
}

/** Entries of managed fields stand in the order of their times, which are not the same here and there. */
function withoutTimes(object: KubeObject): JsonObject {
  const { metadata, ...rest } = masked(object) as KubeObject
  const entries = metadata['managedFields']
  const sorted = (Array.isArray(entries) ? entries : [])
    .map((entry) => formatJson(entry, { sortKeys: true }))
    .sort()
  return { ...rest, metadata: { ...metadata, managedFields: sorted } }
}

/* ---- random changes ---- */

interface Random {
  pick<T>(choices: readonly T[]): T
  some<T>(choices: readonly T[]): T[]
  maybe(share: number, fields: () => JsonObject): JsonObject
}

/** A linear congruential generator: the same numbers for the same seed. */
function randomFrom(seed: number): Random {
  let state = seed
  const next = () => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff
    return state / 0x7fff_ffff
  }
  return {
    pick: <T>(choices: readonly T[]) => choices[Math.floor(next() * choices.length) % choices.length] as T,
    some: (choices) => choices.filter(() => next() < 0.5),
    maybe: (share, fields) => (next() < share ? fields() : {}),
  }
}

function nextChange(random: Random, name: string, live: KubeObject | undefined): Change {
  const { pick, maybe } = random
  const type =
    live === undefined
      ? pick(['apply', 'create'] as const)
      : pick(['apply', 'apply', 'apply', 'update', 'json', 'merge', 'strategic', 'strategic'] as const)
  const method = type === 'create' ? 'POST' : type === 'update' ? 'PUT' : 'PATCH'
  const bodies: Record<Change['type'], () => JsonValue> = {
    apply: () => deployment(random, name),
    create: () => deployment(random, name),
    update: () => deployment(random, name),
    json: () => pick(jsonPatches),
    merge: () => ({
      ...maybe(0.3, () => ({ metadata: { labels: pick<JsonValue>([null, { a: null }, { z: '1' }]) } })),
      spec: {
        ...maybe(0.5, () => ({ replicas: pick([1, 2, null]) })),
        ...maybe(0.3, () => ({ template: { spec: { nodeSelector: pick<JsonValue>([null, { k: 'v' }]) } } })),
      },
    }),
    strategic: () => strategicPatch(random),
  }
  return {
    type,
    method,
    manager: pick(['a', 'b', 'kubectl', 'c']),
    force: pick([true, false]),
    body: bodies[type](),
  }
}

function deployment(random: Random, name: string): JsonObject {
  const { pick, some, maybe } = random
  const port = (containerPort: number, protocol: string) => ({
    containerPort,
    ...(protocol === 'UDP' && { protocol }),
    ...maybe(0.3, () => ({ name: `p${containerPort}${protocol.toLowerCase()}` })),
  })
  const container = (containerName: string) => ({
    name: containerName,
    ...maybe(0.9, () => ({ image: pick(['a:1', 'a:2', 'b']) })),
    ...maybe(0.5, () => ({
      env: some(['A', 'B', 'C']).map((variable) => ({ name: variable, value: pick(['1', '']) })),
    })),
    ...maybe(0.3, () => ({ ports: some([port(80, 'TCP'), port(80, 'UDP'), port(81, 'TCP')]) })),
    ...maybe(0.3, () => ({ args: some(['x', 'y']) })),
    ...maybe(0.3, () => ({
      resources: pick<JsonObject>([{}, { limits: { cpu: '1000m', memory: '1Gi' }, requests: {} }]),
    })),
    ...maybe(0.2, () => ({ securityContext: pick<JsonObject>([{}, { runAsUser: 0 }]) })),
  })
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name,
      ...maybe(0.5, () => ({ labels: pick<JsonObject>([{}, { a: '1' }, { a: '2', b: '1' }]) })),
      ...maybe(0.3, () => ({ annotations: pick<JsonObject>([{ x: '1' }, { y: '2' }]) })),
      ...maybe(0.2, () => ({ finalizers: some(['a/b', 'c/d']) })),
    },
    spec: {
      selector: { matchLabels: { app: 'x' } },
      ...maybe(0.4, () => ({ replicas: pick([0, 1, 2]) })),
      ...maybe(0.3, () => ({
        strategy: pick<JsonObject>([{}, { type: 'Recreate' }, { rollingUpdate: { maxSurge: 1 } }]),
      })),
      template: {
        metadata: { labels: { app: 'x', ...maybe(0.3, () => ({ v: pick(['1', '2']) })) } },
        spec: {
          containers: [container('m'), ...some(['n', 'o']).map(container)],
          ...maybe(0.4, () => ({ volumes: some([{ name: 'v' }, { name: 'w', emptyDir: {} }]) })),
          ...maybe(0.2, () => ({ tolerations: [{ key: 'k', operator: 'Exists' }] })),
          ...maybe(0.2, () => ({ imagePullSecrets: some([{ name: 'a' }, { name: 'b' }]) })),
        },
      },
    },
  }
}

const jsonPatches: JsonValue[] = [
  [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'j:1' }],
  [{ op: 'add', path: '/spec/template/spec/containers/-', value: { name: 'j', image: 'j' } }],
  [{ op: 'add', path: '/metadata/annotations', value: { j: '1' } }],
  [{ op: 'remove', path: '/metadata/annotations' }],
  [{ op: 'copy', from: '/spec/replicas', path: '/spec/minReadySeconds' }],
  [
    { op: 'test', path: '/spec/replicas', value: 1 },
    { op: 'replace', path: '/spec/replicas', value: 3 },
  ],
  [{ op: 'move', from: '/metadata/annotations/x', path: '/metadata/annotations/y' }],
]

function strategicPatch({ pick, maybe }: Random): JsonObject {
  const containers = pick<JsonValue>([
    [{ name: 'm', image: 'z' }],
    [{ name: 'n', $patch: 'delete' }],
    [
      { name: 'k', image: 'k:1', env: [{ name: 'Q', value: 'q' }] },
      {
        name: 'm',
        env: [
          { name: 'A', $patch: 'delete' },
          { name: 'B', value: 'b' },
        ],
      },
    ],
    [{ $patch: 'replace' }, { name: 'm', image: 'a' }],
  ])
  const volumes = pick<JsonValue>([
    null,
    [{ name: 'v', $patch: 'delete' }],
    [{ name: 'v', $retainKeys: ['name', 'secret'], secret: { secretName: 's' } }],
  ])
  return {
    ...maybe(0.3, () => ({
      metadata: { labels: pick<JsonValue>([{ a: null }, { $patch: 'replace', q: '1' }]) },
    })),
    spec: {
      ...maybe(0.3, () => ({ replicas: pick([1, 2, null]) })),
      ...maybe(0.2, () => ({
        strategy: pick<JsonObject>([{ $retainKeys: ['type'], type: 'Recreate' }, { type: 'RollingUpdate' }]),
      })),
      template: {
        spec: {
          containers,
          ...maybe(0.4, () => ({
            '$setElementOrder/containers': [{ name: 'k' }, { name: 'm' }, { name: 'n' }],
          })),
          ...maybe(0.3, () => ({ volumes })),
        },
      },
    },
  }
}
