import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtInKnownHosts } from '../../../src/adapters/git/known-hosts.ts'
import { makeSshKey, readSshKey } from '../../../src/adapters/git/ssh-key.ts'
import { FluxError } from '../../../src/core/errors.ts'
import type { SshKey } from '../../../src/ports/ssh.ts'

const run = promisify(execFile)

/** `ssh-keygen` is the authority on all of this. */
const keygen = (...args: string[]) => run('ssh-keygen', args).then(({ stdout }) => stdout)

let folder: string
let file: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ssh-key-'))
  file = join(folder, 'identity')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** What `ssh-keygen` says of a private key. */
async function asKeygenSees(privateKey: string) {
  await writeFile(file, privateKey)
  await chmod(file, 0o600)
  const prints = async (algorithm: string) => {
    const text = await keygen('-l', '-v', '-E', algorithm, '-f', file)
    const [hash = ''] = text.split(' ').slice(1)
    return { hash: hash.slice(algorithm.length + 1), randomArt: text.slice(text.indexOf('\n') + 1) }
  }
  return {
    publicKey: await keygen('-y', '-f', file),
    md5: await prints('MD5'),
    sha256: await prints('SHA256'),
  }
}

const shown = ({ publicKey, md5, sha256 }: SshKey) => ({ publicKey, md5, sha256 })

describe('a new key', () => {
  test.each([
    { type: 'ed25519', bits: undefined, format: 'openssh' },
    { type: 'ed25519', bits: undefined, format: 'pem' },
    { type: 'rsa', bits: undefined, format: 'openssh' },
    { type: 'rsa', bits: 2048, format: 'pem' },
    { type: 'rsa', bits: 2048, format: 'pkcs8' },
    { type: 'ecdsa', bits: undefined, format: 'openssh' },
    { type: 'ecdsa', bits: 384, format: 'pem' },
    { type: 'ecdsa', bits: 521, format: 'openssh' },
    { type: 'ecdsa', bits: 521, format: 'pkcs8' },
  ] as const)('of $type with $bits bits as $format is what ssh-keygen takes it for', async (request) => {
    const key = await makeSshKey({ ...request, comment: 'fluxd@flux' })

    const seen = await asKeygenSees(key.privateKey)
    expect(shown(readSshKey(key.privateKey, file))).toEqual(seen)
    expect({ md5: key.md5, sha256: key.sha256 }).toEqual({ md5: seen.md5, sha256: seen.sha256 })
    expect(key.publicKey.split(' ').slice(0, 2)).toEqual(seen.publicKey.trim().split(' ').slice(0, 2))
    expect(key.publicKey).toMatch(/ fluxd@flux\n$/)
  })

  test('is another one each time', async () => {
    const request = { type: 'ed25519', bits: undefined, format: 'openssh', comment: '' } as const

    const keys = await Promise.all([makeSshKey(request), makeSshKey(request)])

    expect(keys[0]?.publicKey).not.toBe(keys[1]?.publicKey)
  })

  test('of a few hundred in a row can be read, whatever their bytes', async () => {
    for (const type of ['ed25519', 'ecdsa'] as const) {
      for (let round = 0; round < 300; round++) {
        const key = await makeSshKey({ type, bits: undefined, format: 'openssh', comment: 'x y' })

        expect(readSshKey(key.privateKey, file)).toEqual(key)
      }
    }
  })
})

