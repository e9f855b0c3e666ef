import type { Duplex } from 'node:stream'

/** How fluxctl reaches a fluxd in a cluster: look for its pod, then speak to it through a port-forward. */

export interface PodSummary {
  namespace: string
  name: string
  uid: string
  labels: Readonly<Record<string, string>>
  phase: string
  ready: boolean
  node: string | undefined
  serviceAccount: string | undefined
  image: string | undefined
  /** set when the pod is being deleted */
  terminating: boolean
  /** controller owner: kind and name, such as `ReplicaSet` `flux-7d4f` */
  owner: { kind: string; name: string } | undefined
}

/** Where the connection settings came from, for error texts. */
export interface KubeOrigin {
  /** kubeconfig files that were looked for, in order; empty in a pod */
  files: string[]
  context: string | undefined
  server: string
  /** namespace of the context, or `default` */
  namespace: string
}

export interface KubeAccess {
  readonly origin: KubeOrigin
  /** All namespaces when `namespace` is absent. @throws FluxError `CLUSTER_UNREACHABLE` | `CLUSTER_FORBIDDEN` | `CLUSTER_DENIED` */
  listPods(query: {
    namespace?: string
    labelSelector: string
    fieldSelector?: string
    signal?: AbortSignal
  }): Promise<PodSummary[]>
  /** Whether the pod's ReplicaSet belongs to a Deployment. */
  ownedByDeployment(pod: PodSummary, signal?: AbortSignal): Promise<boolean>
  /** One stream to a port of a pod (WebSocket, `v4.channel.k8s.io`). @throws FluxError `PORT_FORWARD_FAILED` */
  forward(target: { namespace: string; pod: string; port: number }, signal?: AbortSignal): Promise<Duplex>
  close(): Promise<void>
}
