import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { test as base } from '../../support/cluster-test.ts'
import { request } from '../../support/control-plane.ts'
import { helm } from '../../support/neighbours.ts'
import { eventually } from '../../support/programs.ts'
import { gitChart, helmWorld } from './world.ts'

const program = helm('4.2')
const test = base.skipIf(program === undefined)

const chart = (name: string) => ({
  [`charts/${name}/Chart.yaml`]: `apiVersion: v2\nname: ${name}\nversion: 1.0.0\n`,
  [`charts/${name}/values.yaml`]: 'text: one\n',
  [`charts/${name}/templates/config.yaml`]:
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}"}\ndata: {text: "{{ .Values.text }}"}\n',
})
const releases = Number(process.env['FLUXCTL_RELEASES'] ?? 100)
const users = 10

test('over 100 releases that are as wanted, a pass asks nothing and starts nothing', {
  timeout: 400_000,
}, async ({ plane, namespace }) => {
  await using world = await helmWorld(plane, namespace, {
    files: { ...chart('common'), ...chart('other') },
    args: ['--workers=4', '--charts-sync-interval=1s'],
  })
  // helm, counted
  const counter = join(world.account.folder, 'helm')
  const calls = join(world.account.folder, 'calls')
  await writeFile(counter, `#!/bin/sh\necho "$1" >> ${calls}\nexec ${program} "$@"\n`)
  await chmod(counter, 0o755)
  await writeFile(calls, '')
  const counted = async () => (await readFile(calls, 'utf8')).split('\n').length - 1
  await world.restart('SIGTERM', [`--helm-path=${counter}`])

  const path = `/apis/helm.fluxcd.io/v1/namespaces/${namespace}/helmreleases`
  for (let number = 0; number < releases; number++) {
    const name = `release-${number}`
    const source = gitChart(world.upstream, number < users ? 'charts/common' : 'charts/other')
    await request(plane, 'POST', path, {
      apiVersion: 'helm.fluxcd.io/v1',
      kind: 'HelmRelease',
      metadata: { name },
      spec: { chart: source, releaseName: name },
    })
  }
  // the log is counted, for asking would keep it busy
  const passes = () => world.operator.log.filter((line) => line.includes('info="no changes"')).length
  const cpuSeconds = async () => {
    const text = await (await fetch(`${world.operator.url}/metrics`)).text()
    return Number(/^process_cpu_seconds_total (\S+)/m.exec(text)?.[1])
  }
  const revisions = async (of: string) => {
    const { body } = await request(
      plane,
      'GET',
      `/api/v1/namespaces/${namespace}/secrets?labelSelector=owner%3Dhelm,version%3D${of}&limit=500`,
    )
    return (body as { items: { metadata: { labels: { name: string; status: string } } }[] }).items.map(
      ({ metadata: { labels } }) => `${labels.name} ${labels.status}`,
    )
  }
  await eventually(
    async () => (await revisions('1')).filter((text) => text.endsWith(' deployed')).length === releases,
    'all',
    250_000,
  )
  const quiet = async () => {
    const before = (await world.account.requests()).length
    const count = passes()
    await eventually(() => passes() >= count + releases, 'a round')
    return (await world.account.requests()).length === before
  }
  await eventually(quiet, 'quiet', 60_000)

  const [requests, processes, before] = [(await world.account.requests()).length, await counted(), passes()]
  const cpuBefore = await cpuSeconds()
  await eventually(() => passes() >= before + 3 * releases, 'three rounds')
  const msForAll = (((await cpuSeconds()) - cpuBefore) / (passes() - before)) * releases * 1000

  expect((await world.account.requests()).length - requests).toBe(0)
  expect((await counted()) - processes).toBe(0)
  console.log(`a quiet pass over ${releases} releases: ${msForAll.toFixed(1)} ms of CPU, fetches included`)

  await world.upstream.commit({ 'charts/common/values.yaml': 'text: two\n' })
  await eventually(async () => (await revisions('2')).length === users, 'upgrades', 60_000)
  await eventually(quiet, 'quiet again', 60_000)
  expect((await revisions('2')).sort()).toEqual(
    Array.from({ length: users }, (_, number) => `release-${number} deployed`),
  )
})

test('releases are looked at when their mirror has moved, and not whenever it was fetched', async ({
  plane,
  namespace,
}) => {
  await using world = await helmWorld(plane, namespace, {
    files: chart('common'),
    args: ['--charts-sync-interval=1h', '--git-poll-interval=200ms'],
  })
  const starts = () => world.operator.log.filter((line) => line.includes('info="starting sync run"')).length
  const fetches = () => world.upstream.requests.filter((request) => request.includes('info/refs')).length
  await world.apply('app', { chart: gitChart(world.upstream, 'charts/common'), releaseName: 'app' })
  await world.until('app', 'installed', ({ conditions }) => conditions['Released'] === 'True')
  const settled = async () => {
    const [before, count] = [starts(), fetches()]
    await eventually(() => fetches() >= count + 5, 'fetches')
    return starts() === before
  }

  await eventually(settled, 'no pass for five fetches')
  await world.upstream.commit({ 'charts/common/values.yaml': 'text: two\n' })

  await eventually(async () => (await world.history('app')).length === 2, 'an upgrade')
})
