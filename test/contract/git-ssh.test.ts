import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { gitSshServer } from '../../src/playground/git/ssh.ts'
import { closedEnvironment } from '../../src/playground/processes.ts'
import { type GitServer, gitServer } from '../support/git-server.ts'
import { sshServer, sshSkipReason } from '../support/ssh-server.ts'

/** What Git over SSH does, behind the playground's server and behind the real sshd, for the real git and ssh. */

interface Served extends AsyncDisposable {
  readonly url: string
  knownHosts(): string | Promise<string>
  letIn(...keys: (string | { publicKey: string; mayWrite: boolean })[]): void | Promise<void>
  renewHostKey(): Promise<void>
  logins(): number
}

const servers: {
  name: string
  start: (upstream: GitServer) => Promise<Served>
  skip?: string | undefined
}[] = [
  {
    name: 'the playground',
    start: ({ path }) => gitSshServer({ path, env: closedEnvironment('/nonexistent') }),
    skip: existsSync('/usr/bin/ssh') ? undefined : 'needs ssh: install openssh-client',
  },
  { name: 'sshd', start: sshServer, skip: sshSkipReason },
]

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

describe.each(servers)('$name', ({ start, skip }) => {
  if (skip) return test('is there', (context) => context.skip(skip))

  /** A person with a key, who knows the host. */
  async function person(server: Served, type = 'ed25519') {
    const home = mkdtempSync(join(tmpdir(), 'git-ssh-test-'))
    folders.push(home)
    const key = join(home, 'key')
    spawnSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', key])
    writeFileSync(join(home, 'known_hosts'), await server.knownHosts())
    const settings = [
      `IdentityFile=${key}`,
      'IdentitiesOnly=yes',
      'BatchMode=yes',
      'StrictHostKeyChecking=yes',
      `UserKnownHostsFile=${home}/known_hosts`,
      'GlobalKnownHostsFile=/dev/null',
    ]
    const env = {
      ...closedEnvironment(home),
      GIT_SSH_COMMAND: `ssh -F none ${settings.map((setting) => `-o ${setting}`).join(' ')}`,
      GIT_AUTHOR_NAME: 'A',
      GIT_AUTHOR_EMAIL: 'a@example.com',
      GIT_COMMITTER_NAME: 'A',
      GIT_COMMITTER_EMAIL: 'a@example.com',
    }
    return {
      publicKey: readFileSync(`${key}.pub`, 'utf8'),
      clone: join(home, 'clone'),
      git: (...args: string[]) =>
        new Promise<{ status: number | null; text: string }>((resolve) => {
          const child = spawn('git', args, { env, cwd: home })
          let text = ''
          for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding('utf8').on('data', (chunk: string) => {
              text += chunk
            })
          }
          child.on('close', (status) => resolve({ status, text }))
        }),
    }
  }

  test.each(['ed25519', 'rsa', 'ecdsa'])('lets a key of type %s clone and push', async (type) => {
    await using upstream = await gitServer({ 'a.txt': 'one\n' })
    await using server = await start(upstream)
    const { publicKey, git, clone } = await person(server, type)
    await server.letIn(publicKey)

    expect(await git('clone', '--quiet', server.url, clone)).toEqual({ status: 0, text: '' })
    await git('-C', clone, 'commit', '--quiet', '--allow-empty', '-m', 'by SSH')
    const pushed = await git('-C', clone, 'push', '--quiet')

    expect(pushed.status).toBe(0)
    expect(await upstream.git('log', '-1', '--format=%s')).toBe('by SSH')
  })

  test('refuses a key until it is let in, without being started anew', async () => {
    await using upstream = await gitServer({ 'a.txt': 'one\n' })
    await using server = await start(upstream)
    const { publicKey, git } = await person(server)

    const before = await git('ls-remote', server.url)
    await server.letIn(publicKey)
    const after = await git('ls-remote', server.url)
    await server.letIn()
    const afterwards = await git('ls-remote', server.url)

    expect(before.text).toContain('Permission denied (publickey)')
    expect(after).toMatchObject({ status: 0, text: expect.stringContaining('refs/heads/main') })
    expect(afterwards.text).toContain('Permission denied (publickey)')
    expect(server.logins()).toBe(1)
  })

  test('a read-only key fetches, and is refused when it pushes', async () => {
    await using upstream = await gitServer({ 'a.txt': 'one\n' })
    await using server = await start(upstream)
    const { publicKey, git, clone } = await person(server)
    await server.letIn({ publicKey, mayWrite: false })

    await git('clone', '--quiet', server.url, clone)
    await git('-C', clone, 'commit', '--quiet', '--allow-empty', '-m', 'in vain')
    const pushed = await git('-C', clone, 'push')

    expect(pushed.text).toContain('ERROR: The key you are authenticating with has been marked as read only.')
    expect(await upstream.git('log', '-1', '--format=%s')).toBe('Initial')
  })

  test('a new host key is noticed', async () => {
    await using upstream = await gitServer({ 'a.txt': 'one\n' })
    await using server = await start(upstream)
    const { publicKey, git } = await person(server)
    await server.letIn(publicKey)

    await server.renewHostKey()
    const { text } = await git('ls-remote', server.url)

    expect(text).toContain('REMOTE HOST IDENTIFICATION HAS CHANGED')
  })

  test('runs nothing but git', async () => {
    await using upstream = await gitServer({ 'a.txt': 'one\n' })
    await using server = await start(upstream)
    const { publicKey, git } = await person(server)
    await server.letIn(publicKey)

    const { status, text } = await git('ls-remote', '--upload-pack=cat', server.url)

    expect(status).not.toBe(0)
    expect(text).toMatch(/git only/)
  })

  test('a transfer of many megabytes arrives whole', async () => {
    const content = randomBytes(8 * 1024 * 1024)
    await using upstream = await gitServer({ 'large.bin': content })
    await using server = await start(upstream)
    const { publicKey, git, clone } = await person(server)
    await server.letIn(publicKey)

    expect(await git('clone', '--quiet', server.url, clone)).toEqual({ status: 0, text: '' })
    expect(readFileSync(join(clone, 'large.bin')).equals(content)).toBe(true)
  })
})
