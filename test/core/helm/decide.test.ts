import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { enterPhase, type HelmReleaseStatus, readStatus } from '../../../src/core/helm/conditions.ts'
import { type Action, type Desired, decide, type Observed } from '../../../src/core/helm/decide.ts'
import type { ReleaseStatus, Revision } from '../../../src/core/helm/revision.ts'

const minute = 60_000
const now = 1_000 * minute
const wanted = 'wanted'

function revision(number: number, status: ReleaseStatus, digest?: string, ageMs = 10 * minute): Revision {
  return {
    release: 'r',
    namespace: 'n',
    number,
    status,
    modifiedAtMs: now - ageMs,
    digest,
    owner: digest === undefined ? undefined : 'me',
  }
}

function desired(settings: {
  generation?: number
  rollback?: Partial<Desired['settings']['rollback']>
  test?: Partial<Desired['settings']['test']>
}): Desired {
  return {
    digest: wanted,
    settings: {
      generation: settings.generation ?? 1,
      timeoutMs: 5 * minute,
      rollback: {
        enable: false,
        retry: false,
        maxRetries: 5,
        force: false,
        recreatePods: false,
        disableHooks: false,
        timeoutMs: 5 * minute,
        wait: false,
        ...settings.rollback,
      },
      test: { enable: false, ignoreFailures: false, timeoutMs: 5 * minute, ...settings.test },
    },
  }
}

const empty = readStatus(undefined)

function statusAfter(...phases: Parameters<typeof enterPhase>[1][]): HelmReleaseStatus {
  const details = { releaseName: 'r', targetNamespace: 'n', now: new Date(now) }
  return phases.reduce((status, phase) => enterPhase(status, phase, details), {
    ...empty,
    observedGeneration: 1,
  })
}

function observed(given: Partial<Observed>): Observed {
  return {
    nowMs: now,
    revisions: [],
    status: empty,
    compared: undefined,
    startedAtMs: now - minute,
    recoverPending: true,
    intervalMs: 3 * minute,
    ...given,
  }
}

/** An action in a few words. */
function words(action: Action): string {
  const more =
    'rollbackTo' in action && action.rollbackTo !== undefined ? ` (back to ${action.rollbackTo})` : ''
  if (action.do === 'wait') return `wait ${Math.round((action.untilMs - now) / 1000)} s`
  return action.do === 'compare' ? `compare with ${action.with}` : `${action.do}${more}`
}

const failed = (failures: number, agoMs: number) => ({ digest: wanted, failures, atMs: now - agoMs })

