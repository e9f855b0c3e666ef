import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'
import { type KubeObject, type ObjectMeta, type Resource, type Schema, StatusError } from '../model.ts'
import { invalid } from '../rest/status.ts'
import { invalidValue } from './causes.ts'
import { formatGo, kindOf, quoteGo } from './go-text.ts'
import { canonicalQuantity, quantityFault } from './quantity.ts'
import { types } from './types.ts'

/**
 * What a client sent, as the API server understands it: fields of the right type, in the one way of writing them, and
 * no others. For built-in resources that is what Go's decoder and encoder make of it: `null` and most zero values are
 * gone, structs that are always there are there.
 */

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore'

/**
 * Read an object.
 *
 * @param duplicates paths of fields that the text had more than once
 * @returns with `Warn`, what a strict reader would refuse, as texts for `Warning` headers
 * @throws StatusError 400
 */
export function readFields(
  resource: Resource,
  value: JsonObject,
  mode: FieldValidation,
  duplicates: readonly string[] = [],
): { object: KubeObject; warnings: string[] } {
  const strict = duplicates.map((path) => `duplicate field "${path}"`)
  let object: KubeObject
  try {
    checkKind(resource, value)
    object = decode(resource, value, strict)
  } catch (error) {
    throw error instanceof DecodeError ? unreadable(resource, value, error.message) : error
  }
  if (mode === 'Strict' && strict.length > 0) {
    const message = `strict decoding error: ${strict.join(', ')}`
    throw unreadable(resource, value, message)
  }
  return { object, warnings: mode === 'Warn' ? strict : [] }
}

/**
 * Read what a patch made of an object.
 *
 * @param duplicates paths of fields that the text of the patch had more than once
 * @throws StatusError 422 which tells of the patch, not of the object
 */
export function readPatched(
  resource: Resource,
  patched: JsonObject,
  patch: { type: 'json' | 'merge' | 'strategic'; value: JsonValue },
  mode: FieldValidation,
  duplicates: readonly string[] = [],
): { object: KubeObject; warnings: string[] } {
  const prefix = patch.type === 'json' ? 'json patch ' : ''
  const strict = duplicates.map((path) => `${prefix}duplicate field "${path}"`)
  const refuse = (what: string) => {
    const written = patch.type === 'strategic' ? formatGo(leftOf(patch.value)) : JSON.stringify(patched)
    const message = `Invalid value: ${quoteGo(written)}: ${what}`
    const causes = [{ reason: 'FieldValueInvalid', message, field: 'patch' }]
    return new StatusError(422, 'Invalid', ` "" is invalid: patch: ${message}`, { causes })
  }
  let object: KubeObject
  try {
    checkKind(resource, patched)
    object = decode(resource, patched, strict)
  } catch (error) {
    throw error instanceof DecodeError ? refuse(error.message) : error
  }
  if (mode === 'Strict' && strict.length > 0) throw refuse(`strict decoding error: ${strict.join(', ')}`)
  return { object, warnings: mode === 'Warn' ? strict : [] }
}

/** What the server has left of a strategic merge patch once it has merged it: no directives, and no ordered lists. */
function leftOf(patch: JsonValue): JsonValue {
  if (!isJsonObject(patch)) return patch
  const order = '$setElementOrder/'
  const done = new Set(
    Object.keys(patch).flatMap((key) => (key.startsWith(order) ? [key, key.slice(order.length)] : [])),
  )
  const left = Object.entries(patch).filter(([key]) => !done.has(key) && key !== '$retainKeys')
  return Object.fromEntries(left.map(([key, value]) => [key, leftOf(value)]))
}

/** An object in the one way of writing it, whatever it has too much. @throws StatusError 500 on wrong types */
export function normalize(resource: Resource, value: JsonObject): KubeObject {
  try {
    return decode(resource, value, [])
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    const type = `${resource.group}/${resource.version}, Kind=${resource.kind}`
    const name = isJsonObject(value['metadata']) ? (value['metadata']['name'] ?? '') : ''
    const message =
      `failed to convert new object (/${String(name)}; ${type}) to proper version: ` +
      `unable to convert unstructured object to ${type}: ${error.message}`
    throw new StatusError(500, '', message)
  }
}

/** The object that Go makes of nothing, as it is written: every field that is always there. */
export function zeroObject(resource: Resource): KubeObject {
  return decode(resource, {}, [])
}

/** What a decoder says of a value that it can't take. */
class DecodeError extends Error {}

