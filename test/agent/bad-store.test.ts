import { execFileSync } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openImageStore } from '../../src/adapters/store/lmdb.ts'
import type { Log, LogFields } from '../../src/ports/log.ts'
import { runCli } from '../support/cli.ts'
import { gitServer } from '../support/git-server.ts'
import { fluxdToTheEnd } from '../support/programs.ts'
import { startRegistry } from '../support/registry.ts'
import { deployment, memoryCluster, pollFor, worldAgent } from './fixtures.ts'

/** Where what registries told can't be kept: a disk that is really full or read-only, a store that somebody holds. */

const isRoot = process.getuid?.() === 0
let folder: string
let mounted = false
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bad-store-'))
})
afterEach(async () => {
  if (mounted) execFileSync('umount', ['--lazy', folder])
  mounted = false
  await chmod(folder, 0o755)
  await rm(folder, { recursive: true, force: true })
})

/** @returns whether it may be done here */
function mountMemory(options: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' })
    mounted = true
  } catch {}
  return mounted
}

test('a full disk: fluxd goes on in memory, says so, and releases what is right', async ({ skip }) => {
  if (!mountMemory('size=256k')) skip('needs the right to mount a file system')
  const entries: LogFields[] = []
  const log: Log = { write: (fields) => void entries.push(fields), with: () => log }
  const imageStore = await openImageStore({ folder, log })
  const tags = Array.from({ length: 5_000 }, (_, n) => [`0.${n}.0`, '2024-01-01T00:00:00Z'])
  await using registry = await startRegistry({
    images: { 'example/app': { ...Object.fromEntries(tags), '1.0.0': '2024-02-01T00:00:00Z' } },
  })
  await using upstream = await gitServer({
    'app.yaml': deployment('app', `${registry.host}/example/app:0.1.0`, {
      annotations: `fluxcd.io/automated: 'true', fluxcd.io/tag.app: 'semver:*'`,
    }),
  })
  await using agent = await worldAgent({
    cluster: memoryCluster(),
    imageStore,
    args: [
      `--git-url=${upstream.fileUrl}`,
      '--git-branch=main',
      '--registry-insecure-host=127.0.0.1',
      '--registry-metadata-depth=1',
    ],
  })

  await pollFor(
    async () => (await upstream.git('log', '--format=%s', 'main')).startsWith('Auto-release') || undefined,
    'the commit',
  )

  const { stdout } = await runCli(['list-images', '-v', '--namespace=demo', `--url=${agent.url}`])
  expect(stdout).toMatch(/STORE_UNUSABLE: the image store cannot be written: going on in memory/)
  expect(entries).toEqual([expect.objectContaining({ code: 'STORE_UNUSABLE', err: expect.any(String) })])
  await pollFor(
    async () =>
      (await agent.metrics()).includes('\nfluxd_image_store{code="STORE_UNUSABLE"} 1\n') || undefined,
    'the metric',
  )
  expect(await upstream.git('log', '--reverse', '--format=%s', 'main')).toMatch(
    /^.*\nAuto-release \S+\/example\/app:1\.0\.0$/,
  )
  await imageStore.close()
})

/** Starts fluxd on the folder: there is no API server, but it does not come so far. */
async function startOnFolder() {
  const home = await mkdtemp(join(tmpdir(), 'bad-store-home-'))
  const kubeconfig = join(home, 'kubeconfig')
  const cluster = { server: 'https://127.0.0.1:9' }
  await writeFile(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'none', cluster }],
      contexts: [{ name: 'none', context: { cluster: 'none' } }],
      'current-context': 'none',
    }),
  )
  try {
    return await fluxdToTheEnd({
      kubeconfig,
      args: ['--listen=127.0.0.1:0', `--registry-cache-dir=${folder}`],
    })
  } finally {
    await rm(home, { recursive: true })
  }
}

test('a folder that is read-only: fluxd does not start, and says what to do', async ({ skip }) => {
  if (!isRoot) await chmod(folder, 0o555)
  else if (!mountMemory('ro,size=64k')) skip('needs the right to mount a file system')

  const { exit, stderr } = await startOnFolder()

  expect(exit).toBe(1)
  expect(stderr).toMatch(
    /code=STORE_UNUSABLE why=".*(read-only|permission denied).*" next=".*--registry-cache-dir/i,
  )
})

test('a folder that another process holds: fluxd does not start, and says what to do', async () => {
  const log: Log = { write() {}, with: () => log }
  const holder = await openImageStore({ folder, log })

  const { exit, stderr } = await startOnFolder()

  expect(exit).toBe(1)
  expect(stderr).toMatch(/code=STORE_LOCKED why=".*" next=".*--registry-cache-dir of its own/)
  await holder.close()
})
