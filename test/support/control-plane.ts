import { inject } from 'vitest'
import type { ControlPlane, ControlPlaneOptions } from '../../src/playground/kube/control-plane.ts'
import { skipReasonFor, startPlane } from './control-plane-for-run.ts'

/**
 * The API server of the project that a test runs in: the suites of `test/cluster` and `test/contract` run on each.
 *
 * A test that needs one of its own is skipped for `planeSkipReason`, and calls `startControlPlane`.
 */
export * from '../../src/playground/kube/control-plane.ts'

export const planeKind = inject('planeKind')

/** Why there can be no such API server here. */
export const planeSkipReason = skipReasonFor(planeKind)

export function startControlPlane(options?: ControlPlaneOptions): Promise<ControlPlane> {
  return startPlane(planeKind, options)
}
