import { FluxError } from '../errors.ts'

/**
 * Image references as Flux v1 reads them: looser than the distribution grammar, because what stands in a manifest
 * must be readable before it can be put right. Whoever asks a registry checks the grammar at that door.
 *
 * Two references mean the same image repository when their canonical names are equal. Follows
 * `spec/flux-v1/resources.md` §2, with its oddities: `registry:5000/foo` is the repository `registry` with a strange
 * tag, since a host without a dot is only taken for one where three or more parts follow each other.
 */

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

/** Docker Hub under the one name that stands for `docker.io` and for no registry at all. */
const dockerHub = 'index.docker.io'

/** A dot between two labels anywhere in the text, or `localhost` anywhere: v1 does not anchor this. */
const looksLikeHost = /localhost|[a-zA-Z0-9]\.[a-zA-Z0-9]/

/**
 * Read a reference. A tag beside a digest is kept, though it is not printed.
 *
 * @throws FluxError `IMAGE_REF_INVALID`
 */
export function parseImageRef(text: string): ImageRef {
  if (text === '') throw invalidRef(`parsing ${JSON.stringify(text)}: blank image name: invalid image ID`)
  if (text.startsWith('/') || text.endsWith('/')) throw malformed(text)

  const slash = text.indexOf('/')
  const parts = text.split('/').length
  const first = text.slice(0, Math.max(slash, 0))
  const hasRegistry = parts > 2 || (parts === 2 && looksLikeHost.test(first))
  const path = hasRegistry ? text.slice(slash + 1) : text

  const at = path.indexOf('@sha256:')
  const digest = at < 0 ? undefined : path.slice(at + 1)
  const [repository = '', tag, ...more] = (at < 0 ? path : path.slice(0, at)).split(':')
  if (more.length > 0) throw invalidRef(`${malformedText}: invalid image ID`)
  if (repository === '' || tag === '' || digest === 'sha256:') throw malformed(text)

  return {
    ...(hasRegistry && { registry: first }),
    repository,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  }
}

/** Print a reference. A digest hides the tag beside it. */
export function formatImageRef(ref: ImageRef): string {
  const name = imageName(ref)
  if (ref.digest) return `${name}@${ref.digest}`
  return ref.tag ? `${name}:${ref.tag}` : name
}

/** Registry and repository as written, without tag and digest. */
export function imageName({ registry, repository }: ImageRef): string {
  return registry ? `${registry}/${repository}` : repository
}

/** The host that serves the image: `index.docker.io` for everything on Docker Hub. */
export function registryHost({ registry }: ImageRef): string {
  return !registry || registry === 'docker.io' ? dockerHub : registry
}

/** The repository's path at its registry: `library/alpine` for Docker Hub's `alpine`. */
export function canonicalRepository(ref: ImageRef): string {
  const official = registryHost(ref) === dockerHub && !ref.repository.includes('/')
  return official ? `library/${ref.repository}` : ref.repository
}

/** The one name of an image repository, such as `index.docker.io/library/alpine`. */
export function canonicalName(ref: ImageRef): string {
  return `${registryHost(ref)}/${canonicalRepository(ref)}`
}

/** The canonical name with the tag, without the digest. */
export function canonicalRef(ref: ImageRef): string {
  return ref.tag ? `${canonicalName(ref)}:${ref.tag}` : canonicalName(ref)
}

/** The same image with another tag. A digest stays, and goes on hiding the tag. */
export function withTag(ref: ImageRef, tag: string): ImageRef {
  return { ...ref, tag }
}

const malformedText = 'expected image name as either <image>:<tag> or just <image>'

function malformed(text: string): FluxError {
  return invalidRef(`parsing ${JSON.stringify(text)}: ${malformedText}: invalid image ID`)
}

function invalidRef(what: string): FluxError {
  return new FluxError('IMAGE_REF_INVALID', {
    what,
    next: 'Write registry/repository:tag, such as ghcr.io/org/app:1.2.3.',
  })
}
