import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { readConfig } from '../../src/agent/config.ts'
import { flags } from '../../src/agent/flags.ts'
import { FluxError } from '../../src/core/errors.ts'
import { valueAt } from '../../src/core/json.ts'
import { parseManifestFile } from '../../src/core/manifest/document.ts'
import { parseFlags } from '../../src/runtime/flags.ts'

function read(args: readonly string[], env: Record<string, string> = {}) {
  const warnings: string[] = []
  const parsed = parseFlags(flags, args, { env, warn: (line) => warnings.push(line) })
  return { ...readConfig(parsed, env), warnings }
}

function failureOf(args: readonly string[]): FluxError {
  try {
    read(args)
  } catch (thrown) {
    if (thrown instanceof FluxError) return thrown
  }
  throw new Error(`${args.join(' ')} is taken`)
}

/** Every flag of the original, from its specification, with the default. */
const originals: Record<string, string> = {
  listen: ':3030',
  'listen-metrics': '',
  'log-format': 'fmt',
  version: 'false',
  'kubernetes-kubectl': '',
  'git-url': '',
  'git-branch': 'master',
  'git-path': '',
  'git-readonly': 'false',
  'git-user': 'Weave Flux',
  'git-email': 'support@weave.works',
  'git-set-author': 'false',
  'git-label': '',
  'git-sync-tag': 'flux-sync',
  'git-notes-ref': 'flux',
  'git-ci-skip': 'false',
  'git-ci-skip-message': '',
  'git-poll-interval': '5m',
  'git-timeout': '20s',
  'git-secret': 'false',
  sops: 'false',
  'git-gpg-key-import': '',
  'git-signing-key': '',
  'git-verify-signatures-mode': '',
  'git-verify-signatures': 'false',
  'manifest-generation': 'false',
  'sync-interval': '5m',
  'sync-timeout': '1m',
  'sync-garbage-collection': 'false',
  'sync-garbage-collection-dry': 'false',
  'sync-state': 'git',
  'memcached-hostname': 'memcached',
  'memcached-port': '11211',
  'memcached-timeout': '1s',
  'memcached-service': 'memcached',
  'automation-interval': '5m',
  'registry-poll-interval': '5m',
  'registry-disable-scanning': 'false',
  'registry-rps': '50',
  'registry-burst': '10',
  'registry-trace': 'false',
  'registry-insecure-host': '',
  'registry-exclude-image': 'k8s.gcr.io/*',
  'registry-include-image': '',
  'registry-use-labels': 'index.docker.io/weaveworks/*,index.docker.io/fluxcd/*',
  'registry-ecr-region': '',
  'registry-ecr-include-id': '',
  'registry-ecr-exclude-id': '602401143452,918309763551',
  'registry-require': '',
  'docker-config': '',
  'registry-cache-expiry': '1h',
  'k8s-allow-namespace': '',
  'k8s-namespace-whitelist': '',
  'k8s-default-namespace': '',
  'k8s-unsafe-exclude-resource': '*metrics.k8s.io/*,webhook.certmanager.k8s.io/*,v1/Event',
  'k8s-secret-name': 'flux-git-deploy',
  'k8s-secret-volume-mount-path': '/etc/fluxd/ssh',
  'k8s-secret-data-key': 'identity',
  'k8s-verbosity': '0',
  'k8s-in-cluster': 'true',
  'ssh-keygen-bits': '',
  'ssh-keygen-type': '',
  'ssh-keygen-format': 'RFC4716',
  'ssh-keygen-dir': '/var/fluxd/keygen',
  connect: '',
  token: '',
  'rpc-timeout': '10s',
}

describe('a flag of the original', () => {
  test.each(Object.entries(originals))(
    '--%s is fine at its default, and no other thing than without it',
    (name, value) => {
      expect(read([`--${name}=${value}`]).config).toEqual(read([]).config)
    },
  )

  test.each([
    { args: ['--git-label=prod'], git: { syncTag: 'prod', notesRef: 'prod' } },
    { args: ['--git-label=prod', '--git-sync-tag=other'], git: { syncTag: 'prod' } },
    { args: ['--git-path=a,b', '--git-path=c'], git: { paths: ['a', 'b', 'c'] } },
    { args: ['--git-path='], git: { paths: [] } },
    { args: ['--git-ci-skip'], git: { skipMessage: '\n\n[ci skip]' } },
    { args: ['--git-ci-skip', '--git-ci-skip-message=x'], git: { skipMessage: 'x' } },
    { args: ['--git-poll-interval', '1h30m'], git: { pollIntervalMs: 5_400_000 } },
  ])('$args', ({ args, git }) => {
    expect(read(args).config.git).toMatchObject(git)
  })

  test.each([
    { args: [], prune: 'off' },
    { args: ['--sync-garbage-collection'], prune: 'on' },
    { args: ['--sync-garbage-collection-dry'], prune: 'dry' },
    { args: ['--sync-garbage-collection-dry', '--sync-garbage-collection'], prune: 'dry' },
  ])('$args: garbage collection is $prune', ({ args, prune }) => {
    expect(read(args).config.sync).toMatchObject({ prune, pruneBudget: 50 })
  })

  test('two spellings of the allowed namespaces add up', () => {
    const { config } = read(['--k8s-allow-namespace=a,b', '--k8s-namespace-whitelist=b,c'])

    expect(config.k8s.namespaces).toEqual(['a', 'b', 'c'])
  })
})

