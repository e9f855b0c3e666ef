import { expect, test, vi } from 'vitest'
import { listAt, numberAt, objectAt, textAt } from '../../../../src/playground/kube-api/fields.ts'
import { conditions, image, startTestCluster, template, workload } from './cluster.ts'

const names = (objects: readonly { metadata: { name: string } }[]) =>
  objects.map(({ metadata }) => metadata.name)

test('pods of a StatefulSet come one after the other, with names and claims of their own', async () => {
  const cluster = startTestCluster()
  const created: string[] = []
  cluster.client.watch(['pods'], ({ type, name }) => void (type === 'ADDED' && created.push(name)))

  cluster.create(
    workload('StatefulSet', 'db', {
      replicas: 3,
      serviceName: 'db',
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        },
      ],
    }),
  )
  await cluster.until(
    () => numberAt(cluster.get('statefulsets.apps', 'db'), 'status.availableReplicas') === 3,
  )

  expect(created).toEqual(['db-0', 'db-1', 'db-2'])
  const [revision] = cluster.list('controllerrevisions.apps')
  expect(cluster.get('pods', 'db-1')).toMatchObject({
    metadata: {
      generateName: 'db-',
      labels: {
        app: 'db',
        'apps.kubernetes.io/pod-index': '1',
        'controller-revision-hash': revision?.metadata.name,
        'statefulset.kubernetes.io/pod-name': 'db-1',
      },
    },
    spec: {
      hostname: 'db-1',
      subdomain: 'db',
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data-db-1' } }],
    },
  })
  expect(names(cluster.list('persistentvolumeclaims'))).toEqual(['data-db-0', 'data-db-1', 'data-db-2'])
  expect(cluster.get('statefulsets.apps', 'db')['status']).toEqual({
    observedGeneration: 1,
    replicas: 3,
    readyReplicas: 3,
    availableReplicas: 3,
    currentReplicas: 3,
    updatedReplicas: 3,
    currentRevision: revision?.metadata.name,
    updateRevision: revision?.metadata.name,
    collisionCount: 0,
  })
  expect(cluster.events('StatefulSet').slice(0, 2)).toEqual([
    'SuccessfulCreate: Create Claim data-db-0 Pod db-0 in StatefulSet db success',
    'SuccessfulCreate: create Pod db-0 in StatefulSet db successful',
  ])
})

test('a StatefulSet renews its pods from the last to the first, down to its partition', async () => {
  const cluster = startTestCluster()
  const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { partition: 1 } }
  cluster.create(workload('StatefulSet', 'db', { replicas: 3, serviceName: 'db', updateStrategy }))
  const isAvailable = () => numberAt(cluster.get('statefulsets.apps', 'db'), 'status.availableReplicas') === 3
  await cluster.until(isAvailable)
  const deleted: string[] = []
  cluster.client.watch(['pods'], ({ type, name }) => void (type === 'DELETED' && deleted.push(name)))

  cluster.client.patch('statefulsets.apps', 'demo', 'db', image('db:2'))
  await cluster.until(() => numberAt(cluster.get('statefulsets.apps', 'db'), 'status.updatedReplicas') === 2)
  await cluster.until(isAvailable)

  expect(deleted).toEqual(['db-2', 'db-1'])
  const set = cluster.get('statefulsets.apps', 'db')
  expect(textAt(set, 'status.currentRevision')).not.toBe(textAt(set, 'status.updateRevision'))
  expect(numberAt(set, 'status.currentReplicas')).toBe(1)

  const whole = { spec: { updateStrategy: { rollingUpdate: { partition: 0 } } } }
  cluster.client.patch('statefulsets.apps', 'demo', 'db', whole)
  await cluster.until(() => {
    const { status } = cluster.get('statefulsets.apps', 'db')
    return textAt(status, 'currentRevision') === textAt(status, 'updateRevision') && isAvailable()
  })
  expect(deleted).toEqual(['db-2', 'db-1', 'db-0'])
})

