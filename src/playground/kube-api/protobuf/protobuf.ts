import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'
import { type KubeObject, StatusError } from '../model.ts'
import table from './messages.json' with { type: 'json' }

/**
 * Kubernetes' protobuf encoding, read: typed Go clients (Helm's storage of releases, the original `fluxd`) send it by
 * `application/vnd.kubernetes.protobuf`. Answers go out as JSON, which every client takes.
 *
 * The field numbers stand in `messages.json`, made by `scripts/kube-protobuf.mjs`. A zero or an empty text is left out
 * where JSON would leave it out too.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 */

interface Field {
  /** `.` where the fields of the value belong to the parent */
  name: string
  many: 'one' | 'list' | 'map'
  type: string
  /** a zero counts */
  keep: boolean
}

const magic = Buffer.from('k8s\0')
const metaPackage = 'apimachinery.pkg.apis.meta.v1'
const packages: Readonly<Record<string, string>> = table.packages
const lines: Readonly<Record<string, readonly string[]>> = table.messages
const messages = new Map<string, Map<number, Field>>()

/** @throws StatusError 400 for bytes that are no object of a kind that is built in */
export function decodeProtobuf(bytes: Uint8Array): KubeObject {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!buffer.subarray(0, magic.length).equals(magic)) {
    throw malformed('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]')
  }
  let apiVersion = ''
  let kind = ''
  let raw: Buffer = Buffer.alloc(0)
  for (const { number, bytes } of fieldsIn(buffer.subarray(magic.length))) {
    if (number === 1 && bytes) {
      for (const field of fieldsIn(bytes)) {
        if (field.number === 1) apiVersion = field.bytes?.toString() ?? ''
        if (field.number === 2) kind = field.bytes?.toString() ?? ''
      }
    }
    if (number === 2 && bytes) raw = bytes
  }
  const name = [`${packages[apiVersion]}.${kind}`, `${metaPackage}.${kind}`].find((name) => lines[name])
  if (name === undefined) {
    const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion]
    throw malformed(`no kind "${kind}" is registered for version "${group ? `${group}/` : ''}${version}"`)
  }
  return { apiVersion, kind, ...(readMessage(name, raw) as JsonObject) } as KubeObject
}

/** A message as JSON shows it; `undefined` for a time that is not set. */
function readMessage(name: string, bytes: Buffer): JsonValue | undefined {
  const special = specials[name]
  if (special) return special(bytes)
  const fields = fieldsOf(name)
  const object: JsonObject = {}
  for (const { number, bytes: content, varint } of fieldsIn(bytes)) {
    const field = fields.get(number)
    if (field === undefined) continue
    if (field.many === 'map') {
      const [key, value] = readEntry(field.type, content ?? Buffer.alloc(0))
      const map = object[field.name]
      if (isJsonObject(map)) define(map, key, value)
      else object[field.name] = define({}, key, value)
      continue
    }
    const value = readValue(field.type, content, varint)
    if (value === undefined) continue
    if (field.name === '.') Object.assign(object, value)
    else if (field.many === 'list') {
      const list = object[field.name]
      if (Array.isArray(list)) list.push(value)
      else object[field.name] = [value]
    } else if (field.keep || (value !== '' && value !== 0 && value !== false)) object[field.name] = value
  }
  // a list of texts that protobuf has to wrap
  const items = fields.get(1)
  if (fields.size === 1 && items?.name === 'items' && items.type === 'string') return object['items'] ?? []
  return object
}

/** Own keys only, whatever they are called. */
function define(map: JsonObject, key: string, value: JsonValue): JsonObject {
  return Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true })
}

function readEntry(type: string, bytes: Buffer): [string, JsonValue] {
  let key = ''
  let value: JsonValue | undefined
  for (const { number, bytes: content, varint } of fieldsIn(bytes)) {
    if (number === 1) key = content?.toString() ?? ''
    if (number === 2) value = readValue(type, content, varint)
  }
  return [key, value ?? (type === 'string' || type === 'bytes' ? '' : {})]
}

function readValue(
  type: string,
  bytes: Buffer | undefined,
  varint: bigint | undefined,
): JsonValue | undefined {
  switch (type) {
    case 'string':
      return bytes?.toString() ?? ''
    case 'bytes':
      return bytes?.toString('base64') ?? ''
    case 'bool':
      return varint !== undefined && varint !== 0n
    case 'int32':
    case 'int64':
      return Number(BigInt.asIntN(64, varint ?? 0n))
    case 'uint32':
    case 'uint64':
      return Number(varint ?? 0n)
    case 'double':
      return bytes?.readDoubleLE() ?? 0
    default:
      return readMessage(type, bytes ?? Buffer.alloc(0))
  }
}

