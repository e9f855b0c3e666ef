import type { Server, Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { basePath, deprecatedPath } from '../api/paths.ts'
import { FluxError, messageOf } from '../core/errors.ts'
import type { Log } from '../ports/log.ts'
import type { Metrics } from '../ports/metrics.ts'
import { type ApiAuth, checkAccess, isLoopback } from './access.ts'
import { asFluxError, problemReply, statusOf } from './problem.ts'
import { type Reply, type Route, textBody } from './route.ts'

/**
 * The API as it is reached: v1's HTTP, with our routes behind it.
 *
 * Fastify finds the route and reads the body; nothing else of it is used, since neither its schemas nor its replies
 * are v1's. Follows `spec/flux-v1/http-api.md` §1 and §2. `/debug/pprof` is left out.
 */

const maxBodyBytes = 1024 * 1024
/** addresses hold lists of IDs; Node's own bound, 16 KiB, ends at some 300 workloads */
const maxHeaderBytes = 256 * 1024
/** a client that has not sent its whole request by then is cut off */
const requestTimeoutMs = 60_000
/** connections from the network at a time, so that nobody there can use up what port-forwards need */
const maxStrangers = 256

export interface HttpServer {
  /**
   * @param address as `--listen` takes it: `:3030`, `127.0.0.1:3030`, `[::1]:3030`; port 0 takes a free one
   * @returns the port
   * @throws FluxError `API_LISTEN_FAILED`
   */
  listen(address: string): Promise<number>
  /** Take no new requests, and wait for those that run. */
  close(): Promise<void>
}

export interface ApiServerOptions {
  routes: readonly Route[]
  auth: ApiAuth
  metrics: Metrics
  /** whether `/metrics` is served here; not where `--listen-metrics` gives it an address of its own */
  exposeMetrics: boolean
  log: Log
}

/** The API, below `/api/flux`, and `/metrics` where asked. */
export function createApiServer({ routes, auth, metrics, exposeMetrics, log }: ApiServerOptions): HttpServer {
  const app = createApp(log)

  app.addHook('onRequest', async (request, reply) => {
    // Go's clients send none and scripts send any: the body is what the route reads it as
    delete request.raw.headers['content-type']
    const { authorization, host, origin } = request.headers
    const { localAddress } = request.socket
    const refusal = checkAccess(auth, {
      method: request.method,
      path: pathOf(request),
      localAddress,
      authorization,
      host,
      origin,
    })
    if (refusal) throw refusal
    const moved = cleanPath(pathOf(request))
    if (moved !== undefined) return sendMoved(request, reply, moved)
  })
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions } = request
    const route = routeOptions.url?.replace(basePath, '') ?? 'other'
    metrics.observeRequest({ method, route, status: reply.statusCode, durationMs: reply.elapsedTime })
  })

  for (const [key, group] of groupRoutes(routes)) {
    const [method = '', path = ''] = key.split(' ')
    app.route({
      method,
      url: basePath + path,
      handler: (request, reply) => {
        const query = queryOf(request)
        const route = group.find(({ requiredQuery }) => requiredQuery.every((name) => query.has(name)))
        if (route === undefined) throw endpointUnknown(path)
        return answer(route, query, request, reply)
      },
    })
  }
  if (exposeMetrics) mountMetrics(app, metrics)
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request)
    if (!path.startsWith(`${basePath}/`)) return sendNoPage(reply)
    const below = path.slice(basePath.length)
    throw deprecatedPath.test(below) ? versionGone() : endpointUnknown(below)
  })

  return serverOf(app)
}

/** `/metrics` and nothing else, for `--listen-metrics`. */
export function createMetricsServer({ metrics, log }: { metrics: Metrics; log: Log }): HttpServer {
  const app = createApp(log)
  mountMetrics(app, metrics)
  app.setNotFoundHandler((_, reply) => sendNoPage(reply))
  return serverOf(app)
}

/** Routes at their own paths, open to everybody, and `/metrics`: the Helm operator's. */
export function createPlainServer({
  routes,
  metrics,
  log,
}: {
  routes: readonly Route[]
  metrics: Pick<Metrics, 'expose'>
  log: Log
}): HttpServer {
  const app = createApp(log)
  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.path,
      handler: (request, reply) => answer(route, queryOf(request), request, reply),
    })
  }
  mountMetrics(app, metrics)
  app.setNotFoundHandler((request, reply) => {
    const known = routes.some(({ path }) => path === pathOf(request))
    return known ? send(reply, { status: 405 }) : sendNoPage(reply)
  })
  return serverOf(app)
}

function createApp(log: Log): FastifyInstance {
  const app = Fastify({
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    http: { maxHeaderSize: maxHeaderBytes },
    exposeHeadRoutes: false,
    clientErrorHandler: answerUnreadable,
    frameworkErrors: (error, request, reply) => {
      send(reply, problemReply(translate(error), request.headers.accept))
    },
  })
  boundConnections(app.server, maxStrangers)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_, body, done) => done(null, body))
  app.setErrorHandler((thrown, request, reply) => {
    const error = translate(thrown)
    if (statusOf(error) >= 500) {
      const { method } = request
      const stack = error.code === 'INTERNAL' && thrown instanceof Error ? { stack: thrown.stack } : {}
      log.write({ method, path: pathOf(request), err: messageOf(thrown), ...stack })
    }
    return send(reply, problemReply(error, request.headers.accept))
  })
  return app
}

function serverOf(app: FastifyInstance): HttpServer {
  return {
    async listen(address) {
      const { host, port } = parseListenAddress(address)
      try {
        await listenOn(app, host, port)
      } catch (cause) {
        throw new FluxError('API_LISTEN_FAILED', {
          what: `listening on ${address}: ${messageOf(cause)}`,
          next: 'Choose another address with --listen or --listen-metrics.',
          cause,
        })
      }
      const bound = app.server.address()
      return typeof bound === 'object' && bound !== null ? bound.port : port
    },
    close: () => app.close(),
  }
}

