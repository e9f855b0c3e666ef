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
/** Tests on an API server: once on the embedded one, once on a real one, which needs `KUBEBUILDER_ASSETS`. */
const cluster = ['test/cluster/**', 'test/contract/kube-api/**']

/** Real neighbours race with us on a machine of two cores. A test that needed a second try is told as such. */
const neighbourRetries = 1

/** Such tests wait more than they compute. */
const neighbourWorkers = availableParallelism() + 1

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
          maxWorkers: neighbourWorkers,
          globalSetup: ['test/support/programs-for-run.ts'],
        },
      },
      ...(['playground', 'real'] as const).map(clusterProject),
    ],
  },
})

/** The two differ in nothing but the API server that their tests get. */
function clusterProject(planeKind: 'playground' | 'real', index: number) {
  return {
    test: {
      name: planeKind,
      sequence: { groupOrder: 2 + index },
      include: cluster.map((folder) => `${folder}/*.test.ts`),
      pool: 'forks' as const,
      retry: neighbourRetries,
      testTimeout: 60_000,
      hookTimeout: 60_000,
      maxWorkers: neighbourWorkers,
      provide: { planeKind },
      globalSetup: ['test/support/programs-for-run.ts', 'test/support/control-plane-for-run.ts'],
    },
  }
}
