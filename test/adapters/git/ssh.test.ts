import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type OpenSsh, openSsh } from '../../../src/adapters/git/ssh.ts'
import { gitServer } from '../../../src/playground/git/server.ts'
import type { SshKey } from '../../../src/ports/ssh.ts'
import { sshServer, sshSkipReason, writeKnownHosts } from '../../support/ssh-server.ts'
import { failureOf, fetchedMirror, mirrorOf, publishChange } from './support.ts'

/** The real ssh program and git, against a real `sshd`. */

beforeEach(({ skip }) => {
  if (sshSkipReason !== undefined) skip(sshSkipReason)
})

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ssh-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const newKey = { type: 'ed25519', bits: undefined, format: 'openssh', comment: 'fluxd@flux' } as const

type TestSsh = OpenSsh & AsyncDisposable & { home: string; key: SshKey; environment: Record<string, string> }

/** ssh with a key and a home of its own, which knows these hosts. */
async function sshFor(knownHosts = ''): Promise<TestSsh> {
  const home = await mkdtemp(join(folder, 'home-'))
  await writeKnownHosts(home, knownHosts)
  const environment = { HOME: home, PATH: process.env['PATH'] ?? '' }
  const ssh = await openSsh({ environment, parentDirectories: [folder] })
  const key = await ssh.makeKey(newKey)
  await ssh.useKey(key)
  return { ...ssh, home, key, environment, [Symbol.asyncDispose]: () => ssh.close() }
}

const optionsOf = ({ command, environment }: TestSsh) => ({ sshCommand: command, environment })

test('a key that is let in clones, pushes and fetches, over one connection', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using server = await sshServer(upstream)
  await using ssh = await sshFor(await server.knownHosts())
  await server.letIn(ssh.key.publicKey)

  await using mirror = await fetchedMirror(server.url, optionsOf(ssh))
  await mirror.checkWritable('main')
  const revision = await publishChange(mirror, 'a.yaml', 'a: 2\n')
  await mirror.fetch()

  expect(await upstream.git('rev-parse', 'main')).toBe(revision)
  expect(await upstream.git('tag', '--list')).toBe('')
  expect(server.logins()).toBe(1)
})

test('a key is refused until it is let in', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using server = await sshServer(upstream)
  await using ssh = await sshFor(await server.knownHosts())
  await using mirror = mirrorOf(server.url, optionsOf(ssh))

  const failure = await failureOf(mirror.fetch())
  await server.letIn(ssh.key.publicKey)
  await mirror.fetch()

  expect(failure.code).toBe('GIT_KEY_REFUSED')
  expect(failure.what).toMatch(
    /^git clone --mirror: fatal: Could not read from remote repository\., full output:\n /,
  )
  expect(failure.next).toContain('`fluxctl identity`')
  expect(await mirror.branchHead('main')).toBe(await upstream.git('rev-parse', 'main'))
})

test('a key that may only read is told from one that is refused', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using server = await sshServer(upstream)
  await using ssh = await sshFor(await server.knownHosts())
  await server.letIn({ publicKey: ssh.key.publicKey, mayWrite: false })
  await using mirror = await fetchedMirror(server.url, optionsOf(ssh))

  const failure = await failureOf(mirror.checkWritable('main'))

  expect(failure.code).toBe('GIT_NOT_WRITABLE')
  expect(failure.next).toMatch(/fluxctl identity.*write access/)
})

test('of a host that is not known it says how to make it known, and sends nothing', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using server = await sshServer(upstream)
  await using ssh = await sshFor()
  await server.letIn(ssh.key.publicKey)
  await using mirror = mirrorOf(server.url, optionsOf(ssh))

  const failure = await failureOf(mirror.fetch())
  await writeKnownHosts(ssh.home, await server.knownHosts())
  await mirror.fetch()

  expect(failure.code).toBe('GIT_HOST_UNKNOWN')
  expect(failure.next).toContain(`ssh-keyscan -p ${server.port} 127.0.0.1`)
  expect(server.logins()).toBe(1)
})

test('a host key that has changed is named with host, file and line', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using server = await sshServer(upstream)
  await using ssh = await sshFor(`# hosts\n${await server.knownHosts()}`)
  await server.letIn(ssh.key.publicKey)
  await using mirror = await fetchedMirror(server.url, optionsOf(ssh))
  await server.renewHostKey()

  const failure = await failureOf(mirror.fetch())

  expect(failure.code).toBe('GIT_HOST_KEY_CHANGED')
  expect(failure.why).toContain(`${server.host} shows another host key (SHA256:`)
  expect(failure.why).toContain(`${ssh.home}/.ssh/known_hosts:2`)
  expect(server.logins()).toBe(1)
})

test('a new key takes the place of the old one at once, also where a connection is open', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using server = await sshServer(upstream)
  await using ssh = await sshFor(await server.knownHosts())
  await server.letIn(ssh.key.publicKey)
  await using mirror = await fetchedMirror(server.url, optionsOf(ssh))
  const next = await ssh.makeKey(newKey)

  await ssh.useKey(next)
  const failure = await failureOf(mirror.fetch())
  await server.letIn(next.publicKey)
  await mirror.fetch()

  expect(failure.code).toBe('GIT_KEY_REFUSED')
  expect(server.logins()).toBe(2)
})

