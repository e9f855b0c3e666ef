import { expect, test } from 'vitest'
import { createMetrics } from '../../src/adapters/system/metrics.ts'
import { codeIn, rowsOf } from './page.ts'

/** Everything that can be observed, once. */
async function exposeAll(): Promise<string> {
  const metrics = createMetrics()
  metrics.observeSync({ success: true, durationMs: 1 })
  metrics.setSyncManifests({ applied: 1, failed: 0 })
  metrics.observeJob({ success: true, durationMs: 1 })
  metrics.observeQueueWait(1)
  metrics.setQueueLength(1)
  metrics.setGitReady(true)
  metrics.setDriftedObjects(1)
  metrics.countPruned({ deleted: 1, failed: 0 })
  metrics.setKeptObjects(new Map([['ignored', 1]]))
  metrics.setImageRepositories(new Map([['OK', 1]]))
  metrics.setImageTags(new Map([['TAG_INVALID', 1]]))
  metrics.setImageStore('OK')
  metrics.setAutomation(new Map([['UP_TO_DATE', 1]]))
  metrics.observeRegistryRequest({ kind: 'tags', success: true, durationMs: 1 })
  metrics.observeImageLookup({ success: true, durationMs: 1 })
  metrics.observeRelease({ type: 'latest_images', kind: 'execute', success: true, durationMs: 1 })
  metrics.observeReleaseStage({ stage: 'write_changes', durationMs: 1 })
  metrics.observeRequest({ method: 'GET', route: '/v11/ping', status: 204, durationMs: 1 })
  return (await metrics.expose()).text
}

test('the page of metrics has every metric of ours with its type and labels, and no other', async () => {
  const text = await exposeAll()
  const exposed = [...text.matchAll(/^# TYPE (fluxd?_\S+) (\S+)\n(?:#.*\n)?(\S+(?: .*)?)$/gm)].map(
    ([, name = '', type = '', sample = '']) => {
      const labels = [...sample.matchAll(/([a-z_]+)="/g)]
        .map(([, label = '']) => label)
        .filter((label) => label !== 'le')
      return `${name} ${type} ${labels.toSorted().join(', ')}`.trim()
    },
  )

  const page = rowsOf('metrics.md').flatMap(({ cells: [name, type = '', labels = ''] }) => {
    const metric = codeIn(name)
    const named = labels.replaceAll('`', '').split(', ').toSorted().join(', ')
    return metric?.startsWith('flux') ? [`${metric} ${type} ${named}`.trim()] : []
  })

  expect(page.toSorted()).toEqual(exposed.toSorted())
})
