import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'
import { isSame } from '../apply/patch.ts'
import type { Schema } from '../model.ts'
import type { Cause } from '../rest/status.ts'
import { duplicate, invalidValue, notSupported, required, tooLong, tooMany, wrongType } from './causes.ts'

/**
 * Whether a custom resource is as its structural schema says, in the server's words.
 *
 * What is left out: rules in CEL (`x-kubernetes-validations`), which need a language of their own: they are taken for
 * kept. Patterns are those of JavaScript; one that it does not read is taken for matched.
 */
export function checkCustom(value: JsonValue, schema: Schema, path: string): Cause[] {
  if (value === null && schema.nullable) return []
  const named = (text: string) => `${path} in body ${text}`
  const typeFault = typeFaultOf(value, schema)
  const causes: Cause[] =
    typeFault === undefined ? [] : [wrongType(path, typeFault.found, named(typeFault.text))]
  if (schema.type === 'integer' && typeof value === 'number' && !isWithin(value, schema.format)) {
    const format = schema.format === undefined ? '(default format)' : `with format ${schema.format}`
    causes.push(unplaced(`Checked value must be of type integer ${format} in ${path}`))
  }
  if (typeof value === 'string') causes.push(...checkText(value, schema, path))
  if (typeof value === 'number') causes.push(...checkNumber(value, schema, path))
  if (schema.enum !== undefined && !schema.enum.some((choice) => isSame(choice, value))) {
    causes.push(notSupported(path, value, schema.enum))
  }
  if (Array.isArray(value)) causes.push(...checkList(value, schema, path))
  if (isJsonObject(value)) causes.push(...checkObject(value, schema, path))
  return [...causes, ...checkAlternatives(value, schema, path)]
}

/** The check of a schema that says nothing of types: one below `oneOf`, `anyOf`, `allOf` or `not`. */
function checkPart(value: JsonValue, part: JsonValue, path: string): Cause[] {
  return isJsonObject(part) ? checkCustom(value, partOf(part), path) : []
}

const parts = new WeakMap<JsonObject, Schema>()

function partOf(written: JsonObject): Schema {
  let schema = parts.get(written)
  if (schema === undefined) {
    const fields = isJsonObject(written['properties']) ? written['properties'] : undefined
    const items = isJsonObject(written['items']) ? written['items'] : undefined
    schema = {
      type: typeof written['type'] === 'string' ? typeNamed(written['type']) : 'any',
      preserveUnknown: true,
      ...(fields !== undefined && {
        fields: Object.fromEntries(
          Object.entries(fields).flatMap(([name, field]) =>
            isJsonObject(field) ? [[name, partOf(field)]] : [],
          ),
        ),
      }),
      ...(items !== undefined && { values: partOf(items) }),
      ...(Array.isArray(written['required']) && { required: written['required'].map(String) }),
      ...(Array.isArray(written['enum']) && { enum: written['enum'] }),
      ...(typeof written['format'] === 'string' && { format: written['format'] }),
      checks: written,
    }
    parts.set(written, schema)
  }
  return schema
}

export function typeNamed(name: string): Schema['type'] {
  if (name === 'array') return 'list'
  return name === 'object' ||
    name === 'string' ||
    name === 'integer' ||
    name === 'number' ||
    name === 'boolean'
    ? name
    : 'any'
}

function typeFaultOf(value: JsonValue, schema: Schema): { found: string; text: string } | undefined {
  const found = typeOf(value)
  const wrong = (wanted: string) => ({ found, text: `must be of type ${wanted}: "${found}"` })
  switch (schema.type) {
    case 'any':
      return undefined
    case 'int-or-string':
      return found === 'integer' || found === 'string' ? undefined : wrong('integer,string')
    case 'object':
    case 'map':
      return found === 'object' ? undefined : wrong('object')
    case 'list':
      return found === 'array' ? undefined : wrong('array')
    case 'number':
      return found === 'number' || found === 'integer' ? undefined : wrong('number')
    case 'integer':
      if (found !== 'integer') return wrong('integer')
      if (isWithin(Number(value), 'int64')) return undefined
      return { found: 'float64', text: `must be of type ${schema.format ?? 'int64'}: "float64"` }
    default:
      return found === schema.type ? undefined : wrong(schema.type)
  }
}

/** Whether a number is one of a format of integers. */
function isWithin(value: number, format: string | undefined): boolean {
  const limit = format === 'int32' ? 2 ** 31 : 2 ** 63
  return Number.isInteger(value) && value >= -limit && value < limit
}

function typeOf(value: JsonValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'bigint') return 'integer'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

/** A fault that the server gives no field. */
function unplaced(detail: string): Cause {
  return invalidValue('<nil>', '', detail)
}

function checkText(value: string, { checks = {}, format, type }: Schema, path: string): Cause[] {
  const causes: Cause[] = []
  const { maxLength, minLength, pattern } = checks
  const length = [...value].length
  if (typeof maxLength === 'number' && length > maxLength) causes.push(tooLong(path, maxLength))
  if (typeof minLength === 'number' && length < minLength) {
    causes.push(invalidValue(path, value, `${path} in body should be at least ${minLength} chars long`))
  }
  if (typeof pattern === 'string' && !matches(pattern, value)) {
    causes.push(invalidValue(path, value, `${path} in body should match '${pattern}'`))
  }
  if (format !== undefined && type === 'string' && formats[format]?.(value) === false) {
    causes.push(wrongType(path, value, `${path} in body must be of type ${format}: "${value}"`))
  }
  return causes
}

