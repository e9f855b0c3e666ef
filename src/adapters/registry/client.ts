import { createHash } from 'node:crypto'
import { FluxError } from '../../core/errors.ts'
import { formatImageRef, type ImageRef } from '../../core/image/ref.ts'
import { isJsonObject, valueAt } from '../../core/json.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log } from '../../ports/log.ts'
import type { ImageRegistry, Keychain, ListedPage } from '../../ports/registry.ts'
import { Authorizer, denied } from './auth.ts'
import { isDigest, referenceOf, type Target, targetOf } from './grammar.ts'
import { isIndex, manifestTypes, readImageConfig, readImageManifest } from './manifest.ts'
import { nextPage, readTagPage } from './pages.ts'
import type { Environment } from './proxy.ts'
import { type Reply, Transport } from './transport.ts'

/**
 * Image registries, as the OCI distribution spec 1.1 and Docker's older registries have it: names of tags, and what
 * an image says about itself (Docker schema 1 and 2, OCI manifests, and indexes of either). Read only; no layer is
 * fetched.
 *
 * - Every host has a pace of its own, halved when it complains (`rate-limit.ts`), so one never delays another.
 * - Registries are strangers. Names outside the grammar are dropped and counted (`grammar.ts`), a list stays on its
 *   host (`pages.ts`), credentials on their origin and the registry's own token host (`auth.ts`), bodies, pages and
 *   tags within bounds, and what is fetched by digest has that digest. A list is whole, or it is an error.
 * - What is known is not asked for again: lists are asked for with their ETags, tags by HEAD, digests once.
 * - Left out: credentials of cloud providers, which come through helpers of the Docker config (`docker-config.ts`).
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
 */

export interface ImageRegistryOptions {
  /** hosts, with or without their port, whose certificate is not verified and that may speak plain HTTP */
  insecureHosts?: readonly string[]
  /** of each host: `--registry-rps`, `--registry-burst` */
  requestsPerSecond?: number
  burst?: number
  /** limit for one request and its reply, and the longest wait for a turn */
  timeoutMs?: number
  /** the largest body that is read; tags and pages of one repository */
  maxBodyBytes?: number
  maxTags?: number
  maxPages?: number
  /** where the cluster can run images, such as `linux/arm64`; empty where that isn't known */
  platforms?: () => Promise<readonly string[]>
  /** log every request: `--registry-trace` */
  trace?: boolean
  /** for `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`; no proxy without it */
  environment?: Environment
  clock: Clock
  log: Log
  /** told of every round of requests, for metrics: `tags` or `metadata`, how it went and how long it took */
  onFetched?: (kind: 'tags' | 'metadata', success: boolean, durationMs: number) => void
}

export interface ImageRegistryClient extends ImageRegistry {
  /**
   * A manifest by tag or digest, or a blob by digest, as it is.
   *
   * @throws FluxError as `getImage`
   */
  getContent(
    image: ImageRef,
    collection: 'manifests' | 'blobs',
    keychain: Keychain,
    options?: { accept?: readonly string[]; signal?: AbortSignal | undefined },
  ): Promise<{ bytes: Buffer; digest: string }>
  /** Close connections. */
  close(): Promise<void>
}

const pageSize = 1000

