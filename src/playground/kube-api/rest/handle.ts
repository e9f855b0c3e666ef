import { messageOf } from '../../../core/errors.ts'
import { isJsonObject, type JsonObject, valueAt } from '../../../core/json.ts'
import { normalForm } from '../../../core/manifest/normal-form.ts'
import { type KubeObject, type Resource, StatusError } from '../model.ts'
import { openApiV2, openApiV3, openApiV3Index } from '../schema/openapi.ts'
import { kubernetesVersion } from '../schema/types.ts'
import type { Access } from './access.ts'
import { type Body, decodeApply, decodeObject, decodePatch, patchTypeOf } from './body.ts'
import { aggregated, apiGroup, coreVersions, groupList, hashOf, resourceList } from './discovery.ts'
import { listObjects } from './list.ts'
import {
  applyObject,
  createObject,
  type DeleteRequest,
  deleteObject,
  getObject,
  patchObject,
  returnsDeleted,
  type Subresource,
  updateObject,
} from './objects.ts'
import { presentList, presentObject, readView } from './present.ts'
import type { ResourceRequest, User } from './request.ts'
import { answerReview, requestToken } from './reviews.ts'
import { applyScale, patchScale, readScale, scaleResource, updateScale } from './scale.ts'
import { badRequest, invalid, methodNotAllowed, statusOf, unknownResource } from './status.ts'
import { jsonOf, textOf } from './text.ts'
import { type Stream, watchObjects } from './watch.ts'
import type { World, Writer } from './world.ts'

/** From a request to its reply, one function a path. */

export interface ApiRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly header: (name: string) => string | undefined
  readonly user: User
  /** @throws StatusError 413 */
  readonly body: () => Promise<Buffer>
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** `application/json` where nothing is said */
  readonly contentType?: string
  /** texts of `Warning` headers */
  readonly warnings?: readonly string[]
  /** a text, or what goes on until one side ends it */
  readonly body: string | ((stream: Stream) => () => void)
}

export interface Handlers {
  readonly world: World
  readonly access: Access
  /** the address of the API, `https://127.0.0.1:6443` */
  readonly server: () => string
}

/** A request that names a resource. @throws StatusError */
export async function handleResource(
  handlers: Handlers,
  request: ApiRequest,
  asked: ResourceRequest,
): Promise<Reply> {
  const { world } = handlers
  const { resource, verb } = asked
  if (resource === undefined) {
    const isGroup = world.resources.groups.some(({ name }) => name === asked.group)
    if (!isGroup) return pageNotFound()
    throw unknownResource()
  }
  if (!resource.namespaced && asked.namespace !== '' && resource.plural !== 'namespaces') {
    if (resource.custom) return pageNotFound()
    throw unknownResource()
  }
  const warnings = new Set(deprecations(resource))
  const reply = await (asked.subresource === ''
    ? handleObject(handlers, request, asked, resource, warnings)
    : handleSubresource(handlers, request, asked, resource, warnings)
  ).catch(failure)
  return warnings.size === 0 || verb === 'watch' ? reply : { ...reply, warnings: [...warnings] }
}

/** A refusal as a reply; what is no refusal is a bug, and is said to be one. */
export function failure(error: unknown): Reply {
  if (error instanceof StatusError) return { status: error.code, body: jsonOf(statusOf(error)) }
  process.emitWarning(
    error instanceof Error ? (error.stack ?? error.message) : String(error),
    'KubeApiWarning',
  )
  const status = new StatusError(500, 'InternalError', `Internal error occurred: ${messageOf(error)}`)
  return { status: 500, body: jsonOf(statusOf(status)) }
}

