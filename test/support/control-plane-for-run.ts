import type { TestProject } from 'vitest/node'
import {
  type ControlPlaneAccess,
  controlPlaneAssets,
  freePorts,
  startControlPlane,
} from '../../src/playground/kube/control-plane.ts'

/**
 * One control plane, with controllers and a node, for all tests of a run.
 *
 * Vitest calls the default export once for the project `real`. Its tests take `test` from `real-test.ts`.
 */

export interface SharedControlPlane extends ControlPlaneAccess {
  /** where on 127.0.0.1 a port-forward to port 3030 of any pod in the namespace `flux` leads */
  fluxPort: number
}

declare module 'vitest' {
  export interface ProvidedContext {
    controlPlane: SharedControlPlane | undefined
  }
}

export const skipReason = 'KUBEBUILDER_ASSETS is not set: tests with a real kube-apiserver are skipped'

export default async function startForRun(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (controlPlaneAssets() === undefined) {
    console.log(skipReason)
    return undefined
  }
  const [fluxPort = 0] = await freePorts(1)
  const plane = await startControlPlane({
    controllers: true,
    portForwards: [{ namespace: 'flux', port: 3030, targetPort: fluxPort }],
  })
  const { kubeconfig, server, token, ca, auditLogPath } = plane
  project.provide('controlPlane', { kubeconfig, server, token, ca, auditLogPath, fluxPort })
  return plane.close
}
