import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createGitMirror } from '../../../src/adapters/git/mirror.ts'
import { gitServer } from '../../../src/playground/git/server.ts'
import { commitOn, failureOf, fetchedMirror, flux, headOf, mirrorOf, publishChange } from './support.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'upstream-test-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Command lines of running processes in whose environment or arguments a text stands. */
async function processesWith(text: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter(
    (name) => /^\d+$/.test(name) && name !== `${process.pid}`,
  )) {
    const [line, environment] = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    )
    if (line?.includes(text) || environment?.includes(text))
      found.push(`${pid} ${line?.replaceAll('\0', ' ')}`)
  }
  return found
}

describe('a user and password in the URL', () => {
  const auth = { user: 'flux@bot', password: 'hunter2/%&"$(x)\'`;\\ ü' }

  test('are used to read and to write', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' }, { auth })
    await using mirror = await fetchedMirror(upstream.url)

    const revision = await publishChange(mirror, 'a.yaml', 'a: 2\n')
    await mirror.fetch()

    expect(await upstream.git('rev-parse', 'main')).toBe(revision)
    expect(mirror.safeUrl).toBe(upstream.openUrl.replace('http://', 'http://flux%40bot@'))
  })

  test('never stand in the arguments of a process', async () => {
    await using upstream = await gitServer(
      { 'a.yaml': 'a: 1\n' },
      { auth: { user: 'u', password: 'hunter2' } },
    )
    await using mirror = await fetchedMirror(upstream.url)
    const program = join(folder, 'git-that-tells')
    await writeFile(program, `#!/bin/sh\necho "$@" >> ${folder}/arguments\nexec git "$@"\n`, { mode: 0o755 })
    await using telling = await fetchedMirror(upstream.url, { program })

    upstream.stall(/upload-pack/)
    const fetching = mirror.fetch()
    await vi.waitUntil(() => upstream.requests.some((request) => request.includes('upload-pack')))
    const lines = await processesWith(upstream.openUrl)
    await mirror.close()
    await expect(fetching).rejects.toThrow('closed')
    upstream.stall(undefined)
    await publishChange(telling, 'a.yaml', 'a: 2\n')

    expect(lines.join('\n')).not.toContain('hunter2')
    const told = await readFile(join(folder, 'arguments'), 'utf8')
    expect(told).toContain(`clone --bare --no-local -- ${upstream.openUrl}`)
    expect(told).not.toContain('hunter2')
  })

  test('that are wrong are told without being shown', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' }, { auth })
    await using mirror = mirrorOf(upstream.openUrl.replace('://', '://me:wr0ng-password@'))

    const failure = await failureOf(mirror.fetch())

    expect(failure).toMatchObject({
      code: 'GIT_CLONE_DENIED',
      next: 'Check the user and password (or token) in --git-url.',
    })
    expect(failure.what).toMatch(
      /^git clone --mirror: fatal: Authentication failed for '.*', full output:\n Cloning/s,
    )
    expect(failure.help).not.toMatch(/wr0ng|me@/)
  })

  test('are not given to another host', async () => {
    await using target = await gitServer({ 'a.yaml': 'a: 1\n' }, { auth: { user: 'u', password: 'hunter2' } })
    const mirror = createGitMirror({
      url: 'http://u:hunter2@127.0.0.1:9/repository.git',
      notesRef: 'flux',
      environment: { HOME: folder, PATH: process.env['PATH'] },
    })
    await writeFile(
      join(folder, '.gitconfig'),
      `[url "${target.openUrl}"]\n  insteadOf = http://127.0.0.1:9/repository.git\n`,
    )

    const failure = await failureOf(mirror.fetch())

    expect(failure.code).toBe('GIT_CLONE_DENIED')
    await mirror.close()
  })

  test.each([
    'http://u:p%0ahost=evil@h/x',
    'http://u%0a:p@h/x',
    '',
    '-x',
    '--upload-pack=x',
    'http://u:p@h:x/',
  ])('a URL that is none is refused: %j', (url) => {
    expect(() => mirrorOf(url)).toThrow(expect.objectContaining({ code: 'GIT_URL_INVALID' }))
  })
})

