import { configMap, deployment } from './objects.ts'
import { mergePatch, test } from './script.ts'

const maps = '/api/v1/namespaces/$NS/configmaps'
const deployments = '/apis/apps/v1/namespaces/$NS/deployments'
const core = (plural: string) => `/api/v1/namespaces/$NS/${plural}`

const mistaken = (name: string) => ({
  ...deployment(name, { replica: 1 }, { imagePullPolice: 'Always', env: [{ name: 'A', vale: '1' }] }),
  extra: true,
})

test('fields that are not known', async ({ script }) => {
  const show = { show: (body: { spec?: object }) => (body.spec ? 'as it should be' : body) }
  await script.request('POST', deployments, mistaken('a'), show)
  await script.request('POST', `${deployments}?fieldValidation=Warn`, mistaken('b'), show)
  await script.request('POST', `${deployments}?fieldValidation=Strict`, mistaken('c'), show)
  await script.request('POST', `${deployments}?fieldValidation=Ignore`, mistaken('d'), show)
  await script.request('POST', `${deployments}?fieldValidation=Nonsense`, mistaken('e'), show)
  await script.request('PUT', `${deployments}/a?fieldValidation=Strict`, mistaken('a'), show)
  await script.request(
    'PATCH',
    `${deployments}/a?fieldValidation=Strict`,
    { spec: { replica: 2 } },
    {
      type: mergePatch,
      ...show,
    },
  )
  await script.request('PATCH', `${deployments}/a`, { spec: { replica: 2 } }, { type: mergePatch, ...show })
})

test('fields that are there twice', async ({ script }) => {
  const twice =
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"1","a":"2"},"data":{"b":"1"}}'
  await script.request('POST', `${maps}?fieldValidation=Strict`, twice)
  await script.request('POST', `${maps}?fieldValidation=Warn`, twice)
})

test.for([
  { what: 'replicas as text', object: deployment('a', { replicas: 'two' }) },
  { what: 'containers as a map', object: deployment('a', { template: { spec: { containers: {} } } }) },
  {
    what: 'a label that is a number',
    object: { ...deployment('a'), metadata: { name: 'a', labels: { a: 1 } } },
  },
  { what: 'a port too high', object: deployment('a', {}, { ports: [{ containerPort: 70000 }] }) },
  {
    what: 'no containers',
    object: deployment('a', { template: { metadata: { labels: { app: 'a' } }, spec: { containers: [] } } }),
  },
  { what: 'no image and a wrong name', object: deployment('a', {}, { image: undefined, name: 'A b' }) },
  { what: 'no selector', object: deployment('a', { selector: undefined }) },
  { what: 'a selector for others', object: deployment('a', { selector: { matchLabels: { app: 'b' } } }) },
  { what: 'a wrong pull policy', object: deployment('a', {}, { imagePullPolicy: 'Sometimes' }) },
  { what: 'a wrong quantity', object: deployment('a', {}, { resources: { limits: { cpu: 'much' } } }) },
  {
    what: 'a limit under its request',
    object: deployment('a', {}, { resources: { limits: { cpu: '1' }, requests: { cpu: '2' } } }),
  },
  { what: 'a wrong strategy', object: deployment('a', { strategy: { type: 'Sometimes' } }) },
  {
    what: 'the same port name twice',
    object: deployment(
      'a',
      {},
      {
        ports: [
          { name: 'p', containerPort: 1 },
          { name: 'p', containerPort: 2 },
        ],
      },
    ),
  },
  {
    what: 'a mount of no volume',
    object: deployment('a', {}, { volumeMounts: [{ name: 'v', mountPath: '/v' }] }),
  },
  { what: 'a negative number', object: deployment('a', { replicas: -1, minReadySeconds: -1 }) },
])('a Deployment with $what', async ({ object }, { script }) => {
  await script.request('POST', deployments, object)
})

