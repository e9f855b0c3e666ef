import { afterEach, expect, test } from 'vitest'
import { createMemoryStore } from '../../src/adapters/store/memory.ts'
import { canonicalName, parseImageRef } from '../../src/core/image/ref.ts'
import type { JsonObject } from '../../src/core/json.ts'
import type { ImageStore } from '../../src/ports/image-store.ts'
import { runCli } from '../support/cli.ts'
import { gitServer } from '../support/git-server.ts'
import { startRegistry, type TestRegistry, type TestRegistryOptions } from '../support/registry.ts'
import { deployment, memoryCluster, pollFor, worldAgent } from './fixtures.ts'

/**
 * What registries, images and policies can do wrong, and what fluxd as a whole makes of it: a code in `list-images -v`,
 * in the log and in the metrics, and no wrong commit. Each case has a second registry beside it, which goes on working.
 */

interface BadInput {
  name: string
  images?: TestRegistryOptions['images']
  registry?: TestRegistryOptions
  /** what goes wrong, before fluxd begins */
  spoil?(registry: TestRegistry): void | Promise<void>
  /** more of them in Git */
  files?(registry: TestRegistry): Record<string, string>
  /** what is known from before */
  store?(store: ImageStore, name: string): void
  /** of the container; `semver:~3.1` */
  pattern?: string
  /** of the image that runs; `3.1.5` */
  tag?: string
  /** codes in `list-images -v` */
  codes: string[]
  log: RegExp
  metric: string
  /** subjects of the commits that are right */
  commits?: string[]
}

const march = '2024-03-01T00:00:00Z'
const june = '2024-06-01T00:00:00Z'
/** 3.1.6 would be released, if it could be */
const podinfo = { 'example/app': { '3.1.5': march, '3.1.6': june } }
const always = 1_000_000

const automated = (filter: string) => `fluxcd.io/automated: 'true', fluxcd.io/tag.app: '${filter}'`

const ending: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end()
})
const use = <T extends AsyncDisposable>(part: T): T => {
  ending.push(async () => part[Symbol.asyncDispose]())
  return part
}

async function badWorld({
  images = podinfo,
  registry: options = {},
  spoil,
  files,
  store,
  pattern,
  tag,
}: Omit<BadInput, 'codes' | 'log' | 'metric'>) {
  const registry = use(await startRegistry({ ...options, images }))
  await spoil?.(registry)
  const calm = use(await startRegistry({ images: { 'example/calm': { '1': march } } }))
  const upstream = use(
    await gitServer({
      'app.yaml': deployment('app', `${registry.host}/example/app:${tag ?? '3.1.5'}`, {
        annotations: automated(pattern ?? 'semver:~3.1'),
      }),
      ...files?.(registry),
      'calm.yaml': deployment('calm', `${calm.host}/example/calm:1`, { annotations: automated('glob:*') }),
    }),
  )
  const imageStore = createMemoryStore()
  store?.(imageStore, canonicalName(parseImageRef(`${registry.host}/example/app`)))
  const cluster = memoryCluster()
  const agent = use(
    await worldAgent({
      cluster,
      imageStore,
      registryTimeoutMs: 400,
      args: [
        `--git-url=${upstream.fileUrl}`,
        '--git-branch=main',
        '--registry-insecure-host=127.0.0.1',
        '--registry-rps=5000',
      ],
    }),
  )
  const listed = async () => {
    const { stdout } = await runCli(['list-images', '-v', '--namespace=demo', `--url=${agent.url}`])
    return stdout.slice(0, stdout.indexOf('demo:deployment/calm'))
  }
  return {
    registry,
    calm,
    upstream,
    agent,
    listed,
    codes: async () => [...(await listed()).matchAll(/^ +([A-Z_]+): /gm)].map(([, code]) => code ?? ''),
    subjects: async () =>
      (await upstream.git('log', '--reverse', '--format=%s', 'main'))
        .split('\n')
        .slice(1)
        .map((subject) => subject.replace(`${registry.host}/`, '').replace(`${calm.host}/`, '')),
    /** Have automation look at everything that is known now: the calm registry's image is released. */
    async look() {
      calm.push('example/calm', '2', june)
      await agent.ask('POST', '/v11/notify', {
        Kind: 'image',
        Source: { Name: { Domain: calm.host, Image: 'example/calm' } },
      })
      await agent.until(/added update to automation run.*new=\S*\/example\/calm:2 /)
      await pollFor(
        async () => (await upstream.git('log', '--format=%s', 'main')).includes('/calm:2') || undefined,
        'the commit',
      )
    },
  }
}

