import { FluxError } from '../core/errors.ts'
import { safeUrl } from '../core/git/remote-url.ts'
import type { SshKeyRequest } from '../ports/ssh.ts'
import { type Flag, type FlagValues, formatDuration, type ParsedFlags } from '../runtime/flags.ts'

/**
 * fluxd's flags: every one of Flux v1, with its meaning, and a few of ours.
 *
 * A flag that v1 needs and we don't (memcached, kubectl) is accepted and named once in the log. One that would turn
 * on what isn't built stops the start, naming it. None is ignored in silence. Follows `spec/flux-v1/daemon.md` §1.
 */
export const flags = [
  // general
  {
    name: 'listen',
    short: 'l',
    type: 'string',
    default: ':3030',
    value: 'ADDRESS',
    summary: 'where the API is served',
  },
  {
    name: 'listen-metrics',
    type: 'string',
    value: 'ADDRESS',
    summary: 'serve /metrics there, and no longer with the API',
  },
  {
    name: 'api-auth',
    type: 'string',
    default: 'loopback',
    value: 'MODE',
    summary: 'who may use the API: loopback (port-forward and side-cars), token, none',
  },
  { name: 'log-format', type: 'string', default: 'fmt', value: 'FORMAT', summary: 'fmt (logfmt) or json' },
  { name: 'version', type: 'bool', summary: 'print the version and exit' },
  {
    name: 'kubernetes-kubectl',
    type: 'string',
    value: 'PATH',
    summary: 'not needed: fluxd speaks to the API server itself',
  },
  {
    name: 'kube-config',
    type: 'string',
    value: 'FILE',
    deprecated: 'Please use the KUBECONFIG environment variable instead',
    summary: 'kubeconfig to use',
  },

  // Git
  {
    name: 'git-url',
    type: 'string',
    value: 'URL',
    summary: 'repository with the manifests; empty: run without Git',
  },
  { name: 'git-branch', type: 'string', default: 'master', value: 'BRANCH', summary: 'branch to sync' },
  {
    name: 'git-path',
    type: 'strings',
    value: 'PATHS',
    summary: 'only these files and folders of the repository',
  },
  { name: 'git-readonly', type: 'bool', summary: 'never push; keeps the sync marker in the Secret' },
  { name: 'git-user', type: 'string', default: 'Weave Flux', value: 'NAME', summary: 'committer' },
  {
    name: 'git-email',
    type: 'string',
    default: 'support@weave.works',
    value: 'ADDRESS',
    summary: "committer's address",
  },
  { name: 'git-set-author', type: 'bool', summary: 'who asked for a change is the author of its commit' },
  { name: 'git-label', type: 'string', value: 'LABEL', summary: 'sets --git-sync-tag and --git-notes-ref' },
  {
    name: 'git-sync-tag',
    type: 'string',
    default: 'flux-sync',
    value: 'TAG',
    summary: 'tag that marks what was synced',
  },
  {
    name: 'git-notes-ref',
    type: 'string',
    default: 'flux',
    value: 'REF',
    summary: 'ref of the notes on commits',
  },
  { name: 'git-ci-skip', type: 'bool', summary: 'append "[ci skip]" to commit messages' },
  { name: 'git-ci-skip-message', type: 'string', value: 'TEXT', summary: 'append this to commit messages' },
  {
    name: 'git-poll-interval',
    type: 'duration',
    default: 300_000,
    value: 'DURATION',
    summary: 'how often to fetch',
  },
  {
    name: 'git-timeout',
    type: 'duration',
    default: 20_000,
    value: 'DURATION',
    summary: 'limit of one Git operation',
  },
  { name: 'git-secret', type: 'bool', summary: 'reveal files of git-secret' },
  { name: 'sops', type: 'bool', summary: 'decrypt manifests with sops' },
  { name: 'git-gpg-key-import', type: 'strings', value: 'PATHS', summary: 'GPG keys to import' },
  {
    name: 'git-signing-key',
    type: 'string',
    value: 'KEY',
    summary: 'GPG key that signs commits and the sync tag',
  },
  {
    name: 'git-verify-signatures-mode',
    type: 'string',
    value: 'MODE',
    summary: 'which signatures to verify: none, all, first-parent',
  },
  {
    name: 'git-verify-signatures',
    type: 'bool',
    deprecated: 'use --git-verify-signatures-mode=all instead',
    summary: 'verify all signatures',
  },
  { name: 'manifest-generation', type: 'bool', summary: 'run the generators of .flux.yaml' },

  // sync
  {
    name: 'sync-interval',
    type: 'duration',
    default: 300_000,
    value: 'DURATION',
    summary: 'look at everything this often',
  },
  {
    name: 'sync-timeout',
    type: 'duration',
    default: 60_000,
    value: 'DURATION',
    summary: 'limit of a sync and of a job',
  },
  {
    name: 'drift',
    type: 'string',
    default: 'interval',
    value: 'WHEN',
    summary: 'put right what others change: at each interval, instant, or only report it',
  },
  { name: 'sync-garbage-collection', type: 'bool', summary: 'delete what left Git' },
  { name: 'sync-garbage-collection-dry', type: 'bool', summary: 'log what garbage collection would delete' },
  {
    name: 'sync-state',
    type: 'string',
    default: 'git',
    value: 'WHERE',
    summary: 'keep the sync marker in git (a tag) or in the secret',
  },

  // registries
  {
    name: 'memcached-hostname',
    type: 'string',
    default: 'memcached',
    value: 'HOST',
    summary: 'not needed: there is no memcached',
  },
  { name: 'memcached-port', type: 'int', default: 11211, value: 'PORT', summary: 'not needed' },
  { name: 'memcached-timeout', type: 'duration', default: 1_000, value: 'DURATION', summary: 'not needed' },
  { name: 'memcached-service', type: 'string', default: 'memcached', value: 'NAME', summary: 'not needed' },
  {
    name: 'automation-interval',
    type: 'duration',
    default: 300_000,
    value: 'DURATION',
    summary: 'how often automation looks for new images',
  },
  {
    name: 'registry-poll-interval',
    type: 'duration',
    default: 300_000,
    value: 'DURATION',
    deprecated: 'use --automation-interval instead',
    summary: 'as --automation-interval',
  },
  { name: 'registry-disable-scanning', type: 'bool', summary: 'ask no registry for anything' },
  {
    name: 'registry-rps',
    type: 'float',
    default: 50,
    value: 'N',
    summary: 'requests a second to one registry host',
  },
  {
    name: 'registry-burst',
    type: 'int',
    default: 10,
    value: 'N',
    summary: 'requests at once to one registry host',
  },
  { name: 'registry-trace', type: 'bool', summary: 'log every request to a registry' },
  {
    name: 'registry-insecure-host',
    type: 'strings',
    value: 'HOSTS',
    summary: 'registries with plain HTTP or a certificate nobody signed',
  },
  {
    name: 'registry-exclude-image',
    type: 'strings',
    default: ['k8s.gcr.io/*'],
    value: 'GLOBS',
    summary: 'images not to look at',
  },
  { name: 'registry-include-image', type: 'strings', value: 'GLOBS', summary: 'the only images to look at' },
  {
    name: 'registry-use-labels',
    type: 'strings',
    default: ['index.docker.io/weaveworks/*', 'index.docker.io/fluxcd/*'],
    value: 'GLOBS',
    summary: 'images whose labels say when they were made',
  },
  {
    name: 'registry-cache-dir',
    type: 'string',
    value: 'FOLDER',
    summary: 'where to keep what registries told; a temporary folder, if not given',
  },
  {
    name: 'registry-metadata-depth',
    type: 'int',
    default: 50,
    value: 'N',
    summary: 'how many images of each container to know all about in the background; 0 for all',
  },
  { name: 'registry-ecr-region', type: 'strings', value: 'REGIONS', summary: 'AWS regions to scan' },
  { name: 'registry-ecr-include-id', type: 'strings', value: 'ACCOUNTS', summary: 'AWS accounts to scan' },
  {
    name: 'registry-ecr-exclude-id',
    type: 'strings',
    default: ['602401143452', '918309763551'],
    value: 'ACCOUNTS',
    summary: 'AWS accounts not to scan',
  },
  {
    name: 'registry-require',
    type: 'strings',
    value: 'CLOUDS',
    summary: 'exit unless these cloud registries work',
  },
  {
    name: 'docker-config',
    type: 'string',
    value: 'FILE',
    summary: 'Docker configuration with credentials for registries',
  },
  { name: 'registry-cache-expiry', type: 'duration', deprecated: 'no longer used', summary: 'not needed' },

  // Kubernetes
  {
    name: 'k8s-allow-namespace',
    type: 'strings',
    value: 'NAMESPACES',
    summary: 'the only namespaces to touch',
  },
  {
    name: 'k8s-namespace-whitelist',
    type: 'strings',
    value: 'NAMESPACES',
    deprecated: 'use --k8s-allow-namespace instead',
    summary: 'as --k8s-allow-namespace',
  },
  {
    name: 'k8s-default-namespace',
    type: 'string',
    value: 'NAMESPACE',
    summary: 'namespace of resources that name none',
  },
  {
    name: 'k8s-unsafe-exclude-resource',
    type: 'strings',
    default: ['*metrics.k8s.io/*', 'webhook.certmanager.k8s.io/*', 'v1/Event'],
    value: 'GLOBS',
    summary: 'kinds never to look at',
  },
  {
    name: 'k8s-secret-name',
    type: 'string',
    default: 'flux-git-deploy',
    value: 'NAME',
    summary: 'Secret with the SSH key and, with --sync-state=secret, the sync marker',
  },
  {
    name: 'k8s-secret-namespace',
    type: 'string',
    value: 'NAMESPACE',
    summary: 'namespace of that Secret, outside a pod',
  },
  {
    name: 'k8s-secret-volume-mount-path',
    type: 'string',
    default: '/etc/fluxd/ssh',
    value: 'PATH',
    summary: 'where that Secret is mounted',
  },
  {
    name: 'k8s-secret-data-key',
    type: 'string',
    default: 'identity',
    value: 'KEY',
    summary: 'its entry with the private key',
  },
  { name: 'k8s-verbosity', type: 'int', value: 'N', summary: 'not needed' },
  {
    name: 'k8s-in-cluster',
    type: 'bool',
    default: true,
    deprecated: 'no longer used',
    summary: 'not needed',
  },
  { name: 'ssh-keygen-bits', type: 'string', value: 'N', summary: 'size of a new SSH key' },
  {
    name: 'ssh-keygen-type',
    type: 'string',
    value: 'TYPE',
    summary: 'kind of a new SSH key: ed25519, rsa, ecdsa',
  },
  {
    name: 'ssh-keygen-format',
    type: 'string',
    value: 'FORMAT',
    summary: 'format of a new SSH key: RFC4716, PEM, PKCS8',
  },
  {
    name: 'ssh-keygen-dir',
    type: 'string',
    value: 'PATH',
    summary: 'folder for the key: a volume in memory',
  },

  // upstream
  { name: 'connect', type: 'string', value: 'URL', summary: 'upstream service to connect to' },
  {
    name: 'token',
    type: 'string',
    env: ['FLUXD_TOKEN'], // arguments can be seen by every user of the machine
    value: 'TOKEN',
    summary: 'token for --api-auth=token, and for an upstream service',
  },
  {
    name: 'rpc-timeout',
    type: 'duration',
    default: 10_000,
    value: 'DURATION',
    summary: 'limit of one call from upstream',
  },
] as const satisfies readonly Flag[]

