import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readDockerConfig } from '../../../src/adapters/registry/docker-config.ts'
import type { Log, LogFields } from '../../../src/ports/log.ts'

let folder: string
let entries: LogFields[]
const log: Log = { write: (fields) => void entries.push(fields), with: () => log }

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'docker-config-'))
  entries = []
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function read(config: unknown) {
  const file = join(folder, 'config.json')
  await writeFile(file, typeof config === 'string' ? config : JSON.stringify(config))
  const environment = { PATH: `${folder}:${process.env['PATH']}` }
  const keychain = await readDockerConfig({ file, environment, log })
  return Object.fromEntries([...keychain].map(([host, { user, password }]) => [host, `${user}:${password}`]))
}

async function helper(name: string, script: string) {
  const file = join(folder, `docker-credential-${name}`)
  await writeFile(file, `#!/bin/sh\n${script}\n`)
  await chmod(file, 0o755)
}

const auth = Buffer.from('robot:S3CRET').toString('base64')

test('gives what stands in it', async () => {
  expect(await read({ auths: { 'ghcr.io': { auth } } })).toEqual({ 'ghcr.io': 'robot:S3CRET' })
  expect(await read({ 'ghcr.io': { auth } })).toEqual({ 'ghcr.io': 'robot:S3CRET' })
  expect(await read({ auths: {} })).toEqual({})
})

test('asks the helper of a host, which wins over what stands in the file', async () => {
  await helper('cloud', `read server; echo "{\\"Username\\":\\"AWS\\",\\"Secret\\":\\"for-$server-$1\\"}"`)

  const keychain = await read({
    auths: { 'ghcr.io': { auth }, 'cloud.example.com': { auth } },
    credHelpers: { 'cloud.example.com': 'cloud' },
  })

  expect(keychain).toEqual({
    'ghcr.io': 'robot:S3CRET',
    'cloud.example.com': 'AWS:for-cloud.example.com-get',
  })
})

test('asks the store for every host that it knows', async () => {
  await helper(
    'safe',
    `if [ "$1" = list ]; then echo '{"https://index.docker.io/v1/":"me"}'; else echo '{"Username":"me","Secret":"x"}'; fi`,
  )

  const config = { auths: { 'https://index.docker.io/v1/': {} }, credsStore: 'safe' }

  expect(await read(config)).toEqual({ 'index.docker.io': 'me:x' })
})

test.each([
  { fault: 'fails', script: 'echo S3CRET; echo S3CRET >&2; exit 1' },
  { fault: 'says no JSON', script: 'echo S3CRET' },
  { fault: 'gives a refresh token', script: `echo '{"Username":"<token>","Secret":"S3CRET"}'` },
  { fault: 'is not there', script: undefined },
])('a helper that $fault gives nothing, tells why and no secret', async ({ script }) => {
  if (script) await helper('odd', script)

  const keychain = await read({ auths: { 'ghcr.io': { auth } }, credHelpers: { 'x.example.com': 'odd' } })

  expect(keychain).toEqual({ 'ghcr.io': 'robot:S3CRET' })
  expect(entries).toEqual([
    expect.objectContaining({ host: 'x.example.com', code: 'REGISTRY_CREDENTIALS_INVALID' }),
  ])
  expect(JSON.stringify(entries)).not.toContain('S3CRET')
})

test.each(['../evil', 'a b', '-x', ''])('a helper named %j is not run', async (name) => {
  await read({ credHelpers: { 'x.example.com': name } })

  expect(entries).toEqual([expect.objectContaining({ err: expect.stringContaining('no name of a helper') })])
})

test.each(['{', '[]', 'null'])('a file with %s is refused', async (text) => {
  await expect(read(text)).rejects.toThrow(expect.objectContaining({ code: 'REGISTRY_CREDENTIALS_INVALID' }))
})
