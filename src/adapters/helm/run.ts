import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { FluxError } from '../../core/errors.ts'
import { formatJson, isJsonObject, type JsonObject, type JsonValue, valueAt } from '../../core/json.ts'
import type {
  Helm,
  HelmReleaseContent,
  ReleaseInputs,
  ReleaseTarget,
  UpgradeOptions,
} from '../../ports/helm.ts'
import { redact, runChild } from '../system/spawn.ts'
import { helmFailure } from './failure.ts'

/**
 * The helm program, 3.17 or later and 4: one process a call, in an environment that we set up, ended with everything
 * that it started when its time is over or we are gone.
 *
 * Values and chart names never become flags: values go through standard input, flags are written `--flag=value`. What
 * differs between Helm 3 and 4 stands in `dialects`. Follows `spec/helm-operator.md` §6.
 */

export interface HelmProgramOptions {
  /** found on `PATH` unless it has a slash */
  program: string
  /** a folder of our own for helm's caches and home */
  folder: string
  /** kubeconfig files; none: the service account of the pod */
  kubeconfigs: readonly string[]
  /** context of the kubeconfig */
  context: string | undefined
  /** where variables that are passed on come from */
  environment: Readonly<Record<string, string | undefined>>
  /** processes at once */
  concurrency: number
}

/** Variables of our own environment that helm gets, where they are set. */
const passedOn = [
  'PATH',
  'KUBERNETES_SERVICE_HOST',
  'KUBERNETES_SERVICE_PORT',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'TMPDIR',
]

/** What Helm 3 and 4 say differently. */
const dialects = {
  3: { wait: ['--wait'], force: ['--force'], takeBack: [], recreatePods: ['--recreate-pods'] },
  4: {
    wait: ['--wait=watcher'],
    force: ['--force-replace', '--server-side=false'],
    // what a person or a controller changed would refuse every upgrade
    takeBack: ['--force-conflicts'],
    recreatePods: [],
  },
} as const

const longestHistory = 1_000_000
const versionTimeoutMs = 30_000
/** after SIGTERM helm marks its revision failed, which takes a request or two */
const helmGraceMs = 30_000
/** a dry run prints the whole release */
const maxOutputBytes = 64 * 1024 * 1024

