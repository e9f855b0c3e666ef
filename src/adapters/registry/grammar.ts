import { FluxError } from '../../core/errors.ts'
import { canonicalRepository, formatImageRef, type ImageRef, registryHost } from '../../core/image/ref.ts'

/**
 * The grammar of the distribution spec. References and answers come from strangers: only what fits gets into a URL,
 * a cache or a commit.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pulling-manifests
 */
const tagForm = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const digestForm = /^sha256:[0-9a-f]{64}$/
const repositoryForm = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const hostForm = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/

/** Where an image is asked for. */
export interface Target {
  /** with port, lower case; `index.docker.io` for Docker Hub */
  host: string
  /** such as `library/alpine` */
  repository: string
  /** the name as written, for messages */
  name: string
}

export function isTag(text: unknown): text is string {
  return typeof text === 'string' && tagForm.test(text)
}

export function isDigest(text: unknown): text is string {
  return typeof text === 'string' && digestForm.test(text)
}

/** @throws FluxError `IMAGE_REF_INVALID` for a name that no registry can serve */
export function targetOf(image: ImageRef): Target {
  const host = registryHost(image).toLowerCase()
  const repository = canonicalRepository(image)
  const name = formatImageRef({
    ...(image.registry && { registry: image.registry }),
    repository: image.repository,
  })
  const fits = hostForm.test(host) && repository.length <= 255 && repositoryForm.test(repository)
  if (!fits) throw invalid(name, 'the name of an image repository')
  return { host, repository, name }
}

/** What to ask for in a repository: the digest, else the tag, else `latest`. @throws FluxError `IMAGE_REF_INVALID` */
export function referenceOf(image: ImageRef): string {
  const reference = image.digest ?? image.tag ?? 'latest'
  if (!(image.digest ? isDigest(reference) : isTag(reference))) {
    throw invalid(formatImageRef(image), image.digest ? 'a digest' : 'a tag')
  }
  return reference
}

function invalid(text: string, part: string): FluxError {
  return new FluxError('IMAGE_REF_INVALID', {
    what: `invalid image reference ${JSON.stringify(text)}`,
    why: `It is outside the grammar that registries know for ${part}.`,
    next: 'Correct the image in the workload. Names are lower case, such as ghcr.io/org/app:1.2.3.',
  })
}
