import { expect, test } from 'vitest'
import { numberAt, objectAt, textAt } from '../../../../src/playground/kube-api/fields.ts'
import type { KubeObject } from '../../../../src/playground/kube-api/model.ts'
import { conditions, image, startTestCluster, type TestCluster, workload } from './cluster.ts'

const revision = 'deployment.kubernetes.io/revision'

function isRolledOut(deployment: KubeObject): boolean {
  const { metadata } = deployment
  const wanted = numberAt(deployment, 'spec.replicas')
  return (
    numberAt(deployment, 'status.observedGeneration') === metadata['generation'] &&
    ['replicas', 'updatedReplicas', 'availableReplicas'].every(
      (field) => numberAt(deployment, `status.${field}`) === wanted,
    ) &&
    conditions(deployment).includes('Progressing=True NewReplicaSetAvailable')
  )
}

const rolledOut = ({ get, until }: TestCluster, name = 'web') =>
  until(() => isRolledOut(get('deployments.apps', name)) && get('deployments.apps', name))

const replicaSets = ({ list }: TestCluster) =>
  [...list('replicasets.apps')].sort((a, b) => annotation(a, revision).localeCompare(annotation(b, revision)))

const annotation = (object: KubeObject, key: string) => String(objectAt(object, 'metadata.annotations')[key])

test('a new Deployment gets a ReplicaSet and ready pods, and says so as the real one does', async () => {
  const cluster = startTestCluster()
  cluster.create(workload('Deployment', 'web', { replicas: 2 }))

  const deployment = await rolledOut(cluster)

  const [set] = replicaSets(cluster)
  const hash = String(objectAt(set, 'metadata.labels')['pod-template-hash'])
  expect(set?.metadata).toMatchObject({
    name: `web-${hash}`,
    annotations: {
      [revision]: '1',
      'deployment.kubernetes.io/desired-replicas': '2',
      'deployment.kubernetes.io/max-replicas': '3',
    },
    ownerReferences: [{ kind: 'Deployment', name: 'web', controller: true, blockOwnerDeletion: true }],
  })
  expect(deployment.metadata['annotations']).toEqual({ [revision]: '1' })
  expect(deployment['status']).toEqual({
    observedGeneration: 1,
    replicas: 2,
    updatedReplicas: 2,
    readyReplicas: 2,
    availableReplicas: 2,
    terminatingReplicas: 0,
    conditions: [
      expect.objectContaining({
        type: 'Available',
        status: 'True',
        reason: 'MinimumReplicasAvailable',
        message: 'Deployment has minimum availability.',
      }),
      expect.objectContaining({
        type: 'Progressing',
        status: 'True',
        reason: 'NewReplicaSetAvailable',
        message: `ReplicaSet "web-${hash}" has successfully progressed.`,
      }),
    ],
  })
  expect(cluster.events('Deployment')).toEqual([
    `ScalingReplicaSet: Scaled up replica set web-${hash} from 0 to 2`,
  ])
  expect(cluster.events('Pod')).toContain('Started: Container started')
  for (const pod of cluster.list('pods')) {
    expect(pod['status']).toMatchObject({ phase: 'Running', podIP: expect.stringMatching(/^10\.244\./) })
    expect(pod.metadata).toMatchObject({
      generateName: `web-${hash}-`,
      labels: { app: 'web', 'pod-template-hash': hash },
    })
  }
})

test('a new image rolls out step by step, never with too few or too many pods', async () => {
  const cluster = startTestCluster()
  cluster.create(workload('Deployment', 'web', { replicas: 4 }))
  await rolledOut(cluster)
  const seen: { total: number; available: number }[] = []
  cluster.client.watch(['deployments.apps'], ({ object }) => {
    seen.push({
      total: numberAt(object, 'status.replicas'),
      available: numberAt(object, 'status.availableReplicas'),
    })
  })

  cluster.client.patch('deployments.apps', 'demo', 'web', image('web:2'))
  await rolledOut(cluster)

  expect(Math.max(...seen.map(({ total }) => total))).toBe(5)
  expect(Math.min(...seen.map(({ available }) => available))).toBeGreaterThanOrEqual(3)
  const [old, current] = replicaSets(cluster)
  expect([old, current].map((set) => numberAt(set, 'spec.replicas'))).toEqual([0, 4])
  expect(current && annotation(current, revision)).toBe('2')
  expect(cluster.list('pods').map((pod) => textAt(pod, 'metadata.labels.pod-template-hash'))).toHaveLength(4)
})

