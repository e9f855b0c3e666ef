import { expect } from 'vitest'
import { type JsonObject, type JsonValue, valueAt } from '../../../src/core/json.ts'
import { gitServer } from '../../../src/playground/git/server.ts'
import { test } from '../../support/cluster-test.ts'
import { type ControlPlaneAccess, request } from '../../support/control-plane.ts'
import { eventually, type FluxdProcess, fluxctl, fluxd } from '../../support/programs.ts'
import { configMap, createAccount, deployment, readObject } from './fixtures.ts'

/** What leaves Git leaves the cluster, and nothing else does. The table of cases is in `test/core/sync/plan.test.ts`. */

const patient = { timeout: 120_000 }

/** A repository and a fluxd that collects garbage in one namespace, at each sync that is asked for. */
async function gardenWorld(
  plane: ControlPlaneAccess,
  namespace: string,
  files: Readonly<Record<string, string>>,
  {
    args = ['--sync-garbage-collection'],
    kubeconfig = plane.kubeconfig,
    namespaces = [namespace],
  }: { args?: readonly string[]; kubeconfig?: string; namespaces?: readonly string[] } = {},
) {
  const upstream = await gitServer(files)
  const start = () =>
    fluxd({
      kubeconfig,
      args: [
        `--git-url=${upstream.fileUrl}`,
        '--git-branch=main',
        `--k8s-allow-namespace=${namespaces.join(',')}`,
        '--registry-disable-scanning',
        '--git-poll-interval=1h',
        '--sync-interval=1h',
        ...args,
      ],
    })
  let agent: FluxdProcess = await start()
  await agent.until(/state="tag flux-sync"/)
  const inNamespace = (kind: string, name: string) => {
    const api = kind === 'deployments' ? '/apis/apps/v1' : '/api/v1'
    return `${api}/namespaces/${namespace}/${kind}/${name}`
  }
  return {
    upstream,
    get agent() {
      return agent
    },
    async stop() {
      await agent.end()
    },
    async restart() {
      agent = await start()
      await agent.until(/event=refreshed/)
    },
    /** Commit and sync, as a person does. */
    async sync(changes: Readonly<Record<string, string | null>>) {
      await upstream.commit(changes)
      expect(await fluxctl(['--url', agent.url, 'sync'])).toMatchObject({ exit: 0 })
    },
    object: (kind: string, name: string) => readObject(plane, inNamespace(kind, name)),
    async put(kind: string, name: string, change: (object: JsonObject) => JsonObject) {
      const object = (await readObject(plane, inNamespace(kind, name))) ?? {}
      return request(plane, 'POST', `/api/v1/namespaces/${namespace}/${kind}`, change(object))
    },
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

/** A ConfigMap for each name, in a file of its own. */
const settings = (namespace: string, ...names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [`${name}.yaml`, configMap(name, namespace)]))

const annotated = (manifest: string, annotation: string) =>
  manifest.replace(/\}\ndata/, `, annotations: {${annotation}}}\ndata`)

