import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test as base, expect } from 'vitest'
import { vendorDependencies } from '../../../src/adapters/helm/dependencies.ts'
import { createFetcher } from '../../../src/adapters/helm/fetch.ts'
import {
  createRepositoryCharts,
  type RepositoryCharts,
} from '../../../src/adapters/helm/repository-charts.ts'
import { createImageRegistry } from '../../../src/adapters/registry/client.ts'
import { systemClock } from '../../../src/adapters/system/clock.ts'
import { chartRepository } from '../../../src/playground/charts/repository.ts'
import type { Log } from '../../../src/ports/log.ts'

const silent: Log = { write() {}, with: () => silent }
const redis = (version: string) => ({ metadata: { name: 'redis', version } })

interface Tree {
  root: string
  write(files: Record<string, string>): void
  listOf(path: string): string[]
}

const test = base.extend<{ tree: Tree; charts: RepositoryCharts }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest asks for it
  tree: async ({}, use) => {
    const root = mkdtempSync(join(tmpdir(), 'dependencies-'))
    await use({
      root,
      write(files) {
        for (const [file, text] of Object.entries(files)) {
          mkdirSync(dirname(join(root, file)), { recursive: true })
          writeFileSync(join(root, file), text)
        }
      },
      listOf: (path) => (existsSync(join(root, path)) ? readdirSync(join(root, path)).sort() : []),
    })
    rmSync(root, { recursive: true })
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest asks for it
  charts: async ({}, use) => {
    const registry = createImageRegistry({ clock: systemClock, log: silent })
    const folder = mkdtempSync(join(tmpdir(), 'packages-'))
    await use(
      createRepositoryCharts({
        fetcher: createFetcher({}),
        registry,
        readCredentials: async () => ({ username: '', password: '' }),
        imported: [],
        folder,
      }),
    )
    await registry.close()
    rmSync(folder, { recursive: true })
  },
})

const depends = (...entries: string[]) =>
  `name: web\nversion: 1.0.0\ndependencies:\n${entries.map((entry) => `- ${entry}\n`).join('')}`

test('fetches the newest of a range, and what the lock names where there is one', async ({
  tree,
  charts,
}) => {
  await using upstream = await chartRepository({ charts: [redis('17.1.0'), redis('17.2.0')] })
  const entry = (version: string) => `{name: redis, version: '${version}', repository: '${upstream.url}'}`
  tree.write({
    'charts/open/Chart.yaml': depends(entry('^17.0')),
    'charts/locked/Chart.yaml': depends(entry('^17.0')),
    'charts/locked/Chart.lock': depends(entry('17.1.0')),
  })

  for (const name of ['open', 'locked'])
    await vendorDependencies(join(tree.root, 'charts', name), tree.root, charts)

  expect(tree.listOf('charts/open/charts')).toEqual(['redis-17.2.0.tgz'])
  expect(tree.listOf('charts/locked/charts')).toEqual(['redis-17.1.0.tgz'])
})

test('asks nobody for what is committed, and takes an older package out of the way', async ({
  tree,
  charts,
}) => {
  await using upstream = await chartRepository({ charts: [redis('17.1.0')] })
  tree.write({
    'web/Chart.yaml': depends(`{name: redis, version: 17.1.0, repository: '${upstream.url}'}`),
    'web/charts/redis-17.1.0.tgz': 'committed',
    'web/charts/redis-16.0.0.tgz': 'older',
    'web/charts/redis-cluster-9.0.0.tgz': 'of another name',
  })

  await vendorDependencies(join(tree.root, 'web'), tree.root, charts)

  expect(upstream.requests).toEqual([])
  expect(tree.listOf('web/charts')).toEqual(['redis-17.1.0.tgz', 'redis-cluster-9.0.0.tgz'])
})

test('copies charts beside it, with what they depend on in turn', async ({ tree, charts }) => {
  await using upstream = await chartRepository({ charts: [redis('17.1.0')] })
  tree.write({
    'charts/web/Chart.yaml': depends('{name: common, version: 0.1.0, repository: file://../common}'),
    'charts/common/Chart.yaml': depends(`{name: redis, version: 17.1.0, repository: '${upstream.url}'}`),
  })

  await vendorDependencies(join(tree.root, 'charts/web'), tree.root, charts)

  expect(tree.listOf('charts/web/charts/common')).toEqual(['Chart.yaml', 'charts'])
  expect(tree.listOf('charts/web/charts/common/charts')).toEqual(['redis-17.1.0.tgz'])
})

test.for([
  {
    what: 'a path out of the repository',
    entry: '{name: a, version: 1.0.0, repository: file://../../../etc}',
    code: 'CHART_PATH_ESCAPES',
  },
  { what: 'one that should be there', entry: '{name: a, version: 1.0.0}', code: 'CHART_MISSING' },
  {
    what: 'an alias that nobody knows',
    entry: "{name: a, version: 1.0.0, repository: '@ours'}",
    code: 'CHART_MISSING',
  },
])('refuses $what', async ({ entry, code }, { tree, charts }) => {
  tree.write({ 'web/Chart.yaml': depends(entry) })

  await expect(vendorDependencies(join(tree.root, 'web'), tree.root, charts)).rejects.toMatchObject({ code })
})

test('ends where charts depend on each other in a circle', async ({ tree, charts }) => {
  tree.write({
    'a/Chart.yaml': depends('{name: b, version: 1.0.0, repository: file://../b}'),
    'b/Chart.yaml': depends('{name: a, version: 1.0.0, repository: file://../a}'),
  })

  await expect(vendorDependencies(join(tree.root, 'a'), tree.root, charts)).rejects.toMatchObject({
    code: 'CHART_INVALID',
    next: expect.stringContaining('circle'),
  })
})
