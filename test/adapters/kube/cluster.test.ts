import { writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { createCluster } from '../../../src/adapters/kube/cluster.ts'
import { loadKubeConnection } from '../../../src/adapters/kube/connection.ts'
import { createHttp2Transport } from '../../../src/adapters/kube/http2.ts'
import type { Cluster, ResourceType, WatchEvent } from '../../../src/ports/cluster.ts'
import { type FakeApi, type Handler, json, type Protocol, selfSigned, startFakeApi } from './fake-api.ts'

const configMaps: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
  verbs: [],
}
const settings = { type: configMaps, namespace: 'demo', name: 'settings' }

async function clusterOf(api: Pick<FakeApi, 'kubeconfig'>, requestTimeoutMs?: number) {
  const connection = await loadKubeConnection({ kubeconfig: api.kubeconfig })
  const cluster = createCluster({ connection, ...(requestTimeoutMs && { requestTimeoutMs }) })
  return { ...cluster, [Symbol.asyncDispose]: cluster.close } satisfies Cluster & AsyncDisposable
}

/** Replies in turn; the last one stays. */
function inTurn(...handlers: Handler[]): Handler {
  let turn = 0
  return (...args) => handlers[Math.min(turn++, handlers.length - 1)]?.(...args)
}

const version: Handler = (_request, reply) => json(reply, 200, { gitVersion: 'v1.2.3' })
const status = (code: number, message: string): Handler => {
  return (_request, reply) => json(reply, code, { kind: 'Status', code, message })
}
const cut: Handler = (_request, reply) => {
  if ('stream' in reply) reply.stream.session?.destroy()
  reply.socket?.destroy()
}

