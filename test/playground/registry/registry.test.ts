import { expect, test } from 'vitest'
import { pushImage } from '../../../src/playground/registry/push.ts'
import { startRegistry } from '../../../src/playground/registry/registry.ts'

/** What the playground's registry does beside the contract of all registries. */

const begin = async (host: string, headers: Record<string, string> = {}) =>
  fetch(`http://${host}/v2/example/app/blobs/uploads/`, { method: 'POST', headers })
const image = { repository: 'example/app', tag: 'v1', createdAt: new Date('2024-01-01T00:00:00Z') }

test('takes chunks in their order only, and says how far it is', async () => {
  await using registry = await startRegistry()
  const location = `http://${registry.host}${(await begin(registry.host)).headers.get('location')}`
  const send = (body: string, range: string) =>
    fetch(location, { method: 'PATCH', body, headers: { 'content-range': range } })

  await send('hel', '0-2')
  const gap = await send('lo', '4-5')
  const wrongLength = await send('lo', '3-9')

  expect([gap.status, gap.headers.get('range')]).toEqual([416, '0-2'])
  expect(wrongLength.status).toBe(416)
})

test('a token to pull is no token to push', async () => {
  await using registry = await startRegistry({
    images: { 'example/app': { v1: '' } },
    auth: { type: 'token' },
  })
  const tokenFor = async (scope: string) => {
    const reply = await fetch(`http://${registry.host}/token?scope=${scope}`)
    return ((await reply.json()) as { token: string }).token
  }
  const refused = await begin(registry.host)
  const [, scope = ''] = /scope="([^"]+)"/.exec(refused.headers.get('www-authenticate') ?? '') ?? []
  const statusWith = async (token: string) =>
    (await begin(registry.host, { authorization: `Bearer ${token}` })).status

  expect(scope).toBe('repository:example/app:pull,push')
  expect(await statusWith(await tokenFor('repository:example/app:pull'))).toBe(401)
  expect(await statusWith(await tokenFor('repository:example/other:pull,push'))).toBe(401)
  expect(await statusWith(await tokenFor(scope))).toBe(202)
  expect(await statusWith(`${(await tokenFor(scope)).split('.')[0]}.forged`)).toBe(401)
})

test('tells of what is pushed, once it is there', async () => {
  const told: string[] = []
  const auth = { user: 'ci', password: 'secret' }
  await using registry = await startRegistry({
    auth: { type: 'basic', ...auth },
    onPush: (repository, tag) => told.push(`${repository}:${tag}`),
  })

  await expect(pushImage({ ...image, host: registry.host })).rejects.toThrow('401')
  await pushImage({ ...image, host: registry.host, auth })

  expect(told).toEqual(['example/app:v1'])
})

test('an image pushed over HTTP is the same as one put in past it', async () => {
  await using registry = await startRegistry()

  const pushed = await pushImage({ ...image, host: registry.host })

  expect(registry.push('example/app', 'v1', image.createdAt.toISOString())).toBe(pushed)
})

test('gives tags and repositories in pages of its own size', async () => {
  const tags = Object.fromEntries(['a', 'b', 'c'].map((tag) => [tag, '']))
  await using registry = await startRegistry({ images: { one: tags, two: tags, three: tags }, pageSize: 2 })
  const get = async (path: string) => {
    const reply = await fetch(`http://${registry.host}${path}`)
    return { body: await reply.json(), link: reply.headers.get('link') }
  }

  expect(await get('/v2/one/tags/list')).toEqual({
    body: { name: 'one', tags: ['a', 'b'] },
    link: '</v2/one/tags/list?last=b&n=2>; rel="next"',
  })
  expect(await get('/v2/_catalog?last=one')).toEqual({
    body: { repositories: ['three', 'two'] },
    link: null,
  })
  expect((await fetch(`http://${registry.host}/v2/one/tags/list?n=many`)).status).toBe(400)
})

test.each([
  { what: 'a page of elsewhere', headers: { origin: 'http://evil.example.com' } },
  { what: 'a page of this machine', headers: { origin: 'http://localhost' } },
])('refuses $what', async ({ headers }) => {
  await using registry = await startRegistry()

  expect((await fetch(`http://${registry.host}/v2/`, { headers })).status).toBe(403)
})
