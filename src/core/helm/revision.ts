import { isJsonObject, type JsonObject, valueAt } from '../json.ts'

/**
 * Revisions of a release, as the labels of Helm's Secrets tell: enough to decide, without reading a Secret.
 *
 * Beside Helm's labels stand three of ours. Helm copies labels from revision to revision, also when a person upgrades
 * or rolls back; so one of ours says for which revision it was written, and only there the digest holds.
 */

export const digestLabel = 'helm.fluxcd.io/digest'
export const revisionLabel = 'helm.fluxcd.io/revision'
export const ownerLabel = 'helm.fluxcd.io/owner'

export type ReleaseStatus =
  | 'unknown'
  | 'deployed'
  | 'uninstalled'
  | 'superseded'
  | 'failed'
  | 'uninstalling'
  | 'pending-install'
  | 'pending-upgrade'
  | 'pending-rollback'

const statuses: readonly string[] = [
  'unknown',
  'deployed',
  'uninstalled',
  'superseded',
  'failed',
  'uninstalling',
  'pending-install',
  'pending-upgrade',
  'pending-rollback',
] satisfies ReleaseStatus[]

export interface Revision {
  release: string
  namespace: string
  number: number
  status: ReleaseStatus
  /** when Helm wrote it last; whole seconds */
  modifiedAtMs: number
  /** what we asked for when we made this revision; absent where somebody else made it, or a rollback */
  digest: string | undefined
  /** who keeps the release, as `ownerMark` says; absent where Helm alone made it */
  owner: string | undefined
}

/** Read one of Helm's Secrets by its metadata; `undefined` for any other object. */
export function readRevision(object: JsonObject): Revision | undefined {
  const labels = valueAt(object, 'metadata', 'labels')
  const namespace = valueAt(object, 'metadata', 'namespace')
  if (!isJsonObject(labels) || typeof namespace !== 'string' || labels['owner'] !== 'helm') return undefined
  const { name, status, version } = labels
  const number = Number(version)
  if (typeof name !== 'string' || !Number.isSafeInteger(number) || number < 1) return undefined
  const seconds = Number(labels['modifiedAt'] ?? labels['createdAt'])
  const digest = labels[digestLabel]
  const owner = labels[ownerLabel]
  return {
    release: name,
    namespace,
    number,
    status: statuses.includes(String(status)) ? (status as ReleaseStatus) : 'unknown',
    modifiedAtMs: Number.isFinite(seconds) ? seconds * 1000 : 0,
    digest: typeof digest === 'string' && labels[revisionLabel] === String(number) ? digest : undefined,
    owner: typeof owner === 'string' ? owner : undefined,
  }
}

/** Newest first. */
export function newestRevisionFirst(a: Revision, b: Revision): number {
  return b.number - a.number
}

/** The revision to go back to: the newest one that was deployed, whatever came after it. */
export function lastDeployed(revisions: readonly Revision[]): Revision | undefined {
  return (
    revisions.find(({ status }) => status === 'deployed') ??
    revisions.find(({ status }) => status === 'superseded')
  )
}
