import { FluxError } from '../core/errors.ts'
import type { ChartsRepository } from '../core/helm/older.ts'
import { type Flag, formatDuration, type ParsedFlags } from '../runtime/flags.ts'

/**
 * The operator's flags: every one of v1's Helm operator, with its meaning, and a few of ours. Flags that are about
 * Helm 2 are accepted and named once in the log. Follows `spec/helm-operator.md` §2.16.
 */
export const flags = [
  { name: 'version', type: 'bool', summary: 'print the version and exit' },
  { name: 'log-format', type: 'string', default: 'fmt', value: 'FORMAT', summary: 'fmt (logfmt) or json' },
  {
    name: 'listen',
    short: 'l',
    type: 'string',
    default: ':3030',
    value: 'ADDRESS',
    summary: 'where probes, metrics and POST /api/v1/sync-git are served',
  },
  { name: 'kubeconfig', type: 'string', value: 'FILE', summary: 'kubeconfig to use, outside a cluster' },
  {
    name: 'master',
    type: 'string',
    value: 'URL',
    summary: 'not needed: the kubeconfig names the API server',
  },
  {
    name: 'allow-namespace',
    type: 'string',
    value: 'NAMESPACE',
    summary: 'the only namespace whose HelmReleases are looked at',
  },
  { name: 'workers', type: 'int', default: 2, value: 'N', summary: 'releases that helm works on at once' },
  {
    name: 'charts-sync-interval',
    type: 'duration',
    default: 180_000,
    value: 'DURATION',
    summary: 'how often to look at every release',
  },
  {
    name: 'status-update-interval',
    type: 'duration',
    default: 10_000,
    value: 'DURATION',
    summary: 'not needed: a change in Helm’s storage shows at once',
  },
  {
    name: 'log-release-diffs',
    type: 'bool',
    summary: 'log which values differ when a release is upgraded; never the values',
  },
  {
    name: 'update-chart-deps',
    type: 'bool',
    default: true,
    summary: 'fetch the dependencies of charts from Git',
  },

  // Git
  {
    name: 'git-timeout',
    type: 'duration',
    default: 20_000,
    value: 'DURATION',
    summary: 'limit of one Git operation',
  },
  {
    name: 'git-poll-interval',
    type: 'duration',
    default: 300_000,
    value: 'DURATION',
    summary: 'how often to fetch',
  },
  {
    name: 'git-default-ref',
    type: 'string',
    default: 'master',
    value: 'REF',
    summary: 'ref of charts that name none',
  },
  {
    name: 'git-allow-protocols',
    type: 'strings',
    default: ['https', 'ssh'],
    value: 'PROTOCOLS',
    summary: 'what Git may speak for charts',
  },

  // Helm
  {
    name: 'helm-path',
    type: 'string',
    default: 'helm',
    value: 'PATH',
    summary: 'the helm program, 3.17 or later or 4',
  },
  {
    name: 'helm-repository-import',
    type: 'strings',
    value: 'VERSION:FILE',
    summary: 'repositories.yaml with credentials of Helm repositories',
  },
  {
    name: 'registry-insecure-host',
    type: 'strings',
    value: 'HOSTS',
    summary: 'registries of charts with plain HTTP or a certificate nobody signed',
  },
  {
    name: 'enabled-helm-versions',
    type: 'strings',
    default: ['v3'],
    env: ['HELM_VERSION'],
    value: 'VERSIONS',
    summary: 'v3; v2 is not supported',
  },
  {
    name: 'recover-pending',
    type: 'bool',
    default: true,
    summary: 'recover releases that an interrupted helm left pending',
  },
  {
    name: 'drift',
    type: 'string',
    default: 'report',
    value: 'WHAT',
    summary: 'objects that others changed: report, correct by an upgrade, or off',
  },
  {
    name: 'drift-interval',
    type: 'duration',
    default: 600_000,
    value: 'DURATION',
    summary: 'how often to look for drift; it asks the API server for every object',
  },
  {
    name: 'no-cross-namespace',
    type: 'bool',
    summary: 'refuse targets, Secrets and ConfigMaps in other namespaces than the HelmRelease’s',
  },
  {
    name: 'remove-finalizers',
    type: 'bool',
    summary: 'take our finalizer off every HelmRelease and exit: before the operator is uninstalled',
  },

  // older kinds
  {
    name: 'enable-older-kinds',
    type: 'bool',
    summary: 'also HelmReleases of flux.weave.works/v1beta1 and FluxHelmReleases of v1alpha2',
  },
  {
    name: 'git-url',
    type: 'string',
    value: 'URL',
    summary: 'repository with the charts of FluxHelmReleases',
  },
  {
    name: 'git-branch',
    type: 'string',
    default: 'master',
    value: 'BRANCH',
    summary: 'its branch',
  },
  {
    name: 'git-charts-path',
    type: 'string',
    default: 'charts',
    value: 'PATH',
    summary: 'its folder of charts',
  },
  {
    name: 'charts-sync-timeout',
    type: 'duration',
    default: 60_000,
    value: 'DURATION',
    summary: 'not needed: each HelmRelease has its own',
  },
  { name: 'queue-worker-count', type: 'int', default: 2, value: 'N', summary: 'as --workers' },

  // Helm 2
  { name: 'tiller-ip', type: 'string', value: 'IP', summary: 'not needed: there is no Tiller' },
  { name: 'tiller-port', type: 'string', value: 'PORT', summary: 'not needed' },
  {
    name: 'tiller-namespace',
    type: 'string',
    default: 'kube-system',
    value: 'NAMESPACE',
    summary: 'not needed',
  },
  { name: 'tiller-tls-enable', type: 'bool', summary: 'not needed' },
  { name: 'tiller-tls-verify', type: 'bool', summary: 'not needed' },
  {
    name: 'tiller-tls-key-path',
    type: 'string',
    default: '/etc/fluxd/helm/tls.key',
    value: 'FILE',
    summary: 'not needed',
  },
  {
    name: 'tiller-tls-cert-path',
    type: 'string',
    default: '/etc/fluxd/helm/tls.crt',
    value: 'FILE',
    summary: 'not needed',
  },
  { name: 'tiller-tls-ca-cert-path', type: 'string', value: 'FILE', summary: 'not needed' },
  { name: 'tiller-tls-hostname', type: 'string', value: 'HOST', summary: 'not needed' },
  {
    name: 'convert-tiller-out-cluster',
    type: 'bool',
    summary: 'not needed: releases of Helm 2 are not converted',
  },
  {
    name: 'convert-release-storage',
    type: 'string',
    default: 'secrets',
    value: 'KIND',
    summary: 'not needed',
  },
] as const satisfies readonly Flag[]

