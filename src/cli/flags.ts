import type { Flag, FlagValues } from '../runtime/flags.ts'

/** Flags that more than one command takes. Their letters are v1's (`decisions.md`, "short flags"). */

/** Taken by every command, before or after its name. */
export const globalFlags = [
  {
    name: 'context',
    type: 'string',
    value: 'NAME',
    summary: 'kubeconfig context to use instead of the current one',
  },
  {
    name: 'k8s-fwd-labels',
    type: 'map',
    default: new Map([['app', 'flux']]),
    env: ['FLUX_FORWARD_LABELS'],
    value: 'KEY=VALUE,...',
    summary: "labels of fluxd's pod",
  },
  {
    name: 'k8s-fwd-ns',
    type: 'string',
    default: 'default',
    env: ['FLUX_FORWARD_NAMESPACE'],
    value: 'NAMESPACE',
    summary: 'namespace in which fluxd runs',
  },
  {
    name: 'timeout',
    type: 'duration',
    default: 60_000,
    env: ['FLUX_TIMEOUT'],
    value: 'DURATION',
    summary: 'how long to wait for a job, and then for its commit to be applied',
  },
  {
    name: 'token',
    short: 't',
    type: 'string',
    // the last that is set wins, as in v1
    env: ['FLUX_SERVICE_TOKEN', 'WEAVE_CLOUD_TOKEN'],
    value: 'TOKEN',
    summary: 'token for the fluxd behind --url',
  },
  {
    name: 'url',
    short: 'u',
    type: 'string',
    env: ['FLUX_URL'],
    value: 'URL',
    summary:
      "address of fluxd's API with its path /api/flux; without it, fluxctl connects through Kubernetes",
  },
] as const satisfies readonly Flag[]

export type GlobalFlags = FlagValues<typeof globalFlags>

export const helpFlag = { name: 'help', short: 'h', type: 'bool', summary: 'show this help' } as const

export const namespaceFlag = {
  name: 'namespace',
  short: 'n',
  type: 'string',
  value: 'NAMESPACE',
  summary: 'namespace of workloads that are named without one (default: that of the kubeconfig context)',
} as const

/** v1's older name of `--workload`. */
export const controllerFlag = {
  name: 'controller',
  short: 'c',
  type: 'string',
  deprecated: 'changed to --workload, use that instead',
  summary: 'the older name of --workload',
} as const

/** One document on standard output, whatever the exit code. */
export const outputFlag = {
  name: 'output',
  short: 'o',
  type: 'string',
  default: 'text',
  value: 'FORMAT',
  summary: 'text, or json: one document on standard output, of a failure too',
} as const satisfies Flag

/** Who asks for a change, why, and how much to tell of it. */
export const changeFlags = [
  {
    name: 'message',
    short: 'm',
    type: 'string',
    value: 'TEXT',
    summary: 'why: goes into the commit message, and beside a lock',
  },
  {
    name: 'user',
    type: 'string',
    value: 'NAME',
    summary: 'who: goes into the commit (default: the user of your Git configuration)',
  },
  {
    name: 'verbose',
    short: 'v',
    type: 'count',
    summary: 'also list skipped workloads; with -vv ignored ones too',
  },
  outputFlag,
  {
    name: 'request-id',
    type: 'string',
    value: 'ID',
    summary: 'asked for again under the same id, the change is not made twice',
  },
] as const satisfies readonly Flag[]

/** What `policy` and the commands that stand for one policy take. */
export const policyFlags = [
  namespaceFlag,
  {
    name: 'workload',
    short: 'w',
    type: 'string',
    value: 'WORKLOAD',
    summary: 'the workload, such as demo:deployment/web; required',
  },
  ...changeFlags,
  controllerFlag,
] as const satisfies readonly Flag[]
