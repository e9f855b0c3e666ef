// Asks a real kube-apiserver (KUBEBUILDER_ASSETS) what it serves and writes src/playground/kube-api/schema/types.json:
// every resource, and every type as one line per field. `npx biome check --write` lays it out. With --check it compares
// instead, and fails on a difference.
// What OpenAPI leaves out stands in kube-types-go.json, read off the types of k8s.io/api: which optional scalars are
// pointers, so that a zero is kept; which lists and structs are written even when they are absent, and which zeroes are
// dropped though OpenAPI calls them defaults.
import { readFile, writeFile } from 'node:fs/promises'
import { tsImport } from 'tsx/esm/api'

const target = new URL('../src/playground/kube-api/schema/types.json', import.meta.url)
const go = JSON.parse(await readFile(new URL('kube-types-go.json', import.meta.url), 'utf8'))
const { startControlPlane } = await tsImport('../src/playground/kube/control-plane.ts', import.meta.url)

/** types of the table that are written as one word of ours */
const scalars = {
  'apimachinery.pkg.api.resource.Quantity': 'quantity',
  'apimachinery.pkg.apis.meta.v1.Time': 'date-time',
  'apimachinery.pkg.apis.meta.v1.MicroTime': 'micro-time',
  'apimachinery.pkg.util.intstr.IntOrString': 'int-or-string',
}

const controlPlane = await startControlPlane()
try {
  const text = JSON.stringify(await readTypes(), null, 2)
  if (!process.argv.includes('--check')) await writeFile(target, `${text}\n`)
  else if (text !== JSON.stringify(JSON.parse(await readFile(target, 'utf8')), null, 2)) {
    console.error('types.json is not what the API server serves: run node scripts/kube-types.mjs')
    process.exitCode = 1
  }
} finally {
  await controlPlane.close()
}

async function readTypes() {
  const types = new Map()
  const kinds = new Map()
  const { paths } = await get('/openapi/v3')
  for (const path of Object.keys(paths)) {
    if (!/^apis?\/(.*\/)?v\d+$/.test(path)) continue
    const { components } = await get(`/openapi/v3/${path}`)
    for (const [name, schema] of Object.entries(components.schemas)) {
      if (isScalar(name)) continue
      types.set(short(name), fieldLines(short(name), schema))
      for (const { group, version, kind } of schema['x-kubernetes-group-version-kind'] ?? []) {
        kinds.set(`${group}/${version}/${kind}`, short(name))
      }
    }
  }
  const { gitVersion } = await get('/version')
  const sorted = [...types].sort(([a], [b]) => (a < b ? -1 : 1))
  const texts = sorted.map(([name, lines]) => [name, lines.join('\n')])
  return { version: gitVersion, resources: await readResources(kinds), types: Object.fromEntries(texts) }
}

async function readResources(kinds) {
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
  const groups = [...(await get('/api', accept)).items, ...(await get('/apis', accept)).items]
  return groups.flatMap(({ metadata, versions }) =>
    versions.flatMap(({ version, resources }) =>
      [...resources]
        .sort((a, b) => (a.resource < b.resource ? -1 : 1))
        .map((resource) => {
          const group = metadata.name ?? ''
          const kind = resource.responseKind.kind
          return {
            group,
            version,
            kind,
            plural: resource.resource,
            singular: resource.singularResource,
            shortNames: resource.shortNames ?? [],
            categories: resource.categories ?? [],
            namespaced: resource.scope === 'Namespaced',
            verbs: resource.verbs,
            subresources: (resource.subresources ?? []).map((sub) => ({
              name: sub.subresource,
              group: sub.responseKind.version === '' ? group : sub.responseKind.group,
              version: sub.responseKind.version || version,
              kind: sub.responseKind.kind,
              verbs: sub.verbs,
            })),
            type: kinds.get(`${group}/${version}/${kind}`),
          }
        }),
    ),
  )
}

/** One line for the type itself, where there is something to say, and one for each field. */
function fieldLines(name, schema) {
  const own = []
  if (schema['x-kubernetes-map-type'] === 'atomic') own.push('atomic')
  const kinds = schema['x-kubernetes-group-version-kind'] ?? []
  if (kinds.length === 1) own.push(`kind:${kinds[0].group}/${kinds[0].version}/${kinds[0].kind}`)
  if (schema.properties === undefined) own.push('any')
  const lines = own.length === 0 ? [] : [own.join(' ')]
  const pointers = (go.pointers[name] ?? '').split(' ')
  const dropped = (go.dropped[name] ?? '').split(' ')
  const written = (go.written[name] ?? '').split(' ')
  for (const [field, property] of Object.entries(schema.properties ?? {})) {
    const words = [`.${field}`, typeOf(property)]
    if (schema.required?.includes(field)) words.push('required')
    if (pointers.includes(field)) words.push('pointer')
    if (written.includes(field)) words.push('written')
    if (property.enum) words.push(`enum:${listOf(property.enum)}`)
    if (property['x-kubernetes-map-type']) words.push(property['x-kubernetes-map-type'])
    const list = property['x-kubernetes-list-type']
    if (list) words.push([list, ...(property['x-kubernetes-list-map-keys'] ?? [])].join(':'))
    const strategy = property['x-kubernetes-patch-strategy']
    if (strategy) words.push(`patch:${strategy}`)
    const key = property['x-kubernetes-patch-merge-key']
    if (key) words.push(`by:${key}`)
    if (property.default !== undefined && !dropped.includes(field))
      words.push(`default:${JSON.stringify(property.default)}`)
    lines.push(words.join(' '))
  }
  return lines
}

function typeOf(schema) {
  const reference = schema.$ref ?? schema.allOf?.[0].$ref
  if (reference) {
    const name = short(reference.replace('#/components/schemas/', ''))
    return scalars[name] ?? name
  }
  if (schema.type === 'array') return `[]${typeOf(schema.items)}${enumOf(schema.items)}`
  if (schema.additionalProperties)
    return `{}${typeOf(schema.additionalProperties)}${enumOf(schema.additionalProperties)}`
  return schema.format ?? schema.type
}

/** The enumeration of what is in a list or a map stands behind its type. */
function enumOf(schema) {
  return schema.enum ? `(${listOf(schema.enum)})` : ''
}

/** One word: a choice may hold a blank. */
function listOf(choices) {
  return choices.map(encodeURI).join(',')
}

function isScalar(name) {
  return short(name) in scalars
}

function short(name) {
  return name.replace(/^io\.k8s\./, '')
}

async function get(path, accept = 'application/json') {
  const { status, body } = await controlPlane.request('GET', path, undefined, { accept })
  if (status !== 200) throw new Error(`GET ${path}: ${status}`)
  return typeof body === 'string' ? JSON.parse(body) : body // not every reply says that it is JSON
}
