import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Plays fluxd's part of a recording: answers each request as the original did, in the order in which it was asked. */

export interface Exchange {
  method: string
  path: string
  query: string
  requestHeaders: Record<string, string>
  requestBody: string
  /** `null` where it never answered */
  status: number | null
  responseHeaders?: Record<string, string>
  responseBody?: string
}

export interface Recording {
  name: string
  family: string
  agent: string
  argv: string[]
  env: Record<string, string>
  stdin: string | null
  kubeconfig: boolean | null
  exit: number | null
  stdout: string | null
  stderr: string | null
  session?: ({ screen: string } | { key: string })[]
  http: Exchange[]
}

export interface Replay extends AsyncDisposable {
  readonly port: number
  /** how many requests have come */
  readonly asked: number
  /** requests that the recording doesn't have, and exchanges that were not asked for */
  faults(): string[]
}

/** Answers to what the original's client never asked. */
export type Otherwise = (path: string, query: URLSearchParams) => string | undefined

export function readRecording(file: string): Recording {
  return JSON.parse(readFileSync(`test/fixtures/recordings/cli/${file}`, 'utf8')) as Recording
}

export async function startReplay(exchanges: readonly Exchange[], otherwise: Otherwise): Promise<Replay> {
  const faults: string[] = []
  let next = 0
  let asked = 0

  const choose = (found: Exchange): Exchange | undefined => {
    const at = exchanges.findIndex((exchange, index) => index >= next && isSame(exchange, found))
    // polls may be fewer
    if (at >= 0 && exchanges.slice(next, at).every(isPoll)) {
      next = at + 1
      return exchanges[at]
    }
    // or more
    const last = exchanges[next - 1]
    return last && isPoll(found) && isSame(last, found) ? last : undefined
  }

  const server = createServer(async (request, response) => {
    asked++
    const found = await readExchange(request)
    const other = otherwise(found.path, new URLSearchParams(found.query))
    const answer =
      choose(found) ??
      (other === undefined ? undefined : { status: 200, responseHeaders: {}, responseBody: other })
    if (!answer) {
      faults.push(`${found.method} ${found.path}?${found.query} ${found.requestBody}`)
      response.writeHead(500).end()
    } else if (answer.status !== null) {
      response.writeHead(answer.status, answer.responseHeaders).end(answer.responseBody)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    get asked() {
      return asked
    },
    faults: () => [
      ...faults,
      ...exchanges
        .slice(next)
        .filter((exchange) => !isPoll(exchange))
        .map((left) => `not asked: ${left.path}`),
    ],
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function readExchange(request: IncomingMessage): Promise<Exchange> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const [path = '', query = ''] = (request.url ?? '').split('?')
  const { accept, authorization } = request.headers
  return {
    method: request.method ?? '',
    path,
    query,
    requestHeaders: {
      ...(accept && { Accept: accept }),
      ...(authorization && { Authorization: authorization }),
    },
    requestBody: Buffer.concat(chunks).toString(),
    status: null,
  }
}

function isSame(a: Exchange, b: Exchange): boolean {
  return (
    a.method === b.method &&
    a.path === b.path &&
    a.query === b.query &&
    a.requestBody === b.requestBody &&
    JSON.stringify(a.requestHeaders) === JSON.stringify(b.requestHeaders)
  )
}

function isPoll({ method, path }: Exchange): boolean {
  return method === 'GET' && /\/v6\/(jobs|sync)$/.test(path)
}
