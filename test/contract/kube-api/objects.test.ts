import { configMap } from './objects.ts'
import { type Answer, mergePatch, test } from './script.ts'

const maps = '/api/v1/namespaces/$NS/configmaps'

const names = (list: Answer) => ({
  metadata: list.metadata,
  names: list.items.map((item: Answer) => item.metadata.name),
})

test('an object is created, read, replaced and deleted', async ({ script }) => {
  await script.request('POST', maps, configMap('one'))
  await script.request('POST', maps, configMap('one'))
  await script.request('GET', `${maps}/one`)
  const { body } = await script.quietly('GET', `${maps}/one`)
  await script.request('PUT', `${maps}/one`, configMap('one', { a: '2' }))
  script.note('a replacement that changes nothing leaves the version as it is')
  await script.request('PUT', `${maps}/one`, configMap('one', { a: '2' }))
  script.note('over an old version')
  await script.request(
    'PUT',
    `${maps}/one`,
    {
      ...configMap('one', { a: '3' }, { resourceVersion: body.metadata.resourceVersion }),
    },
    {
      show: ({ code, reason, message, details }) => ({ code, reason, message, details }),
    },
  )
  await script.request('PUT', `${maps}/one`, configMap('two'))
  await script.request('PUT', `${maps}/missing`, configMap('missing', {}, { resourceVersion: '1' }))
  await script.request('PUT', `${maps}/missing`, configMap('missing', {}, { uid: 'abc' }))
  await script.request('PUT', `${maps}/made-by-put`, configMap('made-by-put'))
  await script.request('DELETE', `${maps}/one`)
  await script.request('GET', `${maps}/one`)
  await script.request('DELETE', `${maps}/one`)
})

test('kind, version and namespace may be left out, but not be wrong', async ({ script }) => {
  await script.request('POST', maps, { metadata: { name: 'bare' } })
  await script.request('POST', maps, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'secret' } })
  await script.request('POST', maps, { apiVersion: 'v2', kind: 'ConfigMap', metadata: { name: 'later' } })
  await script.request('POST', maps, configMap('elsewhere', {}, { namespace: 'default' }))
  await script.request('POST', maps, configMap('here', {}, { namespace: '$NS' }))
  await script.request('POST', '/api/v1/namespaces/no-such-namespace/configmaps', configMap('lost'))
  await script.request('POST', maps, '{"apiVersion":')
  await script.request('POST', maps, 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\n', {
    type: 'application/yaml',
  })
  await script.request('POST', maps, 'x', { type: 'text/plain' })
  await script.request('POST', maps)
})

test.for([
  { what: 'no name', metadata: {} },
  { what: 'capitals', metadata: { name: 'Upper' } },
  { what: 'a name too long', metadata: { name: 'x'.repeat(254) } },
  { what: 'a slash', metadata: { name: 'a/b' } },
  { what: 'a wrong label', metadata: { name: 'label', labels: { 'a b': 'c' } } },
  { what: 'a wrong value of a label', metadata: { name: 'label', labels: { d: 'e f' } } },
  { what: 'a wrong annotation', metadata: { name: 'annotation', annotations: { 'a b': 'c' } } },
  { what: 'a version', metadata: { name: 'version', resourceVersion: '12' } },
  { what: 'a finalizer without a domain', metadata: { name: 'finalizer', finalizers: ['nodomain'] } },
  {
    what: 'an owner without uid',
    metadata: { name: 'owner', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'x' }] },
  },
  {
    what: 'a uid of its own',
    metadata: { name: 'uid', uid: '12', creationTimestamp: '2020-01-01T00:00:00Z', generation: 4 },
  },
])('metadata with $what', async ({ metadata }, { script }) => {
  await script.request('POST', maps, { apiVersion: 'v1', kind: 'ConfigMap', metadata })
})

test('names are made up from generateName', async ({ script }) => {
  const { body } = await script.request('POST', maps, { metadata: { generateName: 'made-' } })
  if (!/^made-[a-z0-9]{5}$/.test(body.metadata.name)) throw new Error(body.metadata.name)
  await script.request('POST', maps, { metadata: { name: 'given', generateName: 'made-' } })
})

test('with dryRun nothing is kept', async ({ script }) => {
  await script.request('POST', `${maps}?dryRun=All`, configMap('dry'))
  await script.request('GET', `${maps}/dry`)
  await script.request('POST', `${maps}?dryRun=Some`, configMap('dry'))
  await script.quietly('POST', maps, configMap('wet'))
  await script.request('PATCH', `${maps}/wet?dryRun=All`, { data: { b: '2' } }, { type: mergePatch })
  await script.request('PUT', `${maps}/wet?dryRun=All`, configMap('wet', { c: '3' }))
  await script.request('DELETE', `${maps}/wet?dryRun=All`)
  await script.request('GET', `${maps}/wet`)
})

test('lists are narrowed by labels and fields', async ({ script }) => {
  const labels = (app: string, extra: object = {}) => ({ labels: { app, ...extra } })
  await script.quietly('POST', maps, configMap('a', {}, labels('web', { tier: 'front' })))
  await script.quietly('POST', maps, configMap('b', {}, labels('web')))
  await script.quietly('POST', maps, configMap('c', {}, labels('db', { tier: 'back' })))
  await script.quietly('POST', maps, configMap('d'))
  await script.request('GET', `${maps}?labelSelector=app%3Dweb`)
  for (const selector of [
    'app==web,tier',
    'app!=web',
    '!app',
    'app in (web,db),tier notin (front)',
    'tier',
    'app in (web',
    'app=web,,',
    'a b=c',
    '=x',
  ]) {
    await script.request(
      'GET',
      `${maps}?labelSelector=${encodeURIComponent(selector).replace('%24NS', '$NS')}`,
      undefined,
      {
        show: (body) => (body.items ? names(body).names : body),
      },
    )
  }
  for (const selector of [
    'metadata.name=b',
    'metadata.name!=b',
    'metadata.namespace=$NS',
    'data.a=1',
    'metadata.name',
  ]) {
    await script.request(
      'GET',
      `${maps}?fieldSelector=${encodeURIComponent(selector).replace('%24NS', '$NS')}`,
      undefined,
      {
        show: (body) => (body.items ? names(body).names : body),
      },
    )
  }
})

