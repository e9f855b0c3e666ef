import { defaultOf, type Flag, formatDuration } from '../runtime/flags.ts'
import type { Command } from './command.ts'
import { type CommandEntry, commands } from './commands.ts'
import { globalFlags, helpFlag } from './flags.ts'

/** What `--help` prints, made from the tables of commands and flags. */

const width = 100

/** `fluxctl` alone: where to begin. */
export const firstSteps = `\
fluxctl changes what a cluster runs by committing to the Git repository that fluxd applies.
  try it        fluxctl demo shows it all on this machine, without a cluster
  install       run fluxd in your cluster; fluxctl identity prints the key that your Git host must let write
  connect       fluxctl list-workloads --k8s-fwd-ns=NAMESPACE names where fluxd runs, or give --url=URL
  release       fluxctl release --workload=demo:deployment/web --update-all-images --dry-run
  help          fluxctl help lists every command
`

export function overview(): string {
  const list = commands.map(({ name, summary }): [string, string] => [name, summary])
  return [
    'fluxctl changes what a cluster runs by committing to the Git repository that fluxd applies.\n',
    'Usage:\n  fluxctl COMMAND [flags]\n',
    `Commands:\n${columns(list)}`,
    `Flags, before or after the command:\n${flagTable([...globalFlags, helpFlag])}`,
    'fluxctl COMMAND --help tells about one command.\n',
  ].join('\n')
}

export function commandHelp({ name, aliases, summary }: CommandEntry, command: Command): string {
  const { about, examples = [], flags, words } = command
  return [
    `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.\n`,
    ...(about ? [`${wrap(about, '').join('\n')}\n`] : []),
    `Usage:\n  fluxctl ${name}${words ? ` ${words}` : ''} [flags]\n`,
    ...(aliases ? [`Also called: ${aliases.join(', ')}\n`] : []),
    ...(examples.length > 0 ? [`Examples:\n${examples.map((line) => `  ${line}\n`).join('')}`] : []),
    `Flags:\n${flagTable([...flags, helpFlag])}`,
    `Flags of every command:\n${flagTable(globalFlags)}`,
  ].join('\n')
}

function flagTable(flags: readonly Flag[]): string {
  const shown = flags.filter(({ hidden, deprecated }) => !hidden && !deprecated)
  shown.sort((a, b) => (a.name < b.name ? -1 : 1))
  return columns(
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
function columns(rows: readonly [string, string][]): string {
  const left = Math.max(...rows.map(([text]) => text.length)) + 4
  return rows
    .map(([text, about]) => {
      const [first = '', ...more] = wrap(about, ' '.repeat(left))
      return [`  ${text}`.padEnd(left) + first.trimStart(), ...more].map((line) => `${line}\n`).join('')
    })
    .join('')
}

function wrap(text: string, indent: string): string[] {
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
