import { describe, expect, test } from 'vitest'
import { readDependencies } from '../../../src/core/helm/dependencies.ts'

const list = (...entries: string[]) =>
  `name: web\ndependencies:\n${entries.map((entry) => `- ${entry}\n`).join('')}`
const redis = (version: string) =>
  `{name: redis, version: ${version}, repository: 'https://charts.example.com'}`
const found = (version: string) => [{ name: 'redis', version, repository: 'https://charts.example.com' }]

test.each([
  {
    what: 'what Chart.yaml declares',
    files: { 'Chart.yaml': list(redis("'^17.0'")) },
    wanted: found('^17.0'),
  },
  {
    what: 'what the lock says',
    files: { 'Chart.yaml': list(redis("'^17.0'")), 'Chart.lock': list(redis('17.1.3')) },
    wanted: found('17.1.3'),
  },
  {
    what: 'requirements.yaml of older charts, with its lock',
    files: {
      'Chart.yaml': 'name: web\n',
      'requirements.yaml': list(redis('17.x')),
      'requirements.lock': list(redis('17.2.0')),
    },
    wanted: found('17.2.0'),
  },
  {
    what: 'nothing of a chart without dependencies',
    files: { 'Chart.yaml': 'name: web\n', 'Chart.lock': list(redis('1.0.0')) },
    wanted: [],
  },
])('reads $what', ({ files, wanted }) => {
  expect(readDependencies(files)).toEqual(wanted)
})

describe('refuses', () => {
  test.each([
    { what: 'a lock of another version', lock: list(redis('16.0.0')) },
    {
      what: 'a lock with more in it',
      lock: list(redis('17.1.3'), '{name: b, version: 1.0.0, repository: x}'),
    },
    {
      what: 'a lock of another repository',
      lock: list('{name: redis, version: 17.1.3, repository: elsewhere}'),
    },
  ])('$what', ({ lock }) => {
    expect(() => readDependencies({ 'Chart.yaml': list(redis("'^17.0'")), 'Chart.lock': lock })).toThrow(
      'the lock file (Chart.lock) is out of sync with the dependencies file (Chart.yaml)',
    )
  })

  test('a name that would lead elsewhere', () => {
    expect(() =>
      readDependencies({ 'Chart.yaml': list('{name: ../../etc, version: 1.0.0, repository: x}') }),
    ).toThrow('no name of a chart')
  })

  test('YAML that is none', () => {
    expect(() => readDependencies({ 'Chart.yaml': 'a: [\n' })).toThrow('Chart.yaml cannot be read')
  })
})
