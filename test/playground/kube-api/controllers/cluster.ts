import { onTestFinished } from 'vitest'
import type { JsonObject } from '../../../../src/core/json.ts'
import type { Client } from '../../../../src/playground/kube-api/client.ts'
import {
  type ControllersOptions,
  startControllers,
} from '../../../../src/playground/kube-api/controllers/controllers.ts'
import { listAt } from '../../../../src/playground/kube-api/fields.ts'
import type { KubeObject } from '../../../../src/playground/kube-api/model.ts'
import { collectGarbage } from '../../../../src/playground/kube-api/rest/cleanup.ts'
import { createClient } from '../../../../src/playground/kube-api/rest/client.ts'
import { Resources } from '../../../../src/playground/kube-api/rest/resources.ts'
import { builtInResources } from '../../../../src/playground/kube-api/schema/types.ts'
import { Store } from '../../../../src/playground/kube-api/store.ts'

/** The API in this process with its controllers, a namespace `demo`, and no server. */

export interface TestCluster {
  client: Client
  store: Store
  get(collection: string, name: string): KubeObject
  list(collection: string): readonly KubeObject[]
  create(object: JsonObject): KubeObject
  /** reasons and messages of events about one kind, in the order they were made */
  events(kind: string): string[]
  /** poll until it gives something that is not false */
  until<T>(what: () => T | undefined | false, withinMs?: number): Promise<T>
}

const collections: Record<string, string> = {
  ConfigMap: 'configmaps',
  CronJob: 'cronjobs.batch',
  DaemonSet: 'daemonsets.apps',
  Deployment: 'deployments.apps',
  Job: 'jobs.batch',
  PersistentVolumeClaim: 'persistentvolumeclaims',
  Pod: 'pods',
  PodDisruptionBudget: 'poddisruptionbudgets.policy',
  Service: 'services',
  StatefulSet: 'statefulsets.apps',
}

const apiVersions: Record<string, string> = {
  CronJob: 'batch/v1',
  DaemonSet: 'apps/v1',
  Deployment: 'apps/v1',
  Job: 'batch/v1',
  PodDisruptionBudget: 'policy/v1',
  StatefulSet: 'apps/v1',
}

export function startTestCluster(options: ControllersOptions = {}): TestCluster {
  const store = new Store()
  const world = { store, resources: new Resources(builtInResources()), now: () => new Date() }
  const client = createClient(world, 'test')
  const endGarbage = collectGarbage(world)
  for (const name of ['default', 'demo']) {
    client.create('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }
  const bugs: unknown[] = []
  const controllers = startControllers(client, { onBug: (error) => bugs.push(error), ...options })
  onTestFinished(() => {
    controllers.close()
    endGarbage()
    if (bugs.length > 0) throw bugs[0]
  })
  const list = (collection: string) => client.list(collection, { namespace: 'demo' })
  return {
    client,
    store,
    get(collection, name) {
      const found = client.get(collection, 'demo', name)
      if (found === undefined) throw new Error(`there is no ${collection} ${name}`)
      return found
    },
    list,
    create({ kind, metadata, ...rest }) {
      const collection = collections[String(kind)] ?? ''
      const apiVersion = apiVersions[String(kind)] ?? 'v1'
      const place = { ...(metadata as JsonObject), namespace: 'demo' } as unknown as KubeObject['metadata']
      return client.create(collection, { apiVersion, kind: String(kind), metadata: place, ...rest })
    },
    events: (kind) =>
      [...list('events')]
        .filter(({ involvedObject }) => (involvedObject as JsonObject)['kind'] === kind)
        .sort((a, b) => Number(a.metadata['resourceVersion']) - Number(b.metadata['resourceVersion']))
        .map(({ reason, message }) => `${String(reason)}: ${String(message)}`),
    async until(what, withinMs = 10_000) {
      const end = performance.now() + withinMs
      for (;;) {
        if (bugs.length > 0) throw bugs[0]
        const found = what()
        if (found !== undefined && found !== false) return found
        if (performance.now() > end) throw new Error('it did not happen')
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
  }
}

export function template(name: string, image: string, spec: JsonObject = {}): JsonObject {
  return { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'web', image }], ...spec } }
}

/** A workload of any kind that has a selector and a template. */
export function workload(kind: string, name: string, spec: JsonObject = {}, image = 'web:1'): JsonObject {
  return {
    kind,
    metadata: { name },
    spec: { selector: { matchLabels: { app: name } }, template: template(name, image), ...spec },
  }
}

export function conditions(object: KubeObject): string[] {
  return listAt(object, 'status.conditions').map(
    ({ type, status, reason }) => `${String(type)}=${String(status)} ${String(reason)}`,
  )
}

export function image(container: string): JsonObject {
  return { spec: { template: { spec: { containers: [{ name: 'web', image: container }] } } } }
}
