/**
 * The wire between fluxctl and fluxd, field for field as Flux v1 writes it: Go's names, Go's casing.
 *
 * Nothing outside `api/` speaks these names, beside whoever prints v1's JSON. Interfaces list fields in the order
 * in which Go prints them. Follows `spec/flux-v1/http-api.md` §4, §5 and §7.
 */

/** Map of resource IDs, printed in order of its keys. */
export type ById<T> = Record<string, T>

export interface WireImage {
  ID: string
  Digest?: string
  ImageID?: string
  Labels: Record<string, string>
  CreatedAt?: string
  LastFetched?: string
}

export interface WireContainer {
  Name?: string
  Current: WireImage
  LatestFiltered: WireImage
  Available?: WireImage[]
  AvailableError?: string
  AvailableImagesCount?: number
  NewAvailableImagesCount?: number
  FilteredImagesCount?: number
  NewFilteredImagesCount?: number
  /** not in v1: only where it is asked for */
  Reasons?: { Code: string; Message: string }[]
}

export interface WireRollout {
  Desired: number
  Updated: number
  Ready: number
  Available: number
  Outdated: number
  Messages: string[] | null
}

export interface ControllerStatus {
  ID: string
  Containers: WireContainer[]
  ReadOnly: string
  Status: string
  Rollout: WireRollout
  SyncError: string
  Antecedent: string
  Labels: Record<string, string> | null
  Automated: boolean
  Locked: boolean
  Ignore: boolean
  Policies: Record<string, string>
}

export interface ImageStatus {
  ID: string
  Containers: WireContainer[] | null
}

export interface WireContainerUpdate {
  Container: string
  /** left out where nothing is known of it: clients of Flux v1 can't read an empty one */
  Current?: string
  Target: string
}

export interface WireWorkloadResult {
  Status: string
  Error?: string
  PerContainer: WireContainerUpdate[] | null
}

export interface WireCause {
  Message: string
  User: string
}

export interface WireImageSpec {
  ServiceSpecs: string[] | null
  ImageSpec: string
  Kind: string
  Excludes: string[] | null
  Force: boolean
}

export interface WireContainersSpec {
  Kind: string
  ContainerSpecs: ById<WireContainerUpdate[]> | null
  SkipMismatches: boolean
  Force: boolean
}

export interface WirePolicyUpdate {
  add: Record<string, string> | null
  remove: Record<string, string> | null
}

export interface WireAutomatedChange {
  WorkloadID: string
  Container: { Name: string; Image: string }
  ImageID: string
}

export interface WireAutomatedSpec {
  Changes: WireAutomatedChange[] | null
}

export type WireUpdateSpec =
  | { type: 'image'; cause: WireCause; spec: WireImageSpec }
  | { type: 'containers'; cause: WireCause; spec: WireContainersSpec }
  | { type: 'policy'; cause: WireCause; spec: ById<WirePolicyUpdate> | null }
  | { type: 'sync'; cause: WireCause; spec: Record<string, never> }
  | { type: 'auto'; cause: WireCause; spec: WireAutomatedSpec }

export interface WireJobStatus {
  Result: { revision?: string; spec?: WireUpdateSpec; result?: ById<WireWorkloadResult> }
  Err: string
  /** ours: the failure's stable code; Go's clients ignore it */
  ErrCode?: string
  StatusString: string
}

export interface WirePublicKey {
  key: string
  fingerprints: {
    md5: { hash: string; randomart: string }
    sha256: { hash: string; randomart: string }
  } | null
}

export interface WireGitConfig {
  remote: { url: string; branch: string; path: string }
  publicSSHKey: WirePublicKey
  status: string
  errors: string
}

export type WireChange =
  | { Kind: 'git'; Source: { URL: string; Branch: string } }
  | { Kind: 'image'; Source: { Name: { Domain: string; Image: string } } }

/** What a refused request is answered with. Go's client shows `help`, and only where `error` isn't empty. */
export interface WireError {
  type: 'server' | 'missing' | 'user'
  help: string
  error?: string
  /** ours: the failure's stable code */
  code?: string
  /** ours: what to do next */
  next?: string
}