const patterns = new Map<string, RegExp | undefined>()

function matches(pattern: string, value: string): boolean {
  if (!patterns.has(pattern)) {
    let compiled: RegExp | undefined
    try {
      compiled = new RegExp(pattern)
    } catch {
      compiled = undefined
    }
    patterns.set(pattern, compiled)
  }
  return patterns.get(pattern)?.test(value) ?? true
}

const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/
const formats: Readonly<Record<string, (value: string) => boolean>> = {
  'date-time': (value) =>
    /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d/.test(value) && !Number.isNaN(Date.parse(value)),
  date: (value) => /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value)),
  ipv4: (value) => ipv4.test(value),
  uuid: (value) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(value),
}

function checkNumber(value: number, { checks = {} }: Schema, path: string): Cause[] {
  const causes: Cause[] = []
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = checks
  const wrong = (text: string) => causes.push(invalidValue(path, value, `${path} in body should be ${text}`))
  if (typeof multipleOf === 'number' && !Number.isInteger(value / multipleOf))
    wrong(`a multiple of ${multipleOf}`)
  if (typeof maximum === 'number') {
    if (exclusiveMaximum === true && value >= maximum) wrong(`less than ${maximum}`)
    else if (value > maximum) wrong(`less than or equal to ${maximum}`)
  }
  if (typeof minimum === 'number') {
    if (exclusiveMinimum === true && value <= minimum) wrong(`greater than ${minimum}`)
    else if (value < minimum) wrong(`greater than or equal to ${minimum}`)
  }
  return causes
}

function checkList(value: readonly JsonValue[], schema: Schema, path: string): Cause[] {
  const { minItems, maxItems } = schema.checks ?? {}
  const causes: Cause[] = []
  if (typeof minItems === 'number' && value.length < minItems) {
    causes.push(invalidValue(path, value.length, `${path} in body should have at least ${minItems} items`))
  }
  if (typeof maxItems === 'number' && value.length > maxItems)
    causes.push(tooMany(path, value.length, maxItems))
  const { values } = schema
  if (values !== undefined) {
    for (const [at, item] of value.entries()) causes.push(...checkCustom(item, values, `${path}[${at}]`))
  }
  if (schema.list !== 'set' && schema.list !== 'map') return causes
  const seen: JsonValue[] = []
  for (const [at, item] of value.entries()) {
    const key = schema.list === 'set' || !isJsonObject(item) ? item : keysOf(item, schema.keys ?? [])
    if (seen.some((other) => isSame(other, key))) causes.push(duplicate(`${path}[${at}]`, key))
    else seen.push(key)
  }
  return causes
}

function keysOf(item: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.flatMap((key) => (item[key] === undefined ? [] : [[key, item[key]]])))
}

function checkObject(value: JsonObject, schema: Schema, path: string): Cause[] {
  const below = (key: string) => (path === '' ? key : `${path}.${key}`)
  const causes: Cause[] = []
  const { minProperties, maxProperties } = schema.checks ?? {}
  const count = Object.keys(value).length
  if (typeof minProperties === 'number' && count < minProperties) {
    causes.push(invalidValue(path, count, `${path} in body should have at least ${minProperties} properties`))
  }
  if (typeof maxProperties === 'number' && count > maxProperties)
    causes.push(tooMany(path, count, maxProperties))
  const needed = schema.embedded
    ? ['apiVersion', 'kind', ...(schema.required ?? [])]
    : (schema.required ?? [])
  for (const key of needed) if (value[key] === undefined) causes.push(required(below(key)))
  for (const key in value) {
    const field =
      (Object.hasOwn(schema.fields ?? {}, key) ? schema.fields?.[key] : undefined) ?? schema.values
    if (field !== undefined) causes.push(...checkCustom(value[key] as JsonValue, field, below(key)))
  }
  return causes
}

function checkAlternatives(value: JsonValue, { checks = {} }: Schema, path: string): Cause[] {
  const { oneOf, anyOf, allOf, not } = checks
  const causes: Cause[] = []
  const checkedParts = (list: readonly JsonValue[]) => list.map((part) => checkPart(value, part, path))
  const best = (results: readonly Cause[][]) =>
    results.reduce((a, b) => (b.length < a.length ? b : a), results[0] ?? [])
  if (Array.isArray(anyOf) && anyOf.length > 0) {
    const results = checkedParts(anyOf)
    if (!results.some(({ length }) => length === 0)) {
      causes.push(unplaced(`"${path}" must validate at least one schema (anyOf)`), ...best(results))
    }
  }
  if (Array.isArray(oneOf) && oneOf.length > 0) {
    const results = checkedParts(oneOf)
    const valid = results.filter(({ length }) => length === 0).length
    const text = `"${path}" must validate one and only one schema (oneOf). Found`
    if (valid === 0) causes.push(unplaced(`${text} none valid`), ...best(results))
    else if (valid > 1) causes.push(unplaced(`${text} ${valid} valid alternatives`))
  }
  if (Array.isArray(allOf) && allOf.length > 0) {
    const results = checkedParts(allOf)
    const valid = results.filter(({ length }) => length === 0).length
    if (valid < allOf.length) {
      const end = valid === 0 ? '. None validated' : ''
      causes.push(...results.flat(), unplaced(`"${path}" must validate all the schemas (allOf)${end}`))
    }
  }
  if (isJsonObject(not) && checkPart(value, not, path).length === 0) {
    causes.push(unplaced(`"${path}" must not validate the schema (not)`))
  }
  return causes
}
