import { FluxError } from '../errors.ts'
import { type ImageRef, parseImageRef } from '../image/ref.ts'
import { isJsonObject, type JsonObject, valueAt } from '../json.ts'
import { readHelmContainers } from './helm-release.ts'
import type { ResourceId } from './id.ts'

/**
 * Workloads: resources that run images which Flux lists, releases and automates. What is one is told by the kind
 * alone, in any API group and version; Jobs, Pods and ReplicaSets are plain resources.
 *
 * Follows `spec/flux-v1/resources.md` §5.
 */

/** A container of a workload and the image it is told to run. */
export interface WorkloadContainer {
  name: string
  /** absent where the text of the image cannot be read as a reference */
  image?: ImageRef
  /** the text as it stands */
  imageText: string
  init: boolean
}

/** A resource that runs images. */
export interface Workload {
  id: ResourceId
  /** main containers in file order, then init containers; `chart-image` first, then by name, for a HelmRelease */
  containers: readonly WorkloadContainer[]
}

/** Lower-case kind → path of the pod's spec; `undefined` where images are in values instead. */
const podSpecPaths = new Map<string, readonly string[] | undefined>([
  ['deployment', ['spec', 'template', 'spec']],
  ['daemonset', ['spec', 'template', 'spec']],
  ['statefulset', ['spec', 'template', 'spec']],
  ['cronjob', ['spec', 'jobTemplate', 'spec', 'template', 'spec']],
  ['helmrelease', undefined],
  // the name of the kind in helm.integrations.flux.weave.works/v1alpha2
  ['fluxhelmrelease', undefined],
])

export function isWorkloadKind(kind: string): boolean {
  return podSpecPaths.has(kind.toLowerCase())
}

export function isHelmReleaseKind(kind: string): boolean {
  return isWorkloadKind(kind) && podSpecPath(kind) === undefined
}

/** Where the pod's spec stands in a kind, such as `spec.template.spec`. */
export function podSpecPath(kind: string): readonly string[] | undefined {
  return podSpecPaths.get(kind.toLowerCase())
}

/** Read a workload from a manifest or a live object; `undefined` for other kinds. */
export function readWorkload(id: ResourceId, kind: string, value: JsonObject): Workload | undefined {
  if (!isWorkloadKind(kind)) return undefined
  const path = podSpecPath(kind)
  if (!path) {
    const containers = readHelmContainers(value).map(({ name, image, imageText }) => ({
      name,
      image,
      imageText,
      init: false,
    }))
    return { id, containers }
  }
  const podSpec = valueAt(value, ...path)
  return {
    id,
    containers: [...readContainers(podSpec, 'containers'), ...readContainers(podSpec, 'initContainers')],
  }
}

function readContainers(
  podSpec: ReturnType<typeof valueAt>,
  key: 'containers' | 'initContainers',
): WorkloadContainer[] {
  const containers = valueAt(podSpec, key)
  if (!Array.isArray(containers)) return []
  return containers.filter(isJsonObject).map((container) => {
    const name = valueAt(container, 'name')
    const text = valueAt(container, 'image')
    const imageText = typeof text === 'string' ? text : ''
    const image = readImage(imageText)
    return {
      name: typeof name === 'string' ? name : '',
      ...(image && { image }),
      imageText,
      init: key === 'initContainers',
    }
  })
}

function readImage(text: string): ImageRef | undefined {
  try {
    return parseImageRef(text)
  } catch (cause) {
    if (cause instanceof FluxError) return undefined
    throw cause
  }
}
