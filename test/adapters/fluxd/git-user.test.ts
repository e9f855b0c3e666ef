import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readGitUser } from '../../../src/adapters/fluxd/git-user.ts'

function gitEnv(config: string) {
  const folder = mkdtempSync(join(tmpdir(), 'fluxctl-user-'))
  writeFileSync(join(folder, 'gitconfig'), config)
  return {
    PATH: process.env['PATH'],
    GIT_DIR: join(folder, 'none'),
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: join(folder, 'gitconfig'),
  }
}

test.each([
  { config: '[user]\nname = A User\nemail = a@example.com\n', user: 'A User <a@example.com>' },
  { config: '[user]\nname = A User\n', user: 'A User' },
  { config: '[user]\nemail = a@example.com\n', user: 'a@example.com' },
  { config: '', user: '' },
])('reads $user', async ({ config, user }) => {
  expect(await readGitUser(gitEnv(config))).toBe(user)
})

test('is nobody where there is no git', async () => {
  expect(await readGitUser({ PATH: '/nowhere' })).toBe('')
})
