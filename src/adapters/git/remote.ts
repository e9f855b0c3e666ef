import { FluxError } from '../../core/errors.ts'
import { readRemoteUrl, safeUrl } from '../../core/git/remote-url.ts'

/** The upstream as the git program is told of it: an address without secrets, and the secrets beside it. */
export interface Remote {
  /** for arguments and the mirror's configuration; user and password of HTTP(S) are taken out */
  address: string
  /** see `safeUrl` */
  safeUrl: string
  /** the way it is reached, for advice */
  transport: 'http' | 'ssh' | 'file'
  /** git settings that hold no secret */
  config: readonly (readonly [key: string, value: string])[]
  /** environment that holds the credentials; only for commands that talk to the upstream */
  env: Readonly<Record<string, string>>
  /** texts that must not be shown */
  secrets: readonly string[]
}

/**
 * A credential helper in one line of shell. It answers from the environment, so that the password stands neither in
 * the arguments of a process nor in a file; git asks it for the one host that it is set up for.
 */
const credentialHelper =
  '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$FLUX_GIT_USER" "$FLUX_GIT_PASSWORD"; }; f'

/**
 * Take the credentials out of an upstream's address.
 *
 * @throws FluxError `GIT_URL_INVALID`
 */
export function readRemote(text: string): Remote {
  const url = readRemoteUrl(text)
  const shown = safeUrl(text)
  if (!url || text === '' || text.startsWith('-')) {
    throw new FluxError('GIT_URL_INVALID', {
      what: `parsing the Git URL: ${shown}`,
      next: 'Give --git-url such as git@example.com:org/repository or https://example.com/org/repository.git.',
    })
  }
  const { scheme, user, password, host, path } = url
  if (scheme !== 'http' && scheme !== 'https') {
    const login = user === undefined ? '' : `${user}@`
    return {
      address: password === undefined ? text : `${scheme}://${login}${host}${path}`,
      safeUrl: shown,
      transport: scheme === 'file' ? 'file' : 'ssh',
      config: [],
      env: {},
      secrets: password ? [password] : [],
    }
  }

  const origin = `${scheme}://${host}`
  const remote = { address: `${origin}${path}`, safeUrl: shown, transport: 'http' } as const
  if (user === undefined) return { ...remote, config: [], env: {}, secrets: [] }
  const name = decode(user)
  if (password === undefined) {
    return { ...remote, config: [[`credential.${origin}.username`, name]], env: {}, secrets: [] }
  }
  const secret = decode(password)
  if (/[\0\r\n]/.test(name + secret)) {
    throw new FluxError('GIT_URL_INVALID', {
      what: `parsing the Git URL: ${shown}`,
      why: 'Its user or password has a line end in it.',
    })
  }
  return {
    ...remote,
    config: [
      [`credential.${origin}.helper`, ''], // forget the helpers of the user's own configuration for this host
      [`credential.${origin}.helper`, credentialHelper],
    ],
    env: { FLUX_GIT_USER: name, FLUX_GIT_PASSWORD: secret },
    secrets: [secret, password].filter(Boolean),
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
