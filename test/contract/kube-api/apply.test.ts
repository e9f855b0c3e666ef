import { configMap, definition, deployment } from './objects.ts'
import { type Answer, applyPatch, mergePatch, test } from './script.ts'

const maps = '/api/v1/namespaces/$NS/configmaps'
const deployments = '/apis/apps/v1/namespaces/$NS/deployments'
/** They write when they come to it. */
const withoutControllers = (managedFields: Answer[] = []) =>
  managedFields.filter(({ manager }) => manager !== 'kube-controller-manager')
const fields = { type: applyPatch, show: (body: Answer) => shown(body) }
const shown = (body: Answer) =>
  body.metadata?.uid
    ? [
        { managedFields: withoutControllers(body.metadata.managedFields) },
        ...Object.entries(body).filter(([key]) => ['data', 'spec'].includes(key)),
        body.metadata.resourceVersion && {
          metadata: {
            uid: body.metadata.uid,
            resourceVersion: body.metadata.resourceVersion,
            labels: body.metadata.labels,
          },
        },
      ]
    : body

test('an object is made, changed and given up by applying', async ({ script }) => {
  const apply = (body: unknown, query = 'fieldManager=one') =>
    script.request('PATCH', `${maps}/a?${query}`, body, fields)
  await apply(configMap('a', { a: '1', b: '2' }))
  script.note('the same again')
  await apply(configMap('a', { a: '1', b: '2' }))
  script.note('a field less')
  await apply(configMap('a', { a: '1' }))
  script.note('a second manager with the same value shares the field')
  await apply(configMap('a', { a: '1', c: '3' }), 'fieldManager=two')
  script.note('and then has another value')
  await apply(configMap('a', { a: '2', c: '3' }), 'fieldManager=two')
  await apply(configMap('a', { a: '2', c: '3' }), 'fieldManager=two&force=true')
  script.note('the first one gives up everything')
  await apply(configMap('a', {}))
  await apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', labels: { x: 'y' } } })
})

test('what applying can not do', async ({ script }) => {
  const apply = (body: unknown, query = 'fieldManager=one', path = 'a') =>
    script.request('PATCH', `${maps}/${path}?${query}`, body, fields)
  await apply(configMap('a'), '')
  await apply(configMap('b'))
  await apply({ kind: 'ConfigMap', metadata: { name: 'a' } })
  await apply({ apiVersion: 'v1', metadata: { name: 'a' } })
  await apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } })
  await apply({ ...configMap('a'), unknown: 1 })
  await apply({ ...configMap('a'), unknown: 1 }, 'fieldManager=one&fieldValidation=Strict')
  await apply({ ...configMap('a'), unknown: 1 }, 'fieldManager=one&fieldValidation=Warn')
  await apply({ ...configMap('a'), data: { a: 1 } })
  await apply({ ...configMap('a'), data: 'x' })
  await apply(configMap('a', {}, { managedFields: [] }))
  await apply(configMap('a', {}, { managedFields: [{ manager: 'x' }] }))
  await apply('a: [')
  await apply(configMap('a'), 'fieldManager=one&force=maybe')
  await apply(configMap('a'), `fieldManager=${'x'.repeat(129)}`)
  await apply(configMap('a', {}, { resourceVersion: '1' }), 'fieldManager=one', 'a')
  await apply(configMap('nobody', {}, { resourceVersion: '1' }), 'fieldManager=one', 'nobody')
  await apply(configMap('nobody', {}, { uid: 'x' }), 'fieldManager=one', 'nobody')
  await apply(configMap('a', {}, { namespace: 'default' }))
  await script.request('PATCH', `${maps}/a?fieldManager=one&force=true`, {}, { type: mergePatch })
})

test('those who update own what they change', async ({ script }) => {
  const agent = { headers: { 'user-agent': 'tool/v1.2 (linux)' }, show: shown }
  await script.request('POST', maps, configMap('a', { a: '1', b: '2' }), agent)
  await script.request(
    'PATCH',
    `${maps}/a?fieldManager=patcher`,
    { data: { b: '3' } },
    { type: mergePatch, show: shown },
  )
  await script.request('PATCH', `${maps}/a?fieldManager=one`, configMap('a', { a: '9', b: '9' }), fields)
  await script.request('PATCH', `${maps}/a?fieldManager=one&force=true`, configMap('a', { a: '9' }), fields)
  await script.request('PUT', `${maps}/a?fieldManager=putter`, configMap('a', { z: '1' }), { show: shown })
  script.note('managed fields may be thrown away as a whole')
  await script.request(
    'PATCH',
    `${maps}/a`,
    { metadata: { managedFields: [{}] } },
    { type: mergePatch, show: shown },
  )
  await script.request('PATCH', `${maps}/a?fieldManager=one`, configMap('a', { y: '1' }), fields)
})

