import { escapeLine } from './text.ts'

const gap = 2

/**
 * Lay out rows as Go's elastic tab writer does: every cell but a row's last is padded to the widest cell of the same column
 * in the rows around it that also have that column, and two blanks. The last cell stands as it is, so a row may end in blanks.
 *
 * @returns one line a row, each with its newline
 * @see https://pkg.go.dev/text/tabwriter
 */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(escapeLine))
  const padded = cells.map((row) => [...row])
  const columns = Math.max(0, ...cells.map((row) => row.length - 1))
  for (let column = 0; column < columns; column++) {
    let start = 0
    while (start < cells.length) {
      const hasColumn = (row: number) => column < (cells[row]?.length ?? 0) - 1
      let end = start
      while (end < cells.length && hasColumn(end)) end++
      const block = padded.slice(start, end)
      const width = Math.max(...block.map((row) => widthOf(row[column] ?? ''))) + gap
      for (const row of block) row[column] += ' '.repeat(width - widthOf(row[column] ?? ''))
      start = end + 1
    }
  }
  return padded.map((row) => `${row.join('')}\n`).join('')
}

/** Code points, which is what Go counts. */
function widthOf(text: string): number {
  return [...text].length
}
