import { defineCommand } from '../command.ts'
import { globalFlags } from '../flags.ts'
import { usageError } from '../usage.ts'

export const demo = defineCommand({
  about:
    'Starts a Kubernetes control plane, a Git server and an image registry on this machine, then goes through a first sync, a release, a lock, a repair and an undo. Each step shows the real command and its output, and is checked. Touches nothing of yours, and leaves nothing behind.',
  examples: ['fluxctl demo', 'fluxctl demo --no-color'],
  flags: [{ name: 'no-color', type: 'bool', summary: 'no colours, even on a terminal; as with NO_COLOR' }],
  async run({ io, signal }, { flags, given }) {
    const stray = globalFlags.find(({ name }) => given.has(name))
    if (stray) throw usageError(`--${stray.name} has no meaning here: the demo has a world of its own`)

    const { findPrograms } = await import('../../playground/tour/world.ts')
    const programs = findPrograms(process.argv[1] ?? '')
    const { runTour } = await import('../../playground/tour/tour.ts')
    const colour = !flags.noColor && process.stdout.isTTY && process.stdout.hasColors()
    await runTour({ programs, out: io.out, colour, signal })
    return 'done'
  },
})
