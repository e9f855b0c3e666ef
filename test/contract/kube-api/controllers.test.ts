import { deployment } from './objects.ts'
import { type Answer, mergePatch, type Script, test } from './script.ts'

const apps = '/apis/apps/v1/namespaces/$NS'
const batch = '/apis/batch/v1/namespaces/$NS'
const pods = '/api/v1/namespaces/$NS/pods'

const labels = (app: string) => ({
  selector: { matchLabels: { app } },
  template: {
    metadata: { labels: { app } },
    spec: { containers: [{ name: 'web', image: 'example/web:1' }] },
  },
})

/** Every state that a workload went through is chance; that it only ever was one of these is not. */
const status = ({ metadata, status }: Answer) => ({
  generation: metadata.generation,
  annotations: metadata.annotations,
  status,
})

const settled = (name: string, count: number) => (script: Script) =>
  script.until(
    `${apps}/deployments/${name}`,
    ({ status, metadata }) =>
      status.observedGeneration === metadata.generation &&
      status.readyReplicas === count &&
      status.updatedReplicas === count &&
      status.replicas === count &&
      status.conditions?.some(({ reason }: Answer) => reason === 'NewReplicaSetAvailable'),
  )

const set = ({ metadata, spec, status }: Answer) => ({
  revision: metadata.annotations['deployment.kubernetes.io/revision'],
  desired: metadata.annotations['deployment.kubernetes.io/desired-replicas'],
  most: metadata.annotations['deployment.kubernetes.io/max-replicas'],
  image: spec.template.spec.containers[0].image,
  replicas: spec.replicas,
  status,
})

test('a Deployment rolls from image to image', async ({ script }) => {
  await script.quietly('POST', `${apps}/deployments`, deployment('web', { replicas: 3 }))
  await settled('web', 3)(script)
  await script.request('GET', `${apps}/deployments/web`, undefined, { show: status })
  await script.request(
    'PATCH',
    `${apps}/deployments/web`,
    { spec: { template: { spec: { containers: [{ name: 'web', image: 'example/web:2' }] } } } },
    { type: 'application/strategic-merge-patch+json', show: ({ metadata }) => metadata.generation },
  )
  await settled('web', 3)(script)
  await script.until(`${apps}/replicasets`, (body) =>
    body.items.some(({ spec, status }: Answer) => spec.replicas === 0 && status.replicas === 0),
  )
  await script.request('GET', `${apps}/deployments/web`, undefined, { show: status })
  await script.request('GET', `${apps}/replicasets`, undefined, {
    show: (body) =>
      body.items.map(set).sort((a: Answer, b: Answer) => Number(a.revision) - Number(b.revision)),
  })
  script.note('back to the first one')
  await script.quietly(
    'PATCH',
    `${apps}/deployments/web`,
    { spec: { template: { spec: { containers: [{ name: 'web', image: 'example/web:1' }] } } } },
    { type: 'application/strategic-merge-patch+json' },
  )
  await settled('web', 3)(script)
  await script.until(
    `${apps}/replicasets`,
    (body) =>
      body.items.filter(({ spec, status }: Answer) => spec.replicas === 0 && status.replicas === 0).length ===
      1,
  )
  await script.request('GET', `${apps}/replicasets`, undefined, {
    show: (body) =>
      body.items
        .map((item: Answer) => ({
          ...set(item),
          history: item.metadata.annotations['deployment.kubernetes.io/revision-history'],
        }))
        .sort((a: Answer, b: Answer) => Number(a.revision) - Number(b.revision)),
  })
})

test('the pod of a Deployment', async ({ script }) => {
  await script.quietly('POST', `${apps}/deployments`, deployment('web', { replicas: 1 }))
  await settled('web', 1)(script)
  // a kubelet of flesh and blood also says hostIPs and started, the one of the real server's tests does not
  const podOf = ({ items: [{ status, ...pod }] }: Answer) => {
    const { hostIPs: _, containerStatuses, ...rest } = status
    return {
      ...pod,
      status: {
        ...rest,
        containerStatuses: containerStatuses.map(({ started: _, ...container }: Answer) => container),
      },
    }
  }
  await script.request('GET', pods, undefined, { show: podOf })
  await script.request('GET', pods, undefined, {
    headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
    show: (body) => [body.columnDefinitions.map(({ name }: Answer) => name), { cells: body.rows[0].cells }],
  })
})

