import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A row of a Markdown table: its cells, and the heading that it stands under. */
export interface Row {
  heading: string
  cells: readonly string[]
}

/** Rows of every table on a page of `docs`, without heads and rules. A `\|` in a cell is a `|`. */
export function rowsOf(page: string): Row[] {
  const rows: Row[] = []
  let heading = ''
  let tableStarted = false
  for (const line of readFileSync(join('docs', page), 'utf8').split('\n')) {
    heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading
    if (!line.startsWith('|')) tableStarted = false
    else if (/^\|[\s|:-]+\|$/.test(line)) tableStarted = true
    else if (tableStarted) rows.push({ heading, cells: cellsOf(line) })
  }
  return rows
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'))
}

/** The text of a cell that is code, or `undefined`. */
export function codeIn(cell = ''): string | undefined {
  return /^`([^`]+)`$/.exec(cell)?.[1]
}
