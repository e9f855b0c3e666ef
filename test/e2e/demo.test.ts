import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { expectNothingLeft, processesWith, startDemo } from '../support/demo.ts'
import { helm, helmVersions } from '../support/neighbours.ts'

/** The built `fluxctl demo`: the story, the world that stays, and what they refuse. */

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
  folders.push(folder)
  return folder
}

const storyMs = 120_000

describe('the story', () => {
  test(
    'comes out well in a pipe, beside another one that is killed, and neither leaves anything behind',
    async () => {
      await using demo = startDemo()
      await using other = startDemo()

      await other.said('\n5/')
      expect(processesWith(other.folder).length).toBeGreaterThan(2)
      other.child.kill('SIGKILL')
      const { code, stdout, stderr } = await demo.ended()

      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toContain(
        '\nLeft out are 4 steps with Helm charts: there is no helm 3.17 or newer on the PATH',
      )
      expect(stdout).toMatch(/\nAll 13 steps came out as told, in \d+ s\. Nothing of that world is left/)
      expect(stdout).toMatch(/^-.*podinfo:3\.1\.0 {2}# kept in step with the cluster\n\+.*podinfo:3\.1\.5 /m)
      expect(stdout, 'in a pipe there are no colours').not.toContain('\x1b')
      await expectNothingLeft(demo)
      await expectNothingLeft(other)
    },
    storyMs,
  )

  test.each([
    { when: 'while its world starts', said: '1/13' },
    { when: 'in the midst of it', said: '\n5/13' },
  ])(
    'leaves nothing behind when it is interrupted $when',
    async ({ said }) => {
      await using demo = startDemo()

      await demo.said(said)
      demo.child.kill('SIGINT')
      const { code, stderr } = await demo.ended()

      expect({ code, stderr }).toEqual({ code: 130, stderr: '' })
      await expectNothingLeft(demo)
    },
    storyMs,
  )

  test.skipIf(!existsSync('/usr/bin/script'))(
    'stays up on a terminal, in colours, until Ctrl-C',
    async () => {
      await using demo = startDemo([], { terminal: true })

      await demo.said('Ctrl-C ends it')
      const screen = demo.stdout()
      const [, file = ''] = /\n {2}\. (\S+\/env)\r?\n/.exec(screen) ?? []
      const pushed = inShell(file, 'fluxctl demo push example/podinfo:3.1.8')
      const listed = inShell(file, 'fluxctl list-workloads -n demo')
      demo.child.stdin?.write('\x03')
      const { code } = await demo.ended()

      expect(screen).toContain('\x1b[1m13/13  Undo\x1b[0m')
      expect(screen).toMatch(/\x1b\[31m-.*podinfo:3\.1\.0/)
      expect(pushed).toMatch(/^Pushed 127\.0\.0\.1:\d+\/example\/podinfo:3\.1\.8 sha256:[0-9a-f]{64}\n$/)
      expect(listed).toMatch(/^demo:deployment\/podinfo .*:3\.1\.6 +ready/m)
      expect(code).toBe(0)
      expect(demo.stdout()).toMatch(/Nothing of that world is left on this machine\.\r\n$/)
      await expectNothingLeft(demo)
    },
    storyMs,
  )

  test.skipIf(!existsSync('/usr/bin/script'))(
    'uses HTTP without an ssh, no colours with NO_COLOR, and does not stay where a CI system plays the terminal',
    async () => {
      await using demo = startDemo([], {
        terminal: true,
        programs: { ssh: undefined },
        env: { NO_COLOR: '1', CI: 'true' },
      })

      const { code, stdout } = await demo.ended()

      expect(code, stdout.slice(-3_000)).toBe(0)
      expect(stdout).toContain('There is no working ssh on this machine, so it uses HTTP and a password')
      expect(stdout).toContain('$ fluxd --git-url=http://127.0.0.1:')
      expect(stdout).not.toContain('\x1b[')
    },
    storyMs,
  )
})

describe.each(helmVersions)('with helm %s', (version) => {
  test.skipIf(helm(version) === undefined)(
    'the story goes on with charts in dev, staging and production',
    async () => {
      await using demo = startDemo([], { programs: { helm: helm(version) } })

      const { code, stdout, stderr } = await demo.ended()

      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toContain('✓ podinfo-prod is deployed, revision 3, chart podinfo-0.1.0')
      expect(stdout).toContain('\nAll 17 steps came out as told')
      await expectNothingLeft(demo)
    },
    storyMs,
  )
})

describe('the world that is served', () => {
  test(
    'is ready when it says so, and is gone after SIGTERM',
    async () => {
      const parent = newFolder()
      const state = join(parent, "it's here")
      await using demo = startDemo(['--serve', `--state=${state}`])

      await demo.said('ready\n')
      const env = join(state, 'env')
      const modes = ['', 'env', 'kubeconfig', 'docker/config.json'].map((path) =>
        (statSync(join(state, path)).mode & 0o777).toString(8),
      )
      const workloads = inShell(env, 'fluxctl list-workloads -n demo')
      inShell(env, 'fluxctl release --workload=demo:deployment/podinfo --update-all-images')
      const log = inShell(env, `git clone -q "$GIT_URL" "${parent}/clone" && git -C "${parent}/clone" log -1`)
      demo.child.kill('SIGTERM')
      const { code, stdout, stderr } = await demo.ended()

      expect(modes).toEqual(['700', '600', '600', '600'])
      expect(workloads).toMatch(/^demo:deployment\/podinfo .*:3\.1\.0 /m)
      expect(log).toContain('Release all latest to demo:deployment/podinfo')
      expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'ready\n', stderr: '' })
      expect(existsSync(state)).toBe(false)
      await expectNothingLeft(demo)
    },
    storyMs,
  )

  test(
    'is gone after kill -9 too',
    async () => {
      const state = newFolder()
      await using demo = startDemo(['--serve', '--state', state])

      await demo.said('ready\n')
      demo.child.kill('SIGKILL')

      await expectNothingLeft(demo)
      await expect.poll(() => existsSync(state), { timeout: 10_000 }).toBe(false)
    },
    storyMs,
  )

  test(
    'lets nobody in without its credentials, and no page of a browser with them',
    async () => {
      const state = join(newFolder(), 'state')
      await using demo = startDemo(['--serve', `--state=${state}`])
      await demo.said('ready\n')
      const variables = Object.fromEntries(
        [...readFileSync(join(state, 'env'), 'utf8').matchAll(/^export (\w+)='(.*)'$/gm)].map(
          ([, name, value]) => [name, value],
        ),
      )
      const login = JSON.parse(readFileSync(join(state, 'docker/config.json'), 'utf8'))
      const ask = async (url: URL | string, headers: Record<string, string> = {}) => {
        const { username, password, origin, pathname } = new URL(url)
        const basic = username && Buffer.from(`${username}:${password}`).toString('base64')
        const authorization = basic && { authorization: `Basic ${basic}` }
        return (await fetch(origin + pathname, { headers: { ...authorization, ...headers } })).status
      }
      const doors = [
        `${variables['FLUX_URL']}/v11/ping`,
        `${variables['GIT_URL']}/HEAD`,
        `http://demo:${Buffer.from(login.auths[variables['REGISTRY'] ?? ''].auth, 'base64')
          .toString()
          .slice(5)}@${variables['REGISTRY']}/v2/`,
      ]

      for (const door of doors) {
        const bare = Object.assign(new URL(door), { username: '', password: '' })
        expect({ door: bare.pathname, status: await ask(door) }).toMatchObject({
          status: expect.toSatisfy((status: number) => status < 300),
        })
        expect({ door: bare.pathname, status: await ask(bare) }).toMatchObject({ status: 401 })
        expect({
          door: bare.pathname,
          status: await ask(door, { origin: 'https://example.com' }),
        }).toMatchObject({ status: 403 })
      }
      demo.child.kill('SIGTERM')
      await demo.ended()
    },
    storyMs,
  )
})

