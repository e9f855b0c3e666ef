import { chmod, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { loadAll } from 'js-yaml'
import { type JsonValue, valueAt } from '../src/core/json.ts'
import { type GitServer, gitServer } from '../src/playground/git/server.ts'
import { type ControlPlane, startControlPlane } from '../src/playground/kube/control-plane.ts'
import { helm } from '../test/support/neighbours.ts'
import { type BenchProgram, startBenchProgram } from './agent.ts'
import { perLab } from './lab.ts'
import { anonymousMiB, cpuSeconds, inMs, inSeconds, inTurns, median, runProgram, timed } from './measure.ts'
import type { Row } from './rows.ts'

/** Rows of the Helm operator, beside helm itself in a loop. */

const installed = 30
const kept = 100
/** so many of them use the chart that changes */
const users = 10

const chartFiles = (name: string, text: string): Record<string, string> => ({
  [`charts/${name}/Chart.yaml`]: `apiVersion: v2\nname: ${name}\nversion: 1.0.0\n`,
  [`charts/${name}/values.yaml`]: `text: ${text}\n`,
  [`charts/${name}/templates/config.yaml`]:
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}"}\ndata: {text: "{{ .Values.text }}"}\n',
})

/** An API server that knows HelmReleases, a repository of charts, and the same charts in a folder for helm alone. */
interface HelmLab {
  plane: ControlPlane
  upstream: GitServer
  /** folder of a chart */
  chart(name: string): string
  /** how often the operator has started helm */
  helmCalls(): Promise<number>
  operator(namespace: string, args?: readonly string[]): Promise<BenchProgram>
  makeReleases(namespace: string, count: number, chartOf: (number: number) => string): Promise<void>
  /** Run helm as a person would. */
  helm(namespace: string, ...args: string[]): Promise<string>
}

