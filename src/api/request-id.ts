import { createHash } from 'node:crypto'
import { FluxError } from '../core/errors.ts'
import { isRequestId, requestIdGrammar } from '../core/update/request-id.ts'
import type { UpdateSpec } from '../core/update/spec.ts'
import { formatWire } from './json.ts'
import { updateSpecToWire } from './write.ts'

/** A request's own name as it comes over the wire: see `requestIdHeader`. */

/** @param value the header, where there is one @throws FluxError `API_BAD_REQUEST` */
export function readRequestId(value: string | undefined): string | undefined {
  if (value === undefined || isRequestId(value)) return value
  throw new FluxError('API_BAD_REQUEST', {
    what: 'invalid Flux-Request-Id',
    why: `A request id has ${requestIdGrammar}.`,
    next: 'Give each change an id of its own, such as that of the CI job, or leave the header out.',
  })
}

/** What a request id is bound to. Specs that ask for the same in the same words have the same digest. */
export function digestOfUpdate(update: UpdateSpec): string {
  return createHash('sha256')
    .update(formatWire(updateSpecToWire(update)))
    .digest('hex')
}

/** @param id the request id that was given */
export function requestIdReused(id: string): FluxError {
  return new FluxError('REQUEST_ID_REUSED', {
    what: `request id "${id}" was used for another change`,
    why: 'A request id stands for one change, whoever asks, and for whom.',
    next: 'Nothing was done. Use a new id for a new change, and the old one only to ask for the same again.',
  })
}
