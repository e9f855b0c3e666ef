import { valueAt } from '../core/json.ts'
import type { Clock } from '../ports/clock.ts'
import type { Cluster } from '../ports/cluster.ts'

const keptMs = 60 * 60_000

/**
 * Where the cluster runs images: operating system and architecture of its nodes, such as `linux/arm64`. Asked for when
 * an image of several platforms is looked at, once an hour at most. Empty where nodes may not be listed.
 */
export function platformsOf(cluster: Cluster, clock: Clock): () => Promise<readonly string[]> {
  let known: Promise<readonly string[]> | undefined
  let askedAtMs = 0

  const ask = async (): Promise<readonly string[]> => {
    const type = (await cluster.discover()).find('v1', 'Node')
    if (!type) return []
    const { items } = await cluster.list(type)
    const platforms = items.flatMap((node) => {
      const os = valueAt(node, 'status', 'nodeInfo', 'operatingSystem')
      const architecture = valueAt(node, 'status', 'nodeInfo', 'architecture')
      return os && architecture ? [`${os}/${architecture}`] : []
    })
    return [...new Set(platforms)].sort()
  }

  return () => {
    if (!known || clock.monotonicMs() - askedAtMs >= keptMs) {
      askedAtMs = clock.monotonicMs()
      known = ask().catch(() => []) // rights to list nodes are not needed for anything else
    }
    return known
  }
}
