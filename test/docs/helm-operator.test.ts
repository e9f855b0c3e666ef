import { expect, test } from 'vitest'
import { createOperatorMetrics } from '../../src/adapters/system/operator-metrics.ts'
import { flags, readConfig } from '../../src/operator/config.ts'
import { type Flag, parseFlags } from '../../src/runtime/flags.ts'
import { rowAsShown, shownFlag } from './flags.ts'
import { codeIn, rowsOf } from './page.ts'

const all: readonly Flag[] = flags
const rows = rowsOf('helm-operator.md')
const flagRows = rows.filter(({ heading }) => heading === 'Flags')

test('the page has every flag of the operator with its default, and no other', () => {
  expect(flagRows.map(rowAsShown).toSorted()).toEqual(all.map(shownFlag).toSorted())
})

test('of every flag it says whether it works', () => {
  for (const { cells } of flagRows) {
    const name = /--([a-z0-9-]+)/.exec(cells[0] ?? '')?.[1] ?? ''
    const flag = all.find((one) => one.name === name)
    const value = { bool: 'true', duration: '1s', int: '1' }[flag?.type as string] ?? 'v3'
    if (['drift'].includes(name)) continue
    const { notices } = readConfig(parseFlags(flags, [`--${name}=${value}`]))
    const inert = notices.some(
      ({ warning }) => warning?.startsWith('no effect') && warning.includes(`--${name}`),
    )

    expect([name, cells[2]]).toEqual([name, inert ? 'no effect' : 'yes'])
  }
})

test('the page has every metric of the operator with its type and labels, and no other', async () => {
  const metrics = createOperatorMetrics()
  const release = { targetNamespace: 'n', releaseName: 'r' }
  const condition = {
    status: 'True',
    lastUpdateTime: '',
    lastTransitionTime: '',
    reason: '',
    message: '',
  } as const
  metrics.setQueueLength(1)
  metrics.setReleaseCount(1)
  metrics.setDrift(release, 1)
  metrics.setConditions(release, [{ type: 'Released', ...condition }])
  for (const action of ['sync', 'install'] as const)
    metrics.observeAction({ ...release, action, success: true, durationMs: 1 })
  const { text } = await metrics.expose()
  const exposed = [...text.matchAll(/^# TYPE (flux_helm\S+) (\S+)\n(\S+(?: .*)?)$/gm)].map(
    ([, name = '', type = '', sample = '']) => {
      const labels = [...sample.matchAll(/([a-z_]+)="/g)]
        .map(([, label = '']) => label)
        .filter((label) => label !== 'le')
      return `${name} ${type} ${labels.toSorted().join(', ')}`.trim()
    },
  )

  const page = rows.flatMap(({ cells: [name, type = '', labels = ''] }) => {
    const metric = codeIn(name)
    const named = labels.replaceAll('`', '').split(', ').toSorted().join(', ')
    return metric?.startsWith('flux_helm') && ['gauge', 'histogram'].includes(type)
      ? [`${metric} ${type} ${named}`.trim()]
      : []
  })
  expect(page.toSorted()).toEqual(exposed.toSorted())
})
