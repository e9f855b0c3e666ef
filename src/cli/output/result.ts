import { formatImageRef } from '../../core/image/ref.ts'
import type { ResourceId } from '../../core/resource/id.ts'
import { orderIds, type UpdateResult } from '../../core/update/result.ts'
import type { ContainerUpdate } from '../../core/update/spec.ts'
import { formatTable } from './table.ts'

/** The heading's cells end in a blank of their own, as in v1. */
const heading = ['WORKLOAD ', 'STATUS ', 'UPDATES']

export interface ResultRow {
  cells: string[]
  /** the change of a container that the row shows, if it shows one */
  update?: { id: ResourceId; change: ContainerUpdate }
}

/**
 * Rows of a result in order of workloads: a reason, then a row for each container that changes.
 *
 * @param verbosity skipped workloads are shown from 1 on, ignored ones from 2
 */
export function listResultRows(result: UpdateResult, verbosity: number): ResultRow[] {
  return orderIds(result.keys()).flatMap((id): ResultRow[] => {
    const { status = '', error, updates = [] } = result.get(id) ?? {}
    if ((status === 'ignored' && verbosity < 2) || (status === 'skipped' && verbosity < 1)) return []
    const rows: (Omit<ResultRow, 'cells'> & { text: string })[] = [
      ...(error ? [{ text: error }] : []),
      ...updates.map((change) => ({ text: formatUpdate(change), update: { id, change } })),
    ]
    if (rows.length === 0) rows.push({ text: '' })
    return rows.map(({ text, ...row }, index) => ({
      ...row,
      cells: index === 0 ? [id, status, text] : ['', '', text],
    }))
  })
}

/** The table that a release or a change of policies ends with. */
export function formatResult(result: UpdateResult, verbosity: number): string {
  return formatTable([heading, ...listResultRows(result, verbosity).map(({ cells }) => cells)])
}

/** The same with marks in front of the rows, which stand outside the table's columns. */
export function formatRows(
  rows: readonly ResultRow[],
  marks: readonly string[],
  headingMark: string,
): string[] {
  const lines = formatTable([heading, ...rows.map(({ cells }) => cells)])
    .split('\n')
    .slice(0, -1)
  return lines.map((line, index) => (index === 0 ? headingMark : (marks[index - 1] ?? '')) + line)
}

/** `app: ghcr.io/org/app:1.2.3 -> 1.3.0`; of a new image without a tag, its digest. */
function formatUpdate({ container, current, target }: ContainerUpdate): string {
  const next = target.digest ?? target.tag ?? ''
  return `${container}: ${current ? formatImageRef(current) : ''} -> ${next}`
}
