/**
 * Takes out of an answer what is another one each time: times, UIDs, addresses, versions, random names. What is the same
 * thing twice stays the same thing: the first uid is `<uid 1>` wherever it appears.
 */
export interface Mask {
  /** of a JSON value; without `managedFields`, unless they are asked for on their own */
  value(value: unknown): unknown
  text(text: string): string
  /** of a program's output: columns are as wide as what is in them, so the spaces between them are made two */
  screen(text: string): string
}

const uuid = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g
const time = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g
const longTime = /\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}/g
/** what Kubernetes makes random names of: no vowels, and no digits that look like letters */
const random = '[bcdfghjklmnpqrstvwxz2456789]'
const hashAndSuffix = new RegExp(`-(${random}{8,10})(-${random}{5})\\b`, 'g')
const hash = new RegExp(`-(?=[a-z]*\\d)(${random}{8,10})\\b`, 'g')
const suffix = new RegExp(`-(?!(?:http)\\b)${random}{5}\\b`, 'g')
const hashLabel = /((?:pod-template|controller-revision)-hash["']?[=:]\s*["']?)[a-z0-9]+/g
const scheduledName = /-\d{8}\b/g
const clusterAddress = /\b10\.\d+\.\d+\.\d+\b/g
const age = /(?<=^|\s|\()(\d+(?:\.\d+)?(?:ms|s|m|h|d))+(?=\s|\)|$)/gm

export function createMask(known: { namespace: string; server: string; token: string; home: string }): Mask {
  const numbers = { uid: new Map<string, number>(), rv: new Map<string, number>() }
  const numbered = (what: keyof typeof numbers, text: string) => {
    const seen = numbers[what]
    if (!seen.has(text)) seen.set(text, seen.size + 1)
    return `<${what} ${seen.get(text)}>`
  }

  const text = (raw: string) =>
    raw
      .replaceAll(known.namespace, 'NS')
      .replaceAll(known.server, 'https://SERVER')
      .replaceAll(known.server.replace('https://', ''), 'SERVER')
      .replaceAll(known.token, 'TOKEN')
      .replaceAll(known.home, 'HOME')
      .replace(uuid, (found) => numbered('uid', found))
      .replace(time, '<time>')
      .replace(longTime, '<time>')
      .replace(hashLabel, '$1<hash>')
      .replace(hashAndSuffix, '-<hash>-<suffix>')
      .replace(hash, '-<hash>')
      .replace(suffix, '-<suffix>')
      .replace(scheduledName, '-<minute>')
      .replace(clusterAddress, '<ip>')
      .replace(/-----BEGIN CERTIFICATE-----[\s\S]*-----END CERTIFICATE-----/g, '<certificate>')
      .replace(/"\{\\"apiVersion\\"[\s\S]*\}"(?=:)/g, '<object>')
      .replace(/(too old resource version: 1) \(\d+\)/g, '$1 (<rv>)')

  const value = (raw: unknown): unknown => {
    if (typeof raw === 'string') return text(raw)
    if (Array.isArray(raw)) return raw.map(value)
    if (raw === null || typeof raw !== 'object') return raw
    const entries = Object.entries(raw).sort(([a], [b]) => (a < b ? -1 : 1))
    const hasUid = 'uid' in raw
    return Object.fromEntries(
      entries
        .filter(([key]) => key !== 'managedFields' || entries.length === 1)
        .map(([key, part]) => {
          if (key === 'resourceVersion' && part !== '' && typeof part === 'string')
            return [key, hasUid ? numbered('rv', part) : '<rv>']
          if (key === 'continue' && part !== '') return [key, '<continue>']
          if (/-hash$/.test(key) && typeof part === 'string') return [key, '<hash>']
          if (key === 'cells' && Array.isArray(part)) return [key, part.map(cell)]
          if (key === 'columnDefinitions' && Array.isArray(part)) return [key, part.map(column)]
          const by = chanceOrders[key]
          if (by && Array.isArray(part)) return [key, sortBy(part, by).map(value)]
          return [text(key), value(part)]
        }),
    )
  }

  const cell = (raw: unknown) =>
    typeof raw === 'string' && /^(\d+[smhdy])+$/.test(raw) ? '<age>' : value(raw)

  // descriptions are documentation, which the embedded server leaves to the documentation
  const column = ({ description: _, ...rest }: Record<string, unknown>) => value(rest)

  const screen = (raw: string) =>
    text(raw)
      // said where a watch began so late that nothing of its second was left
      .replace(/^[WEI]\d{4} .*very short watch: .*\n/gm, '')
      .replace(/(resourceVersion"?: ")\d+"/g, '$1<rv>"')
      .replace(/(Resource Version: +)\d+/g, '$1<rv>')
      .replace(/^([WEI])\d{4} [\d:.]+ +\d+ /gm, '$1<time> ')
      .replace(age, '<age>')
      .split('\n')
      .map((line) => line.replace(/(?<=\S)(\t| {2,})/g, '  ').trimEnd())
      .join('\n')

  return { value, text, screen }
}

/** Lists whose order is chance: which of two was first in a second, or what a map of Go gives. */
const chanceOrders: Record<string, (entry: Record<string, unknown>) => string> = {
  conditions: ({ type }) => String(type),
  managedFields: ({ manager, operation, subresource, apiVersion }) =>
    [manager, operation, subresource, apiVersion].join(),
  causes: ({ reason, message, field }) => (reason === 'FieldManagerConflict' ? [message, field].join() : ''),
}

function sortBy(list: readonly unknown[], key: (entry: Record<string, unknown>) => string): unknown[] {
  const keyOf = (entry: unknown) => key(entry as Record<string, unknown>)
  return [...list].sort((a, b) => (keyOf(a) === keyOf(b) ? 0 : keyOf(a) < keyOf(b) ? -1 : 1))
}
