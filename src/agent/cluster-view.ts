import type { JsonObject } from '../core/json.ts'
import { isJsonObject, valueAt } from '../core/json.ts'
import { type Policies, readClusterPolicies } from '../core/policy/policy.ts'
import { parseResourceId, type ResourceId } from '../core/resource/id.ts'
import { type Rollout, readRollout } from '../core/resource/rollout.ts'
import { readWorkload, type Workload } from '../core/resource/workload.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster, Discovery, ResourceType } from '../ports/cluster.ts'
import type { Log } from '../ports/log.ts'
import { type Collection, followCollection, type LiveObject, objectName } from './collection.ts'

/** The workload kinds that are followed whole, by the API that serves them. */
const workloadTypes = [
  ['apps/v1', 'Deployment'],
  ['apps/v1', 'DaemonSet'],
  ['apps/v1', 'StatefulSet'],
  ['batch/v1', 'CronJob'],
  ['helm.fluxcd.io/v1', 'HelmRelease'],
  ['flux.weave.works/v1beta1', 'HelmRelease'],
  ['helm.integrations.flux.weave.works/v1alpha2', 'FluxHelmRelease'],
] as const

/** A workload that runs, trimmed to what listings and releases need. */
export interface LiveWorkload {
  live: LiveObject
  workload: Workload
  status: string
  rollout: Rollout
  antecedent: ResourceId | undefined
  /** from `fluxcd.io/` annotations only, as v1 reads live objects */
  policies: Policies
  /** where the credentials for its images are */
  pull: { namespace: string; serviceAccount: string; secrets: readonly string[] }
}

export interface ClusterView {
  /** Follow the workload kinds that are served, and metadata of these other kinds. Kinds already followed go on. */
  follow(discovery: Discovery, owned: readonly ResourceType[]): void
  /** Resolves when kinds are followed, and every one of them was listed once. */
  listed(): Promise<void>
  /** Workloads by ID; add-ons of the system are left out. */
  workloads(): Map<ResourceId, LiveWorkload>
  /** A live object of a followed kind. */
  find(type: ResourceType, namespace: string | undefined, name: string): LiveObject | undefined
  isFollowed(type: ResourceType): boolean
  /** every followed collection has been watched without a gap */
  healthy(): boolean
  /** An apply of ours came back: it may be ahead of the watch. */
  put(type: ResourceType, object: JsonObject): void
}

export interface ClusterViewOptions {
  cluster: Cluster
  /** empty: all */
  namespaces: readonly string[]
  /** told of each object that the server says has changed, or is gone */
  onChange(id: ResourceId): void
  clock: Clock
  log: Log
  signal: AbortSignal
}

export function createClusterView({
  cluster,
  namespaces,
  onChange,
  clock,
  log,
  signal,
}: ClusterViewOptions): ClusterView {
  const whole = new Map<string, Collection<LiveWorkload>>()
  const metadata = new Map<string, Collection<{ live: LiveObject }>>()
  const common = {
    cluster,
    namespaces: namespaces.length > 0 ? namespaces : undefined,
    onChange,
    clock,
    log,
    signal,
  }
  let begun = () => {}
  const following = new Promise<void>((resolve) => {
    begun = resolve
  })
  signal.addEventListener('abort', () => begun())
  const collectionOf = (type: ResourceType) => whole.get(keyOf(type)) ?? metadata.get(keyOf(type))

  return {
    follow(discovery, owned) {
      for (const [apiVersion, kind] of workloadTypes) {
        const type = discovery.find(apiVersion, kind)
        if (!type || whole.has(keyOf(type))) continue
        whole.set(keyOf(type), followCollection({ ...common, type, metadataOnly: false, trim: trimWorkload }))
      }
      for (const type of owned) {
        if (collectionOf(type)) continue
        metadata.set(
          keyOf(type),
          followCollection({ ...common, type, metadataOnly: true, trim: (_, live) => ({ live }) }),
        )
      }
      begun()
    },

    async listed() {
      await following
      await Promise.all([...whole.values(), ...metadata.values()].map((collection) => collection.listed))
    },

    workloads() {
      const found = new Map<ResourceId, LiveWorkload>()
      for (const { objects } of whole.values()) {
        for (const entry of objects.values()) if (!isAddOn(entry.live)) found.set(entry.live.id, entry)
      }
      return found
    },

    find: (type, namespace, name) => collectionOf(type)?.objects.get(objectName(namespace, name))?.live,
    isFollowed: (type) => collectionOf(type) !== undefined,
    healthy: () => [...whole.values(), ...metadata.values()].every((collection) => collection.healthy()),
    put: (type, object) => collectionOf(type)?.put(object),
  }
}

function keyOf({ group, kind }: ResourceType): string {
  return `${group}/${kind}`
}

function trimWorkload(object: JsonObject, live: LiveObject): LiveWorkload {
  const template = templateOf(object)
  const secrets = valueAt(template, 'imagePullSecrets')
  const serviceAccount = valueAt(template, 'serviceAccountName')
  return {
    live,
    workload: readWorkload(live.id, live.key.type.kind, object) ?? { id: live.id, containers: [] },
    ...readRollout(live.key.type.kind, object),
    antecedent: readAntecedent(
      live.annotations['helm.fluxcd.io/antecedent'] ?? live.annotations['flux.weave.works/antecedent'],
    ),
    policies: readClusterPolicies({ ...live.annotations }),
    pull: {
      namespace: live.key.namespace ?? '',
      serviceAccount:
        typeof serviceAccount === 'string' && serviceAccount !== '' ? serviceAccount : 'default',
      secrets: (Array.isArray(secrets) ? secrets : [])
        .map((secret) => valueAt(secret, 'name'))
        .filter((name) => typeof name === 'string'),
    },
  }
}

/** The pod template's spec; of a CronJob, its job's. */
function templateOf(object: JsonObject): JsonObject {
  const pod =
    valueAt(object, 'spec', 'template', 'spec') ??
    valueAt(object, 'spec', 'jobTemplate', 'spec', 'template', 'spec')
  return isJsonObject(pod) ? pod : {}
}

function readAntecedent(text: string | undefined): ResourceId | undefined {
  try {
    return text ? parseResourceId(text) : undefined
  } catch {
    return undefined // people write what they like there
  }
}

/** What the cluster itself brought along is not ours to change, and not shown. */
function isAddOn({ key, labels }: LiveObject): boolean {
  if (key.namespace !== 'kube-system') return false
  const mode = labels['addonmanager.kubernetes.io/mode']
  return labels['kubernetes.io/cluster-service'] === 'true' || mode === 'EnsureExists' || mode === 'Reconcile'
}
