import { configMap, deployment } from './objects.ts'
import { jsonPatch, mergePatch, strategicPatch, test } from './script.ts'

const maps = '/api/v1/namespaces/$NS/configmaps'
const deployments = '/apis/apps/v1/namespaces/$NS/deployments'

test('a merge patch', async ({ script }) => {
  await script.quietly('POST', maps, configMap('a', { a: '1', b: '2' }))
  const patch = (body: unknown) => script.request('PATCH', `${maps}/a`, body, { type: mergePatch })
  await patch({ data: { a: null, c: '3' } })
  script.note('nothing changes')
  await patch({ data: { c: '3' } })
  await patch({ metadata: { labels: { x: 'y' }, annotations: { d: 'e' } } })
  await patch({ metadata: { name: 'other' } })
  await patch({ metadata: { namespace: 'other' } })
  await patch({ metadata: { resourceVersion: '1' } })
  await patch({ data: { a: 1 } })
  await patch({ data: 'text' })
  await patch({ metadata: { uid: 'abc' } })
  await patch('{')
  await patch('[]')
  await patch({ unknown: 1 })
})

test('a JSON patch', async ({ script }) => {
  await script.quietly('POST', maps, configMap('a', { a: '1', b: '2' }))
  const patch = (body: unknown) => script.request('PATCH', `${maps}/a`, body, { type: jsonPatch })
  await patch([
    { op: 'test', path: '/data/a', value: '1' },
    { op: 'replace', path: '/data/a', value: '10' },
    { op: 'add', path: '/data/x~1y', value: '3' },
    { op: 'remove', path: '/data/b' },
  ])
  await patch([
    { op: 'copy', from: '/data/a', path: '/data/c' },
    { op: 'move', from: '/data/c', path: '/data/d' },
  ])
  await patch([{ op: 'test', path: '/data/a', value: 'wrong' }])
  await patch([{ op: 'remove', path: '/data/missing' }])
  await patch([{ op: 'replace', path: '/data/missing', value: '1' }])
  await patch([{ op: 'add', path: '/nowhere/missing', value: '1' }])
  await patch([{ op: 'nonsense', path: '/data/a' }])
  await patch({ op: 'add' })
})

test('a strategic merge patch', async ({ script }) => {
  await script.quietly(
    'POST',
    deployments,
    deployment(
      'web',
      { replicas: 0 },
      {
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '2' },
        ],
        ports: [{ containerPort: 80 }],
        args: ['x'],
      },
    ),
  )
  const show = { type: strategicPatch, show: (body: { spec?: object }) => body.spec ?? body }
  const patch = (body: unknown) => script.request('PATCH', `${deployments}/web`, body, show)
  const containers = (list: unknown) => patch({ spec: { template: { spec: { containers: list } } } })
  script.note('lists are merged by their key')
  await containers([
    {
      name: 'web',
      env: [
        { name: 'B', value: '3' },
        { name: 'C', value: '4' },
      ],
      args: ['y'],
    },
  ])
  await containers([{ name: 'side', image: 'example/side:1' }])
  await containers([{ name: 'web', ports: [{ containerPort: 81, name: 'admin' }] }])
  await containers([{ name: 'side', $patch: 'delete' }])
  await containers([{ name: 'web', env: [{ name: 'A', $patch: 'delete' }] }])
  await containers([{ name: 'web', '$setElementOrder/env': [{ name: 'C' }, { name: 'B' }] }])
  await containers([{ name: 'web', env: [{ $patch: 'replace' }, { name: 'Z', value: '26' }] }])
  await patch({
    spec: { template: { spec: { $retainKeys: ['containers'], containers: [{ name: 'web' }] } } },
  })
  await patch({ spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } })
  await patch({ metadata: { finalizers: ['example.com/a'] } })
  await patch({ metadata: { finalizers: ['example.com/b'] } })
  await patch({ metadata: { '$deleteFromPrimitiveList/finalizers': ['example.com/a', 'example.com/b'] } })
  await patch({ spec: { template: { metadata: { labels: null } } } })
  await containers([{ image: 'nameless' }])
})

test('values that a patch may not bring', async ({ script }) => {
  await script.quietly('POST', deployments, deployment('web', { replicas: 0 }))
  const patch = (type: string, body: unknown) => script.request('PATCH', `${deployments}/web`, body, { type })
  await patch(mergePatch, { spec: { replicas: -1 } })
  await patch(mergePatch, { spec: { selector: { matchLabels: { app: 'other' } } } })
  await patch(strategicPatch, { spec: { template: { spec: { containers: [{ name: 'web', image: '' }] } } } })
  await patch(mergePatch, { spec: { template: { spec: { containers: [] } } } })
  await patch(jsonPatch, [{ op: 'replace', path: '/spec/replicas', value: 'x' }])
  script.note('a status is not written here')
  await script.request(
    'PATCH',
    `${deployments}/web`,
    { status: { replicas: 5 } },
    {
      type: mergePatch,
      show: ({ metadata, status }) => ({ generation: metadata.generation, replicas: status.replicas }),
    },
  )
})
