import { defaultOf, type Flag, formatDuration } from '../runtime/flags.ts'
import { flags } from './config.ts'

/** What `helm-operator --help` prints. */
export function usage(): string {
  const shown: readonly Flag[] = flags
  const lines = shown
    .filter(({ deprecated }) => !deprecated)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((flag) => {
      const head = `${flag.short ? `-${flag.short}, ` : '    '}--${flag.name}${flag.value ? ` ${flag.value}` : ''}`
      return `  ${head.padEnd(44)} ${flag.summary}${shownDefault(flag)}`
    })
  return [
    'helm-operator turns each HelmRelease into a Helm release.',
    '',
    'Usage:',
    '  helm-operator [flags]',
    '',
    'Flags:',
    ...lines,
    '',
  ].join('\n')
}

function shownDefault(flag: Flag): string {
  const value = defaultOf(flag)
  if (flag.default === undefined) return ''
  return ` (default ${flag.type === 'duration' ? formatDuration(Number(value)) : String(value)})`
}