export function createImageRegistry(options: ImageRegistryOptions): ImageRegistryClient {
  const {
    insecureHosts = [],
    requestsPerSecond = 50,
    burst = 10,
    timeoutMs = 60_000,
    maxBodyBytes = 4 * 1024 * 1024,
    maxTags = 100_000,
    maxPages = 200,
    platforms = async () => [],
    trace = false,
    environment = {},
    clock,
    onFetched,
  } = options
  const log = options.log.with({ component: 'registry' })
  const transport = new Transport({
    insecureHosts,
    requestsPerSecond,
    burst,
    timeoutMs,
    maxBodyBytes,
    trace,
    environment,
    clock,
    log: options.log.with({ component: 'ratelimiter' }),
  })
  const authorizer = new Authorizer(transport, clock)

  /** Ask for a path of a repository, and get in where that takes a token or a password. Replies are 200, 304 or 404. */
  const ask = async (
    target: Target,
    path: string,
    { keychain, method, accept, ifNoneMatch, signal }: AskOptions,
  ): Promise<Reply> => {
    const credentials = keychain.get(target.host)
    const send = (authorization: string | undefined) =>
      transport.get(target.host, path, {
        ...(method && { method }),
        ...(accept && { accept }),
        ...(ifNoneMatch && { ifNoneMatch }),
        ...(authorization !== undefined && { authorization }),
        ...(signal && { signal }),
      })

    const known = await unlessAborted(authorizer.authorize(target, credentials), signal)
    let reply = await send(known)
    if (reply.status === 401) {
      const challenge = reply.header('www-authenticate')
      const answer = authorizer.answerChallenge(challenge, known, target, credentials)
      const authorization = await unlessAborted(answer, signal)
      if (authorization !== undefined) reply = await send(authorization)
    }
    if (reply.status === 200 || reply.status === 404) return reply
    if (reply.status === 304 && ifNoneMatch !== undefined) return reply
    if (reply.status === 401 || reply.status === 403) {
      const why = credentials ? 'The credentials are not accepted' : 'No credentials are known'
      throw denied(target, credentials, `${why} (${reply.status}).`)
    }
    throw new FluxError('REGISTRY_UNAVAILABLE', {
      what: `the registry ${target.host} answered ${reply.status} for ${target.name}`,
      next: `It is tried again later. If it lasts, look at the state of ${target.host}.`,
    })
  }

  /** Whether the registry says of every page that it is as it was. */
  const isUnchanged = async (target: Target, known: readonly ListedPage[], options: AskOptions) => {
    for (const { path, etag } of known) {
      const reply = await ask(target, path, { ...options, ifNoneMatch: etag })
      if (reply.status !== 304) return { unchanged: false, reply }
    }
    return { unchanged: known.length > 0, reply: undefined }
  }

  const listTags: ImageRegistry['listTags'] = async (image, keychain, { known = [], signal } = {}) => {
    const target = targetOf(image)
    const listed = `/v2/${target.repository}/tags/list?n=${pageSize}`
    const { unchanged, reply: changed } = await isUnchanged(target, known, { keychain, signal })
    if (unchanged) {
      transport.recover(target.host)
      return undefined
    }
    // what came in place of a 304 is the new first page; of later pages the list begins anew
    let answered = known.length === 1 && known[0]?.path === listed ? changed : undefined
    const tags = new Set<string>()
    const pages: { path: string; etag: string | undefined }[] = []
    let dropped = 0
    let path: string | undefined = listed
    while (path !== undefined) {
      if (pages.length === maxPages || tags.size > maxTags) throw tooManyTags(target, maxTags, maxPages)
      const reply: Reply = answered ?? (await ask(target, path, { keychain, signal }))
      answered = undefined
      if (reply.status === 404) throw imageMissing(target)
      const page = readTagPage(readJson(reply.body))
      if (!page) throw unreadable(target, 'list of tags', `Tell whoever runs ${target.host}.`)
      for (const tag of page.tags) tags.add(tag)
      dropped += page.dropped
      pages.push({ path, etag: readETag(reply.header('etag')) })
      path = nextPage(reply.header('link'), target.host, path)
    }
    if (tags.size > maxTags) throw tooManyTags(target, maxTags, maxPages)
    if (dropped > 0) {
      const warning = 'names that are no tags were dropped'
      log.write({ warning, image: target.name, dropped, code: 'TAG_INVALID' })
    }
    transport.recover(target.host)
    const marked = pages.flatMap(({ path, etag }) => (etag === undefined ? [] : [{ path, etag }]))
    return { tags: [...tags], pages: marked.length === pages.length ? marked : [], dropped }
  }

  /** A manifest or blob, and its digest. What was asked for by digest has that digest. */
  const fetchDocument = async (
    target: Target,
    collection: 'manifests' | 'blobs',
    reference: string,
    options: AskOptions,
  ) => {
    const reply = await ask(target, `/v2/${target.repository}/${collection}/${reference}`, options)
    if (reply.status === 404) throw unknownReference(target, reference, readJson(reply.body))
    const document = readJson(reply.body)
    const content = `sha256:${createHash('sha256').update(reply.body).digest('hex')}`
    const announced = reply.header('docker-content-digest')
    // of a signed schema 1 manifest, the digest leaves the signatures out
    const isSigned = valueAt(isJsonObject(document) ? document : undefined, 'schemaVersion') === 1
    const digest = isSigned && isDigest(announced) ? announced : content
    const expected = isDigest(reference) ? reference : announced
    if (isDigest(expected) && digest !== expected) {
      throw new FluxError('REGISTRY_INVALID', {
        what: `${target.host} serves other content for ${target.name}@${expected} than its digest says`,
        next: `It is tried again later. If it lasts, look at the storage of ${target.host} and at proxies before it.`,
      })
    }
    return { document, digest, bytes: reply.body }
  }

  const getDigest: ImageRegistry['getDigest'] = async (image, keychain, signal) => {
    const target = targetOf(image)
    const reference = referenceOf(image)
    const path = `/v2/${target.repository}/manifests/${reference}`
    const reply = await ask(target, path, { keychain, signal, accept: manifestTypes, method: 'HEAD' })
    if (reply.status === 404) throw unknownReference(target, reference, undefined)
    const digest = reply.header('docker-content-digest')
    if (isDigest(digest)) return digest
    return (await fetchDocument(target, 'manifests', reference, { keychain, signal, accept: manifestTypes }))
      .digest
  }

  const getImage: ImageRegistry['getImage'] = async (image, keychain, { knownFacts, signal } = {}) => {
    const target = targetOf(image)
    const fetchManifest = async (reference: string) => {
      const fetched = await fetchDocument(target, 'manifests', reference, {
        keychain,
        signal,
        accept: manifestTypes,
      })
      const wanted = isIndex(fetched.document) ? await platforms() : []
      return { ...fetched, manifest: readImageManifest(fetched.document, wanted) }
    }

    const asked = await fetchManifest(referenceOf(image))
    const known = knownFacts?.(asked.digest)
    if (known) return { digest: asked.digest, facts: known }
    let { manifest, digest } = asked
    if (manifest.kind === 'index') {
      if (manifest.chosen === undefined) throw platformMissing(image, await platforms())
      ;({ manifest, digest } = await fetchManifest(manifest.chosen))
    }
    if (manifest.kind !== 'image' && manifest.kind !== 'schema1') throw unsupported(image)
    const { created, labels } =
      manifest.kind === 'schema1'
        ? manifest.config
        : readImageConfig(
            (await fetchDocument(target, 'blobs', manifest.config, { keychain, signal })).document,
          )
    const imageId = manifest.kind === 'schema1' ? manifest.imageId : manifest.config
    const facts = {
      digest,
      ...(imageId && { imageId }),
      labels,
      ...(created && { createdAt: created.date, createdAtText: created.text }),
    }
    return { digest: asked.digest, facts }
  }

  const measured = async <T>(kind: 'tags' | 'metadata', work: Promise<T>): Promise<T> => {
    const startedAt = clock.monotonicMs()
    let success = false
    try {
      const result = await work
      success = true
      return result
    } finally {
      onFetched?.(kind, success, clock.monotonicMs() - startedAt)
    }
  }

  return {
    listTags: (...asked) => measured('tags', listTags(...asked)),
    getDigest: (...asked) => measured('metadata', getDigest(...asked)),
    getImage: (...asked) => measured('metadata', getImage(...asked)),
    async getContent(image, collection, keychain, { accept, signal } = {}) {
      const options = { keychain, signal, ...(accept && { accept }) }
      const { bytes, digest } = await fetchDocument(targetOf(image), collection, referenceOf(image), options)
      return { bytes, digest }
    },
    close: () => transport.close(),
  }
}