export type Flags = FlagValues<typeof flags>

export type ApiAuth = 'loopback' | 'token' | 'none'
export type SyncState = 'git' | 'secret'
export type DriftMode = 'interval' | 'instant' | 'report'

/** What fluxd does, read from its flags and environment. Durations are milliseconds. */
export interface Config {
  listen: string
  listenMetrics: string
  apiAuth: ApiAuth
  token: string
  logFormat: 'fmt' | 'json'
  /** KUBECONFIG files given by `--kube-config`; empty: as kubectl finds them */
  kubeconfig: string
  git: {
    url: string
    branch: string
    paths: readonly string[]
    readonly: boolean
    committer: { name: string; email: string }
    setAuthor: boolean
    syncTag: string
    notesRef: string
    skipMessage: string
    pollIntervalMs: number
    timeoutMs: number
  }
  sync: { intervalMs: number; timeoutMs: number; state: SyncState; drift: DriftMode }
  automation: { intervalMs: number }
  registry: {
    disabled: boolean
    requestsPerSecond: number
    burst: number
    trace: boolean
    insecureHosts: readonly string[]
    exclude: readonly string[]
    include: readonly string[]
    /** globs on canonical names: labels of these images say when they were made */
    useLabels: readonly string[]
    dockerConfig: string
    /** folder of the image store; empty: a temporary one */
    cacheDir: string
    /** 0: all */
    metadataDepth: number
  }
  k8s: {
    /** empty: all */
    namespaces: readonly string[]
    defaultNamespace: string
    secretName: string
    /** namespace of the own Secret; absent outside a pod, where there is none */
    secretNamespace: string | undefined
    secretDataKey: string
  }
  ssh: {
    /** where a key may be mounted, in order */
    keyFiles: readonly string[]
    /** where the copy of the key is kept that the ssh program reads, if this folder is there: a volume in memory */
    folder: string
    newKey: Omit<SshKeyRequest, 'comment'>
  }
}

