import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'

/**
 * The JSON merge patch (RFC 7386) that makes `live` what `wanted` says, keeping what others added: what was in `before`
 * and is no longer wanted is removed. Lists are taken whole from `wanted`.
 *
 * @param before what we applied last
 */
export function planThreeWayMerge(before: JsonObject, wanted: JsonObject, live: JsonObject): JsonObject {
  const patch: JsonObject = {}
  for (const [key, want] of Object.entries(wanted)) {
    if (want === null) {
      if (Object.hasOwn(live, key)) patch[key] = null
      continue
    }
    const have = live[key]
    if (isJsonObject(want) && isJsonObject(have)) {
      const was = before[key]
      const inner = planThreeWayMerge(isJsonObject(was) ? was : {}, want, have)
      if (Object.keys(inner).length > 0) patch[key] = inner
    } else if (!isEqual(want, have)) {
      patch[key] = want
    }
  }
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(wanted, key) && Object.hasOwn(live, key)) patch[key] = null
  }
  return patch
}

function isEqual(a: JsonValue, b: JsonValue | undefined): boolean {
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => isEqual(item, b[i]))
  }
  if (isJsonObject(a)) {
    if (!isJsonObject(b)) return false
    const keys = Object.keys(a)
    return keys.length === Object.keys(b).length && keys.every((key) => isEqual(a[key] as JsonValue, b[key]))
  }
  return a === b
}
