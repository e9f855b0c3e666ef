import { existsSync } from 'node:fs'
import { mkdtemp, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FluxError, messageOf } from '../../core/errors.ts'
import type { Ssh, SshKey } from '../../ports/ssh.ts'
import { runChild } from '../system/spawn.ts'
import { builtInKnownHosts } from './known-hosts.ts'
import { makeSshKey, readSshKey } from './ssh-key.ts'

/**
 * The ssh program as git runs it for fluxd: one key, hosts that are known and no others, no questions.
 *
 * The key is written to a folder that only our user may enter, for `ssh` refuses a key that others may read, as that of
 * a mounted Secret often is. Connections are shared for some seconds through a socket in that folder. A
 * configuration file that people mount (`.ssh/config`) is used, but can't take these settings back.
 *
 * Follows `spec/flux-v1/daemon.md` §2–3 and `spec/decisions.md`, "Starting in an existing Deployment".
 */

export interface OpenSshOptions {
  /** where `HOME` and `PATH` come from; default our own environment */
  environment?: Readonly<Record<string, string | undefined>>
  /** where the folder is made, the first that takes one; default the system's folder for temporary files */
  parentDirectories?: readonly string[]
}

export interface OpenSsh extends Ssh {
  /** for `GIT_SSH_COMMAND` */
  readonly command: string
}

/** The home of the user that v1's image runs as: people mount `known_hosts` and `config` there. */
const v1Home = '/root'
const systemKnownHosts = '/etc/ssh/ssh_known_hosts'
const systemConfig = '/etc/ssh/ssh_config'

/** A socket's address has room for 108 bytes; ssh adds a dot, 16 letters and a zero while it makes one. */
const maxSocketPath = 108 - 18
const endMs = 5_000
/** Shorter than the pause before the repository is tried again: each try asks anew whether the key is let in. */
const sharedForSeconds = 5

/** @throws FluxError `GIT_FAILED` when the folder can't be made · `SSH_FILE_UNREADABLE` for known hosts or a configuration */
export async function openSsh(options: OpenSshOptions = {}): Promise<OpenSsh> {
  const { environment = process.env, parentDirectories = [tmpdir()] } = options
  const homes = [...new Set([environment['HOME'], v1Home])].filter(
    (home) => home !== undefined && home !== '',
  )
  const config = await firstOf([...homes.map((home) => `${home}/.ssh/config`), systemConfig])
  const mountedHosts = homes.map((home) => `${home}/.ssh/known_hosts`)
  for (const path of [...mountedHosts, systemKnownHosts]) await isThere(path)

  const folder = await makeFolder(parentDirectories)
  const keyFile = join(folder, 'identity')
  const socket = join(folder, 'socket')
  const builtIn = join(folder, 'known_hosts')
  await writeFile(builtIn, `${builtInKnownHosts.join('\n')}\n`, { mode: 0o600 })

  const settings = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${[...mountedHosts, builtIn].map(quoteForSsh).join(' ')}`,
    `GlobalKnownHostsFile=${systemKnownHosts}`,
    'UpdateHostKeys=no',
    `IdentityFile=${quoteForSsh(keyFile)}`,
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'PreferredAuthentications=publickey',
    // as v1's image: keys and servers that know only SHA-1 still work, after everything better
    'HostKeyAlgorithms=+ssh-rsa',
    'PubkeyAcceptedKeyTypes=+ssh-rsa',
    'ConnectTimeout=10',
    'ServerAliveInterval=10',
    'ServerAliveCountMax=3',
    ...(Buffer.byteLength(socket) <= maxSocketPath
      ? ['ControlMaster=auto', `ControlPath=${quoteForSsh(socket)}`, `ControlPersist=${sharedForSeconds}`]
      : []),
  ]

  /** Tell the connection that is shared: `exit`, or `stop` when its last user is done. */
  const tellShared = async (word: 'exit' | 'stop') => {
    if (!existsSync(socket)) return
    await runChild({
      program: 'ssh',
      args: ['-F', 'none', '-o', `ControlPath=${quoteForSsh(socket)}`, '-O', word, 'host'],
      env: { PATH: environment['PATH'] ?? '/usr/bin:/bin' },
      timeoutMs: endMs,
    })
  }

  return {
    command: ['ssh', '-F', config ?? 'none', ...settings.flatMap((setting) => ['-o', setting])]
      .map(quoteForShell)
      .join(' '),
    makeKey: makeSshKey,
    readKey: readSshKey,
    readKeyFile,
    async useKey(key) {
      const next = `${keyFile}.next`
      await writeFile(next, key.privateKey, { mode: 0o600 })
      await rename(next, keyFile)
      await tellShared('stop')
    },
    async close() {
      await tellShared('exit')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Make a folder that only our user may enter. */
async function makeFolder(parents: readonly string[]): Promise<string> {
  let cause: unknown
  for (const parent of parents) {
    try {
      return await mkdtemp(join(parent, 'flux-ssh-'))
    } catch (error) {
      cause = error
    }
  }
  throw new FluxError('GIT_FAILED', {
    what: `making a folder for the SSH key: ${messageOf(cause)}`,
    next: 'fluxd needs a writable folder for temporary files (TMPDIR).',
    cause,
  })
}

async function readKeyFile(path: string): Promise<SshKey | undefined> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return ''
    throw unreadable(path, cause)
  })
  return text.trim() === '' ? undefined : readSshKey(text, path)
}

async function firstOf(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await isThere(path)) return path
  return undefined
}

/** Whether a file is there, as far as we may look. @throws FluxError `SSH_FILE_UNREADABLE` when it is, but closed to us */
async function isThere(path: string): Promise<boolean> {
  const there = await stat(path).then(
    () => true,
    () => false,
  )
  if (there) {
    const file = await open(path).catch((cause: unknown) => {
      throw unreadable(path, cause)
    })
    await file.close()
  }
  return there
}

function unreadable(path: string, cause: unknown): FluxError {
  const [uid, gid] = [process.geteuid?.(), process.getegid?.()]
  return new FluxError('SSH_FILE_UNREADABLE', {
    what: `reading ${path}: ${messageOf(cause)}`,
    why: `fluxd runs as uid ${uid} with gid ${gid}, and can't read what is there.`,
    next: `Set fsGroup: ${gid} in the securityContext of the pod, and defaultMode: 0440 for the volume.`,
    cause,
  })
}

/** A path in ssh's own settings, where a `%` begins a placeholder. */
function quoteForSsh(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`
}

function quoteForShell(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
