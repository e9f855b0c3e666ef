import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { type KubeApi, startKubeApi } from '../../../src/playground/kube-api/api.ts'

interface Reply {
  status: number
  headers: Record<string, unknown>
  bytes: Buffer
}

function send(
  plane: KubeApi,
  path: string,
  { method = 'GET', headers = {}, body }: { method?: string; headers?: object; body?: string } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const authorization = `Bearer ${plane.token}`
    const options = {
      method,
      ca: plane.ca,
      // Node would look for the host of the header
      servername: 'localhost',
      agent: false,
      headers: { authorization, ...headers },
    }
    const outgoing = httpsRequest(new URL(path, plane.server), options, async (reply) => {
      const chunks: Buffer[] = []
      for await (const chunk of reply) chunks.push(chunk)
      resolve({ status: reply.statusCode ?? 0, headers: reply.headers, bytes: Buffer.concat(chunks) })
    })
    outgoing.on('error', reject).end(body)
  })
}

const json = ({ bytes }: Reply) => JSON.parse(bytes.toString())
const configMaps = '/api/v1/namespaces/default/configmaps'

describe('the door', () => {
  test('opens to this host and the token of the kubeconfig, and to no browser', async () => {
    await using plane = await startKubeApi()

    const statuses = await Promise.all(
      [
        {},
        { host: 'localhost:1' }, // through a relay
        { host: 'rebound.example.com' },
        { origin: 'https://example.com' },
        { authorization: 'Bearer wrong' },
        { authorization: '' },
      ].map(async (headers) => (await send(plane, configMaps, { headers })).status),
    )

    expect(statuses).toEqual([200, 200, 403, 403, 401, 403])
    expect((await stat(plane.kubeconfig)).mode & 0o777).toBe(0o600)
    expect(new URL(plane.server).hostname).toBe('127.0.0.1')
    expect(await readFile(plane.kubeconfig, 'utf8')).toContain(plane.token)
  })

  test('gives every API another token', async () => {
    await using one = await startKubeApi()
    await using two = await startKubeApi()

    expect(one.token).not.toBe(two.token)
    const { status } = await send(one, configMaps, { headers: { authorization: `Bearer ${two.token}` } })
    expect(status).toBe(401)
  })

  test('speaks HTTP/2 and HTTP/1.1', async () => {
    await using plane = await startKubeApi()

    const session = connectHttp2(plane.server, { ca: plane.ca })
    const stream = session.request({ ':path': '/version', authorization: `Bearer ${plane.token}` })
    const [head] = await once(stream, 'response')
    stream.resume()
    session.close()

    expect(head[':status']).toBe(200)
    expect(json(await send(plane, '/version'))).toMatchObject({ major: '1' })
  })

  test('takes bodies of up to 3 MiB, and compresses long replies for who can read it', async () => {
    await using plane = await startKubeApi()
    const body = (size: number) => JSON.stringify({ metadata: { name: 'a' }, data: { a: 'x'.repeat(size) } })
    const headers = { 'content-type': 'application/json' }

    const made = await send(plane, configMaps, { method: 'POST', headers, body: body(500_000) })
    const large = await send(plane, configMaps, { method: 'POST', headers, body: body(4_000_000) })
    const plain = await send(plane, configMaps)
    const packed = await send(plane, configMaps, { headers: { 'accept-encoding': 'gzip' } })

    expect([made.status, large.status]).toEqual([201, 413])
    expect(plain.headers['content-encoding']).toBeUndefined()
    expect(packed.headers['content-encoding']).toBe('gzip')
    expect(packed.bytes.length).toBeLessThan(plain.bytes.length / 10)
    expect(gunzipSync(packed.bytes)).toEqual(plain.bytes)
  })
})

test('every request is in the audit log, with who asked for what', async () => {
  await using plane = await startKubeApi()

  await plane.request('POST', configMaps, { metadata: { name: 'a' } })
  await plane.request('GET', `${configMaps}/a?x=y`, undefined, { 'impersonate-user': 'jane' })

  const entries = await plane.auditLog()
  expect(entries).toMatchObject([
    {
      verb: 'create',
      requestURI: configMaps,
      user: { username: 'admin' },
      objectRef: { resource: 'configmaps', namespace: 'default', apiVersion: 'v1' },
      responseStatus: { code: 201 },
    },
    {
      verb: 'get',
      requestURI: `${configMaps}/a?x=y`,
      impersonatedUser: { username: 'jane' },
      objectRef: { name: 'a' },
      responseStatus: { code: 403 },
    },
  ])
})

test('after a stop it listens at the same place with the same objects, and older watches have to begin anew', async () => {
  await using plane = await startKubeApi()
  await plane.request('POST', configMaps, { metadata: { name: 'a' } })
  const { body } = await plane.request('GET', configMaps)
  const { resourceVersion } = (body as { metadata: { resourceVersion: string } }).metadata
  await plane.request('POST', configMaps, { metadata: { name: 'b' } })

  await plane.stopApiServer()
  const away = await plane.request('GET', configMaps).catch((error: NodeJS.ErrnoException) => error.code)
  await plane.startApiServer()

  expect(away).toBe('ECONNREFUSED')
  expect((await plane.request('GET', `${configMaps}/a`)).status).toBe(200)
  const watch = await send(plane, `${configMaps}?watch=1&resourceVersion=${resourceVersion}`)
  expect(json(watch)).toMatchObject({ type: 'ERROR', object: { code: 410, reason: 'Expired' } })
})

test('a page shows the moment of the first one, and says when that is too long ago', async () => {
  await using plane = await startKubeApi({ historySize: 10 })
  for (const name of ['a', 'b', 'c']) await plane.request('POST', configMaps, { metadata: { name } })
  const page = async (query: string) =>
    (await plane.request('GET', `${configMaps}?limit=2${query}`)).body as Page
  const first = await page('')
  const next = `&continue=${first.metadata.continue}`

  await plane.request('DELETE', `${configMaps}/c`)
  await plane.request('POST', configMaps, { metadata: { name: 'bb' } })
  const second = await page(next)
  for (let i = 0; i < 20; i++) await plane.request('POST', configMaps, { metadata: { name: `z${i}` } })
  const late = await plane.request('GET', `${configMaps}?limit=2${next}`)

  expect(first).toMatchObject({ metadata: { remainingItemCount: 1 } })
  expect(second.items.map(({ metadata }) => metadata.name)).toEqual(['c'])
  expect(late).toMatchObject({ status: 410, body: { reason: 'Expired' } })
})

interface Page {
  metadata: { continue?: string }
  items: { metadata: { name: string } }[]
}
