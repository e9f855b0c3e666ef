import { FluxError } from '../core/errors.ts'
import { type ManifestFile, parseManifestFile } from '../core/manifest/document.ts'
import { setImage } from '../core/manifest/set-image.ts'
import { setPolicies } from '../core/manifest/set-policy.ts'
import { isCandidate } from '../core/policy/choose.ts'
import { isSet, patternFor, planPolicyChanges } from '../core/policy/policy.ts'
import type { ResourceId } from '../core/resource/id.ts'
import {
  type ImageChange,
  imageToRelease,
  planAutomatedRelease,
  planContainersRelease,
  planImageRelease,
  repositoriesNeeded,
  type UpdatePlan,
} from '../core/update/plan.ts'
import type { UpdateResult, WorkloadResult } from '../core/update/result.ts'
import type { WorkloadsToUpdate } from '../core/update/select.ts'
import { type AutomatedChange, allLatest, type PolicyUpdates, type UpdateSpec } from '../core/update/spec.ts'
import { verifyImages } from '../core/update/verify.ts'
import type { Clock } from '../ports/clock.ts'
import type { GitMirror, Revision } from '../ports/git.ts'
import type { Metrics, ReleaseStage, ReleaseType } from '../ports/metrics.ts'
import type { ClusterView } from './cluster-view.ts'
import { type ImageCatalog, imageMissing } from './images.ts'
import type { Keychains } from './keychains.ts'
import { type LoadedManifests, type ManifestStore, workloadsOf } from './manifests.ts'
import type { Repository } from './repository.ts'
import type { Scanner } from './scan.ts'

/**
 * From an update spec to edits: read a revision, decide, edit, prove. What is derived is published by `publisher.ts`.
 *
 * Follows `spec/flux-v1/release.md`.
 */
export interface Updater {
  /** What an update makes of a revision. Nothing is written. @throws FluxError whatever stops it */
  derive(update: UpdateSpec, mirror: GitMirror, revision: Revision, signal?: AbortSignal): Promise<Edits>
  /** What an update would do to each workload now. Edits are made and proved, and thrown away. */
  plan(update: UpdateSpec): Promise<UpdateResult>
}

export interface UpdaterOptions {
  repository: Repository
  manifests: ManifestStore
  view: ClusterView
  images: ImageCatalog
  scanner: Scanner
  keychains: Keychains
  clock: Clock
  metrics: Metrics
}

/** What an update does to the files of one revision. */
export interface Edits {
  result: UpdateResult
  /** path → new text; only files whose text changes */
  files: ReadonlyMap<string, string>
}

/** A release of so many images waits for the registry to list the tags of each anew. */
const askedAnew = 20

type ImageUpdate = Exclude<UpdateSpec, { type: 'policy' | 'sync' }>

export function createUpdater(options: UpdaterOptions): Updater {
  const { repository, images, scanner, clock, metrics } = options

  const timed = async <T>(stage: ReleaseStage, work: () => T | Promise<T>): Promise<T> => {
    const startedMs = clock.monotonicMs()
    const value = await work()
    metrics.observeReleaseStage({ stage, durationMs: clock.monotonicMs() - startedMs })
    return value
  }

  const planUpdate = async (
    update: ImageUpdate,
    manifests: LoadedManifests,
    signal: AbortSignal | undefined,
  ): Promise<UpdatePlan> => {
    const workloads = await timed('select_workloads', async () => {
      await untilListed(options.view, signal)
      return workloadsToUpdate(manifests, options.view)
    })
    if (update.type === 'containers') return planContainersRelease(update.spec, workloads)
    if (update.type === 'auto') {
      const allowed = (update.changes ?? []).filter((change) => isStillAllowed(change, workloads))
      return planAutomatedRelease(allowed, workloads)
    }
    const image = imageToRelease(update.spec)
    await timed('lookup_images', async () => {
      const wanted = await options.keychains.unlock(
        image ? [image] : repositoriesNeeded(update.spec, workloads),
      )
      if (!image) {
        // a few are asked for what was pushed a moment ago; of many, what the last round found is good enough
        const lists = wanted.length <= askedAnew ? 'all' : 'stale'
        return scanner.look(wanted, { lists, depth: 'best', ...(signal && { signal }) })
      }
      const [only] = wanted
      if (!only || !(await scanner.exists(only, signal))) throw imageMissing(image)
    })
    return planImageRelease(update.spec, workloads, images.images)
  }

  const deriveImages = async (
    update: ImageUpdate,
    manifests: LoadedManifests,
    signal: AbortSignal | undefined,
  ): Promise<Edits> => {
    const startedMs = clock.monotonicMs()
    let success = false
    try {
      const edits = await editImages(update, manifests, signal)
      success = true
      return edits
    } finally {
      const kind = update.type === 'auto' ? 'execute' : update.spec.kind
      const durationMs = clock.monotonicMs() - startedMs
      metrics.observeRelease({ type: releaseType(update), kind, success, durationMs })
    }
  }

  const editImages = async (
    update: ImageUpdate,
    manifests: LoadedManifests,
    signal: AbortSignal | undefined,
  ): Promise<Edits> => {
    const { results, changes } = await planUpdate(update, manifests, signal)
    const editor = editFiles(manifests)
    await timed('write_changes', () => {
      for (const { id, container, target } of changes) {
        editor.edit(id, (file, manifest) => setImage(file, manifest, container, target))
      }
    })
    await timed('verify_changes', () =>
      verifyImages(manifests.files, editor.edited, withManifests(changes, manifests)),
    )
    return { result: results, files: editor.texts() }
  }

  const derivePolicies = (
    update: Extract<UpdateSpec, { type: 'policy' }>,
    manifests: LoadedManifests,
  ): Edits => {
    const updates: PolicyUpdates = update.spec ?? new Map()
    const workloads = workloadsOf(manifests)
    const editor = editFiles(manifests)
    const result = new Map<ResourceId, WorkloadResult>()
    for (const [id, change] of updates) {
      if ((change.add?.size ?? 0) === 0 && (change.remove?.size ?? 0) === 0) {
        throw new FluxError('POLICY_EMPTY', {
          what: `no policy to change on ${id}`,
          next: 'Say what to change: --automate, --lock, --tag, --tag-all, or one that undoes these.',
        })
      }
      if (!manifests.resources.has(id)) {
        result.set(id, { status: 'skipped', updates: [] }) // without a reason, as v1
        continue
      }
      const containers = workloads.get(id)?.containers
      if (!containers) {
        throw new FluxError('RESOURCE_WITHOUT_CONTAINERS', {
          what: `resource ${id} does not have containers`,
          why: 'Only workloads have policies.',
        })
      }
      const changes = planPolicyChanges(
        change,
        containers.map(({ name }) => name),
      )
      const changed = editor.edit(id, (file, manifest) => setPolicies(file, manifest, changes))
      result.set(id, { status: changed ? 'success' : 'skipped', updates: [] })
    }
    return { result, files: editor.texts() }
  }

  const derive: Updater['derive'] = async (update, mirror, revision, signal) => {
    if (update.type === 'sync') return { result: new Map(), files: new Map() }
    const manifests = await options.manifests.loadWhole(mirror, revision)
    return update.type === 'policy'
      ? derivePolicies(update, manifests)
      : deriveImages(update, manifests, signal)
  }

  return {
    derive,

    async plan(update) {
      const mirror = repository.ready()
      refuseReadonly(repository)
      const head = await mirror.branchHead(repository.branch)
      if (!head) throw branchGone()
      return (await derive(update, mirror, head)).result
    },
  }
}

