import { readFileSync } from 'node:fs'
import { loadAll } from 'js-yaml'
import { expect } from 'vitest'
import { isJsonObject, type JsonObject, valueAt } from '../../../src/core/json.ts'
import { test as base } from '../../support/cluster-test.ts'
import { request } from '../../support/control-plane.ts'
import { gitServer } from '../../support/git-server.ts'
import { helm } from '../../support/neighbours.ts'
import { eventually } from '../../support/programs.ts'
import { demoCharts, helmWorld } from './world.ts'

const test = base.skipIf(helm('4.2') === undefined)

test('reads the kinds of 2018 and 2019, and answers in their words', async ({ plane, namespace }) => {
  const crds = (loadAll(readFileSync('deploy/crds/older-helmreleases.yaml', 'utf8')) as unknown[]).filter(
    isJsonObject,
  )
  for (const crd of crds) {
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${valueAt(crd, 'metadata', 'name')}`
    await request(plane, 'PATCH', `${path}?fieldManager=test&force=true`, crd, {
      'content-type': 'application/apply-patch+yaml',
    })
  }
  const alpha = `/apis/helm.integrations.flux.weave.works/v1alpha2/namespaces/${namespace}/fluxhelmreleases`
  const beta = `/apis/flux.weave.works/v1beta1/namespaces/${namespace}/helmreleases`
  await eventually(async () => (await request(plane, 'GET', alpha)).status === 200, 'FluxHelmReleases')
  await eventually(async () => (await request(plane, 'GET', beta)).status === 200, 'older HelmReleases')
  await using upstream = await gitServer(demoCharts(), { branch: 'master' })
  await using world = await helmWorld(plane, namespace, {
    args: ['--enable-older-kinds', `--git-url=${upstream.openUrl}`],
  })

  await request(plane, 'POST', alpha, {
    apiVersion: 'helm.integrations.flux.weave.works/v1alpha2',
    kind: 'FluxHelmRelease',
    metadata: { name: 'first', labels: { chart: 'podinfo' } },
    spec: { chartGitPath: 'podinfo', releaseName: 'first', values: { replicaCount: 2 } },
  })
  await request(plane, 'POST', beta, {
    apiVersion: 'flux.weave.works/v1beta1',
    kind: 'HelmRelease',
    metadata: { name: 'second' },
    spec: { chart: { git: upstream.openUrl, path: 'charts/podinfo', ref: 'master' }, values: {} },
  })

  const status = async (path: string) =>
    valueAt((await request(plane, 'GET', path)).body as JsonObject, 'status', 'releaseStatus')
  await eventually(async () => (await status(`${alpha}/first`)) === 'DEPLOYED', 'the first')
  await eventually(async () => (await status(`${beta}/second`)) === 'DEPLOYED', 'the second')
  const annotation = async (name: string) => {
    const object = await world.object(`/apis/apps/v1/namespaces/${namespace}/deployments/${name}`)
    return valueAt(object, 'metadata', 'annotations', 'flux.weave.works/antecedent')
  }
  await expect.poll(() => annotation('first')).toBe(`${namespace}:fluxhelmrelease/first`)
  await expect.poll(() => annotation(`${namespace}-second`)).toBe(`${namespace}:helmrelease/second`)

  for (const path of [`${alpha}/first`, `${beta}/second`]) {
    await request(plane, 'DELETE', path)
    await eventually(async () => (await request(plane, 'GET', path)).status === 404, `${path} gone`)
  }
})
