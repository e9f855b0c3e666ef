import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { messageOf } from '../../core/errors.ts'
import type { AuditLog } from './audit.ts'
import { StatusError } from './model.ts'
import {
  type PortForwardTargets,
  portForward,
  refuseExec,
  refuseUpgrade,
} from './port-forward/port-forward.ts'
import {
  type ApiRequest,
  failure,
  type Handlers,
  handlePath,
  handleResource,
  type Reply,
} from './rest/handle.ts'
import { getObject } from './rest/objects.ts'
import { type ResourceRequest, readRequest, type User } from './rest/request.ts'
import { methodNotAllowed, unknownResource } from './rest/status.ts'

/**
 * The door: HTTPS on loopback, HTTP/2 and HTTP/1.1. It lets in whoever names this host and shows a credential, and
 * never a browser.
 */

export interface ServerOptions {
  handlers: Handlers
  audit: AuditLog
  targets: PortForwardTargets
  certificate: { key: string; cert: string }
  /** 0 takes any */
  port: number
}

export interface ApiServer {
  readonly port: number
  /** cuts what is open */
  close(): Promise<void>
}

const compress = promisify(gzip)
/** replies from here on are compressed when the client can read it */
const compressFrom = 128 * 1024
const maxBodyBytes = 3 * 1024 * 1024

type Incoming = Http2ServerRequest | IncomingMessage

export async function startServer({
  handlers,
  audit,
  targets,
  certificate,
  port,
}: ServerOptions): Promise<ApiServer> {
  const server = createSecureServer({ ...certificate, allowHTTP1: true })
  const sockets = new Set<Duplex>()
  server.on('secureConnection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  server.on('request', (request, response) => {
    void answer(request, response)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgrade(request, socket, head)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const bound = (server.address() as AddressInfo).port

  /** Why a request is not even looked at. */
  const refusal = (request: Incoming): string | undefined => {
    const host = headerOf(request, ':authority') ?? headerOf(request, 'host') ?? ''
    // whatever the port: a relay may stand before us, and a page of a browser can't choose the name
    if (!/^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/i.test(host)) return 'this host is not served here'
    return headerOf(request, 'origin') === undefined ? undefined : 'pages of a browser are not served here'
  }

  async function answer(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    const receivedAt = new Date()
    const id = randomUUID()
    response.on('error', () => {})
    request.on('error', () => {})
    const refused = refusal(request)
    if (refused !== undefined) {
      response.writeHead(403, { 'content-type': 'text/plain; charset=utf-8' }).end(`${refused}\n`)
      return
    }
    const asked = askedOf(handlers, request)
    let user: User = { username: '', groups: [] }
    let impersonated: User | undefined
    let reply: Reply
    try {
      user = handlers.access.authenticate(headerOf(request, 'authorization'))
      const acting = handlers.access.impersonate(user, (name) => headerOf(request, name))
      if (acting !== user) impersonated = acting
      reply = await replyTo(handlers, request, asked, acting)
    } catch (error) {
      reply = failure(error)
    }
    const written = await write(request, response, reply, id)
    audit.write({
      id,
      verb: asked?.verb ?? request.method.toLowerCase(),
      uri: request.url,
      user,
      ...(impersonated !== undefined && { impersonated }),
      sourceIp: '127.0.0.1',
      userAgent: headerOf(request, 'user-agent') ?? '',
      asked,
      code: written,
      receivedAt,
    })
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const receivedAt = new Date()
    const refused = refusal(request)
    if (refused !== undefined) {
      refuseUpgrade(socket, 403, `${refused}\n`)
      return
    }
    const asked = askedOf(handlers, request)
    let user: User = { username: '', groups: [] }
    let code = 101
    try {
      const found = handlers.access.authenticate(headerOf(request, 'authorization'))
      user = handlers.access.impersonate(found, (name) => headerOf(request, name))
      if (asked?.resource?.plural !== 'pods') throw unknownResource()
      const subresources = ['portforward', 'exec', 'attach']
      if (!subresources.includes(asked.subresource)) throw unknownResource()
      if (asked.verb !== 'get' && asked.verb !== 'create') throw methodNotAllowed()
      authorize(handlers, user, asked)
      authorize(handlers, user, { ...asked, verb: 'create' })
      getObject(handlers.world, asked.resource, asked.namespace, asked.name)
      if (asked.subresource === 'portforward') {
        portForward({ request, socket, head, target: targets })
      } else {
        code = 400
        refuseExec(socket)
      }
    } catch (error) {
      const { status, body } = failure(error)
      code = status
      refuseUpgrade(socket, status, String(body), 'application/json')
    }
    audit.write({
      id: randomUUID(),
      verb: asked?.verb ?? 'get',
      uri: request.url ?? '',
      user,
      sourceIp: '127.0.0.1',
      userAgent: headerOf(request, 'user-agent') ?? '',
      asked,
      code,
      receivedAt,
    })
  }

  return {
    port: bound,
    close: () => closeServer(server, sockets),
  }
}

async function closeServer(server: Http2SecureServer, sockets: ReadonlySet<Duplex>): Promise<void> {
  const closed = new Promise((done) => server.close(done))
  for (const socket of sockets) socket.destroy()
  await closed
}

function askedOf({ world }: Handlers, request: Incoming): ResourceRequest | undefined {
  const { pathname, searchParams } = urlOf(request)
  return readRequest(world.resources, request.method ?? 'GET', pathname, searchParams)
}

function urlOf(request: Incoming): URL {
  return new URL(request.url ?? '/', 'https://127.0.0.1')
}

function headerOf(request: Incoming, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

async function replyTo(
  handlers: Handlers,
  request: Http2ServerRequest,
  asked: ResourceRequest | undefined,
  user: User,
): Promise<Reply> {
  const { pathname: path, searchParams: query } = urlOf(request)
  const { method } = request
  const api: ApiRequest = {
    method,
    path,
    query,
    user,
    header: (name) => headerOf(request, name),
    body: () => readBody(request),
  }
  if (asked === undefined) {
    handlers.access.require(user, { verb: method.toLowerCase(), path })
    return handlePath(handlers, api)
  }
  authorize(handlers, user, asked)
  return await handleResource(handlers, api, asked)
}

function authorize({ access }: Handlers, user: User, asked: ResourceRequest): void {
  const { verb, group, plural, subresource, namespace, name } = asked
  access.require(user, { verb, group, resource: plural, subresource, namespace, name })
}

async function readBody(request: Http2ServerRequest): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxBodyBytes) break
      chunks.push(chunk)
    }
  } catch (error) {
    throw new StatusError(400, 'BadRequest', `the request was cut: ${messageOf(error)}`)
  }
  if (size <= maxBodyBytes) return Buffer.concat(chunks)
  const message = `Request entity too large: limit is ${maxBodyBytes}`
  throw new StatusError(413, 'RequestEntityTooLarge', message, {})
}

