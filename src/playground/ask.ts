import { type IncomingHttpHeaders, request } from 'node:http'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

export interface Question {
  method?: string
  headers?: Readonly<Record<string, string>>
  body?: string | Uint8Array
}

/** One request to a server of this machine, with a connection of its own; user and password may stand in the URL. */
export function ask(
  url: string | URL,
  { method = 'GET', headers = {}, body }: Question = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }
    const options = { method, agent: false, headers: { ...headers, ...length } }
    const outgoing = request(url, options, async (reply) => {
      let text = ''
      reply.setEncoding('utf8').on('error', reject)
      for await (const chunk of reply) text += chunk
      resolve({ status: reply.statusCode ?? 0, headers: reply.headers, text })
    })
    outgoing.on('error', reject).end(body)
  })
}
