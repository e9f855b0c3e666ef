import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws'
import { openChannels } from './channels.ts'
import { serveSpdy } from './spdy.ts'

/**
 * `…/pods/NAME/portforward`: what an API server and a kubelet do with it together, over each of the three protocols
 * that clients speak:
 *
 * - `v4.channel.k8s.io` in a WebSocket: browsers, and our own `fluxctl`;
 * - SPDY/3.1 inside a WebSocket (`SPDY/3.1+portforward.k8s.io`): `kubectl` since 1.31;
 * - SPDY/3.1 by upgrading a POST: older `kubectl`, client-go, and the original `fluxctl`.
 */

export interface PortForward {
  /** an upgrade to a pod's `portforward`, whose sender may do it and whose pod exists */
  request: IncomingMessage
  socket: Duplex
  /** what came on the socket after the request */
  head: Buffer
  target: PortForwardTargets
}

/** Where a port of a pod leads, or in a kubelet's words why it leads nowhere. */
export type PortForwardTargets = (
  namespace: string,
  pod: string,
  port: number,
) => { host: string; port: number } | { socket: string } | string

const spdyProtocol = 'portforward.k8s.io'
const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io'
const channelProtocol = 'v4.channel.k8s.io'
const podPath = /\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/portforward$/

export function portForward(options: PortForward): void {
  const { request, socket, head, target } = options
  socket.on('error', () => socket.destroy())
  const url = new URL(request.url ?? '/', 'https://localhost')
  const [, namespace = '', pod = ''] = (podPath.exec(url.pathname) ?? []).map(decodeURIComponent)
  const forward = (port: number, data: Duplex, error: Duplex) =>
    connectStreams({ pod: `${pod}/${namespace}`, port, to: target(namespace, pod, port), data, error })

  if (request.headers.upgrade?.toLowerCase() === 'websocket') {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
    if (offered.includes(tunnelProtocol)) {
      upgradeToTunnel(options, (webSocket) => serveStreams(createWebSocketStream(webSocket), forward))
      return
    }
    const ports = readPorts(url.searchParams)
    if (!offered.includes(channelProtocol)) refuseUpgrade(socket, 403, '')
    else if (typeof ports === 'string') refuseUpgrade(socket, 400, ports)
    else {
      upgradeToChannels(options, (webSocket) => {
        for (const { port, data, error } of openChannels(webSocket, ports)) forward(port, data, error)
      })
    }
    return
  }

  const versions = [request.headers['x-stream-protocol-version'] ?? []].flat().flatMap((v) => v.split(/, */))
  if (!versions.includes(spdyProtocol)) {
    refuseUpgrade(
      socket,
      403,
      `unable to upgrade: unable to negotiate protocol: client supports [${versions.join(' ')}], server accepts [${spdyProtocol}]\n`,
    )
    return
  }
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n' +
      `X-Stream-Protocol-Version: ${spdyProtocol}\r\n\r\n`,
  )
  if (head.length > 0) socket.unshift(head)
  serveStreams(socket, forward)
}

/** Answer `exec` and `attach`, by upgrade or not: no container really runs here. */
export function refuseExec(socket: Duplex): void {
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'no container really runs here: there is nothing to run a command in or to attach to',
    reason: 'BadRequest',
    code: 400,
  }
  refuseUpgrade(socket, 400, JSON.stringify(status), 'application/json')
}

/** Answer an upgrade that is not to be with a plain reply, and close. */
export function refuseUpgrade(
  socket: Duplex,
  status: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  const reason = { 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found' }[status]
  socket.end(
    `HTTP/1.1 ${status} ${reason ?? 'Error'}\r\nContent-Type: ${type}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}

/**
 * Accept WebSockets of one protocol. The library is not shown its name, as it takes no `/` in one, which the
 * standard does not allow and Kubernetes uses.
 */
function webSocketUpgrades(protocol: string) {
  const server = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false })
  server.on('headers', (headers) => headers.push(`Sec-WebSocket-Protocol: ${protocol}`))
  return ({ request, socket, head }: PortForward, opened: (webSocket: WebSocket) => void) => {
    delete request.headers['sec-websocket-protocol']
    server.handleUpgrade(request, socket, head, opened)
  }
}

const upgradeToTunnel = webSocketUpgrades(tunnelProtocol)
const upgradeToChannels = webSocketUpgrades(channelProtocol)

function readPorts(query: URLSearchParams): number[] | string {
  const texts = query.getAll('ports').flatMap((text) => text.split(','))
  if (texts.length === 0) return 'query parameter "port" is required'
  for (const text of texts) {
    if (!/^\d+$/.test(text) || Number(text) > 0xffff) return `unable to parse "${text}" as a port`
    if (Number(text) === 0) return `port "${text}" must be > 0`
  }
  return texts.map(Number)
}

/** Pair the streams of a SPDY connection by their request: one for data, one for the text of an error. */
function serveStreams(
  connection: Duplex,
  forward: (port: number, data: Duplex, error: Duplex) => void,
): void {
  const waiting = new Map<string, { type: string; stream: Duplex }>()
  serveSpdy(connection, (headers, stream) => {
    const type = headers.get('streamtype') ?? ''
    const request = headers.get('requestid') ?? ''
    const port = Number(headers.get('port'))
    if (!['data', 'error'].includes(type) || !Number.isInteger(port) || port < 1 || port > 0xffff)
      return false
    const other = waiting.get(request)
    if (other === undefined) {
      waiting.set(request, { type, stream })
      stream.once('close', () => {
        if (waiting.get(request)?.stream === stream) waiting.delete(request)
      })
      return true
    }
    if (other.type === type) return false
    waiting.delete(request)
    // the reply to this stream goes out first
    setImmediate(() =>
      type === 'data' ? forward(port, stream, other.stream) : forward(port, other.stream, stream),
    )
    return true
  })
}

function connectStreams({
  pod,
  port,
  to,
  data,
  error,
}: {
  pod: string
  port: number
  to: ReturnType<PortForwardTargets>
  data: Duplex
  error: Duplex
}): void {
  error.resume()
  const fail = (problem: string) => {
    error.end(`error forwarding port ${port} to pod ${pod}, uid : ${problem}`)
    data.end()
    data.resume()
  }
  if (typeof to === 'string') {
    fail(to)
    return
  }
  const address = 'socket' in to ? to.socket : `${to.host}:${to.port}`
  const place = 'socket' in to ? { path: to.socket } : to
  const backend: Socket = connect({ ...place, allowHalfOpen: true, noDelay: true })
  let isOpen = false
  backend.once('connect', () => {
    isOpen = true
    data.pipe(backend).pipe(data)
  })
  backend.on('error', (cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ECONNREFUSED' ? 'connect: connection refused' : cause.message
    if (isOpen) data.destroy()
    else fail(`failed to dial ${address}: dial tcp ${address}: ${reason}`)
  })
  // the pod is done: so is the forward, whatever the client still has to say
  backend.once('end', () => error.end())
  backend.once('close', () => {
    error.end()
    data.resume()
  })
  data.once('close', () => backend.destroy())
  data.once('error', () => backend.destroy())
}