function unreadable(resource: Resource, value: JsonObject, why: string): StatusError {
  const { apiVersion, kind } = value
  const version = String(apiVersion ?? resource.version)
    .split('/')
    .at(-1)
  const message = `${String(kind ?? resource.kind)} in version "${version}" cannot be handled as a ${resource.kind}: ${why}`
  return new StatusError(400, 'BadRequest', message)
}

function checkKind(resource: Resource, value: JsonObject): void {
  const own = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
  if (resource.custom) {
    checkCustomKind(resource, own, value)
    return
  }
  const { apiVersion = own, kind = resource.kind } = value
  if (apiVersion === own && kind === resource.kind) return
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
    const [field, wrong] = typeof kind === 'string' ? ['apiVersion', apiVersion] : ['kind', kind]
    throw new DecodeError(
      `json: cannot unmarshal ${kindOf(wrong)} into Go struct field .${field} of type string`,
    )
  }
  const [version = '', group = ''] = apiVersion.split('/').reverse()
  const isKnown = [...types().values()].some(({ name }) => name?.endsWith(`.${version}.${kind}`))
  const packageOf = (name: string) => (name === '' ? 'core' : (name.split('.')[0] ?? ''))
  throw new DecodeError(
    isKnown && (group === '' || group === resource.group || group.includes('.'))
      ? `converting (${version}.${kind}) to (${packageOf(resource.group)}.${resource.kind}): unknown conversion`
      : `no kind "${kind}" is registered for version "${apiVersion}" in scheme "pkg/runtime/scheme.go:111"`,
  )
}

function checkCustomKind({ group, kind }: Resource, own: string, value: JsonObject): void {
  const said = textAt(value, 'apiVersion')
  if (said !== own) {
    const message = `the API version in the data (${said}) does not match the expected API version (${own})`
    throw new StatusError(400, 'BadRequest', message)
  }
  const wrong = textAt(value, 'kind')
  if (wrong === kind) return
  const name = isJsonObject(value['metadata']) ? textAt(value['metadata'], 'name') : ''
  throw invalid(group, wrong, name, [invalidValue('kind', wrong, `must be ${kind}`)])
}

function textAt(value: JsonObject, field: string): string {
  const text = value[field]
  return typeof text === 'string' ? text : ''
}

function decode(resource: Resource, value: JsonObject, strict: string[]): KubeObject {
  const apiVersion = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
  const reader = new Reader(strict)
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = value
  if (resource.custom) {
    const meta = reader.metadata(metadata, [])
    const pruned = reader.prune(rest, resource.schema, '')
    strict.sort()
    return { apiVersion, kind: resource.kind, metadata: meta, ...pruned }
  }
  const { apiVersion: _a, kind: _k, ...fields } = reader.struct(value, resource.schema, [])
  return { apiVersion, kind: resource.kind, ...fields } as KubeObject
}

/** Fields of a struct that are written even when they are absent. */
const writtenFields = new WeakMap<object, [string, Schema][]>()

function writtenIn(schema: Schema): [string, Schema][] {
  const { fields = {} } = schema
  let written = writtenFields.get(fields)
  if (written === undefined) {
    const required = new Set(schema.required)
    written = Object.entries(fields).filter(
      ([name, field]) => field.zero === 'written' || (field.zero === undefined && required.has(name)),
    )
    writtenFields.set(fields, written)
  }
  return written
}

/** Go's zero value of a type. */
function zeroOf(schema: Schema): JsonValue {
  switch (schema.type) {
    case 'string':
      if (schema.format === 'quantity') return '0'
      return schema.format === undefined ? '' : null // points in time, and bytes
    case 'integer':
    case 'number':
    case 'int-or-string':
      return 0
    case 'boolean':
      return false
    case 'object':
      return new Reader([]).struct({}, schema, [])
    default:
      return null
  }
}

class Reader {
  readonly #strict: string[]

  constructor(strict: string[]) {
    this.#strict = strict
  }

  /** The metadata of an object that is no built-in one. */
  metadata(value: JsonValue | undefined, path: readonly string[]): ObjectMeta {
    const schema = types().get('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta')
    if (value === undefined || value === null || schema === undefined) return {} as ObjectMeta
    if (!isJsonObject(value)) {
      const type = 'Go struct field .metadata of type v1.ObjectMeta'
      throw new DecodeError(`json: cannot unmarshal ${kindOf(value)} into ${type}`)
    }
    const strict: string[] = []
    const read = new Reader(strict).struct(value, schema, [])
    const at = [...path, 'metadata'].join('.')
    this.#strict.push(...strict.map((text) => text.replace('"', `"${at}.`)))
    return read as ObjectMeta
  }

