/**
 * Every failure that a person, a client or a script may see.
 *
 * A code is stable: it stands in `docs/errors.md`, in `-o json` output and on the wire. Its kind says whose move
 * it is. Adapters translate their neighbour's failure into a `FluxError` once, at the border, and keep the original
 * as `cause`; anything else that is thrown is a bug of ours.
 */

/** `user`: someone has to change something · `missing`: it isn't there · `server`: trying again may help */
export type ErrorKind = 'user' | 'missing' | 'server'

/** Codes in alphabetical order; `docs/errors.md` lists the same ones, which a test compares. */
export const errorCodes = {
  API_BAD_REQUEST: 'user',
  APPLY_CONFLICT: 'server',
  APPLY_DENIED: 'user',
  APPLY_IMMUTABLE: 'user',
  APPLY_INVALID: 'user',
  APPLY_KIND_UNKNOWN: 'user',
  APPLY_NAMESPACE_MISSING: 'user',
  APPLY_TOO_LARGE: 'user',
  CLUSTER_DENIED: 'user',
  CLUSTER_FORBIDDEN: 'user',
  CLUSTER_UNAVAILABLE: 'server',
  CLUSTER_UNREACHABLE: 'server',
  CLUSTER_WATCH_EXPIRED: 'server',
  INTERNAL: 'server',
  KUBECONFIG_INVALID: 'user',
  KUBECONFIG_MISSING: 'user',
  PORT_FORWARD_FAILED: 'server',
  RESOURCE_ID_INVALID: 'user',
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof errorCodes

export interface ErrorText {
  /** what happened; the short text that v1 clients and scripts grep, such as `no changes made in repo` */
  what: string
  /** why it happened, in whole sentences */
  why?: string
  /** what to do next; names a command or a setting where there is one */
  next?: string
  /** the failure of a neighbour that this one translates */
  cause?: unknown
}

export class FluxError extends Error {
  override readonly name = 'FluxError'
  readonly code: ErrorCode
  readonly kind: ErrorKind
  readonly why: string | undefined
  readonly next: string | undefined

  constructor(code: ErrorCode, { what, why, next, cause }: ErrorText) {
    super(what, cause === undefined ? undefined : { cause })
    this.code = code
    this.kind = errorCodes[code]
    this.why = why
    this.next = next
  }

  /** the short text: what happened */
  get what(): string {
    return this.message
  }

  /** what, why and next as one text for people, a paragraph each */
  get help(): string {
    return [this.what, this.why, this.next].filter(Boolean).join('\n\n')
  }
}

/** The message of anything thrown, without its stack. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
