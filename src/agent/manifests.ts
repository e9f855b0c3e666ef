import { posix } from 'node:path'
import { FluxError } from '../core/errors.ts'
import { type ManifestFile, parseManifestFile } from '../core/manifest/document.ts'
import { assembleManifests, type LoadedResource } from '../core/manifest/load.ts'
import { selectManifestPaths } from '../core/manifest/select.ts'
import type { ResourceId } from '../core/resource/id.ts'
import type { Workload } from '../core/resource/workload.ts'
import { isWorkloadKind, readWorkload } from '../core/resource/workload.ts'
import type { Discovery } from '../ports/cluster.ts'
import type { GitMirror, Revision, TreeEntry } from '../ports/git.ts'

/**
 * The manifests of a revision, read from the mirror's objects without a checkout. A blob is parsed once: what a new
 * commit costs is what changed.
 */
export interface LoadedManifests {
  revision: Revision
  resources: ReadonlyMap<ResourceId, LoadedResource>
  files: ReadonlyMap<string, ManifestFile>
  /** why the set can't be synced: files that can't be read, duplicates. Empty: all is well */
  faults: readonly FluxError[]
  /** resources of kinds that nobody knows: `kind/name` and where it stands */
  unscoped: readonly { name: string; apiVersion: string; kind: string; source: string }[]
}

export interface ManifestStore {
  /** Everything below the configured paths. @throws FluxError `GIT_PATH_MISSING`, or of the mirror */
  load(mirror: GitMirror, revision: Revision): Promise<LoadedManifests>
  /** As `load`, and throws the first fault. */
  loadWhole(mirror: GitMirror, revision: Revision): Promise<LoadedManifests>
}

export interface ManifestStoreOptions {
  paths: readonly string[]
  /** what the cluster serves, as far as it is known */
  discovery(): Promise<Discovery>
  defaultNamespace: string
}

const maxFileBytes = 4 * 1024 * 1024
const maxFiles = 100_000
const keptRevisions = 4
const linkMode = '120000'
const maxHops = 10
const maxLinkBytes = 4096
const readAtOnce = 200

export function createManifestStore({
  paths,
  discovery,
  defaultNamespace,
}: ManifestStoreOptions): ManifestStore {
  let blobs = new Map<string, ManifestFile>()
  const loaded = new Map<Revision, { served: Discovery; manifests: LoadedManifests }>()

  const load = async (mirror: GitMirror, revision: Revision): Promise<LoadedManifests> => {
    const served = await discovery()
    const known = loaded.get(revision)
    if (known?.served === served) return known.manifests

    const entries = await mirror.listFiles(revision)
    const byPath = new Map(entries.map((entry) => [entry.path, entry]))
    const listed = selectManifestPaths(
      entries.filter(({ mode }) => mode.startsWith('100') || mode === linkMode).map(({ path }) => path),
      [...paths],
    )
    const lost: string[] = []
    const real = new Set<string>()
    for (const path of listed) {
      const target = await followLinks(path, byPath, mirror)
      if (target === undefined) lost.push(path)
      else real.add(target)
    }
    const selected = [...real]
    const sizeOf = (path: string) => byPath.get(path)?.sizeBytes ?? 0
    if (selected.length > maxFiles) {
      throw new FluxError('MANIFEST_TOO_MANY', {
        what: `loading resources from repo: ${selected.length} manifest files`,
        why: `One fluxd reads at most ${maxFiles} files.`,
        next: 'Narrow --git-path, or run one fluxd for each part of the repository.',
      })
    }

    const tooLarge = selected.filter((path) => sizeOf(path) > maxFileBytes)
    const readable = selected.filter((path) => sizeOf(path) <= maxFileBytes)
    const kept = new Map<string, ManifestFile>()
    const files = new Map<string, ManifestFile>()
    const read = async (path: string): Promise<[string, string, ManifestFile]> => {
      const hash = byPath.get(path)?.hash ?? ''
      const key = `${hash} ${path}`
      return [path, key, blobs.get(key) ?? parseManifestFile(path, await mirror.readBlob(hash, maxFileBytes))]
    }
    // blobs arrive in the order in which they are asked for, so many may be under way
    for (let start = 0; start < readable.length; start += readAtOnce) {
      for (const [path, key, file] of await Promise.all(
        readable.slice(start, start + readAtOnce).map(read),
      )) {
        kept.set(key, file)
        files.set(path, file)
      }
    }
    const scopeOf = (apiVersion: string, kind: string) => {
      const type = served.find(apiVersion, kind)
      if (!type) return undefined
      return type.namespaced ? ('namespaced' as const) : ('cluster' as const)
    }
    const assembled = assembleManifests([...files.values()], { scopeOf, defaultNamespace })
    const manifests: LoadedManifests = {
      revision,
      resources: assembled.resources,
      files,
      faults: [
        ...tooLarge.map((path) => fileTooLarge(path, sizeOf(path))),
        ...lost.map(linkLost),
        ...assembled.faults,
      ],
      unscoped: assembled.unscoped.map(({ kind, name, apiVersion, file, line }) => ({
        name: `${kind.toLowerCase()}/${name}`,
        apiVersion,
        kind,
        source: `${file}:${line}`,
      })),
    }

    blobs = loaded.size < keptRevisions ? new Map([...blobs, ...kept]) : kept
    if (loaded.size >= keptRevisions) loaded.clear()
    loaded.set(revision, { served, manifests })
    return manifests
  }

  return {
    load,
    async loadWhole(mirror, revision) {
      const manifests = await load(mirror, revision)
      const fault = manifests.faults[0]
      if (fault) throw fault
      return manifests
    },
  }
}

/** The file that a path stands for in the repository, which symbolic links can't leave; `undefined` for none. */
async function followLinks(
  path: string,
  entries: ReadonlyMap<string, TreeEntry>,
  mirror: GitMirror,
): Promise<string | undefined> {
  let at = path
  for (let hops = 0; hops <= maxHops; hops++) {
    const entry = entries.get(at)
    if (entry?.mode !== linkMode) return entry?.mode.startsWith('100') ? at : undefined
    if (entry.sizeBytes > maxLinkBytes) return undefined
    const target = new TextDecoder().decode(await mirror.readBlob(entry.hash, maxLinkBytes))
    if (target.startsWith('/')) return undefined
    at = posix.join(posix.dirname(at), target)
  }
  return undefined
}

function linkLost(path: string): FluxError {
  return new FluxError('MANIFEST_INVALID', {
    what: `${path}: a symbolic link to no file of the repository`,
    next: 'Link to a file that is in the repository, or remove the link.',
  })
}

function fileTooLarge(path: string, sizeBytes: number): FluxError {
  return new FluxError('MANIFEST_TOO_LARGE', {
    what: `${path}: a file of ${sizeBytes} bytes is larger than the limit of ${maxFileBytes} bytes`,
    next: 'Split it, or keep it out of the paths that fluxd reads: --git-path.',
  })
}

/** The workloads among the resources of a revision, worked out once for each. */
export function workloadsOf(manifests: LoadedManifests): ReadonlyMap<ResourceId, Workload> {
  const known = workloadsByRevision.get(manifests)
  if (known) return known
  const workloads = new Map<ResourceId, Workload>()
  for (const [id, { manifest }] of manifests.resources) {
    const workload = isWorkloadKind(manifest.kind)
      ? readWorkload(id, manifest.kind, manifest.value)
      : undefined
    if (workload) workloads.set(id, workload)
  }
  workloadsByRevision.set(manifests, workloads)
  return workloads
}

const workloadsByRevision = new WeakMap<LoadedManifests, ReadonlyMap<ResourceId, Workload>>()