test.each([
  { type: 'rsa', format: 'pem' },
  { type: 'ecdsa', format: 'openssh' },
] as const)('logs in with a key of $type as $format', async ({ type, format }) => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using server = await sshServer(upstream)
  await using ssh = await sshFor(await server.knownHosts())
  const key = await ssh.makeKey({ type, format, bits: undefined, comment: '' })
  await ssh.useKey(key)
  await server.letIn(key.publicKey)

  await using mirror = await fetchedMirror(server.url, optionsOf(ssh))

  expect(await mirror.branchHead('main')).toBe(await upstream.git('rev-parse', 'main'))
})

test('a configuration that is mounted is used, but does not weaken what is checked', async () => {
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using server = await sshServer(upstream)
  const home = await mkdtemp(join(folder, 'home-'))
  await writeKnownHosts(home, '')
  await writeFile(
    join(home, '.ssh', 'config'),
    `Host git.example\n  HostName 127.0.0.1\n  Port ${server.port}\n  StrictHostKeyChecking no\n`,
  )
  const environment = { HOME: home, PATH: process.env['PATH'] ?? '' }
  const ssh = await openSsh({ environment, parentDirectories: [folder] })
  const key = await ssh.makeKey(newKey)
  await ssh.useKey(key)
  await server.letIn(key.publicKey)
  const url = server.url.replace(/127\.0\.0\.1:\d+/, 'git.example')
  await using mirror = mirrorOf(url, { sshCommand: ssh.command, environment })

  const failure = await failureOf(mirror.fetch())
  await writeKnownHosts(home, await server.knownHosts())
  await mirror.fetch()
  await ssh.close()

  expect(failure.code).toBe('GIT_HOST_UNKNOWN')
  expect(failure.next).toContain(`ssh-keyscan -p ${server.port} 127.0.0.1`)
})

test('the key lies in a folder that only we may enter, and goes with it', async () => {
  const parent = await mkdtemp(join(folder, '100% odd-'))
  const home = await mkdtemp(join(folder, "user's home-"))
  await using upstream = await gitServer({ 'a.yaml': 'a: 1\n' })
  await using server = await sshServer(upstream)
  await writeKnownHosts(home, await server.knownHosts())
  const environment = { HOME: home, PATH: process.env['PATH'] ?? '' }
  const ssh = await openSsh({ environment, parentDirectories: ['/dev/null/nowhere', parent] })
  const key = await ssh.makeKey(newKey)
  await ssh.useKey(key)
  await server.letIn(key.publicKey)
  await using mirror = await fetchedMirror(server.url, { sshCommand: ssh.command, environment })

  const [place = ''] = await readdir(parent)
  const modeOf = async (name: string) => ((await stat(join(parent, place, name))).mode & 0o777).toString(8)
  const modes = await Promise.all(['', 'identity', 'known_hosts'].map(modeOf))
  await ssh.close()

  expect(modes).toEqual(['700', '600', '600'])
  expect(await readdir(parent)).toEqual([])
  expect(await mirror.branchHead('main')).toBe(await upstream.git('rev-parse', 'main'))
})

test('reads a mounted key, where there is one', async () => {
  const ssh = await openSsh({ environment: {}, parentDirectories: [folder] })
  const key = await ssh.makeKey(newKey)
  const file = join(folder, 'mounted')
  await writeFile(file, key.privateKey, { mode: 0o400 })
  await writeFile(join(folder, 'empty'), '\n')

  const read = await Promise.all(
    ['mounted', 'empty', 'none', 'mounted/none'].map((name) => ssh.readKeyFile(join(folder, name))),
  )
  await ssh.close()

  expect(read).toEqual([key, undefined, undefined, undefined])
})

describe.skipIf(process.geteuid?.() !== 0)('as another user than root', () => {
  const nobody = 65534
  const asNobody = async <T>(work: () => Promise<T>): Promise<T> => {
    process.setegid?.(nobody)
    process.seteuid?.(nobody)
    try {
      return await work()
    } finally {
      process.seteuid?.(0)
      process.setegid?.(0)
    }
  }
  const unreadable = (path: string) => ({
    code: 'SSH_FILE_UNREADABLE',
    what: expect.stringContaining(path),
    why: expect.stringContaining(`uid ${nobody} `),
    next: expect.stringContaining(`fsGroup: ${nobody} `),
  })

  test('a key that is closed to us is an error, and not a reason to make one', async () => {
    const ssh = await openSsh({ environment: {}, parentDirectories: [folder] })
    const open = await mkdtemp(join(tmpdir(), 'open-'))
    await chmod(open, 0o755)
    const files = [join(open, 'identity'), join(folder, 'identity')]
    for (const file of files) await writeFile(file, 'x', { mode: 0o400 })

    const failures = []
    for (const file of files) failures.push(await asNobody(() => failureOf(ssh.readKeyFile(file))))
    await ssh.close()
    await rm(open, { recursive: true })

    expect(failures).toEqual(files.map((file) => expect.objectContaining(unreadable(file))))
  })

  test('known hosts that are closed to us are one too', async () => {
    const home = await mkdtemp(join(tmpdir(), 'home-'))
    await writeKnownHosts(home, '')
    await chmod(home, 0o755)
    await chmod(join(home, '.ssh', 'known_hosts'), 0o400)

    const failure = await asNobody(() => failureOf(openSsh({ environment: { HOME: home } })))
    await rm(home, { recursive: true })

    expect(failure).toMatchObject(unreadable(join(home, '.ssh', 'known_hosts')))
  })
})
