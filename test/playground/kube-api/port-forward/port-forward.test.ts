import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { createSecureServer } from 'node:http2'
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openKubeAccess } from '../../../../src/adapters/kube/access.ts'
import { portForward } from '../../../../src/playground/kube-api/port-forward/port-forward.ts'
import { kubectl, kubectlVersions } from '../../../support/neighbours.ts'

const web = { kind: 'Pod', apiVersion: 'v1', metadata: { name: 'web', namespace: 'demo' } }
const replies: Record<string, unknown> = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [{ name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs: ['get'] }],
  },
  '/api/v1/namespaces/demo/pods/web': {
    ...web,
    spec: { containers: [{ name: 'c', image: 'i' }] },
    status: { phase: 'Running' },
  },
}

const servers: Server[] = []
const sockets = new Set<Socket>()
let folder: string
let kubeconfig: string
let apiPort: number
let upgrades: string[]
let targets: Record<number, number>

async function listen(server: Server): Promise<number> {
  servers.push(server)
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

beforeAll(async () => {
  const web = await listen(
    createHttpServer((request, reply) => {
      text(request).then(
        (body) => reply.end(`${request.url} ${body.length}`),
        () => reply.destroy(),
      )
    }),
  )
  // answers when the other side has said all
  const afterwards = createServer({ allowHalfOpen: true }, (socket) => {
    let heard = ''
    socket.on('data', (chunk) => {
      heard += chunk
    })
    socket.on('end', () => socket.end(`heard ${heard}`))
  })
  const unused = createServer()
  const closed = await listen(unused)
  await new Promise((done) => unused.close(done))
  targets = { 80: web, 81: closed, 83: await listen(afterwards) }

  upgrades = []
  const tls = (name: string) => readFile(new URL(`../../../fixtures/tls/${name}`, import.meta.url), 'utf8')
  const [key, cert] = await Promise.all([tls('loopback.key'), tls('loopback.crt')])
  const api = createSecureServer({ key, cert, allowHTTP1: true }, (request, reply) => {
    const body = replies[new URL(request.url, 'https://localhost').pathname]
    reply.writeHead(body ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}))
  })
  api.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgrades.push(request.headers['sec-websocket-protocol'] ?? `${request.method} ${request.headers.upgrade}`)
    portForward({
      request,
      socket,
      head,
      target: (namespace, pod, port) => {
        const to = targets[port]
        if (to === undefined) return `no forward found for port ${port} in pod "${namespace}/${pod}"`
        return { host: '127.0.0.1', port: to }
      },
    })
  })
  apiPort = await listen(api as unknown as Server)
  folder = await mkdtemp(join(tmpdir(), 'port-forward-'))
  kubeconfig = join(folder, 'kubeconfig')
  await writeFile(
    kubeconfig,
    JSON.stringify({
      'current-context': 'test',
      clusters: [
        {
          name: 'test',
          cluster: {
            server: `https://127.0.0.1:${apiPort}`,
            'certificate-authority-data': Buffer.from(cert).toString('base64'),
          },
        },
      ],
      users: [{ name: 'admin', user: { token: 'secret' } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin', namespace: 'demo' } }],
    }),
  )
})

afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers) server.close()
  await rm(folder, { recursive: true })
})

describe('our own client, by v4.channel.k8s.io', () => {
  const open = async (port: number) => {
    const kube = await openKubeAccess({ kubeconfig })
    const stream = await kube.forward({ namespace: 'demo', pod: 'web', port })
    stream.once('close', () => void kube.close())
    return stream
  }

  test('sends a request and gets its answer', async () => {
    const stream = await open(80)

    stream.write('GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')

    expect(await text(stream)).toContain('/hello 0')
  })

  test.each([
    { port: 99, problem: 'no forward found for port 99 in pod "demo/web"' },
    { port: 81, problem: 'connection refused' },
  ])('is told why port $port leads nowhere', async ({ port, problem }) => {
    const stream = await open(port)

    await expect(text(stream)).rejects.toThrow(
      new RegExp(`error forwarding port ${port} to pod web/demo, uid : .*${problem}`),
    )
  })
})

