import { describe, expect, test } from 'vitest'
import { findAgent } from '../../src/cli/find-agent.ts'
import { FluxError } from '../../src/core/errors.ts'
import type { KubeAccess, PodSummary } from '../../src/ports/agent-access.ts'
import { quickClock } from '../support/cli.ts'

function pod(some: Partial<PodSummary> = {}): PodSummary {
  const name = some.name ?? 'flux-1'
  return {
    namespace: 'default',
    name,
    uid: `uid of ${name}`,
    labels: { app: 'flux' },
    phase: 'Running',
    ready: true,
    node: 'node-1',
    serviceAccount: 'flux',
    image: 'fluxd:1',
    terminating: false,
    owner: { kind: 'ReplicaSet', name: 'flux' },
    ...some,
  }
}

interface World {
  pods: PodSummary[]
  /** pods whose ReplicaSet somebody made by hand */
  orphans?: string[]
  listAll?: KubeAccess['listPods']
}

function cluster({ pods, orphans = [], listAll }: World): KubeAccess & { asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    origin: { files: ['/home/me/.kube/config'], context: 'kind', server: 'https://10.0.0.1', namespace: 'x' },
    async listPods(query) {
      asked.push(`${query.namespace ?? '*'} ${query.labelSelector} ${query.fieldSelector ?? ''}`.trim())
      if (query.namespace === undefined && listAll) return listAll(query)
      const [key = '', value] = query.labelSelector.split('=')
      const names = /\((.*)\)/.exec(query.labelSelector)?.[1]?.split(',')
      return pods.filter(
        ({ namespace, labels }) =>
          (query.namespace ?? namespace) === namespace &&
          (names ? names.includes(labels['name'] ?? '') : labels[key] === value),
      )
    },
    ownedByDeployment: async ({ name }) => !orphans.includes(name),
    forward: () => Promise.reject(new Error('not asked for')),
    close: async () => {},
  }
}

async function find(kube: KubeAccess, clock = quickClock()) {
  const warnings: string[] = []
  const options = {
    namespace: 'default',
    labels: new Map([['app', 'flux']]),
    warn: (line: string) => warnings.push(line),
    clock,
    signal: new AbortController().signal,
  }
  const found = await findAgent(kube, options).catch((error: FluxError) => error)
  return { found, warnings }
}

test('takes the pod with the labels that were given', async () => {
  const kube = cluster({ pods: [pod(), pod({ name: 'other', labels: { name: 'flux' } })] })

  const { found } = await find(kube)

  expect(found).toMatchObject({ name: 'flux-1' })
  expect(kube.asked).toEqual(['default app=flux status.phase=Running'])
})

test('then looks for the names that fluxd has had', async () => {
  const kube = cluster({ pods: [pod({ labels: { name: 'weave-flux-agent' } })] })

  expect((await find(kube)).found).toMatchObject({ name: 'flux-1' })
  expect(kube.asked[1]).toBe('default name in (flux,fluxd,weave-flux-agent) status.phase=Running')
})

test('several labels must all be there, in the order of their names', async () => {
  const kube = cluster({ pods: [] })
  const labels = new Map([['release', 'x'], ['app', 'flux']]) // biome-ignore format: a row

  await findAgent(kube, {
    namespace: 'a',
    labels,
    warn() {},
    clock: quickClock(),
    signal: new AbortController().signal,
  }).catch(() => {})

  expect(kube.asked[0]).toContain('app=flux,release=x')
})

test('does not choose between two', async () => {
  const kube = cluster({ pods: [pod(), pod({ name: 'flux-2' })] })

  expect((await find(kube)).found).toMatchObject({
    code: 'FLUXD_AMBIGUOUS',
    what: expect.stringMatching(/Ambiguous pod: found more than one pod for selector: labels "app=flux"$/),
  })
})

describe('passes over, with a warning,', () => {
  test.each<[string, Partial<PodSummary>, string]>([
    ['a pod that is being deleted', { terminating: true }, 'it is being deleted'],
    ['a pod that is not ready', { ready: false }, 'it is not ready'],
    ['a pod that somebody made by hand', { owner: undefined }, 'it does not belong to a Deployment'],
    ['a pod of a Job', { owner: { kind: 'Job', name: 'x' } }, 'it does not belong to a Deployment'],
    ['a pod of a lone ReplicaSet', { name: 'orphan' }, 'it does not belong to a Deployment'],
  ])('%s', async (_, some, doubt) => {
    const odd = pod({ name: 'odd', ...some })
    const kube = cluster({ pods: [odd, pod()], orphans: ['orphan'] })

    const { found, warnings } = await find(kube)

    expect(found).toMatchObject({ name: 'flux-1' })
    expect(warnings).toEqual([`Warning: passed over pod default/${odd.name}: ${doubt}`])
  })

  test('the same pod once, though both selectors find it', async () => {
    const labels = { app: 'flux', name: 'flux' }

    const { found, warnings } = await find(cluster({ pods: [pod({ ready: false, labels })] }))

    expect(warnings).toHaveLength(1)
    expect(found).toMatchObject({
      code: 'FLUXD_NOT_FOUND',
      next: expect.stringContaining('until its pod is ready'),
    })
  })
})

describe('where nothing is found, says', () => {
  test('what was looked for, with which settings', async () => {
    const { found } = await find(cluster({ pods: [] }))

    expect(found).toBeInstanceOf(FluxError)
    expect(found).toMatchObject({
      code: 'FLUXD_NOT_FOUND',
      what: 'No pod found in namespace "default" using the following selectors:\n  app=flux\n  name in (flux,fluxd,weave-flux-agent)',
      why: 'Looked with kubeconfig /home/me/.kube/config; context kind; server https://10.0.0.1; namespaces default, then all others.',
      next: expect.stringContaining('--k8s-fwd-ns'),
    })
  })

  test('where there is one instead', async () => {
    const { found } = await find(
      cluster({ pods: [pod({ namespace: 'flux' }), pod({ namespace: 'gitops' })] }),
    )

    expect(found).toMatchObject({ next: expect.stringContaining('--k8s-fwd-ns=flux or --k8s-fwd-ns=gitops') })
  })

  test('that other namespaces may not be listed', async () => {
    const listAll = () => Promise.reject(new FluxError('CLUSTER_FORBIDDEN', { what: 'no' }))

    const { found } = await find(cluster({ pods: [], listAll }))

    expect(found).toMatchObject({ why: expect.stringContaining('default (others may not be listed)') })
  })

  test('so within two seconds, though the server hangs on the other namespaces', async () => {
    const listAll: KubeAccess['listPods'] = ({ signal }) =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    const clock = quickClock()

    const { found } = await find(cluster({ pods: [], listAll }), clock)

    expect(found).toMatchObject({ code: 'FLUXD_NOT_FOUND' })
    expect(clock.monotonicMs()).toBeLessThan(2000)
  })
})
