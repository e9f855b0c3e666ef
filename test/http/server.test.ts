import { EventEmitter, once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createMetrics } from '../../src/adapters/system/metrics.ts'
import { basePath, paths } from '../../src/api/paths.ts'
import { FluxError } from '../../src/core/errors.ts'
import type { ApiAuth } from '../../src/http/access.ts'
import { accepted, noContent, ok, type Route } from '../../src/http/route.ts'
import {
  boundConnections,
  createApiServer,
  createMetricsServer,
  parseListenAddress,
} from '../../src/http/server.ts'
import type { Log, LogFields } from '../../src/ports/log.ts'

interface Recording {
  request: { method: string; path: string; query: string; headers: Record<string, string>; body: string }
  response: { status: number; headers: Record<string, string>; body: string }
}

const folder = 'test/fixtures/recordings/http'
const recordings = readdirSync(folder)
  .filter((file) =>
    /^(negotiation|unknown-routes|old-versions|jobs|small)--|--(double-slash|upper-case|post)\./.test(file),
  )
  .filter((file) => !/^(policies|unknown-routes--debug-pprof)/.test(file)) // the first is served, the second on purpose not
  .map((file) => ({ file, ...(JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) as Recording) }))

/** Routes that answer what the original's did to these requests. */
const routes: Route[] = [
  { ...paths.version, handle: () => ok('1.25.4') },
  { ...paths.ping, handle: () => noContent() },
  { ...paths.regenerateIdentity, handle: () => noContent() },
  { ...paths.identity, handle: () => ok({ key: '', fingerprints: null }) },
  { ...paths.services, handle: () => ok(null) },
  {
    ...paths.servicesById,
    handle: ({ query }) => {
      if (query.has('namespace')) {
        throw new FluxError('RESOURCE_ID_INVALID', {
          what: "cannot filter by 'namespace' and 'workloads' at the same time",
        })
      }
      throw new FluxError('API_BAD_REQUEST', {
        what: 'parsing service spec "what": parsing what: invalid service ID',
      })
    },
  },
  {
    ...paths.job,
    handle: ({ query }) => {
      throw new FluxError('API_ENDPOINT_UNKNOWN', {
        what: `unknown job "${query.get('id')}"`,
        why: 'A dry run leaves no trace.',
      })
    },
  },
  { ...paths.notify, handle: () => accepted() },
]

async function serve({ auth = { mode: 'loopback' }, more = [] }: { auth?: ApiAuth; more?: Route[] } = {}) {
  const logged: LogFields[] = []
  const log: Log = { write: (fields) => logged.push(fields), with: () => log }
  const metrics = createMetrics()
  const server = createApiServer({ routes: [...routes, ...more], auth, metrics, exposeMetrics: true, log })
  const port = await server.listen('127.0.0.1:0')
  onTestFinished(() => server.close())
  return { url: `http://127.0.0.1:${port}`, port, logged, metrics }
}

interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  body: string
}

/** Nothing is added to the request, in particular no `Accept` and no `Content-Type`. */
function ask(
  url: string,
  {
    method = 'GET',
    headers = {},
    body = '',
  }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}

test.each(recordings)('answers as the original did: $file', async ({ request, response }) => {
  const { url } = await serve()
  const query = request.query && `?${request.query}`

  const answer = await ask(`${url}${request.path}${query}`, request)

  const type = response.headers['Content-Type']
  expect(answer.status).toBe(response.status)
  expect(answer.headers['content-type']).toBe(type)
  expect(answer.headers.location).toBe(response.headers['Location'])
  expect(answer.headers['x-content-type-options']).toBe(response.headers['X-Content-Type-Options'])
  if (type?.startsWith('application/json') && response.status >= 400 && response.body !== '') {
    const { help, ...problem } = JSON.parse(response.body) as Record<string, string>
    expect(JSON.parse(answer.body)).toMatchObject({
      ...problem,
      help: expect.stringContaining(problem['error'] ?? ''),
    })
  } else if (response.body === help(response.body)) {
    expect(answer.body).toContain('\n\n')
  } else {
    expect(answer.body).toBe(response.body)
  }
})

