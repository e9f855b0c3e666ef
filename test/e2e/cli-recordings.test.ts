import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { readGitUser } from '../../src/adapters/fluxd/git-user.ts'
import { openKubeAccess } from '../../src/adapters/kube/access.ts'
import type { KubeAccess, PodSummary } from '../../src/ports/agent-access.ts'
import { type CliRun, runCli } from '../support/cli.ts'
import { type Otherwise, type Recording, type Replay, readRecording, startReplay } from '../support/replay.ts'

/**
 * Every recording of the original fluxctl, played again with ours: same questions, same answers, and the same bytes on both
 * streams and the same exit code, but for the differences below.
 */

interface Difference {
  /** the row of the decisions or corrections that orders it */
  because: string
  exit?: number
  stdout?: (original: string) => unknown
  stderr?: (original: string) => unknown
}

const firstLine = (text: string) => text.split('\n', 1)[0] ?? ''
const unknownWorkload: Pick<Difference, 'exit' | 'stderr'> = {
  exit: 1,
  stderr: () => expect.stringMatching(/^Error: workload \S+ is not defined in the repository\n/),
}

/** An image given by its digest is shown with it, where the original shows nothing after the arrow. */
const digest: Difference = {
  because: 'corrections: ours shows the digest',
  stdout: (original) => original.replaceAll(/@(sha256:[\da-f]+) -> (?=\n)/g, '@$1 -> $1'),
}

/** The only places where ours is not byte for byte the original's. */
const differences: Record<string, Difference> = {
  'automate--unknown-workload-v': {
    because: 'exit codes: an unknown workload in `automate` is 1',
    ...unknownWorkload,
  },
  'connection--unknown-context': {
    because: 'no server, no agent: say what was looked for, and what to do next',
    stderr: (original) => expect.stringContaining(`${firstLine(original)}\n\nLooked in `),
  },
  'lock--cluster-only-v': {
    because: 'exit codes: a workload that Git does not know is 1 in `lock`',
    ...unknownWorkload,
  },
  'policy--nothing-asked': {
    because: 'corrections: ours says what is missing, and asks nothing of fluxd',
    stderr: () => expect.stringMatching(/^Error: please say what to change: --automate, /),
  },
  'policy--unknown-workload': {
    because: 'exit codes: an unknown workload in `policy` is 1',
    ...unknownWorkload,
  },
  'release--all': digest,
  'release--all-dry-run': digest,
  'release--all-dry-run-v': digest,
  'release--all-exclude': digest,
  'usage--no-arguments': {
    because: 'fluxctl alone says in six lines where to begin',
    stdout: () => expect.stringMatching(/^([^\n]+\n){6}$/),
  },
}

/** Families that are not replayed here. */
const leftOut: Record<string, string> = {
  completion: 'not built yet',
  help: 'prose of its own; see the tests of help',
  install: 'not built yet',
  interactive: 'played on a terminal, below',
  save: 'not built yet',
}

const files = readdirSync('test/fixtures/recordings/cli')
const recordings = files.map((file) => ({ ...readRecording(file), id: file.replace('.json', '') }))
const replayed = recordings.filter(({ family, argv }) => !leftOut[family] && !argv.includes('save'))

const world = mkdtempSync(join(tmpdir(), 'fluxctl-recordings-'))
writeFileSync(join(world, 'gitconfig'), '[user]\n\tname = World User\n\temail = world@example.com\n')
writeFileSync(
  join(world, 'kubeconfig'),
  JSON.stringify({
    'current-context': 'world',
    contexts: [{ name: 'world', context: { cluster: 'world', user: 'world' } }],
    clusters: [{ name: 'world', cluster: { server: 'https://127.0.0.1:1' } }],
    users: [{ name: 'world', user: {} }],
  }),
)

describe('replays', () => {
  test.each(replayed.filter(({ exit }) => exit !== null))('$id', async (recording) => {
    const difference = differences[recording.id] ?? { because: '' }
    await using replay = await startReplay(recording.http, worldAnswers)

    const ours = await play(recording, replay)

    const original = { stdout: recording.stdout ?? '', stderr: recording.stderr ?? '' }
    expect(ours).toEqual({
      exit: difference.exit ?? recording.exit,
      stdout: difference.stdout?.(original.stdout) ?? original.stdout,
      stderr: difference.stderr?.(original.stderr) ?? original.stderr,
    })
    if (recording.id !== 'policy--nothing-asked') expect(replay.faults()).toEqual([])
  })

  test('waits as long as fluxd does not answer, until it is interrupted', async () => {
    const recording = readRecording('connection--never-answers.json')
    await using replay = await startReplay(
      [
        {
          method: 'GET',
          path: '/hang/api/flux/v6/services',
          query: 'namespace=',
          requestHeaders: { Accept: 'application/json' },
          requestBody: '',
          status: null,
        },
      ],
      () => undefined,
    )
    const interrupt = new AbortController()

    const running = play(recording, replay, interrupt.signal)
    await vi.waitFor(() => expect(replay.asked).toBe(1))
    interrupt.abort()

    expect(await running).toEqual({ exit: 130, stdout: '', stderr: '' })
  })

  test('the differences name recordings that exist', () => {
    expect(Object.keys(differences).filter((name) => !files.includes(`${name}.json`))).toEqual([])
  })
})

