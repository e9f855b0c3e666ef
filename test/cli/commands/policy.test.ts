import { describe, expect, test } from 'vitest'
import { FluxError } from '../../../src/core/errors.ts'
import type { WorkloadListing } from '../../../src/core/listing.ts'
import { parseResourceId } from '../../../src/core/resource/id.ts'
import type { JobStatus } from '../../../src/core/update/result.ts'
import type { UpdateSpec } from '../../../src/core/update/spec.ts'
import { type Fluxd, RemoteError } from '../../../src/ports/fluxd.ts'
import { runWith } from '../../support/cli.ts'

const web = parseResourceId('demo:deployment/web')
const user = 'World User <world@example.com>'

function fluxdWith(job: Partial<JobStatus> = {}, some: Partial<Fluxd> = {}) {
  const specs: UpdateSpec[] = []
  const fluxd: Partial<Fluxd> = {
    async update(spec) {
      specs.push(spec)
      return 'job-1'
    },
    getJob: async () => ({
      state: 'succeeded',
      error: '',
      revision: '0123456789abcdef',
      result: new Map([[web, { status: 'success', updates: [] }]]),
      ...job,
    }),
    ...some,
  }
  return { specs, fluxd }
}

const locked = { locked: 'true', locked_user: user, locked_msg: '' }
const unlocked = { locked: 'true', locked_user: 'true', locked_msg: 'true' }

describe('what it asks for', () => {
  test.each<{ argv: string[]; add?: object; remove?: object }>([
    { argv: ['automate'], add: { automated: 'true' } },
    { argv: ['deautomate'], remove: { automated: 'true' } },
    { argv: ['lock'], add: locked },
    { argv: ['lock', '-m', 'x=y'], add: { ...locked, locked_msg: 'x=y' } },
    { argv: ['lock', '--user=', '-m', 'x'], add: { locked: 'true' } },
    { argv: ['unlock'], remove: unlocked },
    { argv: ['policy', '--automate', '--lock'], add: { automated: 'true', ...locked } },
    { argv: ['policy', '--deautomate', '--unlock'], remove: { automated: 'true', ...unlocked } },
    { argv: ['policy', '--tag-all=1.*'], add: { tag_all: 'glob:1.*' } },
    { argv: ['policy', '--tag-all=*'], add: { tag_all: 'glob:*' } },
    { argv: ['policy', '--tag-all=semver:~1'], add: { tag_all: 'semver:~1' } },
    {
      argv: ['policy', '--tag=a=regex:^v', '--tag', 'b=regexp:x,c=*'],
      add: { 'tag.a': 'regexp:^v', 'tag.b': 'regexp:x' },
      remove: { 'tag.c': 'true' },
    },
  ])('$argv', async ({ argv: [command = '', ...flags], add = {}, remove = {} }) => {
    const { fluxd, specs } = fluxdWith()

    const { exit } = await runWith(fluxd, [command, '-n', 'demo', '-w', 'deployment/web', ...flags])

    expect(exit).toBe(0)
    expect(specs).toMatchObject([{ type: 'policy' }])
    const update = specs[0]?.type === 'policy' ? specs[0].spec?.get(web) : undefined
    expect(Object.fromEntries(update?.add ?? [])).toEqual(add)
    expect(Object.fromEntries(update?.remove ?? [])).toEqual(remove)
  })
})

describe('with --request-id', () => {
  const argv = ['lock', '-w', 'demo:deployment/web']

  test('it asks under that id, and ends with the full table of codes', async () => {
    const asked: unknown[] = []
    const { fluxd } = fluxdWith(
      {},
      {
        async update(_, options) {
          asked.push(options)
          return 'job-1'
        },
        getJob: async () => ({
          state: 'succeeded',
          error: '',
          result: new Map([[web, { status: 'skipped', updates: [] }]]),
        }),
        getWorkloads: () => Promise.reject(new FluxError('FLUXD_UNREACHABLE', { what: 'gone' })),
      },
    )

    const plain = await runWith(fluxd, argv)
    const named = await runWith(fluxd, [...argv, '--request-id=ci-12345'])

    expect(asked).toEqual([{}, { requestId: 'ci-12345' }])
    expect([plain.exit, named.exit]).toEqual([0, 3])
  })

  test.each(['short', '', 'a b c d e f'])('the id %j is refused as wrong usage', async (id) => {
    const { fluxd, specs } = fluxdWith()

    const { exit, stderr } = await runWith(fluxd, [...argv, `--request-id=${id}`])

    expect({ exit, specs }).toEqual({ exit: 2, specs: [] })
    expect(stderr).toContain('invalid --request-id: it has 8 to 128 letters')
  })

  test('an id that was used for another change is wrong usage', async () => {
    const { fluxd } = fluxdWith(
      {},
      {
        update: () =>
          Promise.reject(
            new RemoteError('request id "ci-12345" was used for another change', 'FLUXD_REFUSED', {
              code: 'REQUEST_ID_REUSED',
            }),
          ),
      },
    )

    expect(await runWith(fluxd, [...argv, '--request-id=ci-12345'])).toMatchObject({ exit: 2 })
  })

  test('a commit whose note tells of no workload is done all the same', async () => {
    const { fluxd } = fluxdWith({ result: new Map() })

    const { exit, stderr } = await runWith(fluxd, [...argv, '--request-id=ci-12345'])

    expect({ exit, stderr }).toEqual({ exit: 0, stderr: 'Commit pushed:\t0123456\n' })
  })
})