describe.each<Protocol>(['h2', 'https', 'http'])('over %s', (protocol) => {
  test('requests at the same time are all answered', async () => {
    const large = 'x'.repeat(300_000)
    await using api = await startFakeApi(protocol, (request, reply) => {
      json(reply, 200, { metadata: { name: request.url }, data: { large } })
    })
    await using cluster = await clusterOf(api)
    const names = Array.from({ length: 150 }, (_, i) => `item-${i}`)

    const objects = await Promise.all(names.map((name) => cluster.get({ ...settings, name })))

    expect(objects).toMatchObject(
      names.map((name) => ({
        metadata: { name: `/api/v1/namespaces/demo/configmaps/${name}` },
        data: { large },
      })),
    )
    if (protocol === 'h2') expect(api.connections).toBe(1)
  })

  test('a request whose connection is cut is sent once more', async () => {
    await using api = await startFakeApi(protocol, inTurn(version, cut, version))
    await using cluster = await clusterOf(api)

    expect([await cluster.version(), await cluster.version()]).toEqual(['v1.2.3', 'v1.2.3'])
    expect(api.requests).toHaveLength(3)
    expect(api.connections).toBe(2)
  })

  test('an event is not written twice', async () => {
    await using api = await startFakeApi(protocol, cut)
    await using cluster = await clusterOf(api)
    const regarding = { apiVersion: 'v1', kind: 'ConfigMap', name: 'settings' }

    const written = cluster.writeEvent({
      regarding,
      type: 'Normal',
      reason: 'R',
      message: '',
      component: 'fluxd',
    })

    await expect(written).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' })
    expect(api.requests).toHaveLength(1)
  })

  test('a busy server is asked again, some times', async () => {
    const busy: Handler = (_request, reply) =>
      json(reply, 429, { message: 'slow down' }, { 'retry-after': '0' })
    await using patient = await startFakeApi(protocol, inTurn(busy, busy, version))
    await using hopeless = await startFakeApi(protocol, busy)
    await using first = await clusterOf(patient)
    await using second = await clusterOf(hopeless)

    expect(await first.version()).toBe('v1.2.3')
    await expect(second.version()).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
      message: 'slow down',
    })
    expect(hopeless.requests).toHaveLength(4)
  })

  test('a refused token is read again, once', async () => {
    const seen: (string | undefined)[] = []
    await using api = await startFakeApi(protocol, async (request, reply, body) => {
      seen.push(request.headers.authorization)
      if (request.headers.authorization === 'Bearer second') return version(request, reply, body)
      await writeFile(api.tokenFile, 'second')
      return status(401, 'Unauthorized')(request, reply, body)
    })
    await using cluster = await clusterOf(api)

    expect(await cluster.version()).toBe('v1.2.3')
    expect(seen).toEqual(['Bearer first', 'Bearer second'])
  })

  test('a token that stays refused is an error that names the context', async () => {
    await using api = await startFakeApi(protocol, status(401, 'Unauthorized'))
    await using cluster = await clusterOf(api)

    await expect(cluster.version()).rejects.toMatchObject({
      code: 'CLUSTER_DENIED',
      why: expect.stringContaining('context "test"'),
    })
    expect(api.requests).toHaveLength(1)
  })

  test('a server that never answers runs into the time limit', async () => {
    await using api = await startFakeApi(protocol, () => {})
    await using cluster = await clusterOf(api, 50)

    await expect(cluster.version()).rejects.toMatchObject({
      code: 'CLUSTER_UNREACHABLE',
      message: expect.stringContaining('no answer within 0.05 s'),
    })
  })

  test('an abort ends a request with its reason', async () => {
    const stop = new AbortController()
    await using api = await startFakeApi(protocol, () => stop.abort(new Error('enough')))
    await using cluster = await clusterOf(api)

    await expect(cluster.version(stop.signal)).rejects.toThrow('enough')
  })

  test('a reply that breaks off is not taken for whole', async () => {
    const half: Handler = (request, reply, body) => {
      reply.writeHead(200, { 'content-type': 'application/json' })
      reply.write('{"gitVersion":', () => cut(request, reply, body))
    }
    await using api = await startFakeApi(protocol, half)
    await using cluster = await clusterOf(api)

    await expect(cluster.version()).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' })
  })

  test('a watch gives events and bookmarks until its connection is cut', async () => {
    const lines = [
      '{"type":"ADDED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"é"}}}\n{"type":"BOOK',
      'MARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"7","creationTimestamp":null}}}\n',
      '{"type":"MODIFIED","obj',
    ].map((line) => Buffer.from(line))
    await using api = await startFakeApi(protocol, async (request, reply, body) => {
      reply.writeHead(200, { 'content-type': 'application/json' })
      for (const line of lines) await new Promise<void>((done) => void reply.write(line, () => done()))
      cut(request, reply, body)
    })
    await using cluster = await clusterOf(api)

    const events: WatchEvent[] = []
    for await (const event of cluster.watch(configMaps, { resourceVersion: '1' })) events.push(event)

    expect(events).toEqual([
      { type: 'ADDED', object: { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'é' } } },
      { type: 'BOOKMARK', resourceVersion: '7' },
    ])
    expect(api.requests[0]).toMatch(
      /^GET \/api\/v1\/configmaps\?watch=true&allowWatchBookmarks=true&resourceVersion=1&timeoutSeconds=\d+$/,
    )
  })

  test('a watch that is left lets go of its stream', async () => {
    let closed = false
    await using api = await startFakeApi(protocol, (_request, reply) => {
      reply.on('close', () => {
        closed = true
      })
      reply.writeHead(200, { 'content-type': 'application/json' })
      reply.write('{"type":"ADDED","object":{"metadata":{}}}\n')
    })
    await using cluster = await clusterOf(api)

    for await (const _event of cluster.watch(configMaps, { resourceVersion: '1' })) break

    await expect.poll(() => closed).toBe(true)
  })

  test.each([
    {
      how: 'as an event',
      handle: ((_request, reply) => {
        const object = { kind: 'Status', code: 410, message: 'too old resource version: 1 (9)' }
        reply.writeHead(200, { 'content-type': 'application/json' })
        reply.end(`${JSON.stringify({ type: 'ERROR', object })}\n`)
      }) satisfies Handler,
    },
    { how: 'at once', handle: status(410, 'too old resource version: 1 (9)') },
  ])('a watch from a forgotten version is told $how', async ({ handle }) => {
    await using api = await startFakeApi(protocol, (request, reply, body) => {
      handle(request, reply, body)
    })
    await using cluster = await clusterOf(api)

    const watching = (async () => {
      for await (const _event of cluster.watch(configMaps, { resourceVersion: '1' }));
    })()

    await expect(watching).rejects.toMatchObject({
      code: 'CLUSTER_WATCH_EXPIRED',
      message: 'too old resource version: 1 (9)',
    })
  })
})

test('a list whose pages have expired begins again, in one page', async () => {
  const page = (names: string[], more: string): Handler => {
    const items = names.map((name) => ({ metadata: { name } }))
    return (_request, reply) =>
      json(reply, 200, { metadata: { resourceVersion: '5', continue: more }, items })
  }
  const handler = inTurn(page(['a'], 'token'), status(410, 'expired'), page(['a', 'b'], ''))
  await using api = await startFakeApi('h2', handler)
  await using cluster = await clusterOf(api)

  const { items, resourceVersion } = await cluster.list(configMaps)

  expect(items.map((item) => item['metadata'])).toEqual([{ name: 'a' }, { name: 'b' }])
  expect(resourceVersion).toBe('5')
  expect(api.requests).toEqual([
    'GET /api/v1/configmaps?limit=500',
    'GET /api/v1/configmaps?limit=500&continue=token',
    'GET /api/v1/configmaps',
  ])
})