test.each([
  ['--git-secret', 'git-secret'],
  ['--sops=true', 'sops'],
  ['--git-gpg-key-import=/root/gpg-import', 'git-gpg-key-import'],
  ['--git-signing-key=ABC', 'git-signing-key'],
  ['--git-verify-signatures', 'git-verify-signatures'],
  ['--git-verify-signatures-mode=all', 'git-verify-signatures-mode'],
  ['--manifest-generation', 'manifest-generation'],
  ['--registry-ecr-region=eu-west-1', 'registry-ecr-region'],
  ['--registry-ecr-include-id=1', 'registry-ecr-include-id'],
  ['--registry-require=ecr', 'registry-require'],
  ['--connect=wss://example.com', 'connect'],
])('%s turns on what is not built, and stops the start by name', (arg, name) => {
  const { code, what, next } = failureOf([arg])

  expect({ code, what }).toEqual({
    code: 'FLAG_UNSUPPORTED',
    what: `--${name} is not supported by this version of fluxd`,
  })
  expect(next).toContain(`--${name}`)
})

test.each([
  [['--git-path=/abs'], /--git-path \/abs/],
  [['--sync-state=nowhere'], /--sync-state/],
  [['--api-auth=maybe'], /--api-auth/],
  [['--api-auth=token'], /--token/],
  [['--sync-interval=0s'], /--sync-interval/],
  [['--registry-burst=0'], /--registry-burst/],
  [['--sync-garbage-collection-budget=-1'], /--sync-garbage-collection-budget/],
  [['--git-readonly'], /namespace is not known/],
  [['--ssh-keygen-type=dsa'], /--ssh-keygen-type/],
  [['--ssh-keygen-format=PuTTY'], /--ssh-keygen-format/],
  [['--ssh-keygen-bits=1024'], /--ssh-keygen-bits/],
  [['--ssh-keygen-bits=many'], /--ssh-keygen-bits/],
  [['--ssh-keygen-type=ecdsa', '--ssh-keygen-bits=2048'], /--ssh-keygen-bits/],
  [['serve'], /serve/],
  [['--git-brunch=x'], /git-brunch/],
  [['--sync-interval=often'], /sync-interval/],
])('%j is refused', (args, what) => {
  const failure = failureOf(args)

  expect(failure.what).toMatch(what)
  expect(failure.code).toBe('FLAG_INVALID')
})

test.each([
  { args: [], newKey: { type: 'ed25519', bits: undefined, format: 'openssh' } },
  {
    args: ['--ssh-keygen-type=ed25519', '--ssh-keygen-bits=4096'],
    newKey: { type: 'ed25519', bits: undefined },
  },
  { args: ['--ssh-keygen-bits=4096'], newKey: { type: 'rsa', bits: 4096 } },
  { args: ['--ssh-keygen-type=rsa', '--ssh-keygen-format=PEM'], newKey: { type: 'rsa', format: 'pem' } },
  { args: ['--ssh-keygen-type=ecdsa', '--ssh-keygen-bits=384'], newKey: { type: 'ecdsa', bits: 384 } },
  { args: ['--ssh-keygen-format=pkcs8'], newKey: { type: 'ed25519', format: 'pkcs8' } },
])('$args makes a key of that kind', ({ args, newKey }) => {
  expect(read(args).config.ssh.newKey).toMatchObject(newKey)
})

test.each([
  { args: [], keyFiles: ['/etc/fluxd/ssh/identity', '/var/fluxd/keygen/identity'] },
  {
    args: [
      '--k8s-secret-volume-mount-path=/keys/',
      '--k8s-secret-data-key=deploy',
      '--ssh-keygen-dir=/tmp/k',
    ],
    keyFiles: ['/keys/deploy', '/tmp/k/deploy', '/var/fluxd/keygen/deploy'],
  },
])('$args look for a mounted key in $keyFiles', ({ args, keyFiles }) => {
  expect(read(args).config.ssh.keyFiles).toEqual(keyFiles)
})

test('what has no effect is said once', () => {
  const { notices } = read(['--memcached-service=', '--memcached-hostname=x', '--memcached-hostname=y'])

  expect(notices.map(({ flag }) => flag)).toEqual(['--memcached-hostname', '--memcached-service'])
})

test('read-only Git keeps its marker in the Secret, and names flags that are then useless', () => {
  const { config, notices } = read(['--git-readonly', '--git-ci-skip'], { POD_NAMESPACE: 'flux' })

  expect(config.sync.state).toBe('secret')
  expect(config.k8s.secretNamespace).toBe('flux')
  expect(notices.map(({ warning }) => warning)).toContain(
    'Configuring any of {git-ci-skip} has no effect when --git-readonly is set',
  )
})

test.each(['install.yaml', 'chart.yaml'])('the arguments of v1’s %s are taken', (file) => {
  const path = `test/fixtures/deployments/${file}`
  const { manifests } = parseManifestFile(path, readFileSync(path, 'utf8'))
  const deployment = manifests.find(({ kind }) => kind === 'Deployment')?.value
  const args = valueAt(deployment, 'spec', 'template', 'spec', 'containers', 0, 'args') as string[]

  const { config, notices } = read(args)

  expect(config.git.url).toBe('git@git.example.com:demo/config')
  expect(notices.filter(({ warning }) => warning !== undefined)).toEqual([])
})
