import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FluxError } from '../../src/core/errors.ts'
import { type JsonValue, valueAt } from '../../src/core/json.ts'
import { type GitServer, gitServer } from '../../src/playground/git/server.ts'
import { startRegistry, type TestRegistry } from '../../src/playground/registry/registry.ts'
import {
  configMap,
  deployment,
  fasterBy,
  imageRelease,
  memoryCluster,
  policyUpdate,
  pollFor,
  type WorldAgent,
  worldAgent,
} from './fixtures.ts'

/** Updates that can't be done, or not at once: what they get, and that Git is as before or complete. */

const id = (name: string) => `demo:deployment/${name}`

interface World {
  upstream: GitServer
  registry: TestRegistry
  agent: WorldAgent
}

async function startWorld(extra: Record<string, string> = {}, args: string[] = []) {
  const registry = await startRegistry({
    images: {
      'example/app': {
        '1.0.0': '2024-01-01T00:00:00Z',
        '1.0.1': '2024-01-02T00:00:00Z',
        '2.0.0': '2024-01-03T00:00:00Z',
      },
    },
  })
  const image = (tag: string) => `${registry.host}/example/app:${tag}`
  const upstream = await gitServer({
    'web.yaml': deployment('web', image('1.0.0')),
    'locked.yaml': deployment('locked', image('1.0.0'), { annotations: "fluxcd.io/locked: 'true'" }),
    'filtered.yaml': deployment('filtered', image('1.0.0'), {
      annotations: "fluxcd.io/tag.app: 'semver:~1.0'",
    }),
    'settings.yaml': configMap('settings'),
    ...extra,
  })
  const agent = await worldAgent({
    args: [
      `--git-url=${upstream.url}`,
      '--git-branch=main',
      '--git-set-author',
      `--registry-insecure-host=${registry.host}`,
      ...args,
    ],
  })
  await agent.until(/state="tag flux-sync"/)
  return {
    upstream,
    registry,
    agent,
    image,
    async [Symbol.asyncDispose]() {
      await agent.stop()
      await registry.close()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

describe('an update that cannot be done leaves the repository as it is', () => {
  let world: Awaited<ReturnType<typeof startWorld>>
  beforeAll(async () => {
    world = await startWorld()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const refusals: {
    name: string
    spec(world: World & { image(tag: string): string }): unknown
    error: RegExp
    code: string
  }[] = [
    {
      name: 'a lock is held',
      spec: ({ image }) => imageRelease([id('locked')], image('1.0.1')),
      error: /^no changes made in repo$/,
      code: 'NO_CHANGES',
    },
    {
      name: 'a workload that nobody knows',
      spec: ({ image }) => imageRelease([id('nobody')], image('1.0.1')),
      error: /^no changes made in repo$/,
      code: 'NO_CHANGES',
    },
    {
      name: 'a policy of what runs nothing',
      spec: () => policyUpdate('demo:configmap/settings', { add: { locked: 'true' } }),
      error: /does not have containers/,
      code: 'RESOURCE_WITHOUT_CONTAINERS',
    },
    {
      name: 'an image that the registry does not have',
      spec: ({ image }) => imageRelease([id('web')], image('9.9.9')),
      error: /^image ".*9\.9\.9" does not exist: invalid image ID$/,
      code: 'IMAGE_MISSING',
    },
    {
      name: 'a repository that the registry does not have',
      spec: ({ registry }) => imageRelease([id('web')], `${registry.host}/example/none:1`),
      error: /^image ".*none:1" does not exist: invalid image ID$/,
      code: 'IMAGE_MISSING',
    },
    {
      name: 'nothing to change',
      spec: ({ image }) => imageRelease([id('web')], image('1.0.0')),
      error: /^no changes made in repo$/,
      code: 'NO_CHANGES',
    },
    {
      name: 'a pattern that is none',
      spec: () => policyUpdate(id('web'), { add: { 'tag.app': 'semver:no-range' } }),
      error: /no-range/,
      code: 'POLICY_PATTERN_INVALID',
    },
    {
      name: 'a pattern beyond the bound',
      spec: () => policyUpdate(id('web'), { add: { 'tag.app': `glob:${'x'.repeat(2_000)}` } }),
      error: /./,
      code: 'PATTERN_TOO_LONG',
    },
  ]
  test.each(refusals)('$name', async ({ spec, error, code }) => {
    const { agent, upstream } = world
    const before = await upstream.git('for-each-ref')

    const { status } = await agent.update(spec(world))

    expect(status).toMatchObject({ StatusString: 'failed', Err: expect.stringMatching(error), ErrCode: code })
    expect(await upstream.git('for-each-ref')).toBe(before)
    expect(agent.log.some((line) => line.includes(`success=false`) && line.includes(`code=${code}`))).toBe(
      true,
    )
  })

  test('a policy of a workload that nobody knows is skipped, as v1 has it', async () => {
    const { agent, upstream } = world
    const before = await upstream.git('for-each-ref')

    const { status } = await agent.update(policyUpdate(id('nobody'), { add: { locked: 'true' } }))

    expect(valueAt(status, 'Result', 'result', id('nobody'), 'Status')).toBe('skipped')
    expect(await upstream.git('for-each-ref')).toBe(before)
  })

  test('what a filter or a lock refuses is told in a dry run', async () => {
    const { agent, image } = world

    const { status } = await agent.update(imageRelease(['<all>'], image('2.0.0'), { kind: 'plan' }))

    const result = valueAt(status, 'Result', 'result') as Record<string, JsonValue>
    expect(result).toMatchObject({
      [id('locked')]: { Status: 'skipped', Error: 'locked' },
      [id('filtered')]: { Status: 'skipped', Error: 'cannot find one or more images' },
      [id('web')]: { Status: 'success' },
    })
  })

  test('a registry that fails is named, for an image that was not seen before', async () => {
    const { agent, upstream, registry, image } = world
    const before = await upstream.git('for-each-ref')
    registry.push('example/app', '1.0.7', '2024-01-01T12:00:00Z')
    registry.fail({ on: /1\.0\.7/, times: 100, answer: { status: 503 } })

    const { status } = await agent.update(imageRelease([id('web')], image('1.0.7')))

    expect(status).toMatchObject({ StatusString: 'failed', ErrCode: 'REGISTRY_UNAVAILABLE' })
    expect(await upstream.git('for-each-ref')).toBe(before)
  })

  test.each([
    {
      name: 'a body beyond the bound',
      body: { type: 'image', junk: 'x'.repeat(1024 * 1024) },
      code: 'API_BODY_TOO_LARGE',
    },
    { name: 'a body that is no update', body: { type: 'image', spec: 7 }, code: 'API_BAD_REQUEST' },
    { name: 'an update of no known type', body: { type: 'erase', spec: {} }, code: 'API_BAD_REQUEST' },
  ])('$name', async ({ body, code }) => {
    const reply = await world.agent.ask('POST', '/v9/update-manifests', body)

    expect(reply.status).toBeGreaterThanOrEqual(400)
    expect(reply.body).toMatchObject({ code })
  })
})

/** A hook that refuses pushes to branches; the tags of the write check and the marker may pass. */
const refuseBranches = (text: string) =>
  `while read -r old new ref; do case $ref in refs/heads/*) echo '${text}' >&2; exit 1;; esac; done`

describe('a push', () => {
  test.each([
    { name: 'that a hook refuses', text: 'policy: not on a Friday' },
    { name: 'to a protected branch', text: 'GH006: Protected branch update failed for refs/heads/main.' },
  ])('$name is told with the server’s words', async ({ text }) => {
    await using world = await startWorld()
    const { agent, upstream, image } = world
    await upstream.hook('pre-receive', refuseBranches(text))
    const before = await upstream.git('for-each-ref')

    const { status } = await agent.update(imageRelease([id('web')], image('1.0.1')))

    expect(status).toMatchObject({ StatusString: 'failed', ErrCode: 'GIT_PUSH_REJECTED' })
    expect(agent.log.join('\n')).toContain(text)
    expect(await upstream.git('for-each-ref')).toBe(before)

    await upstream.hook('pre-receive', undefined)
    const again = await agent.update(imageRelease([id('web')], image('1.0.1')))
    expect(again.status).toMatchObject({ StatusString: 'succeeded' })
  })

  test('that loses three races is derived again on each new head', async () => {
    await using world = await startWorld()
    const { agent, upstream, image } = world
    await upstream.hook('pre-receive', fasterBy(3))

    const { status } = await agent.update(imageRelease([id('web')], image('1.0.1')))

    expect(status).toMatchObject({ StatusString: 'succeeded' })
    expect((await upstream.git('log', '--format=%s', 'main')).split('\n')).toEqual([
      expect.stringContaining('1.0.1'),
      'Faster 3',
      'Faster 2',
      'Faster 1',
      'Initial',
    ])
    expect(await upstream.git('fsck', '--strict')).not.toMatch(/error/)
  })

  test('that loses every race gives up, with nothing half done', { timeout: 120_000 }, async () => {
    await using world = await startWorld({}, ['--sync-timeout=5m'])
    const { agent, upstream, image } = world
    await upstream.hook('pre-receive', fasterBy(40))

    const { id: job, status } = await agent.update(imageRelease([id('web')], image('1.0.1')))

    expect(status).toMatchObject({ StatusString: 'failed', ErrCode: 'GIT_PUSH_REJECTED' })
    expect(agent.log.find((line) => line.includes(job) && line.includes('code='))).toMatch(
      /why="Somebody else pushed.*" next="Nothing was changed/,
    )
    const subjects = (await upstream.git('log', '--format=%s', 'main')).split('\n')
    expect(subjects.filter((subject) => !/^(Faster \d+|Initial)$/.test(subject))).toEqual([])
    expect(await upstream.git('for-each-ref', 'refs/notes')).toBe('')
  })
})

test('hostile texts of people end in no header, no trailer of ours, no control sequence', async () => {
  await using world = await startWorld()
  const { agent, upstream } = world
  const user = 'Eve\u0000\u001b[31m <e@x>\ncommitter Root <root@x> 0 +0000\n\u202e'
  const message = 'one\r\ntwo\u0000\n\nFlux-Request-Id: stolen\n\u001b]0;title\u0007'

  const { id: job, status } = await agent.update(
    policyUpdate(id('web'), { add: { locked: 'true' }, user, message }),
  )

  expect(status).toMatchObject({ StatusString: 'succeeded' })
  const raw = await upstream.git('cat-file', 'commit', 'main')
  expect(
    raw
      .split('\n\n')[0]
      ?.split('\n')
      .map((line) => line.split(' ')[0]),
  ).toEqual(['tree', 'parent', 'author', 'committer'])
  expect(raw).not.toContain('\0')
  expect(raw).not.toContain('\r')
  expect(await upstream.git('fsck', '--strict')).not.toMatch(/error/)
  expect(agent.log.filter((line) => /[\u0000-\u001f\u202e]/.test(line))).toEqual([])
  expect(agent.log.some((line) => line.includes(job))).toBe(true)
})

describe('work that meets', () => {
  test('jobs that come together make one commit each, in the order they came', async () => {
    await using world = await startWorld()
    const { agent, upstream } = world
    const before = await upstream.git('rev-parse', 'main')

    const jobs = await Promise.all(
      ['web', 'filtered', 'web', 'filtered'].map((name, index) =>
        agent.update(
          policyUpdate(id(name), index < 2 ? { add: { locked: 'true' } } : { add: { automated: 'true' } }),
        ),
      ),
    )

    expect(jobs.map(({ status }) => valueAt(status, 'StatusString'))).toEqual(Array(4).fill('succeeded'))
    expect(await upstream.git('rev-list', '--count', `${before}..main`)).toBe('4')
    expect((await upstream.git('notes', '--ref=flux', 'list')).split('\n')).toHaveLength(4)
    const web = await upstream.git('show', 'main:web.yaml')
    expect(web).toContain("fluxcd.io/locked: 'true'")
    expect(web).toContain("fluxcd.io/automated: 'true'")
    const head = await upstream.git('rev-parse', 'main')
    await pollFor(
      async () => (await upstream.git('rev-parse', 'flux-sync^{commit}')) === head || undefined,
      'the marker',
    )
  })

  test('a person’s job goes between the stages of a pass, which the next pass completes', async () => {
    await using upstream = await gitServer({
      'a.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: {name: demo}\n',
      'web.yaml': deployment('web', 'example/app:1'),
    })
    const cluster = memoryCluster()
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    cluster.beforeApply = async ({ type }) => {
      if (type.kind === 'Namespace') await gate
    }
    await using agent = await worldAgent({
      cluster,
      args: [`--git-url=${upstream.fileUrl}`, '--git-branch=main', '--registry-disable-scanning'],
    })
    await agent.until(/cmd=apply/)

    const job = await agent.submit(policyUpdate(id('web'), { add: { locked: 'true' } }))
    open()
    const status = await agent.finished(job)

    expect(status).toMatchObject({ StatusString: 'succeeded' })
    const head = await upstream.git('rev-parse', 'main')
    await agent.until(new RegExp(`state="tag flux-sync".* new=${head}`))
    expect(await upstream.git('rev-parse', 'flux-sync^{commit}')).toBe(head)
    expect(
      valueAt(cluster.read('Deployment', 'demo', 'web'), 'metadata', 'annotations', 'fluxcd.io/locked'),
    ).toBe('true')
    const lines = agent.log.map((line) =>
      /success=true/.test(line) ? 'job' : /state="tag/.test(line) ? 'pass' : '',
    )
    expect(lines.filter(Boolean)).toEqual(['job', 'pass', 'pass'])
  })

  test('after a restart a job is found by its note, and one without a commit is not', async () => {
    await using upstream = await gitServer({ 'web.yaml': deployment('web', 'example/app:1') })
    const args = [`--git-url=${upstream.fileUrl}`, '--git-branch=main', '--registry-disable-scanning']
    const first = await worldAgent({ args })
    await first.until(/state="tag flux-sync"/)
    const made = await first.update(policyUpdate(id('web'), { add: { locked: 'true' } }))
    const none = await first.update(policyUpdate(id('web'), { add: { locked: 'true' } }))
    await first.stop()

    await using second = await worldAgent({ args })
    await second.until(/event=refreshed/)

    expect((await second.ask('GET', `/v6/jobs?id=${made.id}`)).body).toMatchObject({
      StatusString: 'succeeded',
      Result: { revision: await upstream.git('rev-parse', 'main') },
    })
    expect(await second.ask('GET', `/v6/jobs?id=${none.id}`)).toMatchObject({
      status: 404,
      body: { code: 'JOB_UNKNOWN', next: 'It is safe to ask for the same change again.' },
    })
  })

  test('stopped while a push hangs, it ends, and the branch is as before', async () => {
    await using upstream = await gitServer({ 'web.yaml': deployment('web', 'example/app:1') })
    const agent = await worldAgent({
      args: [`--git-url=${upstream.url}`, '--git-branch=main', '--registry-disable-scanning'],
    })
    await agent.until(/state="tag flux-sync"/)
    const before = await upstream.git('rev-parse', 'main')
    upstream.stall(/git-receive-pack/)
    await agent.ask('POST', '/v9/update-manifests', policyUpdate(id('web'), { add: { locked: 'true' } }))
    await pollFor(() => upstream.requests.at(-1)?.includes('receive-pack') || undefined, 'the push')

    await agent.stop()

    expect(await upstream.git('rev-parse', 'main')).toBe(before)
    expect(agent.log.some((line) => line.includes('success=false'))).toBe(true)
  })
})

test('a release that comes before the cluster was listed waits until it is', async () => {
  await using registry = await startRegistry({ images: { 'example/app': { '1': '', '2': '' } } })
  const image = `${registry.host}/example/app`
  await using upstream = await gitServer({ 'web.yaml': deployment('web', `${image}:1`) })
  const args = [`--git-url=${upstream.url}`, '--git-branch=main', `--registry-insecure-host=${registry.host}`]
  const cluster = memoryCluster()
  const first = await worldAgent({ args, cluster })
  await first.until(/state="tag flux-sync"/)
  await first.stop()
  let away = true
  const cut = {
    ...cluster,
    async list(...asked: Parameters<typeof cluster.list>) {
      if (away) throw new FluxError('CLUSTER_UNREACHABLE', { what: 'nobody answers' })
      return cluster.list(...asked)
    },
  }
  await using next = await worldAgent({ args, cluster: cut })
  await next.until(/event=refreshed/)

  const id = await next.submit(imageRelease(['demo:deployment/web'], `${image}:2`))
  await next.until(/state=in-progress/)
  away = false

  expect(await next.finished(id)).toMatchObject({ StatusString: 'succeeded' })
})
