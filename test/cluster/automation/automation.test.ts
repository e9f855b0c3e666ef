import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type JsonValue, valueAt } from '../../../src/core/json.ts'
import { test } from '../../support/cluster-test.ts'
import { type ControlPlaneAccess, request } from '../../support/control-plane.ts'
import { gitServer } from '../../support/git-server.ts'
import { eventually, fluxctl, fluxd } from '../../support/programs.ts'
import { startRegistry } from '../../support/registry.ts'
import { automated, automatedWorld, helmRelease, workload } from './world.ts'

/** A pushed image becomes a commit, quickly, and never wrongly. */

const podinfo = {
  images: {
    'example/podinfo': { '3.1.4': '2024-03-01T00:00:00Z', '3.1.5': '2024-03-20T09:45:10Z' },
  },
  files: {
    'podinfo.yaml': workload('podinfo', {
      image: '$REGISTRY/example/podinfo:3.1.5',
      annotations: automated({ app: 'semver:~3.1' }),
    }),
  },
}

test('a pushed image that the filter allows becomes one commit of one line, and rolls out', async ({
  plane,
  namespace,
}) => {
  await using world = await automatedWorld(plane, namespace, podinfo)
  const image = `${world.registry.host}/example/podinfo`

  await world.push('example/podinfo', '3.1.6', '2024-06-01T00:00:00Z')

  const { message, author, lines, files } = await world.nextCommit()
  expect({ message, author, files }).toEqual({
    message: `Auto-release ${image}:3.1.6`,
    author: 'Flux <flux@example.com>',
    files: ['podinfo.yaml'],
  })
  expect(lines).toEqual([
    `-        image: ${image}:3.1.5   # the one to change`,
    `+        image: ${image}:3.1.6   # the one to change`,
  ])
  expect(world.agent.log.join('\n')).toMatch(
    /info="added update to automation run" new=\S+:3\.1\.6 reason="latest 3\.1\.6 \(2024-06-01 00:00:00 \+0000 UTC\) > current 3\.1\.5 \(2024-03-20 09:45:10 \+0000 UTC\)"/,
  )
  await eventually(async () => {
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/podinfo`
    const live = (await request(plane, 'GET', path)).body as JsonValue
    return (
      valueAt(live, 'spec', 'template', 'spec', 'containers', 0, 'image') === `${image}:3.1.6` &&
      valueAt(live, 'status', 'updatedReplicas') === 1 &&
      valueAt(live, 'status', 'readyReplicas') === 1
    )
  }, 'the rollout')
  const note = await world.upstream.git('notes', '--ref=flux', 'show', 'master')
  expect(JSON.parse(note)).toMatchObject({
    spec: {
      type: 'auto',
      cause: { Message: '', User: '' },
      spec: {
        Changes: [
          {
            WorkloadID: `${namespace}:deployment/podinfo`,
            Container: { Name: 'app', Image: `${image}:3.1.5` },
            ImageID: `${image}:3.1.6`,
          },
        ],
      },
    },
    result: { [`${namespace}:deployment/podinfo`]: { Status: 'success' } },
  })
})

test('outside the filter, lower, or a pre-release: no commit', async ({ plane, namespace }) => {
  await using world = await automatedWorld(plane, namespace, podinfo)

  await world.push('example/podinfo', '3.2.0', '2024-06-01T00:00:00Z')
  await world.push('example/podinfo', '3.1.3', '2024-06-02T00:00:00Z')
  await world.push('example/podinfo', '3.1.9-rc.1', '2024-06-03T00:00:00Z')
  await world.expectQuiet()

  await world.push('example/podinfo', '3.1.7', '2024-06-04T00:00:00Z')
  expect((await world.nextCommit()).message).toMatch(/:3\.1\.7$/)
})

test('W18, W19: locked, not automated any more, never automated: no commit, and automating again acts at once', async ({
  plane,
  namespace,
}) => {
  await using world = await automatedWorld(plane, namespace, {
    images: podinfo.images,
    files: {
      ...podinfo.files,
      'locked.yaml': workload('locked', {
        image: '$REGISTRY/example/podinfo:3.1.5',
        annotations: { ...automated({ app: 'semver:~3.1' }), 'fluxcd.io/locked': 'true' },
      }),
      'manual.yaml': workload('manual', {
        image: '$REGISTRY/example/podinfo:3.1.5',
        annotations: { ...automated({ app: 'semver:~3.1' }), 'fluxcd.io/automated': 'false' },
      }),
    },
  })
  const ask = (...args: string[]) => fluxctl(args, { env: { FLUX_URL: world.agent.url } })
  expect((await ask('deautomate', `--workload=${namespace}:deployment/podinfo`)).exit).toBe(0)
  expect((await world.nextCommit()).message).toContain('Deautomated: ')

  await world.push('example/podinfo', '3.1.6', '2024-06-01T00:00:00Z')
  await world.expectQuiet()

  const listed = await ask('list-workloads', `--namespace=${namespace}`)
  expect(listed.stdout).toMatch(/deployment\/locked .* automated,locked/)
  const images = await ask('list-images', `--workload=${namespace}:deployment/manual`)
  expect(images.stdout).toMatch(/\| {3}3\.1\.6 .*\n.*'-> 3\.1\.5 /)
  expect((await ask('automate', `--workload=${namespace}:deployment/podinfo`)).exit).toBe(0)
  expect((await world.nextCommit()).message).toContain('Automated: ')
  expect(await world.nextCommit()).toMatchObject({ files: ['podinfo.yaml'], lines: [{}, {}] })
})

/** The environments of the demo, each as a HelmRelease and as a Deployment of one image. */
async function environments(plane: ControlPlaneAccess, namespace: string) {
  const environment = (name: string, tag: string, pattern: string) => ({
    [`releases/${name}/podinfo.yaml`]: helmRelease(
      `podinfo-${name}`,
      [`image: $REGISTRY/example/podinfo:${tag}`, 'replicaCount: 1'],
      automated({ 'chart-image': pattern }),
    ),
    [`workloads/${name}.yaml`]: workload(`plain-${name}`, {
      image: `$REGISTRY/example/podinfo:${tag}`,
      annotations: automated({ app: pattern }),
    }),
  })
  const world = await automatedWorld(plane, namespace, {
    images: {
      'example/podinfo': {
        'dev-hdtwcel9': '2024-01-06T00:00:00Z',
        'stg-9ij63o4c': '2024-01-05T00:00:00Z',
        '0.4.11': '2024-01-04T00:00:00Z',
      },
    },
    files: {
      ...environment('dev', 'dev-hdtwcel9', 'glob:dev-*'),
      ...environment('stg', 'stg-9ij63o4c', 'glob:stg-*'),
      ...environment('prod', '0.4.11', 'semver:~0.4'),
    },
  })
  return {
    push: (tag: string, createdAt: string) => world.push('example/podinfo', tag, createdAt),
    expectQuiet: world.expectQuiet,
    /** One commit, and in it one line of each of the environment's two files. */
    async expectRelease(tag: string, name: string) {
      const image = `${world.registry.host}/example/podinfo`
      expect(await world.nextCommit()).toEqual({
        revision: expect.any(String),
        message: `Auto-release ${image}:${tag}`,
        author: 'Flux <flux@example.com>',
        files: [`releases/${name}/podinfo.yaml`, `workloads/${name}.yaml`],
        lines: [
          expect.stringMatching(/^- {4}image: /),
          `+    image: ${image}:${tag}`,
          expect.stringMatching(/^- {8}image: /),
          `+        image: ${image}:${tag}   # the one to change`,
        ],
      })
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  }
}