/** The original's longer texts, which ours says in its own words. */
function help(text: string): string | undefined {
  return /^(The API endpoint requested|Job not found)/.test(text) ? text : undefined
}

test('takes the IDs of a thousand workloads in one address, as fluxctl sends them to watch a release', async () => {
  const { url } = await serve()
  const ids = Array.from({ length: 1000 }, (_, index) => `some-namespace:deployment/some-workload-${index}`)

  const { status } = await ask(`${url}/api/flux/v6/services?services=${encodeURIComponent(ids.join(','))}`)

  expect(status).toBe(200)
})

describe('matching', () => {
  test.each([
    { path: '/v6/jobs', why: 'a required parameter is missing' },
    { path: '/v11/ping/', why: 'a slash stands behind it' },
    { path: '/', why: 'there is nothing' },
    { path: '/v1', why: 'there is nothing behind the version' },
  ])('$path is no endpoint: $why', async ({ path }) => {
    const { url } = await serve()

    const answer = await ask(`${url}${basePath}${path}`, { headers: { accept: 'application/json' } })

    expect(answer.status).toBe(404)
    expect(JSON.parse(answer.body)).toMatchObject({
      type: 'missing',
      error: 'API endpoint not found',
      code: 'API_ENDPOINT_UNKNOWN',
      help: expect.stringContaining(`    ${path}\n`),
    })
  })

  test('of two routes with one path, the required parameters choose', async () => {
    const route = (name: string): Route => ({
      method: 'GET',
      path: '/v6/pick',
      requiredQuery: name === '' ? [] : [name],
      handle: () => ok(name),
    })
    const { url } = await serve({ more: [route('a'), route('b'), route('')] })

    const answers = ['?a=1', '?x&b', '', '?c=1'].map(
      async (query) => (await ask(`${url}${basePath}/v6/pick${query}`)).body,
    )

    expect(await Promise.all(answers)).toEqual(['"a"', '"b"', '""', '""'])
  })

  test.each([
    { path: '/api/flux?a=b', location: '/api/flux/?a=b' },
    { path: '//api/flux//v6///services?x=//', location: '/api/flux/v6/services?x=//' },
    { path: '/api/flux//"><b>', location: '/api/flux/"><b>' },
  ])('$path moves to $location', async ({ path, location }) => {
    const { port } = await serve()

    const answer = await rawAnswer(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)

    expect(answer).toMatch(/^HTTP\/1.1 301 /)
    expect(answer).toContain(`\r\nlocation: ${location}\r\n`)
    expect(answer.split('\r\n\r\n')[1]).not.toContain('<b>')
  })

  test.each(['/nowhere//else', '//example.com/x', '/\\example.com//x'])(
    '%s leads to no other host',
    async (path) => {
      const { port } = await serve()

      const answer = await rawAnswer(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)

      expect(answer).toMatch(/^HTTP\/1.1 404 /)
    },
  )

  test('a HEAD route answers with the length and without the body', async () => {
    const { url } = await serve({ more: [{ ...paths.exportHead, handle: () => ok('abc') }] })

    const answer = await ask(`${url}${basePath}/v6/export`, { method: 'HEAD' })

    expect(answer).toMatchObject({ status: 200, headers: { 'content-length': '5' }, body: '' })
  })
})

