import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createGitMirror } from '../../src/adapters/git/mirror.ts'
import { createImageRegistry } from '../../src/adapters/registry/client.ts'
import { parseDockerConfig } from '../../src/adapters/registry/credentials.ts'
import { createMemoryStore } from '../../src/adapters/store/memory.ts'
import { createLog } from '../../src/adapters/system/log.ts'
import { createMetrics } from '../../src/adapters/system/metrics.ts'
import { startAgent } from '../../src/agent/agent.ts'
import { readConfig } from '../../src/agent/config.ts'
import { flags } from '../../src/agent/flags.ts'
import { noIdentity } from '../../src/agent/identity.ts'
import { type GitServer, gitServer } from '../../src/playground/git/server.ts'
import { startRegistry, type TestRegistry } from '../../src/playground/registry/registry.ts'
import { parseFlags } from '../../src/runtime/flags.ts'
import { deployment, memoryCluster, pollFor } from '../agent/fixtures.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'

// code that is made faster while it runs would look like memory that grows
setFlagsFromString('--no-opt')
setFlagsFromString('--no-sparkplug')

/**
 * A day of fluxd in a minute: its clock is moved from poll to poll, while somebody commits, images come, and
 * automation answers. What it is about is whether memory grows.
 *
 * Everything is in one process, so what the neighbours keep of their own is cleared before a look at the heap.
 */
export interface DayOptions {
  hours: number
  /** how far the clock moves at a time */
  stepMs: number
  /** also ends after so long, with the hours that it came to */
  limitMs: number
  /** every so many steps somebody commits, and an image is pushed */
  changeEvery: number
  apps: number
  onHour?: (hour: number, heapBytes: number) => void
}

export interface Day {
  /** used heap after a collection, at the end of each hour */
  heapBytes: number[]
  polls: number
  syncs: number
  /** commits of automation */
  automated: number
  tagsListed: number
}

export async function liveOneDay(options: DayOptions): Promise<Day> {
  const names = Array.from({ length: options.apps }, (_, index) => `app-${index}`)
  await using registry = await startRegistry()
  for (const name of names) registry.push(name, '1.0.0', '2024-01-01T00:00:00Z')
  const annotations = "fluxcd.io/automated: 'true', fluxcd.io/tag.app: 'semver:~1'"
  const fileOf = (name: string, comment: string) =>
    `# ${comment}\n${deployment(name, `${registry.host}/${name}:1.0.0`, { annotations })}`
  await using upstream = await gitServer(
    Object.fromEntries(names.map((name) => [`${name}.yaml`, fileOf(name, 'new')])),
  )
  const clock = manualClock()
  const seen = { polls: 0, syncs: 0, automated: 0 }
  let head: string | undefined
  let marker: string | undefined
  await using agent = startInside(upstream, registry, clock, options.stepMs, (line) => {
    if (line.includes('event=refreshed')) {
      seen.polls += 1
      head = / HEAD=(\w+)/.exec(line)?.[1]
    }
    if (line.includes('state="tag flux-sync"')) {
      seen.syncs += 1
      marker = / new=(\w+)/.exec(line)?.[1]
    }
    if (line.includes('event="Commit: ')) seen.automated += 1
  })
  await pollFor(() => seen.syncs > 0 || undefined, 'the first sync')

  const heapBytes: number[] = []
  const deadlineMs = Date.now() + options.limitMs
  const steps = (options.hours * 3_600_000) / options.stepMs
  let tagsListed = 0
  const forget = () => {
    tagsListed += registry.requests.filter(({ path }) => path.includes('/tags/list')).length
    registry.requests.length = 0
    ;(upstream.requests as string[]).length = 0
  }
  for (let step = 1; step <= steps && Date.now() < deadlineMs; step++) {
    if (step % options.changeEvery === 0) {
      const name = names[step % names.length] ?? ''
      const text = await upstream.git('show', `main:${name}.yaml`)
      await upstream.commit({ [`${name}.yaml`]: `${text.replace(/^# .*/, `# step ${step}`)}\n` })
      registry.push(name, `1.0.${step}`, '2024-01-02T00:00:00Z')
    }
    const { polls } = seen
    await clock.advance(options.stepMs)
    await pollFor(async () => {
      if (seen.polls > polls && head === marker) return true
      await clock.advance(1_000) // whoever lost a race rests for a moment
      return undefined
    }, 'a poll and its sync')
    if ((step * options.stepMs) % 3_600_000 === 0) {
      await agent.calm()
      forget()
      heapBytes.push(usedHeap())
      options.onHour?.(heapBytes.length, heapBytes.at(-1) ?? 0)
    }
  }
  return { heapBytes, ...seen, tagsListed }
}

function startInside(
  upstream: GitServer,
  registry: TestRegistry,
  clock: ManualClock,
  stepMs: number,
  onLine: (line: string) => void,
) {
  const args = [
    `--git-url=${upstream.url}`,
    '--git-branch=main',
    `--registry-insecure-host=${registry.host}`,
    '--registry-rps=1000',
    `--git-poll-interval=${stepMs}ms`,
    `--sync-interval=${stepMs}ms`,
    `--automation-interval=${stepMs}ms`,
  ]
  const stopping = new AbortController()
  const { config } = readConfig(parseFlags(flags, args, { env: {}, warn: onLine }), {})
  const { url, notesRef, timeoutMs } = config.git
  const mirror = createGitMirror({ url, notesRef, timeoutMs, now: () => clock.now() })
  const log = createLog({ format: 'fmt', clock, write: onLine })
  const { insecureHosts, requestsPerSecond, burst } = config.registry
  const agent = startAgent(
    config,
    {
      mirror,
      cluster: memoryCluster(),
      registry: createImageRegistry({ insecureHosts, requestsPerSecond, burst, clock, log }),
      imageStore: createMemoryStore(),
      identity: noIdentity,
      parseDockerConfig,
      defaultKeychain: async () => new Map(),
      contextNamespace: 'default',
      version: 'test',
      clock,
      log,
      metrics: createMetrics(),
    },
    stopping.signal,
  )
  return {
    /** Until nothing moves any more: what was started by the clock has ended. */
    async calm() {
      let requests = -1
      while (requests !== upstream.requests.length + registry.requests.length) {
        requests = upstream.requests.length + registry.requests.length
        await new Promise((resolve) => setTimeout(resolve, 60))
      }
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await agent.ended
      await mirror.close()
    },
  }
}

function usedHeap(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
