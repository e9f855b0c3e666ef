import { definition } from './objects.ts'
import { type Answer, test } from './script.ts'

const aggregated = (version: string) => ({
  headers: { accept: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList` },
})

/** Hashes of the storage version are nobody's business. */
const withoutHash = (body: Answer) =>
  body.resources
    ? { ...body, resources: body.resources.map(({ storageVersionHash: _, ...rest }: Answer) => rest) }
    : body

test('the versions that are served', async ({ script }) => {
  await script.request('GET', '/version', undefined, {
    show: ({ major, minor, platform }) => ({ major, minor, platform }),
  })
  await script.request('GET', '/api', undefined, {
    show: (body) => ({ ...body, serverAddressByClientCIDRs: [] }),
  })
  await script.request('GET', '/apis', undefined, {
    show: (body) => ({
      ...body,
      // without those that tests beside this one define
      groups: body.groups.filter(({ name }: Answer) => !name.includes('.') || name.endsWith('.k8s.io')),
    }),
  })
  await script.request('GET', '/apis/apps')
  for (const path of ['/healthz', '/livez', '/readyz']) await script.request('GET', path)
})

test.for([
  '/api/v1',
  '/apis/apps/v1',
  '/apis/batch/v1',
  '/apis/rbac.authorization.k8s.io/v1',
  '/apis/networking.k8s.io/v1',
  '/apis/autoscaling/v2',
  '/apis/policy/v1',
  '/apis/authorization.k8s.io/v1',
  '/apis/authentication.k8s.io/v1',
  '/apis/apiextensions.k8s.io/v1',
  '/apis/coordination.k8s.io/v1',
  '/apis/storage.k8s.io/v1',
  '/apis/events.k8s.io/v1',
])('the resources of %s', async (path, { script }) => {
  await script.request('GET', path, undefined, { show: withoutHash })
})

test('aggregated discovery', async ({ script }) => {
  const only = (names: readonly string[]) => (body: Answer) => ({
    ...body,
    items: body.items?.filter((item: Answer) => names.includes(item.metadata.name ?? '')),
  })
  await script.request('GET', '/apis', undefined, { ...aggregated('v2'), show: only(['apps', 'batch']) })
  await script.request('GET', '/api', undefined, {
    ...aggregated('v2'),
    show: (body) => ({
      ...body,
      items: body.items.map((item: Answer) => ({
        ...item,
        versions: item.versions.map((version: Answer) => ({
          ...version,
          resources: version.resources.filter((resource: Answer) =>
            /^(pods|services|secrets)$/.test(resource.resource),
          ),
        })),
      })),
    }),
  })
  script.note('all that is served, by name')
  const names = (body: Answer) =>
    body.items
      .filter((item: Answer) => !/example\.com|fluxcd/.test(item.metadata.name))
      .flatMap((item: Answer) =>
        item.versions.flatMap((version: Answer) =>
          version.resources.map(
            (resource: Answer) => `${item.metadata.name} ${version.version} ${resource.resource}`,
          ),
        ),
      )
  await script.request('GET', '/apis', undefined, { ...aggregated('v2'), show: names })
})

test('custom resources are discovered', async ({ script }) => {
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  await script.quietly('POST', definitions, definition('discovery'))
  const group = 'discovery.$NS.example.com'
  const served = (body: Answer) =>
    body.groups.some(({ name }: Answer) => name.endsWith(`discovery.${script.namespace}.example.com`))
  await script.until('/apis', served)
  await script.until(`/apis/${group}/v1`, (body) => body.resources?.length > 0)
  await script.request('GET', `/apis/${group}`)
  await script.request('GET', `/apis/${group}/v1`, undefined, { show: withoutHash })
  await script.request('GET', '/apis', undefined, {
    ...aggregated('v2'),
    show: (body) =>
      body.items.filter((item: Answer) => item.metadata.name === `discovery.${script.namespace}.example.com`),
  })
  await script.quietly('DELETE', `${definitions}/widgets.${group}`)
  await script.until('/apis', (body) => !served(body))
  await script.request('GET', `/apis/${group}`)
  await script.request('GET', `/apis/${group}/v1/widgets`)
})

/** What clients read of a schema: fields, how lists are merged, what a kind is. */
function outline(schema: Answer): Answer {
  if (Array.isArray(schema)) return schema.map(outline)
  if (schema === null || typeof schema !== 'object') return schema
  const kept = Object.entries(schema).filter(
    ([key, value]) => !(key === 'description' && typeof value === 'string') && !isZeroDefault(key, value),
  )
  const { allOf, ...rest } = Object.fromEntries(kept.map(([key, value]) => [key, outline(value)]))
  // a reference alone or in an `allOf` of one: the server has both, and they mean the same
  const isReference = allOf?.length === 1 && Object.keys(rest).length === 0
  return isReference ? allOf[0] : { ...rest, ...(allOf && { allOf }) }
}

/** Nobody reads it, and v2 tells it where v3 does not. */
function isZeroDefault(key: string, value: Answer): boolean {
  return key === 'default' && ['""', '0', 'false', '{}'].includes(JSON.stringify(value))
}

const schemas = (names: readonly string[]) => (body: Answer) => {
  const all = body.components?.schemas ?? body.definitions ?? {}
  return names.map((name) => [name, outline(all[name] ?? null)])
}

test('OpenAPI v3', async ({ script }) => {
  const { body } = await script.request('GET', '/openapi/v3', undefined, {
    show: ({ paths }) =>
      Object.keys(paths)
        .filter((path) => /^(api|apis\/[^/]+)\/v\d+$/.test(path) && !/example\.com|fluxcd/.test(path))
        .sort(),
  })
  const path = (name: string) => body.paths[name].serverRelativeURL
  const deployments = '/apis/apps/v1/namespaces/{namespace}/deployments/{name}'
  /** the verbs and parameters of a path */
  const shortly = (operations: Answer) => (method: string) => {
    const { parameters = [], requestBody } = operations[method] ?? {}
    return {
      method,
      parameters: parameters
        .map(({ name }: Answer) => name)
        .filter((name: string) => !name.startsWith('ignore')),
      bodies: Object.keys(requestBody?.content ?? {}).sort(),
      kind: operations[method]?.['x-kubernetes-group-version-kind'],
      action: operations[method]?.['x-kubernetes-action'],
    }
  }
  await script.request('GET', '/openapi/v3/apis/apps/v1', undefined, {
    show: (body) => ({
      schemas: schemas([
        'io.k8s.api.apps.v1.Deployment',
        'io.k8s.api.apps.v1.DeploymentStrategy',
        'io.k8s.api.core.v1.Container',
      ])(body),
      path: ['get', 'put', 'patch', 'delete'].map(shortly(body.paths[deployments])),
    }),
  })
  script.note(String(path('apis/apps/v1').startsWith('/openapi/v3/apis/apps/v1?hash=')))
})

test('OpenAPI v3 of a custom resource', async ({ script }) => {
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  await script.quietly('POST', definitions, definition('openapi'))
  const group = 'apis/openapi.$NS.example.com/v1'
  const key = group.replace('$NS', script.namespace)
  const index = await script.until('/openapi/v3', (body) => body.paths[key] !== undefined)
  await script.request('GET', `/openapi/v3/${group}`, undefined, {
    show: (body) =>
      Object.entries(body.components.schemas)
        .filter(([name]) => /Widget/.test(name))
        .map(([name, schema]) => [name, outline(schema)]),
  })
  script.note(String(/hash=[0-9A-F]{40,}/.test(index.paths[key].serverRelativeURL)))
  await script.quietly('DELETE', `${definitions}/widgets.openapi.$NS.example.com`)
})

test('OpenAPI v2', async ({ script }) => {
  await script.request('GET', '/openapi/v2', undefined, {
    show: schemas(['io.k8s.api.core.v1.ConfigMap', 'io.k8s.api.apps.v1.DeploymentSpec']),
  })
})
