import { afterAll, beforeAll, describe, expect, inject } from 'vitest'
import type { JsonObject } from '../../../src/core/json.ts'
import {
  type ChartRepository,
  chartRepository,
  packChart,
} from '../../../src/playground/charts/repository.ts'
import { test as base } from '../../support/cluster-test.ts'
import { planeSkipReason, request } from '../../support/control-plane.ts'
import { helm } from '../../support/neighbours.ts'
import { eventually, helmOperatorToTheEnd } from '../../support/programs.ts'
import { gitChart, type HelmWorld, helmWorld } from './world.ts'

/**
 * What can be wrong with a HelmRelease, all at once in one namespace: each gets a condition with a reason and a message,
 * an event, and harms no other.
 */

const store = { metadata: { name: 'store', version: '1.0.0' }, files: { 'templates/a.yaml': '' } }
const template = (text: string) => ({
  metadata: { name: 'store', version: '2.0.0' },
  files: { 'templates/a.yaml': text },
})

interface Places {
  world: HelmWorld
  repository: ChartRepository
}

interface Case {
  what: string
  /** of its spec, beside what every one has */
  spec(places: Places): JsonObject
  phase: 'ChartFetchFailed' | 'DeployFailed' | 'Failed' | 'TestFailed'
  says: RegExp
}

const packaged = ({ repository }: Places, name: string, version = '1.0.0') => ({
  chart: { repository: repository.url, name, version },
})

