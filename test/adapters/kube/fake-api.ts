import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
} from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A few lines that answer like an API server, for what a real one does not do on cue. */

export type Protocol = 'h2' | 'https' | 'http'

type Request = IncomingMessage | Http2ServerRequest
export type Reply = ServerResponse & Http2ServerResponse

export interface FakeApi extends AsyncDisposable {
  server: string
  ca: string
  /** path of a kubeconfig with the context `test` in which the token stands in a file */
  kubeconfig: string
  tokenFile: string
  /** method and path of every request, in order */
  requests: string[]
  /** connections so far, those that are over included */
  connections: number
  sessions: Set<Http2Session>
  sockets: Set<Socket>
}

export type Handler = (request: Request, reply: Reply, body: string) => void

export async function startFakeApi(protocol: Protocol, handle: Handler): Promise<FakeApi> {
  const { cert, key } = selfSigned()
  const folder = await mkdtemp(join(tmpdir(), 'fake-api-'))
  const api = {
    ca: cert,
    requests: [] as string[],
    connections: 0,
    sessions: new Set<Http2Session>(),
    sockets: new Set<Socket>(),
  }
  const onRequest = async (request: Request, reply: ServerResponse | Http2ServerResponse) => {
    api.requests.push(`${request.method} ${request.url}`)
    let body = ''
    request.on('error', () => {})
    for await (const chunk of request) body += chunk
    handle(request, reply as Reply, body)
  }
  const server =
    protocol === 'h2'
      ? createSecureServer({ cert, key, allowHTTP1: true, maxSessionMemory: 200 }, onRequest).on(
          'session',
          (session) => {
            api.sessions.add(session)
            session.once('close', () => api.sessions.delete(session))
            session.on('error', () => {})
          },
        )
      : protocol === 'https'
        ? createHttpsServer({ cert, key }, onRequest)
        : createServer(onRequest)
  server.on(protocol === 'http' ? 'connection' : 'secureConnection', (socket: Socket) => {
    api.connections++
    api.sockets.add(socket.on('error', () => {}))
    socket.once('close', () => api.sockets.delete(socket))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const scheme = protocol === 'http' ? 'http' : 'https'
  const url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const tokenFile = join(folder, 'token')
  const kubeconfig = join(folder, 'config')
  await writeFile(tokenFile, 'first\n')
  await writeFile(
    kubeconfig,
    JSON.stringify({
      'current-context': 'test',
      clusters: [
        {
          name: 'test',
          cluster: { server: url, 'certificate-authority-data': Buffer.from(cert).toString('base64') },
        },
      ],
      users: [{ name: 'test', user: { tokenFile: 'token' } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    }),
  )
  return Object.assign(api, {
    server: url,
    kubeconfig,
    tokenFile,
    async [Symbol.asyncDispose]() {
      for (const session of api.sessions) session.destroy()
      for (const socket of api.sockets) socket.destroy()
      await new Promise((done) => server.close(done))
      await rm(folder, { recursive: true })
    },
  })
}

export function json(reply: Reply, status: number, body: unknown, headers: Record<string, string> = {}) {
  reply.writeHead(status, { 'content-type': 'application/json', ...headers })
  reply.end(JSON.stringify(body))
}

/** A certificate for 127.0.0.1 that signs itself, good for an hour. */
export function selfSigned(): { cert: string; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = der(0x30, Buffer.from('06082a8648ce3d040302', 'hex')) // ecdsa-with-SHA256
  const commonName = der(0x30, Buffer.from('0603550403', 'hex'), der(0x0c, Buffer.from('fake-api')))
  const name = der(0x30, der(0x31, commonName))
  const time = (ms: number) =>
    der(0x17, Buffer.from(new Date(ms).toISOString().replace(/^20|[-:T]|\.\d+/g, '')))
  const extensions = der(
    0x30,
    // subjectAltName: IP address 127.0.0.1
    der(0x30, Buffer.from('0603551d11', 'hex'), der(0x04, der(0x30, der(0x87, Buffer.from([127, 0, 0, 1]))))),
    // basicConstraints: a certificate authority
    der(0x30, Buffer.from('0603551d13', 'hex'), der(0x04, der(0x30, der(0x01, Buffer.from([0xff]))))),
  )
  const content = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    algorithm,
    name,
    der(0x30, time(Date.now() - 60_000), time(Date.now() + 3_600_000)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const signature = der(0x03, Buffer.from([0]), sign('sha256', content, privateKey))
  const base64 = der(0x30, content, algorithm, signature).toString('base64')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** Tag, length and value, as DER wants them. */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
