import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, relative } from 'node:path'

/**
 * A reporter for vitest that writes down what `npm test` says at its end: counts, and every skipped test with its reason.
 * `TEST_REPORT` names the file.
 */
export default class TestReport {
  onTestRunEnd(modules, unhandledErrors) {
    const tests = modules.flatMap((module) =>
      [...module.children.allTests()].map((test) => ({ module, test })),
    )
    const inState = (state) => tests.filter(({ test }) => test.result().state === state)
    // a file that can't be loaded has failed, though none of its tests has
    const broken = modules.filter((module) => module.errors().length > 0)
    const report = {
      passed: inState('passed').length,
      failed: inState('failed').length + broken.length + unhandledErrors.length,
      skipped: [...inState('skipped'), ...inState('pending')].map(({ module, test }) => ({
        project: module.project.name,
        file: relative('.', module.moduleId),
        test: test.fullName,
        reason: test.result().note,
      })),
    }
    const file = process.env.TEST_REPORT
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, JSON.stringify(report))
  }
}