describe('bodies', () => {
  const echo: Route = { method: 'POST', path: '/v9/echo', requiredQuery: [], handle: ({ body }) => ok(body) }

  test.each([
    { headers: {}, what: 'no type' },
    { headers: { 'content-type': 'application/json' }, what: 'JSON' },
    { headers: { 'content-type': 'text/plain; charset=latin1' }, what: 'some text' },
    { headers: { 'content-type': 'application/x-www-form-urlencoded' }, what: 'a form' },
    { headers: { 'content-type': 'nonsense' }, what: 'nonsense' },
    { headers: { 'content-type': '' }, what: 'an empty type' },
  ])('reach the route as text, sent as $what', async ({ headers }) => {
    const { url } = await serve({ more: [echo] })

    const answer = await ask(`${url}${basePath}/v9/echo`, { method: 'POST', headers, body: '{"ü":<b>}' })

    expect(answer).toMatchObject({ status: 200, body: '"{\\"ü\\":\\u003cb\\u003e}"' })
  })

  test('without one, the route gets empty text', async () => {
    const { url } = await serve({ more: [echo] })

    expect(await ask(`${url}${basePath}/v9/echo`, { method: 'POST' })).toMatchObject({ body: '""' })
  })

  test('of 1 MiB are read, larger ones refused', async () => {
    const { url } = await serve({ more: [echo] })
    const mebibyte = 'x'.repeat(1024 * 1024)
    const post = (body: string, headers = {}) =>
      ask(`${url}${basePath}/v9/echo`, {
        method: 'POST',
        body,
        headers: { accept: 'application/json', ...headers },
      })

    const answers = await Promise.all([
      post(mebibyte),
      post(`${mebibyte}x`),
      post(`${mebibyte}x`, { 'transfer-encoding': 'chunked' }),
    ])

    expect(answers.map(({ status }) => status)).toEqual([200, 413, 413])
    expect(JSON.parse(answers[1].body)).toMatchObject({ type: 'user', code: 'API_BODY_TOO_LARGE' })
  })
})

describe('failures', () => {
  const failing = (thrown: unknown): Route => ({
    method: 'GET',
    path: '/v6/fail',
    requiredQuery: [],
    handle: () => Promise.reject(thrown),
  })

  test('carry code and next step beside what v1 clients read', async () => {
    const error = new FluxError('REQUEST_ID_REUSED', { what: 'a <b>', why: 'Because.', next: 'Try again.' })
    const { url } = await serve({ more: [failing(error)] })

    const answer = await ask(`${url}${basePath}/v6/fail`, { headers: { accept: 'application/json' } })

    expect(answer.status).toBe(409)
    expect(answer.body).toBe(
      '{"type":"user","help":"a \\u003cb\\u003e\\n\\nBecause.\\n\\nTry again.","error":"a \\u003cb\\u003e",' +
        '"code":"REQUEST_ID_REUSED","next":"Try again."}',
    )
  })

  test('that nobody foresaw show nothing of the inside, and their stack in the log', async () => {
    const { url, logged } = await serve({ more: [failing(new TypeError('secret is undefined'))] })

    const answers = await Promise.all(
      ['application/json', 'text/plain', 'x/y'].map((accept) =>
        ask(`${url}${basePath}/v6/fail`, { headers: { accept } }),
      ),
    )

    for (const { status, body } of answers) {
      expect(status).toBe(500)
      expect(body).not.toMatch(/secret|at /)
    }
    expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({ type: 'server', code: 'INTERNAL' })
    expect(logged[0]).toMatchObject({
      method: 'GET',
      path: '/api/flux/v6/fail',
      err: 'secret is undefined',
      stack: expect.stringContaining('TypeError: secret is undefined\n'),
    })
  })

  test('of the user are not logged', async () => {
    const { url, logged } = await serve()

    await ask(`${url}${basePath}/v6/jobs?id=1`)

    expect(logged).toEqual([])
  })

  test('a path that does not decode is a bad request', async () => {
    const { port } = await serve()

    const answer = await rawAnswer(
      port,
      'GET /api/flux/v6/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: application/json\r\n\r\n',
    )

    expect(answer).toMatch(/^HTTP\/1.1 400 [\s\S]*"code":"API_BAD_REQUEST"/)
  })
})

