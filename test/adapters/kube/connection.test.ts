import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadKubeConnection } from '../../../src/adapters/kube/connection.ts'

let folder: string
let count = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kubeconfig-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function file(text: string): Promise<string> {
  const path = join(folder, `config-${count++}`)
  await writeFile(path, text)
  return path
}

/** A kubeconfig with one context for a user with these settings. */
function configFor(user: string): string {
  return `
current-context: one
clusters: [{name: one, cluster: {server: "https://one.example.com"}}]
contexts: [{name: one, context: {cluster: one, user: me}}]
users:
- name: me
  user:
${user.replace(/^/gm, '    ')}
`
}

const load = (KUBECONFIG: string, context?: string) =>
  loadKubeConnection({ env: { KUBECONFIG, HOME: folder }, ...(context && { context }) })

describe('a kubeconfig', () => {
  test('gives server, namespace, trust and context', async () => {
    await writeFile(join(folder, 'ca.pem'), 'CA')
    const path = await file(`
apiVersion: v1
kind: Config
current-context: dev
clusters:
- name: dev
  cluster:
    server: https://user:secret@dev.example.com:6443/k8s
    certificate-authority: ca.pem
    tls-server-name: api.internal
- name: wild
  cluster:
    server: https://wild.example.com
    certificate-authority-data: ${Buffer.from('inline').toString('base64')}
    insecure-skip-tls-verify: true
contexts:
- name: dev
  context: {cluster: dev, namespace: apps}
- name: wild
  context: {cluster: wild}
`)

    expect(await load(path)).toMatchObject({
      origin: {
        files: [path],
        context: 'dev',
        server: 'https://dev.example.com:6443/k8s',
        namespace: 'apps',
      },
      ca: 'CA',
      serverName: 'api.internal',
      skipVerify: false,
    })
    expect(await load(path, 'wild')).toMatchObject({
      origin: { context: 'wild', namespace: 'default' },
      ca: 'inline',
      skipVerify: true,
    })
  })

  test('is merged from several files, of which the first wins', async () => {
    await mkdir(join(folder, 'second'), { recursive: true })
    await writeFile(join(folder, 'second', 'token'), 'from-second\n')
    const first = await file(`
current-context: mixed
contexts: [{name: mixed, context: {cluster: shared, user: remote}}]
clusters: [{name: shared, cluster: {server: "https://first.example.com"}}]
`)
    const second = join(folder, 'second', 'config')
    await writeFile(
      second,
      `
current-context: other
clusters: [{name: shared, cluster: {server: "https://second.example.com"}}]
users: [{name: remote, user: {tokenFile: token}}]
`,
    )

    const connection = await load(`${join(folder, 'absent')}:${first}::${second}`)

    expect(connection.origin.server).toBe('https://first.example.com')
    expect(connection.origin.files).toEqual([join(folder, 'absent'), first, second])
    expect(await connection.credential()).toEqual({ headers: { authorization: 'Bearer from-second' } })
  })

  test('stands in the home directory when KUBECONFIG names none', async () => {
    const home = await mkdtemp(join(folder, 'home-'))
    await mkdir(join(home, '.kube'))
    await writeFile(join(home, '.kube', 'config'), configFor('token: t'))

    const { origin } = await loadKubeConnection({ env: { HOME: home } })

    expect(origin).toMatchObject({ context: 'one', files: [join(home, '.kube', 'config')] })
  })

  test('without the context that is asked for lists those that exist', async () => {
    const path = await file(`
contexts: [{name: b, context: {cluster: x}}, {name: a, context: {cluster: x}}]
clusters: [{name: x, cluster: {server: "https://x"}}]
`)

    await expect(load(path, 'nosuch')).rejects.toMatchObject({
      code: 'KUBECONFIG_INVALID',
      message: 'Could not load kubernetes configuration file: context "nosuch" does not exist',
      why: `Looked in ${path}.`,
      next: 'Choose one of these with --context: a, b.',
    })
    await expect(load(path)).rejects.toMatchObject({
      code: 'KUBECONFIG_MISSING',
      next: 'No context is current. Choose one with --context: a, b.',
    })
  })

  test('that is not there is an error that names the files', async () => {
    const absent = join(folder, 'absent')

    await expect(load(absent)).rejects.toMatchObject({
      code: 'KUBECONFIG_MISSING',
      message: expect.stringContaining('no configuration has been provided'),
      why: expect.stringContaining(absent),
    })
  })

  test.each([
    {
      fault: 'YAML that can’t be read',
      text: 'users: [{token: s3cret\n  x',
      message: /config-\d+:\d+: not valid YAML/,
    },
    { fault: 'text', text: 'just words', message: /not a mapping/ },
    {
      fault: 'a cluster that is missing',
      text: 'current-context: a\ncontexts: [{name: a, context: {cluster: gone}}]',
      message: /cluster "gone" does not exist/,
    },
    {
      fault: 'a server that is no address',
      text: 'current-context: a\ncontexts: [{name: a, context: {cluster: a}}]\nclusters: [{name: a, cluster: {server: "ftp://x"}}]',
      message: /no usable server/,
    },
    {
      fault: 'a proxy',
      text: 'current-context: a\ncontexts: [{name: a, context: {cluster: a}}]\nclusters: [{name: a, cluster: {server: "https://x", proxy-url: "http://p"}}]',
      message: /proxy-url/,
    },
  ])('with $fault is refused, without its secrets', async ({ text, message }) => {
    const error = await load(await file(text)).catch((error: unknown) => error)

    expect(error).toMatchObject({ code: 'KUBECONFIG_INVALID', message: expect.stringMatching(message) })
    expect(String((error as { help: string }).help)).not.toContain('s3cret')
  })
})

