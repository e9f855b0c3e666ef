import { systemClock } from '../adapters/system/clock.ts'
import { version } from '../version.ts'
import type { Neighbours } from './context.ts'
import { run } from './run.ts'

/**
 * fluxctl: the parts list. Everything that reaches out is named here, and loaded when a command asks for it.
 *
 * `core/` and `api/` say what is asked of fluxd, `ports/` how; `run.ts` is the frame of every command, `commands.ts` the
 * table of them.
 */
const interrupt = new AbortController()

const neighbours: Neighbours = {
  version,
  clock: systemClock,
  openKube: async ({ context }) =>
    (await import('../adapters/kube/access.ts')).openKubeAccess({ context, env: process.env }),
  connect: async (options) => (await import('../adapters/fluxd/client.ts')).createFluxdClient(options),
  gitUser: async () => (await import('../adapters/fluxd/git-user.ts')).readGitUser(process.env),
}

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  // a second one ends the process the way Node does
  process.once(name, () => interrupt.abort())
}
// whoever reads our output has seen enough, as with `| head`
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 141 : 1))

void run({
  argv: process.argv.slice(2),
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupt.signal,
  neighbours,
}).then((code) => {
  process.exitCode = code
})
