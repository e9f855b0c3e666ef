import type { Flag, FlagValues } from '../runtime/flags.ts'

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
  { name: 'sync-garbage-collection-dry', type: 'bool', summary: 'only log what would be deleted' },
  {
    name: 'sync-garbage-collection-budget',
    type: 'int',
    default: 50,
    value: 'N',
    summary: 'delete nothing when more objects than this are to go at once; 0: no limit',
  },
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
    summary: 'kinds that garbage collection never looks at',
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

/** Flags that v1 needs and fluxd doesn't: why. */
export const inertFlags: Record<string, string> = {
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
}

/** Flags that turn on what isn't built, and when they do. */
export const unbuiltFlags: { name: string; on(values: Flags): boolean }[] = [
  { name: 'git-secret', on: (v) => v.gitSecret },
  { name: 'sops', on: (v) => v.sops },
  { name: 'git-gpg-key-import', on: (v) => v.gitGpgKeyImport.length > 0 },
  { name: 'git-signing-key', on: (v) => v.gitSigningKey !== '' },
  { name: 'git-verify-signatures', on: (v) => v.gitVerifySignatures && v.gitVerifySignaturesMode === '' },
  { name: 'git-verify-signatures-mode', on: (v) => !['', 'none'].includes(v.gitVerifySignaturesMode) },
  { name: 'manifest-generation', on: (v) => v.manifestGeneration },
  { name: 'registry-ecr-region', on: (v) => v.registryEcrRegion.length > 0 },
  { name: 'registry-ecr-include-id', on: (v) => v.registryEcrIncludeId.length > 0 },
  { name: 'registry-require', on: (v) => v.registryRequire.length > 0 },
  { name: 'connect', on: (v) => v.connect !== '' },
]
