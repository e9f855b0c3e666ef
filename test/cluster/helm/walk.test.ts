import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type JsonObject, valueAt } from '../../../src/core/json.ts'
import { chartRepository } from '../../../src/playground/charts/repository.ts'
import { planeSkipReason } from '../../support/control-plane.ts'
import { helm, helmVersions } from '../../support/neighbours.ts'
import { eventually, helmOperatorToTheEnd } from '../../support/programs.ts'
import { type DemoWorld, demoWorld } from './demo-world.ts'

const storeObject = `apiVersion: v1
kind: ConfigMap
metadata: {name: '{{ .Release.Name }}-store'}
`

/** The Helm half of the walk-through, each step after the one before. @see spec/demo-repo.md §7 */
describe.each(helmVersions)('with helm %s', (version) => {
  describe.skipIf(planeSkipReason !== undefined || helm(version) === undefined)(
    'the walk',
    { retry: 0 },
    () => {
      let world: DemoWorld
      beforeAll(async () => {
        world = await demoWorld({ version })
      })
      afterAll(() => world?.[Symbol.asyncDispose]())

      const deployment = (namespace: string, name: string) =>
        world.get(`/apis/apps/v1/namespaces/${namespace}/deployments/${name}`)
      const releases = [
        ['dev', 'podinfo-dev'],
        ['stg', 'podinfo-rc'],
        ['prod', 'podinfo-prod'],
      ] as const
      const counts = async () =>
        Promise.all(releases.map(async ([namespace, name]) => (await world.history(namespace, name)).length))

      test('W1 bootstrap: nothing before Git lets fluxd in; then namespaces and releases', async () => {
        world.upstream.fail(/./, 403)
        await world.start()
        await world.agent.until(/git repo|not ready|GIT_/)
        expect(await world.get('/api/v1/namespaces/dev')).toBeUndefined()

        world.upstream.fail(undefined)
        for (const [namespace, name] of releases) await world.untilRevision(namespace, name, 1)

        for (const namespace of ['adm', 'dev', 'stg', 'prod']) {
          expect(await world.get(`/api/v1/namespaces/${namespace}`)).toBeDefined()
        }
        expect(await world.history('dev', 'podinfo-dev')).toEqual(['deployed Install complete'])
        expect(valueAt(await deployment('dev', 'podinfo-dev'), 'spec', 'replicas')).toBe(1)
        expect(valueAt(await deployment('prod', 'podinfo-prod'), 'spec', 'replicas')).toBe(3)
        const autoscalers = await world.get('/apis/autoscaling/v2/horizontalpodautoscalers')
        const items = (autoscalers?.['items'] ?? []) as JsonObject[]
        expect(items.map((autoscaler) => valueAt(autoscaler, 'metadata', 'namespace'))).toEqual(['stg'])
      })

      test('W2 ownership: objects of the release name their HelmRelease', async () => {
        const objects = await Promise.all([
          deployment('dev', 'podinfo-dev'),
          world.get('/api/v1/namespaces/dev/services/podinfo-dev'),
        ])

        for (const object of objects) {
          expect(valueAt(object, 'metadata', 'annotations', 'helm.fluxcd.io/antecedent')).toBe(
            'dev:helmrelease/podinfo-dev',
          )
        }
      })

      test('W3 dev image, W4 isolation: one commit of one line, one upgrade, and the others stay', async () => {
        const before = await world.head()
        await world.push('dev-aaaa1111', '2024-02-01T00:00:00Z')

        expect(await world.commitAfter(before)).toEqual({
          author: 'Flux <flux@example.com>',
          message: `Auto-release ${world.image}:dev-aaaa1111`,
          files: ['releases/dev/podinfo.yaml'],
          lines: ['-      tag: dev-hdtwcel9', '+      tag: dev-aaaa1111'],
        })
        await world.untilRevision('dev', 'podinfo-dev', 2)
        expect(await world.history('dev', 'podinfo-dev')).toEqual([
          'superseded Install complete',
          'deployed Upgrade complete',
        ])
        await expect
          .poll(async () =>
            (await world.fluxctl('list-workloads', '-n=dev')).stdout
              .split('\n')
              .map((line) => line.trimEnd().split(/ {2,}/)),
          )
          .toEqual([
            ['WORKLOAD', 'CONTAINER', 'IMAGE', 'RELEASE', 'POLICY'],
            ['dev:deployment/podinfo-dev', 'podinfo', `${world.image}:dev-aaaa1111`, 'ready'],
            [
              'dev:helmrelease/podinfo-dev',
              'chart-image',
              `${world.image}:dev-aaaa1111`,
              'deployed',
              'automated',
            ],
            [''],
          ])
        expect(await counts()).toEqual([2, 1, 1])
      })

      test('W5 chart change: every release of the chart is upgraded once, and fluxd commits nothing', async () => {
        const chart = (await world.file('charts/podinfo/Chart.yaml')).replace(
          /version: 0.3.0/,
          'version: 0.3.1',
        )
        const values = (await world.file('charts/podinfo/values.yaml')).replace('cpu: 1m', 'cpu: 2m')
        const revision = await world.commit(
          { 'charts/podinfo/Chart.yaml': `${chart}\n`, 'charts/podinfo/values.yaml': `${values}\n` },
          'The chart',
        )

        await world.untilRevision('dev', 'podinfo-dev', 3)
        await world.untilRevision('stg', 'podinfo-rc', 2)
        await world.untilRevision('prod', 'podinfo-prod', 2)
        expect(valueAt(await deployment('prod', 'podinfo-prod'), 'metadata', 'labels', 'chart')).toBe(
          'podinfo-0.3.1',
        )
        expect(await world.head()).toBe(revision)
      })

      test('W6 quiet: ten passes bring no revision, though names of hooks are random', async () => {
        const before = await counts()

        await world.untilPasses(10)

        expect(await counts()).toEqual(before)
      })

      test('W7 staging, W8 semver: each environment follows its own images', async () => {
        let before = await world.head()
        await world.push('stg-bbbb2222', '2024-02-02T00:00:00Z')
        expect((await world.commitAfter(before)).files).toEqual(['releases/stg/podinfo.yaml'])
        await world.untilRevision('stg', 'podinfo-rc', 3)
        const autoscaler = await world.get(
          '/apis/autoscaling/v2/namespaces/stg/horizontalpodautoscalers/podinfo-rc',
        )
        expect(valueAt(autoscaler, 'spec', 'minReplicas')).toBe(2)

        before = await world.head()
        await world.push('0.4.12', '2024-02-03T00:00:00Z')
        expect((await world.commitAfter(before)).lines).toEqual(['-      tag: 0.4.11', '+      tag: 0.4.12'])
        await world.untilRevision('prod', 'podinfo-prod', 3)
      })

      test('W9 semver bounds, W10 glob order: no commit for what is out of bounds, lower, not final or older', async () => {
        const before = await world.head()
        for (const [tag, at] of [
          ['0.5.0', '2024-03-01T00:00:00Z'],
          ['0.4.9', '2024-03-02T00:00:00Z'],
          ['0.4.13-rc.1', '2024-03-03T00:00:00Z'],
          ['dev-cccc3333', '2023-01-01T00:00:00Z'],
        ] as const) {
          await world.push(tag, at)
        }

        // what comes after them shows that they were looked at
        await world.push('stg-cccc3333', '2024-03-04T00:00:00Z')

        expect((await world.commitAfter(before)).files).toEqual(['releases/stg/podinfo.yaml'])
        await world.untilRevision('stg', 'podinfo-rc', 4)
        expect(await counts()).toEqual([3, 4, 3])
      })

      test('W11 new environment: namespace, release and image follow; the others stay', async () => {
        const others = await counts()
        const text = (await world.file('releases/dev/podinfo.yaml'))
          .replaceAll('podinfo-dev', 'podinfo-hotfix')
          .replace('namespace: dev', 'namespace: hotfix')
          .replace('glob:dev-*', 'glob:hotfix-*')
          .replace('tag: dev-aaaa1111', 'tag: hotfix-aaaa0000')
        world.registry.push('example/podinfo', 'hotfix-aaaa0000', '2024-01-01T00:00:00Z')
        const revision = await world.commit(
          {
            'namespaces/hotfix.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: hotfix\n',
            'releases/hotfix/podinfo.yaml': `${text}\n`,
          },
          'hotfix',
        )
        await world.untilRevision('hotfix', 'podinfo-hotfix', 1)

        await world.push('hotfix-dddd4444', '2024-04-01T00:00:00Z')

        expect((await world.commitAfter(revision)).files).toEqual(['releases/hotfix/podinfo.yaml'])
        await world.untilRevision('hotfix', 'podinfo-hotfix', 2)
        expect(await counts()).toEqual(others)
      })

      test('W12 values by hand: a commit is an upgrade', async () => {
        const text = (await world.file('releases/dev/podinfo.yaml')).replace(
          'replicaCount: 1',
          'replicaCount: 2',
        )
        await world.commit({ 'releases/dev/podinfo.yaml': `${text}\n` }, 'Two of them')

        await world.untilRevision('dev', 'podinfo-dev', 4)
        expect(valueAt(await deployment('dev', 'podinfo-dev'), 'spec', 'replicas')).toBe(2)
      })

      test('W13 manual Helm: a rollback by hand is undone', async () => {
        await world.helm('rollback', 'podinfo-dev', '1', '--namespace=dev')

        await world.untilRevision('dev', 'podinfo-dev', 6)
        expect((await world.history('dev', 'podinfo-dev')).slice(-2)).toEqual([
          'superseded Rollback to 1',
          'deployed Upgrade complete',
        ])
        expect(valueAt(await deployment('dev', 'podinfo-dev'), 'spec', 'replicas')).toBe(2)
      })

      test('W14 manual kubectl: what is scaled by hand stays', async () => {
        const path = '/apis/apps/v1/namespaces/dev/deployments/podinfo-dev/scale'
        const patch = { spec: { replicas: 4 } }
        await world.plane.request('PATCH', path, patch, { 'content-type': 'application/merge-patch+json' })

        await world.untilPasses(3)

        expect(valueAt(await deployment('dev', 'podinfo-dev'), 'spec', 'replicas')).toBe(4)
        expect(await world.history('dev', 'podinfo-dev')).toHaveLength(6)
      })

      test('W15 removal: a file that goes leaves all; a HelmRelease that goes takes its release along', async () => {
        await world.commit({ 'releases/hotfix/podinfo.yaml': null }, 'No hotfix')
        const revision = await world.head()
        await eventually(
          async () =>
            (await world.upstream.git('rev-parse', 'flux-sync^{commit}').catch(() => '')) === revision,
          'the sync',
        )
        expect(await world.history('hotfix', 'podinfo-hotfix')).toHaveLength(2)

        await world.plane.request(
          'DELETE',
          '/apis/helm.fluxcd.io/v1/namespaces/hotfix/helmreleases/podinfo-hotfix',
        )

        await expect.poll(() => deployment('hotfix', 'podinfo-hotfix'), { timeout: 20_000 }).toBeUndefined()
        expect(await world.history('hotfix', 'podinfo-hotfix')).toEqual([])
        expect(await world.get('/api/v1/namespaces/hotfix')).toBeDefined()
      })

      test('W16 removal with garbage collection: the file, its HelmRelease and its release go', async () => {
        const file = 'releases/hotfix/podinfo.yaml'
        const text = await world.upstream.git('show', `${await world.head()}~1:${file}`)
        await world.commit({ [file]: `${text}\n` }, 'The hotfix again')
        await world.untilRevision('hotfix', 'podinfo-hotfix', 1)
        await world.restartAgent('--sync-garbage-collection')
        const others = await counts()

        await world.commit({ [file]: null }, 'No hotfix')

        await expect.poll(() => world.history('hotfix', 'podinfo-hotfix'), { timeout: 20_000 }).toEqual([])
        await expect.poll(() => deployment('hotfix', 'podinfo-hotfix'), { timeout: 20_000 }).toBeUndefined()
        expect(await world.release('hotfix', 'podinfo-hotfix')).toEqual({})
        expect(await world.get('/api/v1/namespaces/hotfix')).toBeDefined()
        expect(await counts()).toEqual(others)
      })

      test('W26 fork not edited, W27 bad commit: what is wrong with one harms no other', async () => {
        const text = await world.file('releases/dev/podinfo.yaml')
        const elsewhere = text
          .replaceAll('podinfo-dev', 'fork')
          .replace(/git: .*/, 'git: http://127.0.0.1:1/gone.git')
        await world.commit({ 'releases/dev/fork.yaml': `${elsewhere}\n` }, 'A fork')
        await eventually(async () => {
          const status = (await world.release('dev', 'fork'))['status']
          return valueAt(status, 'phase') === 'ChartFetchFailed'
        }, 'ChartFetchFailed')

        const others = await counts()
        await world.commit({ 'releases/dev/broken.yaml': 'kind: HelmRelease\n  bad: [\n' }, 'Broken')
        await world.agent.until(/releases\/dev\/broken\.yaml:2/)
        expect(await counts()).toEqual(others)

        const prod = (await world.file('releases/prod/podinfo.yaml')).replace(
          'replicaCount: 3',
          'replicaCount: 2',
        )
        await world.commit(
          { 'releases/dev/broken.yaml': null, 'releases/prod/podinfo.yaml': `${prod}\n` },
          'Mended',
        )
        await world.untilRevision('prod', 'podinfo-prod', 4)
      })

      test('W28 failing release: rolled back, Git keeps its word, and list-workloads tells', async () => {
        const text = (await world.file('releases/prod/podinfo.yaml'))
          .replace('spec:\n', 'spec:\n  timeout: 4\n  rollback: {enable: true, timeout: 20}\n')
          .replace('replicaCount: 2', 'replicaCount: 2\n    faults: {unready: true}')
        const revision = await world.commit({ 'releases/prod/podinfo.yaml': `${text}\n` }, 'Never ready')

        await eventually(async () => {
          const conditions = valueAt((await world.release('prod', 'podinfo-prod'))['status'], 'conditions')
          return (conditions as { type: string; status: string }[]).some(
            ({ type, status }) => type === 'RolledBack' && status === 'True',
          )
        }, 'RolledBack')

        expect(await world.head()).toBe(revision)
        expect((await world.history('prod', 'podinfo-prod')).at(-1)).toMatch(/^deployed Rollback to /)
        await eventually(async () => {
          const { stdout } = await world.fluxctl('list-workloads', '-n=prod')
          const line = stdout.split('\n').find((text) => text.startsWith('prod:helmrelease/podinfo-prod'))
          return line?.includes(' rolled-back ')
        }, 'rolled-back')
      })

      test('W20 secret values: failed without the Secret, released with it, and its content told to nobody', async () => {
        const password = 'p4ss"word\\'
        const auth = (text: string) => `apiVersion: v1
kind: Secret
metadata: {name: podinfo-auth, namespace: dev}
data: {values.yaml: ${Buffer.from(text).toString('base64')}}
`
        const text = (await world.file('releases/dev/podinfo.yaml'))
          .replaceAll('podinfo-dev', 'secretive')
          .replace('spec:\n', 'spec:\n  valueFileSecrets: [{name: podinfo-auth}]\n')
        await world.commit({ 'releases/dev/secretive.yaml': `${text}\n` }, 'Without its Secret')
        await eventually(
          async () => valueAt((await world.release('dev', 'secretive'))['status'], 'phase') === 'Failed',
          'Failed',
        )

        const values = `backend: ${JSON.stringify(password)}\n`
        await world.commit({ 'releases/dev/secret.yaml': auth(values) }, 'The Secret')
        await world.untilRevision('dev', 'secretive', 1)

        const used = JSON.parse(
          await world.helm('get', 'values', 'secretive', '--namespace=dev', '-o', 'json'),
        )
        expect(used).toMatchObject({ backend: password })
        const events = await world.get('/api/v1/namespaces/dev/events?limit=1000')
        const told = [
          world.operator.log.join('\n'),
          world.agent.log.join('\n'),
          JSON.stringify(events),
        ].concat(JSON.stringify((await world.release('dev', 'secretive'))['status']))
        const hidden = [password, JSON.stringify(password).slice(1, -1), btoa(password), btoa(values)]
        for (const secret of hidden) expect(told.filter((text) => text.includes(secret))).toEqual([])
      })

      test('W21 dependency: fetched from its repository, and missed where nobody may fetch it', async () => {
        const store = {
          metadata: { name: 'store', version: '1.0.3' },
          files: { 'templates/a.yaml': storeObject },
        }
        await using repository = await chartRepository({ charts: [store] })
        const chart = (await world.file('charts/app-with-deps/Chart.yaml')).replace(
          /https:.*/,
          repository.url,
        )
        const release = (name: string, more = '') => `apiVersion: helm.fluxcd.io/v1
kind: HelmRelease
metadata: {name: ${name}, namespace: dev}
spec:
  releaseName: ${name}
  chart: {git: 'git@github.com:ORG/gitops-helm', ref: master, path: charts/app-with-deps${more}}
`
        await world.commit(
          {
            'charts/app-with-deps/Chart.yaml': `${chart}\n`,
            'releases/dev/whole.yaml': release('whole'),
            'releases/dev/lacking.yaml': release('lacking', ', skipDepUpdate: true'),
          },
          'A chart with a dependency',
        )

        await world.untilRevision('dev', 'whole', 1)
        expect(await world.get('/api/v1/namespaces/dev/configmaps/whole-store')).toBeDefined()
        const isMissed = async () =>
          JSON.stringify((await world.release('dev', 'lacking'))['status'] ?? '').includes(
            'missing in charts/ directory: store',
          )
        await eventually(isMissed, 'the missing dependency')
        expect(await world.history('dev', 'lacking')).toEqual([])
      })

      test('W25 uninstall: releases outlive the operator, and a deletion does not hang for ever', async () => {
        await world.operator.end()

        const { exit } = await helmOperatorToTheEnd({
          args: ['--remove-finalizers', `--helm-path=${helm(version)}`],
          kubeconfig: world.plane.kubeconfig,
        })
        expect(exit).toBe(0)
        await world.plane.request('DELETE', '/apis/helm.fluxcd.io/v1/namespaces/stg/helmreleases/podinfo-rc')

        await expect.poll(async () => Object.keys(await world.release('stg', 'podinfo-rc')).length).toBe(0)
        expect((await world.history('stg', 'podinfo-rc')).length).toBeGreaterThan(0)
        expect(await deployment('stg', 'podinfo-rc')).toBeDefined()
      })
    },
  )
})

