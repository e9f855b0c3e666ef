import { formatColumns, formatFlags, wrapText } from '../runtime/flag-table.ts'
import type { Command } from './command.ts'
import { type CommandEntry, commands } from './commands.ts'
import { globalFlags, helpFlag } from './flags.ts'

/** What `--help` prints, made from the tables of commands and flags. */

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
    `Commands:\n${formatColumns(list)}`,
    `Flags, before or after the command:\n${formatFlags([...globalFlags, helpFlag])}`,
    'fluxctl COMMAND --help tells about one command.\n',
  ].join('\n')
}

export function commandHelp({ name, aliases, summary }: CommandEntry, command: Command): string {
  const { about, examples = [], flags, words } = command
  return [
    `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.\n`,
    ...(about ? [`${wrapText(about, '').join('\n')}\n`] : []),
    `Usage:\n  fluxctl ${name}${words ? ` ${words}` : ''} [flags]\n`,
    ...(aliases ? [`Also called: ${aliases.join(', ')}\n`] : []),
    ...(examples.length > 0 ? [`Examples:\n${examples.map((line) => `  ${line}\n`).join('')}`] : []),
    `Flags:\n${formatFlags([...flags, helpFlag])}`,
    `Flags of every command:\n${formatFlags(globalFlags)}`,
  ].join('\n')
}
