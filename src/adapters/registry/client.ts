import { createHash } from 'node:crypto'
import { FluxError } from '../../core/errors.ts'
import type { ImageInfo } from '../../core/image/info.ts'
import { formatImageRef, type ImageRef } from '../../core/image/ref.ts'
import { isJsonObject, valueAt } from '../../core/json.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log } from '../../ports/log.ts'
import type { ImageRegistry, Keychain } from '../../ports/registry.ts'
import { Authorizer, denied } from './auth.ts'
import { isDigest, referenceOf, type Target, targetOf } from './grammar.ts'
import { manifestTypes, readImageConfig, readImageManifest } from './manifest.ts'
import { nextPage, readTagPage } from './pages.ts'
import type { Environment } from './proxy.ts'
import { type Reply, Transport } from './transport.ts'

/**
 * Image registries, as the OCI distribution spec 1.1 and Docker's older registries have it: names of tags, and what
 * an image says about itself (Docker schema 2, OCI manifests, and indexes of either). Read only; no layer is fetched.
 *
 * - Every host has a pace of its own, halved when it complains (`rate-limit.ts`), so one never delays another.
 * - Registries are strangers. Names outside the grammar are dropped and counted (`grammar.ts`), a list stays on its
 *   host (`pages.ts`), credentials on their origin and the registry's own token host (`auth.ts`), bodies, pages and
 *   tags within bounds, and what is fetched by digest has that digest. A list is whole, or it is an error.
 * - Left out: Docker schema 1; conditional requests; credentials of cloud providers; helpers of the Docker config.
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
  /** log every request: `--registry-trace` */
  trace?: boolean
  /** for `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`; no proxy without it */
  environment?: Environment
  clock: Clock
  log: Log
  /** told of every round of requests, for metrics: `tags` or `metadata`, how it went and how long it took */
  onFetched?: (kind: 'tags' | 'metadata', success: boolean, durationMs: number) => void
  /** told of names in a listing that are no tags */
  onTagsDropped?: (image: ImageRef, count: number) => void
}

export interface ImageRegistryClient extends ImageRegistry {
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
    trace = false,
    environment = {},
    clock,
    onFetched,
    onTagsDropped,
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

  /** Ask for a path of a repository, and get in where that takes a token or a password. Replies are 200 or 404. */
  const ask = async (
    target: Target,
    path: string,
    { keychain, accept, signal }: AskOptions,
  ): Promise<Reply> => {
    const credentials = keychain.get(target.host)
    const send = (authorization: string | undefined) =>
      transport.get(target.host, path, {
        ...(accept && { accept }),
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
    if (reply.status === 401 || reply.status === 403) {
      const why = credentials ? 'The credentials are not accepted' : 'No credentials are known'
      throw denied(target, credentials, `${why} (${reply.status}).`)
    }
    throw new FluxError('REGISTRY_UNAVAILABLE', {
      what: `the registry ${target.host} answered ${reply.status} for ${target.name}`,
      next: `It is tried again later. If it lasts, look at the state of ${target.host}.`,
    })
  }

  const listTags: ImageRegistry['listTags'] = async (image, keychain, signal) => {
    const target = targetOf(image)
    const listed = `/v2/${target.repository}/tags/list?n=${pageSize}`
    const tags = new Set<string>()
    let dropped = 0
    let path: string | undefined = listed
    for (let pages = 0; path !== undefined; pages++) {
      if (pages === maxPages || tags.size > maxTags) throw tooManyTags(target, maxTags, maxPages)
      const reply: Reply = await ask(target, path, { keychain, signal })
      if (reply.status === 404) throw imageMissing(target)
      const page = readTagPage(readJson(reply.body))
      if (!page) throw unreadable(target, 'list of tags', `Tell whoever runs ${target.host}.`)
      for (const tag of page.tags) tags.add(tag)
      dropped += page.dropped
      path = nextPage(reply.header('link'), target.host, path)
    }
    if (tags.size > maxTags) throw tooManyTags(target, maxTags, maxPages)
    if (dropped > 0) {
      log.write({ warning: 'names that are no tags were dropped', image: target.name, dropped })
      onTagsDropped?.(image, dropped)
    }
    transport.recover(target.host)
    return [...tags]
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
    const digest = `sha256:${createHash('sha256').update(reply.body).digest('hex')}`
    if (isDigest(reference) && digest !== reference) {
      throw new FluxError('REGISTRY_INVALID', {
        what: `${target.host} serves other content for ${target.name}@${reference} than its digest says`,
        next: `It is tried again later. If it lasts, look at the storage of ${target.host} and at proxies before it.`,
      })
    }
    return { document: readJson(reply.body), digest }
  }

  const getImage: ImageRegistry['getImage'] = async (image, keychain, signal) => {
    const target = targetOf(image)
    const fetchManifest = async (reference: string) => {
      const fetched = await fetchDocument(target, 'manifests', reference, {
        keychain,
        signal,
        accept: manifestTypes,
      })
      return { ...fetched, manifest: readImageManifest(fetched.document) }
    }

    let { manifest, digest } = await fetchManifest(referenceOf(image))
    if (manifest.kind === 'index') {
      if (manifest.chosen === undefined) throw platformMissing(image)
      ;({ manifest, digest } = await fetchManifest(manifest.chosen))
    }
    if (manifest.kind !== 'image') throw unreadable(target, 'manifest', schema1Advice)
    const { document } = await fetchDocument(target, 'blobs', manifest.config, { keychain, signal })
    const { created, labels } = readImageConfig(document)
    return {
      ref: image,
      digest,
      imageId: manifest.config,
      labels,
      ...(created && { createdAt: created.date, createdAtText: created.text }),
      lastFetchedAt: clock.now(),
    } satisfies ImageInfo
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
    getImage: (...asked) => measured('metadata', getImage(...asked)),
    close: () => transport.close(),
  }
}

interface AskOptions {
  keychain: Keychain
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

function platformMissing(image: ImageRef): FluxError {
  return new FluxError('IMAGE_PLATFORM_MISSING', {
    what: 'no suitable manifest (linux amd64) in manifestlist',
    why: `${formatImageRef(image)} is made for other platforms, none of them linux.`,
    next: 'Build it for linux/amd64, or leave it out with --registry-exclude-image.',
  })
}

const schema1Advice =
  'Build and push the image again with a current builder: Docker schema 1 is not understood. Or leave it out with --registry-exclude-image.'

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