describe('what comes next', () => {
  test.each<[story: string, Partial<Observed>, settings: Parameters<typeof desired>[0], expected: string]>([
    ['no release', {}, {}, 'install'],
    ['as wanted', { revisions: [revision(2, 'deployed', wanted)] }, {}, 'nothing'],
    ['another digest', { revisions: [revision(2, 'deployed', 'old')] }, {}, 'upgrade (back to 2)'],
    ['made by hand', { revisions: [revision(3, 'deployed')] }, {}, 'compare with 3'],
    [
      'made by hand, and found equal',
      { revisions: [revision(3, 'deployed')], compared: { revision: 3, digest: wanted } },
      {},
      'nothing',
    ],
    [
      'made by v1, and the spec has changed since',
      { revisions: [revision(3, 'deployed')], status: statusAfter('Succeeded') },
      { generation: 2 },
      'upgrade (back to 3)',
    ],
    [
      'rolled back by hand',
      {
        revisions: [revision(3, 'deployed'), revision(2, 'superseded', wanted)],
        status: statusAfter('Succeeded'),
      },
      {},
      'compare with 3',
    ],

    // pending
    [
      'our upgrade, cut off before we began',
      { revisions: [revision(2, 'pending-upgrade', wanted), revision(1, 'deployed', 'old')] },
      {},
      'recover (back to 1)',
    ],
    ['our installation, cut off', { revisions: [revision(1, 'pending-install', wanted)] }, {}, 'uninstall'],
    [
      'a person upgrades right now',
      { revisions: [revision(2, 'pending-upgrade', undefined, minute), revision(1, 'deployed', wanted)] },
      {},
      'wait 300 s',
    ],
    [
      'a person’s upgrade was cut off',
      { revisions: [revision(2, 'pending-upgrade', undefined, 7 * minute), revision(1, 'deployed', wanted)] },
      {},
      'recover (back to 1)',
    ],
    [
      'cut off, and left to a person',
      { revisions: [revision(2, 'pending-upgrade', wanted), revision(1, 'deployed')], recoverPending: false },
      {},
      'hold',
    ],
    [
      'cut off while it was uninstalled',
      { revisions: [revision(2, 'uninstalling', 'old')] },
      {},
      'uninstall',
    ],
    ['uninstalled with its history kept', { revisions: [revision(2, 'uninstalled')] }, {}, 'uninstall'],
    [
      'nothing deployed is left',
      { revisions: [revision(2, 'superseded', wanted)] },
      {},
      'recover (back to 2)',
    ],

    // failed
    [
      'failed, and fixed since',
      { revisions: [revision(2, 'failed', 'bad'), revision(1, 'superseded', 'old')] },
      {},
      'upgrade (back to 1)',
    ],
    [
      'failed a minute ago',
      {
        revisions: [revision(2, 'failed', wanted), revision(1, 'deployed', 'old')],
        status: { ...statusAfter('DeployFailed'), attempt: failed(1, minute) },
      },
      {},
      'wait 120 s',
    ],
    [
      'failed twice',
      {
        revisions: [revision(2, 'failed', wanted), revision(1, 'deployed', 'old')],
        status: { ...statusAfter('DeployFailed'), attempt: failed(2, minute) },
      },
      {},
      'wait 300 s',
    ],
    [
      'failed, and it is time',
      {
        revisions: [revision(2, 'failed', wanted), revision(1, 'deployed', 'old')],
        status: { ...statusAfter('DeployFailed'), attempt: failed(1, 4 * minute) },
      },
      {},
      'upgrade (back to 1)',
    ],
    [
      'failed too often',
      {
        revisions: [revision(2, 'failed', wanted), revision(1, 'deployed', 'old')],
        status: { ...statusAfter('DeployFailed'), attempt: failed(6, 100 * minute) },
      },
      {},
      'hold',
    ],
    [
      'the installation failed, and it is time',
      {
        revisions: [revision(1, 'failed', wanted)],
        status: { ...statusAfter('DeployFailed'), attempt: failed(1, 4 * minute) },
      },
      {},
      'uninstall',
    ],
    [
      'helm was told to end in the middle: nothing failed',
      {
        revisions: [revision(2, 'failed', wanted), revision(1, 'deployed', 'old')],
        status: statusAfter('Upgrading'),
      },
      { rollback: { enable: true } },
      'upgrade (back to 1)',
    ],
    [
      'a template failed: no revision was made',
      {
        revisions: [revision(1, 'deployed', 'old')],
        status: { ...statusAfter('Failed'), attempt: failed(1, 1_000) },
      },
      {},
      'wait 9 s',
    ],

    // rolled back
    [
      'the rollback is still to be done',
      {
        revisions: [revision(2, 'failed', wanted), revision(1, 'deployed', 'old')],
        status: { ...statusAfter('DeployFailed'), attempt: failed(1, minute) },
      },
      { rollback: { enable: true } },
      'rollback (back to 1)',
    ],
    [
      'the rollback failed as well',
      {
        revisions: [revision(3, 'failed'), revision(2, 'failed', wanted), revision(1, 'deployed', 'old')],
        status: { ...statusAfter('DeployFailed', 'RollbackFailed'), attempt: failed(1, minute) },
      },
      { rollback: { enable: true } },
      'hold',
    ],
    [
      'rolled back, no retry',
      {
        revisions: [revision(3, 'deployed'), revision(2, 'failed', wanted), revision(1, 'superseded', 'old')],
        status: { ...statusAfter('DeployFailed', 'RolledBack'), attempt: failed(1, 60 * minute) },
      },
      { rollback: { enable: true } },
      'hold',
    ],
    [
      'rolled back, and fixed since',
      {
        revisions: [revision(3, 'deployed'), revision(2, 'failed', 'bad'), revision(1, 'superseded', 'old')],
        status: statusAfter('DeployFailed', 'RolledBack'),
      },
      { rollback: { enable: true } },
      'upgrade (back to 3)',
    ],
    [
      'rolled back, a retry is due',
      {
        revisions: [revision(3, 'deployed'), revision(2, 'failed', wanted), revision(1, 'superseded', 'old')],
        status: { ...statusAfter('DeployFailed', 'RolledBack'), attempt: failed(1, 4 * minute) },
      },
      { rollback: { enable: true, retry: true } },
      'upgrade (back to 3)',
    ],
    [
      'rolled back, a retry is not due yet',
      {
        revisions: [revision(3, 'deployed'), revision(2, 'failed', wanted), revision(1, 'superseded', 'old')],
        status: { ...statusAfter('DeployFailed', 'RolledBack'), attempt: failed(1, minute) },
      },
      { rollback: { enable: true, retry: true } },
      'wait 120 s',
    ],
    [
      'rolled back more often than allowed',
      {
        revisions: [revision(3, 'deployed'), revision(2, 'failed', wanted), revision(1, 'superseded', 'old')],
        status: {
          ...statusAfter('DeployFailed', 'RolledBack'),
          rollbackCount: 2,
          attempt: failed(2, 60 * minute),
        },
      },
      { rollback: { enable: true, retry: true, maxRetries: 1 } },
      'hold',
    ],
    [
      'rolled back a hundred times, without a bound',
      {
        revisions: [revision(3, 'deployed'), revision(2, 'failed', wanted), revision(1, 'superseded', 'old')],
        status: {
          ...statusAfter('DeployFailed', 'RolledBack'),
          rollbackCount: 100,
          attempt: failed(100, 61 * minute),
        },
      },
      { rollback: { enable: true, retry: true, maxRetries: 0 } },
      'upgrade (back to 3)',
    ],
    [
      'rolled back by v1',
      {
        revisions: [revision(3, 'deployed'), revision(2, 'failed'), revision(1, 'superseded')],
        status: statusAfter('DeployFailed', 'RolledBack'),
      },
      { rollback: { enable: true } },
      'compare with 2',
    ],

    // tests
    [
      'tests failed after an upgrade',
      {
        revisions: [revision(2, 'deployed', wanted), revision(1, 'superseded', 'old')],
        status: { ...statusAfter('TestFailed'), attempt: failed(1, 60 * minute) },
      },
      { test: { enable: true } },
      'hold',
    ],
    [
      'tests failed after the installation, and it is time',
      {
        revisions: [revision(1, 'deployed', wanted)],
        status: { ...statusAfter('TestFailed'), attempt: failed(1, 4 * minute) },
      },
      { test: { enable: true } },
      'uninstall',
    ],
    [
      'failing tests are ignored',
      { revisions: [revision(1, 'deployed', wanted)], status: statusAfter('TestFailed', 'Succeeded') },
      { test: { enable: true, ignoreFailures: true } },
      'nothing',
    ],
  ])('%s', (_, given, settings, expected) => {
    expect(words(decide(desired(settings), observed(given)))).toBe(expected)
  })
})

