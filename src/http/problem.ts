import type { WireError } from '../api/types.ts'
import { type ErrorCode, type ErrorKind, FluxError } from '../core/errors.ts'
import { jsonBody, type Reply, textBody } from './route.ts'

/**
 * Failures as v1's clients read them: `{"type","help","error"}`, or plain text, by the `Accept` header. `code` and
 * `next` stand beside them for clients that know us; others ignore them. A stack never gets on the wire.
 *
 * Follows `spec/flux-v1/http-api.md` §7.
 */

const statusOfKind: Record<ErrorKind, number> = { missing: 404, user: 422, server: 500 }

/** Codes whose status is not that of their kind. */
const statusOfCode: Partial<Record<ErrorCode, number>> = {
  API_BAD_REQUEST: 400,
  API_BODY_TOO_LARGE: 413,
  API_NOT_EXPOSED: 403,
  API_TOKEN_REFUSED: 401,
  API_VERSION_GONE: 410,
  REQUEST_ID_REUSED: 409,
}

export function statusOf(error: FluxError): number {
  return statusOfCode[error.code] ?? statusOfKind[error.kind]
}

/**
 * The reply to a failure.
 *
 * @param accept the `Accept` header; without one the short text is sent
 */
export function problemReply(error: FluxError, accept: string | undefined): Reply {
  const status = statusOf(error)
  switch (chooseType(accept)) {
    case 'application/json':
      return { status, body: jsonBody(problemToWire(error)) }
    case 'text/plain':
      return { status, body: textBody(error.help) }
    default:
      return { status, body: textBody(error.what) }
  }
}

/** A `FluxError` stays what it is; anything else is a bug of ours, and its message may hold what nobody should read. */
export function asFluxError(thrown: unknown): FluxError {
  if (thrown instanceof FluxError) return thrown
  return new FluxError('INTERNAL', {
    what: 'internal error',
    why: 'fluxd met a case it was not written for.',
    next: 'Its log says where. Please report it, with those lines.',
    cause: thrown,
  })
}

function problemToWire(error: FluxError): WireError {
  return {
    type: error.kind,
    help: error.help,
    error: error.what,
    code: error.code,
    ...(error.next === undefined ? {} : { next: error.next }),
  }
}

type ProblemType = 'application/json' | 'text/plain'

/** The one of our two types that the client likes best: only exact names count, and a tie goes to JSON. */
function chooseType(accept: string | undefined): ProblemType | undefined {
  const ranges = (accept ?? '').split(',').map((range) => {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const q = parameters.find((parameter) => parameter.startsWith('q='))
    return { name, q: q === undefined ? 1 : Number(q.slice(2)) }
  })
  const likes = (type: ProblemType) =>
    Math.max(0, ...ranges.filter(({ name, q }) => name === type && q > 0).map(({ q }) => q))
  const json = likes('application/json')
  const text = likes('text/plain')
  if (json === 0 && text === 0) return undefined
  return json >= text ? 'application/json' : 'text/plain'
}
