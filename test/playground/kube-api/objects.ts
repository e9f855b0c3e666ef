import type { JsonObject } from '../../../src/core/json.ts'

/**
 * Objects that an API server takes, and others that it refuses. What the real one made of them stands in
 * `test/fixtures/kube-api`.
 */

const pod = (c: JsonObject = {}, s: JsonObject = {}) => ({
  containers: [{ name: 'c', image: 'nginx', ...c }],
  ...s,
})
const template = (c: JsonObject = {}, s: JsonObject = {}, m: JsonObject = {}) => ({
  metadata: { labels: { a: 'b' }, ...m },
  spec: pod(c, s),
})
const labelled = (c: JsonObject = {}, s: JsonObject = {}, p: JsonObject = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'x', labels: { q: 'r' } },
  spec: { selector: { matchLabels: { a: 'b' } }, template: template(c, p), ...s },
})
const object = (apiVersion: string, kind: string, { metadata, ...rest }: JsonObject) => ({
  apiVersion,
  kind,
  metadata: { name: 'x', ...(metadata as JsonObject | undefined) },
  ...rest,
})
/** Taken as they are, and filled in. */
export const accepted: JsonObject[] = [
  labelled(),
  labelled(
    {
      image: 'nginx:1.2',
      args: [],
      command: ['a'],
      env: [
        { name: 'A' },
        { name: 'B', value: '' },
        { name: 'C', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'D', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
      ],
      ports: [{ containerPort: 80 }, { containerPort: 53, protocol: 'UDP', name: 'dns' }],
      livenessProbe: { httpGet: { port: 80 } },
      readinessProbe: { tcpSocket: { port: 'dns' }, timeoutSeconds: 0 },
      startupProbe: { exec: { command: ['x'] } },
      resources: { limits: { cpu: '1000m', memory: '1024Mi' }, requests: { cpu: 0.5, memory: '1e3' } },
      securityContext: {},
      volumeMounts: [{ name: 'v', mountPath: '/x' }],
      tty: false,
      stdin: true,
    },
    {
      replicas: 0,
      paused: false,
      minReadySeconds: 0,
      revisionHistoryLimit: 0,
      strategy: { type: 'Recreate' },
    },
    {
      volumes: [
        { name: 'v' },
        { name: 'w', configMap: { name: 'x' } },
        { name: 's', secret: { secretName: 'x', defaultMode: 0 } },
        { name: 'h', hostPath: { path: '/x' } },
        {
          name: 'p',
          projected: {
            sources: [
              { serviceAccountToken: { path: 'x' } },
              { downwardAPI: { items: [{ path: 'l', fieldRef: { fieldPath: 'metadata.labels' } }] } },
            ],
          },
        },
        { name: 'e', emptyDir: {} },
        { name: 'd', downwardAPI: { items: [] } },
        { name: 'n', nfs: { server: 'x', path: '/y' } },
        { name: 'pv', persistentVolumeClaim: { claimName: 'x' } },
        { name: 'cs', csi: { driver: 'x' } },
      ],
      serviceAccountName: 'foo',
      imagePullSecrets: [{ name: 'a' }],
      nodeSelector: {},
      tolerations: [{ key: 'x', operator: 'Exists' }],
      affinity: {
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, podAffinityTerm: { topologyKey: 'k', labelSelector: { matchLabels: { a: 'b' } } } },
          ],
        },
      },
      hostNetwork: false,
      terminationGracePeriodSeconds: 0,
      initContainers: [
        { name: 'i', image: 'a@sha256:0000000000000000000000000000000000000000000000000000000000000000' },
      ],
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'z',
          whenUnsatisfiable: 'DoNotSchedule',
          labelSelector: { matchLabels: { a: 'b' } },
        },
      ],
    },
  ),
  labelled(
    {},
    { strategy: { rollingUpdate: { maxSurge: 1 } } },
    {
      securityContext: { runAsUser: 0, fsGroup: 1 },
      hostAliases: [{ ip: '1.2.3.4', hostnames: ['a'] }],
      dnsConfig: { nameservers: ['1.1.1.1'] },
      priorityClassName: '',
      enableServiceLinks: false,
    },
  ),
  object('apps/v1', 'StatefulSet', {
    spec: {
      serviceName: 's',
      selector: { matchLabels: { a: 'b' } },
      template: template(),
      volumeClaimTemplates: [
        {
          metadata: { name: 'd' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        },
      ],
    },
  }),
  object('apps/v1', 'StatefulSet', {
    spec: {
      updateStrategy: { type: 'OnDelete' },
      selector: { matchLabels: { a: 'b' } },
      template: template(),
    },
  }),
  object('apps/v1', 'DaemonSet', { spec: { selector: { matchLabels: { a: 'b' } }, template: template() } }),
  object('apps/v1', 'ReplicaSet', { spec: { selector: { matchLabels: { a: 'b' } }, template: template() } }),
  object('batch/v1', 'Job', {
    spec: { template: { spec: pod({}, { restartPolicy: 'Never' }) }, manualSelector: false },
  }),
  object('batch/v1', 'CronJob', {
    spec: {
      schedule: '*/5 * * * *',
      jobTemplate: { spec: { template: { spec: pod({}, { restartPolicy: 'OnFailure' }) } } },
    },
  }),
  object('v1', 'Pod', { spec: pod({ resources: { limits: { cpu: '1' } } }) }),
  object('v1', 'Service', {
    spec: {
      ports: [
        { name: 'a', port: 80 },
        { name: 'b', port: 81, targetPort: 'x', protocol: 'UDP' },
      ],
      selector: { a: 'b' },
      clusterIP: '10.96.7.7',
    },
  }),
  object('v1', 'Service', { spec: { type: 'ExternalName', externalName: 'foo.example' } }),
  object('v1', 'Service', {
    spec: { clusterIP: 'None', sessionAffinity: 'ClientIP', ports: [{ port: 80 }], selector: { a: 'b' } },
  }),
  object('v1', 'Secret', { data: { a: 'YQ==' } }),
  object('v1', 'Secret', { type: 'kubernetes.io/basic-auth', data: { username: 'YQ==' }, immutable: false }),
  object('v1', 'Secret', {}),
  object('v1', 'ConfigMap', { data: { a: 'b', empty: '' } }),
  object('v1', 'ConfigMap', {
    metadata: {
      labels: { a: 'b' },
      annotations: { x: '' },
      finalizers: ['a/b'],
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'u' }],
    },
  }),
  object('v1', 'ConfigMap', { data: {}, metadata: { labels: {}, annotations: {} } }),
  object('v1', 'Namespace', { metadata: { name: 'foo' } }),
  object('v1', 'PersistentVolumeClaim', {
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '1024Mi' } },
      storageClassName: '',
    },
  }),
  object('v1', 'PersistentVolume', {
    spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } },
  }),
  object('v1', 'ServiceAccount', {}),
  object('v1', 'ServiceAccount', { automountServiceAccountToken: false, imagePullSecrets: [{ name: 'a' }] }),
  object('v1', 'LimitRange', {
    spec: { limits: [{ type: 'Container', max: { cpu: '1' }, min: { cpu: '100m' } }] },
  }),
  object('v1', 'ResourceQuota', { spec: { hard: { cpu: '1' } } }),
  object('v1', 'Endpoints', { subsets: [{ addresses: [{ ip: '1.2.3.4' }], ports: [{ port: 80 }] }] }),
  object('networking.k8s.io/v1', 'Ingress', {
    spec: {
      rules: [
        {
          host: 'a.b',
          http: {
            paths: [
              { path: '/', pathType: 'Prefix', backend: { service: { name: 's', port: { number: 80 } } } },
            ],
          },
        },
      ],
      tls: [{ hosts: ['a.b'], secretName: 's' }],
    },
  }),
  object('networking.k8s.io/v1', 'IngressClass', {
    spec: { controller: 'a.b/c', parameters: { kind: 'X', name: 'y' } },
  }),
  object('networking.k8s.io/v1', 'NetworkPolicy', {
    spec: {
      podSelector: {},
      ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 80 }] }],
      egress: [{}],
    },
  }),
  object('autoscaling/v2', 'HorizontalPodAutoscaler', {
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'x', apiVersion: 'apps/v1' },
      maxReplicas: 3,
      behavior: { scaleDown: { stabilizationWindowSeconds: 5 } },
    },
  }),
  object('autoscaling/v2', 'HorizontalPodAutoscaler', {
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'x', apiVersion: 'apps/v1' },
      maxReplicas: 3,
      minReplicas: 2,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1024Mi' } },
        },
      ],
    },
  }),
  object('policy/v1', 'PodDisruptionBudget', {
    spec: { minAvailable: 1, selector: { matchLabels: { a: 'b' } } },
  }),
  object('rbac.authorization.k8s.io/v1', 'Role', {
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
  }),
  object('rbac.authorization.k8s.io/v1', 'Role', {}),
  object('rbac.authorization.k8s.io/v1', 'ClusterRole', {
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] },
  }),
  object('rbac.authorization.k8s.io/v1', 'RoleBinding', {
    roleRef: { kind: 'Role', name: 'x' },
    subjects: [
      { kind: 'ServiceAccount', name: 'a', namespace: 'b' },
      { kind: 'User', name: 'u' },
    ],
  }),
  object('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', {
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'x' },
  }),
  object('admissionregistration.k8s.io/v1', 'ValidatingWebhookConfiguration', {
    webhooks: [
      {
        name: 'a.b.c',
        clientConfig: { service: { name: 's', namespace: 'n' } },
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
      },
    ],
  }),
  object('admissionregistration.k8s.io/v1', 'MutatingWebhookConfiguration', {
    webhooks: [
      {
        name: 'a.b.c',
        clientConfig: { url: 'https://x.y', caBundle: '' },
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
      },
    ],
  }),
  object('storage.k8s.io/v1', 'StorageClass', { provisioner: 'x/y' }),
  object('storage.k8s.io/v1', 'CSIDriver', { spec: {} }),
  object('scheduling.k8s.io/v1', 'PriorityClass', { value: 5 }),
  object('coordination.k8s.io/v1', 'Lease', {
    spec: { holderIdentity: 'x', renewTime: '2020-01-01T00:00:00.123456Z', leaseDurationSeconds: 15 },
  }),
  object('v1', 'Event', {
    metadata: { namespace: 'default' },
    involvedObject: { kind: 'Pod', namespace: 'default', name: 'x' },
    reason: 'r',
    message: 'm',
    type: 'Normal',
    firstTimestamp: '2020-01-01T00:00:00Z',
    lastTimestamp: '2020-01-01T00:00:00Z',
    count: 1,
    source: { component: 'c' },
  }),
  object('discovery.k8s.io/v1', 'EndpointSlice', {
    addressType: 'IPv4',
    endpoints: [{ addresses: ['1.2.3.4'] }],
    ports: [{ port: 80 }],
  }),
  {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'foos.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'foos', kind: 'Foo' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: { spec: { type: 'object', properties: { a: { type: 'string', default: 'x' } } } },
            },
          },
        },
      ],
    },
  },
  object('v1', 'ReplicationController', { spec: { template: template() } }),
  object('v1', 'PodTemplate', { template: template() }),
  object('v1', 'Node', {}),
]

