import { expect, test } from 'vitest'
import { parseDockerConfig } from '../../src/adapters/registry/credentials.ts'
import type { ClusterView, LiveWorkload } from '../../src/agent/cluster-view.ts'
import { createKeychains } from '../../src/agent/keychains.ts'
import { FluxError } from '../../src/core/errors.ts'
import { parseImageRef } from '../../src/core/image/ref.ts'
import type { JsonObject } from '../../src/core/json.ts'
import type { Cluster, ResourceType } from '../../src/ports/cluster.ts'

/** Service accounts `app-N` with one pull secret each, and a cluster that counts what it is asked. */
function world(count: number, { mayList = true } = {}) {
  const requests: string[] = []
  const type = (kind: string) => ({ kind, version: 'v1', group: '' }) as ResourceType
  const account = (name: string): JsonObject => ({
    metadata: { name, namespace: 'demo' },
    imagePullSecrets: [{ name: `secret-of-${name}` }],
  })
  const config = (name: string) =>
    btoa(JSON.stringify({ auths: { [`${name}.example.com`]: { auth: btoa('me:secret') } } }))
  const cluster = {
    discover: async () => ({ types: [], find: (_: string, kind: string) => type(kind) }),
    async get({ type, name }) {
      requests.push(`get ${type.kind}`)
      return type.kind === 'Secret'
        ? { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': config(name) } }
        : account(name)
    },
    async list({ kind }) {
      requests.push(`list ${kind}`)
      if (!mayList) throw new FluxError('CLUSTER_FORBIDDEN', { what: 'no' })
      return { items: names.map(account), resourceVersion: '1' }
    },
  } as Pick<Cluster, 'discover' | 'get' | 'list'> as Cluster
  const names = Array.from({ length: count }, (_, index) => `app-${index}`)
  const workloads = new Map(
    names.map((name) => [
      name,
      {
        workload: { containers: [{ name: 'app', image: parseImageRef(`registry.example.com/${name}:1`) }] },
        pull: { namespace: 'demo', serviceAccount: name, secrets: [] },
      } as unknown as LiveWorkload,
    ]),
  )
  const keychains = createKeychains({
    cluster,
    view: { workloads: () => workloads } as unknown as ClusterView,
    parse: parseDockerConfig,
    defaults: async () => new Map(),
    log: { write() {}, with: () => ({}) as never },
  })
  return { keychains, requests }
}

test.each([
  { count: 3, mayList: true, asked: { 'get ServiceAccount': 3 } },
  { count: 500, mayList: true, asked: { 'list ServiceAccount': 1 } },
  { count: 500, mayList: false, asked: { 'list ServiceAccount': 1, 'get ServiceAccount': 500 } },
])('credentials of $count service accounts cost $asked', async ({ count, mayList, asked }) => {
  const { keychains, requests } = world(count, { mayList })

  const unlocked = await keychains.unlock()

  expect(unlocked.map(({ keychain }) => [...keychain.keys()])).toEqual(
    Array.from({ length: count }, (_, index) => [`secret-of-app-${index}.example.com`]),
  )
  const counts: Record<string, number> = {}
  for (const request of requests) counts[request] = (counts[request] ?? 0) + 1
  expect(counts).toEqual({ ...asked, 'get Secret': count })
})
