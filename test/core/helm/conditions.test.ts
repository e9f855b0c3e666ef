import { expect, test } from 'vitest'
import {
  enterPhase,
  formatStatus,
  type HelmReleaseStatus,
  type Phase,
  readStatus,
} from '../../../src/core/helm/conditions.ts'

const empty = readStatus(undefined)
const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds))

function enter(status: HelmReleaseStatus, phase: Phase, seconds = 0, more = {}): HelmReleaseStatus {
  return enterPhase(status, phase, { releaseName: 'r', targetNamespace: 'n', now: at(seconds), ...more })
}

const shown = ({ conditions }: HelmReleaseStatus) =>
  conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`)

test.each<[Phase, string[]]>([
  ['ChartFetched', ['ChartFetched=True ChartFetched']],
  ['ChartFetchFailed', ['ChartFetched=False ChartFetchFailed', 'Released=False ChartFetchFailed']],
  ['Installing', ['Deployed=Unknown Installing']],
  ['Upgrading', ['Deployed=Unknown Upgrading']],
  ['Deployed', ['Deployed=True Deployed']],
  ['DeployFailed', ['Deployed=False DeployFailed', 'Released=False DeployFailed']],
  ['Testing', ['Tested=Unknown Testing']],
  ['Tested', ['Tested=True Tested']],
  ['TestFailed', ['Tested=False TestFailed', 'Released=False TestFailed']],
  ['Succeeded', ['Released=True Succeeded']],
  ['Failed', ['Released=False Failed']],
  ['RollingBack', ['RolledBack=Unknown RollingBack']],
  ['RolledBack', ['RolledBack=True RolledBack']],
  ['RollbackFailed', ['RolledBack=False RollbackFailed']],
])('the phase %s writes its conditions', (phase, expected) => {
  const status = enter(empty, phase)

  expect(status.phase).toBe(phase)
  expect(shown(status)).toEqual(expected)
})

test('a detail follows the fixed sentence', () => {
  const { conditions } = enter(empty, 'Failed', 0, { detail: 'values are wrong' })

  expect(conditions[0]?.message).toBe("Release failed for Helm release 'r' in 'n'. values are wrong")
})

test('a condition moves to the end, and keeps since when it holds', () => {
  const first = enter(enter(empty, 'Deployed', 1), 'Tested', 2)
  const { conditions } = enter(first, 'Deployed', 3)

  expect(conditions.map(({ type }) => type)).toEqual(['Tested', 'Deployed'])
  expect(conditions[1]).toMatchObject({
    lastTransitionTime: '2026-01-01T00:00:01Z',
    lastUpdateTime: '2026-01-01T00:00:03Z',
  })
})

test('a success forgets rollbacks, a rollback counts one', () => {
  const undone = enter(enter(empty, 'RolledBack'), 'RolledBack')
  expect(undone.rollbackCount).toBe(2)

  const released = enter(undone, 'Succeeded', 1, { revision: 'abc' })
  expect(released).toMatchObject({ rollbackCount: 0, revision: 'abc' })
  expect(shown(released)).toEqual(['Released=True Succeeded'])
})

test('only the beginning and the end of an attempt write revisions', () => {
  expect(enter(empty, 'Installing', 0, { revision: 'abc' })).toMatchObject({
    lastAttemptedRevision: 'abc',
    revision: '',
  })
  expect(enter({ ...empty, revision: 'old' }, 'Succeeded')).toMatchObject({ revision: 'old' })
})

test('failing tests that are ignored leave the release alone', () => {
  expect(shown(enter(empty, 'TestFailed', 0, { testIgnored: true }))).toEqual(['Tested=False TestFailed'])
})

test('a status that is written reads the same', () => {
  const status: HelmReleaseStatus = {
    ...enter(enter(empty, 'ChartFetched'), 'Succeeded', 1, { revision: '1.2.3' }),
    observedGeneration: 4,
    releaseName: 'r',
    releaseStatus: 'deployed',
    attempt: { digest: 'd', failures: 2, atMs: at(5).getTime() },
  }

  expect(readStatus(formatStatus(status))).toEqual(status)
  expect(formatStatus(empty)).toMatchObject({ phase: null, rollbackCount: null, attempt: null })
})
