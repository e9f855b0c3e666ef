import { expect } from 'vitest'
import { test } from '../../support/cluster-test.ts'
import { eventually } from '../../support/programs.ts'
import { serveHelmReleases } from '../automation/world.ts'
import { podinfo, podinfoFile, scanning, scenario } from './world.ts'

/** v1's own end-to-end scenarios, by their numbers, line by line. 21 stands with the tests of SSH keys. */

const patient = { timeout: 120_000 }
const id = '--workload=demo:deployment/podinfo'
const ghost = '--workload=demo:helmrelease/ghost'

test('12a: basic sync, and a new commit', patient, async ({ plane }) => {
  await serveHelmReleases(plane)
  await using world = await scenario(plane)
  await eventually(world.deployment, 'podinfo')
  await world.synced()

  await world.commit({ [podinfoFile]: podinfo('3.1.5') })

  await eventually(async () => (await world.podImages()).includes('exampleowner/podinfo:3.1.5'), 'the pod')
  await world.synced()
})

test('12b: a duplicate definition blocks the sync', patient, async ({ plane }) => {
  await serveHelmReleases(plane)
  await using world = await scenario(plane)
  await world.synced()
  const before = await world.head()
  await eventually(async () => (await world.podImages()).length === 1, 'the pod')

  await world.commit({
    [podinfoFile]: podinfo('3.1.5'),
    'workloads/podinfo-dep-2.yaml': podinfo('3.1.5'),
  })

  await world.agent.until(/duplicate definition of '\w{4}:deployment\/podinfo'/)
  expect(await world.podImages()).toEqual(['exampleowner/podinfo:3.1.0'])
  expect(await world.tag()).toBe(before)
})

test('13: garbage collection, by syncs on demand', patient, async ({ plane }) => {
  await serveHelmReleases(plane)
  await using world = await scenario(plane, ['--sync-garbage-collection'])
  await world.synced()
  expect(await world.ask('sync')).toMatchObject({ exit: 0 })
  expect(await world.tag()).toBe(await world.head())
  expect(await world.deployment()).toBeDefined()

  await world.commit({ [podinfoFile]: null })
  expect(await world.ask('sync')).toMatchObject({ exit: 0 })

  expect(await world.tag()).toBe(await world.head())
  expect(await world.deployment()).toBeUndefined()
})

test('14: image releases, by hand and by automation', patient, async ({ plane }) => {
  await serveHelmReleases(plane)
  await using world = await scenario(plane, scanning)
  const run = async (...args: string[]) => {
    const done = await world.ask(...args)
    expect(done).toMatchObject({ exit: 0 })
  }
  await world.agent.until(/component=warmer updated=exampleowner\/podinfo/)
  await world.agent.until(/component=warmer updated=bitnami\/ghost/)

  await run('deautomate', id)
  await run('release', '--force', id, '--update-image=exampleowner/podinfo:3.0.5')
  expect(await world.read(podinfoFile)).toContain('image: exampleowner/podinfo:3.0.5\n')

  await run('release', '--force', ghost, '--update-image=bitnami/ghost:3.0.2-debian-9-r3')
  expect(await world.read('releases/ghost.yaml')).toContain('3.0.2-debian-9-r3')

  await run('lock', ghost)
  await run('automate', ghost)
  // three polls, five seconds apart: what is locked stays
  for (let polls = 0, from = world.agent.log.length; polls < 3; polls++) {
    from = await world.agent.until(/polling for new images/, from)
  }
  expect(await world.read('releases/ghost.yaml')).toContain('3.0.2-debian-9-r3')

  await run('automate', id)
  await run('unlock', ghost)
  await eventually(
    async () => (await world.read(podinfoFile)).includes('podinfo:3.1.'),
    'podinfo by its filter',
  )
  await eventually(
    async () => (await world.read('releases/ghost.yaml')).includes('3.1.1-debian-9-r0'),
    'ghost by its filter',
  )

  await run('deautomate', id)
  const from = world.agent.log.length
  world.registry.push('exampleowner/podinfo', '3.1.5', '2020-12-20T13:53:05Z')
  await fetch(`${world.agent.url}/v11/notify`, {
    method: 'POST',
    body: '{"Kind":"image","Source":{"Name":{"Domain":"","Image":"exampleowner/podinfo"}}}',
  })
  await world.agent.until(/component=warmer updated=exampleowner\/podinfo/, from)
  await run('release', '--force', id, '--update-all-images')
  expect(await world.read(podinfoFile)).toContain('image: exampleowner/podinfo:3.1.5\n')
})

