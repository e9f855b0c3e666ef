import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, vi } from 'vitest'
import { FluxError } from '../../../src/core/errors.ts'
import { type JsonObject, valueAt } from '../../../src/core/json.ts'
import { realOnly, test } from '../../support/cluster-test.ts'
import { kubeconfigFor, planeKind, request } from '../../support/control-plane.ts'
import { configMap, connect, deployment, requestsTo } from './fixtures.ts'

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

function owners(object: JsonObject): string[] {
  const entries = valueAt(object, 'metadata', 'managedFields')
  return Array.isArray(entries)
    ? entries.map((entry) => `${valueAt(entry, 'manager')} ${valueAt(entry, 'operation')}`)
    : []
}

describe('an apply', () => {
  test('creates, configures, and then leaves alone', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')

    const created = await kube.cluster.apply(key, configMap('settings', { a: '1' }))
    const configured = await kube.cluster.apply(key, configMap('settings', { a: '2' }))
    const resourceVersion = String(valueAt(configured.object, 'metadata', 'resourceVersion'))
    const unchanged = await kube.cluster.apply(key, configMap('settings', { a: '2' }), { resourceVersion })

    expect([created.change, configured.change, unchanged.change]).toEqual([
      'created',
      'configured',
      'unchanged',
    ])
    expect(valueAt(unchanged.object, 'metadata', 'resourceVersion')).toBe(resourceVersion)
  })

  test('tells unchanged by the clock of the server when no version is known', async ({
    plane,
    namespace,
  }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')
    const apply = async () => (await kube.cluster.apply(key, configMap('settings', { a: '1' }))).change

    const changes = [await apply()]

    expect(changes).toEqual(['created'])
    await expect.poll(apply, { timeout: 15_000, interval: 300 }).toBe('unchanged')
  })

  test('is one request', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('apps/v1', 'Deployment', namespace, 'web')

    await kube.cluster.apply(key, deployment('web'))

    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/web`
    await expect.poll(() => requestsTo(plane, path)).toEqual(['patch 201'])
  })

  test('drops what a manifest may not say', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const manifest = {
      ...deployment('web'),
      status: { replicas: 9 },
      metadata: {
        name: 'web',
        namespace,
        uid: '00000000-0000-0000-0000-000000000000',
        resourceVersion: '1',
        generation: 7,
        creationTimestamp: null,
        managedFields: [],
      },
    }

    const key = await kube.key('apps/v1', 'Deployment', namespace, 'web')
    const { object } = await kube.cluster.apply(key, manifest)

    expect(object).toMatchObject({ metadata: { generation: 1 }, status: {} })
    expect(valueAt(object, 'status', 'replicas')).toBeUndefined()
  })

  test('accepts the empty values that generators leave behind', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('apps/v1', 'Deployment', namespace, 'web')
    const manifest = deployment('web', {
      strategy: {},
      template: {
        metadata: { creationTimestamp: null, labels: { app: 'web' } },
        spec: { containers: [{ name: 'web', image: 'web:1', resources: {}, env: null }] },
      },
    })

    const { change } = await kube.cluster.apply(key, manifest)

    expect(change).toBe('created')
  })

  test('removes what left the manifest and keeps what others set', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')
    await kube.cluster.apply(key, configMap('settings', { a: '1', b: '2' }))
    await kube.cluster.patch(key, { data: { foreign: 'x' } })

    const { object } = await kube.cluster.apply(key, configMap('settings', { a: '1' }))

    expect(object['data']).toEqual({ a: '1', foreign: 'x' })
  })

  test('takes a field back that somebody else has changed', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')
    await kube.cluster.apply(key, configMap('settings', { a: '1' }))
    await kube.cluster.patch(key, { data: { a: 'changed' } })

    const { object } = await kube.cluster.apply(key, configMap('settings', { a: '1' }))

    expect(object['data']).toEqual({ a: '1' })
    expect(owners(object)).toEqual(['fluxd Apply'])
  })

  test('of a Secret owns the data that stringData becomes', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'Secret', namespace, 'keys')
    const secret = (stringData: JsonObject): JsonObject => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'keys' },
      data: { c: 'Yw==' },
      stringData,
    })
    await kube.cluster.apply(key, secret({ a: 'x', b: 'ü' }))

    const { object } = await kube.cluster.apply(key, secret({ b: 'ü' }))

    expect(object['data']).toEqual({ b: 'w7w=', c: 'Yw==' })
  })

  test('tried dry changes nothing', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')

    const { change } = await kube.cluster.apply(key, configMap('settings', { a: '1' }), { dryRun: true })

    expect(change).toBe('created')
    expect(await kube.cluster.get(key)).toBeUndefined()
  })

  test("hands on the server's warnings", async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'Endpoints', namespace, 'old')

    const { warnings } = await kube.cluster.apply(key, {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name: 'old' },
    })

    expect(warnings).toEqual([expect.stringContaining('Endpoints is deprecated')])
  })

  test('sends 64-bit integers with every digit', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('apps/v1', 'Deployment', namespace, 'web')
    const manifest = deployment('web', {
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          securityContext: { fsGroup: 9007199254740993n },
          containers: [{ name: 'web', image: 'web:1' }],
        },
      },
    })

    const refused = await kube.cluster.apply(key, manifest).catch((error: unknown) => error)

    expect(refused).toMatchObject({
      code: 'APPLY_INVALID',
      message: expect.stringContaining('9007199254740993'),
    })
  })
})

describe('after client-side apply', () => {
  /** What `kubectl apply` leaves behind. */
  async function createdByKubectl(
    plane: Parameters<typeof request>[0],
    namespace: string,
    manifest: JsonObject,
    manager: string,
  ) {
    const metadata = valueAt(manifest, 'metadata') as JsonObject
    await request(plane, 'POST', `/api/v1/namespaces/${namespace}/configmaps?fieldManager=${manager}`, {
      ...manifest,
      metadata: { ...metadata, annotations: { [lastApplied]: JSON.stringify(manifest) } },
    })
  }

  for (const manager of ['kubectl-client-side-apply', 'kubectl', 'before-first-apply']) {
    test(`the fields of ${manager} become ours, and what left Git is removed`, async ({
      plane,
      namespace,
    }) => {
      await createdByKubectl(plane, namespace, configMap('settings', { a: '1', gone: '1' }), manager)
      await using kube = await connect(plane.kubeconfig)
      const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')

      const { object, change } = await kube.cluster.apply(key, configMap('settings', { a: '1' }))

      expect(change).toBe('configured')
      expect(object['data']).toEqual({ a: '1' })
      expect(owners(object)).toEqual(['fluxd Apply'])
    })
  }

  test('two requests do when Git names every field', async ({ plane, namespace }) => {
    const manifest = configMap('settings', { a: '1' })
    await createdByKubectl(plane, namespace, manifest, 'kubectl-client-side-apply')
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')

    const { object } = await kube.cluster.apply(key, manifest)

    expect(owners(object)).toEqual(['fluxd Apply'])
    const path = `/api/v1/namespaces/${namespace}/configmaps/settings`
    await expect.poll(() => requestsTo(plane, path)).toEqual(['patch 200', 'patch 200'])
  })

  test('it happens again when somebody uses kubectl later', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')
    await kube.cluster.apply(key, configMap('settings', { a: '1' }))
    await request(
      plane,
      'PATCH',
      `/api/v1/namespaces/${namespace}/configmaps/settings?fieldManager=kubectl-client-side-apply`,
      { data: { extra: '1' } },
      { 'content-type': 'application/merge-patch+json' },
    )

    const { object } = await kube.cluster.apply(key, configMap('settings', { a: '1' }))

    expect(object['data']).toEqual({ a: '1' })
    expect(owners(object)).toEqual(['fluxd Apply'])
  })

  test('the annotation says what kubectl would have written', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')
    const manifest = {
      kind: 'ConfigMap',
      data: { html: '<b>&', n: '1' },
      apiVersion: 'v1',
      metadata: { name: 'settings', namespace },
    }

    const { object } = await kube.cluster.apply(key, manifest)

    expect(valueAt(object, 'metadata', 'annotations', lastApplied)).toBe(
      `{"apiVersion":"v1","data":{"html":"\\u003cb\\u003e\\u0026","n":"1"},"kind":"ConfigMap",` +
        `"metadata":{"annotations":{},"name":"settings","namespace":"${namespace}"}}\n`,
    )
  })

  test('an object too large for the annotation is applied without', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'large')
    await kube.cluster.apply(key, configMap('large', { a: 'small' }))

    const { object } = await kube.cluster.apply(key, configMap('large', { a: 'x'.repeat(300_000) }))

    expect(valueAt(object, 'metadata', 'annotations')).toBeUndefined()
  })
})

describe('a shape that server-side apply refuses', () => {
  const twice = [
    { name: 'A', value: '1' },
    { name: 'A', value: '2' },
  ]
  const envOf = (object: JsonObject | undefined) =>
    valueAt(object, 'spec', 'template', 'spec', 'containers', 0, 'env')

  test('is merged three-way, with a warning that names the file and the path', async ({
    plane,
    namespace,
  }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('apps/v1', 'Deployment', namespace, 'web')
    const manifest = deployment('web', { env: twice, replicas: 2 })

    const created = await kube.cluster.apply(key, manifest, { source: 'deploy/web.yaml' })
    // its controller writes to a new Deployment too
    await vi.waitFor(
      async () => expect(valueAt(await kube.cluster.get(key), 'status', 'availableReplicas')).toBe(2),
      { timeout: 20_000, interval: 100 },
    )
    const unchanged = await kube.cluster.apply(key, manifest, { source: 'deploy/web.yaml' })

    expect(created).toMatchObject({ change: 'created' })
    expect(envOf(created.object)).toEqual(twice)
    expect(created.warnings[0]).toBe(
      'deploy/web.yaml: .spec.template.spec.containers[name="web"].env: duplicate entries for key [name="A"]: ' +
        'applied by three-way merge, which keeps both',
    )
    expect(unchanged.change).toBe('unchanged')
  })

  test('loses what left the manifest, and keeps what others set', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('apps/v1', 'Deployment', namespace, 'web')
    await kube.cluster.apply(key, deployment('web', { env: twice, minReadySeconds: 5 }))
    await kube.cluster.patch(key, { metadata: { labels: { foreign: 'x' } } })

    const { object, change } = await kube.cluster.apply(key, deployment('web', { env: twice, replicas: 3 }))

    expect(change).toBe('configured')
    expect(object).toMatchObject({ metadata: { labels: { foreign: 'x' } }, spec: { replicas: 3 } })
    expect(valueAt(object, 'spec', 'minReadySeconds')).toBeUndefined()
  })

  test('goes back to server-side apply once it is mended', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('apps/v1', 'Deployment', namespace, 'web')
    await kube.cluster.apply(key, deployment('web'))
    await kube.cluster.apply(key, deployment('web', { env: twice, minReadySeconds: 5 }))

    const { object, warnings } = await kube.cluster.apply(key, deployment('web', { env: twice.slice(1) }))

    expect(envOf(object)).toEqual(twice.slice(1))
    expect(valueAt(object, 'spec', 'minReadySeconds')).toBeUndefined()
    expect(owners(object).filter((owner) => owner.startsWith('fluxd'))).toEqual(['fluxd Apply'])
    expect(warnings).toEqual([])
  })
})

describe('a refusal', () => {
  const container = (fields: JsonObject) => ({
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'web', image: 'web:1', ...fields }] },
    },
  })
  const cases: { name: string; spec: JsonObject; code: string; why: RegExp }[] = [
    {
      name: 'a value out of range',
      spec: { replicas: -1 },
      code: 'APPLY_INVALID',
      why: /At fault: spec\.replicas/,
    },
    {
      name: 'an unknown field',
      spec: { replica: 3 },
      code: 'APPLY_INVALID',
      why: /At fault: \.spec\.replica\b/,
    },
    {
      name: 'a value of another type',
      spec: { replicas: 'three' },
      code: 'APPLY_INVALID',
      why: /At fault: \.spec\.replicas/,
    },
    {
      name: 'a number where a text belongs',
      spec: container({ env: [{ name: 'A', value: 1 }] }),
      code: 'APPLY_INVALID',
      why: /At fault: \.spec\.template\.spec\.containers\[name="web"\]\.env\[name="A"\]\.value/,
    },
    {
      name: 'a missing value',
      spec: container({ image: '' }),
      code: 'APPLY_INVALID',
      why: /At fault: spec\.template\.spec\.containers\[0\]\.image/,
    },
    {
      name: 'a fixed value',
      spec: { selector: { matchLabels: { app: 'other' } } },
      code: 'APPLY_IMMUTABLE',
      why: /At fault: .*spec\.selector/,
    },
  ]

  for (const { name, spec, code, why } of cases) {
    test(`of ${name} names the field`, async ({ plane, namespace }) => {
      await using kube = await connect(plane.kubeconfig)
      const key = await kube.key('apps/v1', 'Deployment', namespace, 'web')
      await kube.cluster.apply(key, deployment('web'))

      const error = await kube.cluster.apply(key, deployment('web', spec)).catch((error: unknown) => error)

      expect(error).toBeInstanceOf(FluxError)
      expect(error).toMatchObject({ code, why: expect.stringMatching(why) })
    })
  }

  const badSecrets: { name: string; fields: JsonObject; says: RegExp }[] = [
    {
      name: 'a number',
      fields: { stringData: { pin: 987654321 } },
      says: /\.stringData\.pin: expected string, got \*\*\*$/,
    },
    {
      name: 'a list',
      fields: { data: { a: ['hunter2\n  .b: 987654321'] } },
      says: /\.data\.a: expected string, got \*\*\*$/,
    },
    { name: 'plain text as data', fields: { data: 'hunter2' }, says: /\.data: expected map, got \*\*\*$/ },
    { name: 'data that is not base64', fields: { data: { a: 'hunter2!' } }, says: /illegal base64 data/ },
  ]

  for (const { name, fields, says } of badSecrets) {
    test(`of a Secret with ${name} does not tell its values`, async ({ plane, namespace }) => {
      await using kube = await connect(plane.kubeconfig)
      const key = await kube.key('v1', 'Secret', namespace, 'pin')
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'pin' }, ...fields }

      const error = await kube.cluster.apply(key, secret).catch((error: unknown) => error)

      expect(error).toMatchObject({ code: 'APPLY_INVALID', message: expect.stringMatching(says) })
      expect(error).toMatchObject({ help: expect.not.stringMatching(/hunter2|987654321/) })
    })
  }

  test('for want of a namespace names it', async ({ plane }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', 'nowhere', 'settings')

    const error = await kube.cluster.apply(key, configMap('settings', {})).catch((error: unknown) => error)

    expect(error).toMatchObject({
      code: 'APPLY_NAMESPACE_MISSING',
      message: 'namespaces "nowhere" not found',
      next: expect.stringContaining('Namespace nowhere'),
    })
  })

  test('of a kind that is not served any more says so', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const { type } = await kube.key('v1', 'ConfigMap', namespace, 'x')
    const key = { type: { ...type, group: 'gone.example.com', plural: 'things' }, namespace, name: 'x' }

    const error = await kube.cluster.apply(key, { metadata: { name: 'x' } }).catch((error: unknown) => error)

    expect(error).toMatchObject({ code: 'APPLY_KIND_UNKNOWN' })
  })

  test('of an object that is too large says so', async ({ plane, namespace }) => {
    await using kube = await connect(plane.kubeconfig)
    const key = await kube.key('v1', 'ConfigMap', namespace, 'large')

    for (const size of [2_000_000, 4_000_000]) {
      const apply = kube.cluster.apply(key, configMap('large', { a: 'x'.repeat(size) }))
      await expect(apply).rejects.toMatchObject({ code: 'APPLY_TOO_LARGE' })
    }
  })

  test('by a policy of the cluster says so', async ({ plane, namespace, skip }) => {
    skip(planeKind === 'playground', realOnly('the embedded one has no admission policies'))
    await using kube = await connect(plane.kubeconfig)
    const policies = '/apis/admissionregistration.k8s.io/v1'
    const name = `deny-${namespace}`
    await request(plane, 'POST', `${policies}/validatingadmissionpolicies`, {
      metadata: { name },
      spec: {
        matchConstraints: {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
          resourceRules: [
            { apiGroups: [''], apiVersions: ['v1'], operations: ['*'], resources: ['configmaps'] },
          ],
        },
        validations: [{ expression: "!has(object.data) || !('evil' in object.data)", message: 'no evil' }],
      },
    })
    await request(plane, 'POST', `${policies}/validatingadmissionpolicybindings`, {
      metadata: { name },
      spec: { policyName: name, validationActions: ['Deny'] },
    })
    const key = await kube.key('v1', 'ConfigMap', namespace, 'settings')

    await expect
      .poll(() =>
        kube.cluster.apply(key, configMap('settings', { evil: '1' })).catch((error: unknown) => error),
      )
      .toMatchObject({ code: 'APPLY_DENIED', message: expect.stringContaining('no evil') })
  })

  test('for want of rights names the user, the verb and the resource', async ({ plane, namespace }) => {
    const account = `/api/v1/namespaces/${namespace}/serviceaccounts`
    await request(plane, 'POST', account, { metadata: { name: 'nobody' } })
    const { body } = await request(plane, 'POST', `${account}/nobody/token`, { spec: {} })
    const token = String(valueAt(body as JsonObject, 'status', 'token'))
    const folder = await mkdtemp(join(tmpdir(), 'kubeconfig-'))
    const kubeconfig = join(folder, 'config')
    await writeFile(kubeconfig, kubeconfigFor({ ...plane, token }))
    await using kube = await connect(kubeconfig)
    const key = await kube.key('apps/v1', 'Deployment', namespace, 'web')
    await rm(folder, { recursive: true })

    const applied = await kube.cluster.apply(key, deployment('web')).catch((error: unknown) => error)
    const listed = await kube.cluster.list(key.type).catch((error: unknown) => error)

    expect(applied).toMatchObject({
      code: 'CLUSTER_FORBIDDEN',
      why: `system:serviceaccount:${namespace}:nobody may not patch deployments.apps in namespace ${namespace}.`,
      next: expect.stringContaining('"patch" on deployments.apps by a Role'),
    })
    expect(listed).toMatchObject({ code: 'CLUSTER_FORBIDDEN', next: expect.stringContaining('ClusterRole') })
  })
})