test(
  'what leaves Git is deleted; copies, moved files and what shall stay are not',
  patient,
  async ({ plane, namespace }) => {
    await using world = await gardenWorld(plane, namespace, {
      'web.yaml': deployment('web', { namespace }),
      'a.yaml': configMap('a', namespace),
      'b.yaml': configMap('b', namespace),
      'kept.yaml': annotated(configMap('kept', namespace), '"fluxcd.io/ignore": sync_only'),
    })
    const uid = async (name: string) => {
      const object = await world.object('configmaps', name)
      return object && valueAt(object, 'metadata', 'uid')
    }
    const { status } = await world.put('configmaps', 'b', ({ metadata, ...object }) => ({
      ...object,
      metadata: { name: 'copy', labels: (metadata as JsonObject)['labels'] as JsonValue },
    }))
    expect(status).toBe(201)
    const before = await uid('a')

    await world.sync({
      'web.yaml': null,
      'b.yaml': null,
      'kept.yaml': null,
      'a.yaml': null,
      'moved/a.yaml': configMap('a', namespace),
    })

    expect(await world.object('deployments', 'web')).toBeUndefined()
    expect(await uid('b')).toBeUndefined()
    expect(await uid('a')).toBe(before)
    expect(await uid('kept')).toBeDefined()
    expect(await uid('copy')).toBeDefined()
    const log = world.agent.log.join('\n')
    expect(log).toMatch(
      /info="cluster resource not in resources to be synced; deleting" dry-run=false resource=\S+\/web/,
    )
    expect(log).toMatch(
      /cmd="kubectl delete -f -" took=\S+ err=null output="deployment.apps \\"web\\" deleted/,
    )
    expect(log).toMatch(/kept, for its annotation says ignore" resource=\S+\/kept/)
    const metrics = await (await fetch(`http://127.0.0.1:${world.agent.port}/metrics`)).text()
    expect(metrics).toContain('fluxd_pruned_objects_total{success="true"} 2')
    expect(metrics).toContain('fluxd_kept_objects{code="ignored"} 1')
  },
)

test(
  'what came after the start and leaves again is deleted at once',
  patient,
  async ({ plane, namespace }) => {
    await using world = await gardenWorld(plane, namespace, { 'a.yaml': configMap('a', namespace) })
    await world.sync({ 'b.yaml': configMap('b', namespace) })
    expect(await world.object('configmaps', 'b')).toBeDefined()

    await world.sync({ 'b.yaml': null })

    expect(await world.object('configmaps', 'b')).toBeUndefined()
  },
)

test(
  'what left Git while fluxd was away is deleted when it comes back',
  patient,
  async ({ plane, namespace }) => {
    await using world = await gardenWorld(plane, namespace, settings(namespace, 'a', 'b'))
    await world.stop()
    await world.upstream.commit({ 'b.yaml': null })

    await world.restart()

    await eventually(async () => (await world.object('configmaps', 'b')) === undefined, 'b gone')
    expect(await world.object('configmaps', 'a')).toBeDefined()
  },
)

test('a dry run only tells, and wins over deleting', patient, async ({ plane, namespace }) => {
  const args = ['--sync-garbage-collection', '--sync-garbage-collection-dry']
  await using world = await gardenWorld(plane, namespace, settings(namespace, 'a', 'b'), { args })

  await world.sync({ 'b.yaml': null })

  expect(world.agent.log.join('\n')).toMatch(/; deleting" dry-run=true resource=\S+\/b$/m)
  expect(await world.object('configmaps', 'b')).toBeDefined()
})

test('without the flag, what leaves Git stays', patient, async ({ plane, namespace }) => {
  await using world = await gardenWorld(plane, namespace, settings(namespace, 'a', 'b'), { args: [] })

  await world.sync({ 'b.yaml': null })

  expect(await world.object('configmaps', 'b')).toBeDefined()
})

test('nothing goes before what takes its place is there', patient, async ({ plane, namespace }) => {
  await using world = await gardenWorld(plane, namespace, { 'web.yaml': deployment('web', { namespace }) })
  const broken = deployment('web-2', { namespace }).replace('replicas: 2', 'replicas: many')

  await world.sync({ 'web.yaml': null, 'web-2.yaml': broken })

  expect(await world.object('deployments', 'web')).toBeDefined()
  expect(world.agent.log.join('\n')).toMatch(/kept until what Git wants is there" resource=\S+\/web hint=/)

  await world.sync({ 'web-2.yaml': deployment('web-2', { namespace }) })

  expect(await world.object('deployments', 'web-2')).toBeDefined()
  expect(await world.object('deployments', 'web')).toBeUndefined()
})

test(
  'an object whose new version is refused is not deleted, nor is it in the way',
  patient,
  async ({ plane, namespace }) => {
    await using world = await gardenWorld(plane, namespace, {
      'a.yaml': configMap('a', namespace),
      'web.yaml': deployment('web', { namespace }),
    })
    const broken = deployment('web', { namespace }).replace('replicas: 2', 'replicas: many')

    await world.sync({ 'a.yaml': null, 'web.yaml': broken })

    expect(await world.object('deployments', 'web')).toBeDefined()
    expect(await world.object('configmaps', 'a')).toBeUndefined()
    expect(world.agent.log.join('\n')).toMatch(/has not been updated; skipping" resource=\S+\/web/)
  },
)

test('more than the budget is held', patient, async ({ plane, namespace }) => {
  const files = settings(namespace, 'a', 'b', 'c')
  const args = ['--sync-garbage-collection', '--sync-garbage-collection-budget=1']
  await using world = await gardenWorld(plane, namespace, files, { args })

  await world.sync({ 'b.yaml': null, 'c.yaml': null })

  expect(world.agent.log.join('\n')).toMatch(
    /warning="nothing is deleted: more is gone from Git .*" count=2 resources=\S+ hint=".*--sync-garbage-collection-budget"/,
  )
  expect(await world.object('configmaps', 'b')).toBeDefined()
  const metrics = await (await fetch(`http://127.0.0.1:${world.agent.port}/metrics`)).text()
  expect(metrics).toContain('fluxd_kept_objects{code="over-budget"} 2')
})

test(
  'a Namespace stays with all that is in it, unless it says that it may go',
  patient,
  async ({ plane, namespace }) => {
    const other = `${namespace}-x`
    const manifest = (annotation = '') =>
      `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${other}${annotation && `, annotations: {${annotation}}`}}\n`
    const files = {
      'a.yaml': configMap('a', namespace),
      'x.yaml': manifest(),
      'b.yaml': configMap('b', other),
    }
    await using world = await gardenWorld(plane, namespace, files, { namespaces: [namespace, other] })
    const isLeaving = async () => {
      const object = await readObject(plane, `/api/v1/namespaces/${other}`)
      return !object || valueAt(object, 'metadata', 'deletionTimestamp') !== undefined
    }

    await world.sync({ 'x.yaml': null })

    expect(await isLeaving()).toBe(false)
    expect(world.agent.log.join('\n')).toMatch(
      new RegExp(`for more than itself would go" resource=\\S+/${other} hint=".*fluxcd.io/prune`),
    )

    await world.sync({ 'x.yaml': manifest('"fluxcd.io/prune": "true"') })
    await world.sync({ 'x.yaml': null, 'b.yaml': null })

    expect(await isLeaving()).toBe(true)
  },
)

test(
  'what may not be deleted is an error of that object, tried again',
  patient,
  async ({ plane, namespace }) => {
    const verbs = ['create', 'get', 'list', 'patch', 'update', 'watch']
    await using account = await createAccount(plane, namespace, {
      rules: [{ apiGroups: ['', 'apps'], resources: ['*'], verbs }],
      name: 'keeper',
    })
    const files = { 'a.yaml': configMap('a', namespace), 'web.yaml': deployment('web', { namespace }) }
    await using world = await gardenWorld(plane, namespace, files, { kubeconfig: account.kubeconfig })

    await world.sync({ 'web.yaml': null })
    const refused = new RegExp(
      `resource=${namespace}:deployment/web source=<cluster> .*code=CLUSTER_FORBIDDEN`,
    )
    const from = await world.agent.until(refused)

    const services = await fetch(`${world.agent.url}/v6/services?namespace=${namespace}`)
    expect(JSON.stringify(await services.json())).toMatch(/"SyncError":"[^"]*deployments/)
    await world.sync({ 'a.yaml': configMap('a', namespace, 'new') })
    await world.agent.until(refused, from)
    expect(valueAt((await world.object('configmaps', 'a')) ?? {}, 'data', 'from')).toBe('new')
  },
)

test(
  'an object stays while its name stands in Git under a kind that nobody serves',
  patient,
  async ({ plane, namespace }) => {
    await using world = await gardenWorld(plane, namespace, {
      'web.yaml': deployment('web', { namespace }),
      'a.yaml': configMap('a', namespace),
      'b.yaml': configMap('b', namespace),
    })
    const elsewhere = deployment('web', { namespace }).replace('kind: Deployment', 'kind: Deploymnet')

    await world.sync({ 'web.yaml': elsewhere, 'a.yaml': null })

    expect(await world.object('deployments', 'web')).toBeDefined()
    expect(await world.object('configmaps', 'a')).toBeUndefined()
  },
)

test(
  'an object that failed and is ignored since is in nobody’s way',
  patient,
  async ({ plane, namespace }) => {
    const broken = deployment('web', { namespace }).replace('replicas: 2', 'replicas: many')
    await using world = await gardenWorld(plane, namespace, {
      'web.yaml': broken,
      'a.yaml': configMap('a', namespace),
    })

    const ignored = broken.replace('name: web\n', 'name: web\n  annotations: {"fluxcd.io/ignore": "true"}\n')
    await world.sync({ 'web.yaml': ignored, 'a.yaml': null })

    expect(await world.object('configmaps', 'a')).toBeUndefined()
    const from = world.agent.log.length
    await world.sync({ 'b.yaml': configMap('b', namespace) })
    expect(world.agent.log.slice(from).join('\n')).not.toMatch(/resource=\S+\/web .*code=/)
  },
)

test(
  'a kind whose definition is gone keeps nothing from being deleted',
  patient,
  async ({ plane, namespace }) => {
    const kind = `Gone${namespace.slice(5)}`
    const name = `${kind.toLowerCase()}.test.example.com`
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
    const served = `/apis/test.example.com/v1/namespaces/${namespace}/${kind.toLowerCase()}`
    await request(plane, 'POST', path, {
      metadata: { name },
      spec: {
        group: 'test.example.com',
        scope: 'Namespaced',
        names: { plural: kind.toLowerCase(), kind },
        versions: [
          { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } },
        ],
      },
    })
    await eventually(async () => (await request(plane, 'GET', served)).status === 200, 'the kind')
    await using world = await gardenWorld(plane, namespace, settings(namespace, 'a', 'b'))
    await request(plane, 'DELETE', `${path}/${name}`)
    await eventually(async () => (await request(plane, 'GET', served)).status === 404, 'the kind gone')

    await world.sync({ 'b.yaml': null })

    expect(await world.object('configmaps', 'b')).toBeUndefined()
    expect(world.agent.log.join('\n')).not.toContain('err="garbage collection:')
  },
)
