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
  /authentication failed|could not read (username|password)|permission denied|access denied|unauthorized|returned error: 40[13]|dubious ownership/i
const missing =
  /repository .*not found|does not appear to be a git repository|does not exist|returned error: 404|could not be found/i
const unreachable =
  /could not resolve|name resolution|connection (refused|timed out|reset|closed)|operation timed out|failed to connect|couldn't connect|network is unreachable|no route to host|empty reply|returned error: (429|5\d\d)|ssl|tls|certificate|rpc failed|early eof|unexpected disconnect|hung up unexpectedly/i

/** What the ssh program says before git gets to speak with the server. */
const sshSigns: Signs = [
  ['GIT_PROGRAM_MISSING', /cannot run ssh|ssh: (command )?not found/],
  ['GIT_HOST_KEY_CHANGED', /REMOTE HOST IDENTIFICATION HAS CHANGED|^Host key for .* has changed/m],
  ['GIT_HOST_UNKNOWN', /Host key verification failed/],
  ['GIT_KEY_REFUSED', /Permission denied \([\w,-]+\)/],
]
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
  const code = codeOf(access, transport, output)
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

function codeOf(access: GitAccess, transport: GitFailure['transport'], output: string): ErrorCode {
  if (access === 'local') return 'GIT_FAILED'
  if (access === 'write') {
    const refusals = rejections(output)
    if (refusals.length > 0) {
      if (/aborted by hook|hook declined/i.test(output)) return 'GIT_PUSH_REJECTED'
      if (refusals.some((reason) => raced.test(reason))) return 'GIT_PUSH_RACE'
      return refusals.some((reason) => readOnly.test(reason)) ? 'GIT_NOT_WRITABLE' : 'GIT_PUSH_REJECTED'
    }
  }
  const signs = [...(transport === 'ssh' ? sshSigns : []), ...(access === 'write' ? writeSigns : readSigns)]
  return signs.find(([, sign]) => sign.test(output))?.[0] ?? 'GIT_FAILED'
}

/** The reasons that git gives for refs it could not push. */
function rejections(output: string): string[] {
  const all = [...output.matchAll(/^ ! \[(?:remote )?(?:rejected|failure)\] .*\(([^(\n]*)\)$/gm)].map(
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
    case 'GIT_PROGRAM_MISSING':
      return {
        why: 'The ssh program could not be started.',
        next: 'Install the OpenSSH client where fluxd finds it.',
      }
    case 'GIT_HOST_KEY_CHANGED':
      return changedHost(output)
    case 'GIT_HOST_UNKNOWN':
      return unknownHost(output)
    case 'GIT_KEY_REFUSED':
      return {
        why: 'The Git server does not accept the key of fluxd.',
        next: 'Add the key that `fluxctl identity` prints as a deploy key of the repository, with write access. fluxd tries again every ten seconds.',
      }
    case 'GIT_FAILED':
      return /No user exists for uid/.test(output)
        ? {
            why: 'The ssh program works only for users that stand in /etc/passwd, and ours does not.',
            next: 'Set runAsUser in the securityContext of the pod to a user of the image, such as 65534 (nobody).',
          }
        : {}
    case 'GIT_CLONE_DENIED':
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

function changedHost(output: string): { why: string; next: string } {
  const host = /^Host key for (.+) has changed/m.exec(output)?.[1] ?? 'the Git server'
  const place = /^Offending \S+ key in (.+)$/m.exec(output)?.[1]
  const shown = /SHA256:[\w+/]+/.exec(output)?.[0]
  return {
    why:
      `${host} shows another host key${shown ? ` (${shown})` : ''} than the one ` +
      `${place ? `at ${place}` : 'in known_hosts'}: it has a new key, or somebody else answers in its place.`,
    next: `Ask the host for its fingerprints. If the key is its own, put it into the known_hosts that fluxd mounts: ${keyscan(host)}`,
  }
}

function unknownHost(output: string): { why: string; next: string } {
  const host = /host key is known for (\S+) and/.exec(output)?.[1]
  return {
    why: `The host key of ${host ?? 'the Git server'} is not among the known hosts.`,
    next: `Get its keys, compare them with the fingerprints that the host publishes, and put them into the known_hosts that fluxd mounts: ${keyscan(host)}`,
  }
}

/** The command that gets the keys of a host, `host` or `[host]:port`. */
function keyscan(host = 'HOST'): string {
  const [, name = host, port] = /^\[(.+)\]:(\d+)$/.exec(host) ?? []
  return /^[\w.:-]+$/.test(name) ? `ssh-keyscan ${port ? `-p ${port} ` : ''}${name}` : 'ssh-keyscan HOST'
}
