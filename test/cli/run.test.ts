import { describe, expect, test } from 'vitest'
import type { FluxdOptions, Neighbours } from '../../src/cli/context.ts'
import { FluxError } from '../../src/core/errors.ts'
import type { KubeAccess, PodSummary } from '../../src/ports/agent-access.ts'
import { RemoteError } from '../../src/ports/fluxd.ts'
import { fluxdThat, runCli, runWith } from '../support/cli.ts'

const list = ['list-workloads', '-a']

/** Neighbours that note how fluxd was reached. */
function reachable(some: Partial<Neighbours> = {}) {
  const connected: FluxdOptions[] = []
  const opened: string[] = []
  let closed = 0
  const pod: PodSummary = {
    namespace: 'flux',
    name: 'flux-7d4f',
    uid: '1',
    labels: {},
    phase: 'Running',
    ready: true,
    node: 'node-1',
    serviceAccount: 'flux',
    image: 'ghcr.io/org/fluxd:1',
    terminating: false,
    owner: { kind: 'ReplicaSet', name: 'flux' },
  }
  const kube: KubeAccess = {
    origin: { files: [], context: 'kind', server: 'https://10.0.0.1', namespace: 'team-a' },
    listPods: async ({ namespace, labelSelector }) => {
      opened.push(`${namespace} ${labelSelector}`)
      return [pod]
    },
    ownedByDeployment: async () => true,
    forward: () => Promise.reject(new Error('not asked for')),
    close: async () => void closed++,
  }
  const neighbours: Partial<Neighbours> = {
    openKube: async ({ context }) => {
      opened.push(`context ${context}`)
      return kube
    },
    connect: async (options) => {
      connected.push(options)
      return fluxdThat({
        listWorkloads: async ({ namespace }) => {
          opened.push(`listed ${namespace}`)
          return []
        },
        getRepository: async () => ({
          url: '',
          branch: '',
          status: 'ready',
          error: '',
          publicKey: { key: 'ssh-rsa AAAA me\n', md5: { hash: 'aa:bb', randomArt: '+--+\n' } },
        }),
      })
    },
    ...some,
  }
  return { neighbours, connected, opened, closed: () => closed }
}

describe('reaches fluxd', () => {
  test('by its URL, without asking the cluster', async () => {
    const { neighbours, connected, opened } = reachable()

    const { exit } = await runCli([...list, '-u', 'http://127.0.0.1:3030/api/flux'], { neighbours })

    expect(exit).toBe(0)
    expect(connected).toMatchObject([{ url: 'http://127.0.0.1:3030/api/flux' }])
    expect(opened).toEqual(['listed '])
  })

  test('else through its pod, and closes the connection', async () => {
    const { neighbours, connected, opened, closed } = reachable()

    await runCli([...list, '--context=kind', '--k8s-fwd-ns=flux', '--k8s-fwd-labels=a=b'], { neighbours })

    expect(opened).toEqual(['context kind', 'flux a=b', 'listed '])
    expect(connected[0]?.open).toBeDefined()
    expect(closed()).toBe(1)
  })

  test.each<{
    why: string
    argv: string[]
    env?: Record<string, string>
    sent: string | undefined
    warns?: string
  }>([
    {
      why: 'over HTTPS',
      argv: ['--url=https://flux.example.com/api/flux', '--token=t'],
      sent: 't',
    },
    { why: 'to this machine', argv: ['--url=http://localhost:3030/api/flux', '-t', 't'], sent: 't' },
    {
      why: 'not over plain HTTP',
      argv: ['--url=http://flux.example.com/api/flux', '--token=t'],
      sent: undefined,
      warns:
        'Warning: the token is not sent, since http://flux.example.com/api/flux is neither HTTPS nor this machine\n',
    },
    {
      why: 'not over plain HTTP, told without the password of the URL',
      argv: ['--url=http://ann:pw@flux.example.com/api/flux', '--token=t'],
      sent: undefined,
      warns:
        'Warning: the token is not sent, since http://flux.example.com/api/flux is neither HTTPS nor this machine\n',
    },
    {
      why: 'not through a port-forward',
      argv: ['--token=t'],
      sent: undefined,
      warns: 'Warning: the token is not sent, since no --url is given\n',
    },
    {
      why: 'from the last variable that is set',
      argv: ['--url=http://127.0.0.1:1/api/flux'],
      env: { FLUX_SERVICE_TOKEN: 'one', WEAVE_CLOUD_TOKEN: 'two' },
      sent: 'two',
    },
  ])('with a token $why', async ({ argv, env = {}, sent, warns = '' }) => {
    const { neighbours, connected } = reachable()

    const { stderr } = await runCli([...list, ...argv], { neighbours, env })

    expect(connected[0]?.token).toBe(sent)
    expect(stderr).toBe(warns)
  })
})

describe('the namespace', () => {
  test.each([
    { argv: ['-n', 'demo'], namespace: 'demo', asksKube: false },
    { argv: ['-a', '-n', 'demo'], namespace: '', asksKube: false },
    { argv: [], namespace: 'team-a', asksKube: true },
  ])('of $argv is "$namespace"', async ({ argv, namespace, asksKube }) => {
    const { neighbours, opened } = reachable()

    await runCli(['--url=http://127.0.0.1:1', 'list-workloads', ...argv], { neighbours })

    expect(opened).toEqual([...(asksKube ? ['context '] : []), `listed ${namespace}`])
  })

  test('is default where there is no kubeconfig', async () => {
    const openKube = () => Promise.reject(new FluxError('KUBECONFIG_MISSING', { what: 'none' }))
    const { neighbours, opened } = reachable({ openKube })

    await runCli(['--url=http://127.0.0.1:1', 'list-workloads'], { neighbours })

    expect(opened).toEqual(['listed default'])
  })
})

