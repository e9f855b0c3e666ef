import { defineCommand } from '../command.ts'
import { policyFlags } from '../flags.ts'
import { changePolicies } from '../policies.ts'
import { usageError } from '../usage.ts'

export const deautomate = defineCommand({
  about: 'fluxd stops committing new images of this workload by itself.',
  examples: ['fluxctl deautomate --workload=demo:deployment/web'],
  flags: policyFlags,
  async run(ctx, args) {
    const { workload, controller } = args.flags
    if (workload !== '' && controller !== '') throw usageError("can't specify both a controller and workload")
    return changePolicies(ctx, workload || controller, args, { deautomate: true })
  },
})
