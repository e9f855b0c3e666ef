import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { createFetcher } from '../../../src/adapters/helm/fetch.ts'

const fetcher = createFetcher({})
const bounds = { maxBytes: 1000, timeoutMs: 2000 }

async function serve(listener: RequestListener) {
  const seen: string[] = []
  const server = createServer((request, reply) => {
    seen.push(`${request.url} ${request.headers.authorization ?? '-'}`)
    listener(request, reply)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    seen,
    url: new URL(`http://127.0.0.1:${port}/values.yaml`),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

test('keeps the password from the host that a redirect names', async () => {
  await using other = await serve((_, reply) => reply.end('there'))
  await using first = await serve((_, reply) =>
    reply.writeHead(302, { location: `http://localhost:${other.port}/x` }).end(),
  )

  const { body } = await fetcher.get(first.url, { ...bounds, credentials: { username: 'a', password: 'b' } })

  expect(body.toString()).toBe('there')
  expect(first.seen).toEqual([`/values.yaml Basic ${btoa('a:b')}`])
  expect(other.seen).toEqual(['/x -'])
})

test.each([
  'http://169.254.169.254/latest/meta-data',
  'http://[fe80::1]/',
  'http://[::ffff:169.254.169.254]/',
  'http://2852039166/',
  'http://[fd00:ec2::254]/',
])('never asks the link-local %s', async (address) => {
  await expect(fetcher.get(new URL(address), bounds)).rejects.toMatchObject({
    code: 'CHART_INVALID',
    what: expect.stringContaining('link-local'),
  })
})

test('never follows a redirect to a link-local address', async () => {
  await using upstream = await serve((_, reply) =>
    reply.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
  )

  await expect(fetcher.get(upstream.url, bounds)).rejects.toThrow('link-local')
})

test.each([
  { what: 'too much', listener: (_: unknown, reply) => reply.end('x'.repeat(2000)), says: 'larger than' },
  {
    what: 'a circle',
    listener: (_: unknown, reply) => reply.writeHead(302, { location: '/values.yaml' }).end(),
    says: "can't be fetched",
  },
  { what: 'silence', listener: () => {}, says: "can't be fetched", timeoutMs: 200 },
  { what: 'an error', listener: (_: unknown, reply) => reply.writeHead(500).end(), says: "can't be fetched" },
  { what: 'nothing', listener: (_: unknown, reply) => reply.writeHead(404).end(), says: 'answered 404' },
] satisfies { what: string; listener: RequestListener; says: string; timeoutMs?: number }[])(
  'ends with an error on $what',
  async ({ listener, says, ...more }) => {
    await using upstream = await serve(listener as RequestListener)

    await expect(fetcher.get(upstream.url, { ...bounds, ...more })).rejects.toThrow(says)
  },
)

test('refuses other schemes', async () => {
  await expect(fetcher.get(new URL('file:///etc/passwd'), bounds)).rejects.toThrow(
    "URL scheme should be HTTP(S), got 'file'",
  )
})