/** What JSON writes in a way of its own. */
const specials: Readonly<Record<string, (bytes: Buffer) => JsonValue | undefined>> = {
  [`${metaPackage}.Time`]: (bytes) => readTime(bytes, (iso) => iso.replace(/\.\d+Z$/, 'Z')),
  [`${metaPackage}.MicroTime`]: (bytes) =>
    readTime(bytes, (iso, nanos) =>
      iso.replace(/\.\d+Z$/, `.${String((nanos / 1000) | 0).padStart(6, '0')}Z`),
    ),
  [`${metaPackage}.FieldsV1`]: readJson,
  'apimachinery.pkg.runtime.RawExtension': readJson,
  'apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON': readJson,
  'apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool': (bytes) =>
    valueAt(bytes, 2, schemaProps) ?? valueAt(bytes, 1, 'bool') ?? false,
  'apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray': (bytes) =>
    valueAt(bytes, 1, schemaProps) ?? valuesAt(bytes, 2, schemaProps),
  'apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray': (bytes) =>
    valueAt(bytes, 1, schemaProps) ?? valuesAt(bytes, 2, 'string'),
  'apimachinery.pkg.api.resource.Quantity': (bytes) => valueAt(bytes, 1, 'string') ?? '0',
  'apimachinery.pkg.util.intstr.IntOrString': (bytes) =>
    valueAt(bytes, 1, 'int64') === 1
      ? (valueAt(bytes, 3, 'string') ?? '')
      : (valueAt(bytes, 2, 'int32') ?? 0),
}
const schemaProps = 'apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps'

function readTime(bytes: Buffer, format: (iso: string, nanos: number) => string): JsonValue | undefined {
  if (bytes.length === 0) return undefined
  const seconds = Number(valueAt(bytes, 1, 'int64') ?? 0)
  return format(new Date(seconds * 1000).toISOString(), Number(valueAt(bytes, 2, 'int32') ?? 0))
}

function readJson(bytes: Buffer): JsonValue | undefined {
  const [raw] = fieldsIn(bytes)
  if (!raw?.bytes?.length) return undefined
  try {
    return JSON.parse(raw.bytes.toString()) as JsonValue
  } catch {
    throw malformed('a field that should hold JSON does not')
  }
}

function valueAt(bytes: Buffer, number: number, type: string): JsonValue | undefined {
  return valuesAt(bytes, number, type).at(-1)
}

function valuesAt(bytes: Buffer, number: number, type: string): JsonValue[] {
  return fieldsIn(bytes)
    .filter((field) => field.number === number)
    .map((field) => readValue(type, field.bytes, field.varint) ?? null)
}

interface RawField {
  number: number
  /** of length-delimited and fixed fields */
  bytes?: Buffer
  varint?: bigint
}

function fieldsIn(bytes: Buffer): RawField[] {
  const fields: RawField[] = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) throw malformed('unexpected EOF')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw malformed('proto: integer overflow')
  }
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw malformed('unexpected EOF')
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const key = Number(varint())
    const number = Math.floor(key / 8)
    const wireType = key % 8
    if (wireType === 0) fields.push({ number, varint: varint() })
    else if (wireType === 1) fields.push({ number, bytes: take(8) })
    else if (wireType === 2) fields.push({ number, bytes: take(Number(varint())) })
    else if (wireType === 5) fields.push({ number, bytes: take(4) })
    else throw malformed(`proto: illegal wireType ${wireType}`)
  }
  return fields
}

/** `2 data {}bytes`, `2 . api.core.v1.VolumeSource`, `5 immutable bool!` */
function fieldsOf(message: string): Map<number, Field> {
  const known = messages.get(message)
  if (known) return known
  const fields = new Map<number, Field>()
  for (const line of lines[message] ?? []) {
    const [, number, name = '', many, type = '', keep] =
      /^(\d+) (\S+) (\{\}|\[\])?([^!]+)(!)?$/.exec(line) ?? []
    fields.set(Number(number), {
      name,
      many: many === '{}' ? 'map' : many === '[]' ? 'list' : 'one',
      type,
      keep: keep !== undefined,
    })
  }
  messages.set(message, fields)
  return fields
}

function malformed(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message)
}
