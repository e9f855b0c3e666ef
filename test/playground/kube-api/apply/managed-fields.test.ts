import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../../src/core/json.ts'
import { applyServerSide, trackUpdate } from '../../../../src/playground/kube-api/apply/managed-fields.ts'
import { type KubeObject, StatusError } from '../../../../src/playground/kube-api/model.ts'
import { applyDefaults } from '../../../../src/playground/kube-api/schema/defaults.ts'
import { readFields } from '../../../../src/playground/kube-api/schema/read.ts'
import { resourceFor } from '../answers.ts'

const resource = resourceFor({ apiVersion: 'apps/v1', kind: 'Deployment' })
const at = (second: number) => new Date(Date.UTC(2020, 0, 1, 0, 0, second))

function config(container: JsonObject = {}, spec: JsonObject = {}, labels?: JsonObject): JsonObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', ...(labels && { labels }) },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'c', image: 'a:1', ...container }] },
      },
      ...spec,
    },
  }
}

function apply(
  live: KubeObject | undefined,
  sent: JsonObject,
  { manager = 'a', force = false, second = 1 } = {},
): { object: KubeObject; changed: boolean } {
  return applyServerSide({ resource, live, config: sent, manager, force, now: at(second) })
}

function update(
  live: KubeObject | undefined,
  value: JsonObject,
  manager = 'u',
  subresource = '',
): KubeObject {
  const next = applyDefaults(resource, readFields(resource, value, 'Strict').object)
  return trackUpdate({ resource, old: live, new: next, manager, subresource, now: at(9) })
}

const entries = (object: KubeObject) => object.metadata['managedFields'] as JsonObject[]
const ownedBy = (object: KubeObject, manager: string) =>
  JSON.stringify(entries(object).filter((entry) => entry['manager'] === manager))

function refusalOf(action: () => unknown): StatusError {
  try {
    action()
  } catch (error) {
    if (error instanceof StatusError) return error
  }
  throw new Error('it was not refused')
}

describe('server-side apply', () => {
  test('owns what was applied, and nothing that was filled in', () => {
    const { object, changed } = apply(undefined, config())

    expect(changed).toBe(true)
    expect((object['spec'] as JsonObject)['replicas']).toBe(1)
    expect(entries(object)).toEqual([
      {
        manager: 'a',
        operation: 'Apply',
        apiVersion: 'apps/v1',
        time: '2020-01-01T00:00:01Z',
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:spec': {
            'f:selector': {},
            'f:template': {
              'f:metadata': { 'f:labels': { 'f:app': {} } },
              'f:spec': { 'f:containers': { 'k:{"name":"c"}': { '.': {}, 'f:name': {}, 'f:image': {} } } },
            },
          },
        },
      },
    ])
  })

  test('done again changes nothing, not even a time', () => {
    const { object } = apply(undefined, config({ env: [{ name: 'A', value: '1' }], resources: {} }))

    const again = apply(object, config({ env: [{ name: 'A', value: '1' }], resources: {} }), { second: 5 })

    expect(again.changed).toBe(false)
    expect(again.object).toBe(object)
  })

  test('takes out what is applied no more, and leaves what somebody else owns', () => {
    const both = {
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ],
    }
    const { object: first } = apply(undefined, config(both))
    const { object: shared } = apply(first, config({ env: [{ name: 'B', value: '2' }] }), { manager: 'b' })

    const { object } = apply(shared, config())

    expect(JSON.stringify(object['spec'])).not.toContain('"A"')
    expect(JSON.stringify(object['spec'])).toContain('"B"')
  })

  test('tells one conflict in a line', () => {
    const created = update(undefined, config({}, { replicas: 1 }), 'kubectl')

    const refusal = refusalOf(() => apply(created, config({}, { replicas: 2 })))

    expect(refusal).toMatchObject({
      code: 409,
      reason: 'Conflict',
      message: 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas',
      details: {
        causes: [
          {
            reason: 'FieldManagerConflict',
            message: 'conflict with "kubectl" using apps/v1',
            field: '.spec.replicas',
          },
        ],
      },
    })
  })

  test('tells several conflicts by manager', () => {
    const { object } = apply(undefined, config({}, { replicas: 1 }), { manager: 'x' })

    const refusal = refusalOf(() => apply(object, config({ image: 'b' }, { replicas: 2 })))

    expect(refusal.message).toBe(
      [
        'Apply failed with 2 conflicts: conflicts with "x":',
        '- .spec.replicas',
        '- .spec.template.spec.containers[name="c"].image',
      ].join('\n'),
    )
  })

  test('takes fields over by force', () => {
    const { object } = apply(undefined, config({}, { replicas: 1 }), { manager: 'x' })

    const { object: forced } = apply(object, config({}, { replicas: 2 }), { force: true })

    expect(ownedBy(forced, 'x')).not.toContain('replicas')
    expect(ownedBy(forced, 'a')).toContain('replicas')
  })

  test.each([
    {
      what: 'a field that there is not',
      sent: config({ foo: 1 }),
      message:
        'failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.template.spec.containers[name="c"].foo: field not declared in schema',
    },
    {
      what: 'one key twice',
      sent: config({ ports: [{ containerPort: 80 }, { containerPort: 80, protocol: 'TCP' }] }),
      message:
        'failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.template.spec.containers[name="c"].ports: duplicate entries for key [containerPort=80,protocol="TCP"]',
    },
    {
      what: 'a text for a number',
      sent: config({}, { replicas: '3' }),
      message:
        'failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string',
    },
  ])('refuses $what', ({ sent, message }) => {
    expect(refusalOf(() => apply(undefined, sent))).toMatchObject({ code: 500, message })
  })

  test('refuses managed fields, and another kind', () => {
    const managed = { ...config(), metadata: { name: 'web', managedFields: [] } }

    expect(refusalOf(() => apply(undefined, managed)).message).toBe('metadata.managedFields must be nil')
    expect(refusalOf(() => apply(undefined, { ...config(), kind: 'Pod' })).message).toBe(
      'invalid object type: apps/v1, Kind=Pod',
    )
  })

  test('lets kubectl have what its client-side apply wrote', () => {
    const sent = config({}, { replicas: 1 })
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(sent) }
    const created = update(
      undefined,
      { ...sent, metadata: { name: 'web', annotations } },
      'kubectl-client-side-apply',
    )

    const { object } = apply(created, config({}, { replicas: 2 }), { manager: 'kubectl' })

    expect((object['spec'] as JsonObject)['replicas']).toBe(2)
    const { annotations: kept } = object.metadata as unknown as { annotations: Record<string, string> }
    expect(kept['kubectl.kubernetes.io/last-applied-configuration']).toContain('"replicas":2')
  })
})