test('after a goodbye of the server new requests take a new connection, and open ones finish', async () => {
  let finish = () => {}
  await using api = await startFakeApi('h2', (request, reply, body) => {
    if (request.url !== '/version') {
      finish = () => json(reply, 200, { metadata: { name: 'slow' } })
      for (const session of api.sessions) session.goaway()
    } else version(request, reply, body)
  })
  await using cluster = await clusterOf(api)
  await cluster.version()

  const slow = cluster.get(settings)
  await expect.poll(() => api.requests.length).toBe(2)
  await expect.poll(() => cluster.version().then(() => api.connections)).toBe(2)
  finish()

  expect(await slow).toEqual({ metadata: { name: 'slow' } })
})

test('a connection that died in silence is found out by a ping', async () => {
  await using api = await startFakeApi('h2', () => {})
  const target = new URL(api.server)
  const sockets: Socket[] = []
  const proxy = createServer((socket) => {
    const onward = connect(Number(target.port), '127.0.0.1')
    sockets.push(socket, onward)
    for (const one of [socket, onward]) one.on('error', () => {})
    socket.pipe(onward).pipe(socket)
  })
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
  const { port } = proxy.address() as { port: number }
  const connection = await loadKubeConnection({ kubeconfig: api.kubeconfig })
  connection.server.port = String(port)
  const transport = createHttp2Transport(connection, { connectTimeoutMs: 1_000, pingIntervalMs: 50 })
  const credential = await connection.credential()

  const waiting = transport.open({ method: 'GET', path: '/version', headers: {}, credential })
  await expect.poll(() => api.requests.length).toBe(1)
  for (const socket of sockets) socket.unpipe().pause()

  await expect(waiting).rejects.toThrow(/cut|stopped answering/)
  await transport.close()
  for (const socket of sockets) socket.destroy()
  proxy.close()
})

test('old servers are asked for every group, and one that is down is passed over', async () => {
  const replies: Record<string, unknown> = {
    '/api': { kind: 'APIVersions', versions: ['v1'] },
    '/apis': {
      kind: 'APIGroupList',
      groups: [
        {
          name: 'apps',
          versions: [{ version: 'v1beta1' }, { version: 'v1' }],
          preferredVersion: { version: 'v1' },
        },
        { name: 'broken.example.com', versions: [{ version: 'v1' }], preferredVersion: { version: 'v1' } },
      ],
    },
    '/api/v1': {
      resources: [
        { name: 'pods', kind: 'Pod', namespaced: true, verbs: ['list'] },
        { name: 'pods/status', kind: 'Pod', namespaced: true, verbs: ['get'] },
      ],
    },
    '/apis/apps/v1': {
      resources: [{ name: 'deployments', kind: 'Deployment', namespaced: true, verbs: [] }],
    },
    '/apis/apps/v1beta1': {
      resources: [{ name: 'deployments', kind: 'Deployment', namespaced: true, verbs: [] }],
    },
  }
  await using api = await startFakeApi('h2', (request, reply) => {
    const found = replies[request.url ?? '']
    json(reply, found ? 200 : 500, found ?? { message: 'down' })
  })
  await using cluster = await clusterOf(api)

  const discovery = await cluster.discover()

  expect(discovery.types.map(({ group, version, plural }) => `${group}/${version}/${plural}`)).toEqual([
    '/v1/pods',
    'apps/v1/deployments',
  ])
  expect(discovery.find('apps/v1beta1', 'Deployment')).toMatchObject({ version: 'v1beta1' })
})

test('a server that is not there is named, with the file and the context that said so', async () => {
  const api = await startFakeApi('h2', version)
  await using cluster = await clusterOf(api)
  const { server, kubeconfig } = api
  await cluster.version()
  await api[Symbol.asyncDispose]()

  await expect(cluster.version()).rejects.toMatchObject({
    code: 'CLUSTER_UNREACHABLE',
    message: `The Kubernetes API at ${server} can't be reached: connection refused`,
    why: expect.stringContaining(`context "test" in ${kubeconfig}`),
  })
})

test('a stranger’s certificate is refused', async () => {
  await using api = await startFakeApi('h2', version)
  const connection = await loadKubeConnection({ kubeconfig: api.kubeconfig })
  const cluster = createCluster({ connection: { ...connection, ca: selfSigned().cert } })

  await expect(cluster.version()).rejects.toMatchObject({
    code: 'CLUSTER_UNREACHABLE',
    message: expect.stringContaining('unknown authority'),
    next: expect.stringContaining('certificate-authority'),
  })
  expect(api.requests).toEqual([])
})
