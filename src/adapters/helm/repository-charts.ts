import { createHash } from 'node:crypto'
import { FluxError } from '../../core/errors.ts'
import { safeUrl } from '../../core/git/remote-url.ts'
import type { ObjectRef, RepositoryChart } from '../../core/helm/chart.ts'
import {
  choosePublishedVersion,
  isExactVersion,
  type PublishedChart,
  readPublishedCharts,
} from '../../core/helm/repository-index.ts'
import type { ChartHead, ChartSources, PreparedChart } from '../../ports/helm.ts'
import type { Keychain } from '../../ports/registry.ts'
import type { ImageRegistryClient } from '../registry/client.ts'
import { checkChartArchive, maxPackedBytes } from './archive.ts'
import { createChartCache } from './chart-cache.ts'
import type { Fetcher, HttpCredentials } from './fetch.ts'
import { chooseOciVersion, fetchOciChart, ociImage } from './oci.ts'

/**
 * Charts of Helm repositories (HTTP and HTTPS) and of OCI registries (`oci://`).
 *
 * An exact version is looked up once; a range with each fresh look, by one conditional request a repository. Packages are
 * checked against the digest of the index, looked through, and kept under what they hold. Follows
 * `spec/helm-operator.md` §1.3 and §2.11.
 */
export interface RepositoryChartsOptions {
  fetcher: Fetcher
  registry: ImageRegistryClient
  /** @throws FluxError `HELM_VALUES_MISSING` | … */
  readCredentials(secret: ObjectRef): Promise<HttpCredentials>
  /** of `--helm-repository-import` */
  imported: readonly ImportedRepository[]
  /** where packages are kept; disposable */
  folder: string
  /** of packages kept */
  maxCacheBytes?: number
}

export interface ImportedRepository {
  name: string
  url: string
  credentials: HttpCredentials | undefined
}

/** What dependencies of charts in Git need of it as well. */
export interface RepositoryCharts extends ChartSources<RepositoryChart> {
  /** Fetch a chart's package. @returns the version that was meant, and the file, kept until `release` */
  fetch(source: RepositoryChart, signal?: AbortSignal): Promise<PreparedChart & { version: string }>
  /** The address behind `@name` or `alias:name`. */
  addressOf(alias: string): string | undefined
}

const maxIndexBytes = 100 * 1024 * 1024
const indexTimeoutMs = 60_000
const chartTimeoutMs = 120_000

interface Index {
  etag: string | undefined
  charts: Map<string, readonly PublishedChart[]>
}

/** A version that was chosen, and how to get it. */
interface Chosen {
  head: ChartHead
  published: PublishedChart
}

