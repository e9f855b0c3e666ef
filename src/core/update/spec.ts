import type { ImageRef } from '../image/ref.ts'
import type { PolicyUpdate } from '../policy/policy.ts'
import type { ResourceId } from '../resource/id.ts'

/**
 * What was asked of Git: the five update types of Flux v1, with who asked and why.
 *
 * A spec is echoed in job statuses, notes and events, so it keeps what its author wrote, down to whether a list was
 * absent (`null`) or empty. Follows `spec/flux-v1/release.md` §1 and `http-api.md` §5; `api/` reads and prints it.
 */

export interface Cause {
  /** replaces or precedes the composed commit message where it isn't empty */
  message: string
  /** who asked, such as `A User <a@example.com>` */
  user: string
}

/** In place of workload IDs: every workload. */
export const allWorkloads = '<all>'
/** In place of an image: the best image of every container. */
export const allLatest = '<all latest>'

/** Release one image, or the best image of each container, to some workloads. */
export interface ImageRelease {
  /** IDs or `<all>`, as they came: planning reads them */
  workloads: readonly string[] | null
  /** `<all latest>` or an image reference with a tag, as it came */
  image: string
  /** `plan` or `execute`; anything else changes nothing */
  kind: string
  excludes: readonly ResourceId[] | null
  force: boolean
}

/** One container and the image it shall run. */
export interface ContainerUpdate {
  container: string
  /** what it is thought to run now; absent: whatever it is */
  current?: ImageRef
  target: ImageRef
}

/** Release chosen images to chosen containers. */
export interface ContainersRelease {
  kind: string
  containers: ReadonlyMap<ResourceId, readonly ContainerUpdate[]> | null
  /** leave out containers that run something else than `current`, rather than fail */
  skipMismatches: boolean
  force: boolean
}

/** A change that automation has chosen. */
export interface AutomatedChange {
  workload: ResourceId
  container: string
  /** what the cluster runs */
  current: ImageRef
  target: ImageRef
}

export type PolicyUpdates = ReadonlyMap<ResourceId, PolicyUpdate>

export type UpdateSpec =
  | { type: 'image'; cause: Cause; spec: ImageRelease }
  | { type: 'containers'; cause: Cause; spec: ContainersRelease }
  | { type: 'policy'; cause: Cause; spec: PolicyUpdates | null }
  | { type: 'sync'; cause: Cause }
  | { type: 'auto'; cause: Cause; changes: readonly AutomatedChange[] | null }

/** Whether a spec asks for what would happen, rather than for a commit. */
export function isPlan(update: UpdateSpec): boolean {
  return (update.type === 'image' || update.type === 'containers') && update.spec.kind === 'plan'
}
