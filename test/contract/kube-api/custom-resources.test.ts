import { definition } from './objects.ts'
import { type Answer, jsonPatch, mergePatch, type Script, strategicPatch, test } from './script.ts'

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

async function serve(script: Script, group: string, object = definition(group)) {
  await script.quietly('POST', definitions, object)
  const path = `/apis/${group}.$NS.example.com/v1/namespaces/$NS/widgets`
  await script.until(path, (_, status) => status === 200)
  const widget = (spec: Answer, name = 'w'): Answer => ({
    apiVersion: `${group}.$NS.example.com/v1`,
    kind: 'Widget',
    metadata: { name },
    spec,
  })
  const remove = () => script.quietly('DELETE', `${definitions}/widgets.${group}.$NS.example.com`)
  return { path, widget, remove }
}

test('a definition is made, established and taken away', async ({ script }) => {
  await script.request('POST', definitions, definition('made'), {
    show: ({ spec: _, status: __, ...body }) => body,
  })
  const name = 'widgets.made.$NS.example.com'
  const established = (body: Answer) =>
    body.status.conditions?.some(({ type, status }: Answer) => type === 'Established' && status === 'True')
  await script.until(`${definitions}/${name}`, established)
  await script.request('GET', `${definitions}/${name}`)
  await script.request('POST', definitions, definition('made'))
  const path = '/apis/made.$NS.example.com/v1/namespaces/$NS/widgets'
  await script.until(path, (_, status) => status === 200)
  await script.quietly('POST', path, {
    apiVersion: 'made.$NS.example.com/v1',
    kind: 'Widget',
    metadata: { name: 'w' },
    spec: { size: 1 },
  })
  await script.request('DELETE', `${definitions}/${name}`, undefined, {
    show: ({ kind, status, metadata, details }) => ({
      kind,
      status: typeof status,
      details,
      finalizers: metadata?.finalizers,
    }),
  })
  await script.until(`${definitions}/${name}`, (_, status) => status === 404)
  await script.until(path, (_, status) => status === 404)
  await script.request('GET', path)
})

test.for([
  {
    what: 'a name that is not plural and group',
    object: { ...definition('x'), metadata: { name: 'other.x.$NS.example.com' } },
  },
  { what: 'no schema', object: definition('x', { versions: [{ name: 'v1', served: true, storage: true }] }) },
  {
    what: 'no stored version',
    object: definition('x', {
      versions: [
        { name: 'v1', served: true, storage: false, schema: { openAPIV3Schema: { type: 'object' } } },
      ],
    }),
  },
  {
    what: 'a schema without types',
    object: definition('x', {
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec: { properties: {} } } } },
        },
      ],
    }),
  },
  { what: 'a wrong scope', object: definition('x', { scope: 'Everywhere' }) },
  { what: 'a name in capitals', object: definition('x', { names: { plural: 'Widgets', kind: 'Widget' } }) },
  {
    what: 'a default that does not fit',
    object: definition('x', {
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: { type: 'object', properties: { a: { type: 'integer', default: 'x' } } },
          },
        },
      ],
    }),
  },
])('a definition with $what', async ({ object }, { script }) => {
  await script.request('POST', definitions, object)
})

test('objects are checked, pruned and filled in by their schema', async ({ script }) => {
  const { path, widget, remove } = await serve(script, 'checked')
  const post = (spec: Answer, query = '') => script.request('POST', `${path}${query}`, widget(spec))
  await post({
    size: 3,
    unknown: 1,
    parts: [{ name: 'a' }, { name: 'b', count: 2, unknown: 2 }],
    anything: { goes: [1, { here: null }] },
    port: 80,
    when: '2024-01-01T00:00:00Z',
    maybe: null,
  })
  await script.request('GET', path)
  await post({ size: 3, unknown: 1 }, '?fieldValidation=Strict')
  await post({ size: 3, unknown: 1, parts: [{ name: 'a', odd: 1 }] }, '?fieldValidation=Warn&dryRun=All')
  await post({})
  await post({ size: 0 })
  await post({ size: 11 })
  await post({ size: 1.5 })
  await post({ size: 'three' })
  await post({ size: 3, color: 'blue' })
  await post({ size: 3, tags: ['a', 'a'] })
  await post({ size: 3, parts: [{ name: 'a' }, { name: 'a' }] })
  await post({ size: 3, parts: [{ count: 1 }] })
  await post({ size: 3, port: true })
  await post({ size: 3, when: 'tomorrow' })
  await post({ size: 3, label: 'UPPER' })
  await post({ size: 3, label: 'toolong' })
  await post({ size: 3, replicas: null, color: null })
  await script.request('POST', path, { ...widget({ size: 1 }), metadata: { name: 'Upper' } })
  await script.request('POST', path, { ...widget({ size: 1 }), kind: 'Gadget' })
  await script.request('POST', path, { metadata: { name: 'bare' }, spec: { size: 1 } })
  await remove()
})

