import { gzipSync } from 'node:zlib'
import { Header, type HeaderData } from 'tar'
import { expect, test } from 'vitest'
import { checkChartArchive } from '../../../src/adapters/helm/archive.ts'
import { packChart } from '../../../src/playground/charts/repository.ts'

/** A gzipped tar archive of entries, with whatever names. */
function archive(...entries: (HeaderData & { content?: string })[]): Uint8Array {
  const blocks = entries.flatMap(({ content = '', ...entry }) => {
    const header = Buffer.alloc(512)
    new Header({ mode: 0o644, mtime: new Date(0), type: 'File', ...entry, size: content.length }).encode(
      header,
    )
    return [header, Buffer.from(content), Buffer.alloc((512 - (content.length % 512)) % 512)]
  })
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]))
}
const chartYaml = { path: 'web/Chart.yaml', content: 'name: web\n' }

test('takes a chart', async () => {
  const packed = packChart({
    metadata: { name: 'web', version: '1.0.0' },
    files: { 'templates/a.yaml': 'a: 1\n' },
  })

  await expect(checkChartArchive(packed, 'web')).resolves.toBeUndefined()
})

test.each([
  {
    what: 'a path upwards',
    bytes: archive(chartYaml, { path: 'web/../../etc/passwd' }),
    says: 'leads out of it',
  },
  { what: 'an absolute path', bytes: archive(chartYaml, { path: '/etc/passwd' }), says: 'leads out of it' },
  {
    what: 'a symbolic link',
    bytes: archive(chartYaml, { path: 'web/values.yaml', type: 'SymbolicLink', linkpath: '/etc/passwd' }),
    says: 'is a link',
  },
  {
    what: 'a hard link',
    bytes: archive(chartYaml, { path: 'web/values.yaml', type: 'Link', linkpath: 'web/Chart.yaml' }),
    says: 'is a link',
  },
  {
    what: 'a device',
    bytes: archive(chartYaml, { path: 'web/null', type: 'CharacterDevice' }),
    says: 'neither a file',
  },
  { what: 'no Chart.yaml', bytes: archive({ path: 'web/values.yaml' }), says: 'no Chart.yaml' },
  { what: 'a web page', bytes: Buffer.from('<html>'), says: 'not a gzipped tar archive' },
  { what: 'an archive that is packed twice', bytes: gzipSync(archive(chartYaml)), says: 'packed twice' },
  { what: 'nothing but zeros', bytes: gzipSync(Buffer.alloc(1024 * 1024)), says: 'no Chart.yaml' },
  { what: 'half an archive', bytes: archive(chartYaml).subarray(0, 40), says: 'not a gzipped tar archive' },
  {
    what: 'a bomb',
    bytes: archive(chartYaml, { path: 'web/zeros', content: '0'.repeat(210 * 1024 * 1024) }),
    says: 'larger than 200 MiB',
  },
  {
    what: 'too many files',
    bytes: archive(chartYaml, ...Array.from({ length: 10_000 }, (_, at) => ({ path: `web/${at}` }))),
    says: 'more than 10000 files',
  },
  { what: 'too much', bytes: Buffer.alloc(21 * 1024 * 1024), says: 'larger than 20 MiB' },
])('refuses $what', async ({ bytes, says }) => {
  await expect(checkChartArchive(bytes, 'web.tgz')).rejects.toMatchObject({
    code: 'CHART_INVALID',
    why: expect.stringContaining(says),
  })
})
