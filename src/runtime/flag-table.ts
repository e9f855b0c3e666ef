import { defaultOf, type Flag, formatDuration } from './flags.ts'

/** What `--help` of every program prints of flags: a table, in the order of names, without what is hidden or deprecated. */

const width = 100

export function formatFlags(flags: readonly Flag[]): string {
  const shown = flags.filter(({ hidden, deprecated }) => !hidden && !deprecated)
  shown.sort((a, b) => (a.name < b.name ? -1 : 1))
  return formatColumns(
    shown.map((flag): [string, string] => {
      const short = flag.short ? `-${flag.short}, ` : '    '
      const value = flag.value ? ` ${flag.value}` : ''
      const facts = [
        ...(flag.default === undefined ? [] : [`default ${showDefault(flag)}`]),
        ...(flag.env ? [`environment ${flag.env.join(', ')}`] : []),
      ]
      return [
        `${short}--${flag.name}${value}`,
        flag.summary + (facts.length > 0 ? ` (${facts.join('; ')})` : ''),
      ]
    }),
  )
}

function showDefault(flag: Flag): string {
  const value = defaultOf(flag)
  if (flag.type === 'duration') return formatDuration(Number(value))
  if (value instanceof Map) return [...value].map(([key, item]) => `${key}=${item}`).join(',')
  return String(value)
}

/** Two columns, the second wrapped. */
export function formatColumns(rows: readonly [string, string][]): string {
  const left = Math.max(...rows.map(([text]) => text.length)) + 4
  return rows
    .map(([text, about]) => {
      const [first = '', ...more] = wrapText(about, ' '.repeat(left))
      return [`  ${text}`.padEnd(left) + first.trimStart(), ...more].map((line) => `${line}\n`).join('')
    })
    .join('')
}

/** Lines of at most 100 characters. */
export function wrapText(text: string, indent: string): string[] {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(/\s+/)) {
    if (line.length > indent.length && line.length + 1 + word.length > width) {
      lines.push(line)
      line = indent
    }
    line += line.length > indent.length ? ` ${word}` : word
  }
  return [...lines, line]
}