/** Helm and the operator around the table, as far as it matters here. */
class World {
  revisions: Revision[]
  status: HelmReleaseStatus
  nowMs = now
  compared: Observed['compared']
  healthy = true
  readonly settings: Desired

  constructor(revisions: Revision[], settings: Desired) {
    this.revisions = revisions
    this.settings = settings
    this.status = statusAfter('Succeeded')
  }

  /** One decision carried out. @returns what was done */
  step(): Action {
    const { settings, revisions, status, nowMs, compared } = this
    const action = decide(settings, {
      ...observed({ revisions, status, nowMs, compared }),
      startedAtMs: now - minute,
    })
    const newest = this.revisions[0]?.number ?? 0
    const add = (status: ReleaseStatus, digest?: string) => {
      const older = this.revisions.map((other) =>
        status === 'deployed' && other.status === 'deployed'
          ? { ...other, status: 'superseded' as const }
          : other,
      )
      this.revisions = [{ ...revision(newest + 1, status, digest), modifiedAtMs: this.nowMs }, ...older]
    }
    const details = () => ({ releaseName: 'r', targetNamespace: 'n', now: new Date(this.nowMs) })
    const enter = (phase: Parameters<typeof enterPhase>[1]) => {
      this.status = enterPhase(this.status, phase, details())
    }
    const deploy = (rollbackTo: number | undefined) => {
      add(this.healthy ? 'deployed' : 'failed', wanted)
      enter(this.healthy ? 'Deployed' : 'DeployFailed')
      if (this.healthy) enter('Succeeded')
      const { attempt } = this.status
      const failures = attempt?.digest === wanted ? attempt.failures + 1 : 1
      this.status = {
        ...this.status,
        attempt: this.healthy ? undefined : { digest: wanted, failures, atMs: this.nowMs },
      }
      if (!this.healthy && rollbackTo !== undefined && settings.settings.rollback.enable) {
        this.revisions = [
          { ...revision(newest + 2, 'deployed'), modifiedAtMs: this.nowMs },
          ...this.revisions,
        ]
        enter('RolledBack')
      }
    }
    switch (action.do) {
      case 'install':
        deploy(undefined)
        break
      case 'upgrade':
        deploy(action.rollbackTo)
        break
      case 'compare':
        deploy(action.rollbackTo)
        break
      case 'uninstall':
        this.revisions = []
        break
      case 'recover':
        add('deployed')
        break
      case 'rollback':
        add('deployed')
        enter('RolledBack')
        break
      case 'wait':
        this.nowMs = action.untilMs
    }
    return action
  }
}

