import { expect, test } from 'vitest'
import { flags, readConfig } from '../../src/operator/config.ts'
import { parseFlags } from '../../src/runtime/flags.ts'

const read = (args: string[], env: Record<string, string> = {}) =>
  readConfig(parseFlags(flags, args, { env }))

test('defaults are v1’s, but for Helm 2', () => {
  expect(read([])).toMatchObject({
    notices: [],
    config: {
      listen: ':3030',
      workers: 2,
      intervalMs: 180_000,
      updateDependencies: true,
      git: { timeoutMs: 20_000, pollIntervalMs: 300_000, defaultRef: 'master', protocols: ['https', 'ssh'] },
      crossNamespace: true,
      drift: { mode: 'report' },
      older: undefined,
    },
  })
})

test('arguments of v1’s Deployments are taken, and what has no effect is named once', () => {
  const { config, notices } = read([
    '--enabled-helm-versions=v2,v3',
    '--log-format=json',
    '--git-timeout=20s',
    '--charts-sync-interval=3m',
    '--status-update-interval=30s',
    '--update-chart-deps=false',
    '--workers=4',
    '--tiller-namespace=kube-system',
    '--helm-repository-import=v3:/root/.helm/repositories.yaml,v2:/x,nonsense',
  ])

  expect(config).toMatchObject({
    logFormat: 'json',
    workers: 4,
    updateDependencies: false,
    helm: { repositoryFiles: ['/root/.helm/repositories.yaml'] },
  })
  expect(notices.map(({ warning }) => warning)).toEqual([
    'no effect: --status-update-interval, --tiller-namespace',
    'Helm versions that are not supported: v2',
    '--helm-repository-import=v2:/x is left out: it is for Helm v2',
    'invalid version/path pair: nonsense, expected format is [version]:[path]',
  ])
})

test('HELM_VERSION stands in for its flag', () => {
  expect(() => read([], { HELM_VERSION: 'v2' })).toThrow('--enabled-helm-versions does not name v3')
  expect(read(['--enabled-helm-versions=v3'], { HELM_VERSION: 'v2' }).notices).toEqual([])
})

test('older kinds bring the repository of their charts', () => {
  const { config } = read([
    '--enable-older-kinds',
    '--git-url=https://example.com/x',
    '--queue-worker-count=3',
  ])

  expect(config.older).toEqual({ git: 'https://example.com/x', ref: 'master', path: 'charts' })
  expect(config.workers).toBe(3)
})

test.each([['--workers=0'], ['--charts-sync-interval=0s'], ['--drift=maybe'], ['argument']])(
  '%s is refused',
  (arg) => {
    expect(() => read([arg])).toThrow()
  },
)