test('W3, W4: an image for one environment is one commit there, and nothing elsewhere', async ({
  plane,
  namespace,
}) => {
  await using world = await environments(plane, namespace)

  await world.push('dev-aaaa1111', '2024-02-01T00:00:00Z')

  await world.expectRelease('dev-aaaa1111', 'dev')
  await world.expectQuiet()
})

test('W7, W8: the other environments follow their own images', async ({ plane, namespace }) => {
  await using world = await environments(plane, namespace)

  await world.push('stg-bbbb2222', '2024-02-02T00:00:00Z')
  await world.expectRelease('stg-bbbb2222', 'stg')
  await world.push('0.4.12', '2024-02-03T00:00:00Z')
  await world.expectRelease('0.4.12', 'prod')
})

test('W9, W10: versions out of bounds, lower and not final, and older images: no commit', async ({
  plane,
  namespace,
}) => {
  await using world = await environments(plane, namespace)

  await world.push('0.5.0', '2024-03-01T00:00:00Z')
  await world.push('0.4.9', '2024-03-02T00:00:00Z')
  await world.push('0.4.13-rc.1', '2024-03-03T00:00:00Z')
  await world.push('dev-cccc3333', '2023-01-01T00:00:00Z') // older than what runs, though pushed later

  await world.expectQuiet()
})

