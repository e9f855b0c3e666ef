import { readFileSync } from 'node:fs'
import { loadAll } from 'js-yaml'
import { expect } from 'vitest'
import { isJsonObject, type JsonObject, valueAt } from '../../../src/core/json.ts'
import { test } from '../../support/cluster-test.ts'
import { request } from '../../support/control-plane.ts'

/** The objects of a file below `deploy`. */
function objectsOf(file: string): JsonObject[] {
  return (loadAll(readFileSync(`deploy/${file}`, 'utf8')) as unknown[]).filter(isJsonObject)
}

test.for(['crds/helmreleases.yaml', 'crds/older-helmreleases.yaml'])(
  'the API server takes %s without a doubt',
  async (file, { plane }) => {
    for (const crd of objectsOf(file)) {
      const name = valueAt(crd, 'metadata', 'name') as string
      const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
      const reply = await request(plane, 'PATCH', `${path}/${name}?fieldManager=test&force=true`, crd, {
        'content-type': 'application/apply-patch+yaml',
      })

      expect([200, 201], JSON.stringify(reply.body)).toContain(reply.status)
      await expect
        .poll(async () => (await request(plane, 'GET', `${path}/${name}`)).body)
        .toMatchObject({
          status: {
            conditions: expect.arrayContaining([
              expect.objectContaining({ type: 'NamesAccepted', status: 'True' }),
              expect.objectContaining({ type: 'Established', status: 'True' }),
            ]),
          },
        })
      const { body } = await request(plane, 'GET', `${path}/${name}`)
      const conditions = valueAt(body as JsonObject, 'status', 'conditions') as JsonObject[]
      expect(conditions.filter(({ type }) => type === 'NonStructuralSchema')).toEqual([])
    }
  },
)

test.for(['fluxd.yaml', 'helm-operator.yaml'])(
  'the API server takes %s, and its pods where the restricted standard is enforced',
  async (file, { plane, namespace }) => {
    await request(
      plane,
      'PATCH',
      `/api/v1/namespaces/${namespace}`,
      { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } },
      { 'content-type': 'application/merge-patch+json' },
    )
    for (const object of objectsOf(file)) {
      const kind = String(object['kind'])
      const name = String(valueAt(object, 'metadata', 'name'))
      const isNamespaced = valueAt(object, 'metadata', 'namespace') !== undefined
      const metadata = { ...(object['metadata'] as JsonObject), ...(isNamespaced && { namespace }) }
      const group = String(object['apiVersion'])
      const root = group.includes('/') ? `/apis/${group}` : `/api/${group}`
      const path = `${root}${isNamespaced ? `/namespaces/${namespace}` : ''}/${kind.toLowerCase()}s/${name}`
      const reply = await request(
        plane,
        'PATCH',
        `${path}?dryRun=All&fieldManager=test&force=true&fieldValidation=Strict`,
        { ...object, metadata },
        { 'content-type': 'application/apply-patch+yaml' },
      )

      expect([200, 201], JSON.stringify(reply.body)).toContain(reply.status)
      if (kind === 'Deployment') {
        const template = valueAt(object, 'spec', 'template') as JsonObject
        const pod = {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name },
          spec: template['spec'] as JsonObject,
        }
        const taken = await request(plane, 'POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All`, pod)
        expect(taken.status, JSON.stringify(taken.body)).toBe(201)
      }
    }
  },
)
