import { expect, test } from 'vitest'
import { parseResourceId } from '../../../src/core/resource/id.ts'
import { checksumOf, gcMark, markManifest, syncSetName } from '../../../src/core/sync/inventory.ts'

const podinfo = parseResourceId('demo:deployment/podinfo')
const namespace = parseResourceId('<cluster>:namespace/demo')

test.each([
  {
    url: 'git@github.com:fluxcd/flux-get-started',
    branch: 'master',
    paths: [],
    name: 'aBqHLTvk4pWff65LXXwheu1mmzfQkdC96YNjgC-1u0Q',
    marks: [
      'sha256.BhHY4aw2RoJbixnOKQD-rhRxC3rJpgatGRErCSLo07w',
      'sha256.3xa9FRFtnbm0cAHvO6Lta6l0xPtwpoiQBqRt4-XxOD0',
    ],
  },
  {
    url: 'git@github.com:fluxcd/flux-get-started',
    branch: 'master',
    paths: ['namespaces', 'workloads'],
    name: '-pqIRfAJPfVJ2vnNArkckfQYfyg4QTwfNzzk3-7Lnf0',
    marks: [
      'sha256.Di7J_xG-XDqQeDk1aiIudp5qd1bX639cu9GYPFt56Ig',
      'sha256.FmpeZYYuCH4G3PLe1IbCW6iEkLbbxK3XJ9fn3WSU2g0',
    ],
  },
  {
    url: 'https://user:pw@example.com/r.git',
    branch: 'main',
    paths: ['.'],
    name: 'lcekKzJdX0AnvRzjEfylQNrtVcfLCCOihbf_wV6yumc',
    marks: [
      'sha256.ppJhKUIlXaDQQUixIWObkVtl1za7X_VqfLa3rwqQT0A',
      'sha256.XbsPa-VW_OY-VQfUZAGHyZIQdcKQ7Idla3WwwJoyfP4',
    ],
  },
])('marks what $url $branch $paths defines as v1 does', ({ url, branch, paths, name, marks }) => {
  const syncSet = syncSetName(url, branch, paths)

  expect(syncSet).toBe(name)
  expect([gcMark(syncSet, podinfo), gcMark(syncSet, namespace)]).toEqual(marks)
})

const manifest = {
  kind: 'Deployment',
  apiVersion: 'apps/v1',
  metadata: { name: 'podinfo', namespace: 'demo', labels: { app: 'podinfo' } },
  spec: { replicas: 1 },
}

test('sums a manifest up as v1 does, in whatever order its keys come', () => {
  expect(checksumOf(manifest)).toBe('390a2d27c4fec7399043b4eca70f0114580225e9')
})

test('puts its marks on an object, over old ones, and leaves the rest', () => {
  const copied = {
    ...manifest,
    metadata: {
      name: 'podinfo',
      labels: { app: 'podinfo', 'fluxcd.io/sync-gc-mark': 'sha256.old' },
      annotations: { 'fluxcd.io/sync-checksum': 'old', 'fluxcd.io/automated': 'true' },
    },
  }

  const marked = markManifest(copied, { mark: 'sha256.new', checksum: 'new', namespace: 'system' })

  expect(marked).toEqual({
    ...manifest,
    metadata: {
      name: 'podinfo',
      namespace: 'system',
      labels: { app: 'podinfo', 'fluxcd.io/sync-gc-mark': 'sha256.new' },
      annotations: { 'fluxcd.io/sync-checksum': 'new', 'fluxcd.io/automated': 'true' },
    },
  })
  expect(copied.metadata.labels['fluxcd.io/sync-gc-mark']).toBe('sha256.old')
})

test('gives what is cluster-scoped no namespace', () => {
  const marks = { mark: 'm', checksum: 'c', namespace: '' }

  expect(markManifest({ kind: 'Namespace', metadata: { name: 'demo' } }, marks)).toEqual({
    kind: 'Namespace',
    metadata: {
      name: 'demo',
      labels: { 'fluxcd.io/sync-gc-mark': 'm' },
      annotations: { 'fluxcd.io/sync-checksum': 'c' },
    },
  })
})
