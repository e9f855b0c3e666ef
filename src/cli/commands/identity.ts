import { defineCommand } from '../command.ts'
import { escapeText } from '../output/text.ts'

export const identity = defineCommand({
  about:
    'Give this key to the Git host as a deploy key that may write. Nothing is printed where fluxd has no key, as with an HTTPS repository.',
  examples: ['fluxctl identity', 'fluxctl identity --fingerprint'],
  flags: [
    { name: 'regenerate', short: 'r', type: 'bool', summary: 'make a new key pair first' },
    {
      name: 'fingerprint',
      short: 'l',
      type: 'bool',
      summary: 'print the MD5 fingerprint in place of the key',
    },
    {
      name: 'visual',
      short: 'v',
      type: 'bool',
      summary: 'print the fingerprint and its picture',
    },
  ],
  async run(ctx, { flags }) {
    const fluxd = await ctx.fluxd()
    const { publicKey } = await fluxd.getRepository({ regenerateKey: flags.regenerate })

    const pod = await ctx.agentPod()
    if (pod) {
      const { namespace, name, node, image, serviceAccount } = pod
      ctx.io.say(
        `Answered by pod ${namespace}/${name} on node ${node ?? '(none)'}, image ${image ?? '(none)'}, ` +
          `service account ${serviceAccount ?? '(none)'}`,
      )
    }

    const { hash = '', randomArt = '' } = publicKey.md5 ?? {}
    if (flags.visual) ctx.io.out(escapeText(`${hash}\n${randomArt}`))
    else ctx.io.out(escapeText(flags.fingerprint ? `${hash}\n` : publicKey.key))
    return 'done'
  },
})