test('a StatefulSet shrinks from its end', async () => {
  const cluster = startTestCluster()
  cluster.create(workload('StatefulSet', 'db', { replicas: 3, serviceName: 'db' }))
  await cluster.until(
    () => numberAt(cluster.get('statefulsets.apps', 'db'), 'status.availableReplicas') === 3,
  )

  cluster.client.patch('statefulsets.apps', 'demo', 'db', { spec: { replicas: 1 } })

  await cluster.until(() => cluster.list('pods').length === 1)
  expect(names(cluster.list('pods'))).toEqual(['db-0'])
})

test('a DaemonSet puts a pod on the node, and a new one when its template changes', async () => {
  const cluster = startTestCluster()
  cluster.create(workload('DaemonSet', 'agent'))
  const status = () => cluster.get('daemonsets.apps', 'agent')['status']
  await cluster.until(() => numberAt(status(), 'numberAvailable') === 1)
  const [before] = cluster.list('pods')

  cluster.client.patch('daemonsets.apps', 'demo', 'agent', image('agent:2'))
  await cluster.until(
    () =>
      numberAt(status(), 'observedGeneration') === 2 &&
      numberAt(status(), 'updatedNumberScheduled') === 1 &&
      numberAt(status(), 'numberAvailable') === 1,
  )

  const [pod] = cluster.list('pods')
  expect(pod?.metadata.name).not.toBe(before?.metadata.name)
  expect(pod?.['spec']).toMatchObject({ nodeName: 'node-0', containers: [{ image: 'agent:2' }] })
  expect(status()).toEqual({
    currentNumberScheduled: 1,
    desiredNumberScheduled: 1,
    numberAvailable: 1,
    numberMisscheduled: 0,
    numberReady: 1,
    observedGeneration: 2,
    updatedNumberScheduled: 1,
  })
  expect(cluster.list('controllerrevisions.apps')).toHaveLength(2)
  expect(cluster.get('daemonsets.apps', 'agent').metadata['annotations']).toEqual({
    'deprecated.daemonset.template.generation': '2',
  })
})

test('a DaemonSet waits for a node that fits', async () => {
  const cluster = startTestCluster()
  const nodeSelector = { disk: 'fast' }
  cluster.create(workload('DaemonSet', 'agent', { template: template('agent', 'agent:1', { nodeSelector }) }))
  await cluster.until(
    () => numberAt(cluster.get('daemonsets.apps', 'agent'), 'status.observedGeneration') === 1,
  )
  expect(cluster.list('pods')).toEqual([])

  cluster.client.patch('nodes', '', 'node-0', { metadata: { labels: nodeSelector } })

  await cluster.until(() => cluster.list('pods').length === 1)
})

const job = (spec: object = {}, annotations: Record<string, string> = {}) => ({
  kind: 'Job',
  metadata: { name: 'work' },
  spec: {
    ...spec,
    template: {
      metadata: { annotations },
      spec: { restartPolicy: 'Never', containers: [{ name: 'work', image: 'work:1' }] },
    },
  },
})

test('a Job runs as many pods as it wants, and is complete', async () => {
  const cluster = startTestCluster()
  cluster.create(job({ completions: 3, parallelism: 2 }))

  const done = await cluster.until(() => {
    const found = cluster.get('jobs.batch', 'work')
    return conditions(found).includes('Complete=True CompletionsReached') && found
  })

  expect(done['status']).toMatchObject({
    succeeded: 3,
    ready: 0,
    terminating: 0,
    uncountedTerminatedPods: {},
    startTime: expect.any(String),
    completionTime: expect.any(String),
  })
  expect(conditions(done)).toEqual([
    'SuccessCriteriaMet=True CompletionsReached',
    'Complete=True CompletionsReached',
  ])
  expect(cluster.list('pods').map((pod) => textAt(pod, 'status.phase'))).toEqual([
    'Succeeded',
    'Succeeded',
    'Succeeded',
  ])
  expect(cluster.events('Job').at(-1)).toBe('Completed: Job completed')
})