export function createRepositoryCharts(options: RepositoryChartsOptions): RepositoryCharts {
  const { fetcher, registry, readCredentials, imported, folder } = options
  const cache = createChartCache({
    folder,
    ...(options.maxCacheBytes && { maxBytes: options.maxCacheBytes }),
  })
  const indexes = new Map<string, Index>()
  /** one request for all that ask at the same time */
  const asking = new Map<string, Promise<readonly PublishedChart[]>>()
  const chosen = new Map<string, Chosen>()

  const importedAt = (url: string) => imported.find((repository) => sameRepository(repository.url, url))
  const credentialsOf = async ({ secret, url }: RepositoryChart): Promise<HttpCredentials | undefined> =>
    secret ? readCredentials(secret) : importedAt(url)?.credentials

  const listVersions = async (
    source: RepositoryChart,
    credentials: HttpCredentials | undefined,
    signal: AbortSignal | undefined,
  ): Promise<readonly PublishedChart[]> => {
    const key = `${source.secret ? `${source.secret.namespace}/${source.secret.name} ` : ''}${source.url}`
    const index = indexes.get(key)
    const known = index?.charts.get(source.name)
    const url = indexUrl(source.url)
    const reply = await fetcher.get(url, {
      maxBytes: maxIndexBytes,
      timeoutMs: indexTimeoutMs,
      ...(known && index?.etag !== undefined && { ifNoneMatch: index.etag }),
      ...(credentials && { credentials }),
      signal,
    })
    if (reply.status === 304 && known) return known
    const published = readPublishedCharts(reply.body.toString('utf8'), source.name)
    if (!published) {
      throw new FluxError('CHART_INVALID', {
        what: `chart unavailable: ${safeUrl(url.href)} is not the index of a Helm repository`,
        next: 'Correct spec.chart.repository: the address below which index.yaml is.',
      })
    }
    const charts = index && index.etag === reply.etag ? index.charts : new Map()
    charts.set(source.name, published)
    indexes.set(key, { etag: reply.etag, charts })
    return published
  }

  const askOnce = (
    source: RepositoryChart,
    credentials: HttpCredentials | undefined,
    signal: AbortSignal | undefined,
  ) => {
    const key = keyOf({ ...source, version: '' })
    const running = asking.get(key)
    if (running) return running
    const started = listVersions(source, credentials, signal).finally(() => asking.delete(key))
    asking.set(key, started)
    return started
  }

  const choose = async (source: RepositoryChart, signal: AbortSignal | undefined): Promise<Chosen> => {
    const credentials = await credentialsOf(source)
    if (isOci(source)) {
      const version = await chooseOciVersion(registry, source, keychainOf(source, credentials), signal)
      return {
        head: version.head,
        published: { version: version.head.revision, urls: [], digest: version.digest },
      }
    }
    const published = await askOnce(source, credentials, signal)
    const found = choosePublishedVersion(published, source.version)
    if (!found) throw versionMissing(source, published.length)
    const [url = ''] = found.urls
    const identity = found.digest || createHash('sha256').update(`${url} ${found.version}`).digest('hex')
    return { head: { revision: found.version, identity: `chart:${identity}` }, published: found }
  }

  const head = async (
    source: RepositoryChart,
    fresh: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Chosen> => {
    const key = keyOf(source)
    const known = chosen.get(key)
    if (known && (!fresh || isExactVersion(source.version) || isDigest(source.version))) return known
    const found = await choose(source, signal)
    chosen.set(key, found)
    return found
  }

  const download = async (
    source: RepositoryChart,
    { published }: Chosen,
    signal: AbortSignal | undefined,
  ) => {
    const credentials = await credentialsOf(source)
    if (isOci(source)) {
      const bytes = await fetchOciChart(
        registry,
        source,
        published.digest,
        keychainOf(source, credentials),
        signal,
      )
      await checkChartArchive(bytes, `${source.name} ${published.version} of ${safeUrl(source.url)}`)
      return bytes
    }
    const url = new URL(published.urls[0] ?? '', indexUrl(source.url))
    const { body } = await fetcher.get(url, {
      maxBytes: maxPackedBytes,
      timeoutMs: chartTimeoutMs,
      // an index may name packages elsewhere, which are no business of its password
      ...(credentials &&
        (credentials.passOn || url.origin === new URL(source.url).origin) && { credentials }),
      signal,
    })
    const digest = createHash('sha256').update(body).digest('hex')
    if (published.digest !== '' && digest !== published.digest) {
      throw new FluxError('CHART_INVALID', {
        what: `chart unavailable: ${safeUrl(url.href)} has another checksum than the index says`,
        why: `The index says ${published.digest}, and it has ${digest}.`,
        next: 'Publish it again, or have whoever runs the repository write its index anew.',
      })
    }
    await checkChartArchive(body, safeUrl(url.href))
    return body
  }

  const prepare = async (
    source: RepositoryChart,
    found: Chosen,
    signal: AbortSignal | undefined,
  ): Promise<PreparedChart> => {
    // a package without a digest is known by its address, which tells nothing of its content
    const name = createHash('sha256')
      .update(`${safeUrl(source.url)} ${found.head.identity}`)
      .digest('hex')
    return cache.use(`${name}.tgz`, () => download(source, found, signal))
  }

  return {
    head: async (source, { fresh, signal }) => (await head(source, fresh, signal)).head,
    async prepare(source, wanted, signal) {
      const known = chosen.get(keyOf(source))
      const found = known?.head.identity === wanted.identity ? known : await head(source, true, signal)
      return prepare(source, found, signal)
    },
    async fetch(source, signal) {
      const found = await head(source, true, signal)
      return { ...(await prepare(source, found, signal)), version: found.head.revision }
    },
    addressOf: (alias) => imported.find(({ name }) => name === alias)?.url,
    readFile: async (_, __, path) => {
      throw new FluxError('HELM_VALUES_MISSING', {
        what: `unable to read value file from path ${path}`,
        why: 'A chart of a repository is a package, whose files cannot be read one by one.',
        next: 'Take the chart from Git, or its values from a ConfigMap or Secret.',
      })
    },
    close: async () => {},
  }
}

const isOci = ({ url }: RepositoryChart) => url.startsWith('oci://')
const isDigest = (text: string) => text.startsWith('sha256:')

function keyOf({ url, name, version, secret }: RepositoryChart): string {
  return [secret?.namespace ?? '', secret?.name ?? '', url, name, version].join(' ')
}

/** `index.yaml` below the repository; its query stays. @throws FluxError `CHART_INVALID` */
function indexUrl(repository: string): URL {
  if (!URL.canParse(repository)) {
    throw new FluxError('CHART_INVALID', {
      what: `chart unavailable: ${JSON.stringify(repository)} is not the address of a Helm repository`,
      next: 'Let spec.chart.repository begin with https:// or oci://.',
    })
  }
  const url = new URL(repository)
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/index.yaml`
  return url
}

/** Scheme, host and path alike, up to slashes at the end. */
function sameRepository(a: string, b: string): boolean {
  if (!URL.canParse(a) || !URL.canParse(b)) return a === b
  const plain = (text: string) => {
    const { protocol, host, pathname } = new URL(text)
    return `${protocol}//${host}${pathname.replace(/\/+$/, '')}`
  }
  return plain(a) === plain(b)
}

function keychainOf(source: RepositoryChart, credentials: HttpCredentials | undefined): Keychain {
  const { registry } = ociImage(source)
  if (!credentials?.username || !registry) return new Map()
  const { username: user, password } = credentials
  const from = source.secret
    ? `${source.secret.namespace}:secret/${source.secret.name}`
    : 'an imported repository'
  return new Map([[registry.toLowerCase(), { user, password, source: from }]])
}

function versionMissing({ url, name, version }: RepositoryChart, count: number): FluxError {
  return new FluxError('CHART_MISSING', {
    what:
      count === 0
        ? `chart unavailable: ${safeUrl(url)} has no chart ${name}`
        : `chart unavailable: ${safeUrl(url)} has no version ${version} of ${name}`,
    next: 'Correct spec.chart, or publish what it names.',
  })
}
