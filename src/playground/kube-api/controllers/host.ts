import type { JsonObject } from '../../../core/json.ts'
import type { Client } from '../client.ts'
import { listAt, objectAt, textAt } from '../fields.ts'
import { type KubeObject, StatusError } from '../model.ts'
import type { Change } from '../store.ts'

/**
 * What controllers stand on: one queue of objects to look at again, an index of who belongs to whom, and events.
 *
 * A controller looks at one object at a time and brings the world nearer to what it says. It is told of changes by the
 * store's watch, so nothing is asked for again and again. The queue works a few milliseconds at a time, so that requests
 * are answered in between.
 */

export interface Controller {
  /** the collection whose objects it looks at */
  readonly collection: string
  /** of those objects; dependents that name an owner of this kind wake it */
  readonly kind: string
  /** @throws StatusError when somebody else was faster; it is tried again, later each time */
  sync(object: KubeObject): void
  /** which other objects a change concerns, by the collection it was in */
  readonly concerns?: Readonly<Record<string, (change: Change) => readonly Key[]>>
}

export interface Key {
  namespace: string
  name: string
}

const sliceMs = 8
const longestRetryMs = 10_000
/** from then on events of one reason about one thing are told as one */
const mostSimilar = 10
const mostRemembered = 4096

export class Host {
  readonly index: Index
  readonly #client: Client
  readonly #clients = new Map<string, Client>()
  readonly #onBug: (error: unknown) => void
  readonly #controllers = new Map<string, Controller>()
  readonly #byKind = new Map<string, Controller>()
  /** of each controller, those that are earlier in the list first: what is below is settled before what is above */
  readonly #queues = new Map<Controller, Map<string, Key>>()
  readonly #failures = new Map<string, number>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #recorded = new Map<string, { namespace: string; name: string; count: number }>()
  /** what was said about one thing for one reason */
  readonly #messages = new Map<string, Set<string>>()
  #unwatch: () => void = () => {}
  #scheduled = false
  #closed = false

  constructor(client: Client, onBug: (error: unknown) => void) {
    this.index = new Index(client)
    this.#client = noting(client, this.index)
    this.#onBug = onBug
  }

  /** The API under the name that the real writer has. */
  as(manager: string): Client {
    const client = this.#clients.get(manager) ?? this.#client.as(manager)
    this.#clients.set(manager, client)
    return client
  }

