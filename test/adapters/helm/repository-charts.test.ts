import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as base, expect } from 'vitest'
import { createFetcher, type HttpCredentials } from '../../../src/adapters/helm/fetch.ts'
import {
  createRepositoryCharts,
  type ImportedRepository,
} from '../../../src/adapters/helm/repository-charts.ts'
import { createImageRegistry } from '../../../src/adapters/registry/client.ts'
import { systemClock } from '../../../src/adapters/system/clock.ts'
import type { RepositoryChart } from '../../../src/core/helm/chart.ts'
import { chartRepository, packChart } from '../../../src/playground/charts/repository.ts'
import type { Log } from '../../../src/ports/log.ts'
import { startRegistry } from '../../support/registry.ts'

const silent: Log = { write() {}, with: () => silent }
const podinfo = (version: string, text = 'a') => ({
  metadata: { name: 'podinfo', version },
  files: { 'values.yaml': `text: ${text}\n` },
})
const wanted = (url: string, version: string, more: Partial<RepositoryChart> = {}): RepositoryChart => ({
  kind: 'repository',
  url,
  name: 'podinfo',
  version,
  secret: undefined,
  ...more,
})
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

interface Options {
  credentials?: HttpCredentials
  imported?: ImportedRepository[]
  maxCacheBytes?: number
}

const test = base.extend<{
  folder: string
  open(options?: Options): ReturnType<typeof createRepositoryCharts>
}>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest asks for it
  folder: async ({}, use) => {
    const folder = mkdtempSync(join(tmpdir(), 'charts-'))
    await use(folder)
    rmSync(folder, { recursive: true })
  },
  open: async ({ folder }, use) => {
    const registry = createImageRegistry({
      insecureHosts: ['127.0.0.1'],
      maxBodyBytes: 20 * 1024 * 1024,
      clock: systemClock,
      log: silent,
    })
    await use(({ credentials, imported = [], ...options } = {}) =>
      createRepositoryCharts({
        fetcher: createFetcher({}),
        registry,
        readCredentials: async () => credentials ?? { username: '', password: '' },
        imported,
        folder,
        ...options,
      }),
    )
    await registry.close()
  },
})

test('fetches an exact version once, and asks nothing more for it', async ({ open }) => {
  await using upstream = await chartRepository({ charts: [podinfo('3.1.0'), podinfo('3.2.0')] })
  const charts = open()
  const source = wanted(upstream.url, '3.1.0')

  const head = await charts.head(source, { fresh: true })
  for (let times = 0; times < 2; times++) {
    const chart = await charts.prepare(source, head)
    expect(sha256(await readFile(chart.path))).toBe(sha256(packChart(podinfo('3.1.0'))))
    await chart.release()
  }

  expect(head.revision).toBe('3.1.0')
  expect(await charts.head(source, { fresh: true })).toEqual(head)
  expect(upstream.requests).toEqual(['GET /index.yaml', 'GET /charts/podinfo-3.1.0.tgz'])
})

test('follows a range by one conditional request, and only when it is asked to look', async ({ open }) => {
  await using upstream = await chartRepository({ charts: [podinfo('3.1.0')] })
  const charts = open()
  const source = wanted(`${upstream.url}/`, '~3')

  const before = await charts.head(source, { fresh: true })
  const same = await charts.head(source, { fresh: true })
  upstream.add(podinfo('3.2.0'))
  const unseen = await charts.head(source, { fresh: false })
  const after = await charts.head(source, { fresh: true })

  expect([before, same, unseen, after].map(({ revision }) => revision)).toEqual([
    '3.1.0',
    '3.1.0',
    '3.1.0',
    '3.2.0',
  ])
  expect(upstream.requests).toEqual(Array(3).fill('GET /index.yaml'))
})

test('asks once for many releases that look at the same time', async ({ open }) => {
  await using upstream = await chartRepository({ charts: [podinfo('3.1.0')] })
  const charts = open()

  await Promise.all(Array.from({ length: 10 }, () => charts.head(wanted(upstream.url, '*'), { fresh: true })))

  expect(upstream.requests).toEqual(['GET /index.yaml'])
})

test('lets nobody in without the password of the Secret', async ({ open }) => {
  await using upstream = await chartRepository({
    charts: [podinfo('3.1.0')],
    auth: { user: 'someone', password: 'p:w' },
  })
  const secret = { namespace: 'dev', name: 'charts' }
  const without = open().head(wanted(upstream.url, '3.1.0'), { fresh: true })
  await expect(without).rejects.toMatchObject({ code: 'CHART_DENIED', why: 'No credentials are given.' })

  const charts = open({ credentials: { username: 'someone', password: 'p:w' } })
  const source = wanted(upstream.url, '3.1.0', { secret })
  const chart = await charts.prepare(source, await charts.head(source, { fresh: true }))
  await chart.release()
})

test('knows the password of an imported repository, whatever slashes its address ends in', async ({
  open,
}) => {
  await using upstream = await chartRepository({
    charts: [podinfo('3.1.0')],
    auth: { user: 'someone', password: 'pw' },
  })
  const credentials = { username: 'someone', password: 'pw' }
  const charts = open({ imported: [{ name: 'ours', url: `${upstream.url}//`, credentials }] })

  expect((await charts.head(wanted(upstream.url, '3.1.0'), { fresh: true })).revision).toBe('3.1.0')
  expect(charts.addressOf('ours')).toBe(`${upstream.url}//`)
})

