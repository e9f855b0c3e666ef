import { configMap, deployment } from './objects.ts'
import { type Answer, jsonPatch, mergePatch, test } from './script.ts'

const maps = '/api/v1/namespaces/$NS/configmaps'
const namespaces = '/api/v1/namespaces'
const gone = (_: Answer, status: number) => status === 404
const options = (propagationPolicy: string) => ({
  kind: 'DeleteOptions',
  apiVersion: 'v1',
  propagationPolicy,
})

test('finalizers hold an object back', async ({ script }) => {
  await script.quietly('POST', maps, configMap('a', {}, { finalizers: ['example.com/hold'] }))
  await script.request('DELETE', `${maps}/a`)
  await script.request('GET', `${maps}/a`)
  script.note('a second deletion, new finalizers, a creation beside it')
  await script.request('DELETE', `${maps}/a`)
  await script.request(
    'PATCH',
    `${maps}/a`,
    { metadata: { finalizers: ['example.com/hold', 'example.com/more'] } },
    { type: mergePatch },
  )
  await script.request('POST', maps, configMap('a'))
  await script.request('PATCH', `${maps}/a`, { data: { still: 'there' } }, { type: mergePatch })
  await script.watch(
    `${maps}?watch=1&fieldSelector=metadata.name%3Da`,
    (events) => events.some(({ type }) => type === 'DELETED'),
    () =>
      script.quietly('PATCH', `${maps}/a`, [{ op: 'remove', path: '/metadata/finalizers' }], {
        type: jsonPatch,
      }),
  )
  await script.request('GET', `${maps}/a`)
})

test('what is owned goes with its owner', async ({ script }) => {
  const owner = await script.quietly('POST', maps, configMap('owner'))
  const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.body.metadata.uid }
  await script.quietly('POST', maps, configMap('owned', {}, { ownerReferences: [reference] }))
  await script.quietly(
    'POST',
    maps,
    configMap(
      'half',
      {},
      {
        ownerReferences: [
          reference,
          {
            ...reference,
            name: 'kube-root-ca.crt',
            uid: (await script.until(`${maps}/kube-root-ca.crt`, (_, status) => status === 200)).metadata.uid,
          },
        ],
      },
    ),
  )
  await script.quietly('DELETE', `${maps}/owner`)
  await script.until(`${maps}/owned`, gone)
  await script.until(`${maps}/half`, (body) => body.metadata.ownerReferences.length === 1)
  await script.request('GET', `${maps}/half`, undefined, {
    show: ({ metadata }) => metadata.ownerReferences.length,
  })
  script.note('an owner that never was')
  await script.quietly(
    'POST',
    maps,
    configMap(
      'orphan',
      {},
      { ownerReferences: [{ ...reference, uid: '11111111-2222-4333-8444-555555555555' }] },
    ),
  )
  await script.until(`${maps}/orphan`, gone)
})

test('in the foreground the owner waits, and orphans stay', async ({ script }) => {
  const owned = async (name: string, block: boolean) => {
    const owner = await script.quietly('POST', maps, configMap(name))
    const reference = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name,
      uid: owner.body.metadata.uid,
      blockOwnerDeletion: block,
    }
    await script.quietly(
      'POST',
      maps,
      configMap(
        `of-${name}`,
        {},
        { ownerReferences: [reference], finalizers: block ? ['example.com/hold'] : [] },
      ),
    )
  }
  await owned('front', true)
  await script.request('DELETE', `${maps}/front`, options('Foreground'))
  await script.until(`${maps}/of-front`, (body) => body.metadata.deletionTimestamp !== undefined)
  await script.request('GET', `${maps}/front`)
  await script.quietly('PATCH', `${maps}/of-front`, { metadata: { finalizers: null } }, { type: mergePatch })
  await script.until(`${maps}/front`, gone)
  await owned('left', false)
  await script.request('DELETE', `${maps}/left?propagationPolicy=Orphan`, undefined, {
    show: ({ metadata, kind }) => ({ kind, finalizers: metadata.finalizers }),
  })
  await script.until(`${maps}/left`, gone)
  await script.request('GET', `${maps}/of-left`)
  await script.request('DELETE', `${maps}/of-left`, options('Sideways'))
  await script.request('DELETE', `${maps}/of-left`, { ...options('Orphan'), orphanDependents: true })
})

