import { FluxError } from '../../core/errors.ts'
import { type Child, redact, runChild, startChild } from '../system/spawn.ts'
import { type GitAccess, gitError } from './failure.ts'
import type { Remote } from './remote.ts'

/**
 * The git program, run in a world that we set up: a fixed environment, no hooks, no submodules, no prompts, no system
 * configuration. The configuration in `HOME` counts, since people mount theirs there.
 *
 * Follows `spec/flux-v1/sync.md` §1, "Running git".
 */

/** Variables of our own environment that git gets, where they are set. `HTTP_PROXY` is left out on purpose. */
const passedOn = [
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'HTTPS_PROXY',
  'NO_PROXY',
  'GIT_PROXY_COMMAND',
  'HOME',
  'PATH',
  'GNUPGHOME',
  'SECRETS_DIR',
  'SECRETS_EXTENSION',
  'CLOUDSDK_CONFIG',
  'CLOUDSDK_PYTHON',
  'NSS_WRAPPER_PASSWD',
  'NSS_WRAPPER_GROUP',
  'LD_PRELOAD',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_ROLE_ARN',
]

/** Settings that hold whatever the configuration in `HOME` says. */
const settings: readonly (readonly [key: string, value: string])[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.logAllRefUpdates', 'false'],
  ['gc.auto', '0'],
  ['gc.autoDetach', 'false'],
  ['maintenance.auto', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  ['push.recurseSubmodules', 'no'],
  ['push.followTags', 'false'],
  ['push.gpgSign', 'false'],
  ['submodule.recurse', 'false'],
  ['transfer.bundleURI', 'false'],
]

export interface GitProgramOptions {
  /** found on `PATH` unless it has a slash */
  program: string
  remote: Remote
  timeoutMs: number
  /** becomes `GIT_SSH_COMMAND`; understands the options of OpenSSH */
  sshCommand: string | undefined
  /** where the variables that are passed on come from */
  environment: Readonly<Record<string, string | undefined>>
  /** what git may speak, such as `https`; see GIT_ALLOW_PROTOCOL */
  protocols: readonly string[]
  /** aborted when the mirror is closed */
  closed: AbortSignal
}

export interface GitCall {
  /** v1's prefix for error texts, such as `git clone --mirror`; by default the command */
  doing?: string
  access: GitAccess
  /** the repository; absent for `clone` */
  directory?: string
  config?: readonly (readonly [key: string, value: string])[]
  signal?: AbortSignal | undefined
  timeoutMs?: number
  maxOutputBytes?: number
  /** exit codes that are an answer; beside 0 */
  answers?: readonly number[]
}

export interface GitProgram {
  /**
   * Run a git command to its end.
   *
   * @throws FluxError of `gitError`, `GIT_TIMEOUT`, `GIT_PROGRAM_MISSING`, or `GIT_FAILED`; the signal's reason
   */
  run(args: readonly string[], call: GitCall): Promise<{ exitCode: number; stdout: Buffer }>
  /** Start a command that reads requests from its standard input. It gets no credentials. */
  start(args: readonly string[], directory: string): Child
}

export function createGitProgram(options: GitProgramOptions): GitProgram {
  const { program, remote } = options

  const environment = (call: Pick<GitCall, 'access' | 'directory' | 'config'>): Record<string, string> => {
    const env: Record<string, string> = {
      LC_ALL: 'C',
      GIT_TERMINAL_PROMPT: '0',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_ALLOW_PROTOCOL: options.protocols.join(':'),
      GIT_LITERAL_PATHSPECS: '1',
      GIT_NO_REPLACE_OBJECTS: '1',
    }
    for (const name of passedOn) {
      const value = options.environment[name]
      if (value !== undefined) env[name] = value
    }
    if (options.sshCommand !== undefined) env['GIT_SSH_COMMAND'] = options.sshCommand
    if (call.directory !== undefined) env['GIT_DIR'] = call.directory
    const config = [...settings, ...(call.config ?? [])]
    if (call.access !== 'local') {
      Object.assign(env, remote.env)
      config.push(...remote.config)
      if (options.sshCommand !== undefined) config.push(['ssh.variant', 'ssh'])
    }
    env['GIT_CONFIG_COUNT'] = String(config.length)
    for (const [index, [key, value]] of config.entries()) {
      env[`GIT_CONFIG_KEY_${index}`] = key
      env[`GIT_CONFIG_VALUE_${index}`] = value
    }
    return env
  }

  return {
    async run(args, call) {
      const { doing = `git ${args[0]}`, access } = call
      const result = await runChild({
        program,
        args,
        env: environment(call),
        timeoutMs: call.timeoutMs ?? options.timeoutMs,
        signals: call.signal ? [options.closed, call.signal] : [options.closed],
        ...(call.maxOutputBytes === undefined ? {} : { maxOutputBytes: call.maxOutputBytes }),
      })
      const command = `running git command: git [${redact(args.join(' '), remote.secrets)}]`
      if (result.error) {
        throw new FluxError('GIT_PROGRAM_MISSING', {
          what: `${doing}: ${command}: ${result.error.message}`,
          why: 'The git program could not be started.',
          next: 'Install git 2.36 or later where fluxd finds it.',
          cause: result.error,
        })
      }
      if (result.stopped === 'timeout') {
        throw new FluxError('GIT_TIMEOUT', {
          what: `${doing}: ${command}: context deadline exceeded`,
          why: 'Git did not end within its time limit.',
          next: 'Check the way to the Git server, or give it more time with --git-timeout.',
        })
      }
      if (result.stopped === 'output') {
        throw new FluxError('GIT_FAILED', { what: `${doing}: ${command}: its output is too large` })
      }
      const { exitCode = -1, stdout } = result
      if (exitCode !== 0 && !call.answers?.includes(exitCode)) {
        const output = redact(result.stderr, remote.secrets) || exitText(result.exitCode, result.signal)
        throw gitError({ doing, output, access, transport: remote.transport })
      }
      return { exitCode, stdout }
    },

    start: (args, directory) =>
      startChild({ program, args, env: environment({ access: 'local', directory }) }),
  }
}

function exitText(exitCode: number | undefined, signal: string | undefined): string {
  return exitCode === undefined ? `signal: ${signal ?? 'unknown'}` : `exit status ${exitCode}`
}
