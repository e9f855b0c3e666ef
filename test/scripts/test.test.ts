import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

interface Skipped {
  project: string
  file: string
  test: string
  reason?: string
}

interface Failure {
  project?: string
  file?: string
  test?: string
  errors: string[]
}

/** Run `npm test`'s script with a vitest that only writes a report. */
function run({
  passed = 0,
  failed = 0,
  skipped = [],
  failures = [],
  retried = [],
  status = 0,
  env = {},
}: {
  passed?: number
  failed?: number
  skipped?: Skipped[]
  failures?: Failure[]
  retried?: Omit<Skipped, 'reason'>[]
  status?: number
  env?: Record<string, string>
}) {
  const root = mkdtempSync(join(tmpdir(), 'test-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'node_modules/vitest'), { recursive: true })
  mkdirSync(join(root, '.cache'))
  writeFileSync(
    join(root, 'node_modules/vitest/vitest.mjs'),
    `import { writeFileSync } from 'node:fs'
     writeFileSync(process.env.TEST_REPORT, ${JSON.stringify(JSON.stringify({ passed, failed, skipped, failures, retried }))})
     process.exitCode = ${status}`,
  )
  return spawnSync(process.execPath, [resolve('scripts/test.mjs')], { cwd: root, env, encoding: 'utf8' })
}

test('ends with one plain line of counts', () => {
  const { stdout, status } = run({ passed: 3 })

  expect(stdout).toBe('3 passed, 0 failed, 0 skipped\n')
  expect(status).toBe(0)
})

test('says what was skipped, and why', () => {
  const kubectl = 'kubectl 1.36 is not there: npm run neighbours'
  const file = 'test/contract/kube-api/kubectl.test.ts'
  const skipped = [
    { project: 'playground', file, test: 'get', reason: kubectl },
    { project: 'playground', file, test: 'apply', reason: kubectl },
    { project: 'world', file: 'test/a.test.ts', test: 'a' },
  ]

  const { stdout, status } = run({ passed: 1, skipped })

  expect(stdout).toBe(
    [
      'Skipped here, 3 tests:',
      `  ${kubectl} (2)`,
      `    ${file} [playground] (2)`,
      '  a program is missing; kubectl and helm come with `npm run neighbours` (1)',
      '    test/a.test.ts [world] (1)',
      '1 passed, 0 failed, 3 skipped',
      '',
    ].join('\n'),
  )
  expect(status).toBe(0)
})

test('says how to get a real API server where there is none', () => {
  const skipped = [{ project: 'real', file: 'test/cluster/a.test.ts', test: 'a' }]

  expect(run({ skipped }).stdout).toMatch(
    /^Skipped here, 1 tests:\n {2}KUBEBUILDER_ASSETS is not set: .*\(1\)\n[\s\S]*setup-envtest[\s\S]*\n0 passed, 0 failed, 1 skipped\n$/,
  )
  expect(run({ skipped, env: { KUBEBUILDER_ASSETS: '/assets' } }).stdout).not.toContain('KUBEBUILDER_ASSETS')
})

test('says what failed and what passed only at another try', () => {
  const file = 'test/contract/git.test.ts'
  const failures = [
    { project: 'world', file, test: 'pushes', errors: [`expected 1\nto be 2${'\nand so on'.repeat(99)}`] },
    { project: 'unit', file: 'test/core/broken.test.ts', errors: ['Cannot find module'] },
    { errors: ['read ECONNRESET'] },
  ]
  const retried = [{ project: 'world', file, test: 'fetches' }]

  const { stdout } = run({ passed: 1, failed: 3, failures, retried, status: 1 })

  expect(stdout).toBe(
    [
      'Passed only at another try, 1 tests:',
      `  ${file} [world] fetches`,
      'Failed, 3:',
      `  ${file} [world] pushes`,
      '    expected 1',
      '    to be 2',
      ...Array(10).fill('    and so on'),
      '  test/core/broken.test.ts [unit]',
      '    Cannot find module',
      '  outside of tests',
      '    read ECONNRESET',
      '1 passed, 3 failed, 0 skipped',
      '',
    ].join('\n'),
  )
})

test.each([
  { what: 'a test that fails', failed: 1 },
  { what: 'an error outside of tests', failed: 0 },
])('counts $what as a failure', ({ failed }) => {
  const { stdout, status } = run({ passed: 1, failed, status: 1 })

  expect(stdout).toBe('1 passed, 1 failed, 0 skipped\n')
  expect(status).toBe(1)
})

test('counts what vitest tells: failures, files that do not load, skipped tests with their reasons', () => {
  mkdirSync('.cache', { recursive: true })
  const root = mkdtempSync(join(resolve('.cache'), 'report-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  writeFileSync(join(root, 'broken.test.ts'), "import './missing.ts'\n")
  writeFileSync(
    join(root, 'tests.test.ts'),
    `import { expect, test } from 'vitest'
     test('passes', () => {})
     test('fails', () => expect(1).toBe(2))
     let tries = 0
     test('passes late', { retry: 1 }, () => expect(++tries).toBe(2))
     test('skips', ({ skip }) => skip('it rains'))
     test.skipIf(true)('says nothing', () => {})`,
  )
  writeFileSync(join(root, 'vitest.config.ts'), "export default { test: { include: ['*.test.ts'] } }\n")
  const report = join(root, 'report.json')

  spawnSync(
    process.execPath,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      `--root=${root}`,
      `--reporter=${resolve('scripts/test-report.mjs')}`,
    ],
    { env: { ...process.env, TEST_REPORT: report } },
  )

  expect(JSON.parse(readFileSync(report, 'utf8'))).toMatchObject({
    passed: 2,
    failed: 2,
    skipped: [{ test: 'skips', reason: 'it rains' }, { test: 'says nothing' }],
    failures: [
      { file: expect.stringMatching(/tests\.test\.ts$/), test: 'fails', errors: [/expected 1 to be 2/] },
      { file: expect.stringMatching(/broken\.test\.ts$/), errors: [/missing\.ts/] },
    ].map(({ errors, ...failure }) => ({
      ...failure,
      errors: errors.map((error) => expect.stringMatching(error)),
    })),
    retried: [{ test: 'passes late' }],
  })
})
