import { describe, expect, test } from 'vitest'
import { valueAt } from '../../src/core/json.ts'
import { type GitServer, gitServer } from '../../src/playground/git/server.ts'
import { configMap, deployment, memoryCluster, policyUpdate, worldAgent } from './fixtures.ts'

/** What a repository that can't be used gets: a code, what, why and next, in the log and through the API. */

interface Fault {
  name: string
  upstream(): Promise<GitServer>
  url?: (server: GitServer) => string
  args?: string[]
  status: 'new' | 'cloned' | 'unreachable'
  log: RegExp
  error: RegExp
}

const files = { 'a.yaml': configMap('a') }

describe('a repository that cannot be used', () => {
  test.each<Fault>([
    {
      name: 'nobody listens',
      upstream: () => gitServer(files),
      url: () => 'http://127.0.0.1:9/config.git',
      status: 'new',
      log: /state=new .*code=GIT_UNREACHABLE why=.* next=/,
      error: /127\.0\.0\.1/,
    },
    {
      name: 'a host that does not resolve',
      upstream: () => gitServer(files),
      url: () => 'http://git.invalid/config.git',
      status: 'unreachable',
      log: /state=unreachable .*code=GIT_UNREACHABLE/,
      error: /could not resolve host/i,
    },
    {
      name: 'a wrong password',
      upstream: () => gitServer(files, { auth: { user: 'flux', password: 'right' } }),
      url: ({ openUrl }) => openUrl.replace('http://', 'http://flux:hunter2@'),
      status: 'new',
      log: /code=GIT_CLONE_DENIED why=.* next=/,
      error: /./,
    },
    {
      name: 'read-only access',
      async upstream() {
        const server = await gitServer(files)
        await server.setReadOnly(true)
        return server
      },
      status: 'cloned',
      log: /code=GIT_NOT_WRITABLE why=.* next=/,
      error: /./,
    },
    {
      name: 'an empty repository',
      upstream: () => gitServer(),
      status: 'cloned',
      log: /configured branch 'main' does not exist.*code=GIT_BRANCH_MISSING why="The repository is empty\." next="Push a first commit/,
      error: /^configured branch 'main' does not exist$/,
    },
    {
      name: 'a branch that is not there',
      upstream: () => gitServer(files, { branch: 'trunk' }),
      status: 'cloned',
      log: /code=GIT_BRANCH_MISSING why=".*default branch is 'trunk'.*" next=".*--git-branch=trunk/,
      error: /^configured branch 'main' does not exist$/,
    },
  ])('$name', async ({ upstream, url, args = [], status, log, error }) => {
    await using server = await upstream()
    const cluster = memoryCluster()
    await using agent = await worldAgent({
      cluster,
      args: [
        `--git-url=${url?.(server) ?? server.url}`,
        '--git-branch=main',
        '--registry-disable-scanning',
        ...args,
      ],
    })

    await agent.until(log)

    const { body } = await agent.ask('POST', '/v9/git-repo-config', false)
    expect(body).toMatchObject({ status, errors: expect.stringMatching(error) })
    const job = await agent.update(policyUpdate('demo:deployment/a', { add: { locked: 'true' } }))
    expect(job.status).toMatchObject({
      StatusString: 'failed',
      Err: expect.stringMatching(/^git repo not ready: /),
    })
    expect(cluster.applies).toEqual([])
    expect(agent.log.join('\n')).not.toContain('hunter2')
    expect(JSON.stringify(body)).not.toContain('hunter2')
  })

  test('a path that is not there holds the sync and says which', async () => {
    await using upstream = await gitServer(files)
    const cluster = memoryCluster()
    await using agent = await worldAgent({
      cluster,
      args: [
        `--git-url=${upstream.fileUrl}`,
        '--git-branch=main',
        '--git-path=nowhere',
        '--registry-disable-scanning',
      ],
    })

    await agent.until(/err=.*nowhere.* code=GIT_PATH_MISSING.* next=/)

    expect(cluster.applies).toEqual([])
    const { status, body } = await agent.ask('GET', '/v6/services?namespace=')
    expect(status).not.toBe(200)
    expect(body).toMatchObject({ code: 'GIT_PATH_MISSING' })
  })
})