const deployment = (
  c: JsonObject = {},
  p: JsonObject = {},
  s: JsonObject = {},
  m: JsonObject = {},
): JsonObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'x', ...m },
  spec: { selector: { matchLabels: { a: 'b' } }, template: template(c, p), ...s },
})
const bare = (apiVersion: string, kind: string, rest: JsonObject, m: JsonObject = {}): JsonObject => ({
  apiVersion,
  kind,
  metadata: { name: 'x', ...m },
  ...rest,
})
const svc = (spec: JsonObject, m: JsonObject = {}) => bare('v1', 'Service', { spec }, m)
const ing = (spec: JsonObject) => bare('networking.k8s.io/v1', 'Ingress', { spec })
const p = (x: JsonObject = {}) => ({
  path: '/',
  pathType: 'Prefix',
  backend: { service: { name: 's', port: { number: 80 } } },
  ...x,
})
const hpa = (spec: JsonObject) =>
  bare('autoscaling/v2', 'HorizontalPodAutoscaler', {
    spec: { scaleTargetRef: { kind: 'D', name: 'x' }, maxReplicas: 1, ...spec },
  })
const cron = (spec: JsonObject, js: JsonObject = {}, ps: JsonObject = { restartPolicy: 'Never' }) =>
  bare('batch/v1', 'CronJob', {
    spec: {
      schedule: '* * * * *',
      jobTemplate: { spec: { template: { spec: pod({}, ps) }, ...js } },
      ...spec,
    },
  })
