// `npm test`: every test that can run here, then what could not and how to change that, then one plain line of counts.
// Arguments go to vitest: `npm test -- test/core`.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

const report = join('.cache', 'test-report.json')
const vitest = join('node_modules', 'vitest', 'vitest.mjs')

mkdirSync(dirname(report), { recursive: true })
rmSync(report, { force: true })
const { status } = spawnSync(
  process.execPath,
  [
    vitest,
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ],
  { stdio: 'inherit' },
)

const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'))
const skipped = testResults.flatMap(({ name, assertionResults }) => {
  const count = assertionResults.filter(({ status }) => !['passed', 'failed'].includes(status)).length
  return count === 0 ? [] : [{ file: relative('.', name), count }]
})
// a file that can't be loaded has failed, though none of its tests has
const brokenFiles = testResults.filter(
  ({ status, assertionResults }) =>
    status === 'failed' && assertionResults.every(({ status }) => status !== 'failed'),
).length
// errors outside of tests fail the run as well
const failed = Math.max(numFailedTests + brokenFiles, status === 0 ? 0 : 1)
const skippedCount = skipped.reduce((sum, { count }) => sum + count, 0)

if (skippedCount > 0) {
  console.log(`Skipped here, ${skippedCount} tests:`)
  for (const { file, count } of skipped) console.log(`  ${file} (${count})`)
  if (!process.env.KUBEBUILDER_ASSETS) {
    console.log(
      'Tests in test/cluster need a kube-apiserver, etcd, kube-controller-manager and kwok: put them in one folder and set\n' +
        'KUBEBUILDER_ASSETS to it. `setup-envtest use -p path` fetches the first two.',
    )
  }
}
console.log(`${numPassedTests} passed, ${failed} failed, ${skippedCount} skipped`)
process.exitCode = failed === 0 ? 0 : 1
