import { setTimeout as delay } from 'node:timers/promises'
import type { Chances } from './random.ts'
import { fileOf, type SoakWorld, workloads } from './world.ts'

/**
 * Somebody who writes to the same files and branch all the time, breaks a manifest now and then, rewrites the notes,
 * and moves the sync tag. What they push never overwrites what is on the branch: they do look before they push.
 */
export interface HostileWriter {
  /** revisions that are on the branch by their hand */
  commits(): readonly string[]
  /** how often they dropped all notes */
  notesDropped(): number
  /** commits of the branch when they dropped the notes the last time */
  readonly beforeDrop: ReadonlySet<string>
  readonly ended: Promise<void>
}

export function startHostileWriter(
  { upstream }: SoakWorld,
  chances: Chances,
  isEnough: () => boolean,
  /** how many got their way against this writer so far */
  progress: () => number,
): HostileWriter {
  const commits: string[] = []
  const beforeDrop = new Set<string>()
  let dropped = 0
  let serial = 0
  let broken = false

  const write = async (path: string, change: (text: string) => string | null): Promise<void> => {
    for (;;) {
      const head = await upstream.git('rev-parse', 'refs/heads/main')
      const old = await upstream.git('show', `${head}:${path}`).catch(() => '')
      const text = change(old && `${old}\n`) // `git` drops the last line end
      const mine = `refs/writer/${++serial}`
      const message = `writer ${serial}`
      await upstream.stream(
        `commit ${mine}\ncommitter Hostile Writer <writer@example.com> ${Math.floor(Date.now() / 1000)} +0000\n` +
          `data ${message.length}\n${message}\nfrom ${head}\n` +
          (text === null
            ? `D ${path}\n`
            : `M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`),
      )
      const revision = await upstream.git('rev-parse', mine)
      const isFirst = await upstream.git('update-ref', 'refs/heads/main', revision, head).then(
        () => true,
        () => false, // a push of fluxd came first
      )
      await upstream.git('update-ref', '-d', mine)
      if (!isFirst) continue
      commits.push(revision)
      return
    }
  }

  const anyFile = () => fileOf(chances.pick(Object.values(workloads).flat()))
  const actions: readonly [share: number, act: () => Promise<unknown>][] = [
    [63, () => write(anyFile(), (text) => text.replace(/from: \S+\}/, `from: writer-${serial}}`))],
    [
      20,
      () =>
        write(anyFile(), (text) =>
          text.replace(/^# writer.*$/m, `# writer: ${'x'.repeat(serial % 9)} ${serial}`),
        ),
    ],
    [
      8,
      () =>
        write(fileOf(chances.pick(workloads.released)), (text) =>
          text.replace(/(image: \S+:)\S+/, `$1hostile-${serial}`),
        ),
    ],
    [
      1,
      async () => {
        broken = !broken
        await write('broken.yaml', () => (broken ? 'kind: [\n' : null))
      },
    ],
    // the same notes under another history: whoever adds to the old one is refused
    [
      4,
      async () => {
        const tree = await upstream.git('rev-parse', 'refs/notes/flux^{tree}').catch(() => undefined)
        if (tree === undefined) return
        const tip = await upstream.git('rev-parse', 'refs/notes/flux')
        const commit = await upstream.git('commit-tree', '-m', `rewritten ${++serial}`, tree)
        await upstream.git('update-ref', 'refs/notes/flux', commit, tip).catch(() => {})
      },
    ],
    [
      1,
      async () => {
        await upstream.git('update-ref', '-d', 'refs/notes/flux')
        dropped += 1
        for (const revision of (await upstream.git('rev-list', 'main')).split('\n')) beforeDrop.add(revision)
      },
    ],
    [
      3,
      async () => {
        const revisions = (await upstream.git('rev-list', '-20', 'main')).split('\n')
        await upstream.git('update-ref', 'refs/tags/flux-sync', chances.pick(revisions))
      },
    ],
  ]

  const act = async () => {
    let left = chances.below(100)
    for (const [share, action] of actions) {
      left -= share
      if (left < 0) return void (await action())
    }
  }

  const run = async () => {
    let acts = 0
    let reached = progress()
    while (!isEnough()) {
      await act()
      acts = progress() === reached ? acts + 1 : 0
      reached = progress()
      // on a busy machine a push takes longer than the pauses here are: nobody would ever win
      for (let waited = 0; acts > 6 && waited < 80 && progress() === reached && !isEnough(); waited++)
        await delay(100)
      // broken only for a moment: nothing is released while it is
      if (broken) {
        await delay(chances.between(100, 1_500))
        broken = false
        await write('broken.yaml', () => null)
      }
      // in bursts: a push of fluxd must have a chance, if not at once
      await delay(chances.percent(60) ? chances.between(0, 200) : chances.between(500, 3_000))
    }
  }

  return { commits: () => commits, notesDropped: () => dropped, beforeDrop, ended: run() }
}
