import { formatImageRef } from '../core/image/ref.ts'
import type { ImageListing, ListedContainer, ListedImage, WorkloadListing } from '../core/listing.ts'
import type { ResourceId } from '../core/resource/id.ts'
import type { JobStatus, UpdateResult } from '../core/update/result.ts'
import type { Cause, ContainerUpdate, UpdateSpec } from '../core/update/spec.ts'
import { sortedRecord } from './json.ts'
import type * as wire from './types.ts'
import type { Change, Fingerprint, GitConfig, PublicKey } from './values.ts'

/**
 * Our types as they go over the wire; `formatWire` prints them. Objects are built in Go's order of fields, and what Go
 * leaves out (`omitempty`) isn't there. Empty lists are `null` or `[]` as the original has them.
 */

export function updateSpecToWire(update: UpdateSpec): wire.WireUpdateSpec {
  const cause = causeToWire(update.cause)
  switch (update.type) {
    case 'image': {
      const { workloads, image, kind, excludes, force } = update.spec
      return {
        type: 'image',
        cause,
        spec: {
          ServiceSpecs: workloads && [...workloads],
          ImageSpec: image,
          Kind: kind,
          Excludes: excludes && [...excludes],
          Force: force,
        },
      }
    }
    case 'containers': {
      const { kind, containers, skipMismatches, force } = update.spec
      return {
        type: 'containers',
        cause,
        spec: {
          Kind: kind,
          ContainerSpecs: containers && byId(containers, (updates) => updates.map(containerUpdateToWire)),
          SkipMismatches: skipMismatches,
          Force: force,
        },
      }
    }
    case 'policy':
      return {
        type: 'policy',
        cause,
        spec:
          update.spec &&
          byId(update.spec, ({ add, remove }) => ({
            add: add && sortedRecord(add),
            remove: remove && sortedRecord(remove),
          })),
      }
    case 'sync':
      return { type: 'sync', cause, spec: {} }
    case 'auto':
      return { type: 'auto', cause, spec: automatedChangesToWire(update.changes) }
  }
}

export function automatedChangesToWire(
  changes: (UpdateSpec & { type: 'auto' })['changes'],
): wire.WireAutomatedSpec {
  return {
    Changes:
      changes?.map(({ workload, container, current, target }) => ({
        WorkloadID: workload,
        Container: { Name: container, Image: formatImageRef(current) },
        ImageID: formatImageRef(target),
      })) ?? null,
  }
}

export function causeToWire({ message, user }: Cause): wire.WireCause {
  return { Message: message, User: user }
}

export function updateResultToWire(result: UpdateResult): wire.ById<wire.WireWorkloadResult> {
  return byId(result, ({ status, error, updates }) => ({
    Status: status,
    ...(error && { Error: error }),
    PerContainer: updates.length > 0 ? updates.map(containerUpdateToWire) : null,
  }))
}

export function jobStatusToWire({
  state,
  error,
  errorCode,
  revision,
  spec,
  result,
}: JobStatus): wire.WireJobStatus {
  return {
    Result: {
      ...(revision && { revision }),
      ...(spec && { spec: updateSpecToWire(spec) }),
      ...(result && result.size > 0 && { result: updateResultToWire(result) }),
    },
    Err: error,
    ...(errorCode && { ErrCode: errorCode }),
    StatusString: state,
  }
}

/** `null` where there are none, as the original answers. */
export function controllerStatusesToWire(
  listings: readonly WorkloadListing[],
): wire.ControllerStatus[] | null {
  return listings.length > 0 ? listings.map(controllerStatusToWire) : null
}

