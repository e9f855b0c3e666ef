import { mkdtempSync, rmSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createGitCharts, type GitCharts } from '../../../src/adapters/helm/git-charts.ts'
import { createMirrors } from '../../../src/adapters/helm/mirrors.ts'
import type { GitChart } from '../../../src/core/helm/chart.ts'
import { type GitServer, type GitServerOptions, gitServer } from '../../support/git-server.ts'

const metadata = 'apiVersion: v2\nname: app\nversion: 1.0.0\n'

async function world(
  files: Record<string, string>,
  options: GitServerOptions = {},
): Promise<{
  charts: GitCharts
  upstream: GitServer
  folder: string
  chart(more?: Partial<GitChart>): GitChart
  secret: Map<string, string>
}> {
  const upstream = await gitServer(
    { 'charts/app/Chart.yaml': metadata, ...files },
    { branch: 'master', ...options },
  )
  const folder = mkdtempSync(join(tmpdir(), 'git-charts-'))
  const secret = new Map<string, string>()
  const mirrors = await createMirrors({
    git: { timeoutMs: 20_000, protocols: ['http'] },
    folder,
    environment: { PATH: process.env['PATH'], HOME: folder },
  })
  const charts = createGitCharts({
    openMirror: mirrors.open,
    readCredentials: async (ref) => mirrors.readCredentials(secret, `${ref.namespace}/${ref.name}`),
    defaultRef: 'master',
    folder,
    vendor: async () => {},
  })
  onTestFinished(async () => {
    await charts.close()
    await mirrors.close()
    await upstream[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })
  const chart = (more: Partial<GitChart> = {}): GitChart => ({
    kind: 'git',
    url: upstream.openUrl,
    ref: '',
    path: 'charts/app',
    secret: undefined,
    skipDependencies: false,
    ...more,
  })
  return { charts, upstream, folder, chart, secret }
}

test('a chart is known by what stands in its folder, and written out when it is needed', async () => {
  const { charts, upstream, chart, folder } = await world({
    'charts/app/values.yaml': 'a: 1\n',
    'README.md': 'x\n',
  })

  const first = await charts.head(chart(), { fresh: false })
  await upstream.commit({ 'README.md': 'y\n' })
  const beside = await charts.head(chart(), { fresh: true })
  await upstream.commit({ 'charts/app/values.yaml': 'a: 2\n' })
  const unseen = await charts.head(chart(), { fresh: false })
  await charts.refresh()
  const changed = await charts.head(chart({ ref: 'refs/heads/master' }), { fresh: false })

  expect(beside.identity).toBe(first.identity)
  expect(beside.revision).not.toBe(first.revision)
  expect(unseen).toEqual(beside)
  expect(changed.identity).not.toBe(first.identity)
  expect(changed.revision).toBe(await upstream.git('rev-parse', 'HEAD'))
  const prepared = await charts.prepare(chart(), changed)
  expect((await readdir(prepared.path)).sort()).toEqual(['Chart.yaml', 'values.yaml'])
  expect(await readFile(join(prepared.path, 'values.yaml'), 'utf8')).toBe('a: 2\n')
  expect(await charts.readFile(chart(), first, 'values.yaml')).toBe('a: 1\n')
  await prepared.release()
  expect((await readdir(folder)).filter((name) => name.startsWith('chart-'))).toEqual([])
})

test('the revision of a source is the one of the last fetch, and unknown where that failed', async () => {
  const { charts, upstream, chart } = await world({})
  expect(await charts.revision(chart())).toBeUndefined()
  const { revision: first } = await charts.head(chart(), { fresh: false })
  const second = await upstream.commit({ 'README.md': 'y\n' })

  expect(await charts.revision(chart())).toBe(first)
  await charts.refresh()
  expect(await charts.revision(chart())).toBe(second)
  expect(await charts.revision(chart({ ref: 'gone' }))).toBeUndefined()
  await upstream[Symbol.asyncDispose]()
  await charts.refresh()
  expect(await charts.revision(chart())).toBeUndefined()
})

test('a commit that is newer than the last fetch is fetched', async () => {
  const { charts, upstream, chart } = await world({})
  await charts.head(chart(), { fresh: false })
  const revision = await upstream.commit({ 'charts/app/values.yaml': 'a: 2\n' })

  expect((await charts.head(chart({ ref: revision }), { fresh: false })).revision).toBe(revision)
})

test.each<[string, Partial<GitChart>, RegExp]>([
  ['a ref that is gone', { ref: 'gone' }, /^chart unavailable: ref 'gone' is not in http/],
  ['a ref that would be an option', { ref: '-x' }, /^chart unavailable: ref '-x' is not in/],
  [
    'a folder that is not there',
    { path: 'charts/none' },
    /^chart unavailable: there is no folder charts\/none/,
  ],
  ['a folder that is no chart', { path: 'charts' }, /charts has no Chart\.yaml$/],
  ['a path out of the repository', { path: '../other' }, /leads out of the repository$/],
])('%s is told', async (_, more, text) => {
  const { charts, chart } = await world({})

  await expect(charts.head(chart(more), { fresh: false })).rejects.toThrow(text)
})

test('files are read inside the repository, and nowhere else', async () => {
  const { charts, chart } = await world({ 'values/dev.yaml': 'a: 1\n' })
  const head = await charts.head(chart(), { fresh: false })

  expect(await charts.readFile(chart(), head, '../../values/dev.yaml')).toBe('a: 1\n')
  for (const path of ['../../../etc/passwd', '../../..'])
    await expect(charts.readFile(chart(), head, path)).rejects.toThrow('leads out of the repository')
  await expect(charts.readFile(chart(), head, 'none.yaml')).rejects.toThrow(
    'unable to read value file from path none.yaml',
  )
})

/** Commit a symbolic link. */
async function link(upstream: GitServer, path: string, target: string): Promise<void> {
  const head = await upstream.git('rev-parse', 'HEAD')
  await upstream.stream(
    `commit refs/heads/master\ncommitter T <t@example.com> 1700000000 +0000\ndata 4\nlink\nfrom ${head}\nM 120000 inline ${path}\ndata ${target.length}\n${target}\n\n`,
  )
}

test('links are followed inside the repository', async () => {
  const { charts, upstream, chart } = await world({
    'shared/values.yaml': 'a: 1\n',
    'shared/t/x.yaml': 'x: 1\n',
  })
  await link(upstream, 'charts/app/values.yaml', '../../shared/values.yaml')
  await link(upstream, 'charts/app/templates', '../../shared/t')

  const before = await charts.head(chart(), { fresh: false })
  const prepared = await charts.prepare(chart(), before)
  expect(await readFile(join(prepared.path, 'values.yaml'), 'utf8')).toBe('a: 1\n')
  expect(await readFile(join(prepared.path, 'templates/x.yaml'), 'utf8')).toBe('x: 1\n')
  await upstream.commit({ 'shared/values.yaml': 'a: 2\n' })
  expect((await charts.head(chart(), { fresh: true })).identity).not.toBe(before.identity)
})

test.each(['../../../../etc/passwd', '/etc/passwd'])(
  'a link to %s makes the chart unusable',
  async (target) => {
    const { charts, upstream, chart } = await world({})
    await link(upstream, 'charts/app/values.yaml', target)

    await expect(charts.head(chart(), { fresh: false })).rejects.toThrow('leads out of the repository')
  },
)

test('charts beside it that it names as file:// come along', async () => {
  const { charts, chart } = await world({
    'charts/app/Chart.yaml': `${metadata}dependencies: [{name: common, version: 1.x, repository: file://../common}]\n`,
    'charts/common/Chart.yaml': metadata,
    'charts/other/Chart.yaml': metadata,
  })

  const prepared = await charts.prepare(chart(), await charts.head(chart(), { fresh: false }))
  expect((await readdir(join(prepared.path, '..'))).sort()).toEqual(['app', 'common'])
})

test('a password comes from its Secret, and anew when it changes', async () => {
  const { charts, chart, secret } = await world({}, { auth: { user: 'me', password: 'pass word' } })
  const guarded = chart({ secret: { namespace: 'dev', name: 'git' } })

  await expect(charts.head(chart(), { fresh: false })).rejects.toThrow(/git clone/)
  await expect(charts.head(guarded, { fresh: false })).rejects.toThrow(
    'could not find username key in secret dev/git',
  )
  secret.set('username', 'me').set('password', 'old')
  await expect(charts.head(guarded, { fresh: false })).rejects.not.toThrow('old')
  secret.set('password', 'pass word\n')
  expect((await charts.head(guarded, { fresh: false })).revision).toHaveLength(40)
  secret.set('password', 'older')
  await expect(charts.head(guarded, { fresh: true })).rejects.toThrow(/git clone/)
})

test('a Secret’s password is for HTTP, and a protocol that is not allowed is not spoken', async () => {
  const { charts, chart, secret } = await world({})
  secret.set('username', 'me').set('password', 'x')

  await expect(
    charts.head(chart({ url: 'git@127.0.0.1:x', secret: { namespace: 'a', name: 'b' } }), { fresh: false }),
  ).rejects.toThrow('which only HTTPS asks for')
  await expect(charts.head(chart({ url: 'file:///tmp' }), { fresh: false })).rejects.toThrow(
    /transport 'file' not allowed/,
  )
})
