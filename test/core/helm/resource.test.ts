import { describe, expect, test } from 'vitest'
import { checkReleaseName, defaultReleaseName } from '../../../src/core/helm/release-name.ts'
import { chartOf, type HelmRelease, readHelmRelease } from '../../../src/core/helm/resource.ts'
import type { JsonObject } from '../../../src/core/json.ts'

function release(spec: JsonObject, metadata: JsonObject = {}): HelmRelease {
  const read = readHelmRelease({
    apiVersion: 'helm.fluxcd.io/v1',
    kind: 'HelmRelease',
    metadata: { name: 'n', namespace: 'a', ...metadata },
    spec,
  })
  if (!read) throw new Error('not read')
  return read
}

test.each<[JsonObject, string, string]>([
  [{}, 'a-n', 'a'],
  [{ targetNamespace: 'b' }, 'a-b-n', 'b'],
  [{ targetNamespace: 'a' }, 'a-n', 'a'],
  [{ releaseName: 'r', targetNamespace: 'b' }, 'r', 'b'],
])('%j becomes release %s in %s', (spec, releaseName, targetNamespace) => {
  expect(release(spec)).toMatchObject({ releaseName, targetNamespace, id: 'a:helmrelease/n' })
})

test.each<[JsonObject, boolean]>([
  [{}, false],
  [{ rollback: { enable: true } }, true],
  [{ test: { enable: true } }, true],
  [{ wait: false, rollback: { enable: true } }, false],
  [{ wait: true }, true],
])('%j waits: %s', (spec, wait) => {
  expect(release(spec).wait).toBe(wait)
})

test.each<[JsonObject, boolean]>([
  [{}, false],
  [{ resetValues: true }, false],
  [{ resetValues: null }, false],
  [{ resetValues: false }, true],
])('%j reuses values: %s', (spec, reuse) => {
  expect(release(spec).reuseValues).toBe(reuse)
})

test('defaults are v1’s', () => {
  expect(release({})).toMatchObject({
    timeoutMs: 300_000,
    maxHistory: 10,
    rollback: { enable: false, retry: false, maxRetries: 5, timeoutMs: 300_000, wait: false },
    test: { enable: false, ignoreFailures: false, timeoutMs: 300_000 },
    annotations: { suspended: false, dependsOn: [], interval: undefined, keep: false, migrate: false },
  })
  expect(release({ maxHistory: 0 }).maxHistory).toBe(0)
})

describe('where a chart comes from', () => {
  const git = { git: 'https://example.com/repo', path: 'charts/app' }
  const repository = { repository: 'https://charts.example.com', name: 'app', version: '1.x' }

  test.each<[string, JsonObject, object]>([
    ['Git', git, { kind: 'git', url: git.git, path: git.path, ref: '', skipDependencies: false }],
    ['a repository', repository, { kind: 'repository', url: repository.repository, version: '1.x' }],
    ['Git first', { ...git, ...repository }, { kind: 'git' }],
    [
      'Git with a Secret of its own namespace',
      { ...git, ref: 'v1', secretRef: { name: 's' }, skipDepUpdate: true },
      { ref: 'v1', secret: { namespace: 'a', name: 's' }, skipDependencies: true },
    ],
  ])('%s', (_, chart, expected) => {
    expect(release({ chart }).chart).toMatchObject(expected)
  })

  test.each<JsonObject>([{}, { git: 'x' }, { repository: 'x', name: 'y' }, { git: '', path: 'x' }])(
    '%j is none',
    (chart) => {
      expect(() => chartOf(release({ chart }))).toThrow(
        'could not find valid chart source configuration for release',
      )
    },
  )
})

test('sources of values stand in their order, Secrets of the older spelling first', () => {
  const read = release({
    valueFileSecrets: [{ name: 's' }, {}],
    valuesFrom: [
      { configMapKeyRef: { name: 'c', namespace: 'other', key: 'k', optional: true } },
      { secretKeyRef: { name: 't' }, externalSourceRef: { url: 'ignored' } },
      { nothing: {} },
      { externalSourceRef: { url: 'https://example.com/v.yaml' } },
      { chartFileRef: { path: 'v.yaml', optional: true } },
    ],
  })

  expect(read.valueSources).toEqual([
    { kind: 'Secret', ref: { namespace: 'a', name: 's' }, key: 'values.yaml', optional: false },
    { kind: 'ConfigMap', ref: { namespace: 'other', name: 'c' }, key: 'k', optional: true },
    { kind: 'Secret', ref: { namespace: 'a', name: 't' }, key: 'values.yaml', optional: false },
    { kind: 'url', url: 'https://example.com/v.yaml', optional: false },
    { kind: 'chartFile', path: 'v.yaml', optional: true },
  ])
})

test('annotations are settings of ours', () => {
  const { annotations } = release(
    {},
    {
      annotations: {
        'helm.fluxcd.io/suspend': 'true',
        'helm.fluxcd.io/depends-on': 'first, other/second,',
        'helm.fluxcd.io/interval': '10m',
        'helm.fluxcd.io/migrate': 'false',
      },
    },
  )

  expect(annotations).toMatchObject({
    suspended: true,
    dependsOn: ['a/first', 'other/second'],
    interval: '10m',
    migrate: true,
  })
})

test('whatever stands in a resource is read', () => {
  const odd = {
    apiVersion: 1,
    metadata: { name: 'n', annotations: [], finalizers: 'x' },
    spec: 'text',
    status: [],
  }

  expect(readHelmRelease(odd as unknown as JsonObject)).toMatchObject({ namespace: 'default', values: {} })
  expect(readHelmRelease({})).toBeUndefined()
})

test('names that Helm refuses are refused before', () => {
  expect(defaultReleaseName('a', 'b', 'n')).toBe('a-b-n')
  for (const name of ['podinfo', 'a.b-c', 'x'.repeat(53)]) expect(() => checkReleaseName(name)).not.toThrow()
  for (const name of ['', 'A', '-a', 'a-', 'a_b', 'x'.repeat(54)])
    expect(() => checkReleaseName(name)).toThrow(`release name is invalid: ${name}`)
})
