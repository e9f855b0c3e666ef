import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test as base, expect } from 'vitest'
import { runCli } from '../../support/cli.ts'

const beta = (name: string) => `apiVersion: flux.weave.works/v1beta1
kind: HelmRelease
metadata: {name: ${name}, namespace: dev}
spec: {chart: {git: 'git@example.com:org/config', path: charts/web}} # ours
`
const alpha = `apiVersion: helm.integrations.flux.weave.works/v1alpha2
kind: FluxHelmRelease
metadata: {name: rc, namespace: stg}
spec: {chartGitPath: web, values: {}}
`

const test = base.extend<{
  clone: { path: string; write(file: string, text: string): void; read(file: string): string }
}>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest asks for it
  clone: async ({}, use) => {
    const path = mkdtempSync(join(tmpdir(), 'migrate-'))
    await use({
      path,
      write(file, text) {
        mkdirSync(dirname(join(path, file)), { recursive: true })
        writeFileSync(join(path, file), text)
      },
      read: (file) => readFileSync(join(path, file), 'utf8'),
    })
    rmSync(path, { recursive: true })
  },
})

test('rewrites the files of a clone, charts and the rest left alone', async ({ clone }) => {
  clone.write('releases/dev/web.yaml', beta('web'))
  clone.write('charts/web/Chart.yaml', 'name: web\n')
  clone.write('charts/web/values.yaml', '{}\n')
  clone.write('charts/web/templates/release.yaml', beta('inner'))
  clone.write('.git/kept.yaml', beta('kept'))

  const { exit, stdout } = await runCli(['migrate', 'helmreleases', clone.path])

  expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['FILE', 'RELEASE', 'FROM'],
    [`${clone.path}/releases/dev/web.yaml`, 'dev:helmrelease/web', 'flux.weave.works/v1beta1'],
    [''],
  ])
  expect(exit).toBe(0)
  expect(clone.read('releases/dev/web.yaml')).toBe(
    beta('web').replace('flux.weave.works/v1beta1', 'helm.fluxcd.io/v1'),
  )
  expect(clone.read('charts/web/templates/release.yaml')).toBe(beta('inner'))
  expect(clone.read('.git/kept.yaml')).toBe(beta('kept'))
  expect(readdirSync(join(clone.path, 'releases/dev'))).toEqual(['web.yaml'])
})

test('writes nothing with --dry-run, and says so in JSON', async ({ clone }) => {
  clone.write('web.yaml', beta('web'))

  const { exit, stdout } = await runCli([
    'migrate',
    'helmreleases',
    join(clone.path, 'web.yaml'),
    '--dry-run',
    '-o=json',
  ])

  expect(JSON.parse(stdout)).toEqual({
    files: [
      {
        file: join(clone.path, 'web.yaml'),
        releases: [{ id: 'dev:helmrelease/web', from: 'flux.weave.works/v1beta1' }],
      },
    ],
    written: false,
  })
  expect(exit).toBe(0)
  expect(clone.read('web.yaml')).toBe(beta('web'))
})

test('writes no file where one of them cannot be rewritten', async ({ clone }) => {
  clone.write('a.yaml', beta('web'))
  clone.write('b.yaml', alpha)

  const { exit, stderr } = await runCli(['migrate', 'helmreleases', clone.path])

  expect(stderr).toContain(`Error: ${clone.path}/b.yaml:1: cannot rewrite stg:fluxhelmrelease/rc`)
  expect(stderr).toContain('--git-url=URL')
  expect(exit).toBe(1)
  expect(clone.read('a.yaml')).toBe(beta('web'))
})

test('gives each FluxHelmRelease the repository that its operator had', async ({ clone }) => {
  clone.write('b.yaml', alpha)

  await runCli([
    'migrate',
    'helmreleases',
    clone.path,
    '--git-url=git@example.com:org/charts',
    '--git-branch=main',
  ])

  expect(clone.read('b.yaml')).toBe(`apiVersion: helm.fluxcd.io/v1
kind: HelmRelease
metadata: {name: rc, namespace: stg}
spec: {values: {}, chart: {git: git@example.com:org/charts, ref: main, path: charts/web}}
`)
})

test.for([
  { args: ['helmreleases', 'nowhere'], exit: 1, says: 'cannot read nowhere: ENOENT' },
  { args: [], exit: 2, says: 'say what to migrate: helmreleases' },
  { args: ['secrets'], exit: 2, says: 'expected helmreleases and at most one path' },
])('ends with $exit on $args', async ({ args, exit, says }) => {
  const ended = await runCli(['migrate', ...args])

  expect(ended.stderr).toContain(says)
  expect(ended.exit).toBe(exit)
})

test('ends with 3 where there is nothing to rewrite', async ({ clone }) => {
  clone.write('a.yaml', 'apiVersion: v1\nkind: Namespace\nmetadata: {name: dev}\n')

  expect(await runCli(['migrate', 'helmreleases', clone.path])).toMatchObject({ exit: 3, stdout: '' })
})