test('going back takes the old ReplicaSet, which remembers its number', async () => {
  const cluster = startTestCluster()
  cluster.create(workload('Deployment', 'web'))
  await rolledOut(cluster)
  cluster.client.patch('deployments.apps', 'demo', 'web', image('web:2'))
  await rolledOut(cluster)

  cluster.client.patch('deployments.apps', 'demo', 'web', image('web:1'))
  const deployment = await rolledOut(cluster)

  expect(annotation(deployment, revision)).toBe('3')
  const sets = replicaSets(cluster)
  expect(sets.map((set) => annotation(set, revision))).toEqual(['2', '3'])
  expect(sets[1] && annotation(sets[1], 'deployment.kubernetes.io/revision-history')).toBe('1')
})

test('Recreate lets all old pods go first', async () => {
  const cluster = startTestCluster()
  cluster.create(workload('Deployment', 'web', { replicas: 3, strategy: { type: 'Recreate' } }))
  await rolledOut(cluster)
  const running: Set<string>[] = []
  cluster.client.watch(['pods'], () => {
    running.push(
      new Set(cluster.list('pods').map((pod) => textAt(pod, 'spec.containers.0.image') || imageOf(pod))),
    )
  })

  cluster.client.patch('deployments.apps', 'demo', 'web', image('web:2'))
  await rolledOut(cluster)

  expect(running.every((images) => images.size <= 1)).toBe(true)
  expect(cluster.list('pods').map(imageOf)).toEqual(['web:2', 'web:2', 'web:2'])
})

const imageOf = (pod: KubeObject) =>
  String((objectAt(pod, 'spec')['containers'] as { image: string }[])[0]?.image)

