import { expect, test } from 'vitest'
import { createMetrics } from '../../../src/adapters/system/metrics.ts'

test('shows the names, labels and buckets of v1', async () => {
  const metrics = createMetrics()
  metrics.observeSync({ success: true, durationMs: 700 })
  metrics.setSyncManifests({ applied: 23, failed: 1 })
  metrics.observeJob({ success: false, durationMs: 200 })
  metrics.observeQueueWait(50)
  metrics.setQueueLength(2)
  metrics.setGitReady(true)
  metrics.observeRegistryRequest({ kind: 'tags', success: true, durationMs: 7 })
  metrics.observeImageLookup({ success: true, durationMs: 1 })
  metrics.observeRelease({ type: 'latest_images', kind: 'execute', success: true, durationMs: 100 })
  metrics.observeReleaseStage({ stage: 'select_workloads', durationMs: 100 })
  metrics.observeRequest({ method: 'GET', route: '/v6/jobs', status: 404, durationMs: 3 })

  const { contentType, text } = await metrics.expose()

  const lines = text.split('\n').filter((line) => line.startsWith('flux_') && !line.includes('_bucket'))
  expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(lines).toEqual([
    'flux_daemon_sync_duration_seconds_sum{success="true"} 0.7',
    'flux_daemon_sync_duration_seconds_count{success="true"} 1',
    'flux_daemon_sync_manifests{success="true"} 23',
    'flux_daemon_sync_manifests{success="false"} 1',
    'flux_daemon_job_duration_seconds_sum{success="false"} 0.2',
    'flux_daemon_job_duration_seconds_count{success="false"} 1',
    'flux_client_fetch_duration_seconds_sum{kind="tags",success="true"} 0.007',
    'flux_client_fetch_duration_seconds_count{kind="tags",success="true"} 1',
    'flux_registry_fetch_duration_seconds_sum{success="true"} 0.001',
    'flux_registry_fetch_duration_seconds_count{success="true"} 1',
    'flux_fluxsvc_release_duration_seconds_sum{release_type="latest_images",release_kind="execute",success="true"} 0.1',
    'flux_fluxsvc_release_duration_seconds_count{release_type="latest_images",release_kind="execute",success="true"} 1',
    'flux_fluxsvc_release_stage_duration_seconds_sum{stage="select_workloads"} 0.1',
    'flux_fluxsvc_release_stage_duration_seconds_count{stage="select_workloads"} 1',
    'flux_request_duration_seconds_sum{method="GET",route="/v6/jobs",status_code="404",ws="false"} 0.003',
    'flux_request_duration_seconds_count{method="GET",route="/v6/jobs",status_code="404",ws="false"} 1',
    'flux_daemon_queue_duration_seconds_sum 0.05',
    'flux_daemon_queue_duration_seconds_count 1',
    'flux_daemon_queue_length_count 2',
    'flux_git_ready 1',
  ])
  expect(bounds(text, 'flux_daemon_sync_duration_seconds')).toBe('0.5 5 10 20 30 40 50 60 75 90 120 240 +Inf')
  expect(bounds(text, 'flux_daemon_job_duration_seconds')).toBe('0.1 0.5 1 2 5 10 15 20 30 45 60 120 +Inf')
  expect(bounds(text, 'flux_daemon_queue_duration_seconds')).toBe('0.1 0.5 1 2 5 10 15 20 30 45 60 120 +Inf')
  expect(bounds(text, 'flux_request_duration_seconds')).toBe(
    '0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf',
  )
})

test('shows nothing of ours before it has seen something, and always the process', async () => {
  const { text } = await createMetrics().expose()

  expect(text.split('\n').filter((line) => line.startsWith('flux_'))).toEqual([])
  expect(text).toContain('process_resident_memory_bytes ')
})

function bounds(text: string, name: string): string {
  return [...text.matchAll(new RegExp(`^${name}_bucket\\{.*?le="([^"]+)"`, 'gm'))]
    .map((match) => match[1])
    .join(' ')
}
