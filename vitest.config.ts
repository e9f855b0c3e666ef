import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** Tests of `core`, `api` and everything else that neither starts a child process nor opens a socket. */
const unit = [
  'test/core/**',
  'test/api/**',
  'test/architecture/**',
  'test/runtime/**',
  'test/cli/**',
  'test/docs/**',
]
/** Tests that need `KUBEBUILDER_ASSETS`: a real kube-apiserver with etcd. */
const cluster = ['test/cluster/**', 'test/contract/kube-api/**']

/** Real neighbours race with us on a machine of two cores. A test that needed a second try is told as such. */
const neighbourRetries = 1

// the projects run one after the other, the fastest first: `sequence.groupOrder`
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          sequence: { groupOrder: 0 },
          include: unit.map((folder) => `${folder}/*.test.ts`),
          exclude: ['**/*.world.test.ts'],
          pool: 'threads',
          isolate: false,
        },
      },
      {
        test: {
          name: 'world',
          sequence: { groupOrder: 1 },
          include: ['test/**/*.test.ts'],
          exclude: [...unit.map((folder) => `${folder}/!(*.world).test.ts`), ...cluster],
          pool: 'forks',
          retry: neighbourRetries,
          testTimeout: 30_000,
          hookTimeout: 30_000,
          maxWorkers: availableParallelism(),
        },
      },
      {
        test: {
          name: 'real',
          sequence: { groupOrder: 2 },
          include: cluster.map((folder) => `${folder}/*.test.ts`),
          pool: 'forks',
          retry: neighbourRetries,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          provide: { planeKind: 'real' },
          globalSetup: ['test/support/control-plane-for-run.ts'],
        },
      },
    ],
  },
})