describe.skipIf(planeSkipReason !== undefined || helm('4.2') === undefined)(
  'the walk in the words of 2018',
  { retry: 0 },
  () => {
    let world: DemoWorld
    beforeAll(async () => {
      world = await demoWorld({ version: '4.2', paths: 'namespaces,v1alpha2', older: true })
      await world.start()
    })
    afterAll(() => world?.[Symbol.asyncDispose]())

    const releases = { dev: 'podinfo-dev', stg: 'podinfo-rc', prod: 'podinfo-prod' } as const
    const until = (namespace: keyof typeof releases, count: number) =>
      eventually(async () => {
        const revisions = await world.history(namespace, releases[namespace])
        return revisions.length === count && revisions.at(-1)?.startsWith('deployed')
      }, `${count} revisions of ${releases[namespace]}`)

    test('W1, W2: FluxHelmReleases become releases, whose objects name them', async () => {
      await Promise.all([until('dev', 1), until('stg', 1), until('prod', 1)])

      const service = () => world.get('/api/v1/namespaces/dev/services/podinfo-dev')
      await expect
        .poll(async () => valueAt(await service(), 'metadata', 'annotations', 'flux.weave.works/antecedent'))
        .toBe('dev:fluxhelmrelease/podinfo-dev')
    })

    test('W3, W4, W7: each environment follows its images by one line', async () => {
      let before = await world.head()
      await world.push('dev-aaaa1111', '2024-02-01T00:00:00Z')
      expect(await world.commitAfter(before)).toMatchObject({
        files: ['v1alpha2/releases/dev/podinfo.yaml'],
        lines: ['-      tag: dev-hdtwcel9', '+      tag: dev-aaaa1111'],
      })
      await until('dev', 2)

      before = await world.head()
      await world.push('stg-bbbb2222', '2024-02-02T00:00:00Z')
      expect((await world.commitAfter(before)).files).toEqual(['v1alpha2/releases/stg/podinfo.yaml'])
      await until('stg', 2)
      expect(await world.history('prod', 'podinfo-prod')).toHaveLength(1)
    })

    test('W5, W6: a chart change reaches all, once', async () => {
      const chart = (await world.file('charts/podinfo/Chart.yaml')).replace(
        'version: 0.3.0',
        'version: 0.3.1',
      )
      await world.commit({ 'charts/podinfo/Chart.yaml': `${chart}\n` }, 'The chart')
      await Promise.all([until('dev', 3), until('stg', 3), until('prod', 2)])

      await world.untilPasses(5)

      await Promise.all([until('dev', 3), until('stg', 3), until('prod', 2)])
    })
  },
)
