import { describe, expect, test } from 'vitest'
import { parseImageRef } from '../../../src/core/image/ref.ts'
import type { WorkloadListing } from '../../../src/core/listing.ts'
import { parseResourceId } from '../../../src/core/resource/id.ts'
import type { JobStatus, WorkloadResult } from '../../../src/core/update/result.ts'
import type { UpdateSpec } from '../../../src/core/update/spec.ts'
import type { Fluxd } from '../../../src/ports/fluxd.ts'
import { quickClock, runCli, runWith } from '../../support/cli.ts'

const web = parseResourceId('demo:deployment/web')
const revision = '0123456789abcdef0123456789abcdef01234567'
const change = {
  container: 'app',
  current: parseImageRef('ghcr.io/org/web:1'),
  target: parseImageRef('ghcr.io/org/web:2'),
}

function jobWith(result: [string, WorkloadResult][], some: Partial<JobStatus> = {}): JobStatus {
  return {
    state: 'succeeded',
    error: '',
    revision,
    result: new Map(result.map(([id, item]) => [parseResourceId(id), item])),
    ...some,
  }
}
const released = jobWith([[web, { status: 'success', updates: [change] }]])

/** A fluxd that ends every job the same way, and keeps what it was asked for. */
function fluxdWith(job: JobStatus, some: Partial<Fluxd> = {}) {
  const specs: UpdateSpec[] = []
  const fluxd: Partial<Fluxd> = {
    async update(spec) {
      specs.push(spec)
      return 'job-1'
    },
    getJob: async () => job,
    listUnapplied: async () => [],
    ...some,
  }
  return { specs, fluxd }
}

describe('what it asks for', () => {
  test.each<{ argv: string[]; asks: object }>([
    {
      argv: ['--update-all-images', '--all'],
      asks: { workloads: ['<all>'], image: '<all latest>', kind: 'execute', excludes: null, force: false },
    },
    { argv: ['--update-all-images', '--all', '--dry-run'], asks: { kind: 'plan' } },
    { argv: ['--update-image=alpine:latest', '--all'], asks: { image: 'alpine:latest' } },
    {
      argv: ['--update-all-images', '--workload=deployment/flux'],
      asks: { workloads: ['default:deployment/flux'] },
    },
    {
      argv: ['--update-all-images', '-n', 'demo', '--workload=deployment/a,other:deployment/b'],
      asks: { workloads: ['demo:deployment/a', 'other:deployment/b'] },
    },
    {
      argv: ['--update-all-images', '--all', '--exclude=deployment/test,deployment/yeah'],
      asks: { excludes: ['default:deployment/test', 'default:deployment/yeah'] },
    },
    {
      argv: ['--update-all-images', '--all', '--workload=demo:deployment/a'],
      asks: { workloads: ['<all>'] },
    },
    {
      argv: ['-f', '--update-image=a:1', '--workload=demo:deployment/a', '-c', 'demo:deployment/b'],
      asks: { workloads: ['demo:deployment/a', 'demo:deployment/b'], force: true },
    },
  ])('$argv', async ({ argv, asks }) => {
    const { fluxd, specs } = fluxdWith(released)

    const { exit } = await runWith(fluxd, ['release', ...argv])

    expect(exit).toBe(0)
    expect(specs[0]).toMatchObject({ type: 'image', spec: asks })
  })

  test('names who asks, and why', async () => {
    const { fluxd, specs } = fluxdWith(released)
    const argv = ['release', '--all', '--update-all-images']

    await runWith(fluxd, [...argv, '-m', 'because'])
    await runWith(fluxd, [...argv, '--user=Else'])
    await runWith(fluxd, [...argv, '--user='])

    expect(specs.map(({ cause }) => cause)).toEqual([
      { message: 'because', user: 'World User <world@example.com>' },
      { message: '', user: 'Else' },
      { message: '', user: '' },
    ])
  })
})

