import { configMap, deployment } from './objects.ts'
import { type Answer, test } from './script.ts'

const accept = (as: string) => ({ headers: { accept: `application/json;as=${as};v=v1;g=meta.k8s.io` } })
const tables =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json'
const core = '/api/v1/namespaces/$NS'
const apps = '/apis/apps/v1/namespaces/$NS'

test('tables of one object and of many', async ({ script }) => {
  await script.quietly(
    'POST',
    `${core}/configmaps`,
    configMap('a', { x: '1', y: '2' }, { labels: { app: 'web' } }),
  )
  await script.quietly('POST', `${core}/configmaps`, configMap('b', {}, { labels: { app: 'web' } }))
  await script.request('GET', `${core}/configmaps?labelSelector=app`, undefined, accept('Table'))
  await script.request('GET', `${core}/configmaps/a`, undefined, { headers: { accept: tables } })
  await script.request(
    'GET',
    `${core}/configmaps?labelSelector=app&includeObject=None`,
    undefined,
    accept('Table'),
  )
  await script.request('GET', `${core}/configmaps?labelSelector=app&includeObject=Object`, undefined, {
    ...accept('Table'),
    show: (body) => body.rows,
  })
  await script.request('GET', `${core}/configmaps?labelSelector=none`, undefined, accept('Table'))
  await script.request('GET', `${core}/configmaps/none`, undefined, accept('Table'))
  await script.request(
    'GET',
    `${core}/configmaps?labelSelector=app`,
    undefined,
    accept('PartialObjectMetadataList'),
  )
  await script.request('GET', `${core}/configmaps/a`, undefined, accept('PartialObjectMetadata'))
  await script.request('GET', `${core}/configmaps/a`, undefined, {
    headers: { accept: 'application/yaml' },
    show: (text) => /^apiVersion: v1\ndata:\n/.test(text),
  })
  await script.request('GET', `${core}/configmaps/a?pretty=true`, undefined, { show: ({ data }) => data })
})

test.for(
  [
    {
      plural: `${core}/pods`,
      object: { spec: { containers: [{ name: 'a', image: 'b:1' }], nodeSelector: { none: 'such' } } },
    },
    {
      plural: `${core}/services`,
      object: {
        spec: {
          clusterIP: 'None',
          selector: { a: 'b' },
          ports: [{ port: 80 }, { name: 'x', port: 81 }].slice(0, 1),
        },
      },
    },
    { plural: `${core}/secrets`, object: { data: { a: '' } } },
    { plural: `${core}/serviceaccounts`, object: {} },
    {
      plural: `${core}/persistentvolumeclaims`,
      object: {
        spec: {
          accessModes: ['ReadWriteOnce'],
          resources: { requests: { storage: '1Gi' } },
          storageClassName: 'none',
        },
      },
    },
    {
      plural: `${core}/events`,
      object: {
        reason: 'Why',
        message: 'Because',
        type: 'Warning',
        count: 2,
        involvedObject: { kind: 'Pod', name: 'x', namespace: '$NS' },
        firstTimestamp: '2024-01-01T00:00:00Z',
        lastTimestamp: '2024-01-01T00:00:00Z',
      },
    },
    {
      plural: `${core}/endpoints`,
      object: { subsets: [{ addresses: [{ ip: '1.2.3.4' }], ports: [{ port: 80 }] }] },
    },
    { plural: `${core}/limitranges`, object: { spec: { limits: [{ type: 'Pod', max: { cpu: '1' } }] } } },
    { plural: `${apps}/deployments`, object: { ...deployment('x', { paused: true, replicas: 0 }) } },
    {
      plural: `${apps}/statefulsets`,
      object: { spec: { ...deployment('x').spec, replicas: 0, serviceName: 'x' } },
    },
    {
      plural: `${apps}/daemonsets`,
      object: {
        spec: {
          selector: { matchLabels: { app: 'x' } },
          template: {
            metadata: { labels: { app: 'x' } },
            spec: { nodeSelector: { none: 'such' }, containers: [{ name: 'a', image: 'b' }] },
          },
        },
      },
    },
    { plural: `${apps}/replicasets`, object: { spec: { ...deployment('x').spec, replicas: 0 } } },
    {
      plural: '/apis/batch/v1/namespaces/$NS/jobs',
      object: {
        spec: {
          suspend: true,
          template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'b' }] } },
        },
      },
    },
    {
      plural: '/apis/batch/v1/namespaces/$NS/cronjobs',
      object: {
        spec: {
          schedule: '0 0 1 1 *',
          suspend: true,
          jobTemplate: {
            spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'b' }] } } },
          },
        },
      },
    },
    {
      plural: '/apis/networking.k8s.io/v1/namespaces/$NS/ingresses',
      object: { spec: { ingressClassName: 'x', rules: [{ host: 'a.b' }], tls: [{ hosts: ['a.b'] }] } },
    },
    {
      plural: '/apis/networking.k8s.io/v1/namespaces/$NS/networkpolicies',
      object: { spec: { podSelector: { matchLabels: { a: 'b' } } } },
    },
    {
      plural: '/apis/autoscaling/v2/namespaces/$NS/horizontalpodautoscalers',
      object: {
        spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x' } },
      },
    },
    { plural: '/apis/rbac.authorization.k8s.io/v1/namespaces/$NS/roles', object: {} },
    {
      plural: '/apis/rbac.authorization.k8s.io/v1/namespaces/$NS/rolebindings',
      object: { roleRef: { kind: 'Role', name: 'x', apiGroup: 'rbac.authorization.k8s.io' } },
    },
    {
      plural: '/apis/coordination.k8s.io/v1/namespaces/$NS/leases',
      object: { spec: { holderIdentity: 'x' } },
    },
    {
      plural: '/apis/policy/v1/namespaces/$NS/poddisruptionbudgets',
      object: { spec: { minAvailable: 1, selector: { matchLabels: { a: 'b' } } } },
    },
  ].map(({ plural, object }) => ({ kind: plural.replace(/.*\//, ''), plural, object })),
)('a table of $kind', async ({ plural, object }, { script }) => {
  await script.quietly('POST', plural, {
    ...object,
    metadata: { name: 'printed', labels: { printed: '$NS' } },
  })
  await script.request('GET', `${plural}?labelSelector=printed`, undefined, {
    ...accept('Table'),
    show: (body) => ({
      columns: body.columnDefinitions?.map(({ name, type, format, priority }: Answer) =>
        [name, type, format, priority].join(' '),
      ),
      cells: body.rows?.map(({ cells }: Answer) => ({ cells })),
    }),
  })
})

test('Secrets arrive as protobuf, and go as JSON', async ({ script }) => {
  const secret = protobufSecret({ name: 'binary', type: 'helm.sh/release.v1', key: 'release', value: 'H4sI' })
  const type = 'application/vnd.kubernetes.protobuf'
  await script.request('POST', `${core}/secrets`, secret, { type })
  await script.request('GET', `${core}/secrets/binary`)
  await script.request(
    'PUT',
    `${core}/secrets/binary`,
    protobufSecret({ name: 'binary', type: 'helm.sh/release.v1', key: 'release', value: 'new' }),
    { type },
  )
  await script.request('POST', `${core}/secrets`, new Uint8Array([1, 2, 3]), { type })
})

/** A Secret as typed Go clients send it: `k8s\0`, then `runtime.Unknown` around the message. */
function protobufSecret({
  name,
  type,
  key,
  value,
}: Record<'name' | 'type' | 'key' | 'value', string>): Uint8Array {
  const field = (number: number, body: string | Buffer) => {
    const bytes = Buffer.from(body)
    const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7]
    return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes])
  }
  const metadata = Buffer.concat([
    field(1, name),
    field(11, Buffer.concat([field(1, 'owner'), field(2, 'helm')])),
  ])
  const data = Buffer.concat([field(1, key), field(2, value)])
  const secret = Buffer.concat([field(1, metadata), field(2, data), field(3, type)])
  const kind = Buffer.concat([field(1, 'v1'), field(2, 'Secret')])
  return Buffer.concat([Buffer.from('k8s\0'), field(1, kind), field(2, secret)])
}

