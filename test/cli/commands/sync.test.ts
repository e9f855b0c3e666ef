import { describe, expect, test } from 'vitest'
import type { JobStatus } from '../../../src/core/update/result.ts'
import type { Fluxd, FollowedRepository } from '../../../src/ports/fluxd.ts'
import { quickClock, runWith } from '../../support/cli.ts'

const repository: FollowedRepository = {
  url: 'ssh://git@git.example.com/demo/config',
  branch: 'main',
  status: 'ready',
  error: '',
  publicKey: { key: '' },
}
const revision = '0123456789abcdef0123456789abcdef01234567'

function fluxdWith(job: Partial<JobStatus>, some: Partial<Fluxd> = {}): Partial<Fluxd> {
  return {
    getRepository: async () => repository,
    update: async () => 'job-1',
    getJob: async () => ({ state: 'succeeded', error: '', revision, ...job }),
    listUnapplied: async () => [],
    ...some,
  }
}

test('tells what it does and waits until the head is applied', async () => {
  const asked: string[] = []
  const answers = [['x'], ['x'], []]
  const clock = quickClock()
  const fluxd = fluxdWith(
    {},
    {
      async listUnapplied(ref) {
        asked.push(ref)
        return answers.shift() ?? []
      },
    },
  )

  expect(await runWith(fluxd, ['sync'], { neighbours: { clock } })).toEqual({
    exit: 0,
    stdout: '',
    stderr: [
      'Synchronizing with ssh://git@git.example.com/demo/config\n',
      'Revision of main to apply is 0123456\n',
      'Waiting for 0123456 to be applied ...\n',
      'Done.\n',
    ].join(''),
  })
  expect(asked).toEqual(['0123456', '0123456', '0123456'])
  expect(clock.sleptMs).toEqual([100, 200])
})

describe('a repository that is not ready', () => {
  test.each<[string, Partial<FollowedRepository>, string]>([
    ['is not configured', { status: 'unconfigured' }, 'no git repository is configured'],
    [
      'cannot be reached',
      { status: 'unreachable', error: 'no route' },
      `can not connect to git repository with URL ${repository.url}\n\nFull error message: no route`,
    ],
    ['is new', { status: 'new' }, `git repository ${repository.url} is not ready to sync`],
    [
      'is read-only',
      { status: 'cloned', error: 'denied' },
      `git repository ${repository.url} is not ready to sync\n\nFull error message: denied`,
    ],
  ])('since it %s', async (_, some, what) => {
    const fluxd = { getRepository: async () => ({ ...repository, ...some }) }

    const { exit, stderr } = await runWith(fluxd, ['sync'])

    expect(exit).toBe(1)
    expect(stderr).toBe(`Error: ${what}\nRun 'fluxctl sync --help' for usage.\n`)
  })
})

test('names the job that failed', async () => {
  const { exit, stderr } = await runWith(fluxdWith({ state: 'failed', error: 'oh no' }), ['sync'])

  expect(exit).toBe(1)
  expect(stderr).toContain('Failed to complete sync job (ID "job-1")\nError: oh no\n')
})

test('warns of an unverified head and waits for the revision that is applied instead', async () => {
  const error =
    'The branch HEAD in the git repo is not verified, and fluxd is unable to sync to it. The last verified commit was 0123456. HEAD is fedcba9.'

  const { exit, stderr } = await runWith(fluxdWith({ state: 'failed', error }), ['sync'])

  expect(exit).toBe(0)
  expect(stderr).toContain(`Warning: ${error}\nRevision of main to apply is 0123456\n`)
})

test('fails when the revision is not applied in time', async () => {
  const clock = quickClock()
  const fluxd = fluxdWith({}, { listUnapplied: async () => [revision] })

  const { exit, stderr } = await runWith(fluxd, ['sync', '--timeout=1m'], { neighbours: { clock } })

  expect(exit).toBe(1)
  expect(stderr).toMatch(/to be applied \.\.\.\nError: timeout\n/)
  expect(clock.sleptMs).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 10_000])
})