describe('refuses', () => {
  const image = '--update-all-images'
  test.each<[string, ...string[]]>([
    ['expected no (non-flag) arguments', 'demo:deployment/web', image],
    ['please supply exactly one of --update-image=<image> or --update-all-images'],
    ['please supply exactly one of --update-image=<image> or --update-all-images', '--all'],
    ['please supply only one of --update-image=<image> or --update-all-images', image, '-i', 'a:1'],
    ['please supply either --all, or at least one --workload=<workload>', image],
    ['cannot use --watch with --dry-run', image, '--all', '--watch', '--dry-run'],
    ['--force has no effect when used with --all and --update-all-images', image, '--all', '--force'],
    ['parsing invalid&workload: invalid service ID', image, '--workload=invalid&workload'],
    [
      'blank tag (if you want latest, explicitly state the tag :latest): invalid image ID',
      '--update-image=alpine',
      '--all',
    ],
    ['parsing "a b:1": invalid image ID', '--update-image=a b:1', '--all'],
    ['parsing what: invalid service ID', image, '--all', '--exclude=what'],
    ['cannot use --interactive without a terminal', image, '--all', '--interactive'],
  ])('%s', async (what, ...argv) => {
    const { exit, stdout, stderr } = await runWith({}, ['release', ...argv])

    expect({ exit, stdout }).toEqual({ exit: 1, stdout: '' })
    expect(stderr.split('\n', 1)).toEqual([`Error: ${what}`])
  })

  test('nothing, but warns, where --force does less than it seems to', async () => {
    const { fluxd } = fluxdWith(released)

    const all = await runWith(fluxd, ['release', '--all', '--update-image=a:1', '--force'])
    const newest = await runWith(fluxd, ['release', '--workload=a:b/c', '--update-all-images', '--force'])

    expect(all.stderr).toContain('Warning: --force will not ignore locked workloads when used with --all\n')
    expect(newest.stderr).toContain(
      'Warning: --force will not ignore container image tags when used with --update-all-images\n',
    )
  })
})

const argv = ['release', '--workload=demo:deployment/web', '--update-all-images']

test('prints the result, and says when its commit is pushed and applied', async () => {
  const { fluxd } = fluxdWith(released)

  expect(await runWith(fluxd, argv)).toEqual({
    exit: 0,
    stdout:
      'WORKLOAD             STATUS   UPDATES\ndemo:deployment/web  success  app: ghcr.io/org/web:1 -> 2\n',
    stderr: 'Submitting release ...\nCommit pushed:\t0123456\nCommit applied:\t0123456\n',
  })
})

test('asks for the job at once, then waits twice as long each time, up to five seconds', async () => {
  const clock = quickClock()
  const { fluxd } = fluxdWith({ state: 'queued', error: '' })

  const { exit, stderr } = await runWith(fluxd, [...argv, '--timeout=20s'], { neighbours: { clock } })

  expect(clock.sleptMs).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000])
  expect({ exit, stderr }).toEqual({
    exit: 1,
    stderr: "Submitting release ...\nError: timeout\nRun 'fluxctl release --help' for usage.\n",
  })
})

describe('--watch', () => {
  const listing = (status: string, some: Partial<WorkloadListing> = {}): WorkloadListing => ({
    id: web,
    containers: [],
    readOnly: '',
    status,
    rollout: { desired: 2, updated: 1, ready: 1, available: 1, outdated: 1, messages: [] },
    syncError: '',
    labels: null,
    automated: false,
    locked: false,
    ignore: false,
    policies: new Map(),
    ...some,
  })

  test('looks every two seconds until all is ready', async () => {
    const clock = quickClock()
    const states = [listing('updating'), listing('ready')]
    const { fluxd } = fluxdWith(released, { getWorkloads: async () => states.splice(0, 1) })

    const { exit, stdout, stderr } = await runWith(fluxd, [...argv, '--watch', '-v'], {
      neighbours: { clock },
    })

    expect(exit).toBe(0)
    expect(clock.sleptMs).toEqual([2000])
    expect(stderr).toMatch(/Monitoring rollout \.\.\.\nAll workloads ready\.\n$/)
    expect(stdout).toContain('demo:deployment/web                    updating  1/2 (1 outdated, 1 ready)\n\n')
  })

  test('ends with 5 when a workload says why it cannot get on', async () => {
    const stuck = listing('error', { rollout: { ...listing('').rollout, messages: ['no such image'] } })
    const { fluxd } = fluxdWith(released, { getWorkloads: async () => [stuck] })

    const { exit, stderr } = await runWith(fluxd, [...argv, '--watch'])

    expect(exit).toBe(5)
    expect(stderr).toMatch(/There was a problem releasing demo:deployment\/web:\nno such image\n$/)
  })

  test('watches nothing where nothing was released', async () => {
    const { fluxd } = fluxdWith(jobWith([[web, { status: 'skipped', error: 'locked', updates: [] }]]))

    expect((await runWith(fluxd, [...argv, '--watch'])).stderr).not.toContain('Monitoring')
  })

  test('does not wait for a Helm release that nobody reports on', async () => {
    const id = parseResourceId('demo:helmrelease/db')
    const { fluxd } = fluxdWith(jobWith([[id, { status: 'success', updates: [change] }]]), {
      getWorkloads: async () => [listing('', { id })],
    })

    expect((await runWith(fluxd, [...argv, '--watch'])).stderr).toContain('All workloads ready.')
  })
})

