import { expect, test } from 'vitest'
import { valueAt } from '../../src/core/json.ts'
import { gitServer } from '../../src/playground/git/server.ts'
import { configMap, memoryCluster, pollFor, worldAgent } from './fixtures.ts'

/** A cluster in memory with the Secret that holds the marker. */
function clusterWithMarker(revision: string) {
  const cluster = memoryCluster()
  const marker = { revision }
  const annotation = 'flux.weave.works/sync-hwm'
  cluster.get = async () => ({ metadata: { annotations: { [annotation]: marker.revision } } })
  cluster.patch = async (_, patch) => {
    marker.revision = String(valueAt(patch, 'metadata', 'annotations', annotation))
    return {}
  }
  return { cluster, marker }
}

const inSecret = ['--git-branch=main', '--sync-state=secret', '--k8s-secret-namespace=flux']

test('a marker of history that was rewritten does not stop syncing', async () => {
  await using upstream = await gitServer({ 'settings.yaml': configMap('settings') })
  const { cluster, marker } = clusterWithMarker('a'.repeat(40))
  await using agent = await worldAgent({ cluster, args: [`--git-url=${upstream.fileUrl}`, ...inSecret] })

  const head = await upstream.git('rev-parse', 'main')
  await pollFor(() => marker.revision === head || undefined, 'the marker')

  expect(agent.log.join('\n')).toContain('the last synced revision is not in the repository any more')
  expect(await agent.ask('GET', '/v6/sync?ref=main')).toEqual({ status: 200, body: [] })
})

test('a marker that somebody else moves is told of once', async () => {
  await using upstream = await gitServer({ 'settings.yaml': configMap('settings') })
  const { cluster, marker } = clusterWithMarker('')
  const first = await upstream.git('rev-parse', 'main')
  await using agent = await worldAgent({
    cluster,
    args: [`--git-url=${upstream.fileUrl}`, '--sync-interval=200ms', ...inSecret],
  })
  await pollFor(() => marker.revision === first || undefined, 'the marker')
  await agent.until(/state="kubernetes flux:secret/)
  expect(agent.log.join('\n')).not.toContain('external change')

  for (let round = 0; round < 2; round++) {
    marker.revision = ''
    await pollFor(() => marker.revision === first || undefined, 'the marker')
  }

  const text =
    'warning="detected external change in sync state; the sync state should not be shared by fluxd instances"'
  await agent.until(/external change/)
  expect(agent.log.filter((line) => line.includes(text))).toHaveLength(1)
})
