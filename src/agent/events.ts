import { describeEvent } from '../api/event.ts'
import { messageOf } from '../core/errors.ts'
import { type ResourceId, resourceIdParts } from '../core/resource/id.ts'
import type { FluxEvent } from '../core/sync/event.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster } from '../ports/cluster.ts'
import type { Log } from '../ports/log.ts'
import type { SyncFailure } from './sync.ts'

/** Tells what happened: one log line an event, as v1, and Kubernetes events on the objects concerned. */
export interface Events {
  emit(event: FluxEvent): Promise<void>
  /** What could not be applied, once for each new reason. */
  tellFailures(failures: readonly SyncFailure[]): Promise<void>
}

/** Events about more objects than this would tell nobody anything. */
const toldAtOnce = 20

export function createEvents({ cluster, log }: { cluster: Cluster; clock: Clock; log: Log }): Events {
  let told = new Map<ResourceId, string>()
  return {
    async emit(event) {
      log.write({ component: 'daemon', event: describeEvent(event), logupstream: false })
    },

    async tellFailures(failures) {
      const news = failures.filter(({ id, error }) => told.get(id) !== error.what)
      told = new Map(failures.map(({ id, error }) => [id, error.what]))
      for (const { id, apiVersion, kind, source, error } of news.slice(0, toldAtOnce)) {
        const { namespace, name } = resourceIdParts(id)
        const scope = namespace === '<cluster>' ? {} : { namespace }
        const message = [`${source}: ${error.what}`, error.next].filter(Boolean).join('\n')
        const regarding = { apiVersion, kind, name, ...scope }
        await cluster
          .writeEvent({ regarding, type: 'Warning', reason: 'SyncFailed', message, component: 'fluxd' })
          .catch((thrown) =>
            log.write({ component: 'cluster', info: 'an event was not written', err: messageOf(thrown) }),
          )
      }
    },
  }
}