describe('exit codes', () => {
  const nothing: JobStatus = { state: 'failed', error: 'no changes made in repo' }
  const locked = jobWith([[web, { status: 'skipped', error: 'locked', updates: [] }]])
  locked.revision = ''

  test.each<{ why: string; job: JobStatus; v1: number; full: number; some?: Partial<Fluxd> }>([
    { why: 'released', job: released, v1: 0, full: 0 },
    { why: 'nothing to change', job: nothing, v1: 1, full: 3 },
    { why: 'all skipped', job: locked, v1: 0, full: 3 },
    { why: 'no result', job: { state: 'succeeded', error: '' }, v1: 0, full: 3 },
    { why: 'failed', job: { state: 'failed', error: 'oh no' }, v1: 1, full: 1 },
    { why: 'job not finished in time', job: { state: 'running', error: '' }, v1: 1, full: 8 },
    { why: 'not applied in time', job: released, v1: 0, full: 8, some: { listUnapplied: async () => ['x'] } },
  ])('$why: $v1, and with the full table $full', async ({ job, v1, full, some = {} }) => {
    const { fluxd } = fluxdWith(job, some)

    expect((await runWith(fluxd, argv)).exit).toBe(v1)
    expect((await runWith(fluxd, [...argv, '--detailed-exitcode'])).exit).toBe(full)
    expect((await runWith(fluxd, argv, { env: { FLUXCTL_EXIT_CODES: '2' } })).exit).toBe(full)
  })
})

describe('-o json puts exactly one document on standard output', () => {
  const ends: { why: string; job: JobStatus; extra?: string[]; document: object }[] = [
    {
      why: 'released',
      job: released,
      document: {
        outcome: 'done',
        job: 'job-1',
        revision,
        applied: true,
        workloads: [
          {
            id: web,
            status: 'success',
            reason: null,
            updates: [{ container: 'app', from: 'ghcr.io/org/web:1', to: 'ghcr.io/org/web:2' }],
          },
        ],
      },
    },
    {
      why: 'nothing to do',
      job: { state: 'succeeded', error: '' },
      document: { outcome: 'nothing', job: 'job-1', revision: null, applied: false, workloads: [] },
    },
    {
      why: 'failed',
      job: { state: 'failed', error: 'oh\u001b[2Jno', errorCode: 'GIT_NOT_READY' },
      document: {
        error: { code: 'GIT_NOT_READY', message: 'oh\u001b[2Jno', hint: null, retryable: false },
      },
    },
    {
      why: 'a wrong flag',
      job: released,
      extra: ['--update-image=a:1'],
      document: {
        error: {
          code: 'USAGE_INVALID',
          message: 'please supply only one of --update-image=<image> or --update-all-images',
          hint: null,
          retryable: false,
        },
      },
    },
  ]
  test.each(ends)('$why', async ({ job, extra = [], document }) => {
    const { stdout } = await runWith(fluxdWith(job).fluxd, [...argv, '-o', 'json', ...extra])

    expect(JSON.parse(stdout)).toEqual(document)
    expect(stdout).toMatch(/^[^\n\u001b]+\n$/)
  })

  test.each([['-o', 'json'], ['-ojson'], ['-o=json'], ['--output', 'json'], ['--output=json']])(
    'though a flag is unknown, with %s %s',
    async (...output) => {
      const { exit, stdout, stderr } = await runWith({}, [...argv, '--nosuch', ...output])

      expect({ exit, stderr }).toEqual({ exit: 2, stderr: '' })
      expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'FLAG_INVALID' } })
    },
  )

  test('and refuses other formats', async () => {
    const { exit, stderr } = await runWith({}, [...argv, '-o', 'xml'])

    expect({ exit, first: stderr.split('\n', 1)[0] }).toEqual({
      exit: 2,
      first: 'Error: invalid output format specified',
    })
  })
})

