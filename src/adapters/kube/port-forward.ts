import type { Agent, IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { FluxError } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json.ts'
import type { KubeConnection } from './connection.ts'
import type { Credential } from './credentials.ts'
import { failureOf } from './failure.ts'
import { pathBelow, tlsOptions, transportError } from './transport.ts'

/**
 * One stream to a port of a pod, inside a WebSocket to the API server.
 *
 * The protocol is `v4.channel.k8s.io`: every message opens with the number of its channel, 0 for data and 1 for the
 * text of an error; the first message of each channel only carries the port. It has no way to close one direction, so
 * ending the stream says nothing to the pod.
 *
 * @see https://kubernetes.io/docs/reference/using-api/websockets/
 */

const protocol = 'v4.channel.k8s.io'
const dataChannel = 0
const errorChannel = 1
const longestErrorBytes = 64 << 10
const openTimeoutMs = 10_000

export interface PortForwardTarget {
  namespace: string
  pod: string
  port: number
}

export interface PortForwardOptions {
  connection: KubeConnection
  credential: Credential
  /** holds a connection that may be used again */
  agent: Agent
  signal?: AbortSignal | undefined
}

/** @throws FluxError `PORT_FORWARD_FAILED` | `CLUSTER_FORBIDDEN` | `CLUSTER_DENIED`; the stream, the first of these */
export async function openPortForward(
  target: PortForwardTarget,
  { connection, credential, agent, signal }: PortForwardOptions,
): Promise<Duplex> {
  signal?.throwIfAborted()
  const { server } = connection
  const path = `/api/v1/namespaces/${encodeURIComponent(target.namespace)}/pods/${encodeURIComponent(target.pod)}`
  const scheme = server.protocol === 'https:' ? 'wss' : 'ws'
  const socket = new WebSocket(
    `${scheme}://${server.host}${pathBelow(server, path)}/portforward?ports=${target.port}`,
    protocol,
    {
      ...(scheme === 'wss' && tlsOptions(connection, credential)),
      agent,
      headers: { ...credential.headers },
      perMessageDeflate: false,
      handshakeTimeout: openTimeoutMs,
    },
  )
  const stream = streamOver(socket, target)
  const abort = () => stream.destroy(signal?.reason as Error)
  signal?.addEventListener('abort', abort, { once: true })
  socket.once('close', () => signal?.removeEventListener('abort', abort))
  // until it is handed out, what ends the stream is thrown here
  const ignore = () => {}
  stream.on('error', ignore)

  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('unexpected-response', (_request, reply) => {
      refusalOf(reply, target, connection).then(reject, reject)
    })
    socket.once('error', (error) => reject(failed(target, transportError(error, true).message, error)))
    socket.once('close', () => reject(failed(target, 'the connection was closed')))
  }).catch((error: unknown) => {
    stream.destroy()
    signal?.throwIfAborted()
    throw error
  })
  return stream.off('error', ignore)
}

function streamOver(socket: WebSocket, target: PortForwardTarget): Duplex {
  const stream = new Duplex({
    read() {
      socket.resume()
    },
    write(chunk: Buffer, _encoding, done) {
      const message = Buffer.allocUnsafe(chunk.length + 1)
      message[0] = dataChannel
      chunk.copy(message, 1)
      socket.send(message, done)
    },
    destroy(error, done) {
      socket.terminate()
      done(error)
    },
  })
  const opened = new Set<number>()
  socket.on('message', (message: Buffer) => {
    const channel = message[0] ?? -1
    if (!opened.has(channel)) {
      opened.add(channel)
      return
    }
    const content = message.subarray(1)
    if (channel === errorChannel && content.length > 0) {
      stream.destroy(failed(target, content.toString('utf8').trim()))
    }
    if (channel === dataChannel && content.length > 0 && !stream.push(content)) socket.pause()
  })
  socket.on('close', () => stream.push(null))
  socket.on('error', (error) => stream.destroy(failed(target, transportError(error, false).message, error)))
  return stream
}

/** What the API server answered in place of opening a WebSocket. */
async function refusalOf(
  reply: IncomingMessage,
  target: PortForwardTarget,
  connection: KubeConnection,
): Promise<FluxError> {
  let text = ''
  reply.setEncoding('utf8')
  for await (const chunk of reply) {
    text += chunk
    if (text.length > longestErrorBytes) break
  }
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    body = undefined
  }
  const status = reply.statusCode ?? 0
  const known = isJsonObject(body) ? body : { message: text.trim() }
  if (status === 401 || status === 403) return failureOf(status, known, connection)
  return failed(target, String(known['message'] || `status ${status}`))
}

function failed({ namespace, pod, port }: PortForwardTarget, problem: string, cause?: unknown): FluxError {
  return new FluxError('PORT_FORWARD_FAILED', {
    what: `Could not create port forward: port ${port} of pod ${namespace}/${pod}: ${problem}`,
    why: 'The connection goes through the API server and the kubelet of the pod to the port.',
    next: `Check that the pod runs and listens: kubectl -n ${namespace} logs ${pod}`,
    cause,
  })
}
