import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { valueAt } from '../src/core/json.ts'
import { gitServer } from '../src/playground/git/server.ts'
import { type ControlPlane, freePorts, startControlPlane } from '../src/playground/kube/control-plane.ts'
import { type BenchAgent, startAgent } from './agent.ts'
import { appOf, configMapText, type Fleet, filesOf, floorObjects, objectCount } from './fleet.ts'
import { openFloor } from './floor.ts'
import {
  type BigWorld,
  fullPassMs,
  git,
  type Lab,
  type needs,
  ownImages,
  quiet,
  requestsOfFluxd,
  tagsEach,
  writesAmong,
} from './lab.ts'
import { anonymousMiB, cpuSeconds, inMs, inSeconds, inTurns, median, runProgram, timed } from './measure.ts'

export interface Row {
  /** as it is typed */
  name: string
  work: string
  promise: string
  needs: readonly (keyof typeof needs)[]
  run(lab: Lab): Promise<Result>
}

export interface Result {
  ours: string
  /** floor and others, measured in turns with ours */
  beside: string
  met: boolean
}

const bare = { PATH: process.env['PATH'], HOME: '/nonexistent' }

// ---- command line

const start: Row = {
  name: 'start',
  work: '`fluxctl version`, `fluxctl --help`',
  promise: '≤ bare Node + 12 ms',
  needs: [],
  async run({ programs }) {
    const main = programs.main('fluxctl')
    const run =
      (...args: string[]) =>
      () =>
        timed(() => runProgram(process.execPath, args, bare))
    const times = await inTurns(21, {
      node: run('-e', '0'),
      version: run(main, 'version'),
      help: run(main, '--help'),
    })
    const [node, version, help] = [median(times.node), median(times.version), median(times.help)]
    return {
      ours: `${inMs(version)}, ${inMs(help)}`,
      beside: `node -e 0: ${inMs(node)}`,
      met: Math.max(version, help) <= node + 12,
    }
  },
}

const http: Row = {
  name: 'http',
  work: 'a command with one HTTP request',
  promise: '≤ bare Node + 25 ms',
  needs: ['cluster'],
  async run(lab) {
    const { agent } = await lab.big()
    const main = lab.programs.main('fluxctl')
    const args = [main, `--url=${agent.url}`, 'list-workloads', '--namespace=nosuch']
    const times = await inTurns(15, {
      node: () => timed(() => runProgram(process.execPath, ['-e', '0'], bare)),
      ours: () => timed(() => runProgram(process.execPath, args, bare)),
    })
    const [node, ours] = [median(times.node), median(times.ours)]
    return { ours: inMs(ours), beside: `node -e 0: ${inMs(node)}`, met: ours <= node + 25 }
  },
}

const portForward: Row = {
  name: 'port-forward',
  work: 'the same through a port-forward',
  promise: '≤ bare Node + 70 ms',
  needs: ['cluster'],
  async run(lab) {
    const [targetPort = 0] = await freePorts(1)
    const portForwards = [{ namespace: 'flux', port: 3030, targetPort }]
    await using plane = await startControlPlane({ controllers: true, portForwards })
    await using _agent = await startAgent(lab.programs, {
      kubeconfig: plane.kubeconfig,
      args: [`--listen=127.0.0.1:${targetPort}`, '--registry-disable-scanning'],
    })
    await startFluxPod(plane)
    const env = { ...bare, KUBECONFIG: plane.kubeconfig }
    const args = [lab.programs.main('fluxctl'), '--k8s-fwd-ns=flux', 'list-workloads', '--namespace=nosuch']
    const times = await inTurns(15, {
      node: () => timed(() => runProgram(process.execPath, ['-e', '0'], bare)),
      ours: () => timed(() => runProgram(process.execPath, args, env)),
    })
    const [node, ours] = [median(times.node), median(times.ours)]
    return { ours: inMs(ours), beside: `node -e 0: ${inMs(node)}`, met: ours <= node + 70 }
  },
}