describe('--interactive', () => {
  const db = parseResourceId('demo:statefulset/db')
  const plan = jobWith(
    [
      [web, { status: 'success', error: 'a remark', updates: [change, { ...change, container: 'init' }] }],
      [db, { status: 'skipped', error: 'locked', updates: [] }],
    ],
    { revision: '' },
  )

  async function choose(keys: string[], job = plan) {
    const { fluxd, specs } = fluxdWith(job)
    let screen = ''
    const write = (text: string) => (screen += text)
    const modes: boolean[] = []
    const ended = await runWith(fluxd, ['release', '--all', '--update-all-images', '--interactive', '-v'], {
      stdout: { write, isTTY: true },
      stderr: { write, isTTY: true, columns: 40 },
      stdin: {
        isTTY: true,
        setRawMode: (on) => modes.push(on),
        on: (_, listener) => setImmediate(() => listener(Buffer.from(keys.join('')))),
        off() {},
        resume() {},
        pause() {},
      },
    })
    const chosen = specs[1]?.type === 'containers' ? [...(specs[1].spec.containers ?? [])] : undefined
    return {
      ...ended,
      screen,
      modes,
      chosen: chosen?.map(([id, updates]) => [id, updates.map((u) => u.container)]),
    }
  }

  test('releases all that can be chosen, and leaves the terminal as it was', async () => {
    const { exit, chosen, screen, modes } = await choose(['\r'])

    expect(chosen).toEqual([[web, ['app', 'init']]])
    expect(exit).toBe(0)
    expect(modes).toEqual([true, false])
    expect(screen).toContain('\n    demo:statefulset/db  skipped  locked\n')
    expect(screen).toContain('\x1b[?25h')
  })

  test('the cursor stops only at rows that can be chosen, and goes round', async () => {
    expect((await choose([' ', '\r'])).chosen).toEqual([[web, ['init']]])
    expect((await choose(['\x1b[B', ' ', '\r'])).chosen).toEqual([[web, ['app']]])
    expect((await choose(['\t', 'j', ' ', '\r'])).chosen).toEqual([[web, ['init']]])
    expect((await choose(['k', ' ', '\x1b[A', ' ', '\r'])).chosen).toEqual([])
  })

  test('draws over itself, counting the lines that a narrow terminal wraps', async () => {
    const { screen } = await choose(['j', 'q'])

    // only the row of `db` and the empty line fit into 40 columns
    expect(screen).toContain('\x1b[12A    WORKLOAD')
  })

  test.each(['q', '\x1b', '\x03'])('%j releases nothing', async (key) => {
    const { exit, chosen, screen } = await choose([key])

    expect({ exit, chosen }).toEqual({ exit: 0, chosen: undefined })
    expect(screen).toMatch(/\x1b\[\?25hAborted\.\n$/)
  })

  test('asks nothing where nothing would change', async () => {
    const { exit, screen, modes } = await choose([], jobWith([], { revision: '' }))

    expect({ exit, modes }).toEqual({ exit: 0, modes: [] })
    expect(screen).toMatch(/No changes found\.\n$/)
  })
})

test('an interruption ends it with 130', async () => {
  const interrupt = new AbortController()
  const { fluxd } = fluxdWith(released, {
    async getJob() {
      interrupt.abort()
      return { state: 'running', error: '' }
    },
  })

  const { exit } = await runWith(fluxd, argv, { signal: interrupt.signal })

  expect(exit).toBe(130)
})

test('looks at its flags before it connects', async () => {
  const { stderr } = await runCli(['release'])

  expect(stderr).toContain('please supply exactly one of')
})
