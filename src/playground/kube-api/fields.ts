import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'

/** Reads of objects that may lack anything. */

/** The value at a path of field names such as `spec.replicas`. */
export function at(object: JsonValue | undefined, path: string): JsonValue | undefined {
  let value = object
  for (const name of path.split('.')) {
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

export function textAt(object: JsonValue | undefined, path: string): string {
  const value = at(object, path)
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}

export function numberAt(object: JsonValue | undefined, path: string): number {
  const value = at(object, path)
  return typeof value === 'number' ? value : 0
}

export function objectAt(object: JsonValue | undefined, path: string): JsonObject {
  const value = at(object, path)
  return isJsonObject(value) ? value : {}
}

/** The objects of a list; empty where there is none. */
export function listAt(object: JsonValue | undefined, path: string): JsonObject[] {
  const value = at(object, path)
  return Array.isArray(value) ? value.filter(isJsonObject) : []
}

export function textsAt(object: JsonValue | undefined, path: string): string[] {
  const value = at(object, path)
  return Array.isArray(value) ? value.map(String) : []
}

export function sizeAt(object: JsonValue | undefined, path: string): number {
  const value = at(object, path)
  return Array.isArray(value) ? value.length : isJsonObject(value) ? Object.keys(value).length : 0
}

export function conditionAt(object: JsonValue | undefined, type: string): JsonObject | undefined {
  return listAt(object, 'status.conditions').find((condition) => condition['type'] === type)
}
