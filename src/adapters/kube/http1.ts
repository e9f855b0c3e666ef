import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { KubeConnection } from './connection.ts'
import {
  pathBelow,
  type Transport,
  TransportError,
  type TransportOptions,
  tlsOptions,
  transportError,
  untilCut,
} from './transport.ts'

export interface Http1Options extends TransportOptions {
  agent?: HttpAgent
}

export function keepAliveAgent({ server }: KubeConnection): HttpAgent {
  return server.protocol === 'https:'
    ? new HttpsAgent({ keepAlive: true })
    : new HttpAgent({ keepAlive: true })
}

/** Requests over HTTP/1.1 with kept-alive connections: quick to load, and what proxies speak. */
export function createHttp1Transport(
  connection: KubeConnection,
  { connectTimeoutMs, agent = keepAliveAgent(connection) }: Http1Options,
): Transport {
  const { server } = connection
  const secure = server.protocol === 'https:'
  const request = secure ? httpsRequest : httpRequest

  return {
    async open({ method, path, headers, credential, body, signal }) {
      let unsent = true
      const reply = await new Promise<IncomingMessage>((resolve, reject) => {
        const outgoing = request(server, {
          ...(secure && tlsOptions(connection, credential)),
          method,
          path: pathBelow(server, path),
          headers: {
            ...headers,
            ...credential.headers,
            ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
          },
          agent,
          ...(signal && { signal }),
        })
        outgoing.on('response', resolve)
        outgoing.on('error', reject)
        outgoing.on('socket', (socket) => {
          if (!socket.connecting) {
            unsent = false
            return
          }
          const timer = setTimeout(() => {
            outgoing.destroy(new TransportError('the connection timed out', { unsent: true }))
          }, connectTimeoutMs)
          socket.once('connect', () => clearTimeout(timer))
          socket.once('close', () => clearTimeout(timer))
          socket.once(secure ? 'secureConnect' : 'connect', () => {
            unsent = false
          })
        })
        outgoing.end(body)
      }).catch((error: unknown) => {
        signal?.throwIfAborted()
        throw transportError(error, unsent)
      })
      return {
        status: reply.statusCode ?? 0,
        header: (name) => {
          const value = reply.headers[name]
          return Array.isArray(value) ? value.join(', ') : value
        },
        body: untilCut(reply, () => reply.complete),
        discard: () => reply.destroy(),
      }
    },
    async close() {
      agent.destroy()
    },
  }
}
