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
  API_BODY_TOO_LARGE: 'user',
  API_ENDPOINT_UNKNOWN: 'missing',
  API_LISTEN_FAILED: 'user',
  API_NOT_EXPOSED: 'user',
  API_TOKEN_REFUSED: 'user',
  API_VERSION_GONE: 'missing',
  APPLY_CONFLICT: 'server',
  APPLY_DENIED: 'user',
  APPLY_IMMUTABLE: 'user',
  APPLY_INVALID: 'user',
  APPLY_KIND_UNKNOWN: 'user',
  APPLY_NAMESPACE_MISSING: 'user',
  APPLY_TOO_LARGE: 'user',
  CHART_DENIED: 'user',
  CHART_INVALID: 'user',
  CHART_MISSING: 'user',
  CHART_PATH_ESCAPES: 'user',
  CHART_SOURCE_MISSING: 'user',
  CHART_UNAVAILABLE: 'server',
  CLUSTER_DENIED: 'user',
  CLUSTER_FORBIDDEN: 'user',
  CLUSTER_OBJECT_MISSING: 'missing',
  CLUSTER_UNAVAILABLE: 'server',
  CLUSTER_UNREACHABLE: 'server',
  CLUSTER_WATCH_EXPIRED: 'server',
  DEMO_CHECK_FAILED: 'server',
  DEMO_REFUSED: 'user',
  DEMO_UNAVAILABLE: 'user',
  DRIFT_CONTESTED: 'user',
  FLAG_INVALID: 'user',
  FLAG_UNSUPPORTED: 'user',
  FLUXD_AMBIGUOUS: 'user',
  FLUXD_DENIED: 'user',
  FLUXD_NOT_FOUND: 'missing',
  FLUXD_REFUSED: 'user',
  FLUXD_REPLY_INVALID: 'server',
  FLUXD_UNREACHABLE: 'server',
  FOLDER_UNUSABLE: 'user',
  GIT_BRANCH_MISSING: 'user',
  GIT_CLONE_DENIED: 'user',
  GIT_FAILED: 'server',
  GIT_HOST_KEY_CHANGED: 'user',
  GIT_HOST_UNKNOWN: 'user',
  GIT_KEY_REFUSED: 'user',
  GIT_NOT_CONFIGURED: 'user',
  GIT_NOT_READY: 'user',
  GIT_NOT_WRITABLE: 'user',
  GIT_OBJECT_MISSING: 'missing',
  GIT_PATH_MISSING: 'missing',
  GIT_PROGRAM_MISSING: 'user',
  GIT_PUSH_RACE: 'server',
  GIT_PUSH_REJECTED: 'user',
  GIT_READONLY: 'user',
  GIT_REF_INVALID: 'user',
  GIT_REF_UNKNOWN: 'user',
  GIT_REPOSITORY_MISSING: 'user',
  GIT_TIMEOUT: 'server',
  GIT_TREE_TOO_LARGE: 'user',
  GIT_UNREACHABLE: 'server',
  GIT_URL_INVALID: 'user',
  HELM_FAILED: 'user',
  HELM_FORBIDDEN_NAMESPACE: 'user',
  HELM_MIGRATION_UNSUPPORTED: 'user',
  HELM_OWNED_BY_OTHER: 'user',
  HELM_PROGRAM_MISSING: 'user',
  HELM_PROGRAM_UNSUPPORTED: 'user',
  HELM_RELEASE_NAME_INVALID: 'user',
  HELM_RELEASE_NOT_MIGRATED: 'user',
  HELM_STORAGE_UNREADABLE: 'server',
  HELM_TIMEOUT: 'server',
  HELM_VALUES_INVALID: 'user',
  HELM_VALUES_MISSING: 'missing',
  IMAGE_FIELD_UNKNOWN: 'user',
  IMAGE_MANIFEST_UNSUPPORTED: 'missing',
  IMAGE_MISSING: 'user',
  IMAGE_PLATFORM_MISSING: 'missing',
  IMAGE_REF_INVALID: 'user',
  INTERNAL: 'server',
  INTERRUPTED: 'user',
  JOB_FAILED: 'user',
  JOB_TIMEOUT: 'server',
  JOB_UNKNOWN: 'missing',
  KUBECONFIG_INVALID: 'user',
  KUBECONFIG_MISSING: 'user',
  MANIFEST_ALIAS_BOMB: 'user',
  MANIFEST_DUPLICATE: 'user',
  MANIFEST_EDIT_UNPROVEN: 'user',
  MANIFEST_INVALID: 'user',
  MANIFEST_NOT_FOUND: 'missing',
  MANIFEST_SYNTAX: 'user',
  MANIFEST_TOO_DEEP: 'user',
  MANIFEST_TOO_LARGE: 'user',
  MANIFEST_TOO_MANY: 'user',
  NO_CHANGES: 'user',
  PATTERN_TOO_LONG: 'user',
  PATH_UNREADABLE: 'missing',
  PATH_UNWRITABLE: 'user',
  POLICY_EMPTY: 'user',
  POLICY_PATTERN_INVALID: 'user',
  PORT_FORWARD_FAILED: 'server',
  QUERY_AMBIGUOUS: 'user',
  REGISTRY_CREDENTIALS_INVALID: 'user',
  REGISTRY_DENIED: 'user',
  REGISTRY_IMAGE_MISSING: 'missing',
  REGISTRY_INVALID: 'server',
  REGISTRY_MANIFEST_UNKNOWN: 'missing',
  REGISTRY_RATE_LIMITED: 'server',
  REGISTRY_TIMEOUT: 'server',
  REGISTRY_TOO_LARGE: 'user',
  REGISTRY_UNAVAILABLE: 'server',
  RELEASE_UNVERIFIED: 'user',
  REQUEST_ID_REUSED: 'user',
  RESOURCE_ID_INVALID: 'user',
  RESOURCE_WITHOUT_CONTAINERS: 'user',
  SECRET_MISSING: 'missing',
  SSH_FILE_UNREADABLE: 'user',
  SSH_KEY_INVALID: 'user',
  STORE_LOCKED: 'user',
  STORE_UNUSABLE: 'user',
  SYNC_HELD: 'user',
  SYNC_TIMEOUT: 'server',
  UPDATE_TYPE_UNKNOWN: 'user',
  UPDATE_UNSATISFIABLE: 'user',
  USAGE_INVALID: 'user',
  WAIT_TIMEOUT: 'server',
  WORKLOAD_UNKNOWN: 'missing',
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