describe('plays on a terminal', () => {
  test.each(recordings.filter(({ family }) => family === 'interactive'))('$id', async (recording) => {
    await using replay = await startReplay(recording.http, worldAnswers)
    const session = recording.session ?? []
    const keys = session.flatMap((step) => ('key' in step ? [step.key] : []))
    let screen = ''
    let onKey: (key: string) => void = () => {}
    const terminal = { isTTY: true, columns: 100, write: (text: string) => (screen += text) }
    const press = () => {
      const key = keys.shift()
      if (key !== undefined) setImmediate(() => onKey(key))
    }

    const running = play(recording, replay, undefined, {
      stdout: terminal,
      stderr: {
        ...terminal,
        write(text: string) {
          screen += text
          // a finished picture ends in the line about keys, the first one in hiding the cursor
          if (text.endsWith('\x1b[?25l') || (text.startsWith('\x1b[') && text.endsWith('selected.\n')))
            press()
        },
      },
      stdin: {
        isTTY: true,
        setRawMode: () => {},
        on: (_: 'data', listener: (chunk: string) => void) => (onKey = listener),
        off: () => {},
        resume: () => {},
        pause: () => {},
      },
    })

    expect((await running).exit).toBe(recording.exit)
    const original = session.map((step) => ('screen' in step ? step.screen : '')).join('')
    // the original counts the bytes of a line, not its columns, and so moves too far up
    expect(screen).toBe(original.replaceAll('\r\n', '\n').replace('\x1b[6A', '\x1b[5A'))
    expect(replay.faults()).toEqual([])
  })
})

async function play(
  { argv, env, kubeconfig }: Recording,
  replay: Replay,
  signal: AbortSignal = new AbortController().signal,
  streams: object = {},
): Promise<CliRun> {
  const refused = await closedPort()
  const ports: [string, string][] = [
    [':23031', `:${replay.port}`],
    [':23040', `:${replay.port}`],
    [':23999', `:${refused}`],
  ]
  const place = (text: string) => ports.reduce((at, [theirs, ours]) => at.replaceAll(theirs, ours), text)
  const putBack = (text: string) =>
    ports.reduceRight((at, [theirs, ours]) => at.replaceAll(ours, theirs), text)
  const gitEnv = {
    PATH: process.env['PATH'],
    GIT_DIR: join(world, 'none'),
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: env['GIT_CONFIG_GLOBAL'] ?? join(world, 'gitconfig'),
  }
  const ended = await runCli(argv.map(place), {
    ...streams,
    signal,
    env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, place(value)])),
    neighbours: {
      gitUser: () => readGitUser(gitEnv),
      openKube: async ({ context }) =>
        kubeconfig && context === ''
          ? fakeKube(replay.port)
          : openKubeAccess({ context, env: { KUBECONFIG: join(world, kubeconfig ? 'kubeconfig' : 'none') } }),
    },
  })
  return { ...ended, stdout: putBack(ended.stdout), stderr: putBack(ended.stderr) }
}

/** What the client asks of the original's world beyond the recording: workloads by their IDs. */
const worldAnswers: Otherwise = (path, query) => {
  if (!path.endsWith('/v11/services')) return undefined
  const all = JSON.parse(readRecording('list-workloads--json-all.json').stdout ?? '[]') as { ID: string }[]
  return JSON.stringify(all.filter(({ ID }) => query.get('services')?.split(',').includes(ID)))
}

/** The pods of the recorded world: one fluxd in `flux`, two in `twice`. */
function fakeKube(port: number): KubeAccess {
  const pods = ['flux', 'twice', 'twice'].map(
    (namespace, index): PodSummary => ({
      namespace,
      name: `flux-${index}`,
      uid: `${index}`,
      labels: { name: 'flux', ...(namespace === 'flux' && { app: 'flux' }) },
      phase: 'Running',
      ready: true,
      node: 'node-1',
      serviceAccount: 'default',
      image: 'registry.test/flux:1',
      terminating: false,
      owner: { kind: 'ReplicaSet', name: 'flux-1' },
    }),
  )
  return {
    origin: { files: [], context: 'world', server: 'https://127.0.0.1:1', namespace: 'default' },
    listPods: async ({ namespace, labelSelector }) =>
      pods.filter(
        (pod) =>
          pod.namespace === namespace &&
          (labelSelector.startsWith('name in') ||
            labelSelector.split('=')[1] === pod.labels[labelSelector.split('=')[0] ?? '']),
      ),
    ownedByDeployment: async () => true,
    forward: async () => connect(port, '127.0.0.1'),
    close: async () => {},
  }
}

async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