/** Before the first list is in, a workload that runs looks like one that doesn't. @throws the signal's reason */
function untilListed(view: ClusterView, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    view.listed().then(resolve, reject)
  })
}

/** How v1's metrics name an update. */
function releaseType(update: ImageUpdate): ReleaseType {
  if (update.type === 'auto') return 'automated'
  if (update.type === 'containers') return 'containers'
  return update.spec.image === allLatest ? 'latest_images' : 'specific_image'
}

/** Both sides of every workload. */
export function workloadsToUpdate(manifests: LoadedManifests, view: ClusterView): WorkloadsToUpdate {
  return {
    git: new Map(
      [...workloadsOf(manifests)].map(([id, { containers }]) => [
        id,
        { containers, policies: manifests.resources.get(id)?.policies ?? new Map() },
      ]),
    ),
    cluster: new Map(
      [...view.workloads()].map(([id, { workload, policies }]) => [
        id,
        { containers: workload.containers, ignored: isSet(policies, 'ignore') },
      ]),
    ),
  }
}

/** Git may have moved since automation chose: automation switched off, or another filter. */
function isStillAllowed({ workload, container, target }: AutomatedChange, { git }: WorkloadsToUpdate) {
  const policies = git.get(workload)?.policies ?? new Map<string, string>()
  return isSet(policies, 'automated') && isCandidate(target.tag ?? '', patternFor(policies, container))
}

function withManifests(changes: readonly ImageChange[], { resources }: LoadedManifests) {
  return changes.flatMap((change) => {
    const manifest = resources.get(change.id)?.manifest
    return manifest ? [{ ...change, manifest }] : []
  })
}

/** Edits upon edits of the files of one revision; each is proved on the text that the last one left. */
function editFiles({ files, resources }: LoadedManifests) {
  const edited = new Map<string, ManifestFile>()
  return {
    edited: edited as ReadonlyMap<string, ManifestFile>,

    /** @returns whether the text changed */
    edit(
      id: ResourceId,
      change: (file: ManifestFile, manifest: ManifestFile['manifests'][number]) => string,
    ): boolean {
      const original = resources.get(id)?.manifest
      const path = original?.file ?? ''
      const file = edited.get(path) ?? files.get(path)
      const place = original ? files.get(path)?.manifests.indexOf(original) : undefined
      const manifest = place === undefined ? undefined : file?.manifests[place]
      if (!file || !manifest) throw new FluxError('INTERNAL', { what: `${id} has no place in ${path}` })
      const text = change(file, manifest)
      if (text === file.text) return false
      edited.set(path, parseManifestFile(path, text))
      return true
    },

    texts: (): Map<string, string> =>
      new Map(
        [...edited]
          .filter(([path, { text }]) => text !== files.get(path)?.text)
          .map(([path, { text }]) => [path, text]),
      ),
  }
}

/** @throws FluxError `GIT_READONLY` */
export function refuseReadonly(repository: Repository): void {
  if (!repository.readonly) return
  throw new FluxError('GIT_READONLY', {
    what: 'cannot make a working clone of a read-only git repo',
    why: 'fluxd runs with --git-readonly.',
    next: 'Commit the change to the repository yourself; `fluxctl sync` applies it.',
  })
}

export function branchGone(): FluxError {
  return new FluxError('GIT_NOT_READY', { what: 'git repo not ready: the branch is gone' })
}