test.for([
  {
    what: 'without ports',
    plural: 'services',
    object: { kind: 'Service', metadata: { name: 'a' }, spec: {} },
  },
  {
    what: 'of a wrong type',
    plural: 'services',
    object: { kind: 'Service', metadata: { name: 'a' }, spec: { type: 'Nonsense', ports: [{ port: 80 }] } },
  },
  {
    what: 'with a wrong port',
    plural: 'services',
    object: { kind: 'Service', metadata: { name: 'a' }, spec: { ports: [{ port: 0 }, { port: 81 }] } },
  },
  {
    what: 'with a wrong name',
    plural: 'services',
    object: { kind: 'Service', metadata: { name: '1a' }, spec: { ports: [{ port: 80 }] } },
  },
  {
    what: 'that is not base64',
    plural: 'secrets',
    object: { kind: 'Secret', metadata: { name: 'a' }, data: { a: '*' } },
  },
  {
    what: 'with a wrong key',
    plural: 'secrets',
    object: { kind: 'Secret', metadata: { name: 'a' }, data: { 'a b': '' } },
  },
  {
    what: 'of a typed kind without its key',
    plural: 'secrets',
    object: { kind: 'Secret', metadata: { name: 'a' }, type: 'kubernetes.io/dockerconfigjson' },
  },
  {
    what: 'with numbers',
    plural: 'configmaps',
    object: { kind: 'ConfigMap', metadata: { name: 'a' }, data: { a: 1, b: true } },
  },
  {
    what: 'with null',
    plural: 'configmaps',
    object: { kind: 'ConfigMap', metadata: { name: 'a' }, data: { a: null } },
  },
])('a $object.kind $what', async ({ plural, object }, { script }) => {
  await script.request('POST', core(plural), { apiVersion: 'v1', ...object })
})

