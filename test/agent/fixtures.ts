import { setMaxListeners } from 'node:events'
import { createGitMirror } from '../../src/adapters/git/mirror.ts'
import { createImageRegistry } from '../../src/adapters/registry/client.ts'
import { parseDockerConfig } from '../../src/adapters/registry/credentials.ts'
import { createMemoryStore } from '../../src/adapters/store/memory.ts'
import { systemClock } from '../../src/adapters/system/clock.ts'
import { createLog } from '../../src/adapters/system/log.ts'
import { createMetrics } from '../../src/adapters/system/metrics.ts'
import { startAgent } from '../../src/agent/agent.ts'
import { readConfig } from '../../src/agent/config.ts'
import { flags } from '../../src/agent/flags.ts'
import { noIdentity } from '../../src/agent/identity.ts'
import { type JsonObject, type JsonValue, valueAt } from '../../src/core/json.ts'
import { createApiServer } from '../../src/http/server.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Cluster, ObjectKey, ResourceType, WatchEvent } from '../../src/ports/cluster.ts'
import type { ImageStore } from '../../src/ports/image-store.ts'
import { parseFlags } from '../../src/runtime/flags.ts'

// as in fluxd itself: many requests wait on one signal
setMaxListeners(0)

/** A cluster in memory: enough to see what a pass asks for, and to hold it up or let it fail. */
export interface MemoryCluster extends Cluster {
  /** `Kind namespace/name` of each apply so far */
  readonly applies: readonly string[]
  /** called before each apply; may wait or throw */
  beforeApply: (key: ObjectKey) => Promise<void>
  read(kind: string, namespace: string | undefined, name: string): JsonObject | undefined
}

const kinds: readonly [group: string, version: string, kind: string, plural: string, namespaced: boolean][] =
  [
    ['', 'v1', 'Namespace', 'namespaces', false],
    ['', 'v1', 'ConfigMap', 'configmaps', true],
    ['', 'v1', 'Secret', 'secrets', true],
    ['', 'v1', 'ServiceAccount', 'serviceaccounts', true],
    ['apps', 'v1', 'Deployment', 'deployments', true],
  ]
const verbs = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']

export function memoryCluster(): MemoryCluster {
  const types = kinds.map(
    ([group, version, kind, plural, namespaced]): ResourceType => ({
      group,
      version,
      kind,
      plural,
      namespaced,
      verbs,
    }),
  )
  const discovery = {
    types,
    find: (apiVersion: string, kind: string) =>
      types.find(
        (type) => type.kind === kind && [type.group, type.version].filter(Boolean).join('/') === apiVersion,
      ),
  }
  const objects = new Map<string, JsonObject>()
  const watchers = new Set<(type: ResourceType, event: WatchEvent) => void>()
  const applies: string[] = []
  let version = 100
  const nameOf = ({ type, namespace, name }: ObjectKey) => `${type.kind} ${namespace ?? ''}/${name}`

  const cluster: MemoryCluster = {
    server: 'memory:',
    applies,
    beforeApply: async () => {},
    read: (kind, namespace, name) => objects.get(`${kind} ${namespace ?? ''}/${name}`),
    version: async () => 'v1.36.0',
    discover: async () => discovery,
    forgetDiscovery() {},
    get: async (key) => objects.get(nameOf(key)),
    list: async (type) => ({
      items: [...objects].filter(([name]) => name.startsWith(`${type.kind} `)).map(([, object]) => object),
      resourceVersion: String(version),
    }),
    async *watch(type, { signal }) {
      const events: WatchEvent[] = []
      let wake = () => {}
      const take = (of: ResourceType, event: WatchEvent) => {
        if (of.kind === type.kind) events.push(event)
        wake()
      }
      watchers.add(take)
      signal?.addEventListener('abort', () => wake())
      try {
        while (!signal?.aborted) {
          const event = events.shift()
          if (event) yield event
          else {
            await new Promise<void>((resolve) => {
              wake = resolve
            })
          }
        }
      } finally {
        watchers.delete(take)
      }
    },
    async apply(key, object, { signal } = {}) {
      await cluster.beforeApply(key)
      signal?.throwIfAborted()
      applies.push(nameOf(key))
      const known = objects.get(nameOf(key))
      const metadata = object['metadata'] as JsonObject
      const stored: JsonObject = {
        ...object,
        metadata: {
          ...metadata,
          ...(key.namespace !== undefined && { namespace: key.namespace }),
          uid: nameOf(key),
          resourceVersion: String(++version),
          managedFields: [{ manager: 'fluxd', operation: 'Apply', fieldsV1: {} }],
        },
      }
      objects.set(nameOf(key), stored)
      for (const tell of watchers) tell(key.type, { type: known ? 'MODIFIED' : 'ADDED', object: stored })
      return { object: stored, change: known ? 'configured' : 'created', warnings: [] }
    },
    patch: async () => ({}),
    async delete(key) {
      const known = objects.get(nameOf(key))
      objects.delete(nameOf(key))
      if (known) for (const tell of watchers) tell(key.type, { type: 'DELETED', object: known })
      return known !== undefined
    },
    async writeEvent() {},
    async close() {},
  }
  return cluster
}

