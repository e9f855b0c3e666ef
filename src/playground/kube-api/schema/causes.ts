import { formatJson, type JsonValue } from '../../../core/json.ts'
import type { Cause } from '../rest/status.ts'
import { quoteGo } from './go-text.ts'

/**
 * What is wrong with a field, in the server's words.
 *
 * @see https://pkg.go.dev/k8s.io/apimachinery/pkg/util/validation/field
 */

export function required(field: string, detail = ''): Cause {
  return { reason: 'FieldValueRequired', message: withDetail('Required value', detail), field }
}

export function invalidValue(field: string, value: JsonValue | undefined, detail: string): Cause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${show(value)}: ${detail}`, field }
}

export function wrongType(field: string, value: JsonValue, detail: string): Cause {
  return { reason: 'FieldValueTypeInvalid', message: `Invalid value: ${show(value)}: ${detail}`, field }
}

export function notSupported(
  field: string,
  value: JsonValue | undefined,
  choices: readonly JsonValue[],
): Cause {
  const listed = choices.map((choice) => (typeof choice === 'string' ? quoteGo(choice) : show(choice)))
  const message = `Unsupported value: ${show(value)}: supported values: ${listed.join(', ')}`
  return { reason: 'FieldValueNotSupported', message, field }
}

export function duplicate(field: string, value: JsonValue | undefined): Cause {
  return { reason: 'FieldValueDuplicate', message: `Duplicate value: ${show(value)}`, field }
}

export function notFoundValue(field: string, value: JsonValue | undefined): Cause {
  return { reason: 'FieldValueNotFound', message: `Not found: ${show(value)}`, field }
}

export function tooLong(field: string, maxBytes: number): Cause {
  return { reason: 'FieldValueTooLong', message: `Too long: may not be more than ${maxBytes} bytes`, field }
}

export function tooMany(field: string, count: number, max: number): Cause {
  const items = max === 1 ? 'item' : 'items'
  return {
    reason: 'FieldValueTooMany',
    message: `Too many: ${count}: must have at most ${max} ${items}`,
    field,
  }
}

function withDetail(text: string, detail: string): string {
  return detail === '' ? text : `${text}: ${detail}`
}

function show(value: JsonValue | undefined): string {
  if (value === undefined) return 'null'
  return typeof value === 'string' ? quoteGo(value) : formatJson(value)
}