test.for([
  {
    kind: 'Pod',
    path: core('pods'),
    object: { apiVersion: 'v1', spec: { containers: [{ name: 'a', image: 'b' }], nodeName: 'nowhere' } },
  },
  {
    kind: 'Service',
    path: core('services'),
    object: {
      apiVersion: 'v1',
      spec: {
        selector: { a: 'b' },
        ports: [{ port: 80 }, { port: 81, name: 'b', targetPort: 'x' }].slice(0, 1),
      },
    },
  },
  { kind: 'Secret', path: core('secrets'), object: { apiVersion: 'v1', stringData: { a: 'b' } } },
  { kind: 'ServiceAccount', path: core('serviceaccounts'), object: { apiVersion: 'v1' } },
  {
    kind: 'PersistentVolumeClaim',
    path: core('persistentvolumeclaims'),
    object: {
      apiVersion: 'v1',
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
  },
  {
    kind: 'Deployment',
    path: deployments,
    object: { apiVersion: 'apps/v1', spec: { ...deployment('x').spec, replicas: 0 } },
  },
  {
    kind: 'StatefulSet',
    path: '/apis/apps/v1/namespaces/$NS/statefulsets',
    object: { apiVersion: 'apps/v1', spec: { ...deployment('x').spec, serviceName: 'x', replicas: 0 } },
  },
  {
    kind: 'DaemonSet',
    path: '/apis/apps/v1/namespaces/$NS/daemonsets',
    object: {
      apiVersion: 'apps/v1',
      spec: {
        selector: { matchLabels: { app: 'x' } },
        template: {
          ...deployment('x').spec.template,
          spec: {
            containers: [
              {
                name: 'a',
                image: 'b:1',
                livenessProbe: { httpGet: { port: 80 } },
                ports: [{ containerPort: 80 }],
              },
            ],
            nodeSelector: { none: 'such' },
            volumes: [
              { name: 'v', configMap: { name: 'x' } },
              { name: 'h', hostPath: { path: '/' } },
            ],
          },
        },
      },
    },
  },
  {
    kind: 'Job',
    path: '/apis/batch/v1/namespaces/$NS/jobs',
    object: {
      apiVersion: 'batch/v1',
      spec: {
        suspend: true,
        template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'b:latest' }] } },
      },
    },
  },
  {
    kind: 'CronJob',
    path: '/apis/batch/v1/namespaces/$NS/cronjobs',
    object: {
      apiVersion: 'batch/v1',
      spec: {
        schedule: '0 0 1 1 *',
        jobTemplate: {
          spec: {
            template: { spec: { restartPolicy: 'OnFailure', containers: [{ name: 'a', image: 'b' }] } },
          },
        },
      },
    },
  },
  {
    kind: 'Ingress',
    path: '/apis/networking.k8s.io/v1/namespaces/$NS/ingresses',
    object: {
      apiVersion: 'networking.k8s.io/v1',
      spec: {
        rules: [
          {
            host: 'a.b',
            http: {
              paths: [
                { path: '/', pathType: 'Prefix', backend: { service: { name: 'a', port: { number: 80 } } } },
              ],
            },
          },
        ],
      },
    },
  },
  {
    kind: 'NetworkPolicy',
    path: '/apis/networking.k8s.io/v1/namespaces/$NS/networkpolicies',
    object: {
      apiVersion: 'networking.k8s.io/v1',
      spec: { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] },
    },
  },
  {
    kind: 'HorizontalPodAutoscaler',
    path: '/apis/autoscaling/v2/namespaces/$NS/horizontalpodautoscalers',
    object: {
      apiVersion: 'autoscaling/v2',
      spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x' } },
    },
  },
  {
    kind: 'Role',
    path: '/apis/rbac.authorization.k8s.io/v1/namespaces/$NS/roles',
    object: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
    },
  },
  {
    kind: 'RoleBinding',
    path: '/apis/rbac.authorization.k8s.io/v1/namespaces/$NS/rolebindings',
    object: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      roleRef: { kind: 'Role', name: 'x' },
      subjects: [{ kind: 'ServiceAccount', name: 'x' }],
    },
  },
  {
    kind: 'PodDisruptionBudget',
    path: '/apis/policy/v1/namespaces/$NS/poddisruptionbudgets',
    object: { apiVersion: 'policy/v1', spec: { minAvailable: 1, selector: { matchLabels: { a: 'b' } } } },
  },
  {
    kind: 'LimitRange',
    path: core('limitranges'),
    object: { apiVersion: 'v1', spec: { limits: [{ type: 'Container', default: { cpu: '1' } }] } },
  },
  {
    kind: 'Lease',
    path: '/apis/coordination.k8s.io/v1/namespaces/$NS/leases',
    object: { apiVersion: 'coordination.k8s.io/v1', spec: { holderIdentity: 'x', leaseDurationSeconds: 5 } },
  },
  {
    kind: 'PriorityClass',
    path: '/apis/scheduling.k8s.io/v1/priorityclasses',
    object: { apiVersion: 'scheduling.k8s.io/v1', value: 10 },
  },
  {
    kind: 'StorageClass',
    path: '/apis/storage.k8s.io/v1/storageclasses',
    object: { apiVersion: 'storage.k8s.io/v1', provisioner: 'x.example.com' },
  },
  {
    kind: 'Endpoints',
    path: core('endpoints'),
    object: { apiVersion: 'v1', subsets: [{ addresses: [{ ip: '1.2.3.4' }], ports: [{ port: 80 }] }] },
  },
  {
    kind: 'ResourceQuota',
    path: core('resourcequotas'),
    object: { apiVersion: 'v1', spec: { hard: { pods: '10' } } },
  },
])('a $kind with little said gets its defaults', async ({ kind, path, object }, { script }) => {
  const name = `${kind.toLowerCase()}-of-$NS`
  await script.request(
    'POST',
    `${path}?dryRun=All`,
    { ...object, kind, metadata: { name } },
    {
      show: ({ status: _, ...body }) => body,
    },
  )
})

test('quantities and times are told in their own way', async ({ script }) => {
  const resources = {
    limits: { cpu: '1000m', memory: '1024Mi', 'example.com/gpu': 1 },
    requests: { cpu: 0.1, memory: '1e3', 'example.com/gpu': 1 },
  }
  await script.request('POST', `${deployments}?dryRun=All`, deployment('a', {}, { resources }), {
    show: (body) => body.spec?.template.spec.containers[0].resources ?? body,
  })
  await script.request(
    'POST',
    maps,
    configMap('a', {}, { creationTimestamp: null, labels: null, annotations: {} }),
  )
})