export type DriftMode = 'report' | 'correct' | 'off'

/** What the operator does, read from its flags and environment. */
export interface Config {
  listen: string
  logFormat: 'fmt' | 'json'
  /** empty: as kubectl finds it */
  kubeconfig: string
  /** empty: all */
  namespace: string
  workers: number
  intervalMs: number
  logDiffs: boolean
  updateDependencies: boolean
  git: { timeoutMs: number; pollIntervalMs: number; defaultRef: string; protocols: readonly string[] }
  helm: {
    program: string
    repositoryFiles: readonly string[]
    insecureHosts: readonly string[]
    recoverPending: boolean
  }
  drift: { mode: DriftMode; intervalMs: number }
  crossNamespace: boolean
  /** where the charts of FluxHelmReleases are; absent: older kinds are left alone */
  older: ChartsRepository | undefined
  removeFinalizers: boolean
}

const helm2Flags = /^(tiller-|convert-)/

/**
 * Read the configuration from parsed flags.
 *
 * @returns it, and lines for the log: what has no effect
 * @throws FluxError `FLAG_INVALID` | `FLAG_UNSUPPORTED`
 */
export function readConfig({ values: v, given, args }: ParsedFlags<typeof flags>): {
  config: Config
  notices: Record<string, string>[]
} {
  if (args.length > 0) throw invalid(`unexpected argument ${args[0]}`, 'helm-operator takes flags only.')
  const notices: Record<string, string>[] = []
  const useless = [...given].filter(
    (name) =>
      helm2Flags.test(name) || ['master', 'status-update-interval', 'charts-sync-timeout'].includes(name),
  )
  if (useless.length > 0) {
    notices.push({ warning: `no effect: ${useless.map((name) => `--${name}`).join(', ')}` })
  }
  const unknown = v.enabledHelmVersions.filter((version) => version !== 'v3')
  if (unknown.length > 0) {
    notices.push({ warning: `Helm versions that are not supported: ${unknown.join(', ')}` })
  }
  if (!v.enabledHelmVersions.includes('v3')) {
    throw new FluxError('FLAG_UNSUPPORTED', {
      what: '--enabled-helm-versions does not name v3',
      why: 'Releases are made by Helm 3 or 4 only.',
      next: 'Leave the flag out, and migrate releases of Helm 2 with the operator 1.4.4 first.',
    })
  }
  const durations = {
    'charts-sync-interval': v.chartsSyncInterval,
    'git-timeout': v.gitTimeout,
    'git-poll-interval': v.gitPollInterval,
    'drift-interval': v.driftInterval,
  }
  for (const [name, durationMs] of Object.entries(durations)) {
    if (durationMs > 0) continue
    throw invalid(`--${name} is ${formatDuration(durationMs)}`, 'Give a duration above zero, such as 3m.')
  }
  if (v.drift !== 'report' && v.drift !== 'correct' && v.drift !== 'off') {
    throw invalid(`--drift is ${v.drift}`, 'Give one of report, correct, off.')
  }
  if (v.workers < 1 || v.queueWorkerCount < 1)
    throw invalid('--workers is below one', 'Give a number of releases, such as 2.')
  const repositoryFiles = v.helmRepositoryImport.flatMap((pair) => {
    const [, version, file] = /^(v\d+):(.+)$/.exec(pair) ?? []
    if (version === 'v3' && file !== undefined) return [file]
    notices.push({
      warning:
        file === undefined
          ? `invalid version/path pair: ${pair}, expected format is [version]:[path]`
          : `--helm-repository-import=${pair} is left out: it is for Helm ${version}`,
    })
    return []
  })
  return {
    notices,
    config: {
      listen: v.listen,
      logFormat: v.logFormat === 'json' ? 'json' : 'fmt',
      kubeconfig: v.kubeconfig,
      namespace: v.allowNamespace,
      workers: given.has('queue-worker-count') && !given.has('workers') ? v.queueWorkerCount : v.workers,
      intervalMs: v.chartsSyncInterval,
      logDiffs: v.logReleaseDiffs,
      updateDependencies: v.updateChartDeps,
      git: {
        timeoutMs: v.gitTimeout,
        pollIntervalMs: v.gitPollInterval,
        defaultRef: v.gitDefaultRef,
        protocols: v.gitAllowProtocols,
      },
      helm: {
        program: v.helmPath,
        repositoryFiles,
        insecureHosts: v.registryInsecureHost,
        recoverPending: v.recoverPending,
      },
      drift: { mode: v.drift, intervalMs: v.driftInterval },
      crossNamespace: !v.noCrossNamespace,
      older: v.enableOlderKinds ? { git: v.gitUrl, ref: v.gitBranch, path: v.gitChartsPath } : undefined,
      removeFinalizers: v.removeFinalizers,
    },
  }
}

function invalid(what: string, next: string): FluxError {
  return new FluxError('FLAG_INVALID', { what, next })
}
