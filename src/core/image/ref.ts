/** An image reference in its parts, as written: `ghcr.io/org/app:1.2.3`. */
export interface ImageRef {
  /** host with port; absent for Docker Hub's short names */
  registry?: string
  /** such as `org/app` */
  repository: string
  tag?: string
  /** `sha256:…` */
  digest?: string
}