describe('any other write', () => {
  test('owns what it changes, and the parts that are new as a whole', () => {
    const created = update(undefined, config({}, {}, { a: '1' }))

    expect(entries(created)).toHaveLength(1)
    expect(entries(created)[0]).toMatchObject({
      manager: 'u',
      operation: 'Update',
      fieldsV1: {
        'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
        'f:spec': { 'f:strategy': { 'f:type': {}, 'f:rollingUpdate': { '.': {}, 'f:maxSurge': {} } } },
      },
    })
  })

  test('takes what it changes from others', () => {
    const { object } = apply(undefined, config({}, { replicas: 1 }))

    const scaled = update(object, { ...object, spec: { ...(object['spec'] as JsonObject), replicas: 5 } })

    expect(ownedBy(scaled, 'a')).not.toContain('replicas')
    expect(ownedBy(scaled, 'u')).toContain('replicas')
  })

  test('of the status has an entry of its own, and owns nothing of the spec', () => {
    const created = update(undefined, config())

    const next = update(created, { ...created, status: { replicas: 1 } }, 'controller', 'status')

    expect(entries(next).find((entry) => entry['manager'] === 'controller')).toMatchObject({
      subresource: 'status',
      fieldsV1: { 'f:status': { 'f:replicas': {} } },
    })
  })

  test('is thrown together with the oldest when there are more than ten', () => {
    let object = update(undefined, config())
    for (let i = 0; i < 15; i++) {
      const labels = { ...(object.metadata['labels'] as JsonObject | undefined), [`l${i}`]: '1' }
      object = update(
        object,
        { ...object, metadata: { ...object.metadata, labels } },
        `m${String(i).padStart(2, '0')}`,
      )
    }

    expect(entries(object)).toHaveLength(10)
    expect(entries(object).map(({ manager }) => manager)).toContain('ancient-changes')
  })

  test('gives up its tracking when told to', () => {
    const created = update(undefined, config())

    const reset = update(created, { ...created, metadata: { ...created.metadata, managedFields: [] } })

    expect(reset.metadata['managedFields']).toBeUndefined()
  })
})

describe('laws of apply', () => {
  const variables = fc.uniqueArray(fc.constantFrom('A', 'B', 'C'), { maxLength: 3 })
  const configs = fc.record({
    env: variables,
    replicas: fc.option(fc.constantFrom(0, 1, 2), { nil: undefined }),
    labels: fc.option(fc.dictionary(fc.constantFrom('x', 'y'), fc.constantFrom('1', '2'), { minKeys: 1 }), {
      nil: undefined,
    }),
    manager: fc.constantFrom('a', 'b'),
  })
  const build = ({
    env,
    replicas,
    labels,
  }: {
    env: string[]
    replicas: number | undefined
    labels: JsonObject | undefined
  }) =>
    config(
      env.length > 0 ? { env: env.map((name) => ({ name, value: '1' })) } : {},
      replicas === undefined ? {} : { replicas },
      labels,
    )

  test('what is applied by force is there, belongs to its manager, and applied again changes nothing', () => {
    fc.assert(
      fc.property(fc.array(configs, { minLength: 1, maxLength: 6 }), (steps) => {
        let live: KubeObject | undefined
        for (const step of steps) {
          const sent = build(step)
          const { object } = apply(live, sent, { manager: step.manager, force: true })
          expect(object).toMatchObject(withoutLists(sent))
          for (const name of step.env)
            expect(JSON.stringify(object['spec'])).toContain(`{"name":"${name}","value":"1"}`)
          expect(apply(object, sent, { manager: step.manager, second: 30 }).changed).toBe(false)
          live = object
        }
      }),
    )
  })

  test('a field has no two owners that want different values', () => {
    fc.assert(
      fc.property(fc.array(configs, { minLength: 2, maxLength: 6 }), (steps) => {
        let live: KubeObject | undefined
        for (const step of steps)
          live = apply(live, build(step), { manager: step.manager, force: true }).object
        const last = new Map(steps.map((step) => [step.manager, step]))
        for (const [manager, { replicas }] of last) {
          if (live === undefined || !ownedBy(live, manager).includes('f:replicas')) continue
          expect((live['spec'] as JsonObject)['replicas']).toBe(replicas)
        }
      }),
    )
  })
})

/** What has to be there as it was sent: lists hold the items of others too. */
function withoutLists(value: JsonObject): JsonObject {
  const { labels } = value['metadata'] as JsonObject
  const { replicas } = value['spec'] as JsonObject
  return {
    ...(labels !== undefined && { metadata: { labels } }),
    ...(replicas !== undefined && { spec: { replicas } }),
  }
}