test.each([
  { what: 'the story', args: [] },
  { what: 'the world that is served', args: ['--serve'] },
])(
  'of the user, $what reaches nothing',
  async ({ args }) => {
    const trap = await setTrap()
    const state = join(newFolder(), 'state')
    await using demo = startDemo(
      args.length > 0 ? [...args, `--state=${state}`] : [],
      // what the demo's own process gets; HOME and all
      { env: trap.env },
    )

    if (args.length > 0) {
      await demo.said('ready\n')
      const aware = processesWith('canary').filter((pid) => pid !== String(demo.child.pid))
      expect(aware, 'processes that know a secret of the user').toEqual([])
      expect(filesWith('canary', state)).toEqual([])
      demo.child.kill('SIGTERM')
    }
    const { code, stdout, stderr } = await demo.ended()

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).not.toMatch(/canary|production/)
    expect(trap.connections()).toEqual([])
    expect(readdirSync(trap.home).sort(), 'nothing is written to HOME').toEqual(trap.homeFiles)
    await trap.close()
  },
  storyMs,
)

describe('it refuses', () => {
  test('to start without Git', () => {
    const { status, stderr } = demo([], { PATH: newFolder() })

    expect(status).toBe(1)
    expect(stderr).toMatch(/^Error: the demo needs the program git, which is not on the PATH\n/)
  })

  test.each([
    { args: ['--colour'], error: 'unknown flag: --colour' },
    {
      args: ['--url=http://127.0.0.1:3030'],
      error: '--url has no meaning here: the demo has a world of its own',
    },
    { args: ['now'], error: 'expected nothing, or: push IMAGE:TAG' },
    { args: ['push'], error: 'expected nothing, or: push IMAGE:TAG' },
    { args: ['push', 'a:1', '--serve'], error: 'push takes no flags' },
    { args: ['--serve'], error: '--serve needs --state=DIR, where DIR/env will be' },
  ])('$args', ({ args, error }) => {
    const { status, stderr } = demo(args)

    expect(status).toBe(2)
    expect(stderr).toMatch(new RegExp(`^Error: ${error.replace(/[()]/g, '\\$&')}\n`))
  })

  test.each([
    {
      what: 'a folder that is in use',
      make: (path: string) => writeFileSync(join(path, 'mine'), ''),
      why: 'is not empty',
    },
    {
      what: 'a folder that others may enter',
      make: (path: string) => chmodSync(path, 0o755),
      why: 'is open to others',
    },
  ])('$what', ({ make, why }) => {
    const state = newFolder()
    make(state)

    const { status, stderr } = demo([`--state=${state}`])

    expect(status).toBe(1)
    expect(stderr).toContain(`Error: the state can not be kept in ${state}: ${state} ${why}`)
    expect(existsSync(state)).toBe(true)
  })

  test.each([
    {
      what: 'a server elsewhere',
      server: 'https://production.example.com:6443',
      user: { token: 'x' },
      error: 'https://production.example.com:6443 is not on this machine',
    },
    {
      what: 'a server whose name only looks like this machine',
      server: 'https://127.0.0.1.example.com',
      user: { token: 'x' },
      error: 'https://127.0.0.1.example.com is not on this machine',
    },
    {
      what: 'programs for credentials',
      server: 'https://127.0.0.1:1',
      user: { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'touch' } },
      error: 'proves who you are by `exec`',
    },
    {
      what: 'a server that is not there',
      server: 'https://127.0.0.1:1',
      user: { token: 'x' },
      error: 'https://127.0.0.1:1 does not answer: connect ECONNREFUSED 127.0.0.1:1',
    },
  ])('$what', ({ server, user, error }) => {
    const file = join(newFolder(), 'kubeconfig')
    writeFileSync(
      file,
      JSON.stringify({
        'current-context': 'c',
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
        clusters: [{ name: 'c', cluster: { server } }],
        users: [{ name: 'u', user }],
      }),
    )

    const { status, stderr } = demo([`--kubeconfig=${file}`])

    expect(status).toBe(1)
    expect(stderr).toContain(error)
    expect(stderr).not.toMatch(/^ +at /m)
  })

  test('to push where there is no demo, and elsewhere than there', () => {
    const config = newFolder()
    const env = { REGISTRY: '127.0.0.1:1', DOCKER_CONFIG: config }

    expect(demo(['push', 'example/podinfo:1']).stderr).toMatch(/^Error: there is no demo to push to/)
    expect(demo(['push', 'example/podinfo'], env).stderr).toMatch(/^Error: example\/podinfo has no tag/)
    expect(demo(['push', 'ghcr.io/example/podinfo:1'], env).stderr).toMatch(
      /^Error: ghcr.io is not the demo's registry/,
    )
    expect(demo(['push', 'example/podinfo:1'], env).stderr).toMatch(
      /^Error: pushing 127.0.0.1:1\/example\/podinfo:1: connect ECONNREFUSED/,
    )
  })
})

