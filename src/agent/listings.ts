import { FluxError } from '../core/errors.ts'
import {
  type ImageListing,
  listImages,
  listWorkload,
  readContainerFields,
  type WorkloadListing,
} from '../core/listing.ts'
import type { Policies } from '../core/policy/policy.ts'
import type { ResourceId } from '../core/resource/id.ts'
import { planAutomation } from '../core/update/automation.ts'
import { orderIds } from '../core/update/result.ts'
import type { ClusterView, LiveWorkload } from './cluster-view.ts'
import type { ImageCatalog } from './images.ts'
import type { Keychains } from './keychains.ts'
import type { ManifestStore } from './manifests.ts'
import type { Repository } from './repository.ts'
import type { Scanner } from './scan.ts'
import type { Syncer } from './sync.ts'

/** What `list-workloads` and `list-images` are answered with: from the view and the manifests in memory. */
export interface Listings {
  workloads(query: {
    /** empty: all */
    namespace: string
    ids: readonly ResourceId[] | undefined
  }): Promise<WorkloadListing[]>
  images(query: {
    namespace: string
    id: ResourceId | undefined
    /** names of the fields that are wanted; none: all */
    fields: readonly string[]
    /** also why images are not known, and why automation holds */
    reasons: boolean
    signal: AbortSignal
  }): Promise<ImageListing[]>
}

export interface ListingsOptions {
  repository: Repository
  manifests: ManifestStore
  view: ClusterView
  images: ImageCatalog
  scanner: Scanner
  keychains: Keychains
  syncer: Syncer
  /** how many images of each container are looked at for a listing of many; 0: all */
  depth: number
}

/** How long a listing waits for images that nobody has asked for yet. */
const firstLookMs = 5_000

export function createListings(options: ListingsOptions): Listings {
  const { repository, view, images } = options

  /** Policies of the resources in Git, or why there are none to be had. */
  const readGit = async (): Promise<ReadonlyMap<ResourceId, Policies> | 'NotReady' | 'NoRepo'> => {
    const head = repository.head()
    const { state } = repository.status()
    if (state === 'unconfigured') return 'NoRepo'
    if (state !== 'ready' || !head) return 'NotReady'
    const manifests = await options.manifests.load(repository.ready(), head)
    const fault = manifests.faults[0]
    if (fault) {
      throw new FluxError(fault.code, {
        what: fault.what,
        why: 'Manifests in the repository cannot be read, so nothing can be said of what they define.',
        next: fault.next ?? 'Mend the file, or look for two definitions of one object, and push.',
        cause: fault,
      })
    }
    return new Map([...manifests.resources].map(([id, { policies }]) => [id, policies]))
  }

  const select = async (
    namespace: string,
    ids: readonly ResourceId[] | undefined,
  ): Promise<LiveWorkload[]> => {
    await view.listed()
    const all = view.workloads()
    return orderIds(ids ? new Set(ids) : all.keys())
      .map((id) => all.get(id))
      .filter((found) => found !== undefined)
      .filter(({ live }) => namespace === '' || live.key.namespace === namespace)
  }

  /** What keeps Git from being read, and images from being known, comes before what automation makes of it. */
  const withReasons = (
    listing: ImageListing,
    running: LiveWorkload | undefined,
    policies: ReadonlyMap<ResourceId, Policies>,
  ): ImageListing => {
    const { id } = listing
    const { error } = repository.status()
    const unready = error ? [{ code: error.code, message: error.what }] : []
    const containers = running?.workload.containers ?? []
    const { decisions } = planAutomation(
      {
        git: new Map([[id, { policies: policies.get(id) ?? new Map(), containers }]]),
        cluster: new Map([[id, { containers, ignored: false }]]),
      },
      images.images,
      images.stateOf,
    )
    return {
      id,
      containers: listing.containers.map((container, at) => {
        const image = containers[at]?.image
        const problems = image ? images.problemsOf(image) : []
        const decision = decisions.find((made) => made.container === containers[at]?.name)
        const hold = decision?.outcome === 'hold' && { code: decision.code, message: decision.reason }
        return { ...container, reasons: [...unready, ...problems, ...(hold ? [hold] : [])] }
      }),
    }
  }

  return {
    async workloads({ namespace, ids }) {
      const git = await readGit()
      return (await select(namespace, ids)).map(({ live, workload, status, rollout, antecedent }) =>
        listWorkload({
          workload,
          status,
          rollout,
          antecedent,
          labels: Object.keys(live.labels).length > 0 ? live.labels : null,
          syncError: options.syncer.errorOf(live.id),
          policies: typeof git === 'string' ? undefined : git.get(live.id),
          missing: typeof git === 'string' ? git : 'NotInRepo',
          readonly: repository.readonly,
        }),
      )
    },

    async images({ namespace, id, fields, reasons, signal }) {
      const wanted = readContainerFields(fields)
      const git = await readGit()
      const workloads = await select(namespace, id && [id])
      const refs = workloads.flatMap(({ workload }) =>
        workload.containers.flatMap(({ image }) => image ?? []),
      )
      // who asks for one workload wants to see all of it
      const depth = id ? 0 : options.depth
      const lacking = await options.scanner.lacking(refs, depth)
      if (lacking.length > 0) {
        const limit = AbortSignal.any([signal, AbortSignal.timeout(firstLookMs)])
        await options.scanner.look(await options.keychains.unlock(lacking), {
          lists: 'missing',
          depth,
          signal: limit,
        })
        signal.throwIfAborted()
      }
      const policies = typeof git === 'string' ? new Map<ResourceId, Policies>() : git
      const listed = workloads.map(({ live, workload }) =>
        listImages(workload, policies.get(live.id), images.images, wanted),
      )
      return reasons ? listed.map((listing, at) => withReasons(listing, workloads[at], policies)) : listed
    },
  }
}
