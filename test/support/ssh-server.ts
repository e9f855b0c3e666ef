import { execFile } from 'node:child_process'
import { accessSync, constants, mkdirSync, readFileSync } from 'node:fs'
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { GitServer } from '../../src/playground/git/server.ts'
import { freePorts } from '../../src/playground/kube/control-plane.ts'
import {
  closedEnvironment,
  createFolder,
  type Program,
  startProgram,
} from '../../src/playground/processes.ts'

/**
 * The real `sshd` in front of a repository, on a loopback port, for our own user. Nobody may log in until a key is let
 * in, and a key may run git and nothing else.
 *
 *     await using server = await sshServer(upstream)
 *     await server.letIn(publicKey)
 */

const sshd = '/usr/sbin/sshd'
/** Where the daemon wants an empty folder when it runs as root. */
const privilegeSeparation = '/run/sshd'

const programs = [sshd, '/usr/bin/ssh', '/usr/bin/ssh-keygen']

/** Why tests with `sshd` are skipped here; `undefined` where they run. */
export const sshSkipReason = programs.every(isProgram)
  ? undefined
  : 'needs sshd: apt-get install openssh-server openssh-client'
if (sshSkipReason !== undefined) console.warn(`tests of SSH are skipped: ${sshSkipReason}`)

const run = promisify(execFile)

export interface SshServer extends AsyncDisposable {
  /** of the repository */
  readonly url: string
  /** as `known_hosts` writes it: `[127.0.0.1]:port` */
  readonly host: string
  readonly port: number
  /** Lines for `known_hosts` with its keys of now. */
  knownHosts(): Promise<string>
  /** Let these public keys in, and nobody else. */
  letIn(...publicKeys: readonly (string | { publicKey: string; mayWrite: boolean })[]): Promise<void>
  /** Come back with a new host key; connections are cut. */
  renewHostKey(): Promise<void>
  /** Cut every connection that is open. */
  cutConnections(): Promise<void>
  /** how many connections have logged in so far */
  logins(): number
  log(): string
}

export async function sshServer(upstream: GitServer): Promise<SshServer> {
  if (sshSkipReason !== undefined) throw new Error(sshSkipReason)
  const folder = await createFolder('sshd-')
  const path = (name: string) => join(folder.path, name)
  const [port = 0] = await freePorts(1)
  const host = `[127.0.0.1]:${port}`
  const user = userInfo().username
  const env = closedEnvironment(folder.path)
  if (process.getuid?.() === 0) mkdirSync(privilegeSeparation, { recursive: true, mode: 0o755 })

  const makeHostKey = async () => {
    await rm(path('host-key'), { force: true })
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'host', '-f', path('host-key')])
  }
  // each login leaves the process of its connection behind, so that it can be cut
  const gitOnly = (mayWrite: boolean) => `#!/bin/sh
echo $PPID >> '${path('connections')}'
export HOME='${folder.path}' GIT_CONFIG_NOSYSTEM=1
case "$SSH_ORIGINAL_COMMAND" in
  git-upload-pack\\ *) ;;
  git-receive-pack\\ *) ${mayWrite ? ':' : "echo 'ERROR: The key you are authenticating with has been marked as read only.' >&2; exit 1"} ;;
  *) echo 'git only' >&2; exit 1 ;;
esac
exec sh -c "$SSH_ORIGINAL_COMMAND"
`
  await makeHostKey()
  await writeFile(path('read-write'), gitOnly(true))
  await writeFile(path('read-only'), gitOnly(false))
  await chmod(path('read-write'), 0o755)
  await chmod(path('read-only'), 0o755)
  await writeFile(path('connections'), '')
  await writeFile(path('authorized_keys'), '')
  await writeFile(
    path('config'),
    `Port ${port}
ListenAddress 127.0.0.1
HostKey ${path('host-key')}
AuthorizedKeysFile ${path('authorized_keys')}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PubkeyAcceptedAlgorithms +ssh-rsa
AcceptEnv GIT_PROTOCOL
LogLevel VERBOSE
`,
  )

  let daemon: Program
  let logs = 0
  const start = async () => {
    const log = path(`log-${logs++}`)
    daemon = startProgram({ file: sshd, args: ['-D', '-e', '-f', path('config')], env, log })
    await daemon.until('it listens', () => daemon.log().includes('Server listening'))
  }
  await start()

  const cutConnections = async () => {
    const pids = (await readFile(path('connections'), 'utf8')).split('\n').filter(Boolean)
    for (const pid of new Set(pids)) {
      if (isSshd(pid)) process.kill(Number(pid), 'SIGKILL')
    }
    await writeFile(path('connections'), '')
  }
  const allLogs = () =>
    Array.from({ length: logs }, (_, index) => readFileSync(path(`log-${index}`), 'utf8')).join('')

  return {
    url: `ssh://${user}@127.0.0.1:${port}${upstream.path}`,
    host,
    port,
    cutConnections,
    async knownHosts() {
      const [type = '', key = ''] = (await readFile(path('host-key.pub'), 'utf8')).split(' ')
      return `${host} ${type} ${key}\n`
    },
    async letIn(...keys) {
      const lines = keys.map((key) => {
        const { publicKey, mayWrite } = typeof key === 'string' ? { publicKey: key, mayWrite: true } : key
        return `restrict,command="${path(mayWrite ? 'read-write' : 'read-only')}" ${publicKey.trim()}\n`
      })
      await writeFile(path('authorized_keys'), lines.join(''))
    },
    async renewHostKey() {
      await daemon.kill()
      await cutConnections()
      await makeHostKey()
      await start()
    },
    logins: () => allLogs().match(/^Accepted publickey/gm)?.length ?? 0,
    log: allLogs,
    async [Symbol.asyncDispose]() {
      await daemon.kill()
      await cutConnections()
      await folder.remove()
    },
  }
}

/** Make a folder look like a home whose `known_hosts` has these lines. */
export async function writeKnownHosts(home: string, lines: string): Promise<void> {
  await mkdir(join(home, '.ssh'), { recursive: true })
  await writeFile(join(home, '.ssh', 'known_hosts'), lines)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Whether a process is still the connection that it was. */
function isSshd(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sshd')
  } catch {
    return false
  }
}
