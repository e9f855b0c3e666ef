import { parseResourceIdIn, type ResourceId } from '../core/resource/id.ts'
import type { CliContext } from './context.ts'

/**
 * Read a workload as people type it: `namespace:kind/name`, or `kind/name` in the namespace given, else in that of the
 * kubeconfig context, which is only looked up when it is needed.
 *
 * @throws FluxError `RESOURCE_ID_INVALID`
 */
export async function readWorkload(ctx: CliContext, text: string, namespace: string): Promise<ResourceId> {
  const full = text.includes(':')
  return parseResourceIdIn(full ? '' : namespace || (await ctx.defaultNamespace()), text)
}
