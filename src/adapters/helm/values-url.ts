import { FluxError } from '../../core/errors.ts'
import { safeUrl } from '../../core/git/remote-url.ts'
import type { Fetcher } from './fetch.ts'

/** Values from URLs: asked for at every pass, and sent again only when they have changed. */

const maxBytes = 1024 * 1024
const timeoutMs = 30_000
/** replies that are remembered */
const maxKnown = 1_000

/** @returns a function that throws FluxError `HELM_VALUES_MISSING` */
export function createValuesFetcher(
  fetcher: Fetcher,
): (url: string, signal?: AbortSignal) => Promise<string> {
  const known = new Map<string, { etag: string; text: string }>()
  return async (text, signal) => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (!url || !/^https?:$/.test(url.protocol)) {
      const scheme = url?.protocol.slice(0, -1) ?? ''
      throw new FluxError('HELM_VALUES_MISSING', {
        what: `unable to read value file from URL ${safeUrl(text)}: URL scheme should be HTTP(S), got '${scheme}'`,
      })
    }
    const before = known.get(text)
    const plain = new URL(url)
    plain.username = ''
    plain.password = ''
    const credentials = url.username && {
      username: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
    }
    try {
      const { status, body, etag } = await fetcher.get(plain, {
        maxBytes,
        timeoutMs,
        ...(before && { ifNoneMatch: before.etag }),
        ...(credentials && { credentials }),
        signal,
      })
      if (status === 304 && before) return before.text
      const read = body.toString('utf8')
      known.delete(text)
      if (etag !== undefined) known.set(text, { etag, text: read })
      const [oldest] = known.keys()
      if (known.size > maxKnown && oldest !== undefined) known.delete(oldest)
      return read
    } catch (cause) {
      if (!(cause instanceof FluxError)) throw cause
      throw new FluxError('HELM_VALUES_MISSING', {
        what: `unable to read value file from URL ${safeUrl(plain.href)}: ${cause.what}`,
        ...(cause.why !== undefined && { why: cause.why }),
        cause,
      })
    }
  }
}
