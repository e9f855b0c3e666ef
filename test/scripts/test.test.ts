import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

const passed = { status: 'passed' }
const failed = { status: 'failed' }
const skipped = { status: 'skipped' }

/** Run `npm test`'s script with a vitest that only writes a report. */
function run({
  files,
  status = 0,
  env = {},
}: {
  files: { name: string; status: string; tests: { status: string }[] }[]
  status?: number
  env?: Record<string, string>
}) {
  const root = mkdtempSync(join(tmpdir(), 'test-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  const tests = files.flatMap(({ tests }) => tests)
  const report = {
    numPassedTests: tests.filter((test) => test === passed).length,
    numFailedTests: tests.filter((test) => test === failed).length,
    testResults: files.map(({ name, status, tests }) => ({
      name: join(root, name),
      status,
      assertionResults: tests,
    })),
  }
  mkdirSync(join(root, 'node_modules/vitest'), { recursive: true })
  writeFileSync(
    join(root, 'node_modules/vitest/vitest.mjs'),
    `import { writeFileSync } from 'node:fs'
     const file = process.argv.find((word) => word.startsWith('--outputFile.json=')).split('=')[1]
     writeFileSync(file, ${JSON.stringify(JSON.stringify(report))})
     process.exitCode = ${status}`,
  )
  return spawnSync(process.execPath, [resolve('scripts/test.mjs')], { cwd: root, env, encoding: 'utf8' })
}

test('ends with one plain line of counts', () => {
  const { stdout, status } = run({
    files: [
      { name: 'a.test.ts', status: 'passed', tests: [passed, passed] },
      { name: 'b.test.ts', status: 'passed', tests: [passed] },
    ],
  })

  expect(stdout).toBe('3 passed, 0 failed, 0 skipped\n')
  expect(status).toBe(0)
})

test('says what was skipped and how to enable it', () => {
  const files = [{ name: 'test/cluster/a.test.ts', status: 'passed', tests: [passed, skipped, skipped] }]

  const without = run({ files })
  const withAssets = run({ files, env: { KUBEBUILDER_ASSETS: '/assets' } })

  expect(without.stdout).toMatch(
    /^Skipped here, 2 tests:\n {2}test\/cluster\/a.test.ts \(2\)\n[\s\S]*KUBEBUILDER_ASSETS[\s\S]*\n1 passed, 0 failed, 2 skipped\n$/,
  )
  expect(without.status).toBe(0)
  expect(withAssets.stdout).not.toContain('KUBEBUILDER_ASSETS')
})

test.each([
  { what: 'a test that fails', files: [{ name: 'a', status: 'failed', tests: [passed, failed] }] },
  { what: 'a file that does not load', files: [{ name: 'a', status: 'failed', tests: [] }] },
  { what: 'an error outside of tests', files: [{ name: 'a', status: 'passed', tests: [passed] }] },
])('counts $what as a failure', ({ files }) => {
  const { stdout, status } = run({ files, status: 1 })

  expect(stdout).toMatch(/^\d passed, 1 failed, 0 skipped\n$/)
  expect(status).toBe(1)
})
