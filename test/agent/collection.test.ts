import { describe, expect, test } from 'vitest'
import { followCollection } from '../../src/agent/collection.ts'
import { type ErrorCode, FluxError } from '../../src/core/errors.ts'
import type { JsonObject } from '../../src/core/json.ts'
import type { Cluster, ResourceType, WatchEvent } from '../../src/ports/cluster.ts'
import type { LogFields } from '../../src/ports/log.ts'
import { manualClock } from '../support/clock.ts'

const type: ResourceType = {
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
  verbs: ['list', 'watch'],
}

const object = (name: string, version: number, uid = name): JsonObject => ({
  metadata: { name, namespace: 'demo', uid, resourceVersion: String(version) },
})

type Step = WatchEvent | { fault: ErrorCode } | 'end'

/** A collection over an API server that lists and watches as told; each request is noted down. */
function follow({ namespaces, listFault }: { namespaces?: string[]; listFault?: ErrorCode } = {}) {
  const clock = manualClock()
  const stop = new AbortController()
  const asked: string[] = []
  const entries: LogFields[] = []
  const log = { write: (fields: LogFields) => entries.push(fields), with: () => log }
  const server = { objects: [object('web', 5)], version: 10, listFault }
  const steps: Step[] = []
  let wake = () => {}
  const cluster = {
    async list(_: ResourceType, { namespace = '' }) {
      asked.push(`list ${namespace}`.trim())
      if (server.listFault) throw new FluxError(server.listFault, { what: 'no list' })
      return { items: [...server.objects], resourceVersion: String(server.version) }
    },
    async *watch(
      _: ResourceType,
      { resourceVersion, signal }: { resourceVersion: string; signal: AbortSignal },
    ) {
      asked.push(`watch ${resourceVersion}`)
      const onAbort = () => wake()
      signal.addEventListener('abort', onAbort)
      try {
        while (!signal.aborted) {
          const step = steps.shift()
          if (step === 'end') return
          if (step && 'fault' in step) throw new FluxError(step.fault, { what: 'the watch broke' })
          if (step) yield step
          else {
            await new Promise<void>((resolve) => {
              wake = resolve
            })
          }
        }
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
  } as unknown as Cluster
  const collection = followCollection({
    cluster,
    type,
    namespaces,
    metadataOnly: true,
    trim: (_, live) => ({ live }),
    onChange() {},
    clock,
    log,
    signal: stop.signal,
  })
  const versions = () =>
    Object.fromEntries(
      [...collection.objects].map(([name, { live }]) => [name, Number(live.resourceVersion)]),
    )
  return {
    clock,
    asked,
    entries,
    server,
    collection,
    versions,
    stop,
    async send(...next: Step[]) {
      steps.push(...next)
      wake()
      await clock.advance(0)
    },
  }
}

describe('a followed collection', () => {
  test('is listed, then watched from there', async () => {
    const { clock, asked, collection, versions, send } = follow()
    await clock.advance(0)
    await collection.listed
    expect(asked).toEqual(['list', 'watch 10'])

    await send({ type: 'MODIFIED', object: object('web', 11) }, { type: 'ADDED', object: object('api', 12) })
    expect(versions()).toEqual({ 'demo/web': 11, 'demo/api': 12 })
    await send({ type: 'DELETED', object: object('web', 13) })
    expect(versions()).toEqual({ 'demo/api': 12 })
    expect(collection.healthy()).toBe(true)
  })

  test('goes on from the last version seen when the server ends a watch, after a breath', async () => {
    const { clock, asked, collection, send } = follow()
    await clock.advance(0)

    await send({ type: 'BOOKMARK', resourceVersion: '40' }, 'end')
    expect(asked).toEqual(['list', 'watch 10'])
    await clock.advance(1_000)

    expect(asked).toEqual(['list', 'watch 10', 'watch 40'])
    expect(collection.healthy()).toBe(true)
  })

  test('is listed again at once where the server has forgotten (410), and finds what went meanwhile', async () => {
    const { clock, asked, entries, server, versions, send } = follow()
    await clock.advance(0)
    server.objects = [object('api', 50)]
    server.version = 60

    await send({ fault: 'CLUSTER_WATCH_EXPIRED' })

    expect(asked).toEqual(['list', 'watch 10', 'list', 'watch 60'])
    expect(versions()).toEqual({ 'demo/api': 50 })
    expect(entries).toEqual([])
  })

  test('is not trusted while the server is away, asks less and less often, and says so once', async () => {
    const { clock, asked, entries, server, collection, send } = follow()
    await clock.advance(0)
    server.listFault = 'CLUSTER_UNREACHABLE'
    await send({ fault: 'CLUSTER_UNREACHABLE' })
    expect(collection.healthy()).toBe(false)
    expect(collection.objects.size).toBe(1)

    await clock.advance(60_000)
    const inFirstMinute = asked.length
    await clock.advance(60_000)
    expect(asked.length - inFirstMinute).toBeLessThanOrEqual(4)
    expect(inFirstMinute).toBeLessThanOrEqual(14)
    expect(entries).toEqual([expect.objectContaining({ watch: 'deployments', err: 'the watch broke' })])

    server.listFault = undefined
    await clock.advance(30_000)
    expect(collection.healthy()).toBe(true)
  })

  test('that may not be listed holds nobody up, and is tried every half minute', async () => {
    const { clock, asked, collection } = follow({ listFault: 'CLUSTER_FORBIDDEN' })
    await clock.advance(0)
    await collection.listed
    expect(collection.healthy()).toBe(false)

    await clock.advance(20_000)
    expect(collection.healthy()).toBe(true)
    const before = asked.length
    await clock.advance(60_000)
    expect(asked.length - before).toBeGreaterThanOrEqual(2)
    expect(asked.length - before).toBeLessThanOrEqual(4)
  })

  test('that is forbidden for a moment, as by an API server that has just started, is soon seen again', async () => {
    const { clock, collection, server, send } = follow()
    await clock.advance(0)
    server.listFault = 'CLUSTER_FORBIDDEN'
    await send({ fault: 'CLUSTER_UNREACHABLE' })
    await clock.advance(2_000)
    expect(collection.healthy()).toBe(false)
    expect(collection.objects.size).toBe(1)

    server.listFault = undefined
    await clock.advance(4_000)

    expect(collection.healthy()).toBe(true)
  })

  test('whose right to list is taken away has no objects any more', async () => {
    const { clock, collection, server, send } = follow()
    await clock.advance(0)
    expect(collection.objects.size).toBe(1)
    server.listFault = 'CLUSTER_FORBIDDEN'

    await send({ fault: 'CLUSTER_FORBIDDEN' })
    await clock.advance(30_000)

    expect(collection.objects.size).toBe(0)
  })

  test('that may be listed but not watched is listed every half minute', async () => {
    const { clock, asked, collection, versions, server, send } = follow()
    await clock.advance(0)
    server.objects = [object('web', 70)]
    await send(...Array<Step>(20).fill({ fault: 'CLUSTER_FORBIDDEN' }))
    await clock.advance(20_000)
    expect(versions()).toEqual({ 'demo/web': 70 })
    expect(collection.healthy()).toBe(true)

    const before = asked.filter((request) => request === 'list').length
    await clock.advance(60_000)
    const after = asked.filter((request) => request === 'list').length
    expect(after - before).toBeGreaterThanOrEqual(2)
    expect(after - before).toBeLessThanOrEqual(4)
  })

  test('is healthy only when every namespace is', async () => {
    const { clock, asked, collection } = follow({ namespaces: ['demo', 'dev'] })

    await clock.advance(0)

    expect(asked.filter((request) => request.startsWith('list'))).toEqual(['list demo', 'list dev'])
    expect(collection.healthy()).toBe(true)
  })

  test('does not let an old event undo an apply of ours that came back first', async () => {
    const { clock, collection, versions, send } = follow()
    await clock.advance(0)

    collection.put(object('web', 90))
    await send({ type: 'MODIFIED', object: object('web', 89) })
    expect(versions()).toEqual({ 'demo/web': 90 })

    await send({ type: 'ADDED', object: object('web', 20, 'made anew') })
    expect(versions()).toEqual({ 'demo/web': 20 })
  })
})