test.each([
  { what: 'no HTTP', sent: 'HELO mail\r\n\r\n', status: '400 Bad Request' },
  {
    what: 'a head above the bound',
    sent: `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(300 * 1024)}\r\n\r\n`,
    status: '431 Request Header Fields Too Large',
  },
])('$what is answered as Go does', async ({ sent, status }) => {
  const { port } = await serve()

  expect(await rawAnswer(port, sent)).toBe(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`,
  )
})

test('connections from the network are bounded, those of this machine are not', async () => {
  let isOurs = false
  const server = http.createServer((_, reply) => reply.end('served'))
  boundConnections(server, 2, () => isOurs)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  const open = () => {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {})
    socket.resume()
    onTestFinished(() => void socket.destroy())
    return { socket, ended: once(socket, 'close') }
  }
  onTestFinished(() => void server.close())
  const first = open()
  const second = open()
  await Promise.all([first, second].map(({ socket }) => once(socket, 'connect')))

  await open().ended
  isOurs = true
  const served = await fetch(`http://127.0.0.1:${port}`)
  isOurs = false
  first.socket.destroy()
  await first.ended

  expect(await served.text()).toBe('served')
  expect(second.socket.destroyed).toBe(false)
})

test('a route learns that its client has hung up', async () => {
  const events = new EventEmitter()
  const slow: Route = {
    method: 'GET',
    path: '/v6/slow',
    requiredQuery: [],
    async handle({ signal }) {
      signal.addEventListener('abort', () => events.emit('gone'))
      events.emit('started')
      await once(events, 'gone')
      return noContent()
    },
  }
  const { port } = await serve({ more: [slow] })
  const started = once(events, 'started')
  const gone = once(events, 'gone')
  const socket = net.connect(port, '127.0.0.1')
  socket.write('GET /api/flux/v6/slow HTTP/1.1\r\nHost: x\r\n\r\n')
  await started

  socket.destroy()

  await gone
})

describe('metrics', () => {
  test('stand beside the API and count its requests by route', async () => {
    const { url } = await serve()
    await ask(`${url}${basePath}/v11/ping`)
    await ask(`${url}${basePath}/v6/nosuch/${'x'.repeat(100)}`)

    const answer = await ask(`${url}/metrics`)

    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(answer.body).toContain('{method="GET",route="/v11/ping",status_code="204",ws="false"} 1')
    expect(answer.body).toContain('{method="GET",route="other",status_code="404",ws="false"} 1')
  })

  test('move away where they have an address of their own', async () => {
    const log: Log = { write: () => {}, with: () => log }
    const metrics = createMetrics()
    const api = createApiServer({ routes, auth: { mode: 'none' }, metrics, exposeMetrics: false, log })
    const own = createMetricsServer({ metrics, log })
    onTestFinished(async () => void (await Promise.all([api.close(), own.close()])))
    const [apiPort, ownPort] = await Promise.all([api.listen('127.0.0.1:0'), own.listen('127.0.0.1:0')])

    expect(await ask(`http://127.0.0.1:${apiPort}/metrics`)).toMatchObject({ status: 404 })
    expect(await ask(`http://127.0.0.1:${ownPort}/metrics`)).toMatchObject({ status: 200 })
    expect(await ask(`http://127.0.0.1:${ownPort}/api/flux/v11/ping`)).toMatchObject({
      status: 404,
      body: '404 page not found\n',
    })
  })
})

describe('listening', () => {
  test.each([
    { text: ':3030', host: '', port: 3030 },
    { text: '127.0.0.1:0', host: '127.0.0.1', port: 0 },
    { text: '[::1]:3030', host: '::1', port: 3030 },
    { text: 'localhost:80', host: 'localhost', port: 80 },
  ])('reads $text', ({ text, ...address }) => {
    expect(parseListenAddress(text)).toEqual(address)
  })

  test.each(['3030', '', ':', ':http', ':99999', '::1:3030', 'http://x:1'])('refuses %j', (text) => {
    expect(() => parseListenAddress(text)).toThrow(`listening on ${text}: not an address`)
  })

  test('without a host it is on every address', async () => {
    const log: Log = { write: () => {}, with: () => log }
    const server = createMetricsServer({ metrics: createMetrics(), log })
    onTestFinished(() => server.close())

    const port = await server.listen(':0')

    expect(await ask(`http://127.0.0.1:${port}/metrics`)).toMatchObject({ status: 200 })
  })

  test('an address in use is named', async () => {
    const { port } = await serve()
    const log: Log = { write: () => {}, with: () => log }

    const second = createMetricsServer({ metrics: createMetrics(), log }).listen(`127.0.0.1:${port}`)

    await expect(second).rejects.toMatchObject({
      code: 'API_LISTEN_FAILED',
      message: expect.stringContaining(`listening on 127.0.0.1:${port}: listen EADDRINUSE`),
    })
  })
})

function rawAnswer(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(request))
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })
}
