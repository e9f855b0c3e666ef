import { formatNote } from '../api/note.ts'
import { FluxError } from '../core/errors.ts'
import { type ManifestFile, parseManifestFile } from '../core/manifest/document.ts'
import { setImage } from '../core/manifest/set-image.ts'
import { setPolicies } from '../core/manifest/set-policy.ts'
import { isCandidate } from '../core/policy/choose.ts'
import { isSet, patternFor, planPolicyChanges } from '../core/policy/policy.ts'
import type { ResourceId } from '../core/resource/id.ts'
import { commitMessage } from '../core/update/commit-message.ts'
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
import type { GitMirror, Identity, Revision } from '../ports/git.ts'
import type { Log } from '../ports/log.ts'
import type { Metrics, ReleaseStage, ReleaseType } from '../ports/metrics.ts'
import type { ClusterView } from './cluster-view.ts'
import { type ImageCatalog, imageMissing } from './images.ts'
import type { Keychains } from './keychains.ts'
import { type LoadedManifests, type ManifestStore, workloadsOf } from './manifests.ts'
import type { Repository } from './repository.ts'

/**
 * From an update spec to a commit: read the branch, decide, edit, commit, push.
 *
 * A push that loses a race fetches and derives the edits again on the new head; nothing is merged as text. Nothing
 * counts as done before the push returned. Follows `spec/flux-v1/release.md` and `sync.md` §2.
 */
export interface Updater {
  /** Do it. @throws FluxError whatever stops it; then Git is as it was */
  execute(update: UpdateSpec, jobId: string, signal: AbortSignal): Promise<Outcome>
  /** What `execute` would do to each workload. Edits are made and proved, and thrown away. */
  plan(update: UpdateSpec): Promise<UpdateResult>
}

export interface Outcome {
  /** the commit made, or the head that a sync found; absent when there was nothing to commit */
  revision?: Revision
  result: UpdateResult
}

export interface UpdaterOptions {
  repository: Repository
  manifests: ManifestStore
  view: ClusterView
  images: ImageCatalog
  keychains: Keychains
  committer: Identity
  /** the user who asked is the author */
  setAuthor: boolean
  /** appended to every message */
  skipMessage: string
  clock: Clock
  log: Log
  metrics: Metrics
}

/** What an update does to the files of one revision. */
interface Edits {
  result: UpdateResult
  /** path → new text; only files whose text changes */
  files: ReadonlyMap<string, string>
}

type ImageUpdate = Exclude<UpdateSpec, { type: 'policy' | 'sync' }>

const pushAttempts = 12
const maxPauseMs = 1_000

export function createUpdater(options: UpdaterOptions): Updater {
  const { repository, images, clock, metrics } = options

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
    const workloads = await timed('select_workloads', () => workloadsToUpdate(manifests, options.view))
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
      if (!image) return images.refresh(wanted, signal)
      const [only] = wanted
      if (!only || !(await images.find(only, signal))) throw imageMissing(image)
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

  const derive = (
    update: UpdateSpec,
    manifests: LoadedManifests,
    signal?: AbortSignal,
  ): Edits | Promise<Edits> => {
    if (update.type === 'policy') return derivePolicies(update, manifests)
    if (update.type === 'sync') return { result: new Map(), files: new Map() }
    return deriveImages(update, manifests, signal)
  }

  /** One attempt on the head that the mirror has. */
  const attempt = async (
    update: UpdateSpec,
    jobId: string,
    mirror: GitMirror,
    signal: AbortSignal,
  ): Promise<Outcome> => {
    const head = await mirror.branchHead(repository.branch)
    if (!head) throw notReady()
    const edits = await derive(update, await options.manifests.loadWhole(mirror, head), signal)
    if (edits.files.size === 0) {
      if (update.type === 'policy') return { result: edits.result }
      throw new FluxError('NO_CHANGES', {
        what: 'no changes made in repo',
        why: 'What was asked for is what the branch says already, or a lock or filter stands against it.',
        next: 'Ask again with --dry-run -vv to see why each workload stays as it is.',
      })
    }
    const encoder = new TextEncoder()
    const revision = await mirror.commit({
      parent: head,
      changes: new Map([...edits.files].map(([path, text]) => [path, encoder.encode(text)])),
      message: commitMessage(update, edits.result) + options.skipMessage,
      committer: options.committer,
      ...(options.setAuthor && update.cause.user !== '' && { author: readIdentity(update.cause.user) }),
    })
    const note = formatNote({
      jobId,
      spec: update,
      result: update.type === 'policy' ? undefined : edits.result,
    })
    await mirror.publish(
      {
        branch: repository.branch,
        expected: head,
        revision,
        notes: new Map([[revision, note]]),
        committer: options.committer,
      },
      signal,
    )
    repository.pushed(revision)
    return { revision, result: edits.result }
  }

  const plan = async (update: UpdateSpec): Promise<UpdateResult> => {
    const mirror = repository.ready()
    refuseReadonly(repository)
    const head = await mirror.branchHead(repository.branch)
    if (!head) throw notReady()
    return (await derive(update, await options.manifests.loadWhole(mirror, head))).result
  }

  return {
    plan,

    async execute(update, jobId, signal) {
      const mirror = repository.ready()
      if (update.type === 'sync') return { revision: await repository.refresh(signal), result: new Map() }
      if ((update.type === 'image' || update.type === 'containers') && update.spec.kind !== 'execute') {
        return { result: await plan(update) } // v1 does all but commit for any other kind
      }
      refuseReadonly(repository)
      for (let tried = 1; ; tried++) {
        try {
          return await attempt(update, jobId, mirror, signal)
        } catch (thrown) {
          if (!(thrown instanceof FluxError) || thrown.code !== 'GIT_PUSH_RACE') throw thrown
          if (tried === pushAttempts) {
            throw new FluxError('GIT_PUSH_REJECTED', {
              what: thrown.what,
              why: `Somebody else pushed to the branch first, ${tried} times in a row.`,
              next: 'Nothing was changed; ask again when the branch is quieter.',
              cause: thrown,
            })
          }
          options.log.write({
            component: 'git',
            jobID: jobId,
            info: 'the branch moved; deriving the change again',
            tried,
          })
          await clock.sleep(Math.random() * Math.min(maxPauseMs, 20 * 2 ** tried), signal)
          await repository.refresh(signal)
        }
      }
    },
  }
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

/** `Name <address>`; of a bare name, an address that nobody has, since Git wants one. */
function readIdentity(user: string): Identity {
  const match = /^(.*?)\s*<([^<>]*)>\s*$/.exec(user)
  if (match) return { name: match[1] || (match[2] ?? ''), email: match[2] ?? '' }
  return user.includes('@') && !user.includes(' ')
    ? { name: user, email: user }
    : { name: user, email: 'unknown@localhost' }
}

function refuseReadonly(repository: Repository): void {
  if (!repository.readonly) return
  throw new FluxError('GIT_READONLY', {
    what: 'cannot make a working clone of a read-only git repo',
    why: 'fluxd runs with --git-readonly.',
    next: 'Commit the change to the repository yourself; `fluxctl sync` applies it.',
  })
}

function notReady(): FluxError {
  return new FluxError('GIT_NOT_READY', { what: 'git repo not ready: the branch is gone' })
}