async function handleObject(
  { world, access }: Handlers,
  request: ApiRequest,
  asked: ResourceRequest,
  resource: Resource,
  warnings: Set<string>,
): Promise<Reply> {
  const { verb, name } = asked
  const { query } = request
  const namespace = resource.namespaced ? asked.namespace : ''
  const needsNamespace = resource.namespaced && namespace === '' && verb !== 'list' && verb !== 'watch'
  if (!resource.verbs.includes(verb) || needsNamespace) throw methodNotAllowed()
  const wantsYaml = verb === 'get' && /^application\/yaml\b/.test(request.header('accept') ?? '')
  const view = readView(wantsYaml ? '' : (request.header('accept') ?? ''), query, world.now)
  const one = (object: KubeObject, status = 200) => ({ status, body: presentObject(view, resource, object) })

  switch (verb) {
    case 'get': {
      const object = getObject(world, resource, namespace, name)
      return wantsYaml
        ? { status: 200, contentType: 'application/yaml', body: normalForm(object) }
        : one(object)
    }
    case 'list':
      return {
        status: 200,
        body: presentList(view, resource, listObjects(world, resource, namespace, query)),
      }
    case 'watch': {
      const narrowed = new URLSearchParams(query)
      if (name !== '') narrowed.set('fieldSelector', `metadata.name=${name}`)
      return { status: 200, body: watchObjects(world, resource, namespace, narrowed, view) }
    }
    case 'create': {
      if (name !== '') throw methodNotAllowed()
      const { value, duplicates } = decodeObject(await bodyOf(request), resource)
      const writer = readWriter(request, duplicates, warnings)
      const answer = answerReview(world, access, request.user, resource, value, writer)
      if (answer !== undefined) return { status: 201, body: jsonOf(answer) }
      return one(createObject(world, resource, namespace, value, writer), 201)
    }
    case 'update': {
      const { value, duplicates } = decodeObject(await bodyOf(request), resource)
      const writer = readWriter(request, duplicates, warnings)
      const { object, created } = updateObject(world, resource, namespace, name, value, writer)
      return one(object, created ? 201 : 200)
    }
    case 'patch': {
      const body = await bodyOf(request)
      const { object, created } = patch(world, request, resource, namespace, name, body, warnings, undefined)
      return one(object, created ? 201 : 200)
    }
    case 'delete': {
      const { options, dryRun } = await readDeleteRequest(request)
      const writer = { manager: managerOf(request), dryRun }
      const { object, gone } = deleteObject(world, resource, namespace, name, writer, options)
      if (!gone || returnsDeleted(resource)) return one(object)
      return { status: 200, body: jsonOf(deletedStatus(resource, object)) }
    }
    case 'deletecollection': {
      const { options, dryRun } = await readDeleteRequest(request)
      const writer = { manager: managerOf(request), dryRun }
      const page = listObjects(world, resource, namespace, query)
      for (const { metadata } of page.objects) {
        const own = resource.namespaced ? String(metadata['namespace']) : ''
        deleteObject(world, resource, own, metadata.name, writer, options)
      }
      return { status: 200, body: presentList(view, resource, page) }
    }
  }
}

