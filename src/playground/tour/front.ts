import { createServer, type RequestListener, request as requestHttp } from 'node:http'
import { listenOnLoopback } from '../loopback.ts'

/**
 * The doors of fluxd's API: an address with a password for people, and a socket in a folder that only this user may
 * enter, for port-forwards. fluxd itself listens behind a token that nobody else knows.
 */
export interface Front {
  /** for `FLUX_URL`, with the password */
  readonly url: string
  /** fluxd's own */
  readonly token: string
  /** path of the socket */
  readonly socket: string
  /** From now on, lead to fluxd on this port. */
  lead(port: number): void
  /** Tell fluxd of a change, as webhooks do. Nothing happens while there is no fluxd. */
  notify(change: { Kind: 'git' | 'image'; Source: object }): void
  close(): Promise<void>
}

export interface FrontOptions {
  socket: string
  /** fluxd's own */
  token: string
  user: string
  password: string
}

export async function startFront({ socket, token, user, password }: FrontOptions): Promise<Front> {
  let port: number | undefined
  const authorization = `Scope-Probe token=${token}`

  const passOn: RequestListener = (request, reply) => {
    const { method, url, headers } = request
    const onError = () => {
      if (reply.headersSent) reply.destroy()
      else reply.writeHead(502).end('fluxd does not run\n')
    }
    const outgoing = requestHttp(
      { host: '127.0.0.1', port, method, path: url, headers: { ...headers, authorization }, agent: false },
      (incoming) => {
        reply.writeHead(incoming.statusCode ?? 502, incoming.headers)
        incoming.on('error', onError).pipe(reply)
      },
    )
    outgoing.on('error', onError)
    reply.on('close', () => outgoing.destroy())
    request.pipe(outgoing)
  }

  const expected = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const open = await listenOnLoopback(
    createServer((request, reply) => {
      if (request.headers.authorization === expected) return passOn(request, reply)
      request.resume()
      reply.writeHead(401, { 'www-authenticate': 'Basic realm="fluxd"' }).end('who are you?\n')
    }),
  )
  const hidden = createServer(passOn)
  await new Promise<void>((resolve, reject) => hidden.once('error', reject).listen(socket, resolve))

  return {
    url: `http://${user}:${password}@${open.host}/api/flux`,
    token,
    socket,
    lead(to) {
      port = to
    },
    notify(change) {
      if (port === undefined) return
      requestHttp({
        host: '127.0.0.1',
        port,
        method: 'POST',
        path: '/api/flux/v11/notify',
        headers: { authorization },
        agent: false,
      })
        .on('response', (reply) => reply.resume())
        .on('error', () => {}) // it is gone
        .end(JSON.stringify(change))
    },
    async close() {
      await open.close()
      await new Promise<void>((resolve) => {
        hidden.close(() => resolve())
        hidden.closeAllConnections()
      })
    },
  }
}
