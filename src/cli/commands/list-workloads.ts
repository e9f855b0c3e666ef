import { formatWire } from '../../api/json.ts'
import { controllerStatusesToWire } from '../../api/write.ts'
import { formatImageRef } from '../../core/image/ref.ts'
import { compareCodePoints } from '../../core/json.ts'
import type { WorkloadListing } from '../../core/listing.ts'
import { defineCommand } from '../command.ts'
import { namespaceFlag } from '../flags.ts'
import { checkFormat, listFlags } from '../listing.ts'
import { formatTable } from '../output/table.ts'
import { escapeLine } from '../output/text.ts'

export const listWorkloads = defineCommand({
  examples: ['fluxctl list-workloads --all-namespaces', 'fluxctl list-workloads -n demo -o json'],
  flags: [
    { ...namespaceFlag, summary: 'only this namespace (default: that of the kubeconfig context)' },
    { name: 'all-namespaces', short: 'a', type: 'bool', summary: 'every namespace, whatever -n says' },
    {
      name: 'container',
      short: 'c',
      type: 'string',
      value: 'NAME',
      summary: 'only workloads with a container of this name',
    },
    ...listFlags,
  ],
  async run(ctx, { flags }) {
    checkFormat(flags.outputFormat)
    const fluxd = await ctx.fluxd()
    const namespace = flags.allNamespaces ? '' : flags.namespace || (await ctx.defaultNamespace())

    const all = await ctx.io.during('Listing workloads', fluxd.listWorkloads({ namespace }))

    const { container } = flags
    const workloads = all
      .filter(({ containers }) => container === '' || containers.some(({ name }) => name === container))
      .sort((a, b) => compareCodePoints(a.id, b.id))
    if (flags.outputFormat === 'json')
      ctx.io.out(`${escapeLine(formatWire(controllerStatusesToWire(workloads)))}\n`)
    else ctx.io.out(formatWorkloads(workloads, { headings: !flags.noHeaders }))
    return 'done'
  },
})

export function formatWorkloads(
  workloads: readonly WorkloadListing[],
  { headings }: { headings: boolean },
): string {
  return formatTable([
    ...(headings ? [['WORKLOAD', 'CONTAINER', 'IMAGE', 'RELEASE', 'POLICY']] : []),
    ...workloads.flatMap((workload) => {
      const [first, ...more] = workload.containers.map(({ name, current: { ref } }) => [
        name,
        ref ? formatImageRef(ref) : '',
      ])
      return [
        [workload.id, ...(first ?? ['', '']), workload.status, policiesOf(workload)],
        ...more.map((cells) => ['', ...cells, '', '']),
      ]
    }),
  ])
}

function policiesOf({ automated, ignore, locked }: WorkloadListing): string {
  const set = [automated && 'automated', ignore && 'ignore', locked && 'locked']
  return set.filter((name) => name !== false).join(',')
}
