import { type Descriptor, digestOf, putManifest, type Repository } from './content.ts'

/** Images for trying and testing: a configuration and no layers. The same image has the same digest, in any process. */

/** Docker schema 2 · OCI manifest · OCI index with a linux/amd64 manifest among others */
export type ImageKind = 'schema2' | 'oci' | 'index'

export interface ImageOptions {
  kind?: ImageKind
  labels?: Record<string, string>
  /** platforms of an index, `linux/arm64` and `linux/amd64` */
  platforms?: string[]
}

const mediaTypes = {
  schema2: 'application/vnd.docker.distribution.manifest.v2+json',
  oci: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  schema2Config: 'application/vnd.docker.container.image.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
}

/** One image of one platform, as it is pushed. */
export interface Image {
  config: Uint8Array
  manifest: Uint8Array
  mediaType: string
}

/** @param createdAt in RFC 3339, `''` for none */
export function imageOf(
  name: string,
  createdAt: string,
  { kind = 'oci', labels = {} }: ImageOptions = {},
  platform = 'linux/amd64',
): Image {
  const [os = '', architecture = ''] = platform.split('/')
  const docker = kind === 'schema2'
  const config = bytesOf({
    ...(createdAt && { created: createdAt }),
    architecture,
    os,
    config: { Labels: labels },
    rootfs: { type: 'layers', diff_ids: [] },
    history: [{ created_by: `push ${name}`, empty_layer: true }],
  })
  const mediaType = docker ? mediaTypes.schema2 : mediaTypes.oci
  const descriptor = descriptorOf(config, docker ? mediaTypes.schema2Config : mediaTypes.ociConfig)
  const manifest = bytesOf({ schemaVersion: 2, mediaType, config: descriptor, layers: [] })
  return { config, manifest, mediaType }
}

/** Put an image under a tag, past HTTP. @returns digest of what the tag names */
export function putImage(
  repository: Repository,
  tag: string,
  createdAt: string,
  options: ImageOptions = {},
): string {
  const name = `${repository.name}:${tag}`
  const put = (platform?: string, reference?: string) => {
    const { config, manifest, mediaType } = imageOf(name, createdAt, options, platform)
    repository.blobs.set(digestOf(config), config)
    return putManifest(repository, reference ?? digestOf(manifest), manifest, mediaType)
  }
  if (options.kind !== 'index') return put(undefined, tag)

  const manifests = (options.platforms ?? ['linux/arm64', 'linux/amd64']).map((platform) => {
    const [os = '', architecture = ''] = platform.split('/')
    const digest = put(platform)
    const { bytes = new Uint8Array(), mediaType = '' } = repository.manifests.get(digest) ?? {}
    return { ...descriptorOf(bytes, mediaType), platform: { os, architecture } }
  })
  const index = bytesOf({ schemaVersion: 2, mediaType: mediaTypes.index, manifests })
  return putManifest(repository, tag, index, mediaTypes.index)
}

function descriptorOf(bytes: Uint8Array, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

function bytesOf(document: object): Uint8Array {
  return Buffer.from(JSON.stringify(document))
}
