import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface LoopbackServer {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/**
 * Serve this machine alone, on a free port.
 *
 * Refuses what a page in a browser could send: requests with an `Origin`, and requests for a name other than this
 * machine's, which a page's own name can be made to stand for.
 */
export async function listenOnLoopback(server: Server | TlsServer): Promise<LoopbackServer> {
  const [handle] = server.listeners('request') as [(request: IncomingMessage, reply: ServerResponse) => void]
  server.removeAllListeners('request').on('request', (request: IncomingMessage, reply: ServerResponse) => {
    const { host, origin } = request.headers
    if (origin === undefined && isThisMachine(host)) return handle(request, reply)
    request.resume()
    reply.writeHead(403, { 'content-type': 'text/plain' }).end('this server is not for web pages\n')
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    host: `127.0.0.1:${port}`,
    port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Names below `.test` are nobody's, so no page can have one. */
function isThisMachine(host = ''): boolean {
  return /^(127\.0\.0\.1|localhost|\[::1\]|[\w.-]+\.test)(:\d+)?$/.test(host)
}