export interface WorldAgent extends AsyncDisposable {
  /** for fluxctl: `--url` */
  readonly url: string
  /** lines of the log, without the time */
  readonly log: readonly string[]
  /** Send a request; JSON where there is some. */
  ask(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ status: number; body: JsonValue }>
  /** Put an update in line, under the request's own id where it has one. @returns the job's ID */
  submit(spec: unknown, requestId?: string): Promise<string>
  /** Wait for a job. @returns its last status */
  finished(id: string): Promise<JsonValue>
  /** Have an update done. @returns the job's last status */
  update(spec: unknown): Promise<{ id: string; status: JsonValue }>
  /** What Prometheus reads. */
  metrics(): Promise<string>
  /** Wait until the log has a line like this, from the given one on. @returns the line */
  until(line: RegExp, from?: number): Promise<string>
  stop(): Promise<void>
}

/** fluxd in this process, with real Git, HTTP and registries around it, and a cluster in memory. */
export async function worldAgent(options: {
  args: readonly string[]
  cluster?: Cluster
  clock?: Clock
  imageStore?: ImageStore
  /** limit for one request to a registry */
  registryTimeoutMs?: number
}): Promise<WorldAgent> {
  const clock = options.clock ?? systemClock
  const stopping = new AbortController()
  const lines: string[] = []
  const log = createLog({
    format: 'fmt',
    clock,
    write: (line) => lines.push(line.replace(/^ts=\S+ /, '').trimEnd()),
  })
  const parsed = parseFlags(flags, options.args, { env: {}, warn: (line) => lines.push(line) })
  const { config } = readConfig(parsed, {})
  const { url, notesRef, timeoutMs } = config.git
  const mirror = url === '' ? undefined : createGitMirror({ url, notesRef, timeoutMs })
  const cluster = options.cluster ?? memoryCluster()
  const metrics = createMetrics()
  const agent = startAgent(
    config,
    {
      mirror,
      cluster,
      registry: createImageRegistry({
        insecureHosts: config.registry.insecureHosts,
        requestsPerSecond: config.registry.requestsPerSecond,
        burst: config.registry.burst,
        ...(options.registryTimeoutMs !== undefined && { timeoutMs: options.registryTimeoutMs }),
        clock,
        log,
      }),
      imageStore: options.imageStore ?? createMemoryStore(),
      identity: noIdentity,
      parseDockerConfig,
      defaultKeychain: async () => new Map(),
      contextNamespace: 'default',
      version: 'test',
      clock,
      log,
      metrics,
    },
    stopping.signal,
  )
  const server = createApiServer({
    routes: agent.routes,
    auth: { mode: 'loopback' },
    metrics,
    exposeMetrics: true,
    log,
  })
  const base = `http://127.0.0.1:${await server.listen('127.0.0.1:0')}/api/flux`
  const stop = async () => {
    stopping.abort()
    await agent.ended
    await server.close()
    await mirror?.close()
  }
  const ask: WorldAgent['ask'] = async (method, path, body, headers) => {
    const reply = await fetch(`${base}${path}`, {
      method,
      headers: { accept: 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await reply.text()
    return { status: reply.status, body: text === '' ? null : (JSON.parse(text) as JsonValue) }
  }
  const submit = async (spec: unknown, requestId?: string) => {
    const headers = requestId === undefined ? {} : { 'flux-request-id': requestId }
    const { status, body } = await ask('POST', '/v9/update-manifests', spec, headers)
    if (status !== 200) throw new Error(`update refused: ${JSON.stringify(body)}`)
    return String(body)
  }
  const finished = (id: string) =>
    pollFor(async () => ended((await ask('GET', `/v6/jobs?id=${id}`)).body), 'the job’s end')
  return {
    url: base,
    log: lines,
    ask,
    submit,
    finished,
    metrics: async () => (await fetch(new URL('/metrics', base))).text(),
    async update(spec) {
      const id = await submit(spec)
      return { id, status: await finished(id) }
    },
    until: (line, from = 0) =>
      pollFor(() => lines.slice(from).find((text) => line.test(text)), `${line} in the log`).catch(
        (error: Error) => {
          throw new Error(`${error.message}:\n${lines.slice(from).join('\n')}`)
        },
      ),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

function ended(status: JsonValue): JsonValue | undefined {
  return ['succeeded', 'failed'].includes(String(valueAt(status, 'StatusString'))) ? status : undefined
}

/** Poll until there is something. */
export async function pollFor<T>(
  find: () => Promise<T | undefined> | T | undefined,
  what: string,
  limitMs = 25_000,
): Promise<T> {
  const deadline = Date.now() + limitMs
  for (;;) {
    const found = await find()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** An update of one image, as fluxctl asks for it. */
export function imageRelease(
  services: readonly string[],
  image: string,
  { kind = 'execute', excludes = [], force = false, user = 'Jane <jane@example.com>', message = '' } = {},
) {
  return {
    type: 'image',
    cause: { Message: message, User: user },
    spec: { ServiceSpecs: services, ImageSpec: image, Kind: kind, Excludes: excludes, Force: force },
  }
}

/** A policy update of one workload. */
export function policyUpdate(
  id: string,
  {
    add = {},
    remove = {},
    user = 'Jane <jane@example.com>',
    message = '',
  }: {
    add?: Record<string, string>
    remove?: Record<string, string>
    user?: string
    message?: string
  },
) {
  return { type: 'policy', cause: { Message: message, User: user }, spec: { [id]: { add, remove } } }
}

export function deployment(
  name: string,
  image: string,
  { annotations = '', namespace = 'demo' } = {},
): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
  namespace: ${namespace}${annotations && `\n  annotations: {${annotations}}`}
spec:
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      containers:
      - name: app
        image: ${image}
`
}

export function configMap(name: string, value = 'git'): string {
  return `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, namespace: demo}\ndata: {from: ${value}}\n`
}

/** Somebody is always faster: moves the branch while a push of fluxd is under way, so many times. */
export const fasterBy = (times: number) => `
unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
count=$(cat moved 2>/dev/null || echo 0)
while read -r old new ref; do
  if [ "$ref" = refs/heads/main ] && [ "$count" -lt ${times} ]; then
    count=$((count + 1)); echo "$count" > moved
    git update-ref refs/heads/main "$(git commit-tree -p refs/heads/main -m "Faster $count" 'refs/heads/main^{tree}')"
  fi
done
exit 0`
