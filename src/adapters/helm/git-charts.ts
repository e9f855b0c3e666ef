import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { FluxError } from '../../core/errors.ts'
import { safeUrl } from '../../core/git/remote-url.ts'
import type { GitChart, ObjectRef } from '../../core/helm/chart.ts'
import { isJsonObject, type JsonValue, valueAt } from '../../core/json.ts'
import { UnreadableNode } from '../../core/manifest/node.ts'
import { readPart } from '../../core/manifest/read-part.ts'
import type { GitMirror, TreeEntry } from '../../ports/git.ts'
import type { ChartHead, ChartSources, PreparedChart } from '../../ports/helm.ts'

/**
 * Charts in Git: one mirror for each repository (and Secret), never checked out. What a chart holds is known by the
 * hashes in its tree, so that an unchanged chart costs nothing; its files are written out when helm is to run.
 *
 * Symbolic links are followed inside the repository and nowhere else. Follows `spec/helm-operator.md` §2.10.
 */

export interface GitChartsOptions {
  /** @param credentials of the chart's Secret; without them the operator's own key is used */
  openMirror(url: string, credentials: GitCredentials | undefined): GitMirror
  /** @throws FluxError `HELM_VALUES_MISSING` | … */
  readCredentials(secret: ObjectRef): Promise<GitCredentials>
  defaultRef: string
  /** where charts are written out */
  folder: string
  /** Fetch the dependencies that a chart names into its `charts/`; `file://` stays below the root. */
  vendor(chartFolder: string, root: string, signal?: AbortSignal): Promise<void>
}

export interface GitCredentials {
  username: string
  password: string
}

export interface GitCharts extends ChartSources<GitChart> {
  /** Fetch every mirror. Whoever needs one that can't be fetched is told by `head`. */
  refresh(signal?: AbortSignal): Promise<void>
  /** The commit that a source's ref named at the last fetch; `undefined` where that failed or never was. */
  revision(source: GitChart): Promise<string | undefined>
  /** Let go of mirrors that none of these needs. */
  keep(sources: readonly GitChart[]): Promise<void>
}

interface Repository {
  mirror: GitMirror
  credentials: GitCredentials | undefined
  /** the fetch under way, or the last one */
  fetched: Promise<void>
  /** ref → revision, until the next fetch */
  refs: Map<string, string>
  heads: Map<string, { head: ChartHead; files: readonly ChartEntry[] }>
}

/** A file of a chart, with links followed. */
interface ChartEntry {
  /** from the repository's root */
  path: string
  hash: string
  executable: boolean
}

/** design §11 */
const maxEntries = 10_000
const maxUnpackedBytes = 200 * 1024 * 1024
const maxValuesBytes = 1024 * 1024
const maxChartFileBytes = 20 * 1024 * 1024
const maxLinks = 20
/** heads that a repository remembers */
const maxHeads = 200

/** Charts with one key share a mirror. */
function gitChartKey({ url, secret }: GitChart): string {
  return secret ? `${secret.namespace}/${secret.name}/${url}` : url
}