const helmLab = perLab(async (lab): Promise<HelmLab> => {
  const program = helm('4.2') ?? 'helm'
  const plane = lab.use(await startControlPlane())
  const crds = loadAll(await readFile('deploy/crds/helmreleases.yaml', 'utf8')) as JsonValue[]
  for (const crd of crds) {
    await made(plane, '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd)
  }
  const served = '/apis/helm.fluxcd.io/v1/helmreleases'
  while ((await plane.request('GET', served)).status !== 200) await delay(50)

  const files = { ...chartFiles('common', 'one'), ...chartFiles('other', 'one') }
  const upstream = lab.use(await gitServer(files))
  const folder = await mkdtemp(join(lab.folder, 'helm-'))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  const [counter, calls] = [join(folder, 'helm'), join(folder, 'calls')]
  await writeFile(counter, `#!/bin/sh\necho "$1" >> ${calls}\nexec ${program} "$@"\n`)
  await chmod(counter, 0o755)
  await writeFile(calls, '')
  const env = { PATH: process.env['PATH'], HOME: folder, KUBECONFIG: plane.kubeconfig }

  return {
    plane,
    upstream,
    chart: (name) => join(folder, 'charts', name),
    helmCalls: async () => (await readFile(calls, 'utf8')).split('\n').length - 1,
    operator: (namespace, args = []) =>
      startBenchProgram(lab.programs, 'helm-operator', {
        args: [
          `--helm-path=${counter}`,
          '--git-allow-protocols=http',
          `--allow-namespace=${namespace}`,
          ...args,
        ],
        kubeconfig: plane.kubeconfig,
      }),
    async makeReleases(namespace, count, chartOf) {
      await made(plane, '/api/v1/namespaces', { metadata: { name: namespace } })
      for (let number = 0; number < count; number++) {
        const chart = { git: upstream.openUrl, ref: upstream.branch, path: `charts/${chartOf(number)}` }
        const name = nameOf(number)
        await made(plane, `/apis/helm.fluxcd.io/v1/namespaces/${namespace}/helmreleases`, {
          apiVersion: 'helm.fluxcd.io/v1',
          kind: 'HelmRelease',
          metadata: { name },
          spec: { chart, releaseName: name },
        })
      }
    },
    helm: (namespace, ...args) => runProgram(program, [...args, `--namespace=${namespace}`], env),
  }
})

const nameOf = (number: number) => `release-${number}`

async function made(plane: ControlPlane, path: string, object: unknown): Promise<void> {
  const { status, body } = await plane.request('POST', path, object)
  if (status !== 201) throw new Error(`POST ${path}: ${status} ${JSON.stringify(body)}`)
}

/** Wait until the operator's log has so many more lines with these words. */
async function lines(program: BenchProgram, words: string, count: number, from = 0): Promise<void> {
  const matching = () => program.log.slice(from).filter((line) => line.includes(words)).length
  const deadlineMs = Date.now() + 300_000
  while (matching() < count) {
    if (Date.now() > deadlineMs) throw new Error(`it takes too long:\n${program.log.slice(-20).join('\n')}`)
    await delay(5)
  }
}

const install: Row = {
  name: 'helm-install',
  work: `first install of ${installed} releases, from the operator's start`,
  promise: "≤ helm's own time in a loop",
  needs: ['cluster', 'helm'],
  async run(lab) {
    const world = await helmLab(lab)
    const times = await inTurns(lab.runs, {
      async ours(round) {
        const namespace = `ours-${round}`
        await world.makeReleases(namespace, installed, () => 'other')
        return timed(async () => {
          await using operator = await world.operator(namespace)
          await lines(operator, 'info="installation succeeded"', installed)
        })
      },
      async helm(round) {
        const namespace = `theirs-${round}`
        await made(world.plane, '/api/v1/namespaces', { metadata: { name: namespace } })
        return timed(async () => {
          for (let number = 0; number < installed; number++) {
            await world.helm(namespace, 'upgrade', '--install', nameOf(number), world.chart('other'))
          }
        })
      },
    })
    const [ours, theirs] = [median(times.ours), median(times.helm)]
    return {
      ours: inSeconds(ours),
      beside: `helm upgrade --install in a loop: ${inSeconds(theirs)} (ratio ${(ours / theirs).toFixed(2)})`,
      met: ours <= theirs,
    }
  },
}

/** The operator with its releases, all as wanted; the chart of some can be changed. */
interface KeptReleases {
  world: HelmLab
  operator: BenchProgram
  /** what operator and helm have asked of the API server so far; watches stand, and are left out */
  requests(): Promise<number>
  change(text: string): Promise<void>
}

const namespace = 'kept'

const keptReleases = perLab(async (lab): Promise<KeptReleases> => {
  const world = await helmLab(lab)
  await world.makeReleases(namespace, kept, (number) => (number < users ? 'common' : 'other'))
  const operator = lab.use(await world.operator(namespace, ['--charts-sync-interval=5s']))
  await lines(operator, 'info="installation succeeded"', kept)
  await lines(operator, 'info="no changes"', 3 * kept)
  return {
    world,
    operator,
    async requests() {
      await delay(300) // the audit log is written a little later
      const entries = await world.plane.auditLog()
      return entries.filter(
        ({ userAgent = '', verb }) => /^(fluxcd|Helm)/.test(userAgent) && verb !== 'watch',
      ).length
    },
    async change(text) {
      const from = operator.log.length
      await world.upstream.commit(chartFiles('common', text))
      await fetch(`http://127.0.0.1:${operator.port}/api/v1/sync-git`, { method: 'POST' })
      await lines(operator, 'info="upgrade succeeded"', users, from)
    },
  }
})

const quietReleases: Row = {
  name: 'helm-quiet',
  work: `pass over ${kept} releases that are as wanted`,
  promise: '≤ 50 ms, 0 processes, 0 requests',
  needs: ['cluster', 'helm'],
  async run(lab) {
    const { world, operator, requests } = await keptReleases(lab)
    const [asked, called] = [await requests(), await world.helmCalls()]
    const rounds = 5
    const before = cpuSeconds(operator.pid)
    await lines(operator, 'info="no changes"', rounds * kept, operator.log.length)
    const cpuMs = ((cpuSeconds(operator.pid) - before) * 1000) / rounds
    const more = { requests: (await requests()) - asked, processes: (await world.helmCalls()) - called }
    return {
      ours: `${inMs(cpuMs)} of CPU, ${more.processes} processes, ${more.requests} requests`,
      beside: 'nothing else does it without asking',
      met: cpuMs <= 50 && more.requests === 0 && more.processes === 0,
    }
  },
}

const upgrade: Row = {
  name: 'helm-upgrade',
  work: `a chart that ${users} of ${kept} releases use changes: from the push to the last upgrade`,
  promise: `exactly ${users} upgrades, ≤ helm's own time in a loop`,
  needs: ['cluster', 'helm'],
  async run(lab) {
    const { world, change } = await keptReleases(lab)
    const revisions = async () => {
      const path = `/api/v1/namespaces/${namespace}/secrets?labelSelector=owner%3Dhelm`
      const items = valueAt((await world.plane.request('GET', path)).body as JsonValue, 'items')
      return Array.isArray(items) ? items.length : 0
    }
    const alone = 'upgrades-alone'
    await made(world.plane, '/api/v1/namespaces', { metadata: { name: alone } })
    for (let number = 0; number < users; number++) {
      await world.helm(alone, 'install', nameOf(number), world.chart('common'))
    }
    const before = await revisions()
    const times = await inTurns(lab.runs, {
      ours: (round) => timed(() => change(`changed ${round}`)),
      helm: (round) =>
        timed(async () => {
          for (let number = 0; number < users; number++) {
            const name = nameOf(number)
            await world.helm(alone, 'upgrade', name, world.chart('common'), `--set=text=changed${round}`)
          }
        }),
    })
    const upgrades = ((await revisions()) - before) / lab.runs
    const [ours, theirs] = [median(times.ours), median(times.helm)]
    return {
      ours: `${inSeconds(ours)}, ${upgrades} upgrades`,
      beside: `helm upgrade in a loop: ${inSeconds(theirs)} (ratio ${(ours / theirs).toFixed(2)})`,
      met: ours <= theirs && upgrades === users,
    }
  },
}

const helmMemory: Row = {
  name: 'helm-memory',
  work: `anonymous memory of the operator with ${kept} releases`,
  promise: '≤ 150 MiB',
  needs: ['cluster', 'helm'],
  async run(lab) {
    const { operator } = await keptReleases(lab)
    const samples: number[] = []
    for (let second = 0; second < 10; second++) {
      samples.push(anonymousMiB(operator.pid))
      await delay(1_000)
    }
    const ours = Math.max(...samples)
    return {
      ours: `${Math.round(ours)} MiB at the most in 10 s`,
      beside: `the original: 471 to 600 MiB with 30`,
      met: ours <= 150,
    }
  },
}

export const helmRows: readonly Row[] = [install, quietReleases, upgrade, helmMemory]