/** Where v1's Deployments mount a volume in memory for new keys. */
const keygenFolder = '/var/fluxd/keygen'

/** Flags that v1 needs and fluxd doesn't: why. */
const inert: Record<string, string> = {
  'memcached-hostname': 'there is no memcached',
  'memcached-port': 'there is no memcached',
  'memcached-timeout': 'there is no memcached',
  'memcached-service': 'there is no memcached',
  'registry-cache-expiry': 'there is no memcached',
  'kubernetes-kubectl': 'fluxd speaks to the API server itself',
  'k8s-in-cluster': 'the credentials tell',
  'k8s-verbosity': 'there is no client library to make talk',
  'rpc-timeout': 'no upstream is connected',
  'registry-ecr-exclude-id': 'no cloud registry is asked for credentials',
  'k8s-unsafe-exclude-resource': 'only workloads and kinds that stand in Git are looked at',
}

/** Flags that turn on what isn't built, and when they do. */
const unbuilt: { name: string; on(values: Flags): boolean }[] = [
  { name: 'git-secret', on: (v) => v.gitSecret },
  { name: 'sops', on: (v) => v.sops },
  { name: 'git-gpg-key-import', on: (v) => v.gitGpgKeyImport.length > 0 },
  { name: 'git-signing-key', on: (v) => v.gitSigningKey !== '' },
  { name: 'git-verify-signatures', on: (v) => v.gitVerifySignatures && v.gitVerifySignaturesMode === '' },
  { name: 'git-verify-signatures-mode', on: (v) => !['', 'none'].includes(v.gitVerifySignaturesMode) },
  { name: 'manifest-generation', on: (v) => v.manifestGeneration },
  { name: 'sync-garbage-collection', on: (v) => v.syncGarbageCollection },
  { name: 'sync-garbage-collection-dry', on: (v) => v.syncGarbageCollectionDry },
  { name: 'registry-ecr-region', on: (v) => v.registryEcrRegion.length > 0 },
  { name: 'registry-ecr-include-id', on: (v) => v.registryEcrIncludeId.length > 0 },
  { name: 'registry-require', on: (v) => v.registryRequire.length > 0 },
  { name: 'connect', on: (v) => v.connect !== '' },
]

