import { formatFlags } from '../runtime/flag-table.ts'
import { flags } from './config.ts'

/** What `helm-operator --help` prints. */
export function usage(): string {
  return `helm-operator turns each HelmRelease into a Helm release.

Usage:
  helm-operator [flags]

Flags:
${formatFlags(flags)}`
}
