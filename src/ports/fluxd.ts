import { type ErrorCode, errorCodes, FluxError } from '../core/errors.ts'
import type { ImageListing, WorkloadListing } from '../core/listing.ts'
import type { ResourceId } from '../core/resource/id.ts'
import type { JobStatus } from '../core/update/result.ts'
import type { UpdateSpec } from '../core/update/spec.ts'

/** What we ask of fluxd, ours or the original. */

export type JobId = string

export interface RequestOptions {
  /** asked for again under the same id, an update is not made twice; the original passes over it */
  requestId?: string
}

/** The repository that a fluxd follows, and the key it shows there. */
export interface FollowedRepository {
  /** without its password */
  url: string
  branch: string
  /** `unconfigured`, `new`, `cloned`, `ready`, `unreachable` */
  status: string
  /** why the repository isn't ready; empty otherwise */
  error: string
  publicKey: {
    /** the key's line, with its newline; empty where there is none */
    key: string
    md5?: { hash: string; randomArt: string }
  }
}

/**
 * Every call may fail with `FLUXD_UNREACHABLE` (no answer), `FLUXD_REPLY_INVALID` (none that can be read), `FLUXD_DENIED`
 * (the token is missing or wrong), or with a `RemoteError`, which carries fluxd's own words.
 */
/** `reasons`: also why images are not known, and why automation holds; the original has none to give */
export type ImageQuery = ({ namespace: string } | { workload: ResourceId }) & { reasons?: boolean }

export interface Fluxd {
  /** In any order. All allowed namespaces where `namespace` is empty. */
  listWorkloads(query: { namespace: string }): Promise<WorkloadListing[]>
  /** In any order. Those that aren't in the cluster are left out. */
  getWorkloads(ids: readonly ResourceId[]): Promise<WorkloadListing[]>
  listImages(query: ImageQuery): Promise<ImageListing[]>
  /** Ask for an update. The job may wait its turn; a plan is finished when this returns. */
  update(spec: UpdateSpec, options?: RequestOptions): Promise<JobId>
  getJob(id: JobId): Promise<JobStatus>
  /** Revisions up to `ref` that are not applied yet, newest first. */
  listUnapplied(ref: string): Promise<string[]>
  getRepository(options: { regenerateKey: boolean }): Promise<FollowedRepository>
}

/** A failure that fluxd reported in answer to a request, or of a job. */
export class RemoteError extends FluxError {
  readonly #help: string | undefined

  /**
   * @param code as it came, if it came: the original sends none
   * @param help fluxd's advice as one text for people, where it gives any
   */
  constructor(what: string, fallback: ErrorCode, { code, help }: { code?: string; help?: string } = {}) {
    super(code !== undefined && Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : fallback, { what })
    this.#help = help
  }

  /** the text to show in place of everything else; absent where there is only `what` */
  get advice(): string | undefined {
    return this.#help
  }

  override get help(): string {
    return this.#help ?? this.what
  }
}