test('refuses a package with another checksum than the index says, and keeps nothing of it', async ({
  open,
  folder,
}) => {
  await using upstream = await chartRepository({ charts: [podinfo('3.1.0')] })
  upstream.spoil('podinfo', '3.1.0', packChart(podinfo('3.1.0', 'evil')))
  const charts = open()
  const source = wanted(upstream.url, '3.1.0')

  const head = await charts.head(source, { fresh: true })
  await expect(charts.prepare(source, head)).rejects.toMatchObject({
    code: 'CHART_INVALID',
    what: /another checksum/,
  })
  expect(readdirSync(folder)).toEqual([])
})

test.for([
  {
    what: 'a version that is not there',
    version: '9.9.9',
    code: 'CHART_MISSING',
    says: /no version 9\.9\.9 of podinfo/,
  },
  {
    what: 'a chart that is not there',
    version: '1.0.0',
    name: 'other',
    code: 'CHART_MISSING',
    says: /no chart other/,
  },
  { what: 'a range that is none', version: 'latest!', code: 'CHART_MISSING', says: /no version latest!/ },
])('tells of $what', async ({ version, name = 'podinfo', code, says }, { open }) => {
  await using upstream = await chartRepository({ charts: [podinfo('3.1.0')] })

  const head = open().head(wanted(upstream.url, version, { name }), { fresh: true })
  await expect(head).rejects.toMatchObject({ code, what: expect.stringMatching(says) })
})

test('goes on when the repository comes back', async ({ open }) => {
  await using upstream = await chartRepository({ charts: [podinfo('3.1.0')] })
  const charts = open()
  const source = wanted(upstream.url, '3.1.0')
  upstream.fail(/index/, 503)
  await expect(charts.head(source, { fresh: true })).rejects.toMatchObject({ code: 'CHART_UNAVAILABLE' })
  upstream.fail(undefined)

  expect((await charts.head(source, { fresh: true })).revision).toBe('3.1.0')
})

test('gives up packages that were not used for longest, never one in use', async ({ open, folder }) => {
  const versions = ['1.0.0', '2.0.0', '3.0.0']
  await using upstream = await chartRepository({ charts: versions.map((version) => podinfo(version)) })
  const charts = open({ maxCacheBytes: packChart(podinfo('1.0.0')).length * 1.5 })

  const held = []
  for (const version of versions) {
    const source = wanted(upstream.url, version)
    const chart = await charts.prepare(source, await charts.head(source, { fresh: false }))
    held.push(chart)
    if (version !== '1.0.0') await chart.release()
  }

  expect(readdirSync(folder)).toHaveLength(2)
  expect(await readFile(held[0]?.path ?? '')).toBeTruthy()
})

/** Push a chart as `helm push` does. @returns digest of the manifest */
async function pushChart(
  registry: Awaited<ReturnType<typeof startRegistry>>,
  version: string,
): Promise<string> {
  const put = async (bytes: Uint8Array) => {
    const digest = `sha256:${sha256(bytes)}`
    const started = await fetch(`http://${registry.host}/v2/charts/podinfo/blobs/uploads/`, {
      method: 'POST',
    })
    const location = new URL(started.headers.get('location') ?? '', `http://${registry.host}`)
    location.searchParams.set('digest', digest)
    const ended = await fetch(location, { method: 'PUT', body: Buffer.from(bytes) })
    expect(ended.status).toBe(201)
    return { digest, size: bytes.length }
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.cncf.helm.config.v1+json', ...(await put(Buffer.from('{}'))) },
    layers: [
      {
        mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
        ...(await put(packChart(podinfo(version)))),
      },
    ],
  }
  return registry.pushManifest('charts/podinfo', version.replaceAll('+', '_'), manifest, manifest.mediaType)
}

test('takes charts from an OCI registry by version, range and digest', async ({ open }) => {
  await using registry = await startRegistry({})
  const digest = await pushChart(registry, '3.1.0')
  await pushChart(registry, '3.1.1+build.2')
  await pushChart(registry, '4.0.0')
  const charts = open()
  const url = `oci://${registry.host}/charts`

  for (const { version, revision, packed } of [
    { version: '3.1.0', revision: '3.1.0', packed: '3.1.0' },
    { version: '~3.1', revision: '3.1.1+build.2', packed: '3.1.1+build.2' },
    { version: digest, revision: digest, packed: '3.1.0' },
  ]) {
    const source = wanted(url, version)
    const head = await charts.head(source, { fresh: true })
    const chart = await charts.prepare(source, head)
    expect(head.revision).toBe(revision)
    expect(sha256(await readFile(chart.path))).toBe(sha256(packChart(podinfo(packed))))
    await chart.release()
  }
})

test('says of an image that it is not a chart', async ({ open }) => {
  await using registry = await startRegistry({ images: { 'charts/podinfo': { '3.1.0': '' } } })
  const charts = open()
  const source = wanted(`oci://${registry.host}/charts`, '3.1.0')

  const prepared = charts.prepare(source, await charts.head(source, { fresh: true }))
  await expect(prepared).rejects.toMatchObject({
    code: 'CHART_INVALID',
    what: expect.stringContaining('is not a Helm chart'),
  })
})
