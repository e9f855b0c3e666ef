import { randomBytes } from 'node:crypto'
import { test as base, inject } from 'vitest'
import { planeSkipReason, request } from './control-plane.ts'
import type { SharedControlPlane } from './control-plane-for-run.ts'

export interface ClusterFixtures {
  /** the control plane of the run; without one the test is skipped */
  plane: SharedControlPlane
  /** made for this test, deleted after it */
  namespace: string
}

/** `test` for the projects with an API server. */
export const test = base.extend<ClusterFixtures>({
  plane: async ({ skip }, use) => {
    const plane = inject('controlPlane')
    if (plane === undefined) return skip(planeSkipReason)
    await use(plane)
  },
  namespace: async ({ plane }, use) => {
    const name = `test-${randomBytes(4).toString('hex')}`
    await request(plane, 'POST', '/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name },
    })
    await use(name)
    await request(plane, 'DELETE', `/api/v1/namespaces/${name}`)
  },
})

/** Why a test is skipped on the embedded API server; CI lets that pass, and no other reason. */
export function realOnly(why: string): string {
  return `only on the real API server: ${why}`
}