test('status and scale stand apart from spec', async ({ script }) => {
  const { path, widget, remove } = await serve(script, 'apart')
  await script.request('POST', path, { ...widget({ size: 1, replicas: 2 }), status: { replicas: 9 } })
  const { body } = await script.quietly('GET', `${path}/w`)
  await script.request('PUT', `${path}/w/status`, {
    ...body,
    spec: { size: 7 },
    status: { replicas: 2, phase: 'Done', odd: 1 },
  })
  await script.request(
    'PATCH',
    `${path}/w`,
    { status: { phase: 'Other' }, spec: { size: 2 } },
    { type: mergePatch },
  )
  await script.request(
    'PATCH',
    `${path}/w/status`,
    { status: { phase: 'Other' }, spec: { size: 3 } },
    { type: mergePatch },
  )
  await script.request('PATCH', `${path}/w/status`, { status: { phase: 1 } }, { type: mergePatch })
  await script.request('GET', `${path}/w/status`)
  await script.request('GET', `${path}/w/scale`)
  await script.request('PATCH', `${path}/w/scale`, { spec: { replicas: 5 } }, { type: mergePatch })
  await script.request('GET', `${path}/w`)
  await remove()
})

test('custom objects are patched, but not strategically', async ({ script }) => {
  const { path, widget, remove } = await serve(script, 'patched')
  await script.quietly('POST', path, widget({ size: 1, parts: [{ name: 'a' }] }))
  await script.request('PATCH', `${path}/w`, { spec: { parts: [{ name: 'b' }] } }, { type: mergePatch })
  await script.request('PATCH', `${path}/w`, [{ op: 'add', path: '/spec/size', value: 4 }], {
    type: jsonPatch,
  })
  await script.request('PATCH', `${path}/w`, { spec: { size: 5 } }, { type: strategicPatch })
  await script.request('PATCH', `${path}/w`, { spec: { size: 50 } }, { type: mergePatch })
  await script.request('PUT', `${path}/w`, widget({ size: 6 }))
  const { body } = await script.quietly('GET', `${path}/w`)
  await script.request('PUT', `${path}/w`, { ...body, spec: { size: 7 } })
  await script.request('DELETE', `${path}/w`)
  await remove()
})

test('tables and metadata of custom objects', async ({ script }) => {
  const { path, widget, remove } = await serve(script, 'tabled')
  await script.quietly('POST', path, widget({ size: 1 }, 'a'))
  await script.quietly('POST', path, widget({ size: 2 }, 'b'))
  const accept = (as: string) => ({ headers: { accept: `application/json;as=${as};v=v1;g=meta.k8s.io` } })
  await script.request('GET', path, undefined, accept('Table'))
  await script.request('GET', `${path}/a`, undefined, accept('Table'))
  await script.request('GET', path, undefined, accept('PartialObjectMetadataList'))
  await script.request('GET', `${path}/a`, undefined, accept('PartialObjectMetadata'))
  await remove()
})

test('a definition gets a second version', async ({ script }) => {
  const first = definition('grown')
  const { path, widget, remove } = await serve(script, 'grown', first)
  await script.quietly('POST', path, widget({ size: 1 }))
  const [version] = first.spec.versions
  const second = {
    ...first.spec,
    versions: [
      { ...version, storage: false },
      { ...version, name: 'v2' },
    ],
  }
  await script.quietly(
    'PATCH',
    `${definitions}/${first.metadata.name}`,
    { spec: second },
    { type: mergePatch },
  )
  const later = '/apis/grown.$NS.example.com/v2/namespaces/$NS/widgets'
  await script.until(later, (_, status) => status === 200)
  await script.request('GET', `${later}/w`)
  await script.request('GET', `${path}/w`)
  await script.request('GET', '/apis/grown.$NS.example.com')
  await script.request('GET', `${definitions}/${first.metadata.name}`, undefined, {
    show: ({ status }) => ({ storedVersions: status.storedVersions }),
  })
  await remove()
})

test('a kind for the whole cluster', async ({ script }) => {
  await script.quietly('POST', definitions, definition('wide', { scope: 'Cluster' }))
  const path = '/apis/wide.$NS.example.com/v1/widgets'
  await script.until(path, (_, status) => status === 200)
  await script.request('POST', path, {
    apiVersion: 'wide.$NS.example.com/v1',
    kind: 'Widget',
    metadata: { name: 'w', namespace: '$NS' },
    spec: { size: 1 },
  })
  await script.request('POST', path, {
    apiVersion: 'wide.$NS.example.com/v1',
    kind: 'Widget',
    metadata: { name: 'w' },
    spec: { size: 1 },
  })
  await script.request('GET', '/apis/wide.$NS.example.com/v1/namespaces/$NS/widgets')
  await script.quietly('DELETE', `${definitions}/widgets.wide.$NS.example.com`)
})
