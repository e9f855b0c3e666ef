import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ControlPlane, planeSkipReason, startControlPlane } from '../../support/control-plane.ts'
import { expectNothingLeft, startDemo } from '../../support/demo.ts'
import { helm } from '../../support/neighbours.ts'

/** `fluxctl demo --kubeconfig`: an API server that somebody names in the place of the playground's. */

describe.skipIf(planeSkipReason !== undefined)('an API server of its own', () => {
  let plane: ControlPlane
  beforeAll(async () => {
    plane = await startControlPlane({ controllers: true })
  })
  afterAll(() => plane.close())

  const namespaces = async () => {
    const { body } = await plane.request('GET', '/api/v1/namespaces')
    return (body as { items: { metadata: { name: string } }[] }).items.map(({ metadata }) => metadata.name)
  }
  const definitions = async () => {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
    return ((await plane.request('GET', path)).body as { items: unknown[] }).items
  }
  const refusal = async () => {
    // the playground's API answers in this very process, so nothing may wait here
    await using demo = startDemo([`--kubeconfig=${plane.kubeconfig}`])
    const { code, stdout, stderr } = await demo.ended()
    expect({ code, stdout: stdout.replace(/^\n1\/13 .*\n.*\n\n/, '') }).toEqual({ code: 1, stdout: '' })
    return stderr
  }

  test('the story comes out well on it, and it is empty again afterwards', async () => {
    const before = await namespaces()
    await using demo = startDemo([`--kubeconfig=${plane.kubeconfig}`])

    const { code, stdout, stderr } = await demo.ended()

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`is ready at ${plane.server}`)
    expect(stdout).toContain('✓ two pods run podinfo 3.1.7 and are ready')
    await expectNothingLeft(demo)
    await expect.poll(namespaces, { timeout: 30_000 }).toEqual(before)
  }, 120_000)

  test.skipIf(helm('4.2') === undefined)(
    'with helm too',
    async () => {
      const before = await namespaces()
      await using demo = startDemo([`--kubeconfig=${plane.kubeconfig}`], { programs: { helm: helm('4.2') } })

      const { code, stdout, stderr } = await demo.ended()

      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toContain('\nAll 16 steps came out as told')
      await expectNothingLeft(demo)
      await expect.poll(namespaces, { timeout: 30_000 }).toEqual(before)
      await expect.poll(definitions, { timeout: 30_000 }).toEqual([])
    },
    120_000,
  )

  test('one that is in use is left alone', async () => {
    const deployment = {
      metadata: { name: 'web' },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'web', image: 'web' }] },
        },
      },
    }

    await plane.request('POST', '/apis/apps/v1/namespaces/default/deployments', deployment)
    expect(await refusal()).toContain(`${plane.server} is in use: it has workloads in the namespace default`)
    await plane.request('POST', '/api/v1/namespaces', { metadata: { name: 'shop' } })
    expect(await refusal()).toContain(`${plane.server} is in use: it has the namespaces shop`)

    expect(await namespaces()).not.toContain('flux')
  })
})
