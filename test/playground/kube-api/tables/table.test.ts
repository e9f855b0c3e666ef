import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { JsonObject, JsonValue } from '../../../../src/core/json.ts'
import type { KubeObject, PrinterColumn } from '../../../../src/playground/kube-api/model.ts'
import { toTable } from '../../../../src/playground/kube-api/tables/table.ts'

interface Recorded {
  group: string
  plural: string
  custom?: true
  printerColumns?: PrinterColumn[]
  /** when it was asked for, to about a second */
  now: number
  /** `name:type/format`, with a star where it is for wide output */
  columns: string[]
  rows: { object: KubeObject; cells: JsonValue[]; conditions?: JsonObject[] }[]
}

/** what a real API server of 1.36 printed, and the objects that it printed */
const recorded = JSON.parse(
  readFileSync(new URL('../../../fixtures/kube-tables.json', import.meta.url), 'utf8'),
) as Recorded[]

interface Table extends JsonObject {
  columnDefinitions: { name: string; type: string; format: string; priority: number }[]
  rows: { cells: JsonValue[]; conditions?: JsonObject[]; object: JsonObject | null }[]
}

/** The server looked at its clock a little later than we did. */
const roughly = (cells: JsonValue[]) =>
  cells.map((cell) => (typeof cell === 'string' ? cell.replace(/^(\d+m)?\d+s$/, '$1…s') : cell))

describe('prints like a real API server', () => {
  test.each(recorded)(
    '$plural.$group',
    ({ group, plural, custom = false, printerColumns, now, columns, rows }) => {
      const table = toTable(
        { group, plural, custom, ...(printerColumns && { columns: printerColumns }) },
        rows.map(({ object }) => object),
        now,
      ) as Table

      expect(
        table.columnDefinitions.map(
          ({ name, type, format, priority }) =>
            `${name}:${type}${format && `/${format}`}${priority > 0 ? '*' : ''}`,
        ),
      ).toEqual(columns)
      expect(table.rows.map(({ cells }) => roughly(cells))).toEqual(rows.map(({ cells }) => roughly(cells)))
      expect(table.rows.map(({ conditions }) => conditions)).toEqual(rows.map(({ conditions }) => conditions))
    },
  )
})

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'demo', creationTimestamp: '2026-01-01T00:00:00Z' },
} as KubeObject
const now = Date.parse('2026-01-01T01:30:00Z')
const pods = { group: '', plural: 'pods', custom: false }

test.each([
  { include: 'None', object: null },
  { include: 'Object', object: pod },
  {
    include: 'Metadata',
    object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: pod.metadata },
  },
] as const)('a row carries what is asked for: $include', ({ include, object }) => {
  const { rows } = toTable(pods, [pod], now, include) as Table

  expect(rows[0]?.object).toEqual(object)
})

test('a pod that crashes tells how often, and when last', () => {
  const status = {
    phase: 'Running',
    containerStatuses: [
      {
        name: 'a',
        ready: false,
        restartCount: 3,
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: { terminated: { finishedAt: '2026-01-01T01:20:00Z' } },
      },
      { name: 'b', ready: true, restartCount: 2, state: { running: {} } },
    ],
  }
  const spec = { containers: [{ name: 'a' }, { name: 'b' }] }

  const { rows } = toTable(pods, [{ ...pod, spec, status }], now) as Table

  expect(rows[0]?.cells.slice(0, 5)).toEqual(['web', '1/2', 'CrashLoopBackOff', '5 (10m ago)', '90m'])
})

test.each([
  { age: '119s', ms: 119_000 },
  { age: '2m', ms: 120_000 },
  { age: '9m59s', ms: 599_000 },
  { age: '179m', ms: 179 * 60_000 },
  { age: '3h', ms: 180 * 60_000 },
  { age: '7h59m', ms: 479 * 60_000 },
  { age: '47h', ms: 47 * 3_600_000 },
  { age: '2d', ms: 48 * 3_600_000 },
  { age: '7d23h', ms: 191 * 3_600_000 },
  { age: '729d', ms: 729 * 86_400_000 },
  { age: '2y', ms: 730 * 86_400_000 },
  { age: '7y364d', ms: (8 * 365 - 1) * 86_400_000 },
  { age: '8y', ms: 8 * 365 * 86_400_000 },
  { age: '0s', ms: -1500 },
  { age: '<invalid>', ms: -5000 },
])('an age of $ms ms is $age', ({ age, ms }) => {
  const created = Date.parse('2026-01-01T00:00:00Z')
  const { rows } = toTable(
    { group: '', plural: 'serviceaccounts', custom: false },
    [pod],
    created + ms,
  ) as Table

  expect(rows[0]?.cells).toEqual(['web', age])
})
