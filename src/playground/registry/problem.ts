import type { ServerResponse } from 'node:http'

/** What a registry refuses, by the codes of the distribution spec. */
const problems = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 416,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  SIZE_INVALID: 413,
  TAG_INVALID: 400,
  UNAUTHORIZED: 401,
  UNSUPPORTED: 405,
} as const

/** A reply that is not 2xx. */
export class RegistryProblem extends Error {
  override readonly name = 'RegistryProblem'
  readonly code: keyof typeof problems
  readonly headers: Readonly<Record<string, string>>

  constructor(code: keyof typeof problems, message?: string, headers: Readonly<Record<string, string>> = {}) {
    super(message ?? code.toLowerCase().replaceAll('_', ' '))
    this.code = code
    this.headers = headers
  }
}

export function sendProblem(reply: ServerResponse, { code, message, headers }: RegistryProblem): void {
  const body = JSON.stringify({ errors: [{ code, message }] })
  send(reply, problems[code], { 'content-type': 'application/json', ...headers }, body)
}

export function send(
  reply: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body: string | Uint8Array = '',
): void {
  const length = status !== 204 && { 'content-length': String(Buffer.byteLength(body)) }
  reply.writeHead(status, { ...headers, ...length })
  reply.end(body)
}