describe('when the upstream fails', () => {
  test('a repository that is not there is told in v1 words', async () => {
    const path = join(folder, 'nosuch.git')
    await using mirror = mirrorOf(`file://${path}`)

    const failure = await failureOf(mirror.fetch())

    expect(failure.code).toBe('GIT_REPOSITORY_MISSING')
    expect(failure.what.replace(/flux-gitclone\w+/, 'CLONE')).toBe(
      `git clone --mirror: fatal: '${path}' does not appear to be a git repository, full output:\n` +
        ` Cloning into bare repository '${join(tmpdir(), 'CLONE')}'...\n` +
        `fatal: '${path}' does not appear to be a git repository\n` +
        'fatal: Could not read from remote repository.\n\n' +
        'Please make sure you have the correct access rights\nand the repository exists.\n',
    )
  })

  test('nobody at the port is told, and the mirror can still be read', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(upstream.url)
    await using stranger = mirrorOf('http://me:hunter2@127.0.0.1:9/x.git')

    upstream.fail(/./, 503)
    const failures = [await failureOf(mirror.fetch()), await failureOf(stranger.fetch())]

    expect(failures.map(({ code }) => code)).toEqual(['GIT_UNREACHABLE', 'GIT_UNREACHABLE'])
    expect(failures[0]?.what).toMatch(/^git fetch --tags origin \[\]: fatal: unable to access 'http:/)
    expect(failures[1]?.what).not.toMatch(/hunter2|me@/)
    expect(await mirror.listFiles(await headOf(mirror))).toHaveLength(1)
    upstream.fail(undefined)
    await mirror.fetch()
  })

  test('a 404 over HTTP is a repository that is missing', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = mirrorOf(`${upstream.url}x`)

    expect((await failureOf(mirror.fetch())).code).toBe('GIT_REPOSITORY_MISSING')
  })

  test('a repository that may only be read is told when it is written', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(upstream.url)
    await upstream.setReadOnly(true)

    const failures = [
      await failureOf(mirror.checkWritable('main')),
      await failureOf(publishChange(mirror, 'a.yaml', 'a: 2\n')),
      await failureOf(mirror.moveTag('flux-sync', await headOf(mirror), { message: 'x', tagger: flux })),
    ]

    expect(failures.map(({ code }) => code)).toEqual(Array(3).fill('GIT_NOT_WRITABLE'))
    expect(failures.map(({ what }) => what.split(': ')[0])).toEqual([
      'attempt to push tag',
      `git push ${upstream.openUrl} [main refs/notes/flux]`,
      'pushing tag to origin',
    ])
    expect(failures[0]?.next).toContain('write access')
  })

  test('a push whose answer got lost leaves it to a fetch to tell', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = await fetchedMirror(upstream.url, { timeoutMs: 3000 })
    const { parent, revision } = await commitOn(mirror, 'a.yaml', 'a: 2\n')
    await upstream.hook('post-receive', 'cat > /dev/null; sleep 20')

    const failure = await failureOf(
      mirror.publish({ branch: 'main', expected: parent, revision, notes: new Map(), committer: flux }),
    )
    expect(await mirror.branchHead('main')).toBe(parent)
    await mirror.fetch()

    expect(failure.code).toBe('GIT_TIMEOUT')
    expect(await mirror.isAncestor(revision, await headOf(mirror))).toBe(true)
  })
})

describe('a server that says nothing', () => {
  test('runs into the time limit, and leaves no process', async () => {
    await using upstream = await gitServer(
      { 'a.yaml': 'a: 1\n' },
      { auth: { user: 'u', password: 'hunter2' } },
    )
    upstream.stall(/./)
    await using mirror = mirrorOf(upstream.url, { timeoutMs: 300 })

    const failure = await failureOf(mirror.fetch())

    expect(failure).toMatchObject({ code: 'GIT_TIMEOUT', kind: 'server' })
    expect(failure.what).toMatch(
      /^git clone --mirror: running git command: git \[clone .* http:\/\/127\.0\.0\.1:\d+\/repository\.git \/.*\]: context deadline exceeded$/,
    )
    expect(await processesWith(upstream.openUrl)).toEqual([])
  })

  test.each([
    { what: 'a clone', fetched: false, requests: /./ },
    { what: 'a fetch', fetched: true, requests: /upload-pack/ },
    { what: 'a push', fetched: true, requests: /receive-pack/ },
  ])('$what can be aborted, and leaves no process', async ({ fetched, requests }) => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await using mirror = mirrorOf(upstream.url)
    if (fetched) await mirror.fetch()
    const before = upstream.requests.length
    upstream.stall(requests)
    const controller = new AbortController()

    const { signal } = controller
    const work =
      requests.test('receive-pack') && fetched ? mirror.checkWritable('main', signal) : mirror.fetch(signal)
    const outcome = work.catch((error: unknown) => error)
    await vi.waitUntil(() => upstream.requests.length > before)
    controller.abort(new Error('enough'))

    expect(await outcome).toEqual(new Error('enough'))
    expect(await processesWith(upstream.openUrl)).toEqual([])
  })

  test('does not keep the mirror from being closed', async () => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    const mirror = await fetchedMirror(upstream.url)
    upstream.stall(/./)
    const fetches = [mirror.fetch(), mirror.fetch()].map((work) =>
      work.catch((error: Error) => error.message),
    )
    await vi.waitUntil(() => upstream.requests.at(-1)?.includes('upload-pack'))

    await mirror.close()

    expect(await Promise.all(fetches)).toEqual(Array(2).fill('the mirror of the git repo is closed'))
    expect(await processesWith(upstream.openUrl)).toEqual([])
  })

  test('is not waited for by one who was aborted before', async () => {
    await using mirror = mirrorOf('http://127.0.0.1:9/x')

    await expect(mirror.fetch(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  })
})