  start(controllers: readonly Controller[]): void {
    for (const controller of controllers) {
      this.#queues.set(controller, new Map())
      this.#controllers.set(controller.collection, controller)
      this.#byKind.set(controller.kind, controller)
    }
    const concerned = controllers.flatMap((controller) =>
      Object.entries(controller.concerns ?? {}).map(([collection, concern]) => ({
        collection,
        concern,
        controller,
      })),
    )
    const collections = new Set([
      ...indexed,
      ...controllers.map(({ collection }) => collection),
      ...concerned.map(({ collection }) => collection),
    ])
    this.#unwatch = this.#client.watch([...collections], (change) => {
      this.index.hear(change)
      this.#wake(change)
      for (const { collection, concern, controller } of concerned) {
        if (collection !== change.collection) continue
        for (const { namespace, name } of concern(change)) this.enqueue(controller, namespace, name)
      }
    })
    for (const collection of collections) {
      for (const object of this.#client.list(collection)) {
        this.index.note(collection, object)
        const { namespace = '', name } = object.metadata
        const controller = this.#controllers.get(collection)
        if (controller) this.enqueue(controller, String(namespace), name)
      }
    }
  }

  close(): void {
    this.#closed = true
    this.#unwatch()
    this.#queues.clear()
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  enqueue(controller: Controller, namespace: string, name: string): void {
    if (this.#closed) return
    this.#queues.get(controller)?.set(`${namespace}/${name}`, { namespace, name })
    this.#schedule()
  }

  /** Look at an object again in a while; a sooner time takes the place of a later one. */
  later(delayMs: number, controller: Controller, { metadata }: KubeObject): void {
    const namespace = String(metadata['namespace'] ?? '')
    const key = `${controller.collection} ${namespace}/${metadata.name}`
    clearTimeout(this.#timers.get(key))
    const timer = setTimeout(() => {
      this.#timers.delete(key)
      this.enqueue(controller, namespace, metadata.name)
    }, delayMs)
    this.#timers.set(key, timer.unref())
  }

  /** Write an event, or count it up when it is there. */
  record(
    component: string,
    involved: KubeObject,
    { type = 'Normal', reason, message, fieldPath, host }: EventText,
  ): void {
    const { name, uid, resourceVersion } = involved.metadata
    const namespace = String(involved.metadata['namespace'] ?? 'default')
    const client = this.as(component === 'kubelet' ? component : 'kube-controller-manager')
    const time = timestamp()
    const similar = `${String(uid)} ${component} ${type} ${reason}`
    const messages = this.#messages.get(similar) ?? new Set<string>()
    const isMany = !messages.has(message) && messages.size >= mostSimilar - 1
    if (!isMany) this.#messages.set(similar, messages.add(message))
    const said = isMany ? `(combined from similar events): ${message}` : message
    const known = `${similar} ${isMany ? '' : `${fieldPath ?? ''} ${message}`}`
    const before = this.#recorded.get(known)
    if (before && client.get('events', before.namespace, before.name)) {
      before.count++
      const patch = { count: before.count, lastTimestamp: time, message: said }
      client.patch('events', before.namespace, before.name, patch)
      return
    }
    const event = eventName(name)
    const source = { component, ...(host !== undefined && { host }) }
    this.#recorded.set(known, { namespace, name: event, count: 1 })
    for (const memory of [this.#recorded, this.#messages]) {
      if (memory.size > mostRemembered) memory.delete(memory.keys().next().value ?? '')
    }
    this.#tryCreateEvent(client, namespace, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: event, namespace },
      involvedObject: {
        kind: involved.kind,
        ...(involved.metadata['namespace'] !== undefined && { namespace }),
        name,
        uid: uid ?? '',
        apiVersion: involved.apiVersion,
        resourceVersion: resourceVersion ?? '',
        ...(fieldPath !== undefined && { fieldPath }),
      },
      reason,
      message: said,
      source,
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
      type,
      reportingComponent: component,
      reportingInstance: host ?? '',
    })
  }

  /** An event as the scheduler writes them. */
  recordScheduling(
    pod: KubeObject,
    { type = 'Normal', reason, message, action }: EventText & { action: string },
  ): void {
    const { name, namespace, uid, resourceVersion } = pod.metadata
    const known = `${String(uid)} ${reason} ${message}`
    if (this.#recorded.has(known)) return
    const event = eventName(name)
    this.#recorded.set(known, { namespace: String(namespace), name: event, count: 1 })
    this.#tryCreateEvent(this.as('kube-scheduler'), String(namespace), {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: event, namespace: namespace ?? '' },
      involvedObject: {
        kind: 'Pod',
        namespace: namespace ?? '',
        name,
        uid: uid ?? '',
        apiVersion: 'v1',
        resourceVersion: resourceVersion ?? '',
      },
      reason,
      message,
      source: {},
      type,
      eventTime: new Date().toISOString().replace('Z', '000Z'),
      action,
      reportingComponent: 'default-scheduler',
      reportingInstance: 'default-scheduler-playground',
    })
  }

  #tryCreateEvent(client: Client, namespace: string, event: KubeObject): void {
    try {
      client.create('events', event, { namespace })
    } catch (error) {
      // the namespace may be going; nobody waits for an event
      if (!(error instanceof StatusError)) throw error
    }
  }

  #wake({ collection, namespace, name, object, previous }: Change): void {
    const own = this.#controllers.get(collection)
    if (own) this.enqueue(own, namespace, name)
    for (const state of previous === undefined ? [object] : [object, previous]) {
      const owner = controllerOf(state)
      const controller = owner && this.#byKind.get(textAt(owner, 'kind'))
      if (controller) this.enqueue(controller, namespace, textAt(owner, 'name'))
    }
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#drain())
  }

  #drain(): void {
    this.#scheduled = false
    const end = performance.now() + sliceMs
    while (performance.now() < end) {
      const next = this.#next()
      if (next === undefined) return
      this.#sync(...next)
    }
    this.#schedule()
  }

  #next(): [controller: Controller, key: Key] | undefined {
    for (const [controller, queue] of this.#queues) {
      for (const [text, key] of queue) {
        queue.delete(text)
        return [controller, key]
      }
    }
    return undefined
  }

  #sync(controller: Controller, { namespace, name }: Key): void {
    const key = `${controller.collection} ${namespace}/${name}`
    try {
      const object = this.#client.get(controller.collection, namespace, name)
      if (object !== undefined) controller.sync(object)
      this.#failures.delete(key)
    } catch (error) {
      if (!(error instanceof StatusError)) {
        this.#onBug(error)
        return
      }
      const failures = (this.#failures.get(key) ?? 0) + 1
      this.#failures.set(key, failures)
      const metadata = { name, namespace }
      this.later(Math.min(longestRetryMs, 5 * 2 ** failures), controller, {
        apiVersion: '',
        kind: '',
        metadata,
      })
    }
  }
}

export interface EventText {
  type?: 'Normal' | 'Warning'
  reason: string
  message: string
  /** of a container: `spec.containers{web}` */
  fieldPath?: string
  host?: string
}

let lastEvent = 0n

/** The name of what it is about, and when. */
function eventName(name: string): string {
  const now = BigInt(Date.now()) * 1_000_000n
  lastEvent = now > lastEvent ? now : lastEvent + 1n
  return `${name}.${lastEvent.toString(16)}`
}

/** Now, as objects carry it: whole seconds. */
export function timestamp(timeMs = Date.now()): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, 'Z')
}

export function controllerOf(object: KubeObject): JsonObject | undefined {
  return listAt(object, 'metadata.ownerReferences').find((owner) => owner['controller'] === true)
}