test('W10a: a current tag that is gone holds what orders by time, once told; versions go on', async ({
  plane,
  namespace,
}) => {
  await using world = await automatedWorld(plane, namespace, {
    images: {
      'example/podinfo': {
        'dev-dddd4444': '2024-01-06T00:00:00Z',
        '0.4.12': '2024-01-04T00:00:00Z',
      },
    },
    files: {
      'dev.yaml': workload('dev', {
        image: '$REGISTRY/example/podinfo:dev-gone',
        annotations: automated({ app: 'glob:dev-*' }),
      }),
      'prod.yaml': workload('prod', {
        image: '$REGISTRY/example/podinfo:0.4.11',
        annotations: automated({ app: 'semver:~0.4' }),
      }),
    },
  })
  const prod = await world.nextCommit()
  expect(prod.files).toEqual(['prod.yaml'])

  await world.push('example/podinfo', 'dev-eeee5555', '2024-02-01T00:00:00Z')
  await world.expectQuiet()
  await world.expectQuiet()

  const warnings = world.agent.log.filter((line) => line.includes('image with zero created timestamp'))
  expect(warnings).toEqual([expect.stringMatching(/action="skip container" code=TIME_UNKNOWN/)])
})

test('W17: a filter for a container that is not there filters nothing, and is named', async ({
  plane,
  namespace,
}) => {
  await using world = await automatedWorld(plane, namespace, {
    images: { 'example/podinfo': { 'stg-1': '2024-01-05T00:00:00Z' } },
    files: {
      'stg.yaml': helmRelease(
        'podinfo-rc',
        ['image: $REGISTRY/example/podinfo:stg-1'],
        automated({ podinfo: 'glob:stg-*' }),
      ),
    },
  })

  await world.push('example/podinfo', 'dev-1', '2024-02-01T00:00:00Z')

  expect((await world.nextCommit()).message).toMatch(/:dev-1$/)
  const warnings = world.agent.log.filter((line) => line.includes('FILTER_CONTAINER_UNKNOWN'))
  expect(warnings).toEqual([expect.stringMatching(/container=podinfo .*source=stg\.yaml:1 /)])
})

test('W22: several images of one release follow their own filters, and found in one poll are one commit', async ({
  plane,
  namespace,
}) => {
  const at = (day: number) => `2024-01-0${day}T00:00:00Z`
  await using world = await automatedWorld(plane, namespace, {
    images: {
      'openfaas/gateway': { '0.8.5': at(1) },
      'openfaas/operator': { '0.8.0': at(1) },
      'prom/prometheus': { 'v2.3.1': at(1) },
    },
    files: {
      'openfaas.yaml': helmRelease(
        'openfaas',
        [
          'gateway: {image: "$REGISTRY/openfaas/gateway:0.8.5"}',
          'operator: {image: "$REGISTRY/openfaas/operator:0.8.0"}',
          'prometheus: {image: "$REGISTRY/prom/prometheus:v2.3.1"}',
        ],
        { ...automated({ prometheus: 'glob:v2.3.*' }), 'fluxcd.io/automated': 'false' },
      ),
    },
  })
  const ask = (...args: string[]) => fluxctl(args, { env: { FLUX_URL: world.agent.url } })
  const id = `--workload=${namespace}:helmrelease/openfaas`
  await world.push('openfaas/gateway', '0.8.7', at(5))
  await world.push('openfaas/operator', '0.9.0', at(5))
  await world.push('prom/prometheus', 'v2.3.2', at(4))
  await world.push('prom/prometheus', 'v2.4.0', at(5))
  await eventually(async () => {
    const { stdout } = await ask('list-images', id)
    return ['0.8.7', '0.9.0', 'v2.3.2', 'v2.4.0'].every((tag) => stdout.includes(tag))
  }, 'all are known')

  await ask('automate', id)

  await world.nextCommit()
  const { message, files, lines } = await world.nextCommit()
  const { host } = world.registry
  expect(message).toBe(
    `Auto-release multiple (3) images\n\n - ${host}/openfaas/gateway:0.8.7\n - ${host}/openfaas/operator:0.9.0\n - ${host}/prom/prometheus:v2.3.2`,
  )
  expect({ files, lines: lines.length }).toEqual({ files: ['openfaas.yaml'], lines: 6 })
})

