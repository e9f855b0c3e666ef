import { FluxError } from '../../core/errors.ts'
import type { ChildEnd } from '../system/spawn.ts'

/** What helm says on standard error, as an error of ours. Helm has one exit code for everything: the words decide. */

const longestText = 1000

/** @param output standard error, without secrets */
export function helmFailure(doing: string, output: string, end: ChildEnd): FluxError {
  const what =
    errorText(output) || `${doing}: ${end.signal ? `signal ${end.signal}` : `exit status ${end.exitCode}`}`
  for (const { words, code, next } of meanings) {
    if (words.test(what)) return new FluxError(code, { what, ...(next !== undefined && { next }) })
  }
  return new FluxError('HELM_FAILED', { what })
}

const meanings: readonly {
  words: RegExp
  code: 'CLUSTER_UNREACHABLE' | 'CHART_INVALID' | 'HELM_FAILED'
  next?: string
}[] = [
  { words: /kubernetes cluster unreachable/i, code: 'CLUSTER_UNREACHABLE' },
  {
    words:
      /missing in charts\/ directory|Chart\.yaml file is missing|chart metadata|file '.*' does not appear to be a gzipped archive/,
    code: 'CHART_INVALID',
  },
  {
    words: /invalid ownership metadata/,
    code: 'HELM_FAILED',
    next: 'The object belongs to no release or to another one. Delete it, or label and annotate it as the message says.',
  },
  {
    words: /resource mapping not found|no matches for kind/,
    code: 'HELM_FAILED',
    next: 'Install the CustomResourceDefinition first; it is tried again soon.',
  },
  {
    words: /namespaces? ".*" not found/,
    code: 'HELM_FAILED',
    next: 'Create the namespace: fluxd does so when it stands in Git.',
  },
]

/** What follows the last `Error: `: warnings and log lines come before it. */
function errorText(output: string): string {
  const at = output.lastIndexOf('Error: ')
  const text = (at < 0 ? output : output.slice(at + 'Error: '.length))
    .trim()
    .replace(/^(INSTALLATION|UPGRADE) FAILED: /, '')
  return text.length <= longestText ? text : `${text.slice(0, longestText)}…`
}
