import { spawn } from 'node:child_process'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { isJsonObject, type JsonValue } from '../../core/json.ts'
import { listenOnLoopback } from '../loopback.ts'
import { createGitWorld } from './world.ts'

/**
 * A Git upstream: one bare repository, served over smart HTTP by the real `git http-backend` behind a loopback port,
 * and over `file://`. It can ask for a password, refuse pushes, protect branches and fall silent on cue.
 *
 *     await using upstream = await gitServer({ 'deploy/web.yaml': deployment('web') })
 */

export type Files = Readonly<Record<string, string | Uint8Array | null>>

export interface GitServerOptions {
  /** the default branch, on which the first commit is made; default `main` */
  branch?: string
  /** asked of every request; they stand in `url` */
  auth?: { user: string; password: string }
  objectFormat?: 'sha1' | 'sha256'
  /** the first commit's message; default `Initial` */
  message?: string
  /** told of every push over HTTP, as webhooks are */
  onPush?: () => void
  /** takes deploy keys: `POST /keys` with `{ title, key, read_only }`, as Git hosts do. @throws Error for what is no key */
  onKey?: (publicKey: string, readOnly: boolean) => void
}

export interface GitServer extends AsyncDisposable {
  /** smart HTTP, with the user and password where there are some */
  readonly url: string
  /** the same without them */
  readonly openUrl: string
  readonly fileUrl: string
  /** the bare repository's folder */
  readonly path: string
  /** the default branch */
  readonly branch: string
  /** requests so far: method and path with query */
  readonly requests: readonly string[]
  /** Run git in the bare repository; gives standard output without the newline at the end. */
  git(...args: string[]): Promise<string>
  /** Give `git fast-import` a stream of its own. */
  stream(commands: string): Promise<void>
  /** Commit on a branch (the default one): path → text, `null` removes. @returns the revision */
  commit(files: Files, message?: string, branch?: string): Promise<string>
  /** Install a hook such as `pre-receive` as a shell script, or take it away. */
  hook(name: string, script: string | undefined): Promise<void>
  /** Refuse whatever would change these branches, as hosts do for those they protect; none ends it. */
  protect(...branches: readonly string[]): Promise<void>
  /** Refuse (403) or allow pushes over HTTP. */
  setReadOnly(readOnly: boolean): Promise<void>
  /** From now on, take requests whose path and query match, and never answer them; `undefined` lets all through. */
  stall(requests: RegExp | undefined): void
  /** Answer requests whose path and query match with this status; `undefined` lets all through. */
  fail(requests: RegExp | undefined, status?: number): void
}

