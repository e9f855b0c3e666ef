import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeEach, expect } from 'vitest'
import { valueAt } from '../../../src/core/json.ts'
import { parseManifestFile } from '../../../src/core/manifest/document.ts'
import { gitServer } from '../../../src/playground/git/server.ts'
import { test } from '../../support/cluster-test.ts'
import { type ControlPlaneAccess, request } from '../../support/control-plane.ts'
import { eventually, type FluxdProcess, fluxctl, fluxd, fluxdToTheEnd } from '../../support/programs.ts'
import { sshServer, sshSkipReason, writeKnownHosts } from '../../support/ssh-server.ts'
import { configMap, deployment, readObject } from '../agent/fixtures.ts'

/** fluxd with a key of its own: real API server, real `sshd`, real git. */

beforeEach(({ skip }) => {
  if (sshSkipReason !== undefined) skip(sshSkipReason)
})

const run = promisify(execFile)
const secretName = 'flux-git-deploy'
const secretPath = (namespace: string) => `/api/v1/namespaces/${namespace}/secrets`

async function createSecret(plane: ControlPlaneAccess, namespace: string, data: Record<string, string> = {}) {
  const { status } = await request(plane, 'POST', secretPath(namespace), {
    metadata: { name: secretName },
    data: Object.fromEntries(
      Object.entries(data).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
    ),
  })
  expect(status).toBe(201)
}

/** An entry of the Secret as text. */
async function readEntry(plane: ControlPlaneAccess, namespace: string, entry: string) {
  const secret = await readObject(plane, `${secretPath(namespace)}/${secretName}`)
  return Buffer.from(String(valueAt(secret, 'data', entry) ?? ''), 'base64').toString('utf8')
}

/** A home folder that goes with the test. */
async function createHome() {
  const path = await mkdtemp(join(tmpdir(), 'ssh-home-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** What `ssh-keygen` says of a public key: hash and picture. */
async function fingerprint(publicKey: string, algorithm: string) {
  await using folder = await createHome()
  const file = join(folder.path, 'key.pub')
  await writeFile(file, publicKey)
  const { stdout } = await run('ssh-keygen', ['-l', '-v', '-E', algorithm, '-f', file])
  return { hash: stdout.split(' ')[1] ?? '', randomArt: stdout.slice(stdout.indexOf('\n') + 1) }
}

test('21: without a Git server there is a key all the same, with fingerprint and picture', async ({
  plane,
  namespace,
}) => {
  await createSecret(plane, namespace)
  await using agent = await fluxd({
    kubeconfig: plane.kubeconfig,
    args: ['--git-url=git@127.0.0.1:org/repository'],
    env: { POD_NAMESPACE: namespace },
  })
  const ask = (...flags: string[]) => fluxctl([`--url=${agent.url}`, 'identity', ...flags])

  const key = await ask()
  const hash = await ask('-l')
  const picture = await ask('-v')

  const md5 = await fingerprint(key.stdout, 'MD5')
  expect(key).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^ssh-ed25519 \S+ fluxd@\S+\n$/) })
  expect(hash).toMatchObject({ exit: 0 })
  expect(`MD5:${hash.stdout.trim()}`).toBe(md5.hash)
  expect(picture).toMatchObject({ exit: 0, stdout: `${hash.stdout}${md5.randomArt}` })
  const line = agent.log.find((text) => text.includes('identity.pub'))
  expect(line?.split('"')[1]).toBe(key.stdout.trim())
  expect(await readEntry(plane, namespace, 'identity.pub')).toBe(key.stdout)
})

/** A workload that runs, so that `list-images -v` has something to say of it. */
async function runWorkload(plane: ControlPlaneAccess, namespace: string) {
  const [manifest] = parseManifestFile('web.yaml', deployment('web', { namespace })).manifests
  await request(plane, 'POST', `/apis/apps/v1/namespaces/${namespace}/deployments`, manifest?.value)
}

/** The reason codes that `list-images -v` shows, and whether the metric says that Git can be used. */
async function gitState(agent: FluxdProcess, namespace: string) {
  const listed = await fluxctl([`--url=${agent.url}`, 'list-images', '-v', `--namespace=${namespace}`])
  const metrics = await (await fetch(new URL('/metrics', agent.url))).text()
  return {
    codes: [...listed.stdout.matchAll(/^ +(GIT_[A-Z_]+): /gm)].map(([, code]) => code),
    ready: /^flux_git_ready (\d)$/m.exec(metrics)?.[1],
  }
}

/** Every step waits for the next try, ten seconds later. */
const patient = { timeout: 180_000 }