async function handleSubresource(
  { world, access }: Handlers,
  request: ApiRequest,
  asked: ResourceRequest,
  resource: Resource,
  warnings: Set<string>,
): Promise<Reply> {
  const { verb, name, subresource } = asked
  const namespace = resource.namespaced ? asked.namespace : ''
  const served = resource.subresources.find((each) => each.name === subresource)
  if (served === undefined) {
    if (resource.custom) getObject(world, resource, namespace, name)
    throw unknownResource()
  }
  if (!served.verbs.includes(verb)) throw methodNotAllowed()
  const view = readView(request.header('accept') ?? '', request.query, world.now)
  const one = (object: KubeObject, status = 200) => ({ status, body: presentObject(view, resource, object) })

  switch (subresource) {
    case 'status':
    case 'finalize':
    case 'approval':
    case 'ephemeralcontainers':
    case 'resize': {
      if (verb === 'get') return one(getObject(world, resource, namespace, name))
      const body = await bodyOf(request)
      const door: Subresource | undefined =
        subresource === 'finalize'
          ? 'finalize'
          : subresource === 'status' || subresource === 'approval'
            ? 'status'
            : undefined
      if (verb === 'patch') {
        const { object } = patch(world, request, resource, namespace, name, body, warnings, door)
        return one(object)
      }
      const { value, duplicates } = decodeObject(body, resource)
      const writer = readWriter(request, duplicates, warnings)
      const options = { subresource: door }
      return one(updateObject(world, resource, namespace, name, value, writer, options).object)
    }
    case 'scale':
      return { status: 200, body: textOf(await handleScale(world, request, asked, resource, warnings)) }
    case 'token': {
      const body = await bodyOf(request)
      const value = body.bytes.length === 0 ? {} : decodeObject(body, tokenRequest(resource)).value
      return {
        status: 201,
        body: jsonOf(requestToken(world, access, resource, namespace, name, value)),
      }
    }
    case 'log':
      return podLog(getObject(world, resource, namespace, name), request.query)
    case 'eviction': {
      const { options, dryRun } = await readDeleteRequest(request)
      deleteObject(world, resource, namespace, name, { manager: managerOf(request), dryRun }, options)
      return {
        status: 201,
        body: jsonOf(done),
      }
    }
    case 'binding': {
      const body = await bodyOf(request)
      const { value } = decodeObject(body, { ...resource, kind: 'Binding' })
      const nodeName = valueAt(value, 'target', 'name') ?? ''
      const writer = readWriter(request, [], warnings)
      const options = { subresource: 'binding' as const }
      patchObject(world, resource, namespace, name, 'merge', { spec: { nodeName } }, writer, options)
      return { status: 201, body: jsonOf(done) }
    }
    case 'portforward':
    case 'exec':
    case 'attach':
      throw badRequest('Upgrade request required')
    default:
      throw unknownResource()
  }
}

async function handleScale(
  world: World,
  request: ApiRequest,
  { verb, namespace, name }: ResourceRequest,
  resource: Resource,
  warnings: Set<string>,
): Promise<KubeObject> {
  if (verb === 'get') return readScale(resource, getObject(world, resource, namespace, name))
  const body = await bodyOf(request)
  const type = verb === 'patch' ? patchTypeOf(body, resource) : undefined
  if (type === 'apply') {
    const { value, duplicates } = decodeApply(body, scaleResource(resource))
    const writer = { ...readWriter(request, duplicates, warnings), force: isTrue(request.query.get('force')) }
    return applyScale(world, resource, namespace, name, value, writer)
  }
  if (type === undefined) {
    const { value, duplicates } = decodeObject(body, scaleResource(resource))
    const writer = readWriter(request, duplicates, warnings)
    return updateScale(world, resource, namespace, name, () => value, writer)
  }
  const { value, duplicates } = decodePatch(body)
  return patchScale(world, resource, namespace, name, type, value, readWriter(request, duplicates, warnings))
}

function tokenRequest(resource: Resource): Resource {
  return { ...resource, group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' }
}

function patch(
  world: World,
  request: ApiRequest,
  resource: Resource,
  namespace: string,
  name: string,
  body: Body,
  warnings: Set<string>,
  subresource: Subresource | undefined,
): { object: KubeObject; created: boolean } {
  const type = patchTypeOf(body, resource)
  if (type !== 'apply') {
    const { value, duplicates } = decodePatch(body)
    const writer = readWriter(request, duplicates, warnings)
    if (request.query.has('force')) {
      throw invalidOption(
        'PatchOptions',
        'force',
        'Forbidden: may not be specified for non-apply patch',
        'FieldValueForbidden',
      )
    }
    const object = patchObject(world, resource, namespace, name, type, value, writer, { subresource })
    return { object, created: false }
  }
  if ((request.query.get('fieldManager') ?? '') === '') {
    throw invalidOption(
      'PatchOptions',
      'fieldManager',
      'Required value: is required for apply patch',
      'FieldValueRequired',
    )
  }
  const { value, duplicates } = decodeApply(body, resource)
  const writer = readWriter(request, duplicates, warnings)
  const force = isTrue(request.query.get('force'))
  return applyObject(world, resource, namespace, name, value, { ...writer, force }, { subresource })
}

async function bodyOf(request: ApiRequest): Promise<Body> {
  return { contentType: request.header('content-type') ?? '', bytes: await request.body() }
}

function isTrue(text: string | null): boolean {
  return text !== null && ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)
}

