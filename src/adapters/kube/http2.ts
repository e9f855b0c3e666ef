import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import type { KubeConnection } from './connection.ts'
import type { Credential } from './credentials.ts'
import { createHttp1Transport } from './http1.ts'
import {
  pathBelow,
  type Transport,
  TransportError,
  type TransportOptions,
  tlsOptions,
  transportError,
  untilCut,
} from './transport.ts'

/**
 * All requests and watches over one HTTP/2 connection, made again when it is lost or the server says goodbye
 * (GOAWAY, after which open streams may finish). A ping now and then finds connections that died silently.
 *
 * Where the server does not choose `h2` (some proxies), HTTP/1.1 takes over for good.
 */

/** room for what the server may send before we have read it: of one stream, and of all */
const streamWindowBytes = 2 << 20
const sessionWindowBytes = 16 << 20
const sessionMemoryMegabytes = 256

export interface Http2Options extends TransportOptions {
  /** between two pings; the first that is not answered by the next ends the connection */
  pingIntervalMs?: number
}

interface Session {
  http2: ClientHttp2Session
  /** the client certificate it was opened with */
  cert: string | undefined
}

export function createHttp2Transport(connection: KubeConnection, options: Http2Options): Transport {
  const { server } = connection
  const { pingIntervalMs = 15_000 } = options
  let current: Promise<Session | undefined> | undefined
  let fallback: Transport | undefined = server.protocol === 'http:' ? useHttp1() : undefined
  let closed = false

  function useHttp1(): Transport {
    return createHttp1Transport(connection, options)
  }

  /** @returns `undefined` when the server does not speak HTTP/2 */
  async function sessionFor(credential: Credential): Promise<Session | undefined> {
    for (;;) {
      const opening = current ?? openSession(credential)
      current = opening
      let session: Session | undefined
      try {
        session = await opening
      } catch (error) {
        if (current === opening) current = undefined
        throw error
      }
      if (session === undefined) return undefined
      const usable = !session.http2.closed && !session.http2.destroyed && session.cert === credential.cert
      if (usable) return session
      if (current === opening) current = undefined
      session.http2.close()
    }
  }

  async function openSession(credential: Credential): Promise<Session | undefined> {
    if (closed) throw new TransportError('the client is closed', { unsent: true })
    const socket = await connectTls(connection, credential, options)
    if (socket.alpnProtocol !== 'h2') {
      socket.destroy()
      return undefined
    }
    const http2 = connect(server, {
      createConnection: () => socket,
      maxSessionMemory: sessionMemoryMegabytes,
      settings: { initialWindowSize: streamWindowBytes, enablePush: false },
    })
    http2.once('connect', () => http2.setLocalWindowSize(sessionWindowBytes))
    // the streams of a failed session report the failure themselves
    http2.on('error', () => {})
    let answered = true
    const pings = setInterval(() => {
      if (http2.destroyed) return clearInterval(pings)
      if (!answered) return http2.destroy(new Error('the server stopped answering'))
      answered = false
      http2.ping((error) => {
        answered = error === null
      })
    }, pingIntervalMs)
    pings.unref()
    http2.once('close', () => clearInterval(pings))
    return { http2, cert: credential.cert }
  }

  return {
    async open(request) {
      const session = fallback === undefined ? await sessionFor(request.credential) : undefined
      if (session === undefined) {
        fallback ??= useHttp1()
        return await fallback.open(request)
      }
      const { method, path, headers, credential, body, signal } = request
      signal?.throwIfAborted()
      let stream: ClientHttp2Stream
      try {
        stream = session.http2.request(
          {
            ...headers,
            ...credential.headers,
            ':method': method,
            ':path': pathBelow(server, path),
          },
          { endStream: body === undefined, ...(signal && { signal }) },
        )
      } catch (error) {
        throw transportError(error, true)
      }
      // an error before the reply is thrown below, a later one where the body is read
      stream.on('error', () => {})
      if (body !== undefined) stream.end(body)
      const head = await replyHead(stream).catch((error: unknown) => {
        signal?.throwIfAborted()
        throw transportError(error, stream.rstCode === constants.NGHTTP2_REFUSED_STREAM)
      })
      return {
        status: head[':status'] ?? 0,
        header: (name) => {
          const value = head[name]
          return Array.isArray(value) ? value.join(', ') : value
        },
        body: untilCut(stream, () => stream.rstCode === constants.NGHTTP2_NO_ERROR),
        discard: () => stream.close(constants.NGHTTP2_CANCEL),
      }
    },
    async close() {
      closed = true
      await fallback?.close()
      const session = await current?.catch(() => undefined)
      session?.http2.destroy()
    },
  }
}

type Head = Record<string, string | string[] | undefined> & { ':status'?: number }

function replyHead(stream: ClientHttp2Stream): Promise<Head> {
  return new Promise((resolve, reject) => {
    stream.once('response', (headers) => resolve(headers as Head))
    stream.once('error', reject)
    stream.once('close', () => {
      reject(new TransportError('the connection was cut', { unsent: false }))
    })
  })
}

async function connectTls(
  connection: KubeConnection,
  credential: Credential,
  { connectTimeoutMs }: TransportOptions,
): Promise<TLSSocket> {
  const { server } = connection
  const socket = tlsConnect({
    ...tlsOptions(connection, credential),
    host: server.hostname.replace(/^\[|\]$/g, ''),
    port: Number(server.port || 443),
    ALPNProtocols: ['h2', 'http/1.1'],
  })
  const giveUp = () => {
    socket.destroy(new TransportError('the connection timed out', { unsent: true }))
  }
  let timer = setTimeout(giveUp, connectTimeoutMs)
  socket.once('connect', () => {
    clearTimeout(timer)
    timer = setTimeout(giveUp, connectTimeoutMs)
  })
  try {
    await once(socket, 'secureConnect')
  } catch (error) {
    throw transportError(error, true)
  } finally {
    clearTimeout(timer)
  }
  return socket.setNoDelay(true).setKeepAlive(true, 30_000)
}