describe('over SSH', () => {
  /** A program in place of `ssh` that runs the command here, as a server's login shell would. */
  const sshHere = async (name: string, before = ''): Promise<string> => {
    const program = join(folder, name)
    await writeFile(
      program,
      `#!/bin/sh\necho "$@" >> ${program}.log\n${before}\nfor last; do :; done\nexec sh -c "$last"\n`,
      {
        mode: 0o755,
      },
    )
    return program
  }

  test.each([
    { form: 'a URL', urlOf: (path: string) => `ssh://git@example.com:2222${path}` },
    { form: 'the short form', urlOf: (path: string) => `git@example.com:${path}` },
  ])('$form reads and writes through the command that is given', async ({ urlOf }) => {
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    const program = await sshHere('ssh-here')
    const sshCommand = `${program} -i key`
    await using mirror = await fetchedMirror(urlOf(upstream.path), { sshCommand })

    const revision = await publishChange(mirror, 'a.yaml', 'a: 2\n')

    expect(await upstream.git('rev-parse', 'main')).toBe(revision)
    expect(await readFile(`${program}.log`, 'utf8')).toMatch(/-i key.* git@example.com git-upload-pack '/)
  })

  test('a refused key is told with the command that shows it', async () => {
    const sshCommand = await sshHere(
      'ssh-denied',
      'echo "git@h: Permission denied (publickey)." >&2; exit 255',
    )
    await using mirror = mirrorOf('git@example.com:org/x', { sshCommand })

    const failure = await failureOf(mirror.fetch())

    expect(failure.code).toBe('GIT_KEY_REFUSED')
    expect(failure.next).toContain('`fluxctl identity`')
    expect(failure.what).toMatch(
      /^git clone --mirror: fatal: Could not read from remote repository\., full output:\n /,
    )
  })
})

describe('nothing foreign is run', () => {
  test.each([
    'ext::sh -c "touch /tmp/flux-was-here"',
    'fd::17',
    'git://127.0.0.1:9/x',
    'ftp://127.0.0.1:9/x',
  ])('for a URL such as %s', async (url) => {
    await using mirror = mirrorOf(url, { timeoutMs: 5000, sshCommand: '/bin/false' })

    const failure = await failureOf(mirror.fetch())

    expect(failure.what).toMatch(/not allowed|not.* git repository|Could not read from remote|strange/)
    await expect(readFile('/tmp/flux-was-here')).rejects.toThrow('ENOENT')
  })

  test('from the configuration in HOME: hooks, and settings that change what a push does', async () => {
    const home = await mkdtemp(join(folder, 'home-'))
    const hooks = join(home, 'hooks')
    await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
    await writeFile(
      join(home, '.gitconfig'),
      `[core]\n  hooksPath = ${hooks}\n[push]\n  gpgSign = true\n  followTags = true\n[fetch]\n  prune = false\n` +
        '[user]\n  name = Somebody\n[transfer]\n  fsckObjects = true\n[safe]\n  bareRepository = explicit\n',
    )
    await mkdir(hooks)
    for (const hook of ['pre-push', 'reference-transaction', 'post-checkout']) {
      await writeFile(join(hooks, hook), `#!/bin/sh\ntouch ${home}/${hook}-ran\nexit 1\n`, { mode: 0o755 })
    }
    const environment = {
      HOME: home,
      PATH: process.env['PATH'],
      GIT_DIR: '/nosuch',
      GIT_TRACE: `${home}/trace`,
    }
    await using mirror = await fetchedMirror(upstream.url, { environment })

    await publishChange(mirror, 'a.yaml', 'a: 2\n')
    await mirror.fetch()

    expect((await readdir(home)).sort()).toEqual(['.gitconfig', 'hooks'])
  })
})

test('every hundred fetches the mirror is asked whether it wants repacking', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  const program = join(folder, 'git-that-fetches-fast')
  // a fetch of nothing, without the cost of one
  await writeFile(
    program,
    `#!/bin/sh\necho "$1 $2" >> ${program}.log\ntest "$1" = fetch || exec git "$@"\n`,
    { mode: 0o755 },
  )
  await using mirror = await fetchedMirror(upstream.fileUrl, { program })

  for (let i = 0; i < 100; i++) await mirror.fetch()
  await vi.waitUntil(async () => /^gc --auto$/m.test(await readFile(`${program}.log`, 'utf8')))

  expect(await mirror.listFiles(await headOf(mirror))).toHaveLength(1)
})

test('a git that is not there is told', async () => {
  await using mirror = mirrorOf('/x', { program: '/nosuch/git' })

  expect(await failureOf(mirror.fetch())).toMatchObject({
    code: 'GIT_PROGRAM_MISSING',
    next: expect.stringMatching(/git/),
  })
})