describe('a key that ssh-keygen made', () => {
  test.each([
    { args: ['-t', 'ed25519', '-C', 'root@flux-5d9c'] },
    { args: ['-t', 'rsa', '-C', 'root@flux-5d9c'] },
    { args: ['-t', 'rsa', '-b', '2048', '-m', 'RFC4716'] },
    { args: ['-t', 'rsa', '-b', '2048', '-m', 'PEM'] },
    { args: ['-t', 'rsa', '-b', '2048', '-m', 'PKCS8'] },
    { args: ['-t', 'ecdsa', '-b', '384'] },
    { args: ['-t', 'ecdsa', '-b', '521', '-m', 'PEM'] },
  ])('by $args is read as ssh-keygen reads it', async ({ args }) => {
    await rm(file, { force: true })
    await keygen('-q', '-N', '', ...args, '-f', file)
    const text = await readFile(file, 'utf8')

    const key = readSshKey(text, file)

    expect(shown(key)).toEqual(await asKeygenSees(text))
  })

  test('is mended where line ends got lost or became those of Windows', async () => {
    await rm(file, { force: true })
    await keygen('-q', '-N', '', '-t', 'ed25519', '-C', 'x', '-f', file)
    const text = await readFile(file, 'utf8')

    const key = readSshKey(`\n${text.trimEnd().replaceAll('\n', '\r\n')}`, file)

    expect(key.privateKey).toBe(text)
  })

  test.each(['-m RFC4716', '-m PEM', '-m PKCS8'])(
    'with a passphrase (%s) is refused with what to do',
    async (format) => {
      await rm(file, { force: true })
      await keygen('-q', '-N', 'secret', '-t', 'rsa', '-b', '2048', ...format.split(' '), '-f', file)
      const text = await readFile(file, 'utf8')

      expect(() => readSshKey(text, '/etc/fluxd/ssh/identity')).toThrow(
        'reading the SSH key /etc/fluxd/ssh/identity: it is protected by a passphrase',
      )
    },
  )
})

test.each([
  {
    what: 'a public key',
    text: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl',
  },
  {
    what: 'an empty armour',
    text: '-----BEGIN OPENSSH PRIVATE KEY-----\n\n-----END OPENSSH PRIVATE KEY-----',
  },
  {
    what: 'something cut off',
    text: `-----BEGIN OPENSSH PRIVATE KEY-----\n${btoa('openssh-key-v1\0\0\0\0\x04none\0\0\0\x04no')}\n-----END OPENSSH PRIVATE KEY-----`,
  },
  { what: 'a certificate', text: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----' },
])('$what is not a private key', ({ text }) => {
  const read = () => readSshKey(text, 'x')

  expect(read).toThrow(FluxError)
  expect(read).toThrow(/^reading the SSH key x: it is /)
})

test('a damaged key is told from a good one, wherever it is cut', async () => {
  const { privateKey } = await makeSshKey({
    type: 'ed25519',
    bits: undefined,
    format: 'openssh',
    comment: 'c',
  })
  const [head = '', ...body] = privateKey.trim().split('\n')
  const bytes = Buffer.from(body.slice(0, -1).join(''), 'base64')

  for (let length = 0; length < bytes.length - 8; length++) {
    const cut = `${head}\n${bytes.subarray(0, length).toString('base64')}\n${body.at(-1)}\n`
    expect(() => readSshKey(cut, 'x')).toThrow(FluxError)
  }
})

test('the host keys that are built in have the fingerprints that the hosts publish', async () => {
  await writeFile(file, `${builtInKnownHosts.join('\n')}\n`)

  const lines = (await keygen('-l', '-f', file)).trim().split('\n').toSorted()

  expect(lines).toEqual(
    [
      '256 SHA256:FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0 bitbucket.org (ECDSA)',
      '256 SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM bitbucket.org (ED25519)',
      '3072 SHA256:46OSHA1Rmj8E8ERTC6xkNcmGOw9oFxYr0WF6zWW8l1E bitbucket.org (RSA)',
      '256 SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM github.com,[ssh.github.com]:443 (ECDSA)',
      '256 SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU github.com,[ssh.github.com]:443 (ED25519)',
      '3072 SHA256:uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s github.com,[ssh.github.com]:443 (RSA)',
      '256 SHA256:HbW3g8zUjNSksFbqTiUWPWg2Bq1x8xdGUrliXFzSnUw gitlab.com (ECDSA)',
      '256 SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8 gitlab.com (ED25519)',
      '2048 SHA256:ROQFvPThGrW4RuWLoL9tq9I9zJ42fK4XywyRtbOz/EQ gitlab.com (RSA)',
      '2048 SHA256:ohD8VZEXGWo6Ez8GSEJQ9WpafgLFsOfLOtGGQCQo6Og ssh.dev.azure.com,vs-ssh.visualstudio.com (RSA)',
    ].toSorted(),
  )
})
