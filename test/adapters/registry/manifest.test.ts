import { expect, test } from 'vitest'
import { readImageConfig, readImageManifest } from '../../../src/adapters/registry/manifest.ts'

const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`
const entry = (letter: string, platform?: string) => {
  const [os, architecture] = platform?.split('/') ?? []
  return { digest: digestOf(letter), ...(platform && { platform: { os, architecture } }) }
}

test.each([
  { platforms: [entry('a', 'linux/arm64'), entry('b', 'linux/amd64')], chosen: digestOf('b') },
  { platforms: [entry('a', 'windows/amd64'), entry('b', 'linux/arm64')], chosen: digestOf('b') },
  {
    platforms: [entry('a', 'unknown/unknown'), entry('b', 'linux/s390x'), entry('c', 'linux/arm')],
    chosen: digestOf('b'),
  },
  { platforms: [entry('a', 'windows/amd64')], chosen: undefined },
  { platforms: [entry('a')], chosen: undefined },
  { platforms: [{ digest: '../../x', platform: { os: 'linux', architecture: 'amd64' } }], chosen: undefined },
  { platforms: [], chosen: undefined },
])('of $platforms takes $chosen', ({ platforms, chosen }) => {
  expect(readImageManifest({ schemaVersion: 2, manifests: platforms })).toEqual({ kind: 'index', chosen })
})

test.each([
  { document: { config: { digest: digestOf('a') } }, manifest: { kind: 'image', config: digestOf('a') } },
  { document: { config: { digest: 'sha256:x' } }, manifest: { kind: 'unknown' } },
  { document: { schemaVersion: 1, fsLayers: [] }, manifest: { kind: 'unknown' } },
  {
    document: { schemaVersion: 1, history: [{ v1Compatibility: '{"id":"../x"}' }] },
    manifest: { kind: 'schema1', imageId: undefined, config: { created: undefined, labels: {} } },
  },
  { document: [], manifest: { kind: 'unknown' } },
])('reads $document', ({ document, manifest }) => {
  expect(readImageManifest(document)).toEqual(manifest)
})

const created = 'org.opencontainers.image.created'

test.each([
  {
    config: { created: '2024-01-07T12:00:00.123456789Z' },
    text: '2024-01-07T12:00:00.123456789Z',
    labels: {},
  },
  { config: { created: '0001-01-01T00:00:00Z' }, text: undefined, labels: {} },
  { config: { created: 7, config: { Labels: null } }, text: undefined, labels: {} },
  {
    config: { config: { Labels: { [created]: 'a', other: 'x' } } },
    text: undefined,
    labels: { [created]: 'a' },
  },
  {
    config: { config: { Labels: { [created]: 'a' } }, container_config: { Labels: { [created]: 'b' } } },
    text: undefined,
    labels: { [created]: 'b' },
  },
  { config: undefined, text: undefined, labels: {} },
])('reads the configuration $config', ({ config, text, labels }) => {
  const read = readImageConfig(config)

  expect(read.created?.text).toBe(text)
  expect(read.labels).toEqual(labels)
})
