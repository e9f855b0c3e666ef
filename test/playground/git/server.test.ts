import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { gitServer } from '../../../src/playground/git/server.ts'
import { closedEnvironment } from '../../../src/playground/processes.ts'

const run = promisify(execFile)
const env = {
  ...closedEnvironment('/nonexistent'),
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.com',
}

test('protects the branches it is told to, and no others', async () => {
  await using upstream = await gitServer({ 'a.txt': 'one\n' })
  const push = async (branch: string) => {
    const head = await upstream.git('rev-parse', 'main')
    const commit = await upstream.git('commit-tree', `${head}^{tree}`, '-p', head, '-m', 'more')
    return run('git', ['-C', upstream.path, 'push', upstream.url, `${commit}:refs/heads/${branch}`], {
      env,
    })
  }

  await upstream.protect('main')

  await expect(push('main')).rejects.toThrow('GH006: Protected branch update failed.')
  await push('topic')
  await upstream.protect()
  await push('main')
})

test('takes deploy keys from whoever has the password', async () => {
  const keys: unknown[] = []
  await using upstream = await gitServer(
    {},
    {
      auth: { user: 'demo', password: 'secret' },
      onKey(publicKey, readOnly) {
        if (!publicKey.startsWith('ssh-')) throw new Error('this is no public key')
        keys.push({ publicKey, readOnly })
      },
    },
  )
  const authorization = `Basic ${Buffer.from('demo:secret').toString('base64')}`
  const post = async (body: object, headers: Record<string, string> = { authorization }) => {
    const url = new URL('/keys', upstream.openUrl)
    return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).status
  }

  expect(await post({ key: 'ssh-ed25519 AAAA' }, {})).toBe(401)
  expect(await post({ key: 'ssh-ed25519 AAAA', read_only: true })).toBe(201)
  expect(await post({ key: 'nonsense' })).toBe(422)
  expect(await post({})).toBe(422)
  expect(keys).toEqual([{ publicKey: 'ssh-ed25519 AAAA', readOnly: true }])
})

test('is not for pages in browsers', async () => {
  await using upstream = await gitServer({ 'a.txt': 'one\n' })
  const ask = async (headers: Record<string, string>) =>
    (await fetch(`${upstream.url}/info/refs?service=git-upload-pack`, { headers })).status

  expect(await ask({})).toBe(200)
  expect(await ask({ origin: 'http://evil.example.com' })).toBe(403)
})