test('a rollout never goes under or over its bounds', async ({ script }) => {
  await script.quietly(
    'POST',
    `${apps}/deployments`,
    deployment('web', { replicas: 4, strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } }),
  )
  await settled('web', 4)(script)
  const { body } = await script.quietly('GET', `${apps}/deployments/web`)
  const counts = { least: 4, most: 4 }
  await script.quietly(
    'PATCH',
    `${apps}/deployments/web`,
    { spec: { template: { spec: { containers: [{ name: 'web', image: 'example/web:2' }] } } } },
    { type: 'application/strategic-merge-patch+json' },
  )
  await script.until(`${apps}/deployments/web`, ({ metadata, status }) => {
    counts.least = Math.min(counts.least, status.availableReplicas ?? 0)
    counts.most = Math.max(counts.most, status.replicas)
    return (
      status.observedGeneration === metadata.generation &&
      status.updatedReplicas === 4 &&
      status.replicas === 4
    )
  })
  script.note(
    `available never fewer than ${counts.least}, at most ${counts.most > 5 ? counts.most : '5'} in all; generation ${body.metadata.generation} before`,
  )
})

test('a Deployment that is recreated', async ({ script }) => {
  await script.quietly(
    'POST',
    `${apps}/deployments`,
    deployment('web', { replicas: 2, strategy: { type: 'Recreate' } }),
  )
  await settled('web', 2)(script)
  await script.quietly(
    'PATCH',
    `${apps}/deployments/web`,
    { spec: { template: { metadata: { labels: { more: 'x' } } } } },
    { type: mergePatch },
  )
  await settled('web', 2)(script)
  await script.request('GET', `${apps}/deployments/web`, undefined, { show: status })
})

test('a Deployment that is paused keeps what runs', async ({ script }) => {
  await script.quietly('POST', `${apps}/deployments`, deployment('web', { replicas: 1 }))
  await settled('web', 1)(script)
  await script.quietly(
    'PATCH',
    `${apps}/deployments/web`,
    { spec: { paused: true, template: { metadata: { labels: { more: 'x' } } } } },
    { type: mergePatch },
  )
  await script.until(
    `${apps}/deployments/web`,
    ({ status }) =>
      status.conditions.some(({ reason }: Answer) => reason === 'DeploymentPaused') &&
      status.updatedReplicas === undefined,
  )
  await script.request('GET', `${apps}/deployments/web`, undefined, { show: ({ status }) => status })
})

test('pods of a ReplicaSet alone', async ({ script }) => {
  await script.quietly('POST', `${apps}/replicasets`, {
    metadata: { name: 'alone' },
    spec: { replicas: 2, ...labels('alone') },
  })
  await script.until(`${apps}/replicasets/alone`, ({ status }) => status.readyReplicas === 2)
  await script.request('GET', `${apps}/replicasets/alone`)
  script.note('one that is deleted comes again')
  const { body } = await script.quietly('GET', pods)
  await script.quietly('DELETE', `${pods}/${body.items[0].metadata.name}`)
  await script.until(
    pods,
    ({ items }) =>
      items.length === 2 &&
      items.every(
        ({ metadata, status }: Answer) =>
          metadata.deletionTimestamp === undefined &&
          status.phase === 'Running' &&
          metadata.name !== body.items[0].metadata.name,
      ),
  )
})

test('a StatefulSet counts its pods', async ({ script }) => {
  await script.quietly('POST', `${apps}/statefulsets`, {
    metadata: { name: 'db' },
    spec: { replicas: 2, serviceName: 'db', ...labels('db') },
  })
  await script.until(
    `${apps}/statefulsets/db`,
    ({ status }) => status.readyReplicas === 2 && status.availableReplicas === 2,
  )
  await script.request('GET', `${apps}/statefulsets/db`, undefined, {
    show: ({ status: { currentRevision, updateRevision, ...rest } }) => ({
      same: currentRevision === updateRevision,
      ...rest,
    }),
  })
  await script.request('GET', pods, undefined, {
    show: (body) =>
      body.items.map(({ metadata, spec }: Answer) => ({
        name: metadata.name,
        labels: metadata.labels,
        hostname: spec.hostname,
        subdomain: spec.subdomain,
      })),
  })
  await script.request('GET', `${apps}/controllerrevisions`, undefined, {
    show: (body) =>
      body.items.map(({ metadata, revision, data }: Answer) => ({
        owner: metadata.ownerReferences[0].kind,
        revision,
        data,
      })),
  })
  await script.quietly(
    'PATCH',
    `${apps}/statefulsets/db`,
    { spec: { template: { metadata: { labels: { more: 'x' } } } } },
    { type: mergePatch },
  )
  await script.until(
    `${apps}/statefulsets/db`,
    ({ status, metadata }) =>
      status.observedGeneration === metadata.generation &&
      status.readyReplicas === 2 &&
      status.updatedReplicas === 2 &&
      status.currentRevision === status.updateRevision,
  )
  await script.quietly('PATCH', `${apps}/statefulsets/db`, { spec: { replicas: 1 } }, { type: mergePatch })
  await script.until(`${apps}/statefulsets/db`, ({ status }) => status.replicas === 1)
  await script.request('GET', pods, undefined, {
    show: (body) => body.items.map(({ metadata }: Answer) => metadata.name),
  })
})