/**
 * Read the configuration from parsed flags.
 *
 * @returns it, and lines for the log: what was overridden, what has no effect
 * @throws FluxError `FLAG_INVALID` | `FLAG_UNSUPPORTED`
 */
export function readConfig(
  { values: v, given, args }: ParsedFlags<typeof flags>,
  env: Readonly<Record<string, string | undefined>>,
): { config: Config; notices: Record<string, string>[] } {
  if (args.length > 0) throw invalid(`unexpected argument ${args[0]}`, 'fluxd takes flags only.')
  for (const { name, on } of unbuilt) {
    if (!on(v)) continue
    throw new FluxError('FLAG_UNSUPPORTED', {
      what: `--${name} is not supported by this version of fluxd`,
      why: 'Going on without it would do something else than asked.',
      next: `Leave --${name} out, or stay with the image you run until a version supports it.`,
    })
  }
  const notices: Record<string, string>[] = []
  for (const [name, why] of Object.entries(inert)) {
    if (given.has(name)) notices.push({ flag: `--${name}`, info: `has no effect: ${why}` })
  }

  const absolute = v.gitPath.find((path) => path.startsWith('/'))
  if (absolute !== undefined) {
    throw invalid(
      `--git-path ${absolute} is absolute`,
      'Subpaths are relative to the root of the repository: drop the leading /.',
    )
  }
  if (v.syncState !== 'git' && v.syncState !== 'secret')
    throw oneOf('sync-state', v.syncState, ['git', 'secret'])
  if (v.drift !== 'interval' && v.drift !== 'instant' && v.drift !== 'report')
    throw oneOf('drift', v.drift, ['interval', 'instant', 'report'])
  if (v.apiAuth !== 'loopback' && v.apiAuth !== 'token' && v.apiAuth !== 'none') {
    throw oneOf('api-auth', v.apiAuth, ['loopback', 'token', 'none'])
  }
  if (v.apiAuth === 'token' && v.token === '')
    throw invalid('--api-auth=token needs --token', 'Give --token.')
  if (v.apiAuth === 'none') {
    notices.push({
      warning: '--api-auth=none: everybody who reaches this port can change the repository and the cluster',
    })
  }
  const durations = {
    'sync-interval': v.syncInterval,
    'sync-timeout': v.syncTimeout,
    'git-timeout': v.gitTimeout,
    'git-poll-interval': v.gitPollInterval,
    'automation-interval': v.automationInterval,
    'registry-poll-interval': v.registryPollInterval,
  }
  for (const [name, durationMs] of Object.entries(durations)) {
    if (durationMs > 0) continue
    throw invalid(`--${name} is ${formatDuration(durationMs)}`, 'Give a duration above zero, such as 5m.')
  }
  if (v.registryMetadataDepth < 0)
    throw invalid('--registry-metadata-depth is below zero', 'Give a number of images, or 0 for all.')
  if (v.registryRps <= 0 || v.registryBurst <= 0) {
    throw invalid(
      '--registry-rps and --registry-burst are above zero',
      'Use --registry-disable-scanning to ask no registry.',
    )
  }

  if (v.gitReadonly) {
    notices.push({ warning: 'git is read-only: the sync state is kept in the secret' })
    const useless = [
      'git-user',
      'git-email',
      'git-sync-tag',
      'git-set-author',
      'git-ci-skip',
      'git-ci-skip-message',
    ].filter((name) => given.has(name))
    if (useless.length > 0) {
      notices.push({
        warning: `Configuring any of {${useless.join(', ')}} has no effect when --git-readonly is set`,
      })
    }
  }
  const label = v.gitLabel
  for (const name of label ? ['git-sync-tag', 'git-notes-ref'] : []) {
    if (given.has(name)) notices.push({ overridden: name, value: label })
  }
  const secretNamespace = v.k8sSecretNamespace || env['POD_NAMESPACE'] || undefined
  const state: SyncState = v.gitReadonly ? 'secret' : v.syncState
  if (state === 'secret' && secretNamespace === undefined) {
    throw invalid(
      'the sync state is kept in a Secret, but its namespace is not known',
      'Give --k8s-secret-namespace, or set POD_NAMESPACE from the pod’s metadata.',
    )
  }

  return {
    notices,
    config: {
      listen: v.listen,
      listenMetrics: v.listenMetrics,
      apiAuth: v.apiAuth,
      token: v.token,
      logFormat: v.logFormat === 'json' ? 'json' : 'fmt',
      kubeconfig: v.kubeConfig,
      git: {
        url: v.gitUrl,
        branch: v.gitBranch,
        paths: v.gitPath.filter((path) => path !== ''),
        readonly: v.gitReadonly,
        committer: { name: v.gitUser, email: v.gitEmail },
        setAuthor: v.gitSetAuthor,
        syncTag: label || v.gitSyncTag,
        notesRef: label || v.gitNotesRef,
        skipMessage: v.gitCiSkipMessage || (v.gitCiSkip ? '\n\n[ci skip]' : ''),
        pollIntervalMs: v.gitPollInterval,
        timeoutMs: v.gitTimeout,
      },
      sync: { intervalMs: v.syncInterval, timeoutMs: v.syncTimeout, state, drift: v.drift },
      automation: {
        intervalMs:
          given.has('registry-poll-interval') && !given.has('automation-interval')
            ? v.registryPollInterval
            : v.automationInterval,
      },
      registry: {
        disabled: v.registryDisableScanning,
        requestsPerSecond: v.registryRps,
        burst: v.registryBurst,
        trace: v.registryTrace,
        insecureHosts: v.registryInsecureHost,
        exclude: v.registryExcludeImage,
        include: v.registryIncludeImage,
        useLabels: v.registryUseLabels,
        dockerConfig: v.dockerConfig,
        cacheDir: v.registryCacheDir,
        metadataDepth: v.registryMetadataDepth,
      },
      k8s: {
        namespaces: [...new Set([...v.k8sAllowNamespace, ...v.k8sNamespaceWhitelist])],
        defaultNamespace: v.k8sDefaultNamespace,
        secretName: v.k8sSecretName,
        secretNamespace,
        secretDataKey: v.k8sSecretDataKey,
      },
      ssh: {
        keyFiles: [
          ...new Set(
            [v.k8sSecretVolumeMountPath, v.sshKeygenDir, keygenFolder]
              .filter((folder) => folder !== '')
              .map((folder) => `${folder.replace(/\/+$/, '')}/${v.k8sSecretDataKey}`),
          ),
        ],
        folder: v.sshKeygenDir || keygenFolder,
        newKey: readNewKey(v),
      },
    },
  }
}

