import { createHash } from 'node:crypto'
import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'
import type { Resource, Schema } from '../model.ts'
import { writtenSchemaOf } from './crd.ts'
import { kindsOfTypes, kubernetesVersion, types } from './types.ts'

/**
 * What the server tells of its types and paths as OpenAPI: enough for `kubectl` and `helm` to explain, to merge on the
 * client's side, and to find out what a patch may ask for. Descriptions of built-in types are left out, and version 2
 * comes as JSON alone: their current releases read version 3.
 *
 * @see https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
 */

/** Where the document of each group version is, under names such as `apis/apps/v1`. */
export function openApiV3Index(resources: readonly Resource[]): JsonObject {
  const paths: JsonObject = {}
  for (const [path, own] of byPath(resources)) {
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hashOf(path, own)}` }
  }
  return { paths }
}

/** The document of one group version. @param path such as `api/v1` or `apis/apps/v1` */
export function openApiV3(path: string, resources: readonly Resource[]): JsonObject {
  const own = byPath(resources).get(path) ?? []
  const writer = new Writer('#/components/schemas/')
  const paths: JsonObject = {}
  for (const resource of own) Object.assign(paths, writer.paths(resource))
  return { openapi: '3.0.0', info: info(), paths, components: { schemas: writer.schemas() } }
}

/** One document for everything, as version 2. */
export function openApiV2(resources: readonly Resource[]): JsonObject {
  const writer = new Writer('#/definitions/')
  const paths: JsonObject = {}
  for (const resource of resources) Object.assign(paths, writer.paths(resource))
  return { swagger: '2.0', info: info(), paths, definitions: writer.schemas() }
}

function info(): JsonObject {
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(kubernetesVersion) ?? []
  return { title: 'Kubernetes', version: `${major}.${minor}` }
}

function byPath(resources: readonly Resource[]): Map<string, Resource[]> {
  const paths = new Map<string, Resource[]>()
  for (const resource of resources) {
    const path = `${resource.group === '' ? 'api' : `apis/${resource.group}`}/${resource.version}`
    const own = paths.get(path)
    if (own === undefined) paths.set(path, [resource])
    else own.push(resource)
  }
  return paths
}

const hashes = new WeakMap<object, string>()

function hashOf(path: string, resources: readonly Resource[]): string {
  const hash = createHash('sha512').update(kubernetesVersion).update(path)
  for (const resource of resources) hash.update(resource.custom ? customHash(resource) : resource.plural)
  return hash.digest('hex').toUpperCase()
}

function customHash(resource: Resource): string {
  let hash = hashes.get(resource)
  if (hash === undefined) {
    const { schema: _schema, ...own } = resource
    const text = JSON.stringify([own, writtenSchemaOf(resource) ?? null])
    hash = createHash('sha256').update(text).digest('hex')
    hashes.set(resource, hash)
  }
  return hash
}

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'

/** Types of the table that are one scalar, under the names that OpenAPI has for them. */
const scalarNames: Readonly<Record<string, string>> = {
  quantity: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
  'date-time': `${meta}.Time`,
  'micro-time': `${meta}.MicroTime`,
  'int-or-string': 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
}

const scalarSchemas: Readonly<Record<string, { v3: JsonObject; v2: JsonObject }>> = {
  quantity: { v3: { oneOf: [{ type: 'string' }, { type: 'number' }] }, v2: { type: 'string' } },
  'date-time': {
    v3: { type: 'string', format: 'date-time' },
    v2: { type: 'string', format: 'date-time' },
  },
  'micro-time': {
    v3: { type: 'string', format: 'date-time' },
    v2: { type: 'string', format: 'date-time' },
  },
  'int-or-string': {
    v3: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
    v2: { type: 'string', format: 'int-or-string' },
  },
}

/** Types that every document has, beside those that its resources lead to. */
const always = [`${meta}.DeleteOptions`, `${meta}.Status`]

class Writer {
  readonly #prefix: string
  readonly #written = new Map<string, JsonObject>()

  constructor(prefix: string) {
    this.#prefix = prefix
    for (const name of always) this.#named(name)
    this.#written.set(`${meta}.Patch`, { type: 'object' })
  }

  schemas(): JsonObject {
    return Object.fromEntries([...this.#written].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /* ---- paths ---- */

  paths(resource: Resource): JsonObject {
    const { group, version, plural, namespaced, verbs } = resource
    const root = `${group === '' ? '/api' : `/apis/${group}`}/${version}`
    const own = this.#kind(resource)
    const collection = namespaced ? `${root}/namespaces/{namespace}/${plural}` : `${root}/${plural}`
    const paths: JsonObject = {}
    const add = (path: string, operations: JsonObject) => {
      if (Object.keys(operations).length === 0) return
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) =>
        this.#parameter(name, 'path', 'string'),
      )
      paths[path] = { ...operations, parameters: [...named, this.#parameter('pretty', 'query', 'string')] }
    }
    const operation = (verb: string, action: string, type = own) =>
      verbs.includes(verb) ? this.#operation(action, resource, type) : undefined
    const list = `${own}List`
    this.#list(resource, list, own)
    if (namespaced && verbs.includes('list')) {
      add(`${root}/${plural}`, withoutNothing({ get: operation('list', 'list', list) }))
    }
    add(
      collection,
      withoutNothing({
        get: operation('list', 'list', list),
        post: operation('create', 'post'),
        delete: operation('deletecollection', 'deletecollection'),
      }),
    )
    add(
      `${collection}/{name}`,
      withoutNothing({
        get: operation('get', 'get'),
        put: operation('update', 'put'),
        delete: operation('delete', 'delete'),
        patch: operation('patch', 'patch'),
      }),
    )
    for (const subresource of resource.subresources) {
      const kind = { ...resource, ...subresource }
      const type = subresource.kind === resource.kind ? own : this.#nameOfKind(subresource)
      if (type === undefined) continue
      const has = (verb: string) => subresource.verbs.includes(verb)
      add(
        `${collection}/{name}/${subresource.name}`,
        withoutNothing({
          get: has('get') ? this.#operation('get', kind, type) : undefined,
          put: has('update') ? this.#operation('put', kind, type) : undefined,
          post: has('create') ? this.#operation('post', kind, type) : undefined,
          patch: has('patch') ? this.#operation('patch', kind, type) : undefined,
        }),
      )
    }
    return paths
  }

  #operation(
    action: string,
    { group, version, kind, custom }: Pick<Resource, 'group' | 'version' | 'kind' | 'custom'>,
    type: string,
  ): JsonObject {
    const writes = ['post', 'put', 'patch', 'delete', 'deletecollection'].includes(action)
    const validates = ['post', 'put', 'patch'].includes(action)
    const parameters = [
      ...(writes ? [this.#parameter('dryRun', 'query', 'string')] : []),
      ...(validates ? [this.#parameter('fieldManager', 'query', 'string')] : []),
      ...(validates ? [this.#parameter('fieldValidation', 'query', 'string')] : []),
      ...(action === 'patch' ? [this.#parameter('force', 'query', 'boolean')] : []),
      ...(action === 'delete'
        ? deleteParameters.map(([name, of]) => this.#parameter(name, 'query', of))
        : []),
      ...(action === 'list' || action === 'deletecollection'
        ? listParameters.map(([name, of]) => this.#parameter(name, 'query', of))
        : []),
    ]
    const sent =
      action === 'patch'
        ? `${meta}.Patch`
        : action === 'delete' || action === 'deletecollection'
          ? `${meta}.DeleteOptions`
          : validates
            ? type
            : undefined
    const answered = action === 'delete' || action === 'deletecollection' ? `${meta}.Status` : type
    const patchTypes = [
      'application/json-patch+json',
      'application/merge-patch+json',
      ...(custom ? [] : ['application/strategic-merge-patch+json']),
      'application/apply-patch+yaml',
    ]
    return {
      operationId: `${action}${group.replace(/[^a-z]/g, '')}${version}${kind}`,
      ...this.#content(parameters, sent, action === 'patch' ? patchTypes : ['*/*'], answered),
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': { group, version, kind },
    }
  }

  #content(
    parameters: JsonObject[],
    sent: string | undefined,
    sentAs: readonly string[],
    answered: string,
  ): JsonObject {
    const schema = this.#reference(answered)
    if (this.#prefix === '#/definitions/') {
      const body =
        sent === undefined
          ? []
          : [{ name: 'body', in: 'body', required: true, schema: this.#reference(sent) }]
      return {
        consumes: [...sentAs],
        produces: ['application/json'],
        parameters: [...parameters, ...body],
        responses: { '200': { description: 'OK', schema } },
      }
    }
    return {
      ...(parameters.length > 0 && { parameters }),
      ...(sent !== undefined && {
        requestBody: {
          content: Object.fromEntries(sentAs.map((type) => [type, { schema: this.#reference(sent) }])),
          required: true,
        },
      }),
      responses: { '200': { description: 'OK', content: { 'application/json': { schema } } } },
    }
  }

  #parameter(name: string, where: 'path' | 'query', type: string): JsonObject {
    const place = { name, in: where, ...(where === 'path' && { required: true }) }
    if (this.#prefix === '#/definitions/') return { uniqueItems: true, type, ...place }
    return { ...place, schema: { type, uniqueItems: true } }
  }

  /* ---- schemas ---- */

  #reference(name: string): JsonObject {
    return { $ref: this.#prefix + name }
  }

  /** The name of a resource's own type, which is written down with all that it leads to. */
  #kind(resource: Resource): string {
    if (!resource.custom) {
      const { name = '' } = resource.schema
      this.#named(name)
      return name
    }
    const name = `${resource.group.split('.').reverse().join('.')}.${resource.version}.${resource.kind}`
    if (this.#written.has(name)) return name
    const written = withAlternatives(writtenSchemaOf(resource) ?? {})
    const properties = isJsonObject(written['properties']) ? written['properties'] : {}
    this.#named(`${meta}.ObjectMeta`)
    this.#written.set(name, {
      ...written,
      properties: {
        ...properties,
        apiVersion: { type: 'string' },
        kind: { type: 'string' },
        metadata: { allOf: [this.#reference(`${meta}.ObjectMeta`)] },
      },
      'x-kubernetes-group-version-kind': [
        { group: resource.group, kind: resource.kind, version: resource.version },
      ],
    })
    return name
  }

  /** The list of a kind: in the table for built-in types, made here for others. */
  #list({ group, version, kind, custom, verbs }: Resource, name: string, own: string): void {
    if (!verbs.includes('list') || this.#written.has(name)) return
    if (!custom) {
      this.#named(name)
      return
    }
    this.#named(`${meta}.ListMeta`)
    this.#written.set(name, {
      type: 'object',
      required: ['items'],
      properties: {
        apiVersion: { type: 'string' },
        items: { type: 'array', items: this.#reference(own) },
        kind: { type: 'string' },
        metadata: { allOf: [this.#reference(`${meta}.ListMeta`)] },
      },
      'x-kubernetes-group-version-kind': [{ group, kind: `${kind}List`, version }],
    })
  }

  #nameOfKind({
    group,
    version,
    kind,
  }: {
    group: string
    version: string
    kind: string
  }): string | undefined {
    for (const [name, known] of kindsOfTypes()) {
      if (known !== `${group}/${version}/${kind}`) continue
      this.#named(name)
      return name
    }
    return undefined
  }

  /** Write a type of the table down, once, with all that it leads to. */
  #named(name: string): void {
    const schema = types().get(name)
    if (schema === undefined || this.#written.has(name)) return
    const written: JsonObject = schema.type === 'any' ? {} : { type: 'object' }
    this.#written.set(name, written)
    if (schema.required !== undefined && schema.required.length > 0)
      written['required'] = [...schema.required]
    if (schema.fields !== undefined) {
      const fields = Object.entries(schema.fields)
      written['properties'] = Object.fromEntries(fields.map(([field, type]) => [field, this.#field(type)]))
    }
    const [group, version, kind] = kindsOfTypes().get(name)?.split('/') ?? []
    if (kind !== undefined) {
      written['x-kubernetes-group-version-kind'] = [{ group: group ?? '', kind, version: version ?? '' }]
    }
    if (schema.atomic) written['x-kubernetes-map-type'] = 'atomic'
  }

  #field(schema: Schema): JsonObject {
    const written = this.#type(schema, true)
    if (schema.default !== undefined) written['default'] = schema.default
    else if (schema.zero === 'written') {
      const zero = zeroOf(schema)
      if (zero !== undefined) written['default'] = zero
    }
    if (schema.type === 'list') {
      if (schema.list !== undefined) written['x-kubernetes-list-type'] = schema.list
      if (schema.keys !== undefined) written['x-kubernetes-list-map-keys'] = [...schema.keys]
      if (schema.patchMergeKey) written['x-kubernetes-patch-merge-key'] = schema.patchMergeKey
    }
    if (schema.type === 'map' && schema.atomic) written['x-kubernetes-map-type'] = 'atomic'
    if (schema.patchStrategy !== undefined) written['x-kubernetes-patch-strategy'] = schema.patchStrategy
    return written
  }

  #type(schema: Schema, wrapped: boolean): JsonObject {
    const scalar = schema.type === 'int-or-string' ? 'int-or-string' : (schema.format ?? '')
    const name = schema.name ?? scalarNames[scalar]
    if (name !== undefined) {
      const known = scalarSchemas[scalar]
      if (schema.name === undefined && known !== undefined) {
        this.#written.set(name, this.#prefix === '#/definitions/' ? known.v2 : known.v3)
      } else this.#named(name)
      const reference = this.#reference(name)
      return wrapped && this.#prefix !== '#/definitions/' ? { allOf: [reference] } : reference
    }
    const values = schema.values === undefined ? {} : this.#type(schema.values, false)
    if (schema.type === 'list') return { type: 'array', items: values }
    if (schema.type === 'map') return { type: 'object', additionalProperties: values }
    if (schema.type === 'any') return { type: 'object' }
    return {
      type: schema.type,
      ...(schema.format !== undefined && { format: schema.format }),
      ...(schema.enum !== undefined && { enum: [...schema.enum].sort() }),
    }
  }
}

/** A structural schema as it is published: what may be an integer or a string says so in OpenAPI's words too. */
function withAlternatives<Value extends JsonValue>(schema: Value): Value {
  if (Array.isArray(schema)) return schema.map(withAlternatives) as Value
  if (!isJsonObject(schema)) return schema
  const entries = Object.entries(schema).map(([key, value]) => [key, withAlternatives(value)])
  const either = schema['x-kubernetes-int-or-string'] === true && !('anyOf' in schema || 'allOf' in schema)
  return {
    ...Object.fromEntries(entries),
    ...(either && { anyOf: [{ type: 'integer' }, { type: 'string' }] }),
  } as Value
}

function withoutNothing(operations: Record<string, JsonObject | undefined>): JsonObject {
  return Object.fromEntries(
    Object.entries(operations).filter((entry): entry is [string, JsonObject] => entry[1] !== undefined),
  )
}

function zeroOf(schema: Schema): JsonValue | undefined {
  if (schema.type === 'object') return {}
  if (schema.type === 'boolean') return false
  if (schema.type === 'integer') return 0
  return schema.type === 'string' && schema.format === undefined ? '' : undefined
}

const deleteParameters = [
  ['gracePeriodSeconds', 'integer'],
  ['orphanDependents', 'boolean'],
  ['propagationPolicy', 'string'],
] as const

const listParameters = [
  ['allowWatchBookmarks', 'boolean'],
  ['continue', 'string'],
  ['fieldSelector', 'string'],
  ['labelSelector', 'string'],
  ['limit', 'integer'],
  ['resourceVersion', 'string'],
  ['resourceVersionMatch', 'string'],
  ['sendInitialEvents', 'boolean'],
  ['timeoutSeconds', 'integer'],
  ['watch', 'boolean'],
] as const
