import { type ErrorCode, FluxError } from '../core/errors.ts'
import { formatJson } from '../core/json.ts'
import { RemoteError } from '../ports/fluxd.ts'
import type { Outcome } from './command.ts'
import type { Io } from './io.ts'
import { escapeLine } from './output/text.ts'

/** The one place that prints failures and picks exit codes. */

export interface Ending {
  io: Io
  /** what was typed, such as `fluxctl release`, for the hint */
  commandPath: string
  /** v1's codes are 0 and 1; the full table is for new flags and for `FLUXCTL_EXIT_CODES=2` */
  fullTable: boolean
  /** the failure goes to standard output as a document */
  json: boolean
}

const exitCodes: Partial<Record<ErrorCode, number>> = {
  API_NOT_EXPOSED: 4,
  API_TOKEN_REFUSED: 4,
  CLUSTER_DENIED: 4,
  CLUSTER_FORBIDDEN: 4,
  FLAG_INVALID: 2,
  FLUXD_DENIED: 4,
  IMAGE_REF_INVALID: 2,
  NO_CHANGES: 3,
  REQUEST_ID_REUSED: 2,
  RESOURCE_ID_INVALID: 2,
  USAGE_INVALID: 2,
  WAIT_TIMEOUT: 8,
}

const interruptedCode = 130

const outcomeCodes: Record<Outcome, { v1: number; full: number }> = {
  done: { v1: 0, full: 0 },
  nothing: { v1: 0, full: 3 },
  pending: { v1: 0, full: 8 },
  cancelled: { v1: 0, full: 2 },
  'rollout-failed': { v1: 5, full: 5 },
}

/**
 * Failures whose whole text scripts know from v1. The advice that we have beside it is for people: it is printed on a
 * terminal only.
 */
const knownFromV1 = new Set<ErrorCode>(['FLAG_INVALID', 'IMAGE_REF_INVALID', 'RESOURCE_ID_INVALID'])

export function endWith(outcome: Outcome, { fullTable }: Ending): number {
  return outcomeCodes[outcome][fullTable ? 'full' : 'v1']
}

/** Print a failure in one of v1's two shapes, or as a document. */
export function endWithFailure(thrown: unknown, ending: Ending): number {
  const { io, fullTable, json } = ending
  if (thrown instanceof FluxError && thrown.code === 'INTERRUPTED') {
    if (json) io.out(documentOf(thrown))
    return interruptedCode
  }
  const failure = thrown instanceof FluxError ? thrown : bugReport(thrown)
  if (json) io.out(documentOf(failure))
  else io.say(screenOf(failure, ending))
  return fullTable ? (exitCodes[failure.code] ?? 1) : 1
}

/** The text of a failure, without its last newline. */
function screenOf(failure: FluxError, { io, commandPath }: Ending): string {
  if (failure instanceof RemoteError && failure.advice !== undefined)
    return `== Error ==\n\n${failure.advice}`
  const { what, why, next, code } = failure
  const advice = knownFromV1.has(code) && !io.person ? [] : [why, next].filter((part) => part !== undefined)
  return advice.length > 0
    ? [`Error: ${what}`, ...advice].join('\n\n')
    : `Error: ${what}\nRun '${commandPath} --help' for usage.`
}

function documentOf(failure: FluxError): string {
  const hint =
    failure instanceof RemoteError ? failure.advice : [failure.why, failure.next].filter(Boolean).join(' ')
  const document = {
    code: failure.code,
    message: failure.what,
    hint: hint || null,
    retryable: failure.kind === 'server',
  }
  return `${escapeLine(formatJson({ error: document }))}\n`
}

function bugReport(thrown: unknown): FluxError {
  return new FluxError('INTERNAL', {
    what: thrown instanceof Error ? thrown.message : String(thrown),
    why: thrown instanceof Error && thrown.stack ? thrown.stack : 'There is no stack.',
    next: 'This is a bug of fluxctl. Please report it with the lines above.',
    cause: thrown,
  })
}
