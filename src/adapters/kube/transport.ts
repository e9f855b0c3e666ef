import type { Readable } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import type { KubeConnection } from './connection.ts'
import type { Credential } from './credentials.ts'

/** How requests travel to the API server: `http2.ts` for agents, `http1.ts` for one-off commands and proxies. */
export interface Transport {
  /**
   * Send a request and wait for the head of the reply.
   *
   * @throws TransportError, or the reason of `signal`
   */
  open(request: TransportRequest): Promise<TransportReply>
  close(): Promise<void>
}

export interface TransportRequest {
  method: string
  /** with the query, below the server's own path */
  path: string
  headers: Readonly<Record<string, string | string[]>>
  /** its headers are sent, its certificate is shown when connecting */
  credential: Credential
  body?: string
  signal?: AbortSignal
}

export interface TransportReply {
  status: number
  header(name: string): string | undefined
  /** Ends when all was read; @throws TransportError when the connection is cut before */
  body: AsyncIterable<Buffer>
  /** Stop reading and let go of what the reply holds. */
  discard(): void
}

export interface TransportOptions {
  /** to a TCP connection; the TLS handshake has as much again */
  connectTimeoutMs: number
}

/** A connection that could not be made, or broke. */
export class TransportError extends Error {
  override readonly name = 'TransportError'
  /** the server can't have seen the request: sending it again is safe whatever it asks for */
  readonly unsent: boolean

  constructor(message: string, { unsent, cause }: { unsent: boolean; cause?: unknown }) {
    super(message, { cause })
    this.unsent = unsent
  }
}

/** Turn what Node says about a broken connection into words. */
export function transportError(error: unknown, unsent: boolean): TransportError {
  if (error instanceof TransportError) return error
  const { code, message } = error as NodeJS.ErrnoException
  const words = (code !== undefined && networkWords[code]) || message || String(error)
  return new TransportError(words, { unsent, cause: error })
}

const networkWords: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the host name could not be looked up',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'the network is unreachable',
  ETIMEDOUT: 'the connection timed out',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by an unknown authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is signed by an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is signed by an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is signed by an unknown authority',
}

/** What Node's TLS wants to know about a connection. */
export function tlsOptions(connection: KubeConnection, credential: Credential): ConnectionOptions {
  const host = connection.server.hostname.replace(/^\[|\]$/g, '')
  const isAddress = /^[0-9.]+$|:/.test(host)
  const serverName = connection.serverName ?? (isAddress ? undefined : host)
  return {
    ...(serverName !== undefined && { servername: serverName }),
    ...(connection.ca !== undefined && { ca: connection.ca }),
    ...(credential.cert !== undefined && { cert: credential.cert }),
    ...(credential.key !== undefined && { key: credential.key }),
    rejectUnauthorized: !connection.skipVerify,
  }
}

/** A path of the API below the path that the server's address may have. */
export function pathBelow(server: URL, path: string): string {
  return server.pathname === '/' ? path : `${server.pathname.replace(/\/$/, '')}${path}`
}

/** Read on, and say so when the end is not the end. */
export async function* untilCut(body: Readable, isWhole: () => boolean): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of body) yield chunk as Buffer
  } catch (error) {
    throw transportError(error, false)
  }
  if (!isWhole()) throw new TransportError('the connection was cut', { unsent: false })
}
