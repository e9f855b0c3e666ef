import { expect, test } from 'vitest'
import { gitServer } from '../support/git-server.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { deployment, memoryCluster, pollFor, worldAgent } from './fixtures.ts'

/** What fluxd as a whole asks a registry for, counted there. */

const limitMs = 80_000
const patient = { timeout: limitMs + 20_000 }
const repositories = (count: number, tags: (index: number) => [tag: string, createdAt: string][]) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`example/app${index}`, Object.fromEntries(tags(index))]),
  )
const createdAt = (minutes: number) => new Date(Date.UTC(2024, 0, 1) + minutes * 60_000).toISOString()

/** fluxd over a Deployment of each repository, all automated. */
async function started(registry: TestRegistry, names: readonly string[], tag: string, pattern: string) {
  const upstream = await gitServer(
    Object.fromEntries(
      names.map((name, index) => [
        `${index}.yaml`,
        deployment(`app${index}`, `${registry.host}/${name}:${tag}`, {
          annotations: `fluxcd.io/automated: 'true', fluxcd.io/tag.app: '${pattern}'`,
        }),
      ]),
    ),
  )
  const agent = await worldAgent({
    cluster: memoryCluster(),
    args: [
      `--git-url=${upstream.fileUrl}`,
      '--git-branch=main',
      '--registry-insecure-host=127.0.0.1',
      '--registry-rps=100000',
      '--registry-burst=100',
      '--registry-metadata-depth=1',
    ],
  })
  return {
    upstream,
    agent,
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

test('by version: one request an image and page, none twice', patient, async () => {
  const images = repositories(100, () =>
    Array.from({ length: 1000 }, (_, n): [string, string] => [`1.0.${n}`, createdAt(n)]),
  )
  await using registry = await startRegistry({ images, pageSize: 500 })
  await using world = await started(registry, Object.keys(images), '1.0.999', 'semver:~1.0')

  const metric = 'fluxd_automation_containers{code="UP_TO_DATE"} 100'
  const decided = async () => (await world.agent.metrics()).includes(`\n${metric}\n`) || undefined
  await pollFor(decided, 'automation has decided', limitMs)

  const asked = registry.requests.map(({ method, path }) => `${method} ${path}`)
  expect(asked.filter((line) => line.includes('/tags/list'))).toHaveLength(200)
  expect(new Set(asked).size).toBe(asked.length)
  expect(await world.upstream.git('rev-list', '--count', 'main')).toBe('1')
})

test('by time: each manifest and each configuration once, before there is a commit', patient, async () => {
  const images = repositories(10, (index) =>
    Array.from({ length: 100 }, (_, n): [string, string] => [`main-${n}`, createdAt(index * 1000 + n)]),
  )
  await using registry = await startRegistry({ images })
  await using world = await started(registry, Object.keys(images), 'main-5', 'glob:main-*')

  await pollFor(
    async () => {
      const diff = await world.upstream.git('diff', '--numstat', 'main~1', 'main').catch(() => '')
      const all = await world.upstream.git('grep', '-c', 'main-99', 'main').catch(() => '')
      return (diff !== '' && all.split('\n').length === 10) || undefined
    },
    'the commits',
    limitMs,
  )

  const asked = registry.requests.map(({ method, path }) => `${method} ${path}`)
  const count = (part: RegExp) => asked.filter((line) => part.test(line)).length
  expect(count(/^GET .*\/manifests\//)).toBe(1000)
  expect(count(/^GET .*\/blobs\//)).toBe(1000)
  expect(count(/^HEAD /)).toBe(0)
  expect(new Set(asked.filter((line) => !line.includes('/tags/list'))).size).toBe(2000)
})