export function createGitCharts(options: GitChartsOptions): GitCharts {
  const { openMirror, readCredentials, defaultRef, folder, vendor } = options
  const repositories = new Map<string, Promise<Repository>>()

  const open = async (source: GitChart): Promise<Repository> => {
    const credentials = source.secret && (await readCredentials(source.secret))
    const mirror = openMirror(source.url, credentials)
    return { mirror, credentials, fetched: Promise.resolve(), refs: new Map(), heads: new Map() }
  }

  const fetch = (repository: Repository, signal: AbortSignal | undefined): Promise<void> => {
    repository.fetched = repository.mirror.fetch(signal).finally(() => {
      repository.refs = new Map() // whoever still resolves, writes to the old one
    })
    return repository.fetched
  }

  /** The repository, fetched at least once; with new credentials where the Secret has changed. */
  const repositoryOf = async (
    source: GitChart,
    fresh: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Repository> => {
    const key = gitChartKey(source)
    let known = await repositories.get(key)?.catch(() => undefined)
    if (known && fresh && source.secret) {
      const now = await readCredentials(source.secret)
      if (now.username !== known.credentials?.username || now.password !== known.credentials.password) {
        repositories.delete(key)
        await known.mirror.close()
        known = undefined
      }
    }
    if (known) {
      if (fresh) await fetch(known, signal)
      else await known.fetched
      return known
    }
    const opened = open(source)
    repositories.set(key, opened)
    try {
      const repository = await opened
      await fetch(repository, signal)
      return repository
    } catch (error) {
      // one that was never cloned is opened anew, with the credentials of then
      if (repositories.get(key) === opened) repositories.delete(key)
      await opened.then(({ mirror }) => mirror.close()).catch(() => {})
      throw error
    }
  }

  const resolve = async (source: GitChart, { refs, mirror }: Repository): Promise<string | undefined> => {
    const ref = source.ref || defaultRef
    const revision = refs.get(ref) ?? (await mirror.resolve(ref))
    if (revision !== undefined) refs.set(ref, revision)
    return revision
  }

  const lookUp = async (source: GitChart, repository: Repository) => {
    const revision = await resolve(source, repository)
    if (revision === undefined) return undefined
    const path = inRepository(source.path)
    const key = `${revision} ${path}`
    const known = repository.heads.get(key)
    if (known) return known
    const files = await collect(repository.mirror, revision, path)
    const identity = createHash('sha256')
    for (const { path: file, hash, executable } of files) {
      identity.update(`${posix.relative(path, file)} ${hash} ${executable}\n`)
    }
    const found = { head: { revision, identity: `git:${identity.digest('hex')}` }, files }
    repository.heads.set(key, found)
    for (const oldest of repository.heads.keys()) {
      if (repository.heads.size <= maxHeads) break
      repository.heads.delete(oldest)
    }
    return found
  }

  const known = async (source: GitChart, head: ChartHead) => {
    const repository = await repositoryOf(source, false, undefined)
    const path = inRepository(source.path)
    const found = repository.heads.get(`${head.revision} ${path}`)
    return {
      repository,
      path,
      files: found?.files ?? (await collect(repository.mirror, head.revision, path)),
    }
  }

  return {
    async head(source, { fresh, signal }) {
      const repository = await repositoryOf(source, fresh, signal)
      let found = await lookUp(source, repository)
      if (!found && !fresh) {
        // a commit or branch that is newer than the last fetch
        await fetch(repository, signal)
        found = await lookUp(source, repository)
      }
      if (found) return found.head
      throw new FluxError('CHART_MISSING', {
        what: `chart unavailable: ref '${source.ref || defaultRef}' is not in ${safeUrl(source.url)}`,
        next: 'Correct spec.chart.ref: a branch, a tag or a commit.',
      })
    },

    async prepare(source, head, signal): Promise<PreparedChart> {
      const { repository, path, files } = await known(source, head)
      const root = await mkdtemp(join(folder, 'chart-'))
      const release = () => rm(root, { recursive: true, force: true })
      try {
        for (const file of files) {
          const target = join(root, file.path)
          await mkdir(dirname(target), { recursive: true })
          const bytes = await repository.mirror.readBlob(file.hash, maxChartFileBytes)
          await writeFile(target, bytes, { mode: file.executable ? 0o755 : 0o644 })
        }
        if (!source.skipDependencies) await vendor(join(root, path), root, signal)
        return { path: join(root, path), release }
      } catch (error) {
        await release()
        throw error
      }
    },

    async readFile(source, head, path) {
      const repository = await repositoryOf(source, false, undefined)
      const wanted = inRepository(posix.join(inRepository(source.path), path))
      const files = await collectPath(repository.mirror, head.revision, wanted)
      const file = files.find((entry) => entry.path === wanted)
      if (!file) {
        throw new FluxError('HELM_VALUES_MISSING', {
          what: `unable to read value file from path ${path}`,
          why: `There is no such file at ${head.revision.slice(0, 7)}.`,
        })
      }
      return Buffer.from(await repository.mirror.readBlob(file.hash, maxValuesBytes)).toString('utf8')
    },

    async refresh(signal) {
      await Promise.allSettled([...repositories.values()].map(async (opened) => fetch(await opened, signal)))
    },

    async revision(source) {
      try {
        const repository = await repositories.get(gitChartKey(source))
        await repository?.fetched
        return repository && (await resolve(source, repository))
      } catch {
        return undefined
      }
    },

    async keep(sources) {
      const needed = new Set(sources.map(gitChartKey))
      for (const [key, opened] of repositories) {
        if (needed.has(key)) continue
        repositories.delete(key)
        await opened.then(({ mirror }) => mirror.close()).catch(() => {})
      }
    },

    async close() {
      const opened = [...repositories.values()]
      repositories.clear()
      await Promise.allSettled(opened.map(async (repository) => (await repository).mirror.close()))
    },
  }
}

/** A path from the repository's root. @throws FluxError `CHART_PATH_ESCAPES` */
function inRepository(path: string): string {
  const plain = posix.normalize(path.replace(/^\/+/, '')).replace(/\/+$/, '')
  if (plain === '..' || plain.startsWith('../')) {
    throw new FluxError('CHART_PATH_ESCAPES', {
      what: `path ${path} leads out of the repository`,
      next: 'Keep charts and values files inside their repository.',
    })
  }
  return plain === '.' ? '' : plain
}

/** Every file of a chart and of the charts beside it that it names as `file://`. @throws FluxError `CHART_…` */
async function collect(mirror: GitMirror, revision: string, path: string): Promise<ChartEntry[]> {
  const folders = [path]
  const files = new Map<string, ChartEntry>()
  let bytes = 0
  for (const folder of folders) {
    const found = await collectPath(mirror, revision, folder)
    for (const entry of found) {
      bytes += files.has(entry.path) ? 0 : entry.sizeBytes
      files.set(entry.path, entry)
    }
    if (files.size > maxEntries || bytes > maxUnpackedBytes) {
      throw new FluxError('CHART_INVALID', {
        what: `the chart at ${path} is larger than ${maxEntries} files or ${maxUnpackedBytes / 1024 / 1024} MiB`,
        next: 'Keep what is no part of the chart outside its folder.',
      })
    }
    if (found.length === 0) {
      throw new FluxError('CHART_MISSING', {
        what: `chart unavailable: there is no folder ${folder || '.'} at ${revision.slice(0, 7)}`,
        next: 'Correct spec.chart.path, or the file:// repository of the dependency.',
      })
    }
    const metadata = found.filter(({ path: file }) =>
      metadataFiles.some((name) => file === posix.join(folder, name)),
    )
    if (!metadata.some(({ path: file }) => file.endsWith('Chart.yaml'))) {
      throw new FluxError('CHART_INVALID', {
        what: `chart unavailable: ${folder || '.'} has no Chart.yaml`,
        next: 'Let spec.chart.path name the folder of a chart.',
      })
    }
    for (const { hash } of metadata) {
      for (const beside of localDependencies(Buffer.from(await mirror.readBlob(hash)).toString('utf8'))) {
        const other = inRepository(posix.join(folder, beside))
        if (!folders.includes(other)) folders.push(other)
      }
    }
  }
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}

const metadataFiles = ['Chart.yaml', 'requirements.yaml']

/** Paths of dependencies with `repository: file://…`. */
function localDependencies(text: string): string[] {
  let value: JsonValue
  try {
    value = readPart(text)[0]?.value ?? null
  } catch (error) {
    if (error instanceof UnreadableNode) return [] // helm says it better
    throw error
  }
  const dependencies = valueAt(value, 'dependencies')
  return (Array.isArray(dependencies) ? dependencies : []).flatMap((dependency) => {
    const repository = isJsonObject(dependency) ? dependency['repository'] : undefined
    return typeof repository === 'string' && repository.startsWith('file://')
      ? [repository.slice('file://'.length)]
      : []
  })
}

/** Files at or below a path, links followed. */
async function collectPath(
  mirror: GitMirror,
  revision: string,
  path: string,
): Promise<(ChartEntry & { sizeBytes: number })[]> {
  let links = 0
  const follow = async (at: string, shownAs: string): Promise<(ChartEntry & { sizeBytes: number })[]> => {
    const entries = await mirror.listFiles(revision, at === '' ? [] : [at])
    if (entries.length > maxEntries) {
      throw new FluxError('CHART_INVALID', { what: `${at} holds more than ${maxEntries} files` })
    }
    // a link on the way to what was asked for
    if (entries.length === 0) {
      const through = await linkAbove(mirror, revision, at)
      if (!through || ++links > maxLinks) return []
      return follow(through, shownAs)
    }
    const found = await Promise.all(
      entries.map(async (entry: TreeEntry) => {
        const shown = entry.path === at ? shownAs : posix.join(shownAs, posix.relative(at, entry.path))
        if (entry.mode === '160000') return []
        if (entry.mode !== '120000') {
          const { hash, sizeBytes, mode } = entry
          return [{ path: shown, hash, sizeBytes, executable: mode === '100755' }]
        }
        if (++links > maxLinks) throw new FluxError('CHART_INVALID', { what: `${at} holds too many links` })
        const target = Buffer.from(await mirror.readBlob(entry.hash, 4096)).toString('utf8')
        if (target.startsWith('/')) inRepository('..') // an absolute link leads out
        return follow(inRepository(posix.join(posix.dirname(entry.path), target)), shown)
      }),
    )
    return found.flat()
  }
  return follow(path, path)
}

/** Where a path leads whose front part is a link. */
async function linkAbove(mirror: GitMirror, revision: string, path: string): Promise<string | undefined> {
  for (let at = posix.dirname(path); at !== '.'; at = posix.dirname(at)) {
    const [entry] = await mirror.listFiles(revision, [at])
    if (entry?.path !== at || entry.mode !== '120000') continue
    const target = Buffer.from(await mirror.readBlob(entry.hash, 4096)).toString('utf8')
    if (target.startsWith('/')) inRepository('..')
    return inRepository(posix.join(posix.dirname(at), target, posix.relative(at, path)))
  }
  return undefined
}
