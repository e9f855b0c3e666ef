// `npm test`: every test that can run here, then what could not, why, and how to change that, what failed, then one plain
// line of counts. Arguments go to vitest: `npm test -- test/core`.
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const report = join('.cache', 'test-report.json')
/** Enough to know which failure it is; vitest has told the whole. */
const linesOfError = 12
const vitest = join('node_modules', 'vitest', 'vitest.mjs')

rmSync(report, { force: true })
const { status } = spawnSync(
  process.execPath,
  [
    vitest,
    'run',
    '--reporter=default',
    `--reporter=${join(import.meta.dirname, 'test-report.mjs')}`,
    ...process.argv.slice(2),
  ],
  { stdio: 'inherit', env: { ...process.env, TEST_REPORT: report } },
)

const counts = JSON.parse(readFileSync(report, 'utf8'))
// errors outside of tests fail the run as well
const failed = Math.max(counts.failed, status === 0 ? 0 : 1)
const withoutServer = 'KUBEBUILDER_ASSETS is not set: tests with a real kube-apiserver are skipped'
const whySkipped = ({ project, reason }) =>
  project === 'real' && !process.env.KUBEBUILDER_ASSETS
    ? withoutServer
    : (reason ?? 'a program is missing; kubectl and helm come with `npm run neighbours`')
const byReason = groupBy(counts.skipped, whySkipped)

if (counts.skipped.length > 0) {
  console.log(`Skipped here, ${counts.skipped.length} tests:`)
  for (const [reason, tests] of byReason) {
    console.log(`  ${reason} (${tests.length})`)
    // a whole project that is skipped needs no list
    if (reason === withoutServer) continue
    for (const [place, { length }] of groupBy(tests, ({ project, file }) => `${file} [${project}]`)) {
      console.log(`    ${place} (${length})`)
    }
  }
  if (byReason.has(withoutServer)) {
    console.log(
      'A real API server takes kube-apiserver, etcd, kube-controller-manager, kube-scheduler and kwok: put them in one\n' +
        'folder and set KUBEBUILDER_ASSETS to it. `setup-envtest use -p path` fetches the first two.',
    )
  }
}
if (counts.retried.length > 0) {
  console.log(`Passed only at another try, ${counts.retried.length} tests:`)
  for (const test of counts.retried) console.log(`  ${nameOf(test)}`)
}
if (counts.failures.length > 0) {
  console.log(`Failed, ${counts.failures.length}:`)
  for (const { errors, ...where } of counts.failures) {
    console.log(`  ${nameOf(where)}`)
    for (const line of errors.flatMap((error) => error.split('\n')).slice(0, linesOfError)) {
      console.log(`    ${line}`)
    }
  }
}
console.log(`${counts.passed} passed, ${failed} failed, ${counts.skipped.length} skipped`)
process.exitCode = failed === 0 ? 0 : 1

function nameOf({ project, file, test }) {
  return [file ?? 'outside of tests', project && `[${project}]`, test].filter(Boolean).join(' ')
}

/** In the order in which the keys first come. */
function groupBy(entries, keyOf) {
  const groups = new Map()
  for (const entry of entries) groups.set(keyOf(entry), [...(groups.get(keyOf(entry)) ?? []), entry])
  return groups
}