describe('refuses', () => {
  const given = ['-w', 'demo:deployment/web']
  test.each<[string, ...string[]]>([
    ['expected no (non-flag) arguments', 'policy', 'demo:deployment/web'],
    ['-w, --workload is required', 'policy', '--lock'],
    ['-w, --workload is required', 'automate'],
    ['-w, --workload is required', 'deautomate'],
    ['-w, --workload is required', 'lock'],
    ['-w, --workload is required', 'unlock'],
    ["can't specify both the controller and workload", 'automate', '-c', 'a:b/c', ...given],
    ["can't specify both a controller and workload", 'deautomate', '-c', 'a:b/c', ...given],
    ["can't specify both a controller and workload", 'unlock', '-c', 'a:b/c', ...given],
    ["can't specify both the controller and workload", 'policy', '-c', 'a:b/c', ...given],
    ['automate and deautomate both specified', 'policy', ...given, '--automate', '--deautomate'],
    ['lock and unlock both specified', 'policy', ...given, '--lock', '--unlock'],
    ['parsing what: invalid service ID', 'policy', '-w', 'what', '--lock', '--tag=x'],
    [
      'invalid container/tag pair: "x". Expected format is \'container=filter\'',
      'policy',
      ...given,
      '--tag=x',
    ],
    [
      'invalid container/tag pair: "x=a=b". Expected format is \'container=filter\'',
      'policy',
      ...given,
      '--tag=x=a=b',
    ],
    [
      'please say what to change: --automate, --deautomate, --lock, --unlock, --tag-all or --tag',
      'policy',
      ...given,
    ],
  ])('%s', async (what, ...argv) => {
    const { exit, stderr } = await runWith({}, argv)

    expect(exit).toBe(1)
    expect(stderr).toContain(`Error: ${what}\nRun 'fluxctl ${argv[0]} --help' for usage.\n`)
  })
})

test('lock takes the older flag over the newer, as v1 does', async () => {
  const { fluxd, specs } = fluxdWith()

  await runWith(fluxd, ['lock', '-w', 'demo:deployment/a', '-c', 'demo:deployment/web'])

  expect(specs[0]?.type === 'policy' && [...(specs[0].spec?.keys() ?? [])]).toEqual([web])
})

test('does not wait for the sync', async () => {
  const { fluxd } = fluxdWith()

  expect(await runWith(fluxd, ['lock', '-w', web])).toEqual({
    exit: 0,
    stdout: 'WORKLOAD             STATUS   UPDATES\ndemo:deployment/web  success  \n',
    stderr: 'Commit pushed:\t0123456\n',
  })
})

describe('a workload that is skipped', () => {
  const skipped: Partial<JobStatus> = {
    revision: '',
    result: new Map([[web, { status: 'skipped', updates: [] }]]),
  }
  const found = (readOnly: WorkloadListing['readOnly']) => [{ id: web, readOnly }] as WorkloadListing[]

  test.each<[string, () => Promise<WorkloadListing[]>, number]>([
    ['is as it should be', async () => found(''), 0],
    ['is unknown', async () => [], 1],
    ['is not in Git', async () => found('NotInRepo'), 1],
    ['cannot be asked about', () => Promise.reject(new FluxError('FLUXD_REFUSED', { what: 'no' })), 0],
  ])('since it %s', async (_, getWorkloads, exit) => {
    const { fluxd } = fluxdWith(skipped, { getWorkloads })

    const ended = await runWith(fluxd, ['lock', '-w', web])

    expect(ended.exit).toBe(exit)
    if (exit === 1)
      expect(ended.stderr).toContain(`Error: workload ${web} is not defined in the repository\n`)
  })
})

test('says what a timeout means', async () => {
  const { fluxd } = fluxdWith({ state: 'running' })

  const { exit, stderr } = await runWith(fluxd, ['lock', '-w', web])

  expect(exit).toBe(1)
  expect(stderr).toMatch(/^\nWe timed out waiting .*is safe to retry operations\.\nError: timeout\nRun /s)
})