/** A Deployment whose pod stands for fluxd: its port leads to the one that was started. */
async function startFluxPod(plane: ControlPlane): Promise<void> {
  const labels = { name: 'flux' }
  await plane.request('POST', '/api/v1/namespaces', { metadata: { name: 'flux' } })
  await plane.request('POST', '/apis/apps/v1/namespaces/flux/deployments', {
    metadata: { name: 'flux', labels },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'flux', image: 'fluxd', ports: [{ containerPort: 3030 }] }] },
      },
    },
  })
  for (let tries = 0; tries < 300; tries++) {
    const { body } = await plane.request('GET', '/apis/apps/v1/namespaces/flux/deployments/flux')
    if (valueAt(body as never, 'status', 'readyReplicas') === 1) return
    await delay(100)
  }
  throw new Error('the pod of fluxd does not become ready')
}

// ---- syncs

const smallFleet = (prefix: string, apps: number): Fleet => ({
  apps,
  namespaces: 10,
  prefix,
  imageOf: () => 'registry.example.com/app:1.0.0',
})

/** How long fluxd applied, by its log: from its first line of a pass to the applies' end. */
async function firstSync(agent: BenchAgent): Promise<{ tookMs: number; line: string }> {
  const begun = await agent.until(/info="trying to sync git changes/)
  const applied = await agent.until(/cmd="kubectl apply -f -"/, begun)
  await agent.until(/state="tag flux-sync"/, applied)
  return { tookMs: agent.atMs(applied) - agent.atMs(begun), line: agent.log[applied] ?? '' }
}

const firstSyncRow: Row = {
  name: 'first-sync',
  work: 'first sync of 1,000 applications, 4,010 objects',
  promise: '≤ 1.25 × the floor, ≤ 1.1 requests an object',
  needs: ['cluster'],
  async run(lab) {
    const fleet = smallFleet('first', 1_000)
    const objects = floorObjects(fleet)
    let requests = 0
    const cpu: number[] = []
    await using upstream = await gitServer(filesOf(fleet))
    const times = await inTurns(lab.runs, {
      async ours() {
        await using plane = await startControlPlane()
        await using agent = await startAgent(lab.programs, {
          kubeconfig: plane.kubeconfig,
          args: [`--git-url=${upstream.url}`, '--registry-disable-scanning', '--sync-timeout=5m'],
        })
        const { tookMs } = await firstSync(agent)
        cpu.push(cpuSeconds(agent.pid))
        requests = (await requestsOfFluxd(plane, 0)).length
        await upstream.git('update-ref', '-d', 'refs/tags/flux-sync')
        return tookMs
      },
      async floor() {
        await using plane = await startControlPlane()
        const floor = openFloor(plane)
        const tookMs = await timed(() => floor.apply(objects))
        floor.close()
        return tookMs
      },
    })
    const [ours, floor] = [median(times.ours), median(times.floor)]
    const theirs = lab.kubectl === undefined ? 'kubectl is missing' : await kubectlTwice(lab, fleet)
    return {
      ours: `${inSeconds(ours)}, ${requests} requests, ${median(cpu).toFixed(1)} CPU s`,
      beside: `floor ${inSeconds(floor)} (ratio ${(ours / floor).toFixed(2)}); ${theirs}`,
      met: ours <= 1.25 * floor && requests <= 1.1 * objectCount(fleet),
    }
  },
}

/** `kubectl apply --server-side` of a fleet on a new control plane, and again where nothing differs. */
async function kubectlTwice(lab: Lab, fleet: Fleet): Promise<string> {
  await using plane = await startControlPlane()
  const folder = await lab.writeFleet(fleet)
  const apply = (path: string) =>
    runProgram(lab.kubectl ?? 'kubectl', ['apply', '--server-side', '--recursive', '-f', path], {
      ...bare,
      HOME: lab.folder,
      KUBECONFIG: plane.kubeconfig,
    })
  await apply(join(folder, 'namespaces'))
  const first = await timed(() => apply(join(folder, 'apps')))
  const again = await timed(() => apply(folder))
  return `kubectl apply --server-side ${inSeconds(first)}, again ${inSeconds(again)}`
}

const quietPass: Row = {
  name: 'quiet-pass',
  work: 'poll of Git with nothing new, 4,010 objects',
  promise: '≤ 50 ms, 0 requests',
  needs: ['cluster'],
  async run(lab) {
    const { agent, plane, upstream } = await lab.big()
    const mirror = await mkdtemp(join(lab.folder, 'mirror-'))
    await git(lab, mirror, 'clone', '--quiet', '--mirror', upstream.url, mirror)
    const figures = await pollsOf(agent, plane, upstream.url, () => git(lab, mirror, 'fetch', '--quiet'))
    return {
      ours: `${inMs(figures.wallMs)}, ${figures.requests} requests, ${inMs(figures.cpuMs)} of CPU`,
      beside: `git fetch alone: ${inMs(figures.fetchMs)}`,
      met: figures.wallMs - figures.fetchMs <= 50 && figures.requests === 0,
    }
  },
}

/** Poll again and again, in turns with a fetch alone. Rounds into which a full pass falls are left out. */
async function pollsOf(
  agent: BenchAgent,
  plane: ControlPlane,
  url: string,
  fetchAlone: () => Promise<unknown>,
) {
  const before = (await plane.auditLog()).length
  const passes = () => agent.log.filter((line) => line.includes('trying to sync')).length
  const passesBefore = passes()
  const cpu: number[] = []
  const times = await inTurns(10, {
    async ours() {
      const from = agent.log.length
      const cpuBefore = cpuSeconds(agent.pid)
      const tookMs = await timed(async () => {
        await agent.ask('POST', '/v11/notify', { Kind: 'git', Source: { URL: url, Branch: 'main' } })
        await agent.until(/event=refreshed/, from)
      })
      cpu.push((cpuSeconds(agent.pid) - cpuBefore) * 1000)
      return tookMs
    },
    fetch: () => timed(fetchAlone),
  })
  const requests = await requestsOfFluxd(plane, before)
  return {
    wallMs: median(times.ours),
    fetchMs: median(times.fetch),
    cpuMs: cpu.reduce((sum, ms) => sum + ms, 0) / cpu.length,
    requests: passes() === passesBefore ? requests.length : 0,
  }
}

const fullPass: Row = {
  name: 'full-pass',
  work: 'full pass, 4,010 objects',
  promise: '≤ 2 s, lists only, 0 writes',
  needs: ['cluster'],
  async run(lab) {
    const { agent, plane } = await lab.big()
    const { tookMs, requests, writes, cpuMs } = await nextFullPass(agent, plane)
    return {
      ours: `${inMs(tookMs)}, ${requests} requests, ${writes} writes, ${inMs(cpuMs)} of CPU`,
      beside: 'kubectl apply again: see first-sync',
      met: tookMs <= 2_000 && writes === 0,
    }
  },
}

/** Wait for the next full pass, and see what it costs. */
async function nextFullPass(agent: BenchAgent, plane: ControlPlane) {
  const sum = () => agent.metric(/^flux_daemon_sync_duration_seconds_sum/)
  const count = () => agent.metric(/^flux_daemon_sync_duration_seconds_count/)
  const took: number[] = []
  let entries = await requestsOfFluxd(plane, 0)
  let cpuMs = 0
  for (let round = 0; round < 2; round++) {
    const [sumBefore, countBefore] = [await sum(), await count()]
    const seen = (await plane.auditLog()).length
    const cpuBefore = cpuSeconds(agent.pid)
    while ((await count()) === countBefore) await delay(100)
    cpuMs = (cpuSeconds(agent.pid) - cpuBefore) * 1000
    took.push(((await sum()) - sumBefore) * 1000)
    await delay(300) // the audit log is written a little later
    entries = await requestsOfFluxd(plane, seen)
  }
  return { tookMs: median(took), requests: entries.length, writes: writesAmong(entries).length, cpuMs }
}

const oneFile: Row = {
  name: 'one-file',
  work: 'one file changed among 4,010: from fetched to applied',
  promise: '≤ 100 ms, 1 write',
  needs: ['cluster'],
  async run(lab) {
    const { agent, plane, upstream, fleet } = await lab.big()
    const { tookMs, floorMs, writes } = await changeFiles(agent, plane, upstream, fleet)
    return {
      ours: `${inMs(tookMs)}, ${writes} write each`,
      beside: `one server-side apply alone: ${inMs(floorMs)}`,
      met: tookMs <= 100 && writes === 1,
    }
  },
}

async function changeFiles(
  agent: BenchAgent,
  plane: ControlPlane,
  upstream: BigWorld['upstream'],
  fleet: Fleet,
  rounds = 9,
) {
  const before = (await plane.auditLog()).length
  const floor = openFloor(plane)
  const [, objects = []] = floorObjects({ ...fleet, apps: rounds })
  const configMaps = objects.filter(({ path }) => path.includes('/configmaps/'))
  const times = await inTurns(rounds, {
    async ours(round) {
      const { namespace, name, folder } = appOf(fleet, fleet.apps - 1 - round)
      const value = `changed ${Date.now()}`
      const head = await upstream.commit({
        [`${folder}/configmap.yaml`]: configMapText(name, namespace, value),
      })
      const from = agent.log.length
      await agent.ask('POST', '/v11/notify', { Kind: 'git', Source: { URL: upstream.url, Branch: 'main' } })
      const fetched = await agent.until(new RegExp(`event=refreshed .*HEAD=${head}`), from)
      const applied = await agent.until(/cmd="kubectl apply -f -"/, fetched)
      await agent.until(/state="tag flux-sync"/, applied)
      return agent.atMs(applied) - agent.atMs(fetched)
    },
    // to what it is already: nothing that fluxd owns becomes another's
    async floor(round) {
      const item = configMaps[round]
      const path = item?.path.replace(/[^/]+$/, 'floor')
      const object = { ...item?.object, metadata: { name: 'floor' }, data: { round: String(round) } }
      return item && path ? timed(() => floor.apply([[{ path, object }]])) : Number.NaN
    },
  })
  floor.close()
  await delay(300)
  const writes = writesAmong(await requestsOfFluxd(plane, before)).length
  return { tookMs: median(times.ours), floorMs: median(times.floor), writes: writes / rounds }
}

const oneInvalid: Row = {
  name: 'one-invalid',
  work: 'one invalid object among 410, first sync',
  promise: 'as fast as with none, the bad one named',
  needs: ['cluster'],
  async run(lab) {
    const plane = await lab.plane()
    let named = true
    const syncOf = async (prefix: string, broken: boolean) => {
      const fleet = smallFleet(prefix, 100)
      const files = filesOf(fleet)
      const { folder } = appOf(fleet, 50)
      const path = `${folder}/deployment.yaml`
      if (broken) files[path] = (files[path] ?? '').replace('replicas: 2', 'replicas: two')
      await using upstream = await gitServer(files)
      await using agent = await startAgent(lab.programs, {
        kubeconfig: plane.kubeconfig,
        args: [`--git-url=${upstream.url}`, '--registry-disable-scanning'],
      })
      const { tookMs } = await firstSync(agent)
      if (broken) named &&= agent.log.some((line) => line.includes(`source=${path}`) && line.includes('err='))
      return tookMs
    }
    await syncOf('warm', false) // what an API server does for the first time costs more
    const times = await inTurns(lab.runs, {
      bad: (round) => syncOf(`bad-${round}`, true),
      good: (round) => syncOf(`good-${round}`, false),
    })
    const [bad, good] = [median(times.bad), median(times.good)]
    return {
      ours: `${inMs(bad)}, ${named ? 'named with its file' : 'not named'}`,
      beside: `with none: ${inMs(good)}`,
      met: named && bad <= 1.25 * good,
    }
  },
}

// ---- changes of Git

const release: Row = {
  name: 'release',
  work: 'release of one workload among 1,000: to pushed; to applied',
  promise: '≤ git push alone + 60 ms; ≤ 1 s',
  needs: ['cluster'],
  async run(lab) {
    const { agent, upstream, registry, fleet } = await lab.big()
    const clone = await mkdtemp(join(lab.folder, 'clone-'))
    await git(lab, clone, 'clone', '--quiet', '--bare', upstream.url, clone)
    const applied: number[] = []
    const times = await inTurns(9, {
      async ours(round) {
        const { namespace, name } = appOf(fleet, round)
        const image = `${registry.host}/bench/app-${round}:1.0.${tagsEach - 2}`
        const from = agent.log.length
        const { tookMs, askedAtMs } = await agent.update(
          releaseOf([`${namespace}:deployment/${name}`], image),
        )
        const line = await agent.until(new RegExp(`cmd="kubectl apply -f -".*${name} configured`), from)
        applied.push(agent.atMs(line) - askedAtMs)
        await agent.until(/state="tag flux-sync"/, line)
        return tookMs
      },
      async push(round) {
        const commit = await git(
          lab,
          clone,
          'commit-tree',
          '-p',
          'main',
          '-m',
          `floor ${round}`,
          'main^{tree}',
        )
        return timed(() =>
          git(lab, clone, 'push', '--quiet', 'origin', `${commit.trim()}:refs/heads/floor-${round}`),
        )
      },
    })
    const [ours, push, toApplied] = [median(times.ours), median(times.push), median(applied)]
    return {
      ours: `${inMs(ours)}; ${inMs(toApplied)}`,
      beside: `git push alone: ${inMs(push)}`,
      met: ours <= push + 60 && toApplied <= 1_000,
    }
  },
}

const releaseAll: Row = {
  name: 'release-all',
  work: `release --all --update-all-images: ${ownImages} new images among 1,000 workloads`,
  promise: `≤ 500 ms, one commit, ${ownImages} lines`,
  needs: ['cluster'],
  async run(lab) {
    const { agent, upstream, registry } = await lab.big()
    const times: number[] = []
    let lines = 0
    let commits = 0
    for (let run = 0; run < lab.runs; run++) {
      for (let image = 0; image < ownImages; image++) {
        registry.push(`bench/app-${image}`, `1.1.${run}`, new Date().toISOString())
        const Name = { Domain: registry.host, Image: `bench/app-${image}` }
        await agent.ask('POST', '/v11/notify', { Kind: 'image', Source: { Name } })
      }
      await quiet(() => registry.requests.length)
      const before = await upstream.git('rev-parse', 'main')
      const from = agent.log.length
      const { tookMs } = await agent.update(releaseOf(['<all>'], '<all latest>'))
      times.push(tookMs)
      const stats = await upstream.git('diff', '--numstat', before, 'main')
      lines = stats.split('\n').reduce((sum, line) => sum + Number(line.split('\t')[0]), 0)
      commits = Number(await upstream.git('rev-list', '--count', `${before}..main`))
      await agent.until(/state="tag flux-sync"/, from)
    }
    const ours = median(times)
    return {
      ours: `${inMs(ours)}, ${commits} commit, ${lines} lines`,
      beside: 'see release for git push alone',
      met: ours <= 500 && commits === 1 && lines === ownImages,
    }
  },
}

function releaseOf(ids: readonly string[], image: string) {
  return {
    type: 'image',
    cause: { Message: '', User: 'bench' },
    spec: { ServiceSpecs: ids, ImageSpec: image, Kind: 'execute', Excludes: [], Force: false },
  }
}

const listWorkloads: Row = {
  name: 'list-workloads',
  work: 'list-workloads, 1,000 workloads',
  promise: '≤ 150 ms, no request',
  needs: ['cluster'],
  async run(lab) {
    const { agent, plane } = await lab.big()
    const main = lab.programs.main('fluxctl')
    const before = (await plane.auditLog()).length
    const passes = () => agent.log.filter((line) => line.includes('trying to sync')).length
    const passesBefore = passes()
    let listed = 0
    const times = await inTurns(9, {
      http: () =>
        timed(async () => {
          const found = await agent.ask('GET', '/v6/services?namespace=')
          listed = Array.isArray(found) ? found.length : 0
        }),
      command: () =>
        timed(() => runProgram(process.execPath, [main, `--url=${agent.url}`, 'list-workloads', '-a'], bare)),
    })
    const requests = passes() === passesBefore ? (await requestsOfFluxd(plane, before)).length : 0
    const http = median(times.http)
    return {
      ours: `${inMs(http)} over HTTP, ${inMs(median(times.command))} by fluxctl, ${requests} requests`,
      beside: `${listed} workloads`,
      met: http <= 150 && requests === 0 && listed === 1_000,
    }
  },
}

// ---- images, memory

const coldScan: Row = {
  name: 'cold-scan',
  work: `first scan, ${ownImages} images × ${tagsEach.toLocaleString('en')} tags, filters by version`,
  promise: '≤ 1 request an image and page',
  needs: ['cluster'],
  async run(lab) {
    const { coldScan } = await lab.big()
    return {
      ours: `${coldScan.lists} lists in ${inSeconds(coldScan.listedMs)}; then ${coldScan.others} for list-images, in the background`,
      beside: `${ownImages} images and one that is shared, one page each`,
      met: coldScan.lists <= ownImages + 1,
    }
  },
}

const warmScan: Row = {
  name: 'warm-scan',
  work: 'a minute of scanning, nothing new',
  promise: '1 conditional request an image, page and minute',
  needs: ['cluster'],
  async run(lab) {
    const { registry } = await lab.big()
    let [conditional, others, pages] = [0, 0, 0]
    // images that other rows have pushed are looked into first
    for (let minute = 0; minute < 3 && (minute === 0 || others > 0 || conditional <= ownImages); minute++) {
      await quiet(() => registry.requests.length)
      const before = registry.requests.length
      await delay(60_000)
      const requests = registry.requests.slice(before)
      const lists = requests.filter(({ path }) => path.includes('/tags/list'))
      conditional = lists.filter(({ headers }) => headers['if-none-match'] !== undefined).length
      others = requests.length - conditional
      pages = new Set(lists.map(({ path }) => path)).size
    }
    return {
      ours: `${conditional} conditional, ${others} others`,
      beside: `${ownImages + 1} images with ${pages} pages: other rows have pushed to some`,
      met: conditional === pages && pages > ownImages && others === 0,
    }
  },
}

const memory: Row = {
  name: 'memory',
  work: `anonymous memory: 4,010 objects, ${(ownImages * tagsEach).toLocaleString('en')} tags, its git child included`,
  promise: '≤ 150 MiB',
  needs: ['cluster'],
  async run(lab) {
    const { agent } = await lab.big()
    const before = anonymousMiB(agent.pid)
    await delay(65_000) // fluxd looks once a minute whether there is memory to give back
    const samples: number[] = []
    for (let second = 0; second < 5; second++) {
      samples.push(anonymousMiB(agent.pid))
      await delay(1_000)
    }
    const ours = median(samples)
    return {
      ours: `${Math.round(ours)} MiB`,
      beside: `a minute before, after other rows: ${Math.round(before)} MiB`,
      met: ours <= 150,
    }
  },
}

const growth: Row = {
  name: 'growth',
  work: 'from 1,010 to 10,010 objects',
  promise: 'linear in what changed, flat in what did not',
  needs: ['cluster'],
  async run(lab) {
    const small = await figuresOf(lab, 250)
    const large = await figuresOf(lab, 2_500)
    const both = (name: keyof typeof small, format: (value: number) => string) =>
      `${format(small[name])} → ${format(large[name])}`
    return {
      ours: [
        `first sync ${both('perObjectMs', inMs)} an object`,
        `one file ${both('oneFileMs', inMs)}`,
        `quiet poll ${both('pollMs', inMs)}`,
        `full pass ${both('fullPassMs', inMs)}`,
        `memory ${both('memoryMiB', (value) => `${Math.round(value)} MiB`)}`,
      ].join('; '),
      beside: `bare apply ${both('floorPerObjectMs', inMs)} an object`,
      met:
        large.perObjectMs <= 1.5 * small.perObjectMs &&
        large.oneFileMs <= small.oneFileMs + 100 &&
        large.pollMs <= small.pollMs + 50,
    }
  },
}

async function figuresOf(lab: Lab, apps: number) {
  const fleet = smallFleet(`grow-${apps}`, apps)
  await using plane = await startControlPlane()
  const floor = openFloor(plane)
  const sample = smallFleet(`floor-${apps}`, 250)
  const floorMs = await timed(() => floor.apply(floorObjects(sample)))
  floor.close()
  await using upstream = await gitServer(filesOf(fleet))
  await using agent = await startAgent(lab.programs, {
    kubeconfig: plane.kubeconfig,
    args: [
      `--git-url=${upstream.url}`,
      '--registry-disable-scanning',
      '--sync-timeout=5m',
      `--sync-interval=${fullPassMs}ms`,
    ],
  })
  const { tookMs } = await firstSync(agent)
  const { oneFileMs, pollMs } = {
    oneFileMs: (await changeFiles(agent, plane, upstream, fleet, 5)).tookMs,
    pollMs: (await pollsOf(agent, plane, upstream.url, async () => {})).wallMs,
  }
  const full = await nextFullPass(agent, plane)
  return {
    perObjectMs: tookMs / objectCount(fleet),
    floorPerObjectMs: floorMs / objectCount(sample),
    oneFileMs,
    pollMs,
    fullPassMs: full.tookMs,
    memoryMiB: anonymousMiB(agent.pid),
  }
}

export const rows: readonly Row[] = [
  start,
  http,
  portForward,
  listWorkloads,
  firstSyncRow,
  quietPass,
  fullPass,
  oneFile,
  oneInvalid,
  release,
  releaseAll,
  coldScan,
  warmScan,
  memory,
  growth,
]