/** Who writes and how, as the query says. @throws StatusError 400, 422 */
function readWriter(request: ApiRequest, duplicates: readonly string[], warnings: Set<string>): Writer {
  const { query } = request
  const kind = `${request.method === 'POST' ? 'Create' : request.method === 'PUT' ? 'Update' : 'Patch'}Options`
  const validation = query.get('fieldValidation') ?? ''
  if (validation !== '' && validation !== 'Strict' && validation !== 'Warn' && validation !== 'Ignore') {
    throw invalidOption(
      kind,
      'fieldValidation',
      `Unsupported value: ${JSON.stringify(validation)}: supported values: "", "Ignore", "Strict", "Warn"`,
      'FieldValueNotSupported',
    )
  }
  if ((query.get('fieldManager') ?? '').length > 128) {
    const message = 'Too long: may not be more than 128 bytes'
    throw invalidOption(kind, 'fieldManager', message, 'FieldValueTooLong')
  }
  return {
    manager: managerOf(request),
    dryRun: readDryRun(query.getAll('dryRun'), kind),
    ...(validation !== '' && { fieldValidation: validation }),
    duplicates,
    warn: (text) => warnings.add(text),
  }
}

function readDryRun(values: readonly string[], kind: string): boolean {
  const wrong = values.find((value) => value !== 'All' && value !== '')
  if (wrong !== undefined) {
    const message = `Unsupported value: ${JSON.stringify(values)}: supported values: "All"`
    throw invalidOption(kind, 'dryRun', message, 'FieldValueNotSupported')
  }
  return values.includes('All')
}

function invalidOption(kind: string, field: string, message: string, reason: string): StatusError {
  return invalid('meta.k8s.io', kind, '', [{ reason, message, field }])
}

/** The name in managed fields: as asked for, or what the client calls itself. */
function managerOf(request: ApiRequest): string {
  const asked = request.query.get('fieldManager') ?? ''
  if (asked !== '') return asked
  return (request.header('user-agent') ?? '').split('/')[0]?.slice(0, 128) || 'unknown'
}

async function readDeleteRequest(request: ApiRequest): Promise<{ options: DeleteRequest; dryRun: boolean }> {
  const { query } = request
  const body = await bodyOf(request)
  const given = body.bytes.length === 0 ? {} : decodeObject(body, anyOptions(body)).value
  const inner = isJsonObject(given['deleteOptions']) ? given['deleteOptions'] : given
  const policy = inner['propagationPolicy'] ?? query.get('propagationPolicy') ?? undefined
  const grace = inner['gracePeriodSeconds'] ?? query.get('gracePeriodSeconds') ?? undefined
  const orphan = inner['orphanDependents']
  if (policy !== undefined && policy !== 'Background' && policy !== 'Foreground' && policy !== 'Orphan') {
    throw invalidOption(
      'DeleteOptions',
      'propagationPolicy',
      `Unsupported value: ${JSON.stringify(policy)}: supported values: "Foreground", "Background", "Orphan", "nil"`,
      'FieldValueNotSupported',
    )
  }
  if (policy !== undefined && typeof orphan === 'boolean') {
    throw invalidOption(
      'DeleteOptions',
      'propagationPolicy',
      `Invalid value: ${JSON.stringify(policy)}: orphanDependents and deletionPropagation cannot be both set`,
      'FieldValueInvalid',
    )
  }
  const uid = valueAt(inner, 'preconditions', 'uid')
  const resourceVersion = valueAt(inner, 'preconditions', 'resourceVersion')
  const dryRuns = Array.isArray(inner['dryRun']) ? inner['dryRun'].map(String) : query.getAll('dryRun')
  const orphaned = orphan === true ? 'Orphan' : orphan === false ? 'Background' : undefined
  const propagationPolicy = policy ?? orphaned
  return {
    options: {
      ...(propagationPolicy !== undefined && { propagationPolicy }),
      ...(grace !== undefined && grace !== null && { gracePeriodSeconds: Number(grace) }),
      ...(typeof uid === 'string' && { uid }),
      ...(typeof resourceVersion === 'string' && { resourceVersion }),
    },
    dryRun: readDryRun(dryRuns, 'DeleteOptions'),
  }
}