const answers = (answer: Parameters<TestRegistry['fail']>[0]['answer'], on = /tags/) => ({
  spoil: (registry: TestRegistry) => registry.fail({ on, times: always, answer }),
})
const badListing = (code: string) => ({
  codes: [code, 'LISTING_MISSING'],
  log: new RegExp(`err="requesting tags: .*" code=${code}`),
  metric: `fluxd_image_repositories{code="${code}"} 1`,
})
const badImage = (code: string) => ({
  pattern: 'glob:3.1.*',
  codes: [code, 'METADATA_MISSING'],
  log: new RegExp(`tag=3\\.1\\.6 .*code=${code}`),
  metric: `fluxd_image_tags{code="${code}"} 1`,
})
const heldBy = (code: string) => ({
  codes: [code],
  log: new RegExp(`workload=demo:deployment/app .*action="skip container" code=${code}`),
  metric: `fluxd_automation_containers{code="${code}"} 1`,
})

const base64 = (text: string) => Buffer.from(text).toString('base64')
const schema1 = (created: string): JsonObject => ({
  schemaVersion: 1,
  name: 'example/app',
  tag: '3.1.6',
  architecture: 'amd64',
  fsLayers: [],
  history: [{ v1Compatibility: JSON.stringify({ id: 'abc', ...(created && { created }) }) }],
})
const schema1Type = 'application/vnd.docker.distribution.manifest.v1+prettyjws'

