import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { valueAt } from '../../src/core/json.ts'
import { type GitServer, gitServer } from '../support/git-server.ts'
import { startRegistry } from '../support/registry.ts'
import {
  deployment,
  fasterBy,
  imageRelease,
  policyUpdate,
  pollFor,
  type WorldAgent,
  worldAgent,
} from './fixtures.ts'

/** Jobs that wait together: one commit each, one push for all, and each its own end. */

const names = Array.from({ length: 10 }, (_, index) => `app${index}`)
const id = (name: string) => `demo:deployment/${name}`
const locking = (name: string) => policyUpdate(id(name), { add: { locked: 'true' } })

async function startWorld(args: readonly string[] = [], image = 'example/app:1') {
  const upstream = await gitServer(
    Object.fromEntries(names.map((name) => [`${name}.yaml`, deployment(name, image)])),
  )
  const agent = await worldAgent({
    args: [`--git-url=${upstream.url}`, '--git-branch=main', ...args],
  })
  await agent.until(/state="tag flux-sync"/)
  return {
    upstream,
    agent,
    async [Symbol.asyncDispose]() {
      await agent.stop()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

/** Hold the first job at its push until all others wait, then let go. @returns the jobs, and the pushes after the first */
async function submitBehind(upstream: GitServer, agent: WorldAgent, updates: readonly unknown[]) {
  await upstream.git('config', 'core.logAllRefUpdates', 'true')
  await upstream.hook('pre-receive', 'touch held; while [ ! -e go ]; do sleep 0.02; done')
  const first = await agent.submit(policyUpdate(id('app0'), { add: { automated: 'true' } }))
  await pollFor(() => existsSync(join(upstream.path, 'held')) || undefined, 'the first push')
  const jobs = await Promise.all(updates.map((update) => agent.submit(update)))
  await writeFile(join(upstream.path, 'go'), '')
  await agent.finished(first)
  const statuses = await Promise.all(jobs.map((job) => agent.finished(job)))
  const pushes = (await upstream.git('reflog', 'show', 'main')).split('\n').length - 1
  return { jobs, statuses, pushes }
}

test('ten locks that wait together are ten commits and one push, and each job has its own', async () => {
  await using world = await startWorld(['--registry-disable-scanning'])
  const { upstream, agent } = world

  const { jobs, statuses, pushes } = await submitBehind(upstream, agent, names.map(locking))

  expect(pushes).toBe(1)

  const log = (await upstream.git('log', '--reverse', '--format=%H', 'main')).split('\n').slice(2)
  expect(statuses.map((status) => valueAt(status, 'StatusString'))).toEqual(Array(10).fill('succeeded'))
  expect(statuses.map((status) => valueAt(status, 'Result', 'revision'))).toEqual(log)
  const told = await upstream.git('log', '--reverse', '--notes=flux', '--format=%N', '--name-only', 'main')
  expect(
    told
      .split('\n')
      .filter((line) => line.endsWith('.yaml'))
      .slice(-10),
  ).toEqual(names.map((name) => `${name}.yaml`))
  expect([...told.matchAll(/"jobID":"([^"]+)"/g)].map(([, job]) => job).slice(-10)).toEqual(jobs)
})

test('a job that fails takes no other with it', async () => {
  await using world = await startWorld(['--registry-disable-scanning'])
  const { upstream, agent } = world

  const { statuses } = await submitBehind(upstream, agent, [
    locking('app1'),
    policyUpdate(id('app2'), { add: { tag_all: 'semver:none' } }),
    locking('nobody'),
    locking('app3'),
  ])

  expect(statuses).toMatchObject([
    { StatusString: 'succeeded' },
    { StatusString: 'failed', ErrCode: 'POLICY_PATTERN_INVALID' },
    { StatusString: 'succeeded' },
    { StatusString: 'succeeded' },
  ])
  expect(valueAt(statuses[2] ?? null, 'Result', 'revision')).toBeFalsy()
  expect(await upstream.git('rev-list', '--count', 'main')).toBe('4')
})

test('the second change of a workload is derived on the first', async () => {
  await using world = await startWorld(['--registry-disable-scanning'])
  const { upstream, agent } = world

  await submitBehind(upstream, agent, [
    locking('app1'),
    policyUpdate(id('app1'), { add: { locked_msg: 'why' } }),
    policyUpdate(id('app1'), { remove: { locked: 'true' } }),
  ])

  expect(await upstream.git('rev-list', '--count', 'main')).toBe('5')
  const text = await upstream.git('show', 'main:app1.yaml')
  expect(text).toContain('fluxcd.io/locked_msg: why')
  expect(text).not.toContain('fluxcd.io/locked:')
})

test('commits that the upstream refuses together are pushed one by one', async () => {
  await using world = await startWorld(['--registry-disable-scanning'])
  const { upstream, agent } = world
  await upstream.hook('update', 'git log --format=%s "$2..$3" | grep -q app2 && exit 1; exit 0')

  const { statuses } = await submitBehind(upstream, agent, [
    locking('app1'),
    locking('app2'),
    locking('app3'),
  ])

  expect(statuses).toMatchObject([
    { StatusString: 'succeeded' },
    { StatusString: 'failed', ErrCode: 'GIT_PUSH_REJECTED' },
    { StatusString: 'succeeded' },
  ])
  const subjects = await upstream.git('log', '--format=%s', 'main')
  expect(subjects.split('\n')).toHaveLength(4)
  expect(subjects).not.toContain('app2')
})

test('a race that somebody else wins three times has every change derived again', async () => {
  await using world = await startWorld(['--registry-disable-scanning'])
  const { upstream, agent } = world
  const rivals = names.slice(0, 4)
  await upstream.hook('pre-receive', fasterBy(3))

  const done = await Promise.all(rivals.map((name) => agent.update(locking(name))))

  expect(done.map(({ status }) => valueAt(status, 'StatusString'))).toEqual(Array(4).fill('succeeded'))
  const log = (await upstream.git('log', '--reverse', '--format=%H %s', 'main')).split('\n').slice(4)
  expect(log.map((line) => line.slice(41)).toSorted()).toEqual(rivals.map((name) => `Locked: ${id(name)}`))
  expect(done.map(({ status }) => valueAt(status, 'Result', 'revision')).toSorted()).toEqual(
    log.map((line) => line.slice(0, 40)).toSorted(),
  )
  for (const name of rivals) {
    expect(await upstream.git('show', `main:${name}.yaml`)).toContain("fluxcd.io/locked: 'true'")
  }
  expect(await upstream.git('fsck', '--strict')).not.toMatch(/error/)
})

test('a release that waits for a slow registry does not keep the others waiting', async () => {
  await using registry = await startRegistry({
    images: { 'example/app': { '1': '2024-01-01T00:00:00Z', '2': '2024-01-02T00:00:00Z' } },
  })
  const image = `${registry.host}/example/app`
  await using world = await startWorld([`--registry-insecure-host=${registry.host}`], `${image}:1`)
  const { upstream, agent } = world
  registry.push('example/app', '3', '2024-01-03T00:00:00Z')
  registry.fail({ on: /manifests/, answer: 'stall' })

  const { statuses, pushes } = await submitBehind(upstream, agent, [
    locking('app1'),
    imageRelease([id('app2')], `${image}:3`),
    locking('app3'),
  ])

  expect(statuses.map((status) => valueAt(status, 'StatusString'))).toEqual(Array(3).fill('succeeded'))
  expect(pushes).toBe(2)
})
