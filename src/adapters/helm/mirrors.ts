import { FluxError } from '../../core/errors.ts'
import { isHttpUrl, readRemoteUrl } from '../../core/git/remote-url.ts'
import type { GitMirror } from '../../ports/git.ts'
import { createGitMirror } from '../git/mirror.ts'
import { openSsh } from '../git/ssh.ts'
import type { GitCredentials } from './git-charts.ts'

/** Mirrors of chart repositories: with a Secret's password, or with the operator's own SSH key, never with both. */

/** Where v1's Deployments mount the key, the first that is there. */
const keyFiles = ['/etc/fluxd/ssh/identity', '/var/fluxd/keygen/identity']

export interface Mirrors {
  open(url: string, credentials: GitCredentials | undefined): GitMirror
  /** @param name of the Secret, for the error @throws FluxError `SECRET_MISSING` */
  readCredentials(data: ReadonlyMap<string, string>, name: string): GitCredentials
  close(): Promise<void>
}

export interface MirrorsOptions {
  git: { timeoutMs: number; protocols: readonly string[] }
  folder: string
  environment: Readonly<Record<string, string | undefined>>
}

/** @throws FluxError `SSH_KEY_INVALID` | `SSH_FILE_UNREADABLE` */
export async function createMirrors({ git, folder, environment }: MirrorsOptions): Promise<Mirrors> {
  const ssh = await openSsh({ environment, parentDirectories: [folder] })
  for (const file of keyFiles) {
    const key = await ssh.readKeyFile(file)
    if (!key) continue
    await ssh.useKey(key)
    break
  }
  return {
    open(url, credentials) {
      if (credentials && !isHttpUrl(url)) {
        throw new FluxError('CHART_UNAVAILABLE', {
          what: 'chart unavailable: a secretRef has a user and a password, which only HTTPS asks for',
          next: 'Write an https:// URL, or leave secretRef out to use the operator’s own key.',
        })
      }
      return createGitMirror({
        url: credentials ? withCredentials(url, credentials) : url,
        notesRef: 'flux',
        timeoutMs: git.timeoutMs,
        protocols: git.protocols,
        parentDirectory: folder,
        environment,
        ...(!credentials && { sshCommand: ssh.command }),
      })
    },
    readCredentials(data, name) {
      const [username, password] = ['username', 'password'].map((key) => {
        const text = data.get(key)?.replace(/\r?\n$/, '')
        if (text) return text
        throw new FluxError('SECRET_MISSING', { what: `could not find ${key} key in secret ${name}` })
      })
      return { username: username ?? '', password: password ?? '' }
    },
    close: () => ssh.close(),
  }
}

function withCredentials(url: string, { username, password }: GitCredentials): string {
  const remote = readRemoteUrl(url)
  if (!remote) return url
  return `${remote.scheme}://${encodeURIComponent(username)}:${encodeURIComponent(password)}@${remote.host}${remote.path}`
}
