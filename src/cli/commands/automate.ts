import { defineCommand } from '../command.ts'
import { policyFlags } from '../flags.ts'
import { changePolicies } from '../policies.ts'
import { usageError } from '../usage.ts'

export const automate = defineCommand({
  about:
    'From now on fluxd commits the newest image that the tag pattern allows, whenever the registry has one.',
  examples: ['fluxctl automate --workload=demo:deployment/web'],
  flags: policyFlags,
  async run(ctx, args) {
    const { workload, controller } = args.flags
    if (workload !== '' && controller !== '')
      throw usageError("can't specify both the controller and workload")
    return changePolicies(ctx, workload || controller, args, { automate: true })
  },
})
