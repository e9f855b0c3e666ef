import { isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../../core/json.ts'
import type { KubeObject, PrinterColumn, Resource, Schema } from '../model.ts'
import type { Cause } from '../rest/status.ts'
import { invalidValue, notSupported, required } from './causes.ts'
import { checkCustom, typeNamed } from './custom.ts'
import { isDnsLabel1035, isDnsSubdomain, labelFault1035, subdomainFault } from './names.ts'
import { wholeObject } from './types.ts'

/**
 * Custom resources: what a CustomResourceDefinition has the server serve, and whether it may.
 *
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
 */

const verbs = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch']
const writtenSchemas = new WeakMap<Resource, JsonObject>()

/** A resource for each version that is served. */
export function resourcesOf(definition: KubeObject): Resource[] {
  const spec = objectAt(definition['spec'])
  const names = objectAt(spec['names'])
  const group = textAt(spec['group'])
  return versionsOf(definition).flatMap((version) => {
    if (version['served'] !== true) return []
    const written = objectAt(valueAt(version, 'schema', 'openAPIV3Schema'))
    const scale = valueAt(version, 'subresources', 'scale')
    const hasStatus = isJsonObject(valueAt(version, 'subresources', 'status'))
    const kind = textAt(names['kind'])
    const own = { group, version: textAt(version['name']), kind }
    const editVerbs = ['get', 'patch', 'update']
    const resource: Resource = {
      ...own,
      plural: textAt(names['plural']),
      singular: textAt(names['singular']) || kind.toLowerCase(),
      shortNames: textsAt(names['shortNames']),
      categories: textsAt(names['categories']),
      namespaced: spec['scope'] === 'Namespaced',
      verbs,
      status: hasStatus,
      subresources: [
        ...(hasStatus ? [{ name: 'status', ...own, verbs: editVerbs }] : []),
        ...(isJsonObject(scale)
          ? [{ name: 'scale', group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: editVerbs }]
          : []),
      ],
      ...(isJsonObject(scale) && {
        scale: {
          specReplicas: textAt(scale['specReplicasPath']),
          statusReplicas: textAt(scale['statusReplicasPath']),
          ...(typeof scale['labelSelectorPath'] === 'string' && { selector: scale['labelSelectorPath'] }),
        },
      }),
      schema: readSchema(written),
      custom: true,
      ...(Array.isArray(version['additionalPrinterColumns']) && {
        columns: version['additionalPrinterColumns'] as unknown as PrinterColumn[],
      }),
    }
    writtenSchemas.set(resource, written)
    return [resource]
  })
}

/** The schema of a custom resource as its definition has it. */
export function writtenSchemaOf(resource: Resource): JsonObject | undefined {
  return writtenSchemas.get(resource)
}

/** What says something of a value beyond its type; the rest of a schema has a field of its own. */
const told = new Set([
  'additionalProperties',
  'default',
  'description',
  'enum',
  'format',
  'items',
  'nullable',
  'properties',
  'required',
  'title',
  'type',
])

/** Read a structural schema. */
function readSchema(written: JsonObject): Schema {
  const checks = Object.fromEntries(
    Object.entries(written).filter(([key]) => !told.has(key) && !key.startsWith('x-kubernetes-')),
  )
  const preserves = written['x-kubernetes-preserve-unknown-fields'] === true
  return {
    ...shapeOf(written, preserves),
    ...(preserves && { preserveUnknown: true }),
    ...(written['x-kubernetes-embedded-resource'] === true && { embedded: true }),
    ...(written['x-kubernetes-map-type'] === 'atomic' && { atomic: true }),
    ...(Array.isArray(written['required']) && { required: written['required'].map(String) }),
    ...(written['default'] !== undefined && { default: written['default'] }),
    ...(Array.isArray(written['enum']) && { enum: written['enum'] }),
    ...(written['nullable'] === true && { nullable: true }),
    ...(typeof written['format'] === 'string' && { format: written['format'] }),
    ...(Object.keys(checks).length > 0 && { checks }),
  }
}

function shapeOf(
  written: JsonObject,
  preserves: boolean,
): Pick<Schema, 'type' | 'fields' | 'values' | 'list' | 'keys'> {
  if (written['x-kubernetes-int-or-string'] === true) return { type: 'int-or-string' }
  const type = typeNamed(textAt(written['type']))
  if (type === 'list') {
    const list = written['x-kubernetes-list-type']
    const keys = written['x-kubernetes-list-map-keys']
    return {
      type,
      values: readSchema(objectAt(written['items'])),
      list: list === 'set' || list === 'map' ? list : 'atomic',
      ...(Array.isArray(keys) && { keys: keys.map(String) }),
    }
  }
  if (type !== 'object') return { type }
  const { properties, additionalProperties } = written
  if (isJsonObject(additionalProperties)) return { type: 'map', values: readSchema(additionalProperties) }
  if (additionalProperties === true && !preserves) return { type: 'map', values: { type: 'any' } }
  const own = Object.fromEntries(
    Object.entries(objectAt(properties)).map(([name, field]) => [name, readSchema(objectAt(field))]),
  )
  const whole = written['x-kubernetes-embedded-resource'] === true ? wholeObject({ type }).fields : {}
  return { type, fields: { ...own, ...whole } }
}

/* ---- whether a definition may be ---- */

/** What is wrong with a definition, in the server's words. */
export function checkDefinition(definition: KubeObject): Cause[] {
  const spec = objectAt(definition['spec'])
  const names = objectAt(spec['names'])
  const versions = versionsOf(definition)
  const [group, plural, kind] = [textAt(spec['group']), textAt(names['plural']), textAt(names['kind'])]
  const causes: Cause[] = []
  if (definition.metadata.name !== `${plural}.${group}`) {
    causes.push(
      invalidValue('metadata.name', definition.metadata.name, 'must be spec.names.plural+"."+spec.group'),
    )
  }
  if (group === '') causes.push(required('spec.group'))
  else if (!isDnsSubdomain(group)) causes.push(invalidValue('spec.group', group, subdomainFault))
  else if (!group.includes('.')) {
    causes.push(invalidValue('spec.group', group, 'should be a domain with at least one dot'))
  }
  const { scope } = spec
  if (scope === undefined || scope === '') causes.push(required('spec.scope'))
  else if (scope !== 'Cluster' && scope !== 'Namespaced') {
    causes.push(notSupported('spec.scope', scope, ['Cluster', 'Namespaced']))
  }
  const stored = versions.filter(({ storage }) => storage === true)
  const asInternal = versions.map((version) => ({
    Name: textAt(version['name']),
    Served: version['served'] === true,
    Storage: version['storage'] === true,
    Deprecated: version['deprecated'] === true,
    DeprecationWarning: null,
    Schema: null,
    Subresources: null,
    AdditionalPrinterColumns: null,
    SelectableFields: null,
  }))
  if (new Set(versions.map(({ name }) => name)).size < versions.length) {
    causes.push(invalidValue('spec.versions', asInternal, 'must contain unique version names'))
  }
  for (const [at, version] of versions.entries()) {
    const name = textAt(version['name'])
    if (!isDnsLabel1035(name)) causes.push(invalidValue(`spec.versions[${at}].name`, name, labelFault1035))
  }
  if (stored.length !== 1) {
    causes.push(
      invalidValue('spec.versions', asInternal, 'must have exactly one version marked as storage version'),
    )
  }
  if (plural === '') causes.push(required('spec.names.plural'))
  else if (!isDnsLabel1035(plural)) causes.push(invalidValue('spec.names.plural', plural, labelFault1035))
  if (kind === '') causes.push(required('spec.names.kind'))
  else if (!isDnsLabel1035(kind.toLowerCase())) {
    causes.push(
      invalidValue(
        'spec.names.kind',
        kind,
        `may have mixed case, but should otherwise match: ${labelFault1035}`,
      ),
    )
  }
  for (const [at, name] of textsAt(names['shortNames']).entries()) {
    if (!isDnsLabel1035(name)) causes.push(invalidValue(`spec.names.shortNames[${at}]`, name, labelFault1035))
  }
  if (spec['preserveUnknownFields'] === true) {
    const text =
      'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead'
    causes.push(invalidValue('spec.preserveUnknownFields', true, text))
  }
  return [...causes, ...checkSchemas(versions), ...checkStored(definition, stored)]
}

function checkSchemas(versions: readonly JsonObject[]): Cause[] {
  // the server's inner form has one place for a schema that all versions share
  const schemas = versions.map((version) => JSON.stringify(valueAt(version, 'schema') ?? null))
  const isShared = new Set(schemas).size === 1
  const causes = versions.flatMap((version, at) => {
    const written = valueAt(version, 'schema', 'openAPIV3Schema')
    if (!isJsonObject(written)) return [required(`spec.versions[${at}].schema.openAPIV3Schema`)]
    if (isShared && at > 0) return []
    const path = isShared ? 'spec.validation.openAPIV3Schema' : `spec.versions[${at}].schema.openAPIV3Schema`
    const { type } = written
    if (type !== 'object') {
      return [
        type === undefined || type === ''
          ? required(`${path}.type`, 'must not be empty at the root')
          : invalidValue(`${path}.type`, type, 'must be object at the root'),
      ]
    }
    return checkSchema(written, path)
  })
  return causes
}

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string']

function checkSchema(written: JsonObject, path: string): Cause[] {
  const causes: Cause[] = []
  const { type, items, properties, additionalProperties } = written
  if (type !== undefined && !types.includes(String(type)))
    causes.push(notSupported(`${path}.type`, type, types))
  if (type === 'array' && items === undefined) causes.push(required(`${path}.items`, 'must be specified'))
  const list = written['x-kubernetes-list-type']
  const keys = textsAt(written['x-kubernetes-list-map-keys'])
  if (list !== undefined && !['atomic', 'set', 'map'].includes(String(list))) {
    causes.push(notSupported(`${path}.x-kubernetes-list-type`, list, ['atomic', 'map', 'set']))
  }
  if (list === 'map') {
    if (keys.length === 0) {
      const text = 'must not be empty if x-kubernetes-list-type is map'
      causes.push(required(`${path}.x-kubernetes-list-map-keys`, text))
    }
    for (const key of keys) {
      const isRequired = textsAt(valueAt(items, 'required')).includes(key)
      if (isRequired || valueAt(items, 'properties', key, 'default') !== undefined) continue
      const text =
        'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property'
      causes.push(required(`${path}.items.properties[${key}].default`, text))
    }
  }
  if (isJsonObject(properties) && isJsonObject(additionalProperties)) {
    const text = 'additionalProperties and properties are mutual exclusive'
    causes.push({
      reason: 'FieldValueForbidden',
      message: `Forbidden: ${text}`,
      field: `${path}.additionalProperties`,
    })
  }
  const inner: [string, string, JsonValue | undefined][] = [
    [`${path}.items`, 'array items', isJsonObject(items) ? items : undefined],
    [
      `${path}.additionalProperties`,
      'object fields',
      isJsonObject(additionalProperties) ? additionalProperties : undefined,
    ],
    ...Object.entries(objectAt(properties)).map(([name, field]): [string, string, JsonValue] => [
      `${path}.properties[${name}]`,
      'object fields',
      field,
    ]),
  ]
  for (const [at, what, schema] of inner) {
    if (!isJsonObject(schema)) continue
    const isTyped =
      schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true
    if (schema['type'] === undefined && !isTyped) {
      causes.push(required(`${at}.type`, `must not be empty for specified ${what}`))
    }
    if (schema['default'] !== undefined) {
      for (const cause of checkCustom(schema['default'], readSchema(schema), '')) {
        causes.push({ ...cause, field: `${at}.default${cause.field === '' ? '' : `.${cause.field}`}` })
      }
    }
    causes.push(...checkSchema(schema, at))
  }
  return causes
}

function checkStored(definition: KubeObject, stored: readonly JsonObject[]): Cause[] {
  const known = valueAt(definition, 'status', 'storedVersions')
  const path = 'status.storedVersions'
  if (!Array.isArray(known) || known.length === 0) {
    return [invalidValue(path, null, 'must have at least one stored version')]
  }
  const names = versionsOf(definition).map(({ name }) => name)
  const last = stored.at(-1)?.['name']
  return [
    ...(last !== undefined && !known.includes(last)
      ? [invalidValue(path, known, `must have the storage version ${String(last)}`)]
      : []),
    ...known.flatMap((name, at) =>
      names.includes(name)
        ? []
        : [
            invalidValue(
              `${path}[${at}]`,
              name,
              `missing from spec.versions; ${String(name)} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${String(name)} and removes ${String(name)} from ${path}`,
            ),
          ],
    ),
  ]
}

function versionsOf(definition: KubeObject): JsonObject[] {
  const versions = valueAt(definition, 'spec', 'versions')
  return Array.isArray(versions) ? versions.filter(isJsonObject) : []
}

function objectAt(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {}
}

function textAt(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : ''
}

function textsAt(value: JsonValue | undefined): string[] {
  return Array.isArray(value) ? value.map(String) : []
}
