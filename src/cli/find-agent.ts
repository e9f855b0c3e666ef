import { FluxError } from '../core/errors.ts'
import type { KubeAccess, PodSummary } from '../ports/agent-access.ts'
import type { Clock } from '../ports/clock.ts'

/** Port of fluxd's API in its pod. */
export const agentPort = 3030

/** Names that v1's own manifests, and those of its forerunner, gave the pod. */
const byName = 'name in (flux,fluxd,weave-flux-agent)'

/** How long to look through the other namespaces before saying that nothing was found. */
const lookElsewhereMs = 1000

export interface FindOptions {
  namespace: string
  labels: ReadonlyMap<string, string>
  /** takes a line for each pod that looks like fluxd but isn't trusted */
  warn(line: string): void
  clock: Clock
  signal: AbortSignal
}

/**
 * Find fluxd's pod: by the labels, else by the names it has been given, in one namespace.
 *
 * Everyone who may create a pod could label it as fluxd and read what it is told, so only a pod is taken that is running,
 * ready, and made by a Deployment; others are passed over with a warning.
 *
 * @throws FluxError `FLUXD_NOT_FOUND` with where it was looked for, and where it runs instead | `FLUXD_AMBIGUOUS`
 */
export async function findAgent(kube: KubeAccess, options: FindOptions): Promise<PodSummary> {
  const { namespace, warn, signal } = options
  const selectors = [formatLabels(options.labels), byName]
  const warned = new Set<string>()
  for (const labelSelector of selectors) {
    const pods = await kube.listPods({
      namespace,
      labelSelector,
      fieldSelector: 'status.phase=Running',
      signal,
    })
    const trusted: PodSummary[] = []
    for (const pod of pods) {
      const doubt = await doubtAbout(kube, pod, signal)
      if (doubt === undefined) trusted.push(pod)
      else if (!warned.has(pod.uid)) warn(`Warning: passed over pod ${pod.namespace}/${pod.name}: ${doubt}`)
      warned.add(pod.uid)
    }
    if (trusted.length > 1) {
      throw new FluxError('FLUXD_AMBIGUOUS', {
        what:
          'Could not create a dialer: Could not get pod name: Ambiguous pod: found more than one pod for selector: ' +
          `labels "${labelSelector}"`,
      })
    }
    if (trusted[0]) return trusted[0]
  }
  throw await notFound(kube, options, selectors, warned.size > 0)
}

/** Why a pod isn't taken for fluxd, or `undefined`. */
async function doubtAbout(
  kube: KubeAccess,
  pod: PodSummary,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (pod.terminating) return 'it is being deleted'
  if (pod.phase !== 'Running' || !pod.ready) return 'it is not ready'
  if (pod.owner?.kind !== 'ReplicaSet' || !(await kube.ownedByDeployment(pod, signal)))
    return 'it does not belong to a Deployment'
  return undefined
}

async function notFound(
  kube: KubeAccess,
  options: FindOptions,
  selectors: readonly string[],
  passedOver: boolean,
): Promise<FluxError> {
  const { namespace } = options
  const { files, context, server } = kube.origin
  const all = await findNamespaces(kube, selectors, options)
  const elsewhere = all?.filter((found) => found !== namespace)
  const settings = [
    files.length > 0 ? `kubeconfig ${files.join(', ')}` : "the pod's own service account",
    ...(context ? [`context ${context}`] : []),
    `server ${server}`,
    `namespaces ${elsewhere ? `${namespace}, then all others` : `${namespace} (others may not be listed)`}`,
  ]
  return new FluxError('FLUXD_NOT_FOUND', {
    what: [
      `No pod found in namespace "${namespace}" using the following selectors:`,
      ...selectors.map((selector) => `  ${selector}`),
    ].join('\n'),
    why: `Looked with ${settings.join('; ')}.`,
    next: nextStep(elsewhere ?? [], passedOver),
  })
}

function nextStep(elsewhere: readonly string[], passedOver: boolean): string {
  if (elsewhere.length > 0) {
    const flags = elsewhere.map((found) => `--k8s-fwd-ns=${found}`)
    return `There seems to be a fluxd elsewhere. Add ${flags.join(' or ')}, or set FLUX_FORWARD_NAMESPACE.`
  }
  return passedOver
    ? 'Wait until its pod is ready, or see why it is not: kubectl describe pod.'
    : 'Name its namespace with --k8s-fwd-ns, its labels with --k8s-fwd-labels, another cluster with --context, or its address with --url.'
}

/** Namespaces in which fluxd seems to run; `undefined` where we may not, or can't quickly, look. */
async function findNamespaces(
  kube: KubeAccess,
  selectors: readonly string[],
  { clock, signal }: FindOptions,
): Promise<string[] | undefined> {
  const enough = new AbortController()
  const limit = AbortSignal.any([signal, enough.signal])
  clock.sleep(lookElsewhereMs, limit).then(
    () => enough.abort(),
    () => {},
  )
  try {
    const lists = await Promise.all(
      selectors.map((labelSelector) => kube.listPods({ labelSelector, signal: limit })),
    )
    return [...new Set(lists.flat().map((pod) => pod.namespace))].sort()
  } catch {
    signal.throwIfAborted()
    return undefined
  } finally {
    enough.abort()
  }
}

function formatLabels(labels: ReadonlyMap<string, string>): string {
  return [...labels]
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',')
}
