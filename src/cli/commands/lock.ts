import { defineCommand } from '../command.ts'
import { policyFlags } from '../flags.ts'
import { changePolicies } from '../policies.ts'

export const lock = defineCommand({
  about:
    'Neither automation nor a release changes the images of a locked workload. Who locked it and why stands beside the lock in Git.',
  examples: ["fluxctl lock --workload=demo:deployment/web --message='until the audit'"],
  flags: policyFlags,
  async run(ctx, args) {
    const { workload, controller } = args.flags
    // the older flag wins, as in v1
    return changePolicies(ctx, controller || workload, args, { lock: true })
  },
})
