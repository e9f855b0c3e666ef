import { configMap, definition } from './objects.ts'
import { type Answer, test } from './script.ts'

const maps = '/api/v1/namespaces/$NS/configmaps'

test('a watch tells of what comes, changes and goes', async ({ script }) => {
  const { body } = await script.quietly('GET', maps)
  const from = body.metadata.resourceVersion
  const write = async () => {
    await script.quietly('POST', maps, configMap('a'))
    await script.quietly('PUT', `${maps}/a`, configMap('a', { a: '2' }))
    await script.quietly('PUT', `${maps}/a`, configMap('a', { a: '2' }))
    await script.quietly('DELETE', `${maps}/a`)
  }
  script.note('from the version of a list')
  await script.watch(
    `${maps}?watch=true&fieldSelector=metadata.name%3Da&resourceVersion=${from}`,
    (events) => events.length === 3,
    write,
  )
})

test('a watch from nowhere starts with what is there', async ({ script }) => {
  await script.quietly('POST', maps, configMap('a', {}, { labels: { app: 'web' } }))
  await script.quietly('POST', maps, configMap('b', {}, { labels: { app: 'db' } }))
  const two = (events: readonly Answer[]) => events.length === 2
  await script.watch(`${maps}?watch=1&labelSelector=app`, two)
  await script.watch(`${maps}?watch=1&labelSelector=app&resourceVersion=0`, two)
})

test('a selector makes objects come and go', async ({ script }) => {
  await script.quietly('POST', maps, configMap('a', {}, { labels: { app: 'web' } }))
  await script.watch(
    `${maps}?watch=1&labelSelector=app%3Dweb`,
    (events) => events.length === 3,
    async () => {
      await script.quietly('PUT', `${maps}/a`, configMap('a', {}, { labels: { app: 'db' } }))
      await script.quietly('PUT', `${maps}/a`, configMap('a', {}, { labels: { app: 'web' } }))
    },
  )
})

test('initial events end with a bookmark', async ({ script }) => {
  await script.quietly('POST', maps, configMap('a', {}, { labels: { app: 'web' } }))
  const query =
    'watch=1&labelSelector=app&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
  await script.watch(`${maps}?${query}`, (events) => events.some(({ type }) => type === 'BOOKMARK'))
  await script.request('GET', `${maps}?watch=1&sendInitialEvents=true`)
})

test('a watch from before there was the resource is told that it is gone', async ({ script }) => {
  await script.quietly('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition('watch'))
  const path = '/apis/watch.$NS.example.com/v1/widgets'
  await script.until(path, (_, status) => status === 200)
  await script.watch(`${path}?watch=1&resourceVersion=1`, (events) => events.length === 1)
  await script.quietly(
    'DELETE',
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.watch.$NS.example.com',
  )
})

test('a watch ends after its time', async ({ script }) => {
  await script.watch(`${maps}?watch=1&labelSelector=none&timeoutSeconds=1`, () => false)
})

test('a watch over all namespaces, of tables and of metadata', async ({ script }) => {
  await script.quietly('POST', maps, configMap('a', {}, { labels: { test: '$NS' } }))
  const one = (events: readonly Answer[]) => events.length === 1
  await script.watch('/api/v1/configmaps?watch=1&labelSelector=test%3D$NS', one)
  const accept = (as: string) => ({ accept: `application/json;as=${as};v=v1;g=meta.k8s.io` })
  await script.watch('/api/v1/configmaps?watch=1&labelSelector=test%3D$NS', one, undefined, accept('Table'))
  await script.watch(
    '/api/v1/configmaps?watch=1&labelSelector=test%3D$NS',
    one,
    undefined,
    accept('PartialObjectMetadata'),
  )
})

test('what a watch can not be asked', async ({ script }) => {
  await script.request('GET', `${maps}?watch=1&resourceVersion=nonsense`)
  await script.request('GET', `${maps}?watch=1&labelSelector=a%20b%3Dc`)
  await script.request('GET', '/apis/nonsense.example.com/v1/things?watch=1')
})

test('the old way to watch, and one object', async ({ script }) => {
  await script.quietly('POST', maps, configMap('a'))
  const one = (events: readonly Answer[]) => events.length === 1
  await script.watch('/api/v1/watch/namespaces/$NS/configmaps/a', one)
  await script.watch(`${maps}/a?watch=1`, one)
})
