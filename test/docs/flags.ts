import { defaultOf, type Flag, formatDuration } from '../../src/runtime/flags.ts'
import type { Row } from './page.ts'

/** A flag as a table of flags shows it: its names, its default. */
export function shownFlag(flag: Flag): string {
  const short = flag.short ? `\`-${flag.short}\`, ` : ''
  const value = flag.value ? ` ${flag.value}` : ''
  return `${short}\`--${flag.name}${value}\` | ${shownDefault(flag)}`
}

function shownDefault(flag: Flag): string {
  const value = defaultOf(flag)
  if (flag.default === undefined) return ''
  if (flag.type === 'duration') return `\`${formatDuration(Number(value))}\``
  if (value instanceof Map) return `\`${[...value].map(([key, item]) => `${key}=${item}`).join(',')}\``
  return Array.isArray(value) ? value.map((item) => `\`${item}\``).join(', ') : `\`${String(value)}\``
}

/** A row of such a table. */
export function rowAsShown({ cells: [names, byDefault] }: Row): string {
  return `${names} | ${byDefault}`
}