/** @param files of the first commit; without any the repository stays empty */
export async function gitServer(files: Files = {}, options: GitServerOptions = {}): Promise<GitServer> {
  const { branch = 'main', auth, objectFormat = 'sha1', message = 'Initial' } = options
  const world = await createGitWorld()
  const path = join(world.home, 'repository.git')
  const init = ['init', '--quiet', '--bare', `--initial-branch=${branch}`, `--object-format=${objectFormat}`]
  await world.git(world.home, [...init, path])
  await world.git(path, ['config', 'http.receivepack', 'true'])

  const requests: string[] = []
  let stalled: RegExp | undefined
  let failing: { requests: RegExp; status: number } | undefined

  const server = createServer((request, response) => {
    const target = request.url ?? '/'
    requests.push(`${request.method} ${target}`)
    if (stalled?.test(target)) return
    if (failing?.requests.test(target)) {
      response.writeHead(failing.status).end('failing on cue\n')
      return
    }
    if (auth) {
      const expected = `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`
      if (request.headers.authorization !== expected) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="git"' }).end('who are you?\n')
        return
      }
    }
    if (options.onKey && target === '/keys') return void takeKey(request, response, options.onKey)
    if (target.endsWith('/git-receive-pack')) response.on('close', () => options.onPush?.())
    serveByBackend(request, response, { ...world.env, GIT_PROJECT_ROOT: world.home })
  })
  const listener = await listenOnLoopback(server)
  const host = `${listener.host}/repository.git`
  const userInfo = auth ? `${encodeURIComponent(auth.user)}:${encodeURIComponent(auth.password)}@` : ''

  const git = (...args: string[]) => world.git(path, args)
  const commit = async (changes: Files, text = 'Change', onto = branch) => {
    const date = world.nextDate()
    const head = await git('rev-parse', '--verify', '--quiet', `refs/heads/${onto}`).catch(() => undefined)
    await world.git(
      path,
      ['fast-import', '--quiet', '--date-format=raw'],
      Buffer.concat([
        Buffer.from(
          `commit refs/heads/${onto}\ncommitter World User <world@example.com> ${date}\n` +
            `data ${Buffer.byteLength(text)}\n${text}\n${head ? `from ${head}\n` : ''}`,
        ),
        ...Object.entries(changes).flatMap(([file, content]) => fileCommand(file, content)),
      ]),
    )
    return git('rev-parse', `refs/heads/${onto}`)
  }
  const hook = async (name: string, script: string | undefined) => {
    const file = join(path, 'hooks', name)
    await mkdir(join(path, 'hooks'), { recursive: true })
    if (script === undefined) return rm(file, { force: true })
    await writeFile(file, `#!/bin/sh\n${script}\n`)
    await chmod(file, 0o755)
  }
  if (Object.keys(files).length > 0) await commit(files, message)

  return {
    url: `http://${userInfo}${host}`,
    openUrl: `http://${host}`,
    fileUrl: `file://${path}`,
    path,
    branch,
    requests,
    git,
    async stream(commands) {
      await world.git(path, ['fast-import', '--quiet', '--date-format=raw', '--force'], commands)
    },
    commit,
    hook,
    async protect(...branches) {
      const cases = branches.map(
        (name) => `refs/heads/${name}) echo 'error: GH006: Protected branch update failed.' >&2; exit 1;;`,
      )
      await hook('update', cases.length > 0 ? `case "$1" in\n${cases.join('\n')}\nesac` : undefined)
    },
    async setReadOnly(readOnly) {
      await git('config', 'http.receivepack', String(!readOnly))
    },
    stall(matching) {
      stalled = matching
    },
    fail(matching, status = 500) {
      failing = matching && { requests: matching, status }
    },
    async [Symbol.asyncDispose]() {
      await listener.close()
      await world[Symbol.asyncDispose]()
    },
  }
}

/** One line of `git fast-import`, with the content where there is some. */
function fileCommand(file: string, content: string | Uint8Array | null): Buffer[] {
  const quoted = JSON.stringify(file)
  if (content === null) return [Buffer.from(`D ${quoted}\n`)]
  const bytes = Buffer.from(content)
  return [Buffer.from(`M 100644 inline ${quoted}\ndata ${bytes.length}\n`), bytes, Buffer.from('\n')]
}

async function takeKey(
  request: IncomingMessage,
  response: ServerResponse,
  onKey: (publicKey: string, readOnly: boolean) => void,
): Promise<void> {
  let text = ''
  const answer = (status: number, message: string) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify({ message })}\n`)
  }
  try {
    for await (const chunk of request.setEncoding('utf8')) text += chunk
    const body: JsonValue = JSON.parse(text)
    const key = isJsonObject(body) ? body['key'] : undefined
    if (request.method !== 'POST' || typeof key !== 'string') {
      return answer(422, 'POST { "title": …, "key": "ssh-ed25519 …", "read_only": false }')
    }
    onKey(key, isJsonObject(body) && body['read_only'] === true)
    answer(201, 'the key is let in')
  } catch (error) {
    answer(422, (error as Error).message)
  }
}

/** CGI, as far as `git http-backend` wants it. */
function serveByBackend(
  request: IncomingMessage,
  response: ServerResponse,
  env: Readonly<Record<string, string>>,
): void {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const child = spawn('git', ['http-backend'], {
    env: {
      ...env,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: request.method ?? 'GET',
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_ADDR: '127.0.0.1',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  request.pipe(child.stdin)
  child.stdin.on('error', () => {}) // it answered before it had read all
  response.on('close', () => child.kill())

  let head: Buffer | undefined = Buffer.alloc(0)
  child.stdout.on('data', (chunk: Buffer) => {
    if (!head) {
      response.write(chunk)
      return
    }
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    let status = 200
    for (const line of head.toString('latin1', 0, end).split('\r\n')) {
      const [name = '', ...value] = line.split(': ')
      if (name === 'Status') status = Number.parseInt(value.join(': '), 10)
      else response.setHeader(name, value.join(': '))
    }
    response.writeHead(status)
    response.write(head.subarray(end + 4))
    head = undefined
  })
  child.stdout.on('end', () => response.end())
}