/** Options come under many names; whatever they call themselves is right. */
function anyOptions({ bytes }: Body): Resource {
  const said = /"apiVersion"\s*:\s*"([^"]*)"/.exec(bytes.toString('latin1'))?.[1] ?? 'v1'
  const kind = /"kind"\s*:\s*"([^"]*)"/.exec(bytes.toString('latin1'))?.[1] ?? 'DeleteOptions'
  const [version = '', group = ''] = said.split('/').reverse()
  return { group, version, kind, custom: false } as unknown as Resource
}

const done = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }

function deletedStatus({ group, plural }: Resource, { metadata }: KubeObject): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name: metadata.name,
      ...(group !== '' && { group }),
      kind: plural,
      uid: metadata['uid'] ?? '',
    },
  }
}

/** No container runs: its log says what there is to say. @throws StatusError 400 */
function podLog(pod: KubeObject, query: URLSearchParams): Reply {
  const containers = [pod, pod].flatMap((_, at) => {
    const list = valueAt(pod, 'spec', at === 0 ? 'containers' : 'initContainers')
    return (Array.isArray(list) ? list : []).map((container) => String(valueAt(container, 'name')))
  })
  const asked = query.get('container') ?? ''
  const { name } = pod.metadata
  if (asked !== '' && !containers.includes(asked)) {
    throw badRequest(`container ${asked} is not valid for pod ${name}`)
  }
  if (asked === '' && containers.length > 1) {
    throw badRequest(
      `a container name must be specified for pod ${name}, choose one of: [${containers.join(' ')}]`,
    )
  }
  const container = asked === '' ? containers[0] : asked
  const body = `container ${container} of pod ${name}: nothing really runs in the playground\n`
  return { status: 200, contentType: 'text/plain', body }
}

function deprecations({ group, plural }: Resource): string[] {
  if (group !== '') return []
  if (plural === 'endpoints')
    return ['v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice']
  return plural === 'componentstatuses' ? ['v1 ComponentStatus is deprecated in v1.19+'] : []
}

function pageNotFound(): Reply {
  return { status: 404, contentType: 'text/plain; charset=utf-8', body: '404 page not found\n' }
}

const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(kubernetesVersion) ?? []
const version = jsonOf({
  major,
  minor,
  emulationMajor: major,
  emulationMinor: minor,
  minCompatibilityMajor: major,
  minCompatibilityMinor: String(Number(minor) - 1),
  gitVersion: kubernetesVersion,
  gitCommit: '$Format:%H$',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'go1.26.8',
  compiler: 'gc',
  platform: 'linux/amd64',
})

