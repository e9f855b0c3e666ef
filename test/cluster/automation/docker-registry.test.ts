import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect } from 'vitest'
import { type JsonValue, valueAt } from '../../../src/core/json.ts'
import { pushImage } from '../../../src/playground/registry/push.ts'
import { test } from '../../support/cluster-test.ts'
import { request } from '../../support/control-plane.ts'
import { dockerRegistry, dockerRegistrySkipReason } from '../../support/docker-registry.ts'
import { eventually, fluxctl } from '../../support/programs.ts'
import { automated, workload, worldAround } from './world.ts'

/** The story of an image with neighbours that we did not write: the distribution registry, git, the API server. */

beforeEach(({ skip }) => {
  if (dockerRegistrySkipReason !== undefined) skip(dockerRegistrySkipReason)
})

test('3.1.6 becomes one commit and rolls out; 3.2.0, a lock, deautomate and a restart do nothing', {
  timeout: 120_000,
}, async ({ plane, namespace }) => {
  const cache = await mkdtemp(join(tmpdir(), 'images-'))
  try {
    const registry = await dockerRegistry()
    const pushed = {
      ...registry,
      push: (repository: string, tag: string, createdAt: string) =>
        pushImage({ host: registry.host, repository, tag, createdAt: new Date(createdAt) }),
    }
    await using world = await worldAround(pushed, plane, namespace, {
      images: {
        'example/podinfo': { '3.1.4': '2024-03-01T00:00:00Z', '3.1.5': '2024-03-20T09:45:10Z' },
      },
      files: {
        'podinfo.yaml': workload('podinfo', {
          image: '$REGISTRY/example/podinfo:3.1.5',
          annotations: automated({ app: 'semver:~3.1' }),
        }),
      },
      args: [`--registry-cache-dir=${cache}`],
    })
    const image = `${registry.host}/example/podinfo`
    const id = `--workload=${namespace}:deployment/podinfo`
    const ask = async (...args: string[]) => {
      const run = await fluxctl(args, { env: { FLUX_URL: world.agent.url } })
      expect(run).toMatchObject({ exit: 0 })
      return run.stdout
    }

    await world.push('example/podinfo', '3.1.6', '2024-06-01T00:00:00Z')
    const { revision, ...released } = await world.nextCommit()
    expect(released).toEqual({
      message: `Auto-release ${image}:3.1.6`,
      author: 'Flux <flux@example.com>',
      files: ['podinfo.yaml'],
      lines: [
        `-        image: ${image}:3.1.5   # the one to change`,
        `+        image: ${image}:3.1.6   # the one to change`,
      ],
    })
    await eventually(async () => {
      const path = `/apis/apps/v1/namespaces/${namespace}/deployments/podinfo`
      const live = (await request(plane, 'GET', path)).body as JsonValue
      const runs = valueAt(live, 'spec', 'template', 'spec', 'containers', 0, 'image')
      return runs === `${image}:3.1.6` && valueAt(live, 'status', 'readyReplicas') === 1
    }, 'the rollout')
    await eventually(
      async () => (await world.upstream.git('rev-parse', 'flux-sync^{commit}')) === revision,
      'the marker',
    )

    await world.push('example/podinfo', '3.2.0', '2024-07-01T00:00:00Z')
    await world.expectQuiet()

    await ask('lock', id)
    expect((await world.nextCommit()).message).toBe(`Locked: ${namespace}:deployment/podinfo`)
    await world.push('example/podinfo', '3.1.7', '2024-07-02T00:00:00Z')
    await world.expectQuiet()

    await ask('deautomate', id)
    expect((await world.nextCommit()).message).toBe(`Deautomated: ${namespace}:deployment/podinfo`)
    await ask('unlock', id)
    expect((await world.nextCommit()).message).toContain(`- Unlocked: ${namespace}:deployment/podinfo`)
    await world.expectQuiet()

    const before = await ask('list-images', id)
    expect(before).toMatch(/\| {3}3\.2\.0 .*\n.*\| {3}3\.1\.7 .*\n.*'-> 3\.1\.6 /)
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const asked = registry.requestsOf('fluxd').length
      expect(asked).toBeGreaterThan(0)
      await world.restart(signal)
      expect(await ask('list-images', id)).toBe(before)
      // whether there are new tags is asked again after a minute: no store can tell
      const again = registry.requestsOf('fluxd').slice(asked)
      expect(again.filter((request) => !request.includes('/tags/list'))).toEqual([])
    }
    expect(await ask('automate', id)).toMatch(/success/)
    expect((await world.nextCommit()).message).toContain('Automated: ')
    expect((await world.nextCommit()).message).toBe(`Auto-release ${image}:3.1.7`)
  } finally {
    await rm(cache, { recursive: true, force: true })
  }
})