const job = (spec: JsonObject, ps: JsonObject = { restartPolicy: 'Never' }) =>
  bare('batch/v1', 'Job', { spec: { template: { spec: pod({}, ps) }, ...spec } })
const pvc = (spec: JsonObject) =>
  bare('v1', 'PersistentVolumeClaim', {
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
  })
/** Refused, each for what is odd about it. */
export const refused: JsonObject[] = [
  bare('v1', 'ConfigMap', {}, { name: 'A_b' }),
  bare('v1', 'ConfigMap', {}, { name: 'a'.repeat(254) }),
  bare('v1', 'ConfigMap', {}, { name: '' }),
  bare('v1', 'ConfigMap', { data: { 'a b': 'x' } }),
  bare('v1', 'ConfigMap', { data: { '..': 'x', '..a': 'y' } }),
  bare('v1', 'ConfigMap', { data: { a: 'x' }, binaryData: { a: 'YQ==' } }),
  bare(
    'v1',
    'ConfigMap',
    {},
    {
      labels: { 'a b': 'x', 'x/y/z': 'q', '/x': '1', 'A_/b': '1', '': 'x', ok: 'a b' },
      annotations: { 'a b': '1' },
    },
  ),
  bare('v1', 'ConfigMap', {}, { labels: { ['a'.repeat(64)]: 'b'.repeat(64) } }),
  bare('v1', 'ConfigMap', {}, { finalizers: ['foo'] }),
  bare('v1', 'ConfigMap', {}, { finalizers: ['foo bar/x'] }),
  bare('v1', 'ConfigMap', {}, { ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: '', uid: '' }] }),
  bare(
    'v1',
    'ConfigMap',
    {},
    {
      ownerReferences: [
        { apiVersion: '', kind: '', name: 'a', uid: 'b', controller: true },
        { apiVersion: 'v1', kind: 'X', name: 'a', uid: 'b', controller: true },
      ],
    },
  ),
  bare('v1', 'Secret', { data: { 'a b': 'eA==' } }),
  bare('v1', 'Secret', { type: 'kubernetes.io/tls' }),
  bare('v1', 'Secret', { type: 'kubernetes.io/dockerconfigjson' }),
  bare('v1', 'Secret', { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': 'eA==' } }),
  bare('v1', 'Secret', { type: 'kubernetes.io/basic-auth' }),
  bare('v1', 'Secret', { type: 'kubernetes.io/ssh-auth' }),
  bare('v1', 'Secret', { type: 'kubernetes.io/service-account-token' }),
  bare('v1', 'Namespace', {}, { name: 'a.b' }),
  bare('v1', 'Namespace', {}, { name: 'A' }),
  bare('v1', 'Namespace', {}, { name: 'a'.repeat(64) }),
  bare('v1', 'ServiceAccount', {}, { name: 'A' }),
  deployment({}, {}, { selector: { matchLabels: { x: 'y' } } }),
  deployment({}, {}, { selector: {} }),
  deployment({}, {}, { selector: null }),
  deployment(
    {},
    {},
    {
      selector: {
        matchExpressions: [
          { key: 'a', operator: 'Foo' },
          { key: 'b', operator: 'In' },
          { key: 'c', operator: 'Exists', values: ['x'] },
        ],
      },
    },
  ),
  deployment({}, {}, { selector: { matchLabels: { 'a b': 'c d' } } }),
  deployment({}, {}, { replicas: -1 }),
  deployment({}, {}, { minReadySeconds: -1 }),
  deployment({}, {}, { revisionHistoryLimit: -1 }),
  deployment({}, {}, { progressDeadlineSeconds: 0 }),
  deployment({}, {}, { minReadySeconds: 700 }),
  deployment({}, {}, { strategy: { type: 'Foo' } }),
  deployment({}, {}, { strategy: { type: 'Recreate', rollingUpdate: {} } }),
  deployment({}, {}, { strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } }),
  deployment({}, {}, { strategy: { rollingUpdate: { maxSurge: 'x', maxUnavailable: '101%' } } }),
  deployment({}, {}, { strategy: { rollingUpdate: { maxSurge: -1 } } }),
  deployment({}, { containers: [] }),
  deployment({}, { containers: null }),
  deployment({ name: '' }),
  deployment({ name: 'A_' }),
  deployment({ name: 'a'.repeat(64) }),
  deployment({ image: '' }),
  deployment({ image: ' x' }),
  deployment({ image: null }),
  deployment(
    {},
    {
      containers: [
        { name: 'a', image: 'x' },
        { name: 'a', image: 'y' },
      ],
    },
  ),
  deployment({}, { initContainers: [{ name: 'c', image: 'x' }] }),
  deployment({}, { initContainers: [{ name: 'i', image: '' }] }),
  deployment({ imagePullPolicy: 'Foo' }),
  deployment({ terminationMessagePolicy: 'Foo' }),
  deployment({}, { restartPolicy: 'Never' }),
  deployment({}, { restartPolicy: 'Foo' }),
  deployment({}, { dnsPolicy: 'Foo' }),
  deployment({}, { terminationGracePeriodSeconds: -1 }),
  deployment({}, { activeDeadlineSeconds: 5 }),
  deployment({}, { serviceAccountName: 'A_' }),
  deployment({}, { nodeName: 'A_' }),
  deployment({}, { hostname: 'A.b' }),
  deployment({}, { nodeSelector: { 'a b': 'c d' } }),
  deployment({}, { imagePullSecrets: [{}] }),
  deployment({}, { priorityClassName: 'A_' }),
  deployment({}, { schedulerName: 'A_' }),
  deployment(
    {},
    {
      tolerations: [
        { key: 'a b', operator: 'Foo', effect: 'Bar' },
        { operator: 'Equal', value: 'x' },
        { key: 'a', operator: 'Exists', value: 'x' },
        { tolerationSeconds: 5, key: 'a' },
      ],
    },
  ),
  deployment({ env: [{ name: '' }] }),
  deployment({ env: [{ name: 'a=b' }] }),
  deployment({ env: [{ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }] }),
  deployment({ env: [{ name: 'A', valueFrom: {} }] }),
  deployment({ env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'foo' } } }] }),
  deployment({ env: [{ name: 'A', valueFrom: { secretKeyRef: { name: '', key: '' } } }] }),
  deployment({ env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'A_', key: 'a b' } } }] }),
  deployment({ env: [{ name: 'A', valueFrom: { resourceFieldRef: { resource: 'foo' } } }] }),
  deployment({ envFrom: [{}] }),
  deployment({ envFrom: [{ prefix: '=', configMapRef: { name: '' } }] }),
  deployment({ ports: [{ containerPort: 0 }] }),
  deployment({ ports: [{ containerPort: 70000 }] }),
  deployment({ ports: [{ containerPort: 80, protocol: 'Foo' }] }),
  deployment({ ports: [{ containerPort: 80, name: 'A_' }] }),
  deployment({ ports: [{ containerPort: 80, name: 'this-is-too-long-a-name' }] }),
  deployment({
    ports: [
      { containerPort: 80, name: 'a' },
      { containerPort: 81, name: 'a' },
    ],
  }),
  deployment({ ports: [{ containerPort: 80, hostPort: 70000 }] }),
  deployment({
    ports: [
      { containerPort: 80, hostPort: 80 },
      { containerPort: 81, hostPort: 80 },
    ],
  }),
  deployment({
    ports: [
      { containerPort: 80, name: '123' },
      { containerPort: 82, name: 'a--b' },
    ],
  }),
  deployment({ ports: [{ containerPort: 80, hostPort: 81 }] }, { hostNetwork: true }),
  deployment({ volumeMounts: [{ name: 'v', mountPath: '/x' }] }),
  deployment({ volumeMounts: [{ name: '', mountPath: '' }] }),
  deployment(
    {
      volumeMounts: [
        { name: 'v', mountPath: '/x' },
        { name: 'v', mountPath: '/x' },
      ],
    },
    { volumes: [{ name: 'v' }] },
  ),
  deployment(
    {
      volumeMounts: [
        { name: 'v', mountPath: '/x', subPath: '/abs' },
        { name: 'v', mountPath: '/y', subPath: '../x' },
      ],
    },
    { volumes: [{ name: 'v' }] },
  ),
  deployment({}, { volumes: [{ name: 'v' }, { name: 'v' }] }),
  deployment({}, { volumes: [{ name: 'A_' }] }),
  deployment({}, { volumes: [{ name: '' }] }),
  deployment({}, { volumes: [{ name: 'v', emptyDir: {}, secret: { secretName: 'x' } }] }),
  deployment(
    {},
    {
      volumes: [
        { name: 'v', secret: {} },
        { name: 'w', configMap: {} },
        { name: 'h', hostPath: { path: '' } },
        { name: 'p', persistentVolumeClaim: {} },
      ],
    },
  ),
  deployment(
    {},
    {
      volumes: [
        { name: 'v', secret: { secretName: 'x', defaultMode: 9999 } },
        { name: 'w', configMap: { name: 'x', items: [{ key: '', path: '/abs' }] } },
      ],
    },
  ),
  deployment(
    {},
    {
      volumes: [
        { name: 'v', nfs: { server: '', path: 'x' } },
        { name: 'j', projected: { sources: [{}] } },
        { name: 'h', hostPath: { path: '/x/../y', type: 'Foo' } },
      ],
    },
  ),
  deployment({ livenessProbe: {} }),
  deployment({ livenessProbe: { httpGet: { port: 0 } } }),
  deployment({ livenessProbe: { httpGet: { port: 'A_' }, exec: { command: ['x'] } } }),
  deployment({ livenessProbe: { exec: {} } }),
  deployment({ livenessProbe: { httpGet: { port: 80 }, successThreshold: 2, timeoutSeconds: -1 } }),
  deployment({
    readinessProbe: {
      tcpSocket: { port: 70000 },
      periodSeconds: -1,
      failureThreshold: -1,
      initialDelaySeconds: -1,
    },
  }),
  deployment({
    livenessProbe: {
      httpGet: { port: 80, scheme: 'FOO', path: '', httpHeaders: [{ name: 'a b', value: 'x' }] },
    },
  }),
  deployment({ lifecycle: { preStop: {} } }),
  deployment({ resources: { limits: { cpu: '1' }, requests: { cpu: '2' } } }),
  deployment({ resources: { limits: { cpu: '-1' } } }),
  deployment({ resources: { limits: { foo: '1' } } }),
  deployment({ resources: { requests: { 'example.com/x': '1' } } }),
  deployment({
    resources: { limits: { memory: '1Mi' }, requests: { memory: '2Mi', 'hugepages-2Mi': '2Mi' } },
  }),
  deployment({ resources: { limits: { 'a b': '1' } } }),
  deployment({ resources: { requests: { 'example.com/x': '1.5' }, limits: { 'example.com/x': '1.5' } } }),
  deployment({ securityContext: { runAsUser: -1, privileged: true, allowPrivilegeEscalation: false } }),
  deployment({}, { securityContext: { runAsUser: -1, fsGroup: -1, supplementalGroups: [-1] } }),
  deployment(
    {},
    {
      affinity: {
        nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } },
      },
    },
  ),
  deployment({}, { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{}] } } }),
  deployment({}, { topologySpreadConstraints: [{ maxSkew: 0, topologyKey: '', whenUnsatisfiable: 'Foo' }] }),
  deployment({}, { hostAliases: [{ ip: 'x' }] }),
  deployment({}, { dnsPolicy: 'None' }),
  deployment({}, {}, {}, { name: 'A' }),
  deployment({}, {}, { template: { metadata: { labels: { a: 'b', 'x y': 'z' } }, spec: pod() } }),
  bare('apps/v1', 'StatefulSet', {
    spec: {
      replicas: -1,
      podManagementPolicy: 'Foo',
      updateStrategy: { type: 'Foo' },
      selector: { matchLabels: { a: 'c' } },
      template: template(),
    },
  }),
  bare('apps/v1', 'StatefulSet', {
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: template({}, { restartPolicy: 'Never' }),
      updateStrategy: { rollingUpdate: { partition: -1 } },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Foo' },
    },
  }),
  bare('apps/v1', 'StatefulSet', { spec: { serviceName: 'A_', selector: {}, template: template() } }),
  bare('apps/v1', 'DaemonSet', {
    spec: { selector: { matchLabels: { a: 'c' } }, template: template({}, { restartPolicy: 'Never' }) },
  }),
  bare('apps/v1', 'DaemonSet', {
    spec: {
      updateStrategy: { type: 'Foo' },
      minReadySeconds: -1,
      revisionHistoryLimit: -1,
      selector: { matchLabels: { a: 'b' } },
      template: template(),
    },
  }),
  bare('apps/v1', 'DaemonSet', {
    spec: { updateStrategy: { rollingUpdate: { maxUnavailable: 0 } }, selector: {}, template: template() },
  }),
  bare('apps/v1', 'ReplicaSet', {
    spec: { replicas: -1, selector: { matchLabels: { a: 'c' } }, template: template() },
  }),
  job({}, {}),
  job({
    parallelism: -1,
    completions: -1,
    backoffLimit: -1,
    activeDeadlineSeconds: -1,
    ttlSecondsAfterFinished: -1,
  }),
  job({ completionMode: 'Foo' }),
  job({ completionMode: 'Indexed', completions: null }),
  job({ manualSelector: true, selector: { matchLabels: { q: 'b' } } }),
  job({}, { containers: [], restartPolicy: 'Never' }),
  cron({ schedule: '' }),
  cron({ schedule: 'x' }),
  cron({ schedule: '* * * *' }),
  cron({ schedule: '61 * * * *' }),
  cron({ schedule: 'TZ=UTC * * * * *' }),
  cron({ concurrencyPolicy: 'Foo' }),
  cron({ startingDeadlineSeconds: -1, successfulJobsHistoryLimit: -1, failedJobsHistoryLimit: -1 }),
  cron({ timeZone: 'Foo/Bar' }),
  cron({ timeZone: '' }),
  cron({}, {}, {}),
  cron({ schedule: '@every 1h' }),
  cron({ schedule: '@foo' }),
  bare(
    'batch/v1',
    'CronJob',
    {
      spec: {
        schedule: '* * * * *',
        jobTemplate: { spec: { template: { spec: pod({}, { restartPolicy: 'Never' }) } } },
      },
    },
    { name: 'a'.repeat(53) },
  ),
  svc({ ports: [] }),
  svc({}),
  svc({ ports: [{ port: 0 }] }),
  svc({ ports: [{ port: 80 }, { port: 81 }] }),
  svc({
    ports: [
      { name: 'a', port: 80 },
      { name: 'a', port: 81 },
    ],
  }),
  svc({
    ports: [
      { name: 'a', port: 80 },
      { name: 'b', port: 80 },
    ],
  }),
  svc({ ports: [{ port: 80, targetPort: 'A_' }] }),
  svc({ ports: [{ port: 80, targetPort: 70000 }] }),
  svc({ ports: [{ port: 80, protocol: 'Foo' }] }),
  svc({ ports: [{ port: 80 }], type: 'Foo' }),
  svc({ ports: [{ port: 80 }], sessionAffinity: 'Foo' }),
  svc({ ports: [{ port: 80, name: 'A_' }] }),
  svc({ type: 'ExternalName' }),
  svc({ type: 'ExternalName', externalName: 'A_' }),
  svc({ ports: [{ port: 80 }], selector: { 'a b': 'c d' } }),
  svc({ ports: [{ port: 80, nodePort: 30000 }] }),
  svc({ ports: [{ port: 80 }], clusterIP: 'x' }),
  svc({ ports: [{ port: 80 }], clusterIP: 'None', type: 'NodePort' }),
  svc({ ports: [{ port: 80 }], externalIPs: ['x'] }),
  svc({ ports: [{ port: 80 }], externalTrafficPolicy: 'Local' }),
  svc({ ports: [{ port: 80 }], internalTrafficPolicy: 'Foo' }),
  svc({ ports: [{ port: 80 }] }, { name: '1a' }),
  svc({ ports: [{ port: 80 }] }, { name: 'a.b' }),
  svc({ ports: [{ port: 80 }], type: 'ExternalName', externalName: 'a.b', clusterIP: '10.96.0.9' }),
  svc({
    ports: [{ port: 80 }],
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } },
  }),
  ing({}),
  ing({ rules: [{ host: 'A_', http: { paths: [p()] } }] }),
  ing({ rules: [{ http: { paths: [p({ path: 'x' })] } }] }),
  ing({ rules: [{ http: { paths: [p({ pathType: null })] } }] }),
  ing({ rules: [{ http: { paths: [p({ pathType: 'Foo' })] } }] }),
  ing({ rules: [{ http: { paths: [p({ backend: {} })] } }] }),
  ing({ rules: [{ http: { paths: [p({ backend: { service: { name: '', port: {} } } })] } }] }),
  ing({
    rules: [
      { http: { paths: [p({ backend: { service: { name: 'A_', port: { number: 70000, name: 'x' } } } })] } },
    ],
  }),
  ing({ rules: [{ http: { paths: [] } }] }),
  ing({ rules: [{ http: { paths: [p({ path: '/a//b' })] } }] }),
  ing({ tls: [{ hosts: ['A_'] }], defaultBackend: { service: { name: 's', port: { number: 80 } } } }),
  ing({ ingressClassName: 'A_', defaultBackend: { service: { name: 's', port: { number: 80 } } } }),
  ing({ rules: [{ host: '1.2.3.4', http: { paths: [p()] } }] }),
  ing({
    rules: [
      { host: '*.a.b', http: { paths: [p({ path: '', pathType: 'ImplementationSpecific' })] } },
      { host: '*', http: { paths: [p()] } },
    ],
  }),
  hpa({ maxReplicas: 0 }),
  hpa({ minReplicas: 3, maxReplicas: 2 }),
  hpa({ minReplicas: 0 }),
  hpa({ scaleTargetRef: {} }),
  hpa({ metrics: [{ type: 'Resource' }] }),
  hpa({ metrics: [{ type: 'Resource', resource: { name: '', target: {} } }] }),
  hpa({
    metrics: [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 0 } } },
    ],
  }),
  pvc({ accessModes: [] }),
  pvc({ resources: {} }),
  pvc({ accessModes: ['Foo'] }),
  pvc({ resources: { requests: { storage: '0' } } }),
  pvc({ storageClassName: 'A_' }),
  pvc({ volumeMode: 'Foo' }),
  bare('rbac.authorization.k8s.io/v1', 'Role', { rules: [{}] }),
  bare('rbac.authorization.k8s.io/v1', 'Role', { rules: [{ verbs: ['get'] }] }),
  bare('rbac.authorization.k8s.io/v1', 'Role', { rules: [{ verbs: ['get'], apiGroups: [''] }] }),
  bare('rbac.authorization.k8s.io/v1', 'Role', { rules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }] }),
  bare('rbac.authorization.k8s.io/v1', 'ClusterRole', {
    rules: [{ verbs: ['get'], nonResourceURLs: ['/x'], resources: ['x'], apiGroups: [''] }],
  }),
  bare('rbac.authorization.k8s.io/v1', 'Role', {}, { name: 'a/b' }),
  bare('rbac.authorization.k8s.io/v1', 'Role', {}, { name: 'A:b' }),
  bare('rbac.authorization.k8s.io/v1', 'RoleBinding', {}),
  bare('rbac.authorization.k8s.io/v1', 'RoleBinding', {
    roleRef: { kind: 'Foo', name: '', apiGroup: 'x' },
    subjects: [
      {},
      { kind: 'ServiceAccount', name: 'A_' },
      { kind: 'User', name: '', apiGroup: 'x' },
      { kind: 'Foo', name: 'a' },
    ],
  }),
  bare('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', { roleRef: { kind: 'Role', name: 'x' } }),
  bare('networking.k8s.io/v1', 'NetworkPolicy', {
    spec: { podSelector: {}, policyTypes: ['Foo'], ingress: [{ ports: [{ port: 70000 }], from: [{}] }] },
  }),
  bare('policy/v1', 'PodDisruptionBudget', { spec: { minAvailable: 1, maxUnavailable: 1 } }),
  bare('policy/v1', 'PodDisruptionBudget', { spec: { minAvailable: -1 } }),
  bare('policy/v1', 'PodDisruptionBudget', { spec: { minAvailable: '110%' } }),
  bare('storage.k8s.io/v1', 'StorageClass', { provisioner: '' }),
  bare('scheduling.k8s.io/v1', 'PriorityClass', { value: 2000000001 }),
  bare('scheduling.k8s.io/v1', 'PriorityClass', { value: 1 }, { name: 'system-x' }),
  bare('v1', 'PersistentVolume', { spec: {} }),
  bare('v1', 'PersistentVolume', {
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['Foo'],
      hostPath: { path: '/x' },
      persistentVolumeReclaimPolicy: 'Foo',
    },
  }),
  bare('v1', 'ResourceQuota', { spec: { hard: { 'a b': '1', cpu: '-1' } } }),
  bare('v1', 'Pod', { spec: { containers: [] } }),
  bare('v1', 'Pod', { spec: pod({}, { restartPolicy: 'Foo', activeDeadlineSeconds: 0 }) }, { name: 'A_' }),
  bare('networking.k8s.io/v1', 'IngressClass', { spec: { controller: 'x' } }),
  bare('coordination.k8s.io/v1', 'Lease', { spec: { leaseDurationSeconds: 0 } }),
]
