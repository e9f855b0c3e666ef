import { FluxError } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json.ts'
import { isTag } from './grammar.ts'

/** The tags on one page of a listing, and how many names were dropped for being outside the grammar. */
export interface TagPage {
  tags: string[]
  dropped: number
}

/** Read `{"name": …, "tags": […]}`; `null` in place of the list is an empty one. `undefined` for anything else. */
export function readTagPage(document: unknown): TagPage | undefined {
  if (!isJsonObject(document)) return undefined
  const listed = document['tags'] ?? []
  if (!Array.isArray(listed)) return undefined
  const tags = listed.filter(isTag)
  return { tags, dropped: listed.length - tags.length }
}

/**
 * Where a listing goes on: path and query of `Link: <…>; rel="next"`, or `undefined` at its end.
 *
 * A link stays on its host, whatever scheme it names: registries behind a proxy often write `http`.
 *
 * @param path the page that carried the link
 * @throws FluxError `REGISTRY_INVALID` for a link that leads elsewhere
 */
export function nextPage(link: string | undefined, host: string, path: string): string | undefined {
  const target = /<([^<>]*)>\s*;[^,<]*\brel="?next\b/i.exec(link ?? '')?.[1]
  if (target === undefined) return undefined
  const next = URL.canParse(target, `https://${host}${path}`)
    ? new URL(target, `https://${host}${path}`)
    : undefined
  const own =
    next &&
    ['https:', 'http:'].some(
      (scheme) => URL.canParse(`${scheme}//${host}`) && next.host === new URL(`${scheme}//${host}`).host,
    )
  if (!next || !own || next.username !== '' || next.password !== '') {
    throw new FluxError('REGISTRY_INVALID', {
      what: `${host} sends its list of tags on to another host`,
      why: 'A list that goes on elsewhere is not followed.',
      next: `Tell whoever runs ${host}: the Link header must stay on its own host.`,
    })
  }
  return next.pathname + next.search
}