function controllerStatusToWire(listing: WorkloadListing): wire.ControllerStatus {
  const { desired, updated, ready, available, outdated, messages } = listing.rollout
  return {
    ID: listing.id,
    Containers: listing.containers.map(containerToWire),
    ReadOnly: listing.readOnly,
    Status: listing.status,
    Rollout: {
      Desired: desired,
      Updated: updated,
      Ready: ready,
      Available: available,
      Outdated: outdated,
      Messages: messages.length > 0 ? [...messages] : null,
    },
    SyncError: listing.syncError,
    Antecedent: listing.antecedent ?? '',
    Labels: listing.labels && sortedRecord(Object.entries(listing.labels)),
    Automated: listing.automated,
    Locked: listing.locked,
    Ignore: listing.ignore,
    Policies: sortedRecord(listing.policies),
  }
}

/** `null` where there are none, as the original answers. */
export function imageStatusesToWire(listings: readonly ImageListing[]): wire.ImageStatus[] | null {
  if (listings.length === 0) return null
  return listings.map(({ id, containers }) => ({
    ID: id,
    Containers: containers.length > 0 ? containers.map(containerToWire) : null,
  }))
}

function containerToWire(container: ListedContainer): wire.WireContainer {
  const { name, available, availableError } = container
  const { availableCount, newAvailableCount, filteredCount, newFilteredCount } = container
  return {
    ...(name && { Name: name }),
    Current: imageToWire(container.current),
    LatestFiltered: imageToWire(container.latestFiltered),
    ...(available && available.length > 0 && { Available: available.map(imageToWire) }),
    ...(availableError && { AvailableError: availableError }),
    ...(availableCount > 0 && { AvailableImagesCount: availableCount }),
    ...(newAvailableCount > 0 && { NewAvailableImagesCount: newAvailableCount }),
    ...(filteredCount > 0 && { FilteredImagesCount: filteredCount }),
    ...(newFilteredCount > 0 && { NewFilteredImagesCount: newFilteredCount }),
    ...(container.reasons && {
      Reasons: container.reasons.map(({ code, message }) => ({ Code: code, Message: message })),
    }),
  }
}

function imageToWire({
  ref,
  digest,
  imageId,
  labels,
  createdAt,
  lastFetchedAt,
}: ListedImage): wire.WireImage {
  return {
    ID: ref ? formatImageRef(ref) : '',
    ...(digest && { Digest: digest }),
    ...(imageId && { ImageID: imageId }),
    Labels: sortedRecord(Object.entries(labels)),
    ...(createdAt && { CreatedAt: createdAt }),
    ...(lastFetchedAt && { LastFetched: lastFetchedAt }),
  }
}

export function gitConfigToWire({
  url,
  branch,
  path,
  publicKey,
  status,
  error,
}: GitConfig): wire.WireGitConfig {
  return { remote: { url, branch, path }, publicSSHKey: publicKeyToWire(publicKey), status, errors: error }
}

export function publicKeyToWire({ key, md5, sha256 }: PublicKey): wire.WirePublicKey {
  const print = ({ hash, randomArt }: Fingerprint) => ({ hash, randomart: randomArt })
  return { key, fingerprints: md5 && sha256 ? { md5: print(md5), sha256: print(sha256) } : null }
}

export function changeToWire(change: Change): wire.WireChange {
  if (change.kind === 'git') return { Kind: 'git', Source: { URL: change.url, Branch: change.branch } }
  const { registry = '', repository } = change.image
  return { Kind: 'image', Source: { Name: { Domain: registry, Image: repository } } }
}

/** YAML as base64. */
export function exportToWire(yaml: string): string {
  return btoa(Array.from(new TextEncoder().encode(yaml), (byte) => String.fromCharCode(byte)).join(''))
}

function containerUpdateToWire({ container, current, target }: ContainerUpdate): wire.WireContainerUpdate {
  return {
    Container: container,
    ...(current && { Current: formatImageRef(current) }),
    Target: formatImageRef(target),
  }
}

function byId<T, U>(map: ReadonlyMap<ResourceId, T>, toWire: (item: T) => U): wire.ById<U> {
  return sortedRecord([...map].map(([id, item]) => [id, toWire(item)]))
}
