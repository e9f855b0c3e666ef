import { expect, test } from 'vitest'
import { driftedPaths, ignoredPaths } from '../../../src/core/helm/drift.ts'
import { readManifestObjects } from '../../../src/core/helm/manifest-objects.ts'

const live = {
  metadata: { name: 'app', generation: 3, resourceVersion: '9', annotations: { a: '1' } },
  spec: { replicas: 5, template: { image: 'x' } },
  status: { ready: 5 },
}

test('tells where a dry run would change a live object, and nothing of its bookkeeping', () => {
  const dryRun = {
    metadata: { name: 'app', generation: 4, resourceVersion: '10', annotations: { a: '1' } },
    spec: { replicas: 2, template: { image: 'y' } },
  }

  expect(driftedPaths(live, dryRun, [])).toEqual(['spec.replicas', 'spec.template.image'])
  expect(driftedPaths(live, dryRun, ['spec.replicas'])).toEqual(['spec.template.image'])
  expect(driftedPaths(live, dryRun, ['spec'])).toEqual([])
  expect(driftedPaths(live, live, [])).toEqual([])
  const left = { ...live, metadata: { annotations: { 'fluxcd.io/ignore': 'true' } } }
  expect(driftedPaths(left, dryRun, [])).toEqual([])
})

test('rules hold for all objects or for one, and an autoscaler owns replicas', () => {
  const objects = readManifestObjects(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
---
apiVersion: v1
kind: List
items:
- apiVersion: autoscaling/v2
  kind: HorizontalPodAutoscaler
  metadata: {name: app}
  spec: {scaleTargetRef: {kind: Deployment, name: app}}
---
not: an object
--- 
broken: {
`)
  expect(objects.map(({ kind }) => kind)).toEqual(['Deployment', 'HorizontalPodAutoscaler'])
  const [deployment, autoscaler] = objects
  if (!deployment || !autoscaler) throw new Error('not read')

  const rules = ['metadata.labels', 'Deployment/app:spec.paused', 'Service/app:spec']
  expect(ignoredPaths(deployment, objects, rules)).toEqual([
    'metadata.labels',
    'spec.paused',
    'spec.replicas',
  ])
  expect(ignoredPaths(autoscaler, objects, rules)).toEqual(['metadata.labels'])
})