test('a Job whose pods fail is given up', async () => {
  const cluster = startTestCluster()
  cluster.create(job({ backoffLimit: 1 }, { 'playground.fluxcd.io/outcome': 'failed' }))

  const failed = await cluster.until(() => {
    const found = cluster.get('jobs.batch', 'work')
    return conditions(found).includes('Failed=True BackoffLimitExceeded') && found
  })

  expect(numberAt(failed, 'status.failed')).toBe(2)
  expect(cluster.events('Job').at(-1)).toBe(
    'BackoffLimitExceeded: Job has reached the specified backoff limit',
  )
})

test('an indexed Job numbers its pods', async () => {
  const cluster = startTestCluster()
  cluster.create(job({ completions: 3, parallelism: 3, completionMode: 'Indexed' }))
  await cluster.until(() => conditions(cluster.get('jobs.batch', 'work')).length === 2)

  expect(textAt(cluster.get('jobs.batch', 'work'), 'status.completedIndexes')).toBe('0-2')
  expect(names(cluster.list('pods')).map((name) => name.slice(0, 7))).toEqual([
    'work-0-',
    'work-1-',
    'work-2-',
  ])
})

test('a suspended Job waits until it is resumed', async () => {
  const cluster = startTestCluster()
  cluster.create(job({ suspend: true }))
  await cluster.until(() =>
    conditions(cluster.get('jobs.batch', 'work')).includes('Suspended=True JobSuspended'),
  )
  expect(cluster.list('pods')).toEqual([])

  cluster.client.patch('jobs.batch', 'demo', 'work', { spec: { suspend: false } })

  await cluster.until(() =>
    conditions(cluster.get('jobs.batch', 'work')).includes('Complete=True CompletionsReached'),
  )
  expect(cluster.events('Job')).toContain('Resumed: Job resumed')
})

test('a finished Job goes after its time', async () => {
  const cluster = startTestCluster()
  cluster.create(job({ ttlSecondsAfterFinished: 0 }))

  await cluster.until(() => cluster.events('Job').includes('Completed: Job completed'))
  await cluster.until(() => cluster.list('jobs.batch').length + cluster.list('pods').length === 0)
})

test('a CronJob makes a Job each time, and keeps a few', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: new Date('2026-03-01T10:00:30Z') })
  try {
    const cluster = startTestCluster()
    cluster.create({
      kind: 'CronJob',
      metadata: { name: 'tick' },
      spec: { schedule: '* * * * *', jobTemplate: { spec: job().spec }, successfulJobsHistoryLimit: 2 },
    })
    const status = () => cluster.get('cronjobs.batch', 'tick')['status']
    await cluster.until(() => vi.getTimerCount() > 0)
    expect(cluster.list('jobs.batch')).toEqual([])

    for (const minute of ['01', '02', '03']) {
      await vi.advanceTimersByTimeAsync(60_000)
      await cluster.until(
        () =>
          textAt(status(), 'lastScheduleTime') === `2026-03-01T10:${minute}:00Z` &&
          listAt(status(), 'active').length === 0 &&
          textAt(status(), 'lastSuccessfulTime') > `2026-03-01T10:${minute}`,
      )
    }

    await cluster.until(() => cluster.list('jobs.batch').length === 2)
    const minute = Date.parse('2026-03-01T10:03:00Z') / 60_000
    expect(names(cluster.list('jobs.batch'))).toEqual([`tick-${minute - 1}`, `tick-${minute}`])
    expect(cluster.get('jobs.batch', `tick-${minute}`).metadata).toMatchObject({
      annotations: { 'batch.kubernetes.io/cronjob-scheduled-timestamp': '2026-03-01T10:03:00Z' },
      ownerReferences: [{ kind: 'CronJob', name: 'tick' }],
    })
    expect(cluster.events('CronJob')).toContain(
      `SawCompletedJob: Saw completed job: tick-${minute}, condition: Complete`,
    )
  } finally {
    vi.useRealTimers()
  }
})