test('a DaemonSet has a pod on each node', async ({ script }) => {
  await script.quietly('POST', `${apps}/daemonsets`, { metadata: { name: 'each' }, spec: labels('each') })
  await script.until(
    `${apps}/daemonsets/each`,
    ({ status }) => status.numberReady === 1 && status.numberAvailable === 1,
  )
  await script.request('GET', `${apps}/daemonsets/each`, undefined, {
    show: ({ metadata, status }) => ({ annotations: metadata.annotations, status }),
  })
  await script.request('GET', pods, undefined, {
    show: (body) =>
      body.items.map(({ metadata, spec }: Answer) => ({
        labels: metadata.labels,
        owner: metadata.ownerReferences[0].kind,
        node: spec.nodeName,
        tolerations: spec.tolerations,
      })),
  })
  await script.quietly(
    'PATCH',
    `${apps}/daemonsets/each`,
    { spec: { template: { metadata: { labels: { more: 'x' } } } } },
    { type: mergePatch },
  )
  await script.until(
    `${apps}/daemonsets/each`,
    ({ status, metadata }) =>
      status.observedGeneration === metadata.generation &&
      status.updatedNumberScheduled === 1 &&
      status.numberAvailable === 1,
  )
  script.note('a node it may not run on')
  await script.quietly(
    'PATCH',
    `${apps}/daemonsets/each`,
    { spec: { template: { spec: { nodeSelector: { none: 'such' } } } } },
    { type: mergePatch },
  )
  await script.until(
    `${apps}/daemonsets/each`,
    ({ status }) => status.desiredNumberScheduled === 0 && status.currentNumberScheduled === 0,
  )
})

const job = (name: string, spec: object = {}, container: object = {}) => ({
  metadata: { name },
  spec: {
    template: {
      spec: { restartPolicy: 'Never', containers: [{ name: 'work', image: 'example/work:1', ...container }] },
    },
    ...spec,
  },
})

test('a Job runs its pod', async ({ script }) => {
  await script.request('POST', `${batch}/jobs`, job('once'), {
    show: ({ metadata, spec }) => ({
      labels: metadata.labels,
      selector: spec.selector,
      template: spec.template,
    }),
  })
  await script.until(
    `${batch}/jobs/once`,
    ({ status }) =>
      status.succeeded === 1 && status.conditions?.some(({ type }: Answer) => type === 'Complete'),
  )
  await script.request('GET', `${batch}/jobs/once`, undefined, { show: ({ status }) => status })
  await script.request('GET', pods, undefined, {
    show: (body) =>
      body.items.map(({ metadata, status }: Answer) => ({
        owner: metadata.ownerReferences[0].kind,
        finalizers: metadata.finalizers,
        phase: status.phase,
      })),
  })
})

test('a CronJob is kept for its time', async ({ script }) => {
  await script.quietly('POST', `${batch}/cronjobs`, {
    metadata: { name: 'yearly' },
    spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: job('x').spec } },
  })
  await script.request('GET', `${batch}/cronjobs/yearly`, undefined, {
    show: ({ metadata, status }) => ({ generation: metadata.generation, status }),
  })
  await script.request('POST', `${batch}/cronjobs`, {
    metadata: { name: 'wrong' },
    spec: { schedule: 'now and then', jobTemplate: { spec: job('x').spec } },
  })
})

test('a Service gets an address and the endpoints of its pods', async ({ script }) => {
  await script.quietly('POST', `${apps}/deployments`, deployment('web', { replicas: 1 }))
  await script.quietly('POST', '/api/v1/namespaces/$NS/services', {
    metadata: { name: 'web' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
  })
  await settled('web', 1)(script)
  await script.request('GET', '/api/v1/namespaces/$NS/services/web')
  await script.until(
    '/api/v1/namespaces/$NS/endpoints/web',
    (body, code) => code === 200 && body.subsets?.[0]?.addresses?.length === 1,
  )
  await script.request('GET', '/api/v1/namespaces/$NS/endpoints/web', undefined, {
    show: ({ subsets, metadata }) => ({
      labels: metadata.labels,
      ports: subsets[0].ports,
      target: subsets[0].addresses[0].targetRef.kind,
    }),
  })
})
