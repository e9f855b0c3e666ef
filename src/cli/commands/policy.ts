import { defineCommand } from '../command.ts'
import { policyFlags } from '../flags.ts'
import { changePolicies } from '../policies.ts'
import { usageError } from '../usage.ts'

export const policy = defineCommand({
  about:
    'A tag pattern is glob:1.4.*, semver:~1.4 or regexp:^v[0-9]+$; without a prefix it is a glob. The pattern * allows every tag again.',
  examples: [
    "fluxctl policy --workload=demo:deployment/web --automate --tag-all='semver:~1.4'",
    "fluxctl policy --workload=demo:deployment/web --tag='sidecar=glob:v*'",
  ],
  flags: [
    { name: 'automate', type: 'bool', summary: 'let fluxd release new images by itself' },
    { name: 'deautomate', type: 'bool', summary: 'release images only when asked' },
    { name: 'lock', type: 'bool', summary: 'keep the images as they are' },
    { name: 'unlock', type: 'bool', summary: 'let the images change again' },
    { name: 'tag-all', type: 'string', value: 'PATTERN', summary: 'tags that any container may run' },
    {
      name: 'tag',
      type: 'strings',
      value: 'CONTAINER=PATTERN',
      summary: 'tags that one container may run; may be repeated',
    },
    ...policyFlags,
  ],
  async run(ctx, args) {
    const { workload, controller, automate, deautomate, lock, unlock, tagAll, tag } = args.flags
    if (workload !== '' && controller !== '')
      throw usageError("can't specify both the controller and workload")
    const request = { automate, deautomate, lock, unlock, tagAll, tags: tag }
    return changePolicies(ctx, workload || controller, args, request)
  },
})
