import type { Client } from '../client.ts'
import { createCronJobs } from './cron-jobs.ts'
import { createDaemonSets } from './daemon-sets.ts'
import { createDeployments } from './deployments.ts'
import { Host } from './host.ts'
import { createJobs } from './jobs.ts'
import { announceNode, createKubelet } from './kubelet.ts'
import { createReplicaSets, createReplicationControllers } from './replica-sets.ts'
import { createEndpointsCleaner, createServices } from './services.ts'
import { createStatefulSets } from './stateful-sets.ts'
import { createClaims, createDisruptionBudgets, createVolumes, expireEvents } from './upkeep.ts'

/**
 * What makes things happen in the embedded cluster: the controllers of Kubernetes as far as a rollout, a chart or a
 * test needs them, with the conditions, events and names of the real ones, and one node on which every pod is ready at
 * once.
 *
 * Left out: autoscaling, volumes that are bound or provisioned (claims stay `Pending`, and pods run all the same),
 * resources, taints, affinity, priorities and preemption.
 */

export interface ControllersOptions {
  /** images that can never be pulled; a single pod can be told so by the annotation `playground.fluxcd.io/outcome` */
  neverReady?: (image: string) => boolean
  /** is told of our own mistakes; by default they end the process */
  onBug?: (error: unknown) => void
}

export interface Controllers {
  close(): void
}

export function startControllers(
  client: Client,
  { neverReady = () => false, onBug = throwLater }: ControllersOptions = {},
): Controllers {
  const host = new Host(client, onBug)
  announceNode(host)
  host.start([
    createKubelet(host, { neverReady }),
    createReplicaSets(host),
    createReplicationControllers(host),
    createDeployments(host),
    createStatefulSets(host),
    createDaemonSets(host),
    createJobs(host),
    createCronJobs(host),
    createServices(host),
    createEndpointsCleaner(host),
    createDisruptionBudgets(host),
    createClaims(host),
    createVolumes(host),
  ])
  const endExpiry = expireEvents(host)
  return {
    close() {
      endExpiry()
      host.close()
    },
  }
}

function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}