test('15: listings, byte for byte', patient, async ({ plane }) => {
  await serveHelmReleases(plane)
  await using world = await scenario(plane, scanning)
  await world.agent.until(/component=warmer updated=exampleowner\/podinfo/)
  await world.agent.until(/component=warmer updated=bitnami\/ghost/)
  expect(await world.ask('lock', id)).toMatchObject({ exit: 0 })

  const workloads = `\
WORKLOAD                  CONTAINER    IMAGE                            RELEASE  POLICY
demo:deployment/podinfo   podinfod     exampleowner/podinfo:3.1.0       ready    automated,locked
                          init         alpine:3.10.1                             
demo:helmrelease/ghost    chart-image  bitnami/ghost:3.1.1-debian-9-r0           
demo:helmrelease/mongodb  chart-image  bitnami/mongodb:4.0.13                    
demo:helmrelease/redis    chart-image  bitnami/redis:5.0.7                       automated,locked
`
  const images = `\
WORKLOAD                  CONTAINER    IMAGE                  CREATED
demo:deployment/podinfo   podinfod     exampleowner/podinfo   
                                       '-> 3.1.0              20 Mar 20 13:53 UTC
                                           3.0.5              20 Apr 20 13:53 UTC
                          init                                image data not available
                                       '-> (untagged)         ?
demo:helmrelease/ghost    chart-image  bitnami/ghost          
                                       '-> 3.1.1-debian-9-r0  20 Feb 20 13:53 UTC
                                           3.0.2-debian-9-r3  20 Jan 20 13:53 UTC
demo:helmrelease/mongodb  chart-image                         image data not available
                                       '-> (untagged)         ?
demo:helmrelease/redis    chart-image                         image data not available
                                       '-> (untagged)         ?
`
  const asked = async (command: string) => world.ask(command, '--namespace', 'demo')
  await eventually(async () => (await asked('list-workloads')).stdout.includes(' ready '), 'the rollout')
  expect(await asked('list-workloads')).toEqual({ exit: 0, stdout: workloads, stderr: '' })
  expect(await asked('list-images')).toEqual({ exit: 0, stdout: images, stderr: '' })
})

test('16: a sync on demand, with no poll for a year', patient, async ({ plane }) => {
  await serveHelmReleases(plane)
  await using world = await scenario(plane, ['--sync-interval=525600m', '--git-poll-interval=525600m'])

  await eventually(async () => (await world.ask('sync')).exit === 0, 'the sync')

  expect(await world.deployment()).toBeDefined()
  expect(await world.tag()).toBe(await world.head())

  await world.commit({ [podinfoFile]: podinfo('3.1.5') })
  expect(await world.ask('sync')).toMatchObject({ exit: 0 })
  expect(await world.tag()).toBe(await world.head())
})

test('17: policies in the file after each command', patient, async ({ plane }) => {
  await serveHelmReleases(plane)
  await using world = await scenario(plane)
  await world.synced()
  const after = async (...args: string[]) => {
    expect(await world.ask(...args, id)).toMatchObject({ exit: 0 })
    return world.read(podinfoFile)
  }

  expect(await after('deautomate')).not.toContain('fluxcd.io/automated')
  expect(await after('automate')).toContain("    fluxcd.io/automated: 'true'\n")
  expect(await after('policy', '--deautomate')).not.toContain('fluxcd.io/automated')
  expect(await after('policy', '--automate')).toContain("    fluxcd.io/automated: 'true'\n")
  for (const [lock, unlock] of [
    [['lock'], ['unlock']],
    [
      ['policy', '--lock'],
      ['policy', '--unlock'],
    ],
  ] as const) {
    expect(await after(...lock)).toContain("    fluxcd.io/locked: 'true'\n")
    expect(await after(...unlock)).not.toContain('fluxcd.io/locked')
  }
  expect(await after('policy', '--tag=podinfod=3.5.*')).toContain('    fluxcd.io/tag.podinfod: glob:3.5.*\n')
})
