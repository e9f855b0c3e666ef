import { formatJson, type JsonObject } from '../../../core/json.ts'
import type { KubeObject } from '../model.ts'

/** Objects as text, made once: those in the store never change. */

const texts = new WeakMap<object, string>()

export function textOf(object: JsonObject): string {
  let text = texts.get(object)
  if (text === undefined) {
    text = jsonOf(object)
    texts.set(object, text)
  }
  return text
}

/** An object in a list of its own kind, where `apiVersion` and `kind` are left out. */
export function itemTextOf(object: KubeObject): string {
  const text = textOf(object)
  const head = `{"apiVersion":${JSON.stringify(object.apiVersion)},"kind":${JSON.stringify(object.kind)},`
  if (text.startsWith(head)) return `{${text.slice(head.length)}`
  const { apiVersion: _apiVersion, kind: _kind, ...rest } = object
  return jsonOf(rest)
}

/** With every digit of 64-bit integers. */
export function jsonOf(value: JsonObject): string {
  try {
    return JSON.stringify(value)
  } catch {
    return formatJson(value)
  }
}