const cases: BadInput[] = [
  {
    name: 'a registry that is down',
    spoil: (registry) => registry.close(),
    ...badListing('REGISTRY_UNAVAILABLE'),
  },
  { name: 'a registry that cuts connections', ...answers('drop'), ...badListing('REGISTRY_UNAVAILABLE') },
  { name: 'a slow registry', ...answers('stall'), ...badListing('REGISTRY_TIMEOUT') },
  { name: '401', ...answers({ status: 401 }), ...badListing('REGISTRY_DENIED') },
  { name: '403', ...answers({ status: 403 }), ...badListing('REGISTRY_DENIED') },
  { name: '404', ...answers({ status: 404 }), ...badListing('REGISTRY_IMAGE_MISSING') },
  {
    name: '429: one host is left alone while another works',
    ...answers({ status: 429 }),
    ...badListing('REGISTRY_RATE_LIMITED'),
  },
  { name: '500', ...answers({ status: 500 }), ...badListing('REGISTRY_UNAVAILABLE') },
  { name: '503', ...answers({ status: 503 }), ...badListing('REGISTRY_UNAVAILABLE') },
  { name: 'a truncated listing', ...answers('truncate'), ...badListing('REGISTRY_UNAVAILABLE') },
  {
    name: 'an endless listing',
    ...answers({
      status: 200,
      headers: { link: '</v2/example/app/tags/list?again>; rel="next"' },
      body: '{"tags":["3.1.6"]}',
    }),
    ...badListing('REGISTRY_TOO_LARGE'),
  },
  {
    name: 'a page of a listing that fails',
    registry: { pageSize: 1 },
    ...answers({ status: 500 }, /last=/),
    ...badListing('REGISTRY_UNAVAILABLE'),
  },
  {
    name: 'tags outside the grammar',
    spoil: (registry) =>
      registry.fail({
        on: /tags/,
        times: always,
        answer: {
          status: 200,
          body: JSON.stringify({ tags: ['3.1.5', '3.1.6\u001b[31m', '3.1.7\n', '3.1.$(id)', '../3.1.8'] }),
        },
      }),
    codes: ['TAG_INVALID'],
    log: /names that are no tags were dropped.* dropped=4 code=TAG_INVALID/,
    metric: 'fluxd_image_tags{code="TAG_INVALID"} 4',
  },
  {
    name: 'another digest than announced',
    ...answers('corrupt', /manifests\/3\.1\.6/),
    ...badImage('REGISTRY_INVALID'),
  },
  {
    name: 'an unknown manifest type',
    spoil: (registry) =>
      void registry.pushManifest('example/app', '3.1.6', { schemaVersion: 9 }, 'text/plain'),
    ...badImage('IMAGE_MANIFEST_UNSUPPORTED'),
  },
  {
    name: 'an image for another platform',
    spoil: (registry) =>
      void registry.push('example/app', '3.1.6', june, { kind: 'index', platforms: ['windows/amd64'] }),
    ...badImage('IMAGE_PLATFORM_MISSING'),
  },
  {
    name: 'a tag without its manifest',
    ...answers({ status: 404, body: '{}' }, /manifests\/3\.1\.6/),
    ...badImage('REGISTRY_MANIFEST_UNKNOWN'),
  },
  {
    name: 'manifests that are refused',
    ...answers({ status: 403 }, /manifests\/3\.1\.6/),
    ...badImage('REGISTRY_DENIED'),
  },
  {
    name: 'a rate limit on manifests',
    ...answers({ status: 429 }, /manifests\/3\.1\.6/),
    ...badImage('REGISTRY_RATE_LIMITED'),
    log: /aborting image tag fetching due to rate limiting, will try again later" host=\S+ code=REGISTRY_RATE_LIMITED/,
  },
  {
    name: 'a schema 1 image without creation time',
    pattern: 'glob:3.1.*',
    spoil: (registry) => void registry.pushManifest('example/app', '3.1.5', schema1(''), schema1Type),
    ...heldBy('TIME_UNKNOWN'),
  },
  {
    name: 'a schema 1 image: it is read',
    pattern: 'glob:3.1.*',
    spoil: (registry) => void registry.pushManifest('example/app', '3.1.6', schema1(june), schema1Type),
    codes: [],
    log: /new=\S+:3\.1\.6 .*code=NEWER/,
    metric: 'fluxd_image_repositories{code="OK"} 2',
    commits: ['Auto-release example/app:3.1.6'],
  },
  {
    name: 'an image without creation time',
    images: { 'example/app': { '3.1.5': '', '3.1.6': june } },
    pattern: 'glob:3.1.*',
    ...heldBy('TIME_UNKNOWN'),
  },
  {
    name: 'an image made in 1970, as all others',
    images: { 'example/app': { '3.1.5': '1970-01-01T00:00:00Z', '3.1.6': '1970-01-01T00:00:00Z' } },
    tag: '3.1.6',
    pattern: 'glob:3.1.*',
    ...heldBy('TIME_EPOCH'),
  },
  {
    name: 'a current tag that is gone',
    images: { 'example/app': { '3.1.6': june } },
    pattern: 'glob:3.1.*',
    ...heldBy('TIME_UNKNOWN'),
  },
  {
    name: 'a wrong pull secret',
    registry: { auth: { type: 'basic', user: 'robot', password: 'S3CRET' } },
    files: ({ host }) => ({
      'account.yaml': `apiVersion: v1
kind: ServiceAccount
metadata: {name: default, namespace: demo}
imagePullSecrets: [{name: pull}]
---
apiVersion: v1
kind: Secret
metadata: {name: pull, namespace: demo}
type: kubernetes.io/dockerconfigjson
data: {.dockerconfigjson: ${base64(JSON.stringify({ auths: { [host]: { auth: base64('robot:WR0NG') } } }))}}
`,
    }),
    ...badListing('REGISTRY_DENIED'),
  },
  {
    name: 'two workloads with one image and different filters',
    files: ({ host }) => ({
      'other.yaml': deployment('other', `${host}/example/app:3.1.5`, {
        annotations: automated('semver:3.1.5'),
      }),
    }),
    codes: [],
    log: /workload=demo:deployment\/app .*new=\S+:3\.1\.6 .*code=NEWER/,
    metric: 'fluxd_automation_containers{code="UP_TO_DATE"} 1',
    commits: ['Auto-release example/app:3.1.6'],
  },
  { name: 'an invalid pattern', pattern: 'semver:nonsense', ...heldBy('PATTERN_INVALID') },
  {
    name: 'ten thousand tags, one of them better',
    images: {
      'example/app': {
        ...podinfo['example/app'],
        ...Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`0.0.${n}`, march])),
      },
    },
    codes: [],
    log: /new=\S+:3\.1\.6 .*code=NEWER/,
    metric: 'fluxd_image_repositories{code="OK"} 2',
    commits: ['Auto-release example/app:3.1.6'],
  },
  {
    name: 'a clock that was set back, and a lower tag than what runs',
    images: { 'example/app': { '3.1.4': march } },
    store(store, name) {
      const future = Date.now() + 86_400_000
      store.setListing(name, ['3.1.4'], { listedAtMs: future, pages: [] })
      store.setTag(name, '3.1.4', { digest: 'sha256:4', fetchedAtMs: future, dueAtMs: future + 1 })
      store.setFacts('sha256:4', { labels: {}, createdAt: new Date(march), createdAtText: march })
    },
    ...answers({ status: 500 }),
    codes: ['REGISTRY_UNAVAILABLE', 'CLOCK_SET_BACK', 'LISTING_STALE'],
    log: /the clock was set back.* code=CLOCK_SET_BACK/,
    metric: 'fluxd_automation_containers{code="LISTING_STALE"} 1',
  },
]

test.each(cases)('$name', async ({ codes, log, metric, commits = [], ...input }) => {
  const world = await badWorld(input)

  await world.agent.until(log)
  await world.look()

  const hasCodes = async () => (await world.codes()).join() === codes.join() || undefined
  await pollFor(hasCodes, `${codes}`).catch(async () => expect(await world.codes()).toEqual(codes))
  await pollFor(async () => (await world.agent.metrics()).includes(`\n${metric}\n`) || undefined, metric)
  expect((await world.subjects()).sort()).toEqual([...commits, 'Auto-release example/calm:2'])
  const shown = `${world.agent.log.join('\n')}${await world.listed()}`
  expect(shown).not.toMatch(/[\x00-\x09\x0b-\x1f]|WR0NG|S3CRET/)
})