/** Without a host: on every address, of IPv4 alone where the machine has no IPv6. */
async function listenOn(app: FastifyInstance, host: string, port: number): Promise<void> {
  if (host !== '') {
    await app.listen({ host, port })
    return
  }
  try {
    await app.listen({ host: '::', port })
  } catch (error) {
    const noIpv6 = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes((error as NodeJS.ErrnoException).code ?? '')
    if (!noIpv6) throw error
    await app.listen({ host: '0.0.0.0', port })
  }
}

/** @throws FluxError `API_LISTEN_FAILED` */
export function parseListenAddress(text: string): { host: string; port: number } {
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? []
  if (port === '' || Number(port) > 65535) {
    throw new FluxError('API_LISTEN_FAILED', {
      what: `listening on ${text}: not an address`,
      next: 'Write host:port or :port, such as 127.0.0.1:3030 or :3030.',
    })
  }
  return { host: bracketed ?? plain ?? '', port: Number(port) }
}

/** Routes by method and path; those of one group differ by the query they require. */
function groupRoutes(routes: readonly Route[]): Map<string, Route[]> {
  const groups = new Map<string, Route[]>()
  for (const route of routes) {
    const key = `${route.method} ${route.path}`
    groups.set(key, [...(groups.get(key) ?? []), route])
  }
  return groups
}

async function answer(
  route: Route,
  query: URLSearchParams,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  const done = await route.handle({
    query,
    body: typeof request.body === 'string' ? request.body : '',
    header(name) {
      const value = request.headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
    signal: gone.signal,
  })
  return send(reply, done)
}

function send(reply: FastifyReply, { status, body }: Reply): FastifyReply {
  void reply.code(status)
  return body === undefined ? reply.send() : reply.header('content-type', body.type).send(body.text)
}

function mountMetrics(app: FastifyInstance, metrics: Pick<Metrics, 'expose'>): void {
  app.get('/metrics', async (_, reply) => {
    const { contentType, text } = await metrics.expose()
    return reply.header('content-type', contentType).send(text)
  })
}

/** What Go's own server says to what is no request, or has too much in its head. */
function answerUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const statuses: Record<string, string> = {
    HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
    ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  }
  const status = statuses[error.code ?? ''] ?? '400 Bad Request'
  const type = 'Content-Type: text/plain; charset=utf-8'
  socket.end(`HTTP/1.1 ${status}\r\n${type}\r\nConnection: close\r\n\r\n${status}`)
}

/** Turn away connections from elsewhere beyond a number; this machine's own, port-forwards, are always taken. */
export function boundConnections(server: Server, max: number, isOurs = isLoopback): void {
  let strangers = 0
  server.on('connection', (socket: Socket) => {
    if (isOurs(socket.localAddress)) return
    if (strangers >= max) return void socket.destroy()
    strangers += 1
    socket.once('close', () => {
      strangers -= 1
    })
  })
}

/** What Go's own server says to a path that it knows nothing of. */
function sendNoPage(reply: FastifyReply): FastifyReply {
  void reply.header('x-content-type-options', 'nosniff')
  return send(reply, { status: 404, body: textBody('404 page not found\n') })
}

/** Where Go's server sends an unclean path of ours: doubled slashes made one, a last one after the base path. */
function cleanPath(path: string): string | undefined {
  const clean = path === basePath ? `${basePath}/` : path.replace(/\/{2,}/g, '/')
  return clean !== path && clean.startsWith(`${basePath}/`) ? clean : undefined
}

function sendMoved(request: FastifyRequest, reply: FastifyReply, path: string): FastifyReply {
  const query = request.url.slice(pathOf(request).length)
  void reply.code(301).header('location', path + query)
  if (request.method !== 'GET') return reply.send()
  const href = (path + query).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
  return reply
    .header('content-type', 'text/html; charset=utf-8')
    .send(`<a href="${href}">Moved Permanently</a>.\n\n`)
}

function pathOf({ url }: FastifyRequest): string {
  return url.split('?', 1)[0] ?? ''
}

function queryOf({ url }: FastifyRequest): URLSearchParams {
  const at = url.indexOf('?')
  return new URLSearchParams(at < 0 ? '' : url.slice(at + 1))
}

/** Fastify's own refusals into ours. */
function translate(thrown: unknown): FluxError {
  const { code, statusCode } = thrown as { code?: string; statusCode?: number }
  if (thrown instanceof FluxError) return thrown
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new FluxError('API_BODY_TOO_LARGE', {
      what: 'request body too large',
      why: `fluxd reads at most ${maxBodyBytes} bytes.`,
      next: 'Ask for fewer changes at once.',
    })
  }
  if (code?.startsWith('FST_') && statusCode !== undefined && statusCode < 500) {
    return new FluxError('API_BAD_REQUEST', { what: messageOf(thrown), cause: thrown })
  }
  return asFluxError(thrown)
}

function endpointUnknown(path: string): FluxError {
  return new FluxError('API_ENDPOINT_UNKNOWN', {
    what: 'API endpoint not found',
    why: `This fluxd has no endpoint for the method, path and query of the request. Its path is\n\n    ${path}`,
    next: 'Most often the client is much older or newer than fluxd: compare `fluxctl version` with the image of fluxd.',
  })
}

function versionGone(): FluxError {
  return new FluxError('API_VERSION_GONE', {
    what: 'API endpoint deprecated',
    why: 'The client speaks a version of the API that is no longer served: v6 and later are.',
    next: 'Update fluxctl to a release as new as fluxd.',
  })
}
