import { copyFile, cp, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { FluxError } from '../../core/errors.ts'
import type { RepositoryChart } from '../../core/helm/chart.ts'
import { type Dependency, readDependencies } from '../../core/helm/dependencies.ts'
import type { RepositoryCharts } from './repository-charts.ts'

/**
 * Put what a chart depends on into its folder `charts`, as `helm dependency build` does with a lock and `helm
 * dependency update` without one, but by our own client: no password in a file, no index in memory, and nothing asked
 * for that is there already.
 *
 * @param chart folder of a copy of our own
 * @param root `file://` stays below it
 * @throws FluxError `CHART_…`
 */
export async function vendorDependencies(
  chart: string,
  root: string,
  charts: RepositoryCharts,
  signal?: AbortSignal,
): Promise<void> {
  await vendor(chart, { root: resolve(root), charts, signal, depth: 0 })
}

interface Run {
  root: string
  charts: RepositoryCharts
  signal: AbortSignal | undefined
  depth: number
}

const maxDepth = 10

async function vendor(chart: string, run: Run): Promise<void> {
  if (run.depth > maxDepth) {
    throw new FluxError('CHART_INVALID', {
      what: `dependencies of ${relative(run.root, chart)} go deeper than ${maxDepth} charts`,
      next: 'Look for charts that depend on each other in a circle.',
    })
  }
  const names = ['Chart.yaml', 'Chart.lock', 'requirements.yaml', 'requirements.lock']
  const texts = await Promise.all(
    names.map(
      async (name) => [name, await readFile(join(chart, name), 'utf8').catch(() => undefined)] as const,
    ),
  )
  const dependencies = readDependencies(Object.fromEntries(texts))
  if (dependencies.length === 0) return
  const folder = join(chart, 'charts')
  await mkdir(folder, { recursive: true })
  const kept = new Set<string>()
  for (const dependency of dependencies) {
    kept.add(await add(dependency, chart, folder, run))
  }
  // a package of an earlier version would be loaded beside the new one
  const stale = (await readdir(folder)).filter((name) => name.endsWith('.tgz') && !kept.has(name))
  const replaced = stale.filter((name) =>
    dependencies.some((dependency) => isPackageOf(name, dependency.name)),
  )
  for (const name of replaced) await rm(join(folder, name))
}

/** @returns what it is called in the folder */
async function add(dependency: Dependency, chart: string, folder: string, run: Run): Promise<string> {
  const { name, version, repository } = dependency
  if (repository === '') {
    const found = (await readdir(folder)).find((entry) => entry === name || isPackageOf(entry, name))
    if (found !== undefined) return found
    throw new FluxError('CHART_MISSING', {
      what: `found in Chart.yaml, but missing in charts/ directory: ${name}`,
      next: 'Name a repository for it, or commit it below charts/.',
    })
  }
  if (repository.startsWith('file://'))
    return addLocal(name, resolve(chart, repository.slice(7)), folder, run)
  const url = addressOf(repository, run.charts)
  const source: RepositoryChart = { kind: 'repository', url, name, version, secret: undefined }
  const vendored = `${name}-${version}.tgz`
  if ((await readdir(folder)).includes(vendored)) return vendored
  const fetched = await run.charts.fetch(source, run.signal)
  try {
    const target = `${name}-${fetched.version}.tgz`
    await copyFile(fetched.path, join(folder, target))
    return target
  } finally {
    await fetched.release()
  }
}

async function addLocal(name: string, source: string, folder: string, run: Run): Promise<string> {
  if (source !== run.root && !source.startsWith(run.root + sep)) {
    throw new FluxError('CHART_PATH_ESCAPES', {
      what: `the dependency ${name} is outside of its repository`,
      next: 'Keep charts that are named as file:// in the same repository.',
    })
  }
  await vendor(source, { ...run, depth: run.depth + 1 })
  const target = join(folder, name)
  await rm(target, { recursive: true, force: true })
  await cp(source, target, { recursive: true })
  return name
}

/** @throws FluxError `CHART_MISSING` for an alias that was not imported */
function addressOf(repository: string, charts: RepositoryCharts): string {
  const alias = /^(?:@|alias:)(.+)$/.exec(repository)?.[1]
  if (alias === undefined) return repository
  const url = charts.addressOf(alias)
  if (url !== undefined) return url
  throw new FluxError('CHART_MISSING', {
    what: `no repository definition for ${repository}`,
    next: 'Name its address, or import it with --helm-repository-import.',
  })
}

function isPackageOf(file: string, name: string): boolean {
  return file.startsWith(`${name}-`) && /^\d.*\.tgz$/.test(file.slice(name.length + 1))
}
