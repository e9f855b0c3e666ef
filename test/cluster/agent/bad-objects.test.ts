import { expect } from 'vitest'
import { valueAt } from '../../../src/core/json.ts'
import { gitServer } from '../../../src/playground/git/server.ts'
import { test } from '../../support/cluster-test.ts'
import { request } from '../../support/control-plane.ts'
import { eventually, fluxctl, fluxd } from '../../support/programs.ts'
import { configMap, createAccount, deployment, readObject } from './fixtures.ts'

/** Objects that the API server doesn't take: each is named with its file, code, why and next, and the rest is applied. */

const everything = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']
const rules = [
  {
    apiGroups: ['apps', 'batch', 'apiextensions.k8s.io', 'test.example.com'],
    resources: ['*'],
    verbs: everything,
  },
  { apiGroups: [''], resources: ['configmaps', 'events', 'namespaces', 'services'], verbs: everything },
  { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch'] },
]

test('what cannot be applied is named, and the rest is applied', async ({ plane, namespace }) => {
  await using account = await createAccount(plane, namespace, { rules, name: 'limited' })
  const kind = `Thing${namespace.slice(5)}`
  const plural = kind.toLowerCase()
  const group = 'test.example.com'
  const thing = (name: string) =>
    `apiVersion: ${group}/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\n`
  const definition = JSON.stringify({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  })
  const env = `        env:\n        - {name: MODE, value: one}\n        - {name: MODE, value: two}\n`
  await using upstream = await gitServer({
    'a-good.yaml': configMap('good', namespace),
    'duplicate-env.yaml': deployment('twice', { namespace, more: env }),
    'exported.yaml': `apiVersion: v1
kind: ConfigMap
metadata:
  name: exported
  namespace: ${namespace}
  creationTimestamp: "2020-01-01T00:00:00Z"
  generation: 4
  resourceVersion: "12"
  uid: 6f6e6f6f-0000-4000-8000-000000000000
  managedFields:
  - {manager: kubectl, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:data": {}}}
data: {from: git}
`,
    'forbidden.yaml': `apiVersion: v1\nkind: Secret\nmetadata: {name: closed, namespace: ${namespace}}\n`,
    'immutable.yaml': deployment('fixed', { namespace }),
    'invalid.yaml': deployment('invalid', { namespace }).replace('replicas: 2', 'replicas: many'),
    'large.yaml': configMap('large', namespace, 'x'.repeat(2 * 1024 * 1024)),
    'nowhere.yaml': configMap('lost', `${namespace}-nowhere`),
    'unknown.yaml': thing('waiting'),
    'z-good.yaml': configMap('also-good', namespace),
  })
  await using agent = await fluxd({
    kubeconfig: account.kubeconfig,
    args: [`--git-url=${upstream.url}`, '--git-branch=main', '--registry-disable-scanning'],
  })
  const object = (path: string) => readObject(plane, path)
  const settings = (name: string) => object(`/api/v1/namespaces/${namespace}/configmaps/${name}`)
  const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`
  const failure = (source: string, from = 0) =>
    agent.log
      .slice(from)
      .find(
        (line) =>
          line.includes('method=Sync') && line.includes(`source=${source}:`) && line.includes(' err='),
      )
  const told = (from = 0) => agent.until(/state="tag flux-sync"/, from)

  await told()

  expect(failure('forbidden.yaml')).toMatch(
    /code=CLUSTER_FORBIDDEN.* why=".*limited may not patch secrets.* next="Give it the verb/,
  )
  expect(failure('invalid.yaml')).toMatch(/code=APPLY_INVALID.* why="At fault: .*replicas/)
  expect(failure('large.yaml')).toMatch(/code=APPLY_TOO_LARGE.* next="Split/)
  expect(failure('nowhere.yaml')).toMatch(
    /code=APPLY_NAMESPACE_MISSING.* next="Add a manifest for the Namespace/,
  )
  expect(agent.log.find((line) => line.includes('cannot find scope'))).toMatch(
    new RegExp(`serves no ${kind} in ${group}/v1.*impact=.*source=unknown.yaml:1`),
  )
  expect(
    agent.log.find((line) => line.includes('source=duplicate-env.yaml') && line.includes('warning=')),
  ).toMatch(/env/)
  expect(await settings('good')).toBeDefined()
  expect(await settings('also-good')).toBeDefined()
  expect(valueAt(await settings('exported'), 'data', 'from')).toBe('git')
  expect(valueAt(await object(`${deployments}/twice`), 'metadata', 'name')).toBe('twice')
  expect(await object(`/api/v1/namespaces/${namespace}/secrets/closed`)).toBeUndefined()
  expect(await upstream.git('rev-parse', 'flux-sync^{commit}')).toBe(await upstream.git('rev-parse', 'main'))

  // the next revision: an immutable field changes, and the definition arrives with one more instance
  const from = agent.log.length
  await upstream.commit({
    'immutable.yaml': deployment('fixed', { namespace }).replaceAll('app: fixed', 'app: other'),
    'definition.yaml': definition,
    'instance.yaml': thing('at-once'),
  })
  const sync = await fluxctl(['sync', '--url', agent.url], account)

  expect(sync.stderr + sync.stdout).toContain('Revision of main to apply is')
  await told(from)
  expect(failure('immutable.yaml', from)).toMatch(/code=APPLY_IMMUTABLE.* next="Put the old value back/)
  for (const name of ['waiting', 'at-once']) {
    await eventually(() => object(`/apis/${group}/v1/namespaces/${namespace}/${plural}/${name}`), name)
  }
  expect(valueAt(await object(`${deployments}/fixed`), 'spec', 'selector', 'matchLabels', 'app')).toBe(
    'fixed',
  )
  const listing = await fluxctl(
    ['list-workloads', '-n', namespace, '-o', 'json', '--url', agent.url],
    account,
  )
  expect(JSON.parse(listing.stdout)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        ID: `${namespace}:deployment/fixed`,
        SyncError: expect.stringMatching(/immutable/),
      }),
      expect.objectContaining({ ID: `${namespace}:deployment/twice`, SyncError: '' }),
    ]),
  )
  await request(plane, 'DELETE', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.${group}`)
})
