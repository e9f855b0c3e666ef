import { describeEvent } from '../api/event.ts'
import { messageOf } from '../core/errors.ts'
import { clusterScope, type ResourceId, resourceIdParts } from '../core/resource/id.ts'
import type { FluxEvent } from '../core/sync/event.ts'
import type { PlannedApply } from '../core/sync/plan.ts'
import { apiVersionOf, type Cluster, type ClusterEvent } from '../ports/cluster.ts'
import type { Log } from '../ports/log.ts'
import type { ClusterView } from './cluster-view.ts'
import type { LiveObject } from './collection.ts'
import type { SyncFailure } from './sync.ts'

/** Tells what happened: one log line an event, as v1, and Kubernetes events on the objects concerned. */
export interface Events {
  emit(event: FluxEvent): Promise<void>
  /** What could not be applied, once for each new reason. */
  tellFailures(failures: readonly SyncFailure[]): Promise<void>
  /** That an object has drifted, and is left so. */
  tellDrift(told: { item: PlannedApply; reason: string; message: string }): Promise<void>
}

/** Events about more objects than this would tell nobody anything. */
const toldAtOnce = 20

export function createEvents({
  cluster,
  view,
  log,
}: {
  cluster: Cluster
  view: ClusterView
  log: Log
}): Events {
  let told = new Map<ResourceId, string>()
  const write = (event: Omit<ClusterEvent, 'component'>) =>
    cluster
      .writeEvent({ ...event, component: 'fluxd' })
      .catch((thrown) =>
        log.write({ component: 'cluster', info: 'an event was not written', err: messageOf(thrown) }),
      )

  return {
    async emit(event) {
      const text = describeEvent(event)
      log.write({ component: 'daemon', event: text, logupstream: false })
      if (event.type !== 'release' && event.type !== 'autorelease') return
      const workloads = view.workloads()
      for (const id of event.ids.slice(0, toldAtOnce)) {
        const live = workloads.get(id)?.live
        if (live) await write({ ...regardingOf(live), type: 'Normal', reason: 'Released', message: text })
      }
    },

    tellDrift: ({ item: { apiVersion, kind, namespace, name, source }, reason, message }) =>
      write({
        regarding: { apiVersion, kind, name, ...(namespace && { namespace }) },
        type: 'Warning',
        reason,
        message: `${source}: ${message}`,
      }),

    async tellFailures(failures) {
      const news = failures.filter(({ id, error }) => told.get(id) !== error.what)
      told = new Map(failures.map(({ id, error }) => [id, error.what]))
      for (const { id, apiVersion, kind, source, error } of news.slice(0, toldAtOnce)) {
        const { namespace, name } = resourceIdParts(id)
        const scope = namespace === clusterScope ? {} : { namespace }
        const message = [`${source}: ${error.what}`, error.next].filter(Boolean).join('\n')
        const regarding = { apiVersion, kind, name, ...scope }
        await write({ regarding, type: 'Warning', reason: 'SyncFailed', message })
      }
    },
  }
}

function regardingOf({ key, uid }: LiveObject): Pick<ClusterEvent, 'regarding'> {
  const scope = key.namespace === undefined ? {} : { namespace: key.namespace }
  return {
    regarding: { apiVersion: apiVersionOf(key.type), kind: key.type.kind, name: key.name, uid, ...scope },
  }
}