function demo(args: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/fluxctl.cjs', 'demo', ...args], {
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...env },
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

/** Run commands in a shell that has read the file of a demo, and knows nothing else. */
function inShell(file: string, commands: string): string {
  const { status, stdout, stderr } = spawnSync('sh', ['-ec', `. "$0"; ${commands}`, file], {
    env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent' },
    encoding: 'utf8',
  })
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
}

/** Files below a folder that hold a text. */
function filesWith(text: string, folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => {
    const path = join(folder, name)
    return statSync(path).isFile() && readFileSync(path, 'latin1').includes(text)
  })
}

/** Everything by which a program could be led out of its world, leading to servers that nobody may speak to. */
async function setTrap() {
  const seen: string[] = []
  const listen = async (name: string, at: number | string) => {
    const server = createServer((socket) => {
      seen.push(name)
      socket.destroy()
    })
    await new Promise<void>((resolve) =>
      typeof at === 'string' ? server.listen(at, resolve) : server.listen(at, '127.0.0.1', resolve),
    )
    return server
  }
  const home = newFolder()
  const server = await listen('the network', 0)
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const url = `http://canary-user:canary-password@127.0.0.1:${port}`
  const agentSocket = join(newFolder(), 'agent')
  const agent = await listen('SSH_AUTH_SOCK', agentSocket)
  const touched = join(home, 'touched')
  const touch = `touch ${touched}`
  const kubeconfig = JSON.stringify({
    'current-context': 'production',
    contexts: [{ name: 'production', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }],
    users: [{ name: 'u', user: { token: 'canary' } }],
  })
  const files: Record<string, string> = {
    '.gitconfig': `[url "${url}/"]\n\tinsteadOf = http://\n\tinsteadOf = ssh://\n[http]\n\tproxy = ${url}\n[core]\n\thooksPath = ${home}/hooks\n\tsshCommand = ${touch}\n[credential]\n\thelper = "!${touch}"\n`,
    'hooks/pre-commit': `#!/bin/sh\n${touch}\n`,
    'hooks/pre-push': `#!/bin/sh\n${touch}\n`,
    '.ssh/config': `Host *\n  ProxyCommand ${touch}\n`,
    '.ssh/id_ed25519': 'canary',
    '.netrc': `machine 127.0.0.1 login canary password canary\n`,
    '.git-credentials': `${url}\n`,
    '.kube/config': kubeconfig,
    '.docker/config.json': JSON.stringify({ credsStore: 'canary', auths: { [`127.0.0.1:${port}`]: {} } }),
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(home, path, '..'), { recursive: true })
    writeFileSync(join(home, path), text, { mode: 0o700 })
  }
  const homeFiles = readdirSync(home).sort()
  const production = `http://production-canary.example.com`
  return {
    home,
    homeFiles,
    connections: () => seen,
    async close() {
      for (const each of [server, agent]) await new Promise((resolve) => each.close(resolve))
    },
    env: {
      HOME: home,
      XDG_CONFIG_HOME: join(home, '.config'),
      KUBECONFIG: join(home, '.kube/config'),
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(port),
      KUBERNETES_MASTER: url,
      KUBE_CONFIG_PATH: join(home, '.kube/config'),
      KUBE_TOKEN: 'canary',
      FLUX_URL: `${url}/api/flux`,
      FLUX_FORWARD_NAMESPACE: 'production-canary',
      FLUX_FORWARD_LABELS: 'app=canary',
      FLUX_SERVICE_TOKEN: 'canary',
      FLUX_TIMEOUT: '1ns',
      FLUXD_TOKEN: 'canary',
      FLUXCTL_EXIT_CODES: '2',
      WEAVE_CLOUD_TOKEN: 'canary',
      POD_NAMESPACE: 'production-canary',
      GIT_DIR: '/nonexistent/canary',
      GIT_WORK_TREE: '/nonexistent/canary',
      GIT_INDEX_FILE: '/nonexistent/canary',
      GIT_EXEC_PATH: '/nonexistent/canary',
      GIT_SSH: '/nonexistent/canary',
      GIT_SSH_COMMAND: touch,
      GIT_ASKPASS: touched,
      GIT_PROXY_COMMAND: touch,
      GIT_CONFIG_GLOBAL: join(home, '.gitconfig'),
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: `url.${url}/.insteadOf`,
      GIT_CONFIG_VALUE_0: 'http://',
      GIT_AUTHOR_NAME: 'canary',
      GIT_URL: production,
      HELM_KUBECONTEXT: 'production-canary',
      HELM_KUBEAPISERVER: url,
      HELM_KUBETOKEN: 'canary',
      HELM_REPOSITORY_CONFIG: join(home, 'canary'),
      HELM_REGISTRY_CONFIG: join(home, 'canary'),
      REGISTRY: `127.0.0.1:${port}`,
      DOCKER_CONFIG: join(home, '.docker'),
      DOCKER_HOST: `tcp://127.0.0.1:${port}`,
      SSH_AUTH_SOCK: agentSocket,
      SSH_ASKPASS: touched,
      http_proxy: url,
      HTTP_PROXY: url,
      https_proxy: url,
      HTTPS_PROXY: url,
      all_proxy: url,
      ALL_PROXY: url,
      NO_PROXY: '',
      GITHUB_TOKEN: 'canary',
      GITLAB_TOKEN: 'canary',
      NPM_TOKEN: 'canary',
      AWS_SESSION_TOKEN: 'canary',
      VAULT_TOKEN: 'canary',
    },
  }
}
