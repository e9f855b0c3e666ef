import { createHash } from 'node:crypto'
import { RegistryProblem } from './problem.ts'

/** A page of names in their order, after `last`, with a `Link` to the next one. */
export interface Page {
  names: string[]
  headers: Record<string, string>
}

/**
 * @param maxSize most names on a page, whatever `n` asks for
 * @throws RegistryProblem `PAGINATION_NUMBER_INVALID`
 */
export function pageOf(names: Iterable<string>, url: URL, maxSize = Number.POSITIVE_INFINITY): Page {
  const asked = url.searchParams.get('n')
  if (asked !== null && !/^\d+$/.test(asked)) throw new RegistryProblem('PAGINATION_NUMBER_INVALID')
  const last = url.searchParams.get('last')
  const rest = [...names].sort().filter((name) => last === null || name > last)
  const size = Math.min(asked === null ? rest.length : Number(asked), maxSize)
  const page = rest.slice(0, size)
  if (rest.length <= size || size === 0) return { names: page, headers: {} }
  const query = new URLSearchParams({ last: page.at(-1) ?? '', n: String(size) })
  return { names: page, headers: { link: `<${url.pathname}?${query}>; rel="next"` } }
}

/** A mark that is the same where page and link are. */
export function etagOf(body: string, { headers }: Page): string {
  return `"${createHash('sha256')
    .update(`${body}${JSON.stringify(headers)}`)
    .digest('hex')}"`
}
