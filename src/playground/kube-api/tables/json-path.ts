import { isJsonObject, type JsonValue } from '../../../core/json.ts'

/**
 * The JSONPath of printer columns: `.a.b`, `['a.b']`, `.a\.b`, `[0]`, `[-1:]`, `[*]`, `..a`, and filters such as
 * `[?(@.type=="Ready")]`. What is not understood finds nothing.
 *
 * @see https://kubernetes.io/docs/reference/kubectl/jsonpath/
 */

type Step = (values: JsonValue[]) => JsonValue[]

const parsed = new Map<string, Step[]>()

/** Everything that a path leads to. */
export function findByPath(object: JsonValue, path: string): JsonValue[] {
  let steps = parsed.get(path)
  if (steps === undefined) {
    steps = parseSteps(path.replace(/^\{(.*)\}$/s, '$1').replace(/^\$/, ''))
    parsed.set(path, steps)
  }
  return steps.reduce((values, step) => step(values), [object])
}

function parseSteps(path: string): Step[] {
  const steps: Step[] = []
  const token = /\.\.|\.((?:\\.|[^.[\\])*)|\[((?:'[^']*'|"[^"]*"|[^\]'"])*)\]|((?:\\.|[^.[\\])+)/gy
  let descends = false
  for (let match = token.exec(path); match !== null; match = token.exec(path)) {
    if (match[0] === '..') {
      descends = true
      token.lastIndex-- // what follows is a field
      continue
    }
    const step =
      match[2] === undefined
        ? field((match[1] ?? match[3] ?? '').replace(/\\(.)/g, '$1'))
        : inBrackets(match[2])
    steps.push(descends ? (values) => step(values.flatMap(descendants)) : step)
    descends = false
    if (token.lastIndex === path.length) return steps
  }
  return path === '' ? steps : [() => []]
}

function field(name: string): Step {
  if (name === '') return (values) => values
  if (name === '*') return (values) => values.flatMap(children)
  return (values) =>
    values.flatMap((value) => {
      const found = isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
      return found === undefined ? [] : [found]
    })
}

function inBrackets(text: string): Step {
  const quoted = /^(?:'([^']*)'|"([^"]*)")$/.exec(text)
  if (quoted) return field(quoted[1] ?? quoted[2] ?? '')
  if (text === '*') return (values) => values.flatMap(children)
  const filter = /^\?\(\s*@(.*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*\)$/s.exec(text)
  if (filter)
    return (values) => values.flatMap(children).filter(condition(filter[1] ?? '', filter[2], filter[3]))
  const slice = /^(-?\d*):(-?\d*)(?::(\d*))?$/.exec(text)
  if (slice) {
    const [start, end, step] = [slice[1], slice[2], slice[3]].map((part) => (part ? Number(part) : undefined))
    return (values) =>
      values.flatMap((value) =>
        Array.isArray(value)
          ? value.slice(start, end).filter((_item, index) => index % (step || 1) === 0)
          : [],
      )
  }
  if (/^-?\d+(,-?\d+)*$/.test(text)) {
    const indexes = text.split(',').map(Number)
    return (values) =>
      values.flatMap((value) =>
        Array.isArray(value) ? indexes.flatMap((index) => value.at(index) ?? []) : [],
      )
  }
  return () => []
}

function condition(path: string, operator: string | undefined, right: string | undefined) {
  const steps = parseSteps(path)
  const wanted = right === undefined ? undefined : literal(right)
  return (item: JsonValue): boolean => {
    const [found] = steps.reduce<JsonValue[]>((values, step) => step(values), [item])
    if (operator === undefined) return found !== undefined
    if (found === undefined || wanted === undefined) return false
    switch (operator) {
      case '==':
        return found === wanted
      case '!=':
        return found !== wanted
      case '<':
        return (found ?? '') < (wanted ?? '')
      case '>':
        return (found ?? '') > (wanted ?? '')
      case '<=':
        return (found ?? '') <= (wanted ?? '')
      default:
        return (found ?? '') >= (wanted ?? '')
    }
  }
}

function literal(text: string): JsonValue | undefined {
  const quoted = /^(?:'([^']*)'|"([^"]*)")$/.exec(text)
  if (quoted) return quoted[1] ?? quoted[2] ?? ''
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return undefined
  }
}

function children(value: JsonValue): JsonValue[] {
  if (Array.isArray(value)) return value
  return isJsonObject(value) ? Object.values(value).filter((child) => child !== undefined) : []
}

function descendants(value: JsonValue): JsonValue[] {
  return [value, ...children(value).flatMap(descendants)]
}
