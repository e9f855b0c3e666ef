import type { ImageRef } from '../image/ref.ts'
import type { ResourceId } from './id.ts'

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
