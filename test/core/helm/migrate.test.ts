import { expect, test } from 'vitest'
import { FluxError } from '../../../src/core/errors.ts'
import { migrateHelmReleases } from '../../../src/core/helm/migrate.ts'
import { parseManifestFile } from '../../../src/core/manifest/document.ts'

const charts = { git: 'git@example.com:org/gitops-helm', ref: 'master', chartsPath: 'charts' }

const migrate = (text: string, repository: typeof charts | undefined = charts) =>
  migrateHelmReleases(parseManifestFile('releases/podinfo.yaml', text), repository)

test('rewrites a FluxHelmRelease, and keeps its comments, order, label and annotations', () => {
  const { text, migrated } = migrate(`---
# production
apiVersion: helm.integrations.flux.weave.works/v1alpha2
kind: FluxHelmRelease   # since 2018
metadata:
  name: podinfo-prod
  namespace: prod
  labels: {chart: podinfo}
  annotations:
    flux.weave.works/automated: "true"
spec:
  chartGitPath: podinfo
  releaseName: podinfo-prod
  values:
    image: example/podinfo:0.4.10 # by fluxd
    replicaCount: 3
`)

  expect(text).toBe(`---
# production
apiVersion: helm.fluxcd.io/v1
kind: HelmRelease   # since 2018
metadata:
  name: podinfo-prod
  namespace: prod
  labels: {chart: podinfo}
  annotations:
    flux.weave.works/automated: "true"
spec:
  releaseName: podinfo-prod
  values:
    image: example/podinfo:0.4.10 # by fluxd
    replicaCount: 3
  chart:
    git: git@example.com:org/gitops-helm
    ref: master
    path: charts/podinfo
`)
  expect(migrated.map(({ manifest, from }) => [String(manifest.id), from])).toEqual([
    ['prod:fluxhelmrelease/podinfo-prod', 'helm.integrations.flux.weave.works/v1alpha2'],
  ])
})

test('changes the version alone of a HelmRelease of 2019, among others in its file', () => {
  const other = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: dev}\n---\n'
  const beta = (version: string) => `apiVersion: ${version}
kind: HelmRelease
metadata: {name: web, namespace: dev}
spec: {releaseName: web, chart: {git: 'git@example.com:org/config', path: charts/web}}
`

  const { text } = migrate(other + beta('flux.weave.works/v1beta1'))

  expect(text).toBe(other + beta('helm.fluxcd.io/v1'))
})

test('rewriting twice is rewriting once', () => {
  const once = migrate(
    '{"apiVersion":"helm.integrations.flux.weave.works/v1alpha2","kind":"FluxHelmRelease","metadata":{"name":"a"},"spec":{"chartGitPath":"./a/","values":{}}}',
  ).text

  expect(JSON.parse(once)).toMatchObject({
    apiVersion: 'helm.fluxcd.io/v1',
    kind: 'HelmRelease',
    spec: { chart: { ...{ git: charts.git, ref: 'master' }, path: 'charts/a' }, values: {} },
  })
  expect(migrate(once)).toEqual({ text: once, migrated: [] })
})

const fluxHelmRelease = (spec: string, version = 'v1alpha2') =>
  `apiVersion: helm.integrations.flux.weave.works/${version}\nkind: FluxHelmRelease\nmetadata: {name: a}\nspec: ${spec}\n`

test.each([
  {
    what: 'the charts repository is unknown',
    spec: '{chartGitPath: a}',
    repository: undefined,
    says: '--git-url=URL',
  },
  { what: 'no chart is named', spec: '{values: {}}', repository: charts, says: 'Name the chart' },
  {
    what: 'values are a list',
    spec: '{chartGitPath: a, values: [{name: image.tag, value: b}]}',
    version: 'v1alpha',
    repository: charts,
    says: 'as a map',
  },
])('refuses, with file and line, where $what', ({ spec, version, repository, says }) => {
  let refusal: unknown
  try {
    migrateHelmReleases(parseManifestFile('a.yaml', `\n${fluxHelmRelease(spec, version)}`), repository)
  } catch (error) {
    refusal = error
  }

  expect(refusal).toBeInstanceOf(FluxError)
  expect(refusal).toMatchObject({
    code: 'HELM_RELEASE_NOT_MIGRATED',
    what: expect.stringMatching(/^a\.yaml:2: /),
  })
  expect((refusal as FluxError).next).toContain(says)
})
