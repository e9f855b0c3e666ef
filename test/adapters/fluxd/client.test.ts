import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { createFluxdClient } from '../../../src/adapters/fluxd/client.ts'
import { parseResourceId } from '../../../src/core/resource/id.ts'
import { RemoteError } from '../../../src/ports/fluxd.ts'

async function serve(answer: RequestListener) {
  const requests: { line: string; headers: IncomingMessage['headers']; body: string }[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const line = `${request.method} ${request.url}`
    requests.push({ line, headers: request.headers, body: Buffer.concat(chunks).toString() })
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    requests,
    url: `http://127.0.0.1:${port}/api/flux`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const answerWith =
  (status: number, type: string, body: string): RequestListener =>
  (_, response) =>
    response.writeHead(status, { 'Content-Type': type }).end(body)

const json = 'application/json; charset=utf-8'
const all = { namespace: '' }

test('asks as v1 does, below the path of its URL', async () => {
  await using server = await serve(answerWith(200, json, 'null'))
  const fluxd = createFluxdClient({ url: `${server.url}/`, token: 'secret' })

  await fluxd.listWorkloads({ namespace: 'demo' })
  await fluxd.getWorkloads([parseResourceId('a:b/c'), parseResourceId('d:e/f')])
  await fluxd.listImages({ namespace: 'demo' })
  await fluxd.listImages({ workload: parseResourceId('a:b/c') })
  await fluxd.getJob('x y')
  await fluxd.listUnapplied('HEAD')
  await fluxd.getRepository({ regenerateKey: true })
  await fluxd.update({ type: 'sync', cause: { message: '<m>', user: '' } })

  expect(server.requests.map(({ line }) => line)).toEqual([
    'GET /api/flux/v6/services?namespace=demo',
    'GET /api/flux/v11/services?namespace=&services=a%3Ab%2Fc%2Cd%3Ae%2Ff',
    'GET /api/flux/v10/images?containerFields=&namespace=demo&service=%3Call%3E',
    'GET /api/flux/v10/images?containerFields=&namespace=&service=a%3Ab%2Fc',
    'GET /api/flux/v6/jobs?id=x+y',
    'GET /api/flux/v6/sync?ref=HEAD',
    'POST /api/flux/v9/git-repo-config',
    'POST /api/flux/v9/update-manifests',
  ])
  expect(server.requests.slice(-2).map(({ body }) => body)).toEqual([
    'true',
    '{"type":"sync","cause":{"Message":"\\u003cm\\u003e","User":""},"spec":{}}',
  ])
  expect(server.requests[0]?.headers).toMatchObject({
    accept: 'application/json',
    authorization: 'Scope-Probe token=secret',
  })
})

test('sends the id of a request only where there is one', async () => {
  await using server = await serve(answerWith(200, json, '"job"'))
  const fluxd = createFluxdClient({ url: server.url })
  const update = { type: 'sync', cause: { message: '', user: '' } } as const

  await fluxd.update(update)
  await fluxd.update(update, { requestId: 'ci-12345' })

  expect(server.requests.map(({ headers }) => headers['flux-request-id'])).toEqual([undefined, 'ci-12345'])
})

test('speaks inside a stream that somebody else opens, one for each request', async () => {
  await using server = await serve(answerWith(200, json, '["a","b"]'))
  let opened = 0
  const open = async () => {
    opened++
    return connect(server.port, '127.0.0.1')
  }
  const fluxd = createFluxdClient({ url: 'http://127.0.0.1:3030/api/flux', open })

  expect(await fluxd.listUnapplied('HEAD')).toEqual(['a', 'b'])
  expect(await fluxd.listUnapplied('HEAD')).toEqual(['a', 'b'])
  expect(opened).toBe(2)
  expect(server.requests[0]?.headers.authorization).toBeUndefined()
})

test('closes a stream once its request is answered, though the other end leaves it open', async () => {
  await using server = await serve(answerWith(200, json, '["a","b"]'))
  const streams: Duplex[] = []
  const open = async () => {
    const socket = connect(server.port, '127.0.0.1')
    const stream = new Duplex({
      read() {},
      write: (chunk, _, done) => socket.write(chunk, done),
    })
    socket.on('data', (chunk) => stream.push(chunk))
    streams.push(stream)
    return stream
  }
  const fluxd = createFluxdClient({ url: 'http://127.0.0.1:3030/api/flux', open })

  await fluxd.listUnapplied('HEAD')

  await expect.poll(() => streams.map(({ closed }) => closed)).toEqual([true])
})

test('a stream that cannot be opened fails with its own reason', async () => {
  const refusal = new RemoteError('no such pod', 'PORT_FORWARD_FAILED')
  const fluxd = createFluxdClient({ url: 'http://127.0.0.1:3030', open: () => Promise.reject(refusal) })

  await expect(fluxd.listUnapplied('HEAD')).rejects.toBe(refusal)
})

describe('an answer that is no success', () => {
  test.each<{ why: string; answer: RequestListener; error: object }>([
    {
      why: "with fluxd's advice",
      answer: answerWith(422, json, '{"type":"user","help":"long","error":"short"}'),
      error: { code: 'FLUXD_REFUSED', what: 'short', advice: 'long' },
    },
    {
      why: 'with a code of ours',
      answer: answerWith(403, json, '{"type":"user","help":"long","error":"short","code":"API_NOT_EXPOSED"}'),
      error: { code: 'API_NOT_EXPOSED', what: 'short', advice: 'long' },
    },
    {
      why: 'with a code that nobody knows',
      answer: answerWith(403, json, '{"type":"user","help":"long","error":"short","code":"toString"}'),
      error: { code: 'FLUXD_REFUSED' },
    },
    {
      why: 'with advice alone',
      answer: answerWith(422, json, '{"type":"user","help":"long"}'),
      error: {
        what: 'executing HTTP request: 422 Unprocessable Entity {"type":"user","help":"long"}',
        advice: undefined,
      },
    },
    {
      why: 'in plain text',
      answer: answerWith(500, 'text/plain', 'boom\n'),
      error: { code: 'FLUXD_REFUSED', what: 'executing HTTP request: 500 Internal Server Error boom\n' },
    },
    {
      why: 'that wants a token',
      answer: answerWith(401, 'text/plain', 'Unauthorized'),
      error: { code: 'FLUXD_DENIED', advice: expect.stringContaining('--token') },
    },
    {
      why: 'that points elsewhere',
      answer: (_, response) => response.writeHead(302, { Location: 'http://127.0.0.1:1/' }).end(),
      error: { code: 'FLUXD_REFUSED', what: 'executing HTTP request: 302 Found ' },
    },
    {
      why: 'said to be JSON',
      answer: answerWith(403, json, 'nope'),
      error: {
        code: 'FLUXD_REPLY_INVALID',
        what: "executing HTTP request: decoding response body of error: invalid character 'o' in literal null (expecting 'u')",
      },
    },
  ])('$why', async ({ answer, error }) => {
    await using server = await serve(answer)

    await expect(createFluxdClient(server).listWorkloads(all)).rejects.toMatchObject(error)
    expect(server.requests).toHaveLength(1)
  })
})

describe('an answer that cannot be read', () => {
  const read = (fluxd: ReturnType<typeof createFluxdClient>) => fluxd.listWorkloads(all)
  test.each<{
    body: string
    what: string
    ask?: (fluxd: ReturnType<typeof createFluxdClient>) => Promise<unknown>
  }>([
    { body: '<html>', what: "invalid character '<' looking for beginning of value" },
    { body: '', what: 'unexpected end of JSON input' },
    { body: '{}', what: 'json: cannot unmarshal object into Go value of type []v6.ControllerStatus' },
    { body: '[{"ID":"nonsense"}]', what: 'parsing nonsense: invalid service ID' },
    {
      body: '[1]',
      what: 'json: cannot unmarshal array into Go value of type job.ID',
      ask: (fluxd) => fluxd.update({ type: 'sync', cause: { message: '', user: '' } }),
    },
  ])('$body', async ({ body, what, ask = read }) => {
    await using server = await serve(answerWith(200, json, body))

    await expect(ask(createFluxdClient(server))).rejects.toMatchObject({
      code: 'FLUXD_REPLY_INVALID',
      what: `decoding response from server: ${what}`,
    })
  })
})

test('an answer without end is cut off', { timeout: 20_000 }, async () => {
  const chunk = Buffer.alloc(1 << 20, ' ')
  await using server = await serve((_, response) => {
    response.writeHead(200, { 'Content-Type': json })
    const pour = () => {
      while (!response.destroyed && response.write(chunk));
    }
    response.on('drain', pour)
    pour()
  })

  await expect(createFluxdClient(server).listWorkloads(all)).rejects.toMatchObject({
    code: 'FLUXD_REPLY_INVALID',
    what: 'decoding response from server: it is larger than 128 MiB',
  })
})

describe('no answer', () => {
  test('is told without the password of the URL', async () => {
    const fluxd = createFluxdClient({ url: 'http://ann:s3cr:et@nosuch.invalid/api/flux' })

    const failure: unknown = await fluxd.listWorkloads(all).catch((error: unknown) => error)

    expect(failure).toMatchObject({ what: expect.stringContaining('"http://ann:***@nosuch.invalid/') })
  })

  test.each<[url: string, why: string]>([
    ['gopher://127.0.0.1/api/flux', 'unsupported protocol scheme "gopher"'],
    ['flux.example.com', 'unsupported protocol scheme ""'],
    ['http://nosuch.invalid/api/flux', 'dial tcp: lookup nosuch.invalid: no such host'],
  ])('from %s', async (url, why) => {
    await expect(createFluxdClient({ url }).listWorkloads(all)).rejects.toMatchObject({
      code: 'FLUXD_UNREACHABLE',
      what: `executing HTTP request: executing HTTP request: Get "${url}/v6/services?namespace=": ${why}`,
    })
  })

  test('from a port that nobody listens on, by any address of its name', async () => {
    await using server = await serve(() => {})
    const { port } = server
    await server[Symbol.asyncDispose]()

    for (const [host, dialled] of [
      ['127.0.0.1', '127\\.0\\.0\\.1'],
      ['localhost', '(127\\.0\\.0\\.1|\\[::1\\])'],
    ]) {
      const fluxd = createFluxdClient({ url: `http://${host}:${port}` })
      const what = new RegExp(`: dial tcp ${dialled}:${port}: connect: connection refused$`)
      await expect(fluxd.listWorkloads(all)).rejects.toMatchObject({ what: expect.stringMatching(what) })
    }
  })

  test('from a server that hangs up', async () => {
    await using server = await serve((request) => request.socket.destroy())

    await expect(createFluxdClient(server).getRepository({ regenerateKey: false })).rejects.toMatchObject({
      code: 'FLUXD_UNREACHABLE',
      what: `executing HTTP request: executing HTTP request: Post "${server.url}/v9/git-repo-config": EOF`,
    })
  })

  test('since the person did not want to wait', async () => {
    const stop = new AbortController()
    await using server = await serve(() => stop.abort(new Error('enough')))

    await expect(
      createFluxdClient({ url: server.url, signal: stop.signal }).listWorkloads(all),
    ).rejects.toThrow('enough')
  })
})