interface AskOptions {
  keychain: Keychain
  method?: 'HEAD'
  ifNoneMatch?: string
  accept?: readonly string[]
  signal: AbortSignal | undefined
}

/** Wait for shared work, which goes on for others when the signal ends the waiting. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** JSON, or `undefined` for anything else. */
function readJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

function imageMissing({ host, name }: Target): FluxError {
  return new FluxError('REGISTRY_IMAGE_MISSING', {
    what: `repository name not known to registry: ${name}`,
    why: `${host} has no such image repository, or hides it from these credentials.`,
    next: 'Check the name of the image, and whether its workload has an imagePullSecret for it.',
  })
}

function unknownReference(target: Target, reference: string, document: unknown): FluxError {
  const errors = isJsonObject(document) ? document['errors'] : undefined
  if (Array.isArray(errors) && errors.some((error) => valueAt(error, 'code') === 'NAME_UNKNOWN')) {
    return imageMissing(target)
  }
  return new FluxError('REGISTRY_MANIFEST_UNKNOWN', {
    what: `manifest unknown: ${target.name}${isDigest(reference) ? '@' : ':'}${reference}`,
    why: `${target.host} does not have it. A tag may still be listed after its image is gone.`,
    next: 'Check how the tag is spelt; push the image again, or delete the tag.',
  })
}

function platformMissing(image: ImageRef, platforms: readonly string[]): FluxError {
  const wanted = platforms.length > 0 ? platforms : ['linux/amd64']
  return new FluxError('IMAGE_PLATFORM_MISSING', {
    what: `no suitable manifest (${wanted.join(', ').replaceAll('/', ' ')}) in manifestlist`,
    why: `${formatImageRef(image)} is made for other platforms.`,
    next: 'Build it for a platform of the cluster, or leave it out with --registry-exclude-image.',
  })
}

function unsupported(image: ImageRef): FluxError {
  return new FluxError('IMAGE_MANIFEST_UNSUPPORTED', {
    what: `unknown manifest type of ${formatImageRef(image)}`,
    why: 'It is neither an image nor an index as Docker or OCI have it.',
    next: 'Push the image with a current builder, or leave it out with --registry-exclude-image.',
  })
}

/** An ETag as it may be sent back: one short, printable word. */
function readETag(header: string | undefined): string | undefined {
  return header !== undefined && /^(?:W\/)?"[\x21\x23-\x7e]{1,256}"$/.test(header) ? header : undefined
}

function unreadable({ host, name }: Target, what: string, next: string): FluxError {
  return new FluxError('REGISTRY_INVALID', {
    what: `cannot read the ${what} of ${name} that ${host} sent`,
    next,
  })
}

function tooManyTags({ name }: Target, maxTags: number, maxPages: number): FluxError {
  return new FluxError('REGISTRY_TOO_LARGE', {
    what: `${name} has too many tags`,
    why: `At most ${maxTags} tags on ${maxPages} pages are read, and a list is used whole or not at all.`,
    next: 'Delete old tags at the registry, or leave the image out with --registry-exclude-image.',
  })
}
