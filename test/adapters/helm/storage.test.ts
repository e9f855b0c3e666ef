import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { createHelmStorage } from '../../../src/adapters/helm/storage.ts'
import type { JsonObject } from '../../../src/core/json.ts'
import type { Cluster, ListOptions, ObjectKey } from '../../../src/ports/cluster.ts'

const labels = { owner: 'helm', name: 'app', modifiedAt: '1700000000' }
const secret = (more: Record<string, string>): JsonObject => ({
  metadata: { name: 'x', namespace: 'dev', labels: { ...labels, ...more } },
})

/** As much of a cluster as Helm's Secrets need. */
function clusterWith(items: JsonObject[], release?: string) {
  const asked: unknown[] = []
  const cluster = {
    async list(type: { plural: string }, options: ListOptions) {
      asked.push([type.plural, options])
      return { items, resourceVersion: '1' }
    },
    async get(key: ObjectKey) {
      asked.push(key.name)
      return release === undefined ? undefined : { data: { release } }
    },
  } as unknown as Cluster
  return { storage: createHelmStorage(cluster), asked }
}

test('revisions are read by their labels, the newest first', async () => {
  const { storage, asked } = clusterWith([
    secret({
      version: '2',
      status: 'superseded',
      'helm.fluxcd.io/digest': 'd',
      'helm.fluxcd.io/revision': '2',
    }),
    secret({
      version: '10',
      status: 'deployed',
      'helm.fluxcd.io/digest': 'd',
      'helm.fluxcd.io/revision': '2',
      'helm.fluxcd.io/owner': 'me',
    }),
    secret({ version: 'x', status: 'deployed' }),
    secret({ version: '1', status: 'odd', owner: 'other' }),
    secret({ version: '1', status: 'odd' }),
  ])

  const revisions = await storage.list('dev', 'app')

  expect(revisions).toEqual([
    // a rollback by hand carries the digest of the revision that it went back to
    expect.objectContaining({ number: 10, status: 'deployed', digest: undefined, owner: 'me' }),
    expect.objectContaining({ number: 2, digest: 'd', owner: undefined, modifiedAtMs: 1_700_000_000_000 }),
    expect.objectContaining({ number: 1, status: 'unknown' }),
  ])
  expect(asked).toEqual([
    ['secrets', { namespace: 'dev', labelSelector: 'owner=helm,name=app', metadataOnly: true }],
  ])
})

/** Base64 twice, as Kubernetes and Helm have it. */
const packed = (bytes: Uint8Array) => Buffer.from(Buffer.from(bytes).toString('base64')).toString('base64')

test('a revision is read whole', async () => {
  const release = {
    config: { a: 1 },
    chart: { metadata: { name: 'app', version: '1.0.0' } },
    manifest: 'x',
    apply_method: 'csa',
  }
  const { storage, asked } = clusterWith([], packed(gzipSync(JSON.stringify(release))))

  expect(await storage.read('dev', 'app', 3)).toEqual({
    config: { a: 1 },
    chart: { name: 'app', version: '1.0.0', appVersion: '', values: {}, templates: [] },
    manifest: 'x',
    serverSide: false,
  })
  expect(asked).toEqual(['sh.helm.release.v1.app.v3'])
  expect(await clusterWith([]).storage.read('dev', 'app', 3)).toBeUndefined()
})

test.each([packed(Buffer.from('{')), packed(gzipSync('text')), packed(Buffer.from([0x1f, 0x8b, 1]))])(
  'one that is damaged is named, not shown',
  async (release) => {
    const { storage } = clusterWith([], release)

    await expect(storage.read('dev', 'app', 3)).rejects.toMatchObject({
      code: 'HELM_STORAGE_UNREADABLE',
      what: expect.stringMatching(/^reading Secret dev\/sh\.helm\.release\.v1\.app\.v3: /),
    })
  },
)
