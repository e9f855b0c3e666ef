import { FluxError, messageOf } from '../core/errors.ts'
import type { LogFields } from '../ports/log.ts'

/** What a log line says of a failure: what, and where it is known, its code, why, and what to do next. */
export function failureFields(thrown: unknown): LogFields {
  const { code, why, next } = thrown instanceof FluxError ? thrown : {}
  return { err: messageOf(thrown), code, why, next }
}
