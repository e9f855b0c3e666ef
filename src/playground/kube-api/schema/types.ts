import type { JsonValue } from '../../../core/json.ts'
import type { Resource, Schema, Subresource } from '../model.ts'
import table from './types.json' with { type: 'json' }

/**
 * What a Kubernetes API server serves of itself: every resource, and every type with its fields.
 *
 * The table is made by `scripts/kube-types.mjs`, which asks a real API server. A type is one text: a line for itself
 * (`atomic`, `any`, `kind:GROUP/VERSION/KIND`), then a line for each field: `.name type word…`. Types are `string`,
 * `boolean`, `integer`, `int32`, `int64`, `double`, `byte`, `date-time`, `micro-time`, `quantity`, `int-or-string`,
 * `object`, `[]T`, `{}T`, or the name of another type without `io.k8s.`.
 */

/** One row of the table. */
interface Row extends Omit<Resource, 'status' | 'scale' | 'schema' | 'custom'> {
  subresources: Subresource[]
  type: string
}

const namePrefix = 'io.k8s.'

export const kubernetesVersion = table.version

let builtIn: readonly Resource[] | undefined
let builtInTypes: ReadonlyMap<string, Schema> | undefined
let kinds: ReadonlyMap<string, string> | undefined

/** Every resource that is served without any CustomResourceDefinition, in the order of discovery. */
export function builtInResources(): readonly Resource[] {
  builtIn ??= (table.resources as Row[]).map(({ type, ...row }) => {
    const has = (name: string) => row.subresources.some((subresource) => subresource.name === name)
    const schema = types().get(namePrefix + type)
    if (schema === undefined) throw new Error(`the table of types has no ${type}`)
    return {
      ...row,
      status: has('status'),
      ...(has('scale') && {
        scale: {
          specReplicas: '.spec.replicas',
          statusReplicas: '.status.replicas',
          selector: '.spec.selector',
        },
      }),
      schema,
      custom: false,
    }
  })
  return builtIn
}

/** Types by their name in OpenAPI, such as `io.k8s.api.core.v1.Pod`. */
export function types(): ReadonlyMap<string, Schema> {
  builtInTypes ??= readTypes(table.types)
  return builtInTypes
}

/** The `GROUP/VERSION/KIND` of types that are objects of their own, by the name of the type. */
export function kindsOfTypes(): ReadonlyMap<string, string> {
  kinds ??= new Map(
    Object.entries(table.types).flatMap(([name, text]) => {
      const kind = /^[^.\n]*\bkind:(\S+)/.exec(text)?.[1]
      return kind === undefined ? [] : [[namePrefix + name, kind]]
    }),
  )
  return kinds
}

/** The schema of an object whose `apiVersion`, `kind` and `metadata` go without saying. */
export function wholeObject(schema: Schema): Schema {
  const metadata = types().get('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta')
  if (metadata === undefined) throw new Error('the table of types has no ObjectMeta')
  const fields = { apiVersion: scalarTypes.string, kind: scalarTypes.string, metadata }
  return { ...schema, type: 'object', fields: { ...schema.fields, ...fields } }
}

function readTypes(texts: Readonly<Record<string, string>>): Map<string, Schema> {
  type Fields = Record<string, Schema>
  const found = new Map<string, Schema>()
  const open: { text: string; fields: Fields; required: string[] }[] = []
  for (const [name, text] of Object.entries(texts)) {
    const own = text.startsWith('.') ? [] : (text.split('\n', 1)[0] ?? '').split(' ')
    if (own.includes('any')) {
      found.set(namePrefix + name, { type: 'any', name: namePrefix + name })
      continue
    }
    const fields: Fields = {}
    const required: string[] = []
    const atomic = own.includes('atomic')
    // fields are filled in below, when every type that they may name is there
    found.set(namePrefix + name, {
      type: 'object',
      name: namePrefix + name,
      fields,
      required,
      ...(atomic && { atomic }),
    })
    open.push({ text, fields, required })
  }
  for (const { text, fields, required } of open) {
    for (const line of text.split('\n')) {
      if (!line.startsWith('.')) continue
      const [dotted = '', type = '', ...words] = line.split(' ')
      const field = dotted.slice(1)
      fields[field] = { ...typeOf(type, found), ...attributesOf(words, type) }
      if (words.includes('required')) required.push(field)
    }
  }
  return found
}

function typeOf(text: string, found: ReadonlyMap<string, Schema>): Schema {
  if (text.startsWith('[]')) return { type: 'list', values: typeOf(text.slice(2), found) }
  if (text.startsWith('{}')) return { type: 'map', values: typeOf(text.slice(2), found) }
  const [, word = '', , choices] = /^([^(]*)(\((.*)\))?$/.exec(text) ?? []
  const schema = found.get(namePrefix + word) ?? scalars[word]
  if (schema === undefined) throw new Error(`the table of types names ${word}, which it does not have`)
  return choices === undefined ? schema : { ...schema, enum: choicesOf(choices) }
}

function choicesOf(text: string): string[] {
  return text.split(',').map(decodeURI)
}

const scalarTypes = { string: { type: 'string' } } as const

const scalars: Readonly<Record<string, Schema>> = {
  ...scalarTypes,
  byte: { type: 'string', format: 'byte' },
  'date-time': { type: 'string', format: 'date-time' },
  'micro-time': { type: 'string', format: 'micro-time' },
  quantity: { type: 'string', format: 'quantity' },
  boolean: { type: 'boolean' },
  integer: { type: 'integer' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
  'int-or-string': { type: 'int-or-string' },
  object: { type: 'any' },
}

function attributesOf(words: readonly string[], type: string): Partial<Schema> {
  const attributes: { -readonly [K in keyof Schema]?: Schema[K] } = {}
  let strategy: string | undefined
  for (const word of words) {
    const colon = word.indexOf(':')
    const name = colon < 0 ? word : word.slice(0, colon)
    const value = word.slice(colon + 1)
    if (name === 'pointer') attributes.zero = 'kept'
    else if (name === 'written') attributes.zero = 'written'
    else if (name === 'required' && /^(\[\]|\{\})/.test(type)) attributes.zero = 'written'
    else if (name === 'enum') attributes.enum = choicesOf(value)
    else if (name === 'patch') strategy = value
    else if (name === 'by') attributes.patchMergeKey = value
    else if (name === 'set') attributes.list = 'set'
    else if (name === 'map') {
      attributes.list = 'map'
      attributes.keys = value.split(':')
    } else if (name === 'atomic') {
      if (type.startsWith('[]')) attributes.list = 'atomic'
      else attributes.atomic = true
    } else if (name === 'granular') attributes.atomic = false
    else if (name === 'default') {
      const written = JSON.parse(value) as JsonValue
      if (isZero(written)) attributes.zero ??= 'written'
      else attributes.default = written
    }
  }
  if (strategy !== undefined) {
    attributes.patchStrategy = strategy
    // lists of scalars that are merged have no key
    if (/^(merge)/.test(strategy) && type.startsWith('[]')) attributes.patchMergeKey ??= ''
  }
  return attributes
}

function isZero(value: JsonValue): boolean {
  return value === '' || value === 0 || value === false || (typeof value === 'object' && value !== null)
}
