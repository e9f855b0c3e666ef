import { type ErrorCode, FluxError } from '../../core/errors.ts'

/**
 * What the git program says when it fails, turned into our errors.
 *
 * `what` is v1's text (`spec/flux-v1/sync.md` §1, "Error text"): a prefix naming the command, the first line that
 * begins with `fatal: ` or `error:`, then everything. Git is run in the C locale, so that its words are known.
 */

/** What a command does: reads from the upstream, writes to it, or works in the mirror alone. */
export type GitAccess = 'read' | 'write' | 'local'

export interface GitFailure {
  /** such as `git clone --mirror` */
  doing: string
  /** all that git printed, already redacted */
  output: string
  access: GitAccess
  transport: 'http' | 'ssh' | 'file'
}

type Signs = readonly (readonly [ErrorCode, RegExp])[]

const raced =
  /stale info|fetch first|non-fast-forward|needs force|cannot lock ref|failed to (lock|update ref)|atomic transaction failed|already exists|incorrect old value|but expected/i
const readOnly =
  /unpacker error|unpack failed|insufficient permission|read[- ]only|write access|permission to .* denied|returned error: 403|not allowed to push code to this project|not permitted|service not enabled|access denied/i
const denied =
  /authentication failed|could not read (username|password)|permission denied|access denied|host key verification failed|returned error: 40[13]|dubious ownership/i
const missing =
  /repository .*not found|does not appear to be a git repository|does not exist|returned error: 404|could not be found/i
const unreachable =
  /could not resolve|name resolution|connection (refused|timed out|reset|closed)|operation timed out|failed to connect|couldn't connect|network is unreachable|no route to host|empty reply|returned error: (429|5\d\d)|ssl|tls|certificate|rpc failed|early eof|unexpected disconnect|hung up unexpectedly/i

const readSigns: Signs = [
  ['GIT_CLONE_DENIED', denied],
  ['GIT_REPOSITORY_MISSING', missing],
  ['GIT_UNREACHABLE', unreachable],
]
const writeSigns: Signs = [
  ['GIT_NOT_WRITABLE', readOnly],
  ['GIT_NOT_WRITABLE', denied],
  ['GIT_REPOSITORY_MISSING', missing],
  ['GIT_UNREACHABLE', unreachable],
]

/** The error for a git command that ended by itself, and not well. */
export function gitError({ doing, output, access, transport }: GitFailure): FluxError {
  const code = codeOf(access, output)
  return new FluxError(code, { what: `${doing}: ${errorText(output)}`, ...advice(code, transport, output) })
}

/** v1's short text of a failure: the first telling line, then all of it. */
export function errorText(output: string): string {
  const lines = output.split('\n')
  const line =
    // before it an atomic push also says how it counts refs, and that it hung up
    lines.find((text) => text.startsWith('error: failed to push')) ??
    lines.find((text) => /^(ERROR )?fatal: |^error:/.test(text))
  return line === undefined ? output : `${line.replace(/^error:\s*/, '')}, full output:\n ${output}`
}

function codeOf(access: GitAccess, output: string): ErrorCode {
  if (access === 'local') return 'GIT_FAILED'
  if (access === 'write') {
    const refusals = rejections(output)
    if (refusals.length > 0) {
      if (/aborted by hook|hook declined/i.test(output)) return 'GIT_PUSH_REJECTED'
      if (refusals.some((reason) => raced.test(reason))) return 'GIT_PUSH_RACE'
      return refusals.some((reason) => readOnly.test(reason)) ? 'GIT_NOT_WRITABLE' : 'GIT_PUSH_REJECTED'
    }
  }
  const signs = access === 'write' ? writeSigns : readSigns
  return signs.find(([, sign]) => sign.test(output))?.[0] ?? 'GIT_FAILED'
}

/** The reasons that git gives for refs it could not push. */
function rejections(output: string): string[] {
  const all = [...output.matchAll(/^ ! \[(?:remote )?(?:rejected|failure)\] .*\((.*)\)$/gm)].map(
    ([, reason = '']) => reason,
  )
  const causes = all.filter((reason) => !/atomic push fail/i.test(reason))
  return [...new Set(causes.length > 0 ? causes : all)]
}

function advice(
  code: ErrorCode,
  transport: GitFailure['transport'],
  output: string,
): { why?: string; next?: string } {
  const key = transport === 'ssh'
  switch (code) {
    case 'GIT_CLONE_DENIED':
      if (/host key verification failed/i.test(output)) {
        return {
          why: "The Git server's host key is not among the known hosts.",
          next: 'Compare the key, then add it to the known_hosts file that fluxd mounts.',
        }
      }
      return {
        why: 'The Git server does not let fluxd read the repository.',
        next: key
          ? 'Add the key that `fluxctl identity` prints as a deploy key of the repository.'
          : 'Check the user and password (or token) in --git-url.',
      }
    case 'GIT_REPOSITORY_MISSING':
      return {
        why: 'There is no such repository, or fluxd may not know of it.',
        next: key
          ? 'Check --git-url, and that the key that `fluxctl identity` prints is a deploy key of the repository.'
          : 'Check --git-url.',
      }
    case 'GIT_NOT_WRITABLE':
      return {
        why: 'The repository can be read, but fluxd may not push to it.',
        next: key
          ? 'Give the key that `fluxctl identity` prints write access, or run fluxd with --git-readonly.'
          : 'Give --git-url a user and password (or token) with write access, or run fluxd with --git-readonly.',
      }
    case 'GIT_PUSH_RACE':
      return {
        why: 'Somebody else pushed in the meantime.',
        next: 'It is safe to try again.',
      }
    case 'GIT_PUSH_REJECTED':
      return {
        why: `The Git server refused the push: ${rejections(output).join('; ')}.`,
        next: 'Let fluxd push to the branch: look at its protection and at the hooks of the server.',
      }
    case 'GIT_UNREACHABLE':
      return {
        why: 'The Git server could not be reached, or broke off.',
        next: 'Check the host in --git-url, DNS, proxies and network policies. fluxd goes on trying.',
      }
    default:
      return {}
  }
}