  struct(value: JsonObject, schema: Schema, path: readonly (string | number)[]): JsonObject {
    const { fields = {} } = schema
    const read: JsonObject = {}
    for (const name in value) {
      const field = Object.hasOwn(fields, name) ? fields[name] : undefined
      const given = value[name] as JsonValue
      if (field === undefined) {
        this.#strict.push(`unknown field "${formatPath([...path, name])}"`)
        continue
      }
      const found = this.#value(given, field, schema, [...path, name])
      if (found === undefined) continue
      // an empty list of managed fields is a request to forget them
      if (field.zero === undefined && isDropped(found, field) && name !== 'managedFields') continue
      if (field.zero === 'written' && isEmptyCollection(found, field)) continue
      read[name] = found
    }
    for (const [name, field] of writtenIn(schema)) {
      if (read[name] !== undefined) continue
      // a pointer that is always written is null
      read[name] = field.zero === 'written' ? zeroOf(field) : null
    }
    return read
  }

  /** @returns `undefined` for null */
  #value(
    given: JsonValue,
    schema: Schema,
    parent: Schema,
    path: readonly (string | number)[],
  ): JsonValue | undefined {
    if (given === null) return undefined
    const refuse = (value: JsonValue, type = goTypeOf(schema), literal = false) => {
      const struct = parent.name?.split('.').at(-1) ?? ''
      const what = literal && typeof value === 'number' ? `number ${value}` : kindOf(value)
      const at = path.filter((step) => typeof step === 'string').join('.')
      return new DecodeError(
        `json: cannot unmarshal ${what} into Go struct field ${struct}.${at} of type ${type}`,
      )
    }
    switch (schema.type) {
      case 'any':
        return given
      case 'object':
        if (!isJsonObject(given)) throw refuse(given)
        return this.struct(given, schema, path)
      case 'map': {
        if (!isJsonObject(given)) throw refuse(given)
        const { values = { type: 'any' } as Schema } = schema
        const map: JsonObject = {}
        for (const key in given) {
          const at = values.type === 'object' ? [...path, key] : path
          map[key] = this.#value(given[key] as JsonValue, values, parent, at) ?? zeroOf(values)
        }
        return map
      }
      case 'list': {
        if (!Array.isArray(given)) throw refuse(given)
        const { values = { type: 'any' } as Schema } = schema
        const items: JsonValue[] = []
        for (const [at, item] of given.entries()) {
          items.push(this.#value(item, values, parent, [...path, at]) ?? zeroOf(values))
        }
        return items
      }
      case 'boolean':
        if (typeof given !== 'boolean') throw refuse(given)
        return given
      case 'number':
        if (typeof given !== 'number' && typeof given !== 'bigint') throw refuse(given)
        return given
      case 'integer':
        if (!isInteger(given, schema.format)) throw refuse(given, undefined, true)
        return given
      case 'int-or-string':
        if (typeof given !== 'string' && !isInteger(given, 'int32')) throw refuse(given, 'int32', true)
        return given
      case 'string':
        return readString(given, schema, refuse)
    }
  }

  /** What a structural schema keeps of a value. */
  prune(value: JsonObject, schema: Schema, path: string): JsonObject {
    const pruned: JsonObject = {}
    for (const key in value) {
      const at = path === '' ? key : `${path}.${key}`
      const field =
        schema.type === 'object'
          ? Object.hasOwn(schema.fields ?? {}, key)
            ? schema.fields?.[key]
            : undefined
          : schema.values
      if (schema.embedded && key === 'metadata') pruned[key] = this.metadata(value[key], [path])
      else if (schema.embedded && (key === 'apiVersion' || key === 'kind'))
        pruned[key] = value[key] as JsonValue
      else if (field !== undefined) pruned[key] = this.#pruneValue(value[key] as JsonValue, field, at)
      else if (schema.preserveUnknown || schema.type === 'any') pruned[key] = value[key] as JsonValue
      else this.#strict.push(`unknown field "${at}"`)
    }
    return pruned
  }

  #pruneValue(value: JsonValue, schema: Schema, path: string): JsonValue {
    if (isJsonObject(value)) {
      const hasFields = schema.type === 'object' || schema.type === 'map'
      return hasFields ? this.prune(value, schema, path) : value
    }
    if (Array.isArray(value) && schema.type === 'list') {
      const { values } = schema
      return values === undefined
        ? value
        : value.map((item, at) => this.#pruneValue(item, values, `${path}[${at}]`))
    }
    return value
  }
}