describe('in a pod', () => {
  const pod = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }

  test('without a kubeconfig the service account is used', async () => {
    const { origin, credential } = await loadKubeConnection({
      env: { ...pod, HOME: join(folder, 'nowhere') },
    })

    expect(origin).toEqual({
      files: [],
      context: undefined,
      server: 'https://[fd00::1]',
      namespace: 'default',
    })
    await expect(credential()).rejects.toMatchObject({
      code: 'KUBECONFIG_INVALID',
      message: expect.stringContaining('/var/run/secrets/kubernetes.io/serviceaccount/token'),
    })
  })

  test('a kubeconfig without clusters still says the namespace', async () => {
    const path = await file(`
current-context: default
clusters: []
contexts: [{name: default, context: {cluster: "", user: "", namespace: apps}}]
`)

    const { origin } = await loadKubeConnection({ env: { ...pod, KUBECONFIG: path } })

    expect(origin).toMatchObject({ server: 'https://[fd00::1]', namespace: 'apps' })
  })
})

describe('a credential', () => {
  const credentialFor = async (user: string) => (await load(await file(configFor(user)))).credential

  test.each([
    { kind: 'token', user: 'token: abc', headers: { authorization: 'Bearer abc' } },
    {
      kind: 'name and password',
      user: 'username: me\npassword: "p:w"',
      headers: { authorization: `Basic ${Buffer.from('me:p:w').toString('base64')}` },
    },
    {
      kind: 'token with impersonation',
      user: 'token: abc\nas: other\nas-groups: [g1, "g,2"]',
      headers: {
        authorization: 'Bearer abc',
        'impersonate-user': 'other',
        'impersonate-group': ['g1', 'g,2'],
      },
    },
    {
      kind: 'OpenID Connect provider',
      user: `auth-provider: {name: oidc, config: {client-id: c, idp-issuer-url: "https://idp.example.com", id-token: "${idToken()}"}}`,
      headers: { authorization: `Bearer ${idToken()}` },
    },
  ])('of a $kind goes into headers', async ({ user, headers }) => {
    const credential = await credentialFor(user)

    expect(await credential()).toEqual({ headers })
  })

  test('of a certificate is shown when connecting', async () => {
    await writeFile(join(folder, 'me.key'), 'KEY')
    const credential = await credentialFor(
      `client-certificate-data: ${Buffer.from('CERT').toString('base64')}\nclient-key: me.key`,
    )

    expect(await credential()).toEqual({ headers: {}, cert: 'CERT', key: 'KEY' })
  })

  test('in a file is read again when the server refuses it', async () => {
    await writeFile(join(folder, 'rotating'), 'one')
    const credential = await credentialFor('tokenFile: rotating')
    const before = await credential()
    await writeFile(join(folder, 'rotating'), 'two')

    expect(before.headers).toEqual({ authorization: 'Bearer one' })
    expect((await credential()).headers).toEqual({ authorization: 'Bearer one' })
    expect((await credential(true)).headers).toEqual({ authorization: 'Bearer two' })
  })

  describe('of a program', () => {
    async function program(script: string): Promise<string> {
      const path = join(folder, `plugin-${count++}`)
      await writeFile(path, `#!/bin/sh\n${script}\n`)
      await chmod(path, 0o755)
      return path
    }
    const exec = (command: string, more = '') =>
      `exec:\n  apiVersion: client.authentication.k8s.io/v1\n  command: ${command}\n  interactiveMode: Never\n${more}`

    test('comes from its output, with arguments and variables, and is kept until it expires', async () => {
      const runs = join(folder, 'runs')
      const path = await program(
        `echo run >> ${runs}\n` +
          `echo "$KUBERNETES_EXEC_INFO" > ${folder}/info\n` +
          'echo "{\\"status\\":{\\"token\\":\\"$1-$COLOUR\\",\\"expirationTimestamp\\":\\"2999-01-01T00:00:00Z\\"}}"',
      )
      const credential = await credentialFor(
        exec(path, '  args: [blue]\n  env: [{name: COLOUR, value: green}]'),
      )

      const together = await Promise.all([credential(), credential()])
      await credential()

      expect(together[0].headers).toEqual({ authorization: 'Bearer blue-green' })
      expect(await readFile(runs, 'utf8')).toBe('run\n')
      expect(JSON.parse(await readFile(join(folder, 'info'), 'utf8'))).toEqual({
        apiVersion: 'client.authentication.k8s.io/v1',
        kind: 'ExecCredential',
        spec: { interactive: false },
      })
      await credential(true)
      expect(await readFile(runs, 'utf8')).toBe('run\nrun\n')
    })

    test('that expired is asked for again', async () => {
      const runs = join(folder, 'expired-runs')
      const path = await program(
        `echo run >> ${runs}\n` +
          'echo \'{"status":{"clientCertificateData":"C","clientKeyData":"K","expirationTimestamp":"2020-01-01T00:00:00Z"}}\'',
      )
      const credential = await credentialFor(exec(path))

      expect(await credential()).toEqual({ headers: {}, cert: 'C', key: 'K' })
      await credential()
      expect(await readFile(runs, 'utf8')).toBe('run\nrun\n')
    })

    test.each([
      { fault: 'fails', script: 'exit 3', message: /exit status 3/ },
      { fault: 'prints something else', script: 'echo hello', message: /neither a token nor a certificate/ },
    ])('that $fault is named', async ({ script, message }) => {
      const path = await program(script)
      const credential = await credentialFor(exec(path))

      await expect(credential()).rejects.toMatchObject({
        code: 'CLUSTER_DENIED',
        message: expect.stringMatching(message),
      })
    })

    test('that is not installed is named, with the hint of the kubeconfig', async () => {
      const credential = await credentialFor(
        exec('no-such-plugin', '  installHint: Install it from the shop.'),
      )

      await expect(credential()).rejects.toMatchObject({
        code: 'CLUSTER_DENIED',
        next: 'Install it from the shop.',
      })
    })
  })
})

/** An unsigned token that is good for a long time. */
function idToken(): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part({ exp: 32_503_680_000 })}.x`
}