describe('identity', () => {
  test.each([
    { flags: [], stdout: 'ssh-rsa AAAA me\n' },
    { flags: ['-l'], stdout: 'aa:bb\n' },
    { flags: ['-v'], stdout: 'aa:bb\n+--+\n' },
    { flags: ['-l', '-v'], stdout: 'aa:bb\n+--+\n' },
  ])('$flags', async ({ flags, stdout }) => {
    const { neighbours } = reachable()

    const ended = await runCli(['--url=http://127.0.0.1:1', 'identity', ...flags], { neighbours })

    expect(ended).toEqual({ exit: 0, stdout, stderr: '' })
  })

  test('says who answered, where that was found by looking', async () => {
    const { neighbours } = reachable()

    const { stdout, stderr } = await runCli(['identity'], { neighbours })

    expect(stdout).toBe('ssh-rsa AAAA me\n')
    expect(stderr).toBe(
      'Answered by pod flux/flux-7d4f on node node-1, image ghcr.io/org/fluxd:1, service account flux\n',
    )
  })
})

describe('the command', () => {
  test.each([
    { argv: ['-u', 'x', 'sync', '-h'], shows: 'fluxctl sync' },
    { argv: ['--url=x', 'sync', '-h'], shows: 'fluxctl sync' },
    { argv: ['-h', 'sync'], shows: 'fluxctl sync' },
    { argv: ['--timeout', '5s', 'sync', '--help'], shows: 'fluxctl sync' },
    { argv: ['-n', 'demo', 'list-images', '-h'], shows: 'fluxctl list-images' },
    { argv: ['sync', '--help=false', '--help'], shows: 'fluxctl sync' },
  ])('is found in $argv', async ({ argv, shows }) => {
    expect((await runCli(argv)).stdout).toContain(`Usage:\n  ${shows} [flags]`)
  })

  test.each([
    {
      argv: ['nosuch', '--bad'],
      stderr: /^Error: unknown command "nosuch" for "fluxctl"\nRun 'fluxctl --help'/,
    },
    { argv: ['lst-workloads'], stderr: /\n\nDid you mean this\?\n\tlist-workloads\n\nRun 'fluxctl --help'/ },
    { argv: ['list'], stderr: /\n\tlist-images\n\tlist-workloads\n\n/ },
    { argv: ['--nosuch', 'sync'], stderr: /^Error: unknown flag: --nosuch\nRun 'fluxctl --help'/ },
    { argv: ['--', 'sync'], stderr: /^Error: unknown command "sync"/ },
    { argv: ['constructor'], stderr: /^Error: unknown command "constructor"/ },
    { argv: ['sync', '--nosuch'], stderr: /^Error: unknown flag: --nosuch\nRun 'fluxctl sync --help'/ },
  ])('is not found, or not understood, in $argv', async ({ argv, stderr }) => {
    const ended = await runCli(argv)

    expect(ended).toMatchObject({ exit: 1, stdout: '' })
    expect(ended.stderr).toMatch(stderr)
  })
})

describe('a failure', () => {
  const failing = (error: Error, options = {}) =>
    runWith({ listWorkloads: () => Promise.reject(error) }, list, options)

  test("with fluxd's advice is shown as that advice", async () => {
    const error = new RemoteError('no', 'FLUXD_REFUSED', { help: 'Try \u001b[31mthis\n' })

    expect((await failing(error)).stderr).toBe('== Error ==\n\nTry \\u001b[31mthis\n\n')
  })

  test('without advice is followed by a hint at the help', async () => {
    const error = new RemoteError('one\ntwo', 'FLUXD_REFUSED')

    expect((await failing(error)).stderr).toBe(
      "Error: one\ntwo\nRun 'fluxctl list-workloads --help' for usage.\n",
    )
  })

  test('of ours tells what happened, why, and what to do next', async () => {
    const error = new FluxError('CLUSTER_UNREACHABLE', { what: 'What.', why: 'Why.', next: 'Next.' })

    expect((await failing(error)).stderr).toBe('Error: What.\n\nWhy.\n\nNext.\n')
  })

  test('that scripts know from v1 has advice only for people', async () => {
    const argv = ['list-images', '-w', 'what']
    let screen = ''
    await runWith({}, argv, { stderr: { isTTY: true, write: (text) => (screen += text) } })

    expect(screen).toMatch(/^Error: parsing what: invalid service ID\n\nWrite namespace:kind\/name/)
    expect((await runWith({}, argv)).stderr).toBe(
      "Error: parsing what: invalid service ID\nRun 'fluxctl list-images --help' for usage.\n",
    )
  })

  test('that is a bug of ours is shown with its stack', async () => {
    const { exit, stderr } = await failing(new TypeError('undefined is not a function'))

    expect(exit).toBe(1)
    expect(stderr).toMatch(
      /^Error: undefined is not a function\n\nTypeError: .*run\.test\.ts.*bug of fluxctl/s,
    )
  })

  test.each<[ConstructorParameters<typeof FluxError>[0], number]>([
    ['FLUXD_DENIED', 4],
    ['CLUSTER_FORBIDDEN', 4],
    ['WAIT_TIMEOUT', 8],
    ['FLUXD_UNREACHABLE', 1],
  ])('%s exits 1, and %i with the full table', async (code, full) => {
    const error = new FluxError(code, { what: 'x' })

    expect((await failing(error)).exit).toBe(1)
    expect((await failing(error, { env: { FLUXCTL_EXIT_CODES: '2' } })).exit).toBe(full)
  })
})

test('version prints the version, and connects to nothing', async () => {
  expect(await runCli(['version'])).toEqual({ exit: 0, stdout: '1.25.4\n', stderr: '' })
  expect((await runCli(['version', 'extra'])).exit).toBe(1)
})