test('an image that never becomes ready keeps the old pods, and in time is told as too late', async () => {
  const cluster = startTestCluster({ neverReady: (image) => image === 'web:broken' })
  cluster.create(workload('Deployment', 'web', { replicas: 4, progressDeadlineSeconds: 1 }))
  await rolledOut(cluster)

  cluster.client.patch('deployments.apps', 'demo', 'web', image('web:broken'))
  const stuck = await cluster.until(() => {
    const deployment = cluster.get('deployments.apps', 'web')
    return conditions(deployment).includes('Progressing=False ProgressDeadlineExceeded') && deployment
  })

  expect(stuck['status']).toMatchObject({
    replicas: 5,
    updatedReplicas: 2,
    availableReplicas: 3,
    unavailableReplicas: 2,
  })
  expect(conditions(stuck)).toContain('Available=True MinimumReplicasAvailable')
  const [broken] = cluster.list('pods').filter((pod) => imageOf(pod) === 'web:broken')
  expect(broken?.['status']).toMatchObject({
    phase: 'Pending',
    containerStatuses: [
      { state: { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "web:broken"' } } },
    ],
  })
  expect(cluster.events('Pod')).toContain('Failed: Error: ImagePullBackOff')

  cluster.client.patch('deployments.apps', 'demo', 'web', image('web:1'))
  await rolledOut(cluster)
})

test('a paused Deployment waits, is scaled all the same, and goes on when it is resumed', async () => {
  const cluster = startTestCluster()
  cluster.create(workload('Deployment', 'web', { replicas: 2 }))
  await rolledOut(cluster)

  cluster.client.patch('deployments.apps', 'demo', 'web', { spec: { paused: true } })
  cluster.client.patch('deployments.apps', 'demo', 'web', { ...image('web:2') })
  cluster.client.patch('deployments.apps', 'demo', 'web', { spec: { replicas: 3 } })
  await cluster.until(
    () => numberAt(cluster.get('deployments.apps', 'web'), 'status.availableReplicas') === 3,
  )

  const paused = cluster.get('deployments.apps', 'web')
  expect(conditions(paused)).toContain('Progressing=Unknown DeploymentPaused')
  expect(cluster.list('pods').map(imageOf)).toEqual(['web:1', 'web:1', 'web:1'])

  cluster.client.patch('deployments.apps', 'demo', 'web', { spec: { paused: false } })
  await rolledOut(cluster)
  expect(cluster.list('pods').map(imageOf)).toEqual(['web:2', 'web:2', 'web:2'])
})

test('scaling amid a rollout shares out by size', async () => {
  const cluster = startTestCluster({ neverReady: (image) => image === 'web:broken' })
  cluster.create(workload('Deployment', 'web', { replicas: 10 }))
  await rolledOut(cluster)
  cluster.client.patch('deployments.apps', 'demo', 'web', image('web:broken'))
  const sizes = () => replicaSets(cluster).map((set) => numberAt(set, 'spec.replicas'))
  await cluster.until(() => sizes().join() === '8,5')

  cluster.client.patch('deployments.apps', 'demo', 'web', { spec: { replicas: 15 } })

  await cluster.until(() => sizes().reduce((sum, size) => sum + size, 0) === 19)
  expect(sizes()).toEqual([12, 7])
})

test('old ReplicaSets are kept as the limit says', async () => {
  const cluster = startTestCluster()
  cluster.create(workload('Deployment', 'web', { replicas: 1, revisionHistoryLimit: 1 }))
  for (const tag of [2, 3, 4]) {
    await rolledOut(cluster)
    cluster.client.patch('deployments.apps', 'demo', 'web', image(`web:${tag}`))
  }
  await rolledOut(cluster)

  await cluster.until(() => cluster.list('replicasets.apps').length === 2)
  expect(replicaSets(cluster).map((set) => annotation(set, revision))).toEqual(['3', '4'])
})

test('what is deleted takes everything along', async () => {
  const cluster = startTestCluster()
  cluster.create(workload('Deployment', 'web', { replicas: 2 }))
  await rolledOut(cluster)

  cluster.client.delete('deployments.apps', 'demo', 'web')

  await cluster.until(() => cluster.list('pods').length + cluster.list('replicasets.apps').length === 0)
})

test('pods that are orphaned are taken over again', async () => {
  const cluster = startTestCluster()
  const plan = workload('Deployment', 'web', { replicas: 2 })
  cluster.create(plan)
  await rolledOut(cluster)
  const names = cluster.list('pods').map((pod) => pod.metadata.name)
  cluster.client.delete('deployments.apps', 'demo', 'web', { propagationPolicy: 'Orphan' })
  await cluster.until(() => cluster.client.get('deployments.apps', 'demo', 'web') === undefined)

  cluster.create(plan)
  await rolledOut(cluster)

  expect(cluster.list('pods').map((pod) => pod.metadata.name)).toEqual(names)
  expect(cluster.list('replicasets.apps')).toHaveLength(1)
})

test('a pod that is deleted is made up for', async () => {
  const cluster = startTestCluster()
  cluster.create(workload('Deployment', 'web', { replicas: 2 }))
  await rolledOut(cluster)
  const [pod] = cluster.list('pods')

  cluster.client.delete('pods', 'demo', pod?.metadata.name ?? '')

  await cluster.until(() => {
    const names = cluster.list('pods').map(({ metadata }) => metadata.name)
    return names.length === 2 && !names.includes(pod?.metadata.name ?? '')
  })
})

test('minReadySeconds are waited for', async () => {
  const cluster = startTestCluster()
  cluster.create(workload('Deployment', 'web', { replicas: 1, minReadySeconds: 1 }))
  await cluster.until(() => numberAt(cluster.get('deployments.apps', 'web'), 'status.readyReplicas') === 1)
  expect(numberAt(cluster.get('deployments.apps', 'web'), 'status.availableReplicas')).toBe(0)

  await rolledOut(cluster)
})

test('forty Deployments at once settle, and others get their turn meanwhile', async () => {
  const cluster = startTestCluster()
  const names = Array.from({ length: 40 }, (_, index) => `web-${index}`)
  let turns = 0
  const turn = () => {
    turns++
    next = setImmediate(turn)
  }
  let next = setImmediate(turn)

  for (const name of names) cluster.create(workload('Deployment', name, { replicas: 1 }))
  for (const name of names)
    await cluster.until(() => isRolledOut(cluster.get('deployments.apps', name)), 25_000)
  clearImmediate(next)

  expect(turns).toBeGreaterThan(20)
})