test('of many times that were missed, only the last is made up for', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: new Date('2026-03-01T10:00:30Z') })
  try {
    const cluster = startTestCluster()
    cluster.create({
      kind: 'CronJob',
      metadata: { name: 'tick' },
      spec: { schedule: '*/5 * * * *', suspend: true, jobTemplate: { spec: job().spec } },
    })
    vi.setSystemTime(new Date('2026-05-01T10:01:00Z'))

    cluster.client.patch('cronjobs.batch', 'demo', 'tick', { spec: { suspend: false } })

    await cluster.until(() => cluster.list('jobs.batch').length > 0)
    expect(textAt(cluster.get('cronjobs.batch', 'tick'), 'status.lastScheduleTime')).toBe(
      '2026-05-01T10:00:00Z',
    )
    expect(cluster.list('jobs.batch')).toHaveLength(1)
  } finally {
    vi.useRealTimers()
  }
})

test('a service tells which of its pods are ready', async () => {
  const cluster = startTestCluster()
  cluster.create({
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
  })
  const containers = [{ name: 'web', image: 'web:1', ports: [{ name: 'http', containerPort: 8080 }] }]
  const labels = { app: 'web' }
  cluster.create({ kind: 'Pod', metadata: { name: 'good', labels }, spec: { containers } })
  const annotations = { 'playground.fluxcd.io/outcome': 'never-ready' }
  cluster.create({ kind: 'Pod', metadata: { name: 'bad', labels, annotations }, spec: { containers } })
  const subset = () => listAt(cluster.client.get('endpoints', 'demo', 'web'), 'subsets')[0]
  await cluster.until(
    () => listAt(subset(), 'addresses').length + listAt(subset(), 'notReadyAddresses').length === 2,
  )

  const ip = (pod: string) => textAt(cluster.get('pods', pod), 'status.podIP')
  expect(subset()).toMatchObject({
    addresses: [{ ip: ip('good'), nodeName: 'node-0', targetRef: { kind: 'Pod', name: 'good' } }],
    notReadyAddresses: [{ ip: ip('bad') }],
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  })
  const [slice] = cluster.list('endpointslices.discovery.k8s.io')
  expect(slice).toMatchObject({
    metadata: {
      labels: {
        'kubernetes.io/service-name': 'web',
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  })
  const readiness = listAt(slice, 'endpoints').map((each) => [
    textAt(each, 'targetRef.name'),
    objectAt(each, 'conditions')['ready'],
  ])
  expect(Object.fromEntries(readiness)).toEqual({ good: true, bad: false })

  cluster.client.delete('services', 'demo', 'web')
  await cluster.until(
    () =>
      cluster.client.get('endpoints', 'demo', 'web') === undefined &&
      cluster.list('endpointslices.discovery.k8s.io').length === 0,
  )
})

test('a budget counts what may be missed', async () => {
  const cluster = startTestCluster()
  cluster.create({
    kind: 'PodDisruptionBudget',
    metadata: { name: 'web' },
    spec: { minAvailable: '50%', selector: { matchLabels: { app: 'web' } } },
  })
  cluster.create(workload('Deployment', 'web', { replicas: 3 }))

  const budget = await cluster.until(() => {
    const found = cluster.get('poddisruptionbudgets.policy', 'web')
    return numberAt(found, 'status.currentHealthy') === 3 && found
  })

  expect(budget['status']).toMatchObject({
    disruptionsAllowed: 1,
    desiredHealthy: 2,
    expectedPods: 3,
    conditions: [{ type: 'DisruptionAllowed', status: 'True', reason: 'SufficientPods', message: '' }],
  })
})

test('a claim that is deleted goes when its pod has gone', async () => {
  const cluster = startTestCluster()
  cluster.create({
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  })
  cluster.create({
    kind: 'Pod',
    metadata: { name: 'user' },
    spec: {
      containers: [{ name: 'web', image: 'web:1' }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
    },
  })
  await cluster.until(() => textAt(cluster.get('pods', 'user'), 'status.phase') === 'Running')

  cluster.client.delete('persistentvolumeclaims', 'demo', 'data')
  expect(cluster.list('persistentvolumeclaims')).toHaveLength(1)
  cluster.client.delete('pods', 'demo', 'user')

  await cluster.until(() => cluster.list('persistentvolumeclaims').length === 0)
})
