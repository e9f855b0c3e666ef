import { formatFlags } from '../runtime/flag-table.ts'
import { flags } from './flags.ts'

/** What `fluxd --help` prints. */
export function usage(): string {
  return `fluxd keeps a cluster equal to a Git repository, and commits what fluxctl asks for.

Usage:
  fluxd --git-url=URL [flags]

Flags:
${formatFlags(flags)}`
}
