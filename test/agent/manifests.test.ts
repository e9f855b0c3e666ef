import { describe, expect, test } from 'vitest'
import { createManifestStore } from '../../src/agent/manifests.ts'
import type { Discovery } from '../../src/ports/cluster.ts'
import type { GitMirror } from '../../src/ports/git.ts'
import { configMap } from './fixtures.ts'

/** A revision of files and symbolic links (`-> target`). */
async function load(files: Readonly<Record<string, string>>, paths: string[] = []) {
  const entries = Object.entries(files).map(([path, text], index) => ({
    path,
    mode: text.startsWith('-> ') ? '120000' : '100644',
    hash: String(index),
    sizeBytes: text.length,
  }))
  const mirror = {
    listFiles: async () => entries,
    readBlob: async (hash: string) =>
      Buffer.from((Object.values(files)[Number(hash)] ?? '').replace(/^-> /, '')),
  } as unknown as GitMirror
  const served = { types: [], find: () => ({ namespaced: true }) } as unknown as Discovery
  const store = createManifestStore({ paths, discovery: async () => served, defaultNamespace: 'default' })
  const { resources, faults } = await store.load(mirror, 'a'.repeat(40))
  return {
    files: [...resources.values()].map(({ manifest }) => manifest.file),
    faults: faults.map(({ what }) => what),
  }
}

describe('a symbolic link', () => {
  test('to a manifest is read as the file that it names, where an edit has to go', async () => {
    const files = {
      'base/settings.yaml': configMap('settings'),
      'prod/settings.yaml': '-> ./../base//settings.yaml',
      'prod/again.yml': '-> settings.yaml',
    }

    expect(await load(files, ['prod'])).toEqual({ files: ['base/settings.yaml'], faults: [] })
    expect(await load(files)).toEqual({ files: ['base/settings.yaml'], faults: [] })
  })

  test.each(['/etc/passwd', '../../etc/passwd', 'none.yaml', 'link.yaml', '../dir', '', 'a\0b'])(
    'to %j leads nowhere, and holds the sync',
    async (target) => {
      const files = { 'apps/link.yaml': `-> ${target}`, 'dir/settings.yaml': configMap('settings') }

      const { faults } = await load(files)

      expect(faults).toEqual(['apps/link.yaml: a symbolic link to no file of the repository'])
    },
  )
})