/** @throws FluxError `HELM_PROGRAM_MISSING` | `HELM_PROGRAM_UNSUPPORTED` */
export async function createHelm(options: HelmProgramOptions): Promise<Helm> {
  const { program, folder, kubeconfigs, context } = options
  for (const part of ['home', 'cache', 'config', 'data', 'plugins']) {
    await mkdir(join(folder, part), { recursive: true, mode: 0o700 })
  }
  const env: Record<string, string> = {
    HOME: join(folder, 'home'),
    HELM_CACHE_HOME: join(folder, 'cache'),
    HELM_CONFIG_HOME: join(folder, 'config'),
    HELM_DATA_HOME: join(folder, 'data'),
    HELM_PLUGINS: join(folder, 'plugins'),
    HELM_CONTENT_CACHE: join(folder, 'cache', 'content'),
    HELM_DRIVER: 'secret',
    ...(kubeconfigs.length > 0 && { KUBECONFIG: kubeconfigs.join(':') }),
  }
  for (const name of passedOn) {
    const value = options.environment[name]
    if (value !== undefined) env[name] = value
  }
  const turns = createTurns(options.concurrency)

  interface Call {
    args: readonly string[]
    input?: string
    timeoutMs: number
    secrets?: readonly string[]
    signal?: AbortSignal | undefined
  }

  const run = async ({ args, input, timeoutMs, secrets = [], signal }: Call): Promise<string> => {
    const [command = '', ...rest] = args
    const result = await turns(() =>
      runChild({
        program,
        args: [command, ...(context === undefined ? [] : [`--kube-context=${context}`]), ...rest],
        env,
        timeoutMs,
        graceMs: helmGraceMs,
        tied: true,
        maxOutputBytes,
        ...(input !== undefined && { input }),
        ...(signal && { signals: [signal] }),
      }),
    )
    const doing = `helm ${command}`
    // the shell in between says 126 or 127 where it can't start the program
    if (result.error || result.exitCode === 126 || result.exitCode === 127) {
      throw new FluxError('HELM_PROGRAM_MISSING', {
        what: `the program ${program} can't be started`,
        next: 'Install helm 3.17 or later, or 4, where the operator finds it, or name it with --helm-path.',
        cause: result.error,
      })
    }
    if (result.stopped === 'timeout') {
      throw new FluxError('HELM_TIMEOUT', {
        what: `${doing} did not end within ${Math.round(timeoutMs / 1000)} s and was ended`,
        next: 'Look at the hooks of the chart, or raise spec.timeout.',
      })
    }
    if (result.stopped === 'output') {
      throw new FluxError('HELM_FAILED', { what: `${doing}: its output is too large` })
    }
    if (result.exitCode !== 0) throw helmFailure(doing, redact(result.stderr, secrets), result)
    return result.stdout.toString('utf8')
  }

  const { version, major } = await readVersion((args) => run({ args, timeoutMs: versionTimeoutMs }))
  const dialect = dialects[major]

  const targetFlags = ({ namespace, timeoutMs, serviceAccount }: ReleaseTarget): string[] => [
    `--namespace=${namespace}`,
    `--timeout=${Math.ceil(timeoutMs / 1000)}s`,
    ...(serviceAccount === undefined
      ? []
      : [`--kube-as-user=system:serviceaccount:${serviceAccount}`, '--kube-as-group=system:serviceaccounts']),
  ]
  const inputFlags = ({ labels, wait, disableOpenApiValidation }: ReleaseInputs): string[] => [
    '--values=-',
    ...Object.entries(labels).map(([key, value]) => `--labels=${key}=${value}`),
    ...(wait ? dialect.wait : []),
    ...(disableOpenApiValidation ? ['--disable-openapi-validation'] : []),
  ]
  const conflictFlags = ({ force, serverSide }: { force: boolean; serverSide: boolean }) =>
    force ? dialect.force : serverSide ? dialect.takeBack : []
  const upgradeArgs = (options: UpgradeOptions): string[] => [
    'upgrade',
    ...targetFlags(options),
    ...inputFlags(options),
    options.reuseValues ? '--reuse-values' : '--reset-values',
    `--history-max=${historyOf(options)}`,
    ...conflictFlags(options),
    '--',
    options.name,
    options.chart,
  ]
  /** helm's own limit is for each wait: hooks, CRDs and uploads add to it */
  const limitOf = ({ timeoutMs }: ReleaseTarget) => 2 * timeoutMs + 60_000

  return {
    version,

    async install(options, signal) {
      const { name, chart, values, skipCrds, secrets } = options
      await run({
        args: [
          'install',
          ...targetFlags(options),
          ...inputFlags(options),
          ...(skipCrds ? ['--skip-crds'] : []),
          ...dialect.takeBack,
          '--',
          name,
          chart,
        ],
        input: formatJson(values),
        timeoutMs: limitOf(options),
        secrets,
        signal,
      })
    },

    async upgrade(options, signal) {
      await run({
        args: upgradeArgs(options),
        input: formatJson(options.values),
        timeoutMs: limitOf(options),
        secrets: options.secrets,
        signal,
      })
    },

    async dryRunUpgrade(options, signal) {
      const [command = '', ...flags] = upgradeArgs(options)
      const text = await run({
        args: [command, '--dry-run=server', '--output=json', ...flags],
        input: formatJson(options.values),
        timeoutMs: limitOf(options),
        secrets: options.secrets,
        signal,
      })
      return readReleaseContent(JSON.parse(text) as JsonValue)
    },

    async rollback(options, signal) {
      const { name, revision, wait, recreatePods, disableHooks } = options
      await run({
        args: [
          'rollback',
          ...targetFlags(options),
          `--history-max=${historyOf(options)}`,
          ...(wait ? dialect.wait : []),
          ...conflictFlags(options),
          ...(recreatePods ? dialect.recreatePods : []),
          ...(disableHooks ? ['--no-hooks'] : []),
          '--',
          name,
          String(revision),
        ],
        timeoutMs: limitOf(options),
        signal,
      })
    },

    async test(target, signal) {
      await run({
        args: ['test', ...targetFlags(target), '--', target.name],
        timeoutMs: limitOf(target),
        signal,
      })
    },

    async uninstall(target, signal) {
      await run({
        args: ['uninstall', ...targetFlags(target), '--ignore-not-found', '--', target.name],
        timeoutMs: limitOf(target),
        signal,
      })
    },
  }
}

/** 0 means no limit to Helm as well, on upgrade; a rollback takes it for none at all in some versions. */
function historyOf({ maxHistory }: { maxHistory: number }): number {
  return maxHistory > 0 ? maxHistory : longestHistory
}

async function readVersion(
  run: (args: readonly string[]) => Promise<string>,
): Promise<{ version: string; major: 3 | 4 }> {
  const version = (await run(['version', '--template={{.Version}}'])).trim()
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(version) ?? []
  if (major === '4') return { version, major: 4 }
  if (major === '3' && Number(minor) >= 13) return { version, major: 3 }
  throw new FluxError('HELM_PROGRAM_UNSUPPORTED', {
    what: `helm ${version} is not supported`,
    why: 'The operator drives helm 3.17 and later, and 4.',
    next: 'Install one of these, or name it with --helm-path.',
  })
}

/** Read a release as `helm -o json` prints it and as Helm's Secrets hold it. */
export function readReleaseContent(value: JsonValue): HelmReleaseContent {
  const object = (...path: string[]): JsonObject => {
    const found = valueAt(value, ...path)
    return isJsonObject(found) ? found : {}
  }
  const text = (...path: string[]): string => {
    const found = valueAt(value, ...path)
    return typeof found === 'string' ? found : ''
  }
  const templates = valueAt(value, 'chart', 'templates')
  return {
    config: object('config'),
    chart: {
      name: text('chart', 'metadata', 'name'),
      version: text('chart', 'metadata', 'version'),
      appVersion: text('chart', 'metadata', 'appVersion'),
      values: object('chart', 'values'),
      templates: (Array.isArray(templates) ? templates : []).flatMap((template) => {
        const name = valueAt(template, 'name')
        const data = valueAt(template, 'data')
        return typeof name === 'string' && typeof data === 'string' ? [{ name, data }] : []
      }),
    },
    manifest: text('manifest'),
    serverSide: text('apply_method') === 'ssa',
  }
}

/** At most so many at once, the first to come first. */
function createTurns(limit: number): <T>(work: () => Promise<T>) => Promise<T> {
  let free = limit
  const waiting: (() => void)[] = []
  return async (work) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}
