import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type OpenSsh, openSsh } from '../../src/adapters/git/ssh.ts'
import { openKeyRing } from '../../src/agent/identity.ts'
import { FluxError } from '../../src/core/errors.ts'
import { type JsonObject, valueAt } from '../../src/core/json.ts'
import type { Cluster } from '../../src/ports/cluster.ts'
import type { LogFields } from '../../src/ports/log.ts'
import { failureOf } from '../adapters/git/support.ts'
import { memoryCluster } from './fixtures.ts'

/** Where fluxd's key comes from, and where it goes. */

let folder: string
let ssh: OpenSsh
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'identity-'))
  ssh = await openSsh({ environment: {}, parentDirectories: [folder] })
})
afterAll(async () => {
  await ssh.close()
  await rm(folder, { recursive: true, force: true })
})

const ed25519 = { type: 'ed25519', bits: undefined, format: 'openssh' } as const
const encode = (text: string) => Buffer.from(text).toString('base64')

interface Options {
  /** of the Secret; `null`: it is not there */
  data?: Record<string, string> | null
  files?: readonly string[]
  dataKey?: string
  /** called before each patch with what the Secret is then */
  beforePatch?: (secret: JsonObject) => void
  get?: Cluster['get']
}

/** The one Secret that a key ring is about, with what a merge patch does to it. */
function world({ data = {}, files = [], dataKey = 'identity', beforePatch, get }: Options) {
  const secret: JsonObject = {
    metadata: { name: 'flux-git-deploy', resourceVersion: '1', annotations: {} },
    data: data ?? {},
  }
  const patches: JsonObject[] = []
  const lines: LogFields[] = []
  const log = { write: (fields: LogFields) => lines.push(fields), with: () => log }
  const cluster: Cluster = {
    ...memoryCluster(),
    get: get ?? (async () => (data === null ? undefined : structuredClone(secret))),
    async patch(_key, patch) {
      beforePatch?.(secret)
      const metadata = secret['metadata'] as JsonObject
      if (valueAt(patch, 'metadata', 'resourceVersion') !== metadata['resourceVersion']) {
        throw new FluxError('APPLY_CONFLICT', { what: 'the object has been modified' })
      }
      patches.push(patch)
      Object.assign(secret['data'] as JsonObject, patch['data'])
      Object.assign(metadata['annotations'] as JsonObject, valueAt(patch, 'metadata', 'annotations'))
      metadata['resourceVersion'] = String(Number(metadata['resourceVersion']) + 1)
      return secret
    },
  }
  const entry = (name: string) => {
    const value = valueAt(secret, 'data', name)
    return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : undefined
  }
  const open = () =>
    openKeyRing({
      ssh,
      cluster,
      log,
      files,
      newKey: ed25519,
      secret: { namespace: 'flux', name: 'flux-git-deploy', dataKey },
    })
  return { open, entry, patches, lines, secret }
}

const makeKey = (comment = 'root@old') => ssh.makeKey({ ...ed25519, comment })
/** The key that `ssh` would present now. */
const keyInUse = async () => {
  const file = /IdentityFile="([^"]+)"/.exec(ssh.command)?.[1] ?? ''
  return readFile(file, 'utf8')
}

test('a key that is mounted is used; the Secret is left alone', async () => {
  const key = await makeKey()
  const file = join(folder, 'mounted')
  await writeFile(file, key.privateKey)
  const { open, patches, lines } = world({ data: null, files: [join(folder, 'none'), file] })

  const identity = await open()

  expect(await identity.publicKey()).toEqual({ key: key.publicKey, md5: key.md5, sha256: key.sha256 })
  expect(await keyInUse()).toBe(key.privateKey)
  expect(patches).toEqual([])
  expect(lines).toEqual([
    { component: 'cluster', identity: file },
    { component: 'cluster', 'identity.pub': key.publicKey.trim() },
  ])
})

test.each(['identity', 'deploy-key'])('a key in the Secret is used, under %s', async (entry) => {
  const key = await makeKey()
  const { open, patches } = world({ data: { [entry]: encode(key.privateKey) }, dataKey: 'deploy-key' })

  const identity = await open()

  expect((await identity.publicKey()).key).toBe(key.publicKey)
  expect(await keyInUse()).toBe(key.privateKey)
  expect(patches).toEqual([])
})