const indexed = [
  'controllerrevisions.apps',
  'endpointslices.discovery.k8s.io',
  'jobs.batch',
  'pods',
  'replicasets.apps',
  'services',
]

/**
 * Names of objects by their owner, and of pods by their labels: what a list of everything would be too slow for.
 *
 * It knows what we wrote at once, and what others wrote when we hear of it.
 */
export class Index {
  readonly #client: Client
  readonly #sets = new Map<string, Set<string>>()
  readonly #places = new Map<string, readonly string[]>()

  constructor(client: Client) {
    this.#client = client
  }

  /** What an object controls, in its namespace. */
  ownedBy(owner: KubeObject, collection: string): KubeObject[] {
    return this.#members(collection, owner, `${collection} owner ${String(owner.metadata['uid'])}`)
  }

  /** What nothing controls, in the namespace of an object. */
  orphansBeside(object: KubeObject, collection: string): KubeObject[] {
    return this.#members(collection, object, `${collection} orphan ${String(object.metadata['namespace'])}`)
  }

  /** Pods of a namespace that have all these labels. */
  podsWith(namespace: string, labels: Readonly<Record<string, unknown>>): KubeObject[] {
    const sets = Object.entries(labels).map(
      ([key, value]) =>
        this.#sets.get(`pods label ${namespace} ${key}=${String(value)}`) ?? new Set<string>(),
    )
    const [smallest] = sets.sort((a, b) => a.size - b.size)
    return [...(smallest ?? [])].flatMap((name) => {
      const pod = this.#client.get('pods', namespace, name)
      return pod && sets.every((set) => set.has(name)) ? [pod] : []
    })
  }

  /** Services of a pod's namespace whose selector begins with one of its labels. */
  servicesOf(pod: KubeObject): string[] {
    const namespace = String(pod.metadata['namespace'])
    return Object.entries(objectAt(pod, 'metadata.labels')).flatMap(([key, value]) => [
      ...(this.#sets.get(`services selector ${namespace} ${key}=${String(value)}`) ?? []),
    ])
  }

  note(collection: string, object: KubeObject): void {
    const { namespace = '', name } = object.metadata
    const place = `${collection} ${String(namespace)}/${name}`
    const before = this.#places.get(place) ?? []
    const after = setsOf(collection, object)
    if (before.length === after.length && before.every((set, index) => set === after[index])) return
    for (const set of before) this.#sets.get(set)?.delete(name)
    for (const set of after) {
      const members = this.#sets.get(set)
      if (members) members.add(name)
      else this.#sets.set(set, new Set([name]))
    }
    this.#places.set(place, after)
  }

  forget(collection: string, namespace: string, name: string): void {
    const place = `${collection} ${namespace}/${name}`
    for (const set of this.#places.get(place) ?? []) {
      const members = this.#sets.get(set)
      members?.delete(name)
      if (members?.size === 0) this.#sets.delete(set)
    }
    this.#places.delete(place)
  }

  /** A change that may be older than what we wrote ourselves. */
  hear({ collection, namespace, name }: Change): void {
    const now = this.#client.get(collection, namespace, name)
    if (now === undefined) this.forget(collection, namespace, name)
    else this.note(collection, now)
  }

  #members(collection: string, { metadata }: KubeObject, set: string): KubeObject[] {
    const namespace = String(metadata['namespace'] ?? '')
    return [...(this.#sets.get(set) ?? [])].flatMap(
      (name) => this.#client.get(collection, namespace, name) ?? [],
    )
  }
}

function setsOf(collection: string, object: KubeObject): string[] {
  if (!indexed.includes(collection)) return []
  const namespace = String(object.metadata['namespace'])
  if (collection === 'services') {
    const [first] = Object.entries(objectAt(object, 'spec.selector'))
    return first ? [`services selector ${namespace} ${first[0]}=${String(first[1])}`] : []
  }
  const owner = controllerOf(object)
  const sets = [owner ? `${collection} owner ${textAt(owner, 'uid')}` : `${collection} orphan ${namespace}`]
  if (collection === 'pods') {
    for (const [key, value] of Object.entries(objectAt(object, 'metadata.labels'))) {
      sets.push(`pods label ${namespace} ${key}=${String(value)}`)
    }
  }
  return sets
}

/** The same client; the index learns at once what is written through it. */
function noting(client: Client, index: Index): Client {
  const note = (collection: string, object: KubeObject) => {
    index.note(collection, object)
    return object
  }
  return {
    as: (manager) => noting(client.as(manager), index),
    get: (...args) => client.get(...args),
    list: (...args) => client.list(...args),
    watch: (...args) => client.watch(...args),
    create: (collection, ...args) => note(collection, client.create(collection, ...args)),
    update: (collection, object) => note(collection, client.update(collection, object)),
    updateStatus: (collection, object) => note(collection, client.updateStatus(collection, object)),
    patch: (collection, ...args) => note(collection, client.patch(collection, ...args)),
    delete(collection, namespace, name, options) {
      const gone = client.delete(collection, namespace, name, options)
      if (client.get(collection, namespace, name) === undefined) index.forget(collection, namespace, name)
      return gone
    },
  }
}