test('W23: a container and an init container follow their own filters', async ({ plane, namespace }) => {
  await using world = await automatedWorld(plane, namespace, {
    images: {
      'example/app': { '1.0.0': '2024-01-01T00:00:00Z' },
      'example/init': { a: '2024-01-01T00:00:00Z' },
    },
    files: {
      'app.yaml': workload('app', {
        image: '$REGISTRY/example/app:1.0.0',
        init: '$REGISTRY/example/init:a',
        annotations: automated({ app: 'semver:^1', init: 'glob:*' }),
      }),
    },
  })

  await world.push('example/app', '1.1.0', '2024-01-02T00:00:00Z')
  await world.push('example/app', '2.0.0', '2024-01-03T00:00:00Z')
  await world.push('example/init', 'b', '2024-01-02T00:00:00Z')

  // repositories are scanned one by one: the later one may make a commit of its own
  const changed: string[] = []
  while (changed.length < 2) {
    const { lines } = await world.nextCommit()
    changed.push(...lines.filter((line) => line.startsWith('+')))
  }
  expect(changed.map((line) => /example\/[\w:.]+/.exec(line)?.[0]).sort()).toEqual([
    'example/app:1.1.0',
    'example/init:b',
  ])
})

test('W24: a branch for each cluster: two fluxd in one repository keep out of each other’s way', async ({
  plane,
  namespace,
}) => {
  const clusters = { east: namespace, west: `${namespace}-west` }
  await request(plane, 'POST', '/api/v1/namespaces', { metadata: { name: clusters.west } })
  await using registry = await startRegistry({
    images: { 'example/app': { '1.0.0': '2024-01-01T00:00:00Z' } },
  })
  const manifest = (pattern: string) =>
    workload('app', {
      image: `${registry.host}/example/app:1.0.0`,
      annotations: automated({ app: pattern }),
    })
  await using upstream = await gitServer(
    { 'README.md': 'A branch for each cluster.\n' },
    { branch: 'master' },
  )
  const follow = async (name: 'east' | 'west', pattern: string) => {
    await upstream.git('branch', name, 'master')
    const text = manifest(pattern).replaceAll('$NAMESPACE', clusters[name])
    await upstream.commit({ 'app.yaml': text }, 'The application', name)
    const agent = await fluxd({
      kubeconfig: plane.kubeconfig,
      args: [
        `--git-url=${upstream.url}`,
        `--git-branch=${name}`,
        `--git-label=${name}`,
        `--k8s-allow-namespace=${clusters[name]}`,
        '--registry-insecure-host=127.0.0.1',
      ],
    })
    await agent.until(/event="Sync: /)
    return agent
  }
  await using east = await follow('east', 'semver:^1')
  await using west = await follow('west', 'semver:~1.0')
  const subjects = async (branch: string) =>
    (await upstream.git('log', '--format=%s', `master..refs/heads/${branch}`)).replaceAll(
      `${registry.host}/`,
      '',
    )

  for (const tag of ['1.0.1', '1.1.0']) registry.push('example/app', tag, '2024-02-01T00:00:00Z')
  for (const agent of [east, west]) {
    const body = { Kind: 'image', Source: { Name: { Domain: registry.host, Image: 'example/app' } } }
    await fetch(`${agent.url}/v11/notify`, { method: 'POST', body: JSON.stringify(body) })
  }

  for (const [name, tag] of [
    ['east', '1.1.0'],
    ['west', '1.0.1'],
  ] as const) {
    await eventually(
      async () => (await subjects(name)) === `Auto-release example/app:${tag}\nThe application`,
      name,
    )
    // each has its own marker and notes, and its own cluster
    await eventually(
      async () =>
        (await upstream.git('rev-parse', `refs/tags/${name}^{commit}`)) ===
        (await upstream.git('rev-parse', `refs/heads/${name}`)),
      `the marker of ${name}`,
    )
    expect((await upstream.git('notes', `--ref=${name}`, 'list')).split('\n')).toHaveLength(1)
    const path = `/apis/apps/v1/namespaces/${clusters[name]}/deployments/app`
    const live = (await request(plane, 'GET', path)).body as JsonValue
    expect(valueAt(live, 'spec', 'template', 'spec', 'containers', 0, 'image')).toBe(
      `${registry.host}/example/app:${tag}`,
    )
  }
  expect(await upstream.git('tag')).toBe('east\nwest')
  expect([...east.log, ...west.log].filter((line) => line.includes('should not be shared'))).toEqual([])
  await request(plane, 'DELETE', `/api/v1/namespaces/${clusters.west}`)
})

test('a restart, also after a kill, asks the registry nothing that the store can answer', async ({
  plane,
  namespace,
}) => {
  const folder = await mkdtemp(join(tmpdir(), 'images-'))
  try {
    await using world = await automatedWorld(plane, namespace, {
      ...podinfo,
      args: [`--registry-cache-dir=${folder}`],
    })
    await world.expectQuiet()
    const list = async () => {
      const { stdout } = await fluxctl(['list-images', `--namespace=${namespace}`], {
        env: { FLUX_URL: world.agent.url },
      })
      return stdout
    }
    const before = await list()
    expect(before).toMatch(/3\.1\.5/)

    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      world.registry.requests.length = 0
      await world.restart(signal)
      expect(await list()).toBe(before)
      expect(world.registry.requests.map(({ path }) => path)).toEqual([])
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('what is held is never released, and list-images -v says why', async ({ plane, namespace }) => {
  const at = (day: number) => `2024-01-0${day}T00:00:00Z`
  const held = (name: string, image: string, pattern: string) => ({
    [`${name}.yaml`]: workload(name, {
      image: `$REGISTRY/example/${image}`,
      annotations: automated({ app: pattern }),
    }),
  })
  await using world = await automatedWorld(plane, namespace, {
    images: {
      'example/dated': { '1.0.0': at(1), '1.1.0': at(2) },
      'example/undated': { old: '', new: '' },
      'example/epoch': { a: '1970-01-01T00:00:00Z', b: '1970-01-01T00:00:00Z' },
      'example/odd': { old: at(1), windows: at(2) },
    },
    files: {
      ...held('invalid', 'dated:1.0.0', 'semver:nonsense'),
      ...held('vanished', 'dated:gone', 'glob:*'),
      ...held('undated', 'undated:old', 'glob:*'),
      ...held('epoch', 'epoch:b', 'glob:*'),
      ...held('partial', 'odd:old', 'glob:*'),
      ...held('missing', 'nowhere:1', 'glob:*'),
      ...held('excluded', 'excluded:1', 'glob:*'),
      // two workloads with one image and different filters
      ...held('major', 'dated:1.1.0', 'semver:^1'),
      ...held('minor', 'dated:1.0.0', 'semver:~1.0'),
    },
    args: ['--registry-exclude-image=*/example/excluded'],
  })
  world.registry.pushManifest('example/odd', 'windows', { schemaVersion: 9 }, 'text/plain')

  await world.expectQuiet()

  const reasonsOf = async (name: string) => {
    const { stdout } = await fluxctl(['list-images', '-v', `--workload=${namespace}:deployment/${name}`], {
      env: { FLUX_URL: world.agent.url },
    })
    return [...stdout.matchAll(/^ +([A-Z_]+): /gm)].map(([, code]) => code)
  }
  const expected = {
    invalid: ['PATTERN_INVALID'],
    vanished: ['TIME_UNKNOWN'],
    undated: ['TIME_UNKNOWN'],
    epoch: ['TIME_EPOCH'],
    partial: ['IMAGE_MANIFEST_UNSUPPORTED', 'METADATA_MISSING'],
    missing: ['REGISTRY_IMAGE_MISSING', 'LISTING_MISSING'],
    excluded: ['IMAGE_EXCLUDED', 'LISTING_MISSING'],
    major: [],
    minor: [],
  }
  for (const [name, codes] of Object.entries(expected))
    await eventually(async () => {
      const seen = await reasonsOf(name)
      return seen.join() === codes.join() || Promise.reject(new Error(`${name}: ${seen}`))
    })
  const log = world.agent.log.join('\n')
  expect(log).toMatch(/source=invalid\.yaml:1 .*code=PATTERN_INVALID/)
  const metrics = await (await fetch(`http://127.0.0.1:${world.agent.port}/metrics`)).text()
  expect(metrics).toMatch(/fluxd_automation_containers\{code="PATTERN_INVALID"\} 1/)
  expect(metrics).toMatch(/fluxd_image_repositories\{code="REGISTRY_IMAGE_MISSING"\} 1/)
})

test('a pull secret that the registry refuses', async ({ plane, namespace }) => {
  await using world = await automatedWorld(plane, namespace, {
    ...podinfo,
    registry: { auth: { type: 'basic', user: 'robot', password: 'S3CRET' } },
  })
  const give = (password: string) =>
    request(
      plane,
      'PATCH',
      `/api/v1/namespaces/${namespace}/secrets/pull?fieldManager=test&force=true`,
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'pull' },
        type: 'kubernetes.io/dockerconfigjson',
        data: {
          '.dockerconfigjson': dockerConfig(world.registry.host, password),
        },
      },
      { 'content-type': 'application/apply-patch+yaml' },
    )
  await give('WR0NG')
  await request(
    plane,
    'PATCH',
    `/api/v1/namespaces/${namespace}/serviceaccounts/default`,
    { imagePullSecrets: [{ name: 'pull' }] },
    { 'content-type': 'application/merge-patch+json' },
  )

  await world.announce('example/podinfo')
  await world.agent.until(/code=REGISTRY_DENIED/)
  expect(world.agent.log.join('\n')).not.toMatch(/WR0NG|S3CRET/)

  await give('S3CRET')
  await world.push('example/podinfo', '3.1.6', '2024-06-01T00:00:00Z')
  expect((await world.nextCommit()).message).toMatch(/:3\.1\.6$/)
})

for (const { args, says } of [
  { args: ['--git-readonly'], says: 'Repo is read-only' },
  { args: ['--registry-disable-scanning'], says: 'Registry scanning is disabled' },
]) {
  test(`${says}: nothing is tried, and that is said once`, async ({ plane, namespace }) => {
    await request(plane, 'POST', `/api/v1/namespaces/${namespace}/secrets`, {
      metadata: { name: 'flux-git-deploy' },
    })
    await using world = await automatedWorld(plane, namespace, {
      ...podinfo,
      args: [...args, `--k8s-secret-namespace=${namespace}`, '--automation-interval=50ms'],
    })

    await world.push('example/podinfo', '3.1.6', '2024-06-01T00:00:00Z')
    await world.push('example/podinfo', '3.1.7', '2024-06-02T00:00:00Z')

    const said = world.agent.log.filter((line) => line.includes('no image updates will be attempted'))
    expect(said).toEqual([expect.stringContaining(`info="${says}; no image updates will be attempted"`)])
    expect(world.agent.log.join('\n')).not.toContain('polling for new images')
    expect(await world.upstream.git('rev-list', '--count', 'master')).toBe('1')
  })
}

function dockerConfig(host: string, password: string): string {
  const auth = Buffer.from(`robot:${password}`).toString('base64')
  return Buffer.from(JSON.stringify({ auths: { [host]: { auth } } })).toString('base64')
}