const cases: readonly Case[] = [
  {
    what: 'a chart that is not there',
    spec: ({ world }) => ({ chart: gitChart(world.upstream, 'charts/gone') }),
    phase: 'ChartFetchFailed',
    says: /there is no folder charts\/gone/,
  },
  {
    what: 'a folder that is no chart',
    spec: ({ world }) => ({ chart: gitChart(world.upstream, 'docs') }),
    phase: 'ChartFetchFailed',
    says: /docs has no Chart\.yaml/,
  },
  {
    what: 'a ref that is gone',
    spec: ({ world }) => ({ chart: { ...gitChart(world.upstream), ref: 'gone' } }),
    phase: 'ChartFetchFailed',
    says: /ref 'gone' is not in/,
  },
  {
    what: 'a ref that would be an option',
    spec: ({ world }) => ({ chart: { ...gitChart(world.upstream), ref: '--upload-pack=touch /tmp/owned' } }),
    phase: 'ChartFetchFailed',
    says: /ref/,
  },
  {
    what: 'a path out of the repository',
    spec: ({ world }) => ({ chart: gitChart(world.upstream, '../../etc') }),
    phase: 'ChartFetchFailed',
    says: /leads out of the repository/,
  },
  {
    what: 'a link out of the repository',
    spec: ({ world }) => ({ chart: gitChart(world.upstream, 'charts/linked') }),
    phase: 'ChartFetchFailed',
    says: /leads out of the repository/,
  },
  {
    what: 'a repository of Git that nobody serves',
    spec: () => ({ chart: { git: 'http://127.0.0.1:1/gone.git', path: 'charts/podinfo', ref: 'master' } }),
    phase: 'ChartFetchFailed',
    says: /127\.0\.0\.1:1/,
  },
  {
    what: 'a protocol that is not allowed',
    spec: () => ({ chart: { git: 'ext::sh -c touch% /tmp/owned', path: 'charts/podinfo', ref: 'master' } }),
    phase: 'ChartFetchFailed',
    says: /ext/,
  },
  {
    what: 'no source of a chart at all',
    spec: () => ({ chart: { ref: 'master' } }),
    phase: 'ChartFetchFailed',
    says: /could not find valid chart source configuration for release/,
  },
  {
    what: 'a chart repository that nobody serves',
    spec: () => ({ chart: { repository: 'http://127.0.0.1:1/', name: 'store', version: '1.0.0' } }),
    phase: 'ChartFetchFailed',
    says: /can't be fetched/,
  },
  {
    what: 'a version that is not published',
    spec: (places) => packaged(places, 'store', '9.9.9'),
    phase: 'ChartFetchFailed',
    says: /no version 9\.9\.9 of store/,
  },
  {
    what: 'another checksum than the index says',
    spec: (places) => packaged(places, 'spoilt'),
    phase: 'ChartFetchFailed',
    says: /another checksum/,
  },
  {
    what: 'an archive that is far larger than it looks',
    spec: (places) => packaged(places, 'bomb'),
    phase: 'ChartFetchFailed',
    says: /not a chart that can be used/,
  },
  {
    what: 'a dependency that nobody may fetch',
    spec: ({ world }) => ({ chart: { ...gitChart(world.upstream, 'charts/lacking'), skipDepUpdate: true } }),
    phase: 'DeployFailed',
    says: /missing in charts\/ directory: store/,
  },
  {
    what: 'a template that ends in an error',
    spec: (places) => packaged(places, 'store', '2.0.0'),
    phase: 'DeployFailed',
    says: /the template speaks/,
  },
  {
    what: 'a kind that the cluster does not have',
    spec: (places) => packaged(places, 'strange'),
    phase: 'DeployFailed',
    says: /no matches for kind "Nowhere"/,
  },
  {
    what: 'values from a link-local address',
    spec: ({ world }) => ({
      chart: gitChart(world.upstream),
      valuesFrom: [{ externalSourceRef: { url: 'http://169.254.169.254/latest/user-data' } }],
    }),
    phase: 'Failed',
    says: /link-local/,
  },
  {
    what: 'a values file out of the repository',
    spec: ({ world }) => ({
      chart: gitChart(world.upstream),
      valuesFrom: [{ chartFileRef: { path: '../../../../etc/passwd' } }],
    }),
    phase: 'Failed',
    says: /leads out of the repository/,
  },
  {
    what: 'values that are no map',
    spec: ({ world }) => ({
      chart: gitChart(world.upstream),
      valuesFrom: [{ configMapKeyRef: { name: 'bad-values' } }],
    }),
    phase: 'Failed',
    says: /unable to yaml\.Unmarshal from values\.yaml in ConfigMap/,
  },
  {
    what: 'a name of more than 53 characters',
    spec: ({ world }) => ({ chart: gitChart(world.upstream), releaseName: 'a'.repeat(54) }),
    phase: 'Failed',
    says: /release name is invalid/,
  },
  {
    what: 'a namespace that is not there',
    spec: ({ world }) => ({ chart: gitChart(world.upstream), targetNamespace: `${world.namespace}-gone` }),
    phase: 'DeployFailed',
    says: /-gone/,
  },
  {
    what: 'a test that fails',
    spec: ({ world }) => ({
      chart: gitChart(world.upstream),
      test: { enable: true, timeout: 20 },
      values: { tests: { fail: true } },
    }),
    phase: 'TestFailed',
    says: /Test failed for Helm release/,
  },
  {
    what: 'a hook that never ends',
    spec: ({ world }) => ({
      chart: gitChart(world.upstream),
      test: { enable: true, timeout: 2 },
      values: { tests: { hang: true } },
    }),
    phase: 'TestFailed',
    says: /Test failed for Helm release/,
  },
]

const isPossible = planeSkipReason === undefined && helm('4.2') !== undefined

