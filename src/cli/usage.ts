import { FluxError } from '../core/errors.ts'

/** A command line that asks for something impossible, or not for enough. */
export function usageError(what: string, next?: string): FluxError {
  return new FluxError('USAGE_INVALID', { what, ...(next !== undefined && { next }) })
}