/** A request that names no resource: discovery, schemas, health. */
export function handlePath(handlers: Handlers, { method, path, query, header }: ApiRequest): Reply {
  if (method !== 'GET' && method !== 'HEAD') return pageNotFound()
  const { resources } = handlers.world
  const plain = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  const json = (value: JsonObject | undefined): Reply =>
    value === undefined ? pageNotFound() : { status: 200, body: jsonOf(value) }
  if (/^\/(healthz|livez|readyz)(\/|$)/.test(plain)) {
    const body = query.has('verbose') ? `[+]ping ok\n${plain.split('/')[1]} check passed\n` : 'ok'
    return { status: 200, contentType: 'text/plain; charset=utf-8', body }
  }
  if (plain === '/version') return { status: 200, body: version }
  if (plain === '/api' || plain === '/apis') {
    const wanted = aggregatedVersion(header('accept') ?? '')
    if (wanted === undefined) {
      return json(plain === '/api' ? coreVersions(handlers.server()) : groupList(resources))
    }
    const body = resources.remember(`${plain} ${wanted}`, () =>
      jsonOf(aggregated(resources, plain === '/api', wanted)),
    )
    return tagged(body, header, {
      contentType: `application/json;g=apidiscovery.k8s.io;v=${wanted};as=APIGroupDiscoveryList`,
      headers: { 'cache-control': 'public', vary: 'Accept' },
    })
  }
  if (plain === '/openapi/v2' && !/application\/json|\*\/\*|^$/.test(header('accept') ?? '')) {
    return { status: 200, contentType: openApiProtobuf, body: emptyOpenApi }
  }
  if (plain === '/openapi/v2') {
    return tagged(
      resources.remember(plain, () => jsonOf(openApiV2(resources.all))),
      header,
    )
  }
  if (plain === '/openapi/v3') {
    // the real server forgets to say that it is JSON
    return { status: 200, contentType: 'text/plain; charset=utf-8', body: jsonOf(openApiIndex(handlers)) }
  }
  if (plain.startsWith('/openapi/v3/')) {
    const groupVersion = plain.slice('/openapi/v3/'.length)
    if (valueAt(openApiIndex(handlers), 'paths', groupVersion) === undefined) return pageNotFound()
    const body = openApiText(handlers, groupVersion)
    const immutable = query.get('hash') === hashOf(body)
    return tagged(body, header, {
      headers: immutable ? { 'cache-control': 'public, immutable' } : {},
    })
  }
  const [, root, group = '', served, ...more] = plain.split('/')
  if (more.length === 0) {
    if (root === 'api' && served === undefined) return json(resourceList(resources, '', group))
    if (root === 'apis' && served === undefined) return json(apiGroup(resources, group))
    if (root === 'apis' && served !== undefined) return json(resourceList(resources, group, served))
  }
  if (plain === '/')
    return json({
      paths: ['/api', '/apis', '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'],
    })
  return pageNotFound()
}

const openApiProtobuf = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'
/**
 * A document as protobuf that describes nothing: `swagger: 2.0` and `info`. Clients that still ask for it look there for
 * kinds that they did not find in version 3.
 */
const emptyOpenApi = '\n\x032.0\x12\x0e\n\nKubernetes\x12\x00'

function aggregatedVersion(accept: string): string | undefined {
  for (const range of accept.split(',')) {
    const found =
      /^\s*application\/json\s*;(?=.*g=apidiscovery\.k8s\.io)(?=.*as=APIGroupDiscoveryList).*\bv=(v2(?:beta1)?)\b/.exec(
        range,
      )
    if (found !== null) return found[1]
    if (/^\s*(application\/json|\*\/\*)\s*$/.test(range)) return undefined
  }
  return undefined
}

/** A text with its hash as ETag, or nothing when the client has it already. */
function tagged(body: string, header: ApiRequest['header'], reply: Partial<Reply> = {}): Reply {
  const etag = `"${hashOf(body)}"`
  const headers = { ...reply.headers, etag }
  if (header('if-none-match')?.includes(etag)) return { ...reply, status: 304, headers, body: '' }
  return { ...reply, status: 200, headers, body }
}

function openApiText({ world: { resources } }: Handlers, groupVersion: string): string {
  return resources.remember(`openapi ${groupVersion}`, () => jsonOf(openApiV3(groupVersion, resources.all)))
}

function openApiIndex({ world: { resources } }: Handlers): JsonObject {
  return openApiV3Index(resources.all)
}
