import { FluxError } from '../core/errors.ts'
import { safeUrl } from '../core/git/remote-url.ts'
import type { SshKeyRequest } from '../ports/ssh.ts'
import { formatDuration, type ParsedFlags } from '../runtime/flags.ts'
import { type Flags, type flags, inertFlags, unbuiltFlags } from './flags.ts'

/** What fluxd does, read from its flags (`flags.ts`) and environment. Follows `spec/flux-v1/daemon.md` §1. */

export type ApiAuth = 'loopback' | 'token' | 'none'
export type SyncState = 'git' | 'secret'
/** Whether what left Git is deleted; `dry` only tells. */
export type PruneMode = 'off' | 'dry' | 'on'
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
  sync: {
    intervalMs: number
    timeoutMs: number
    state: SyncState
    drift: DriftMode
    prune: PruneMode
    pruneBudget: number
    pruneExcludes: readonly string[]
  }
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
  for (const { name, on } of unbuiltFlags) {
    if (!on(v)) continue
    throw new FluxError('FLAG_UNSUPPORTED', {
      what: `--${name} is not supported by this version of fluxd`,
      why: 'Going on without it would do something else than asked.',
      next: `Leave --${name} out, or stay with the image you run until a version supports it.`,
    })
  }
  const notices: Record<string, string>[] = []
  for (const [name, why] of Object.entries(inertFlags)) {
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
  if (v.syncGarbageCollectionBudget < 0)
    throw invalid(
      '--sync-garbage-collection-budget is below zero',
      'Give a number of objects, or 0 for no limit.',
    )
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
      sync: {
        intervalMs: v.syncInterval,
        timeoutMs: v.syncTimeout,
        state,
        drift: v.drift,
        prune: v.syncGarbageCollectionDry ? 'dry' : v.syncGarbageCollection ? 'on' : 'off',
        pruneBudget: v.syncGarbageCollectionBudget,
        pruneExcludes: v.k8sUnsafeExcludeResource,
      },
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
