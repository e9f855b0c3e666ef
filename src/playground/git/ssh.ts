import { spawn } from 'node:child_process'
import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { basename, dirname } from 'node:path'
import ssh2 from 'ssh2'

/**
 * SSH in front of a bare repository, by `ssh2`: a host key, public keys that may be let in and out while it runs, and
 * git's two commands, which the real git answers.
 *
 * Leaves out everything else that SSH has: shells, forwards, passwords.
 */
export interface GitSshServer extends AsyncDisposable {
  /** `ssh://git@127.0.0.1:PORT/NAME.git` */
  readonly url: string
  /** as `known_hosts` writes it: `[127.0.0.1]:PORT` */
  readonly host: string
  /** Lines for `known_hosts` with its key of now. */
  knownHosts(): string
  /** Let these public keys in, and nobody else. @throws Error for a text that is no public key */
  letIn(...keys: readonly (string | AcceptedKey)[]): void
  /** Let one more in. */
  add(key: AcceptedKey): void
  /** Come back with a new host key; connections are cut. */
  renewHostKey(): Promise<void>
  /** Cut every connection that is open. */
  cutConnections(): void
  /** how many connections have logged in so far */
  logins(): number
}

export interface AcceptedKey {
  /** a line as in `identity.pub` */
  publicKey: string
  mayWrite: boolean
}

export interface GitSshOptions {
  /** the bare repository's folder */
  path: string
  /** of git */
  env: Readonly<Record<string, string>>
}

const user = 'git'

export async function gitSshServer({ path, env }: GitSshOptions): Promise<GitSshServer> {
  let accepted: { key: ssh2.ParsedKey; mayWrite: boolean }[] = []
  let hostKey = makeHostKey()
  const open = new Set<ssh2.Connection>()
  let logins = 0

  const acceptedKey = (context: ssh2.PublicKeyAuthContext) =>
    accepted.find(({ key }) => isSame(key.getPublicSSH(), context.key.data))

  const serve = (connection: ssh2.Connection) => {
    let mayWrite = false
    open.add(connection)
    connection
      .on('error', () => {}) // it is cut
      .on('close', () => open.delete(connection))
      .on('authentication', (context) => {
        if (context.username !== user || context.method !== 'publickey') return context.reject(['publickey'])
        const found = acceptedKey(context)
        if (!found) return context.reject(['publickey'])
        if (context.signature && context.blob) {
          // without a signature the client only asks whether the key would do
          const signed = found.key.verify(context.blob, context.signature, context.hashAlgo)
          if (signed !== true) return context.reject(['publickey'])
          mayWrite = found.mayWrite
          logins += 1
        }
        context.accept()
      })
      .on('session', (acceptSession) => {
        const session = acceptSession()
        const settings: Record<string, string> = {}
        session
          .on('env', (accept, _, { key, val }) => {
            if (key === 'GIT_PROTOCOL') settings[key] = val
            accept?.()
          })
          .on('exec', (accept, _, { command }) => runGit(command, mayWrite, settings, accept()))
      })
  }

  const runGit = (
    command: string,
    mayWrite: boolean,
    settings: Record<string, string>,
    channel: ssh2.ServerChannel,
  ) => {
    const end = (code: number, why = '') => {
      if (why) channel.stderr.write(`${why}\n`)
      channel.exit(code)
      channel.end()
    }
    const [, program = '', name] = /^git[ -](upload-pack|receive-pack) '?\/?([^']*)'?$/.exec(command) ?? []
    if (program === '') return end(1, 'This server is for git only.')
    if (name !== basename(path)) return end(1, `ERROR: Repository not found: ${name}`)
    if (program === 'receive-pack' && !mayWrite) {
      return end(1, 'ERROR: The key you are authenticating with has been marked as read only.')
    }
    const child = spawn('git', [program, path], { env: { ...env, ...settings }, cwd: dirname(path) })
    channel.pipe(child.stdin)
    child.stdin.on('error', () => {}) // it ended without reading all
    child.stdout.pipe(channel, { end: false })
    child.stderr.pipe(channel.stderr, { end: false })
    child.on('error', ({ message }) => end(1, message))
    child.on('close', (code) => end(code ?? 1))
    channel.on('close', () => child.kill())
  }

  const listen = async (port: number) => {
    const server = new ssh2.Server({ hostKeys: [hostKey.private] }, serve)
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return server
  }
  const cutConnections = () => {
    for (const connection of open) connection.end()
  }
  const close = async () => {
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()))
    cutConnections()
    await closed
  }

  let server = await listen(0)
  const { port } = server.address() as AddressInfo
  const host = `[127.0.0.1]:${port}`
  const read = (key: string | AcceptedKey) => {
    const { publicKey, mayWrite } = typeof key === 'string' ? { publicKey: key, mayWrite: true } : key
    const parsed = ssh2.utils.parseKey(publicKey)
    if (parsed instanceof Error) throw new Error(`this is no public key: ${parsed.message}`)
    return { key: parsed, mayWrite }
  }

  return {
    url: `ssh://${user}@127.0.0.1:${port}/${basename(path)}`,
    host,
    knownHosts: () => `${host} ${hostKey.public.split(' ', 2).join(' ')}\n`,
    letIn(...keys) {
      accepted = keys.map(read)
    },
    add(key) {
      accepted.push(read(key))
    },
    async renewHostKey() {
      await close()
      hostKey = makeHostKey()
      server = await listen(port)
    },
    cutConnections,
    logins: () => logins,
    [Symbol.asyncDispose]: close,
  }
}

function makeHostKey(): { private: string; public: string } {
  return ssh2.utils.generateKeyPairSync('ed25519')
}

function isSame(a: Buffer, b: Buffer): boolean {
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
  return timingSafeEqual(digest(a), digest(b))
}
