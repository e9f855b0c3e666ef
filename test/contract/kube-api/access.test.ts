import { configMap } from './objects.ts'
import { type Answer, test } from './script.ts'

const maps = '/api/v1/namespaces/$NS/configmaps'
const rbac = '/apis/rbac.authorization.k8s.io/v1'
const accounts = '/api/v1/namespaces/$NS/serviceaccounts'

const review = (attributes: object) => ({
  apiVersion: 'authorization.k8s.io/v1',
  kind: 'SelfSubjectAccessReview',
  spec: attributes,
})
const reviews = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
const jane = { headers: { 'impersonate-user': 'jane' } }

test('who nobody knows may not even ask', async ({ script }) => {
  await script.request('GET', maps, undefined, { headers: { authorization: 'Bearer nonsense' } })
  await script.request('GET', maps, undefined, { headers: { authorization: 'Basic nonsense' } })
  await script.request('GET', maps, undefined, { headers: { authorization: '' } })
  await script.request('GET', '/healthz', undefined, { headers: { authorization: '' } })
  await script.request('GET', '/version', undefined, {
    headers: { authorization: '' },
    show: ({ major }) => major,
  })
})

test('what nobody was allowed is forbidden', async ({ script }) => {
  await script.request('GET', maps, undefined, jane)
  await script.request('GET', `${maps}/a`, undefined, jane)
  await script.request('POST', maps, configMap('a'), jane)
  await script.request('DELETE', `${maps}/a`, undefined, jane)
  await script.request('GET', '/api/v1/configmaps', undefined, jane)
  await script.request('GET', '/api/v1/namespaces', undefined, jane)
  await script.request('GET', '/apis/apps/v1/namespaces/$NS/deployments/a/scale', undefined, jane)
  await script.request('GET', '/metrics', undefined, jane)
  await script.request('GET', '/api', undefined, { ...jane, show: ({ kind }) => kind })
  await script.request('GET', '/apis/nonsense.example.com/v1/namespaces/$NS/things', undefined, jane)
})

test('roles and bindings allow it', async ({ script }) => {
  await script.request('POST', `${rbac}/namespaces/$NS/roles`, {
    metadata: { name: 'reader' },
    rules: [
      { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: [''], resources: ['secrets'], resourceNames: ['one'], verbs: ['get'] },
    ],
  })
  await script.request('POST', `${rbac}/namespaces/$NS/rolebindings`, {
    metadata: { name: 'jane' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
    subjects: [
      { apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'jane-$NS' },
      { kind: 'ServiceAccount', name: 'robot', namespace: '$NS' },
    ],
  })
  await script.quietly('POST', maps, configMap('a'))
  const who = { headers: { 'impersonate-user': `jane-${script.namespace}` } }
  const path = maps.replace('$NS', script.namespace)
  const until = async (status: number, target: string) => {
    for (;;) if ((await script.quietly('GET', target, undefined, who)).status === status) return
  }
  await until(200, `${path}/a`)
  const seen = async (method: string, target: string, body?: unknown) => {
    const { status, body: reply } = await script.quietly(method, target, body, who)
    script.note(
      `${method} ${target.replaceAll(script.namespace, 'NS')}: ${status} ${(reply.message ?? reply.kind).replaceAll(script.namespace, 'NS')}`,
    )
  }
  await seen('GET', `${path}/a`)
  await seen('GET', path)
  await seen('DELETE', `${path}/a`)
  await seen('GET', path.replace('configmaps', 'secrets/one'))
  await seen('GET', path.replace('configmaps', 'secrets/two'))
  await seen('GET', path.replace('configmaps', 'secrets'))
  await seen('GET', '/api/v1/configmaps')
  script.note('who may not hand out what is not theirs')
  await seen('POST', `${rbac}/namespaces/${script.namespace}/roles`, {
    metadata: { name: 'more' },
    rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
  })
})

test('one asks what oneself may do', async ({ script }) => {
  const ask = (attributes: object, extras = {}) => script.request('POST', reviews, review(attributes), extras)
  await ask({ resourceAttributes: { namespace: '$NS', verb: 'get', resource: 'pods' } })
  await ask(
    {
      resourceAttributes: {
        namespace: '$NS',
        verb: 'get',
        group: 'apps',
        resource: 'deployments',
        subresource: 'scale',
        name: 'x',
      },
    },
    jane,
  )
  await ask({ nonResourceAttributes: { path: '/metrics', verb: 'get' } }, jane)
  await ask({ nonResourceAttributes: { path: '/openapi/v2', verb: 'get' } }, jane)
  await ask({})
  await ask({ resourceAttributes: { verb: 'get' }, nonResourceAttributes: { path: '/', verb: 'get' } })
  await script.request('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
    spec: { user: 'jane', resourceAttributes: { namespace: '$NS', verb: 'create', resource: 'pods' } },
  })
  await script.request('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {})
  await script.request('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, jane)
})

test('a service account has tokens that can be asked about', async ({ script }) => {
  await script.request('POST', accounts, { metadata: { name: 'robot' } })
  const made = await script.request(
    'POST',
    `${accounts}/robot/token`,
    { spec: { expirationSeconds: 600 } },
    {
      show: ({ kind, apiVersion, spec, status }) => ({
        kind,
        apiVersion,
        spec,
        parts: status.token.split('.').length,
        expires: status.expirationTimestamp,
      }),
    },
  )
  const { token } = made.body.status
  await script.request('POST', `${accounts}/nobody/token`, { spec: {} })
  await script.request('POST', `${accounts}/robot/token`, { spec: { expirationSeconds: 1 } })
  const whoever = { headers: { authorization: `Bearer ${token}` } }
  const asked = await script.quietly('GET', maps, undefined, whoever)
  script.note(asked.body.message.replaceAll(script.namespace, 'NS'))
  const self = await script.quietly('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, whoever)
  const { username, groups } = self.body.status.userInfo
  script.note(JSON.stringify({ username, groups }).replaceAll(script.namespace, 'NS'))
  const tokens = '/apis/authentication.k8s.io/v1/tokenreviews'
  const known = await script.quietly('POST', tokens, { spec: { token } })
  script.note(
    JSON.stringify([
      known.status,
      known.body.status.authenticated,
      known.body.status.user.username,
      known.body.status.user.groups,
      known.body.status.audiences,
    ]).replaceAll(script.namespace, 'NS'),
  )
  await script.request('POST', tokens, { spec: { token: 'nonsense' } })
  await script.request('POST', tokens, { spec: {} })
  script.note('the account is gone, and so is what its token was good for')
  await script.quietly('DELETE', `${accounts}/robot`)
  const until = async (): Promise<Answer> => {
    for (;;) {
      const reply = await script.quietly('GET', maps, undefined, whoever)
      if (reply.status === 401) return reply
    }
  }
  script.note(String((await until()).status))
})

test('whoever is impersonated', async ({ script }) => {
  const headers = { 'impersonate-user': 'jane', 'impersonate-group': 'system:masters' }
  await script.request('GET', `${maps}/none`, undefined, { headers })
  await script.request('GET', maps, undefined, { headers: { 'impersonate-group': 'system:masters' } })
})