const revisionLists = fc
  .array(
    fc.record({
      status: fc.constantFrom<ReleaseStatus>(
        'deployed',
        'superseded',
        'failed',
        'pending-install',
        'pending-upgrade',
        'pending-rollback',
        'uninstalling',
        'uninstalled',
      ),
      digest: fc.constantFrom(undefined, wanted, 'other'),
    }),
    { maxLength: 5 },
  )
  .map((list) => list.map(({ status, digest }, index) => revision(list.length - index, status, digest)))

const settingsOf = fc.record({
  rollback: fc.record({
    enable: fc.boolean(),
    retry: fc.boolean(),
    maxRetries: fc.integer({ min: 1, max: 3 }),
  }),
})

test('whatever Helm’s storage holds, a healthy release is as wanted after a few steps, and stays so', () => {
  fc.assert(
    fc.property(revisionLists, settingsOf, (revisions, settings) => {
      const world = new World(revisions, desired(settings))
      const done: string[] = []
      for (let steps = 0; steps < 8; steps++) done.push(world.step().do)

      expect(done.at(-1), done.join(' ')).toBe('nothing')
      expect(world.revisions[0]).toMatchObject({ status: 'deployed', digest: wanted })
    }),
  )
})

test('a release that never becomes healthy is tried ever more seldom', () => {
  fc.assert(
    fc.property(settingsOf, (settings) => {
      const world = new World([revision(1, 'deployed', 'old')], desired(settings))
      world.healthy = false
      let tries = 0
      for (let steps = 0; steps < 200; steps++) {
        const { do: what } = world.step()
        if (what === 'upgrade') tries++
        if (what === 'hold') break
      }

      expect(tries).toBeLessThanOrEqual(7)
    }),
  )
})
