import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

/**
 * A reporter for vitest that writes down what `npm test` says at its end: counts, every skipped test with its reason,
 * every failed one with its errors, and those that passed only at another try.
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
    const named = ({ module, test }) => ({ ...placeOf(module), test: test.fullName })
    const messages = (errors) => errors.map(({ message }) => stripVTControlCharacters(String(message)))
    const report = {
      passed: inState('passed').length,
      failed: inState('failed').length + broken.length + unhandledErrors.length,
      skipped: [...inState('skipped'), ...inState('pending')].map((one) => ({
        ...named(one),
        reason: one.test.result().note,
      })),
      failures: [
        ...inState('failed').map((one) => ({ ...named(one), errors: messages(one.test.result().errors) })),
        ...broken.map((module) => ({ ...placeOf(module), errors: messages(module.errors()) })),
        ...unhandledErrors.map((error) => ({ errors: messages([error]) })),
      ],
      retried: inState('passed')
        .filter(({ test }) => test.diagnostic()?.flaky)
        .map(named),
    }
    const file = process.env.TEST_REPORT
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, JSON.stringify(report))
  }
}

function placeOf(module) {
  return { project: module.project.name, file: relative('.', module.moduleId) }
}
