import { expect } from 'vitest'
import { test } from '../../support/cluster-test.ts'
import { readAuditLog, request } from '../../support/control-plane.ts'

test('a Deployment rolls out and every request is in the audit log', async ({ plane, namespace }) => {
  const labels = { app: 'web' }
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments`
  await request(plane, 'POST', path, {
    metadata: { name: 'web' },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'web:1' }] } },
    },
  })

  await expect
    .poll(async () => (await request(plane, 'GET', `${path}/web`)).body, { timeout: 30_000 })
    .toMatchObject({ status: { readyReplicas: 2 } })

  const entries = (await readAuditLog(plane.auditLogPath)).filter((entry) => entry.requestURI === path)
  expect(entries).toMatchObject([{ verb: 'create', responseStatus: { code: 201 } }])
})
