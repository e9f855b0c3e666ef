import type { TestProject } from 'vitest/node'
import {
  type ControlPlane,
  type ControlPlaneAccess,
  type ControlPlaneOptions,
  controlPlaneAssets,
  freePorts,
  startControlPlane,
} from '../../src/playground/kube/control-plane.ts'

/**
 * One control plane, with controllers and a node, for all tests of a run.
 *
 * Vitest calls the default export once for each project with API servers. Its tests take `test` from `cluster-test.ts`.
 */

/** The embedded API server of `src/playground/kube-api`, or the real kube-apiserver. */
export type PlaneKind = 'playground' | 'real'

const forwardedNamespaces = ['flux', 'echo', 'contract'] as const

export interface SharedControlPlane extends ControlPlaneAccess {
  /** where on 127.0.0.1 a port-forward to port 3030 of any pod in a namespace leads: one for each file that listens */
  forwards: Readonly<Record<(typeof forwardedNamespaces)[number], number>>
}

declare module 'vitest' {
  export interface ProvidedContext {
    /** said by `vitest.config.ts` */
    planeKind: PlaneKind
    controlPlane: SharedControlPlane | undefined
  }
}

/** Why there can be no API server of this kind here. */
export function skipReasonFor(kind: PlaneKind): string | undefined {
  const missing = kind === 'real' && controlPlaneAssets() === undefined
  return missing ? 'KUBEBUILDER_ASSETS is not set: tests with a real kube-apiserver are skipped' : undefined
}

export async function startPlane(kind: PlaneKind, options?: ControlPlaneOptions): Promise<ControlPlane> {
  if (kind === 'real') return startControlPlane(options)
  const { startKubeApi } = await import('../../src/playground/kube-api/api.ts')
  return startKubeApi(options)
}

export default async function startForRun(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const { planeKind } = project.getProvidedContext()
  const skipReason = skipReasonFor(planeKind)
  if (skipReason !== undefined) {
    console.log(skipReason)
    return undefined
  }
  const [flux = 0, echo = 0, contract = 0] = await freePorts(forwardedNamespaces.length)
  const forwards = { flux, echo, contract }
  const plane = await startPlane(planeKind, {
    controllers: true,
    portForwards: forwardedNamespaces.map((namespace) => ({
      namespace,
      port: 3030,
      targetPort: forwards[namespace],
    })),
  })
  const { kubeconfig, server, token, ca, auditLogPath } = plane
  project.provide('controlPlane', { kubeconfig, server, token, ca, auditLogPath, forwards })
  return plane.close
}