const depth = 200
const manifests: { name: string; files: Record<string, string>; log: RegExp }[] = [
  {
    name: 'a tab in the indentation',
    files: { 'bad.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: x\n' },
    log: /bad\.yaml:4:1.*code=MANIFEST_SYNTAX.* next=/,
  },
  {
    name: 'an object that stands there twice',
    files: { 'bad.yaml': configMap('a') },
    log: /duplicate definition of 'demo:configmap\/a' \(in a\.yaml and bad\.yaml\).*code=MANIFEST_DUPLICATE why="It stands at a\.yaml:1 and at bad\.yaml:1\." next="Keep one/,
  },
  {
    name: 'a document that is no map',
    files: { 'bad.yaml': 'just a text\n' },
    log: /bad\.yaml:1.*code=MANIFEST_INVALID/,
  },
  {
    name: 'a document nested too deep',
    files: {
      'bad.yaml': `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: ${'['.repeat(depth)}${']'.repeat(depth)}\n`,
    },
    log: /bad\.yaml.*code=MANIFEST_TOO_DEEP/,
  },
  {
    name: 'aliases that expand without end',
    files: {
      'bad.yaml': [
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\na0: &a0 [x, x, x, x, x, x, x, x, x, x]',
        ...Array.from(
          { length: 8 },
          (_, n) => `a${n + 1}: &a${n + 1} [${Array.from({ length: 10 }, () => `*a${n}`).join(', ')}]`,
        ),
        '',
      ].join('\n'),
    },
    log: /bad\.yaml.*code=MANIFEST_ALIAS_BOMB/,
  },
  {
    name: 'a file above the bound',
    files: { 'bad.yaml': `# ${'x'.repeat(4 * 1024 * 1024)}\n` },
    log: /bad\.yaml.*code=MANIFEST_TOO_LARGE/,
  },
]

describe('a revision that cannot be read is held as a whole', () => {
  test.each(manifests)('$name', async ({ files: bad, log }) => {
    await using upstream = await gitServer({ 'a.yaml': configMap('a') })
    const cluster = memoryCluster()
    await using agent = await worldAgent({
      cluster,
      args: [`--git-url=${upstream.fileUrl}`, '--git-branch=main', '--registry-disable-scanning'],
    })
    await agent.until(/state="tag flux-sync"/)
    const good = await upstream.git('rev-parse', 'main')

    const from = agent.log.length
    const held = await upstream.commit({
      'a.yaml': configMap('a', 'changed'),
      'web.yaml': deployment('web', 'x:1'),
      ...bad,
    })
    await agent.ask('POST', '/v11/notify', { Kind: 'git', Source: { URL: upstream.fileUrl, Branch: 'main' } })
    await agent.until(log, from)

    expect(cluster.applies).toEqual(['ConfigMap demo/a'])
    expect(valueAt(cluster.read('ConfigMap', 'demo', 'a'), 'data', 'from')).toBe('git')
    expect(await upstream.git('rev-parse', 'flux-sync^{commit}')).toBe(good)
    const { status } = await agent.update(policyUpdate('demo:deployment/web', { add: { locked: 'true' } }))
    expect(status).toMatchObject({ StatusString: 'failed', ErrCode: expect.stringMatching(/^MANIFEST_/) })
    expect(await upstream.git('rev-parse', 'main')).toBe(held)

    await upstream.commit({ 'bad.yaml': null })
    await agent.ask('POST', '/v11/notify', { Kind: 'git', Source: { URL: upstream.fileUrl, Branch: 'main' } })
    await agent.until(/state="tag flux-sync"/, from)
    expect(valueAt(cluster.read('ConfigMap', 'demo', 'a'), 'data', 'from')).toBe('changed')
  })
})