/** The settings that v1 logs at start, without secrets. */
export function settingsLine({ git, sync, registry }: Config): Record<string, string | boolean> {
  return {
    url: safeUrl(git.url),
    user: git.committer.name,
    email: git.committer.email,
    'signing-key': '',
    'verify-signatures-mode': 'none',
    'sync-tag': git.syncTag,
    state: sync.state,
    readonly: git.readonly,
    'registry-disable-scanning': registry.disabled,
    'notes-ref': git.notesRef,
    'set-author': git.setAuthor,
    'git-secret': false,
    sops: false,
  }
}

/** The key that `--ssh-keygen-*` ask for; a size alone means RSA, as it did for `ssh-keygen`. */
function readNewKey({ sshKeygenType, sshKeygenBits, sshKeygenFormat }: Flags): Config['ssh']['newKey'] {
  const type = sshKeygenType || (sshKeygenBits === '' ? 'ed25519' : 'rsa')
  if (type !== 'ed25519' && type !== 'rsa' && type !== 'ecdsa') {
    throw oneOf('ssh-keygen-type', type, ['ed25519', 'rsa', 'ecdsa'])
  }
  const formats = { '': 'openssh', rfc4716: 'openssh', pem: 'pem', pkcs8: 'pkcs8' } as const
  const found = Object.entries(formats).find(([name]) => name === sshKeygenFormat.toLowerCase())
  if (!found) throw oneOf('ssh-keygen-format', sshKeygenFormat, ['RFC4716', 'PEM', 'PKCS8'])

  const bits = /^\d+$/.test(sshKeygenBits) ? Number(sshKeygenBits) : undefined
  const fits =
    type === 'rsa' ? bits !== undefined && bits >= 2048 && bits <= 16384 : [256, 384, 521].includes(bits ?? 0)
  if (sshKeygenBits !== '' && type !== 'ed25519' && !fits) {
    throw invalid(
      `--ssh-keygen-bits is ${sshKeygenBits}`,
      type === 'rsa' ? 'Give 2048 to 16384 for an RSA key.' : 'Give 256, 384 or 521 for an ECDSA key.',
    )
  }
  return { type, bits: type === 'ed25519' ? undefined : bits, format: found[1] }
}

function invalid(what: string, next: string): FluxError {
  return new FluxError('FLAG_INVALID', { what, next })
}

function oneOf(name: string, given: string, allowed: readonly string[]): FluxError {
  return invalid(`--${name} is ${given}`, `Give one of ${allowed.join(', ')}.`)
}