/** Of numbers that may be texts, those that may be absent are pointers. */
function isDropped(value: JsonValue, schema: Schema): boolean {
  const isZero = value === '' || value === 0 || value === false
  return (isZero && schema.type !== 'int-or-string') || isEmptyCollection(value, schema)
}

/** The store does not tell an empty list or map from none. */
function isEmptyCollection(value: JsonValue, schema: Schema): boolean {
  if (schema.type === 'list') return Array.isArray(value) && value.length === 0
  if (schema.type !== 'map' || !isJsonObject(value)) return false
  for (const _ in value) return false
  return true
}

function isInteger(value: JsonValue, format: string | undefined): boolean {
  if (typeof value === 'bigint') return format !== 'int32' && value === BigInt.asIntN(64, value)
  if (typeof value !== 'number' || !Number.isInteger(value)) return false
  return format !== 'int32' || (value >= -0x8000_0000 && value <= 0x7fff_ffff)
}

function readString(
  given: JsonValue,
  schema: Schema,
  refuse: (value: JsonValue, type?: string) => Error,
): JsonValue {
  switch (schema.format) {
    case 'quantity': {
      const text = typeof given === 'string' || typeof given === 'number' ? String(given) : ''
      const quantity = canonicalQuantity(text)
      if (quantity === undefined) throw new DecodeError(quantityFault)
      return quantity
    }
    case 'byte': {
      if (typeof given !== 'string') throw refuse(given, '[]uint8')
      const fault = base64FaultIn(given)
      if (fault !== undefined) throw new DecodeError(`illegal base64 data at input byte ${fault}`)
      return given.replace(/[\r\n]/g, '')
    }
    case 'date-time':
    case 'micro-time':
      if (typeof given !== 'string') throw refuse(given, 'string')
      return schema.format === 'date-time' ? readTime(given) : readMicroTime(given)
    default:
      if (typeof given !== 'string') throw refuse(given)
      return given
  }
}

const seconds = '2006-01-02T15:04:05Z07:00'
const micros = '2006-01-02T15:04:05.000000Z07:00'

function readTime(text: string): string {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  if (Number.isNaN(ms)) throw unreadableTime(text, seconds, text, '2006')
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, -5)}Z`
}

/** Six digits behind the second, no more and no fewer. */
function readMicroTime(text: string): string {
  const [, time = '', fraction, zone = ''] =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{6})?(.*)$/.exec(text) ?? []
  if (time !== '' && fraction === undefined) throw unreadableTime(text, micros, zone, '.000000')
  return `${readTime(`${time}${zone}`).slice(0, -1)}${fraction ?? ''}Z`
}

function unreadableTime(text: string, layout: string, rest: string, wanted: string): Error {
  return new DecodeError(
    `parsing time ${quoteGo(text)} as "${layout}": cannot parse ${quoteGo(rest)} as "${wanted}"`,
  )
}

/** Where base64 stops making sense; `undefined` where it doesn't. Line ends may stand anywhere. */
function base64FaultIn(text: string): number | undefined {
  if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined
  let digits = 0
  let padding = 0
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? ''
    if (char === '\n' || char === '\r') continue
    if (padding > 0) {
      if (char === '=' && (digits + padding) % 4 !== 0) padding++
      else return at
    } else if (char === '=') {
      if (digits % 4 < 2) return at
      padding = 1
    } else if (/[A-Za-z0-9+/]/.test(char)) digits++
    else return at
  }
  return (digits + padding) % 4 === 0 ? undefined : text.length
}

function formatPath(path: readonly (string | number)[]): string {
  let text = ''
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text === '' ? step : `.${step}`
  return text
}

function goTypeOf(schema: Schema): string {
  switch (schema.type) {
    case 'list':
      return `[]${goTypeOf(schema.values ?? schema)}`
    case 'map':
      return `map[string]${goTypeOf(schema.values ?? schema)}`
    case 'object': {
      const [version = '', name = ''] = schema.name?.split('.').slice(-2) ?? []
      return `${version}.${name}`
    }
    case 'boolean':
      return 'bool'
    case 'integer':
      return schema.format ?? 'int'
    case 'number':
      return 'float64'
    case 'string':
      return schema.format === 'quantity'
        ? 'resource.Quantity'
        : schema.format === 'byte'
          ? '[]uint8'
          : 'string'
    default:
      return schema.type === 'int-or-string' ? 'intstr.IntOrString' : 'interface {}'
  }
}