/** @returns the status that was sent */
async function write(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  reply: Reply,
  id: string,
): Promise<number> {
  const headers: Record<string, string | string[]> = {
    'audit-id': id,
    'cache-control': 'no-cache, private',
    'content-type': reply.contentType ?? 'application/json',
    ...reply.headers,
    ...(reply.warnings !== undefined && {
      warning: reply.warnings.map((text) => `299 - "${text.replace(/(["\\])/g, '\\$1')}"`),
    }),
  }
  const { status, body } = reply
  if (typeof body !== 'string') {
    response.writeHead(status, headers)
    // the head has to reach the client though nothing happens yet
    ;(response as Partial<Pick<ServerResponse, 'flushHeaders'>>).flushHeaders?.()
    await new Promise<void>((done) => {
      let stop = () => {}
      let ended = false
      const end = () => {
        if (ended) return
        ended = true
        stop()
        response.end()
        done()
      }
      response.once('close', end)
      stop = body({ write: (text) => void (ended || response.write(text)), end })
      if (ended) stop()
    })
    return status
  }
  // JSON ends with a line
  const text = /^[{[]/.test(body) && !body.endsWith('\n') ? `${body}\n` : body
  let bytes: Uint8Array = Buffer.from(text)
  if (bytes.length > compressFrom && headerOf(request, 'accept-encoding')?.includes('gzip')) {
    bytes = await compress(bytes, { level: 1 })
    headers['content-encoding'] = 'gzip'
    headers['vary'] = 'Accept-Encoding'
  }
  if (!response.destroyed && status !== 304) headers['content-length'] = String(bytes.length)
  response.writeHead(status, headers)
  if (request.method === 'HEAD' || status === 304) response.end()
  else response.end(bytes)
  return status
}