test(
  'fluxd waits until its key is let in, and starts over with a new one',
  patient,
  async ({ plane, namespace }) => {
    await createSecret(plane, namespace)
    await runWorkload(plane, namespace)
    await using upstream = await gitServer({ 'config.yaml': configMap('settings', namespace) })
    await using server = await sshServer(upstream)
    await using home = await createHome()
    await writeKnownHosts(home.path, await server.knownHosts())
    const start = () =>
      fluxd({
        kubeconfig: plane.kubeconfig,
        args: [`--git-url=${server.url}`, '--git-branch=main', `--k8s-secret-namespace=${namespace}`],
        env: { HOME: home.path },
      })
    const settings = () => readObject(plane, `/api/v1/namespaces/${namespace}/configmaps/settings`)
    let key: string
    {
      await using agent = await start()
      const identity = async (...flags: string[]) =>
        (await fluxctl([`--url=${agent.url}`, 'identity', ...flags])).stdout

      // refused, and nothing is done by halves
      const refusedAt = await agent.until(/state=new .*code=GIT_KEY_REFUSED/)
      key = await identity()
      const early = await fluxctl([`--url=${agent.url}`, 'sync'])
      expect(early).toMatchObject({ exit: 1 })
      expect(early.stdout + early.stderr).toMatch(/Permission denied|not ready|new/)
      expect(await settings()).toBeUndefined()
      expect((await gitState(agent, namespace)).codes).toEqual(['GIT_KEY_REFUSED'])
      expect(agent.log[refusedAt - 1]).toContain('fluxctl identity')

      // may read, but not write
      await server.letIn({ publicKey: key, mayWrite: false })
      await agent.until(/state=cloned .*code=GIT_NOT_WRITABLE/)
      expect((await gitState(agent, namespace)).codes).toEqual(['GIT_NOT_WRITABLE'])

      // let in
      await server.letIn(key)
      await eventually(settings, 'the ConfigMap')
      await eventually(
        () => upstream.git('rev-parse', 'flux-sync^{commit}').catch(() => undefined),
        'the marker',
      )

      // a new key: the old one is not used again, though it would still do
      const next = await identity('--regenerate')
      const from = agent.log.length
      expect(next).toMatch(/^ssh-ed25519 /)
      expect(next).not.toBe(key)
      expect(await readEntry(plane, namespace, 'identity.pub')).toBe(next)
      await agent.until(/state=new .*code=GIT_KEY_REFUSED/, from - 2)
      await server.letIn(next)
      await agent.until(/event=refreshed/, from)
      key = next
    }

    // the same key after a restart
    await using again = await start()
    const { stdout } = await fluxctl([`--url=${again.url}`, 'identity'])
    await again.until(/event=refreshed/)
    expect(stdout).toBe(key)
  },
)

test(
  'a host that comes back with another key is not believed, until known_hosts says so',
  patient,
  async ({ plane, namespace }) => {
    await runWorkload(plane, namespace)
    await createSecret(plane, namespace)
    await using upstream = await gitServer({
      'config.yaml': configMap('settings', namespace),
      'web.yaml': deployment('web', { namespace }),
    })
    await using server = await sshServer(upstream)
    await using home = await createHome()
    await writeKnownHosts(home.path, await server.knownHosts())
    await using agent = await fluxd({
      kubeconfig: plane.kubeconfig,
      args: [
        `--git-url=${server.url}`,
        '--git-branch=main',
        `--k8s-secret-namespace=${namespace}`,
        `--k8s-allow-namespace=${namespace}`,
        '--git-poll-interval=1s',
      ],
      env: { HOME: home.path },
    })
    const ask = (...args: string[]) => fluxctl([`--url=${agent.url}`, ...args])
    await server.letIn((await ask('identity')).stdout)
    await eventually(async () => (await gitState(agent, namespace)).ready === '1', 'it is let in')
    const head = await upstream.git('rev-parse', 'main')

    await server.renewHostKey()

    await agent.until(/state=new .*code=GIT_HOST_KEY_CHANGED why=.* next=/)
    expect(await gitState(agent, namespace)).toEqual({ codes: ['GIT_HOST_KEY_CHANGED'], ready: '0' })
    const refused = await ask('lock', `--workload=${namespace}:deployment/web`)
    expect(refused).toMatchObject({ exit: 1, stderr: expect.stringContaining('git repo not ready') })
    expect(await upstream.git('rev-parse', 'main')).toBe(head)

    await writeKnownHosts(home.path, await server.knownHosts())
    await eventually(async () => (await gitState(agent, namespace)).ready === '1', 'it is believed again')
    expect(await ask('lock', `--workload=${namespace}:deployment/web`)).toMatchObject({ exit: 0 })
  },
)