test('where there is none, one is made and kept in the Secret before it is used', async () => {
  const { open, entry, lines } = world({ data: { identity: '', other: 'eA==' } })

  const identity = await open()

  const { key } = await identity.publicKey()
  expect(key).toMatch(/^ssh-ed25519 \S+ fluxd@flux\n$/)
  expect(entry('identity.pub')).toBe(key)
  expect(ssh.readKey(entry('identity') ?? '', 'x').publicKey).toBe(key)
  expect(await keyInUse()).toBe(entry('identity'))
  expect(entry('other')).toBe('x')
  expect(lines.at(-1)).toEqual({ component: 'cluster', 'identity.pub': key.trim() })
})

test('the name of --k8s-secret-data-key gets the new key too', async () => {
  const { open, entry } = world({ dataKey: 'deploy-key' })

  await open()

  expect(entry('deploy-key')).toBe(entry('identity'))
})

test('of two that start at once, the second takes the key of the first', async () => {
  const first = await makeKey()
  let raced = false
  const { open, patches } = world({
    beforePatch(secret) {
      if (raced) return
      raced = true
      Object.assign(secret['data'] as JsonObject, { identity: encode(first.privateKey) })
      Object.assign(secret['metadata'] as JsonObject, { resourceVersion: '9' })
    },
  })

  const identity = await open()

  expect((await identity.publicKey()).key).toBe(first.publicKey)
  expect(patches).toEqual([])
})

test('without the Secret it says how to make it', async () => {
  const { open } = world({ data: null })

  const failure = await failureOf(open())

  expect(failure).toMatchObject({
    code: 'SECRET_MISSING',
    what: 'secrets "flux-git-deploy" not found',
    next: 'kubectl --namespace=flux create secret generic flux-git-deploy',
  })
})

test('what is no key in the Secret is not overwritten', async () => {
  const { open, patches } = world({ data: { identity: encode('my precious') } })

  const failure = await failureOf(open())

  expect(failure).toMatchObject({
    code: 'SSH_KEY_INVALID',
    what: 'reading the SSH key flux:secret/flux-git-deploy: it is not a private key',
  })
  expect(patches).toEqual([])
})

test('a new key replaces the old one in the Secret, in ssh and in the log', async () => {
  const { open, entry, lines } = world({})
  const identity = await open()
  const before = await identity.publicKey()

  await identity.regenerate()

  const after = await identity.publicKey()
  expect(after.key).not.toBe(before.key)
  expect(entry('identity.pub')).toBe(after.key)
  expect(await keyInUse()).toBe(entry('identity'))
  expect(lines.at(-1)).toEqual({ component: 'cluster', 'identity.pub': after.key.trim() })
})

test('several who ask for a new key at once get one each, the last one counts', async () => {
  const { open, entry, patches } = world({})
  const identity = await open()

  await Promise.all([identity.regenerate(), identity.regenerate(), identity.regenerate()])

  expect(patches).toHaveLength(4)
  expect((await identity.publicKey()).key).toBe(entry('identity.pub'))
  expect(await keyInUse()).toBe(entry('identity'))
})

test('a mounted copy of a key that was replaced does not bring it back', async () => {
  const old = await makeKey()
  const file = join(folder, 'stale')
  await writeFile(file, old.privateKey)
  const { open, entry } = world({ files: [file] })
  const first = await open()
  await first.regenerate()

  const second = await open()

  expect((await second.publicKey()).key).toBe(entry('identity.pub'))
  expect((await second.publicKey()).key).not.toBe(old.publicKey)
})

test('a mounted key needs no right to read Secrets', async () => {
  const key = await makeKey()
  const file = join(folder, 'mounted')
  await writeFile(file, key.privateKey)
  const { open } = world({
    files: [file],
    get: async () => {
      throw new FluxError('CLUSTER_FORBIDDEN', { what: 'secrets is forbidden' })
    },
  })

  const identity = await open()

  expect((await identity.publicKey()).key).toBe(key.publicKey)
})

test('a failing change of the Secret leaves the old key in use', async () => {
  const { open } = world({
    data: { identity: encode((await makeKey()).privateKey) },
    beforePatch() {
      throw new FluxError('CLUSTER_UNREACHABLE', { what: 'connection refused' })
    },
  })
  const identity = await open()
  const before = await identity.publicKey()

  const failure = await failureOf(identity.regenerate())

  expect(failure.code).toBe('CLUSTER_UNREACHABLE')
  expect(await identity.publicKey()).toEqual(before)
  expect(ssh.readKey(await keyInUse(), 'x').publicKey).toBe(before.key)
})