test('a namespace is deleted with all that is in it', async ({ script }) => {
  const name = 'gone-$NS'
  const inside = `${namespaces}/${name}/configmaps`
  await script.quietly('POST', namespaces, { metadata: { name } })
  await script.quietly('POST', inside, configMap('a', {}, { finalizers: ['example.com/hold'] }))
  await script.quietly('POST', inside, configMap('b'))
  await script.request('DELETE', `${namespaces}/${name}`)
  await script.until(`${inside}/b`, gone)
  await script.until(`${namespaces}/${name}`, (body) => body.status.conditions?.length >= 5)
  await script.request('GET', `${namespaces}/${name}`)
  await script.request('POST', inside, configMap('late'))
  await script.quietly('PATCH', `${inside}/a`, { metadata: { finalizers: null } }, { type: mergePatch })
  await script.until(`${namespaces}/${name}`, gone)
  await script.request('GET', inside, undefined, { show: (body) => body.items })
  await script.request('POST', inside, configMap('later'))
})

test('pods are deleted after their grace period, or at once', async ({ script }) => {
  const pods = `${namespaces}/$NS/pods`
  const pod = (name: string) => ({ metadata: { name }, spec: { containers: [{ name: 'a', image: 'b:1' }] } })
  await script.quietly('POST', pods, pod('slow'))
  await script.until(`${pods}/slow`, (body) => body.status.phase === 'Running')
  await script.request('DELETE', `${pods}/slow`, undefined, {
    show: ({ kind, metadata }) => ({ kind, seconds: metadata.deletionGracePeriodSeconds }),
  })
  await script.until(`${pods}/slow`, gone)
  await script.quietly('POST', pods, pod('quick'))
  await script.until(`${pods}/quick`, (body) => body.status.phase === 'Running')
  await script.request('DELETE', `${pods}/quick?gracePeriodSeconds=0`, undefined, {
    show: ({ kind }) => kind,
  })
  await script.request('GET', `${pods}/quick`)
})

test('a Deployment takes its ReplicaSets and Pods along', async ({ script }) => {
  const deployments = '/apis/apps/v1/namespaces/$NS/deployments'
  const sets = '/apis/apps/v1/namespaces/$NS/replicasets'
  await script.quietly('POST', deployments, deployment('web', { replicas: 2 }))
  await script.until(`${deployments}/web`, (body) => body.status.readyReplicas === 2)
  await script.request('GET', sets, undefined, {
    show: (body) =>
      body.items.map(({ metadata }: Answer) => ({
        name: metadata.name,
        owners: metadata.ownerReferences,
        annotations: metadata.annotations,
        labels: metadata.labels,
      })),
  })
  await script.quietly('DELETE', `${deployments}/web`, options('Background'))
  await script.until(sets, (body) => body.items.length === 0)
  await script.until(`${namespaces}/$NS/pods`, (body) => body.items.length === 0)
  script.note('left alone')
  await script.quietly('POST', deployments, deployment('web', { replicas: 1 }))
  await script.until(`${deployments}/web`, (body) => body.status.readyReplicas === 1)
  await script.quietly('DELETE', `${deployments}/web?propagationPolicy=Orphan`)
  await script.until(`${deployments}/web`, gone)
  await script.request('GET', sets, undefined, {
    show: (body) =>
      body.items.map(({ metadata, status }: Answer) => [
        metadata.ownerReferences ?? 'no owner',
        status.readyReplicas,
      ]),
  })
})
