import { messageOf } from '../../../core/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'
import { parseManifestFile } from '../../../core/manifest/document.ts'
import { type Resource, StatusError } from '../model.ts'
import { decodeProtobuf } from '../protobuf/protobuf.ts'
import { type ParsedJson, parseJson } from './parse-json.ts'
import { apiVersionOf } from './resources.ts'
import { badRequest, invalid, unsupportedMediaType } from './status.ts'

/** What clients send: JSON, YAML or protobuf, of the kind that the path asks for. */

export interface Body {
  readonly contentType: string
  readonly bytes: Buffer
}

export interface Decoded {
  value: JsonObject
  /** paths of keys that came more than once */
  duplicates: readonly string[]
}

const objectTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']

const patchTypes = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
} as const

/** An object for this resource. @throws StatusError 400, 415, 422 */
export function decodeObject({ contentType, bytes }: Body, resource: Resource): Decoded {
  const type = mediaTypeOf(contentType)
  const read = readBy(type === '' ? 'application/json' : type, bytes, resource)
  return { value: ofKind(read.value, resource, bytes), duplicates: read.duplicates }
}

function readBy(type: string, bytes: Buffer, resource: Resource): Decoded {
  const unrecognized = (why: string) =>
    badRequest(
      `the object provided is unrecognized (must be of type ${resource.kind}): ${why}${excerptOf(bytes)}`,
    )
  switch (type) {
    case 'application/json':
      try {
        const { value, duplicates } = parseJson(bytes.toString('utf8'))
        if (isJsonObject(value)) return { value, duplicates }
      } catch (error) {
        throw unrecognized(`couldn't get version/kind; json parse error: ${messageOf(error)}`)
      }
      throw unrecognized("couldn't get version/kind; json parse error: json: cannot unmarshal into an object")
    case 'application/yaml':
      return { value: parseYaml(bytes), duplicates: [] }
    case 'application/vnd.kubernetes.protobuf':
      try {
        return { value: decodeProtobuf(bytes), duplicates: [] }
      } catch (error) {
        throw unrecognized(messageOf(error))
      }
    default:
      throw unsupportedMediaType(objectTypes)
  }
}

function ofKind(value: JsonObject, resource: Resource, bytes: Buffer): JsonObject {
  const { kind, group } = resource
  const apiVersion = apiVersionOf(resource)
  const [saidKind, saidVersion] = [value['kind'] ?? '', value['apiVersion'] ?? '']
  if (resource.custom) {
    const missing = saidKind === '' ? 'Kind' : saidVersion === '' ? 'apiVersion' : undefined
    if (missing !== undefined) {
      throw badRequest(
        `the object provided is unrecognized (must be of type ${kind}): Object '${missing}' is missing in '${bytes.toString('utf8')}'${excerptOf(bytes)}`,
      )
    }
    const name = isJsonObject(value['metadata']) ? String(value['metadata']['name'] ?? '') : ''
    const wrong = (field: string, said: JsonValue, wanted: string) =>
      invalid(group, String(saidKind), name, [
        {
          reason: 'FieldValueInvalid',
          message: `Invalid value: ${JSON.stringify(said)}: must be ${wanted}`,
          field,
        },
      ])
    if (saidKind !== kind) throw wrong('kind', saidKind, kind)
    if (saidVersion !== apiVersion) {
      throw badRequest(
        `the API version in the data (${String(saidVersion)}) does not match the expected API version (${apiVersion})`,
      )
    }
    return value
  }
  // a typed one may leave them out; `readFields` refuses others
  return {
    ...value,
    apiVersion: saidVersion === '' ? apiVersion : saidVersion,
    kind: saidKind === '' ? kind : saidKind,
  }
}

/** JSON of a patch. @throws StatusError 400 */
export function decodePatch({ bytes }: Body): ParsedJson {
  try {
    return parseJson(bytes.toString('utf8'))
  } catch (error) {
    throw badRequest(`error decoding patch: ${messageOf(error)}`)
  }
}

/** What server-side apply is given: YAML, most often as JSON. @throws StatusError 400 */
export function decodeApply({ bytes }: Body, resource: Resource): Decoded {
  let decoded: Decoded
  try {
    const { value, duplicates } = parseJson(bytes.toString('utf8'))
    if (!isJsonObject(value)) throw badRequest('error decoding YAML: not an object')
    decoded = { value, duplicates }
  } catch (error) {
    if (error instanceof StatusError) throw error
    decoded = { value: parseYaml(bytes), duplicates: [] }
  }
  const { value } = decoded
  const [apiVersion, kind] = [String(value['apiVersion'] ?? ''), String(value['kind'] ?? '')]
  if (apiVersion !== apiVersionOf(resource) || kind !== resource.kind) {
    const [version = '', group = ''] = apiVersion.split('/').reverse()
    const type = `${group}/${version}, Kind=${kind}`
    throw badRequest(`invalid object type: ${type}`)
  }
  return decoded
}

/** @throws StatusError 400 */
function parseYaml(bytes: Buffer): JsonObject {
  const { manifests, faults } = parseManifestFile('body', bytes)
  const [manifest] = manifests
  if (manifest === undefined || faults.length > 0) {
    const line = /^body:(\d+):/.exec(faults[0]?.message ?? '')?.[1] ?? 1
    throw badRequest(
      `error decoding YAML: error converting YAML to JSON: yaml: line ${line}: did not find expected node content`,
    )
  }
  return manifest.value
}

function mediaTypeOf(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase()
}

/** The kind of patch by its content type. @throws StatusError 415 */
export function patchTypeOf(
  { contentType }: Body,
  resource: Resource,
): 'json' | 'merge' | 'strategic' | 'apply' {
  const type = mediaTypeOf(contentType)
  const known = Object.entries(patchTypes).filter(([, name]) => !(resource.custom && name === 'strategic'))
  const found = known.find(([name]) => name === type)
  if (found !== undefined) return found[1]
  if (!type.endsWith('+json') && !type.endsWith('+yaml') && !resource.custom) {
    throw new StatusError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {})
  }
  throw unsupportedMediaType(known.map(([name]) => name))
}

/** How the server quotes what it could not read. */
function excerptOf(bytes: Buffer): string {
  if (bytes.length === 0) return ' (<empty>)'
  const text = bytes.toString('utf8')
  if (/^\s*[{[]/.test(text)) return ` (${text.length > 30 ? `${text.slice(0, 30)} ...` : text})`
  return ` (${bytes.subarray(0, 12).toString('hex')}${bytes.length > 12 ? ' ...' : ''})`
}
