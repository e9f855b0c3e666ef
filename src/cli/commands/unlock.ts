import { defineCommand } from '../command.ts'
import { policyFlags } from '../flags.ts'
import { changePolicies } from '../policies.ts'
import { usageError } from '../usage.ts'

export const unlock = defineCommand({
  about: 'Takes back what fluxctl lock did.',
  examples: ['fluxctl unlock --workload=demo:deployment/web'],
  flags: policyFlags,
  async run(ctx, args) {
    const { workload, controller } = args.flags
    if (workload !== '' && controller !== '') throw usageError("can't specify both a controller and workload")
    return changePolicies(ctx, workload || controller, args, { unlock: true })
  },
})