describe.each(
  kubectlVersions.flatMap((version) => [
    { version, way: 'a WebSocket', webSockets: 'true', upgrade: 'SPDY/3.1+portforward.k8s.io' },
    { version, way: 'a POST', webSockets: 'false', upgrade: 'POST SPDY/3.1' },
  ]),
)('kubectl $version, by $way', ({ version, webSockets, upgrade }) => {
  const program = kubectl(version)
  const start = async (port: number) => {
    const child = spawn(program ?? '', ['port-forward', 'pod/web', `:${port}`], {
      env: { KUBECONFIG: kubeconfig, HOME: folder, KUBECTL_PORT_FORWARD_WEBSOCKETS: webSockets },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const local = await new Promise<number>((resolve, reject) => {
      const read = (chunk: Buffer) => {
        output += chunk
        const found = /127\.0\.0\.1:(\d+) ->/.exec(output)?.[1]
        if (found) resolve(Number(found))
      }
      child.stdout.on('data', read)
      child.stderr.on('data', read)
      child.once('exit', () => reject(new Error(output)))
    })
    return {
      url: `http://127.0.0.1:${local}`,
      vanish: () => child.kill('SIGKILL'),
      output: () => output,
      ended: once(child, 'exit'),
      async [Symbol.asyncDispose]() {
        child.kill()
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      },
    }
  }

  test.skipIf(program === undefined)('carries many requests at once, small and large', async () => {
    await using forward = await start(80)
    const large = 'x'.repeat(3 << 20)

    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const body = index % 5 === 0 ? large : 'small'
        const reply = await fetch(`${forward.url}/${index}`, { method: 'POST', body })
        return reply.text()
      }),
    )

    expect(answers).toEqual(
      answers.map((_, index) => `/${index} ${index % 5 === 0 ? large.length : 'small'.length}`),
    )
    expect(upgrades.at(-1)).toBe(upgrade)
  })

  test.skipIf(program === undefined)('says why a port leads nowhere', async () => {
    await using forward = await start(99)

    await expect(fetch(forward.url)).rejects.toThrow()
    await forward.ended

    expect(forward.output()).toContain('an error occurred forwarding')
    expect(forward.output()).toContain(
      'error forwarding port 99 to pod web/demo, uid : no forward found for port 99 in pod \\"demo/web\\"',
    )
  })

  test.skipIf(program === undefined)('may vanish in the middle of it', async () => {
    await using forward = await start(80)
    const client = connectTcp({ host: '127.0.0.1', port: Number(new URL(forward.url).port) })
    client.on('error', () => {})
    client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n')
    await new Promise((sent) => client.write(Buffer.alloc(4 << 20), sent))
    client.write(Buffer.alloc(16 << 20))

    forward.vanish()
    await new Promise((closed) => client.once('close', closed))

    await using next = await start(80)
    expect(await (await fetch(next.url)).text()).toBe('/ 0')
  })

  test.skipIf(program === undefined)('lets a pod answer after the client has said all', async () => {
    await using forward = await start(83)

    const client = connectTcp({
      host: '127.0.0.1',
      port: Number(new URL(forward.url).port),
      allowHalfOpen: true,
    })
    client.end('everything')

    expect(await text(client)).toBe('heard everything')
  })
})

describe('what is refused', () => {
  const path = '/api/v1/namespaces/demo/pods/web/portforward'
  const webSocket = [
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ]
  const ask = async (line: string, headers: string[]) => {
    const socket = connect({ host: '127.0.0.1', port: apiPort, rejectUnauthorized: false })
    socket.write([`${line} HTTP/1.1`, 'Host: x', 'Connection: Upgrade', ...headers, '', ''].join('\r\n'))
    return text(socket)
  }

  test.each([
    {
      what: 'a protocol of another subresource',
      line: `GET ${path}?ports=80`,
      headers: [...webSocket, 'Sec-WebSocket-Protocol: v5.channel.k8s.io'],
      status: 403,
      body: '',
    },
    {
      what: 'a forward without a port',
      line: `GET ${path}`,
      headers: [...webSocket, 'Sec-WebSocket-Protocol: v4.channel.k8s.io'],
      status: 400,
      body: 'query parameter "port" is required',
    },
    {
      what: 'port 0',
      line: `GET ${path}?ports=0`,
      headers: [...webSocket, 'Sec-WebSocket-Protocol: v4.channel.k8s.io'],
      status: 400,
      body: 'port "0" must be > 0',
    },
    {
      what: 'a SPDY protocol it does not know',
      line: `POST ${path}`,
      headers: ['Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: foo'],
      status: 403,
      body: 'unable to upgrade: unable to negotiate protocol: client supports [foo], server accepts [portforward.k8s.io]\n',
    },
  ])('$what', async ({ line, headers, status, body }) => {
    const reply = await ask(line, headers)

    expect(reply).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(reply.slice(reply.indexOf('\r\n\r\n') + 4)).toBe(body)
  })

  test.each([
    { what: 'another version', bytes: [0x80, 2, 0, 1, 0, 0, 0, 0] },
    { what: 'a frame without end', bytes: [0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff] },
    { what: 'headers that are not compressed', bytes: [0x80, 3, 0, 1, 0, 0, 0, 14, ...Array(14).fill(1)] },
  ])('SPDY in $what ends the connection with a goodbye', async ({ bytes }) => {
    const socket = connect({ host: '127.0.0.1', port: apiPort, rejectUnauthorized: false })
    const headers = ['Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: portforward.k8s.io']
    socket.write([`POST ${path} HTTP/1.1`, 'Host: x', 'Connection: Upgrade', ...headers, '', ''].join('\r\n'))
    socket.write(Buffer.from(bytes))

    let said = Buffer.alloc(0)
    for await (const chunk of socket) said = Buffer.concat([said, chunk])

    expect(said.subarray(said.indexOf('\r\n\r\n') + 4).toString('hex')).toBe(
      '80030007000000080000000000000001',
    )
  })
})