test('long lists come in pages', async ({ script }) => {
  for (const name of ['a', 'b', 'c', 'd', 'e']) await script.quietly('POST', maps, configMap(name))
  const noRoot = (list: Answer) =>
    list.items ? { ...list, items: list.items.map((item: Answer) => item.metadata.name) } : list
  const first = await script.request('GET', `${maps}?limit=2`, undefined, { show: noRoot })
  script.note('the second page, after a deletion and a creation: still the old list')
  await script.quietly('DELETE', `${maps}/d`)
  await script.quietly('POST', maps, configMap('c2'))
  const next = (body: Answer) => `${maps}?limit=2&continue=${encodeURIComponent(body.metadata.continue)}`
  const masked = { show: noRoot }
  const second = await script.quietly('GET', next(first.body))
  script.note(JSON.stringify(noRoot(second.body).items))
  const third = await script.quietly('GET', next(second.body))
  script.note(
    JSON.stringify({
      items: noRoot(third.body).items,
      ...('continue' in third.body.metadata && { more: true }),
    }),
  )
  await script.request('GET', `${maps}?limit=2&continue=nonsense`, undefined, {
    show: ({ reason, code }) => ({ reason, code }),
  })
  await script.request('GET', `${maps}?limit=nonsense`, undefined, masked)
  await script.request('GET', `${maps}?limit=2&resourceVersion=0`, undefined, masked)
  await script.request('GET', `${maps}?resourceVersion=nonsense`, undefined, masked)
  await script.request('GET', `${maps}?resourceVersion=99999999&timeoutSeconds=1`, undefined, {
    show: ({ reason, code, message }) => ({
      reason,
      code,
      message: message.replace(/current: \d+/, 'current: <rv>'),
    }),
  })
  await script.request('GET', `${maps}?limit=2&labelSelector=x&resourceVersionMatch=Exact`, undefined, masked)
})

test('a collection is deleted by labels', async ({ script }) => {
  await script.quietly('POST', maps, configMap('a', {}, { labels: { app: 'web' } }))
  await script.quietly('POST', maps, configMap('b', {}, { labels: { app: 'web' } }))
  await script.quietly('POST', maps, configMap('c'))
  await script.request('DELETE', `${maps}?labelSelector=app%3Dweb`)
  await script.request('GET', maps, undefined, { show: names })
})

test('a deletion may be for one version or uid only', async ({ script }) => {
  const { body } = await script.quietly('POST', maps, configMap('a'))
  const options = { apiVersion: 'v1', kind: 'DeleteOptions' }
  const { uid } = body.metadata
  await script.request(
    'DELETE',
    `${maps}/a`,
    { ...options, preconditions: { uid: 'another' } },
    {
      show: (status) => ({ ...status, message: status.message.replace(uid, 'UID') }),
    },
  )
  await script.quietly('DELETE', `${maps}/a`, { ...options, preconditions: { uid } })
  await script.request('GET', `${maps}/a`)
})

test('immutable data can not be changed', async ({ script }) => {
  await script.quietly('POST', maps, { ...configMap('fixed'), immutable: true })
  await script.request('PUT', `${maps}/fixed`, { ...configMap('fixed', { a: '2' }), immutable: true })
  await script.request('PUT', `${maps}/fixed`, configMap('fixed'))
})

test('what is not served is not found', async ({ script }) => {
  await script.request('GET', '/api/v1/namespaces/$NS/nonsense')
  await script.request('GET', '/apis/nonsense.example.com/v1/things')
  await script.request('GET', '/apis/apps/v9/deployments')
  await script.request('GET', '/nonsense')
  await script.request('PATCH', `${maps}/nobody`, {}, { type: mergePatch })
  await script.request('PATCH', `${maps}/nobody`, {}, { type: 'application/nonsense' })
  await script.request('POST', `${maps}/one`, configMap('one'))
  await script.request('GET', `${maps}/one/status`)
  await script.request('GET', maps, undefined, { headers: { accept: 'application/nonsense' } })
})

test('the whole cluster is listed, in the order of namespaces and names', async ({ script }) => {
  await script.quietly('POST', maps, configMap('b', {}, { labels: { test: '$NS' } }))
  await script.quietly('POST', maps, configMap('a', {}, { labels: { test: '$NS' } }))
  await script.request('GET', '/api/v1/configmaps?labelSelector=test%3D$NS')
  await script.request('DELETE', '/api/v1/configmaps')
})

test('namespaces come with a label, a finalizer and a config map', async ({ script }) => {
  await script.request('GET', '/api/v1/namespaces/$NS')
  await script.until(`${maps}/kube-root-ca.crt`, (_, status) => status === 200)
  await script.request('GET', `${maps}/kube-root-ca.crt`, undefined, {
    show: ({ metadata, data }) => ({
      name: metadata.name,
      annotations: metadata.annotations,
      keys: Object.keys(data),
    }),
  })
  await script.until('/api/v1/namespaces/$NS/serviceaccounts/default', (_, status) => status === 200)
  await script.request('GET', '/api/v1/namespaces/$NS/serviceaccounts/default')
  await script.request('DELETE', '/api/v1/namespaces/default')
  await script.request('DELETE', '/api/v1/namespaces/kube-system')
})