describe.skipIf(!isPossible)('beside one that is right', () => {
  let places: Places
  let namespace = ''
  const nameOf = (what: string) => what.replace(/[^a-z]+/gi, '-').toLowerCase()

  beforeAll(async () => {
    const plane = inject('controlPlane')
    if (!plane) return
    namespace = `bad-input-${Math.random().toString(36).slice(2, 8)}`
    await request(plane, 'POST', '/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace },
    })
    const spoilt = { metadata: { name: 'spoilt', version: '1.0.0' } }
    const repository = await chartRepository({
      charts: [
        store,
        template('{{ fail "the template speaks" }}'),
        spoilt,
        { metadata: { name: 'bomb', version: '1.0.0' } },
        {
          metadata: { name: 'strange', version: '1.0.0' },
          files: { 'templates/a.yaml': 'apiVersion: example.com/v1\nkind: Nowhere\nmetadata: {name: a}\n' },
        },
      ],
    })
    repository.spoil('spoilt', '1.0.0', packChart(store))
    repository.add({
      metadata: { name: 'bomb', version: '1.0.0' },
      files: { zeros: '\0'.repeat(210 * 1024 * 1024) },
    })
    const world = await helmWorld(plane, namespace, {
      args: ['--workers=4'],
      files: {
        'docs/README.md': 'no chart\n',
        'charts/lacking/Chart.yaml':
          'apiVersion: v2\nname: lacking\nversion: 0.1.0\ndependencies:\n- {name: store, version: 1.0.0, repository: "https://charts.example.com"}\n',
      },
    })
    await commitLink(world, 'charts/linked', '../../../etc')
    places = { world, repository }
    const configMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'bad-values' },
      data: { 'values.yaml': '- a\n- list\n' },
    }
    await request(plane, 'POST', `/api/v1/namespaces/${namespace}/configmaps`, configMap)
    for (const { what, spec } of cases) {
      await world.apply(nameOf(what), {
        releaseName: nameOf(what).slice(0, 50),
        timeout: 20,
        ...spec(places),
      })
    }
    await world.apply('right', { chart: gitChart(world.upstream), releaseName: 'right' })
  }, 120_000)

  afterAll(async () => {
    const plane = inject('controlPlane')
    await places?.world[Symbol.asyncDispose]()
    await places?.repository[Symbol.asyncDispose]()
    if (plane) await request(plane, 'DELETE', `/api/v1/namespaces/${namespace}`)
  })

  base('the one that is right is released', async () => {
    await places.world.until('right', 'released', ({ conditions }) => conditions['Released'] === 'True')
  })

  base.for(cases)('$what: $phase, a message and an event', async ({ what, phase, says }) => {
    const name = nameOf(what)
    const seen = await places.world.until(name, phase, ({ conditions, messages }) => {
      return conditions['Released'] === 'False' && says.test(messages['Released'] ?? '')
    })

    expect(seen.status.conditions.find(({ type }) => type === 'Released')?.reason).toBe(phase)
    await eventually(
      async () =>
        (await places.world.events(name)).some(
          (event) =>
            event.startsWith('Warning FailedReleaseSync ') && (says.test(event) || phase === 'TestFailed'),
        ),
      `an event of ${name}`,
    )
  })

  base('what is mended is released', async () => {
    const { world } = places
    await world.apply(nameOf('a ref that is gone'), { chart: { ref: 'master' } })

    await world.until(
      nameOf('a ref that is gone'),
      'released',
      ({ conditions }) => conditions['Released'] === 'True',
    )
  })

  base('two of one release: the first keeps it, and the second is told whose it is', async () => {
    const { world } = places
    await world.apply('second', { chart: gitChart(world.upstream), releaseName: 'right' })

    const { messages } = await world.until(
      'second',
      'refused',
      ({ conditions }) => conditions['Released'] === 'False',
    )
    expect(messages['Released']).toContain(
      `release appears to be managed by '${namespace}:helmrelease/right'`,
    )
  })
})

base.skipIf(!isPossible)(
  'without its CRD, without helm, or with an old one, the operator says what is missing',
  async ({ plane }) => {
    const run = (...args: string[]) => helmOperatorToTheEnd({ args, kubeconfig: plane.kubeconfig })

    const missing = await run('--helm-path=/nowhere/helm')
    expect(missing).toMatchObject({ exit: 1, stderr: expect.stringContaining('HELM_PROGRAM_MISSING') })
    const other = await run('--helm-path=/bin/true')
    expect(other).toMatchObject({ exit: 1, stderr: expect.stringContaining('HELM_PROGRAM_UNSUPPORTED') })
  },
)

/** A chart folder that is a symbolic link. */
async function commitLink({ upstream }: HelmWorld, path: string, target: string): Promise<void> {
  await upstream.stream(
    `commit refs/heads/master\ncommitter A <a@example.com> 1717232400 +0000\ndata 4\nlink\nfrom refs/heads/master^0\nM 120000 inline ${path}\ndata ${target.length}\n${target}\n`,
  )
}