test('a Deployment that is taken over keeps its RSA key and its known hosts', async ({
  plane,
  namespace,
}) => {
  await using upstream = await gitServer({ 'config.yaml': configMap('settings', namespace) })
  await using server = await sshServer(upstream)
  await using home = await createHome()
  await writeKnownHosts(home.path, await server.knownHosts())
  const mount = join(home.path, 'mounted')
  await mkdir(mount)
  const keyFile = join(mount, 'identity')
  await run('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-C', 'root@flux-5d9c', '-f', keyFile])
  const [privateKey, publicKey] = await Promise.all([
    readFile(keyFile, 'utf8'),
    readFile(`${keyFile}.pub`, 'utf8'),
  ])
  await chmod(keyFile, 0o440) // as the kubelet mounts it with an fsGroup
  await createSecret(plane, namespace, { identity: privateKey, 'identity.pub': publicKey })
  await server.letIn(publicKey)
  const before = await readObject(plane, `${secretPath(namespace)}/${secretName}`)

  const args = [
    '--ssh-keygen-dir=/var/fluxd/keygen',
    '--ssh-keygen-format=RFC4716',
    `--k8s-secret-volume-mount-path=${mount}`,
    `--git-url=${server.url}`,
    '--git-branch=main',
  ]
  for (const [from, more] of [
    [keyFile, []],
    [`${namespace}:secret/${secretName}`, ['--k8s-secret-volume-mount-path=/nonexistent']],
  ] as const) {
    await using agent = await fluxd({
      kubeconfig: plane.kubeconfig,
      args: [...args, ...more],
      env: { HOME: home.path, POD_NAMESPACE: namespace },
    })
    const identity = await fluxctl([`--url=${agent.url}`, 'identity'])
    await agent.until(/event=refreshed/)

    expect(identity.stdout).toBe(publicKey)
    expect(agent.log.some((line) => line.endsWith(`identity=${from}`))).toBe(true)
  }
  expect(await readObject(plane, `${secretPath(namespace)}/${secretName}`)).toEqual(before)
})

test('without the Secret fluxd ends, and says how to make it', async ({ plane, namespace }) => {
  const ended = await fluxdToTheEnd({
    kubeconfig: plane.kubeconfig,
    args: ['--git-url=git@127.0.0.1:org/repository', '--listen=127.0.0.1:0'],
    env: { POD_NAMESPACE: namespace },
  })

  expect(ended.exit).toBe(1)
  expect(ended.stderr).toContain('code=SECRET_MISSING')
  expect(ended.stderr).toContain(
    `next="kubectl --namespace=${namespace} create secret generic flux-git-deploy"`,
  )
})

test('over HTTP there is no key, and asking for a new one changes nothing', async ({ plane, namespace }) => {
  await createSecret(plane, namespace)
  await using upstream = await gitServer({ 'config.yaml': configMap('settings', namespace) })
  await using agent = await fluxd({
    kubeconfig: plane.kubeconfig,
    args: [`--git-url=${upstream.url}`, '--git-branch=main'],
    env: { POD_NAMESPACE: namespace },
  })

  const key = await fluxctl([`--url=${agent.url}`, 'identity'])
  const again = await fluxctl([`--url=${agent.url}`, 'identity', '--regenerate', '-l'])

  expect(key).toMatchObject({ exit: 0, stdout: '' })
  expect(again).toMatchObject({ exit: 0, stdout: '\n' })
  expect(await readEntry(plane, namespace, 'identity')).toBe('')
})

test('a repository that needs no key is synced without the Secret, with a word in the log', async ({
  plane,
  namespace,
}) => {
  await using upstream = await gitServer({ 'config.yaml': configMap('settings', namespace) })
  await using agent = await fluxd({
    kubeconfig: plane.kubeconfig,
    args: [`--git-url=${upstream.fileUrl}`, '--git-branch=main'],
    env: { POD_NAMESPACE: namespace },
  })

  await eventually(
    () => readObject(plane, `/api/v1/namespaces/${namespace}/configmaps/settings`),
    'the ConfigMap',
  )
  const key = await fluxctl([`--url=${agent.url}`, 'identity'])

  expect(key).toMatchObject({ exit: 0, stdout: '' })
  expect(agent.log.filter((line) => line.includes('code=SECRET_MISSING'))).toHaveLength(1)
})