test('events are written by clients of both kinds', async ({ script }) => {
  const now = '2024-01-01T00:00:00Z'
  await script.request('POST', `${core}/events`, {
    metadata: { name: 'old.1' },
    involvedObject: { kind: 'ConfigMap', name: 'a', namespace: '$NS' },
    reason: 'Synced',
    message: 'done',
    type: 'Normal',
    source: { component: 'fluxd' },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  })
  await script.request('POST', '/apis/events.k8s.io/v1/namespaces/$NS/events', {
    metadata: { name: 'new.1' },
    eventTime: '2024-01-01T00:00:00.000000Z',
    regarding: { kind: 'ConfigMap', name: 'a', namespace: '$NS' },
    reason: 'Synced',
    note: 'done',
    type: 'Normal',
    action: 'Sync',
    reportingController: 'example.com/fluxd',
    reportingInstance: 'fluxd-1',
  })
  await script.request('GET', `${core}/events/new.1`)
  await script.request('POST', `${core}/events`, {
    metadata: { name: 'x' },
    involvedObject: { namespace: 'default' },
  })
  await script.request(
    'GET',
    `${core}/events?fieldSelector=involvedObject.name%3Da,type%3DNormal`,
    undefined,
    {
      show: (body) => body.items.map(({ metadata }: Answer) => metadata.name),
    },
  )
})

test('status and scale of workloads', async ({ script }) => {
  await script.quietly('POST', `${apps}/deployments`, deployment('web', { replicas: 0 }))
  await script.until(`${apps}/deployments/web`, (body) => body.status.observedGeneration === 1)
  await script.request('GET', `${apps}/deployments/web/scale`)
  await script.request('PUT', `${apps}/deployments/web/scale`, {
    metadata: { name: 'web' },
    spec: { replicas: -1 },
  })
  await script.request(
    'PATCH',
    `${apps}/deployments/web/scale`,
    { spec: { replicas: 1 } },
    { type: 'application/merge-patch+json' },
  )
  await script.until(`${apps}/deployments/web`, (body) => body.status.readyReplicas === 1)
  await script.request('GET', `${apps}/deployments/web/status`, undefined, { show: ({ status }) => status })
  await script.request('GET', `${apps}/deployments/none/scale`)
})