test('a Deployment is applied, and others change it', async ({ script }) => {
  const apply = (body: unknown, query = 'fieldManager=one') =>
    script.request('PATCH', `${deployments}/web?${query}`, body, fields)
  const env = [
    { name: 'A', value: '1' },
    { name: 'B', value: '2' },
  ]
  const web = (spec: object = {}, container: object = {}) =>
    deployment('web', { replicas: 0, ...spec }, { env, ports: [{ containerPort: 80 }], ...container })
  await apply(web())
  script.note('an image is set by somebody else')
  await script.request(
    'PATCH',
    `${deployments}/web?fieldManager=other`,
    { spec: { template: { spec: { containers: [{ name: 'web', image: 'example/web:2' }] } } } },
    { type: 'application/strategic-merge-patch+json', show: shown },
  )
  await apply(web())
  await apply(web({}, { env: env.slice(1) }), 'fieldManager=one&force=true')
  script.note('a container beside it from a second manager')
  await apply(
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: { template: { spec: { containers: [{ name: 'side', image: 'example/side:1' }] } } },
    },
    'fieldManager=two',
  )
  await apply(web(), 'fieldManager=one')
  await apply(web({ replicas: 3 }), 'fieldManager=three')
  script.note('the same name twice, and a key that is missing')
  await apply(web({}, { env: [...env, { name: 'A', value: '3' }] }))
  await apply(web({}, { env: [{ value: '3' }] }))
  await apply(web({}, { ports: [{ name: 'x' }] }))
})

test('scale has its own managed fields', async ({ script }) => {
  await script.quietly('PATCH', `${deployments}/web?fieldManager=one`, deployment('web', { replicas: 0 }), {
    type: applyPatch,
  })
  await script.quietly(
    'PATCH',
    `${deployments}/web/scale?fieldManager=scaler`,
    { spec: { replicas: 0 } },
    { type: mergePatch },
  )
  const scale = {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name: 'web' },
    spec: { replicas: 1 },
  }
  const wide = { type: applyPatch, show: ({ metadata: _, ...body }: Answer) => body }
  await script.request('PATCH', `${deployments}/web/scale?fieldManager=scaler`, scale, wide)
  await script.request(
    'PATCH',
    `${deployments}/web/scale?fieldManager=scaler&force=true`,
    { ...scale, spec: { replicas: 0 } },
    wide,
  )
  await script.request('GET', `${deployments}/web`, undefined, {
    show: (body) => ({
      managedFields: withoutControllers(body.metadata.managedFields),
    }),
  })
})

test('custom objects are applied by their structural schema', async ({ script }) => {
  await script.quietly('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition('apply'))
  const path = '/apis/apply.$NS.example.com/v1/namespaces/$NS/widgets'
  await script.until(path, (_, status) => status === 200)
  const widget = (spec: object) => ({
    apiVersion: 'apply.$NS.example.com/v1',
    kind: 'Widget',
    metadata: { name: 'w' },
    spec,
  })
  const apply = (spec: object, query = 'fieldManager=one') =>
    script.request('PATCH', `${path}/w?${query}`, widget(spec), fields)
  await apply({
    size: 1,
    tags: ['b', 'a'],
    parts: [{ name: 'x', count: 2 }],
    anything: { deep: [1] },
    port: 'http',
  })
  await apply({ size: 1, tags: ['c'], parts: [{ name: 'y' }] }, 'fieldManager=two')
  await apply({ size: 2, parts: [{ name: 'x', count: 3 }] }, 'fieldManager=two')
  await apply({ size: 1, tags: ['a'], parts: [] })
  await apply({ size: 1, unknown: 1 })
  await apply({ size: 1, unknown: 1 }, 'fieldManager=one&fieldValidation=Strict')
  await apply({ size: 11 })
  await apply({ size: 'x' })
  await apply({ size: 1, parts: [{ name: 'x' }, { name: 'x' }] })
  await apply({ size: 1, tags: ['a', 'a'] })
  await script.request(
    'PATCH',
    `${path}/w/status?fieldManager=one`,
    { ...widget({ size: 1 }), status: { phase: 'Done' } },
    {
      type: applyPatch,
      show: (body) => [{ managedFields: body.metadata.managedFields }, body.status],
    },
  )
  await script.quietly(
    'DELETE',
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.apply.$NS.example.com',
  )
})

test('dry runs of applying', async ({ script }) => {
  await script.request('PATCH', `${maps}/a?fieldManager=one&dryRun=All`, configMap('a'), fields)
  await script.request('GET', `${maps}/a`)
})
