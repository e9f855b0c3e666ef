/**
 * The picture of a key's hash that `ssh-keygen -lv` draws: the way of a drunken bishop over a board, two bits a step.
 *
 * @see http://www.dirk-loss.de/sshvis/drunken_bishop.pdf
 */

const width = 17
const height = 9
/** by how often the bishop was there; then where he began, and where he ended */
const symbols = ' .o+=*BOX@%&#/^'
const start = 'S'
const end = 'E'

/**
 * @param title above the picture, such as `RSA 3072`
 * @returns lines, each with its newline
 */
export function drawRandomArt(hash: Uint8Array, title: string, algorithm: string): string {
  const visits = Array.from({ length: height }, () => new Array<number>(width).fill(0))
  let [x, y] = [(width - 1) / 2, (height - 1) / 2]
  for (const byte of hash) {
    for (let shift = 0; shift < 8; shift += 2) {
      x = within(x + ((byte >> shift) & 1 ? 1 : -1), width)
      y = within(y + ((byte >> shift) & 2 ? 1 : -1), height)
      const row = visits[y] ?? []
      row[x] = (row[x] ?? 0) + 1
    }
  }
  const rows = visits.map((row) => row.map((count) => symbols[Math.min(count, symbols.length - 1)] ?? ''))
  const put = (column: number, line: number, symbol: string) => rows[line]?.splice(column, 1, symbol)
  put((width - 1) / 2, (height - 1) / 2, start)
  put(x, y, end)

  const lines = [border(title), ...rows.map((row) => `|${row.join('')}|`), border(algorithm)]
  return lines.map((line) => `${line}\n`).join('')
}

function within(value: number, size: number): number {
  return Math.max(0, Math.min(size - 1, value))
}

function border(text: string): string {
  const label = `[${text}]`
  return `+${label.padStart(label.length + Math.floor((width - label.length) / 2), '-').padEnd(width, '-')}+`
}
