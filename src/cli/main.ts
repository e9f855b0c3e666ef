import { isatty } from 'node:tty'
import { systemClock } from '../adapters/system/clock.ts'
import { version } from '../version.ts'
import type { Neighbours } from './context.ts'
import type { InStream, OutStream } from './io.ts'
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
  openFolder: async (path) => (await import('../adapters/system/folder.ts')).openFolder(path),
}

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  // a second one ends the process the way Node does
  process.once(name, () => interrupt.abort())
}
let stdoutWatched = false
/** Whoever reads our output has seen enough, as with `| head`. */
function onLostReader({ code }: NodeJS.ErrnoException): void {
  process.exit(code === 'EPIPE' ? 141 : 1)
}

/** Node makes a stream when it is first touched, which takes a while; most commands need one of the three. */
const stdin: InStream = {
  isTTY: isatty(0),
  setRawMode: (on) => process.stdin.setRawMode(on),
  on: (event, listener) => process.stdin.on(event, listener),
  off: (event, listener) => process.stdin.off(event, listener),
  resume: () => process.stdin.resume(),
  pause: () => process.stdin.pause(),
}
const stdout: OutStream = {
  isTTY: isatty(1),
  write(text) {
    if (!stdoutWatched) process.stdout.on('error', onLostReader)
    stdoutWatched = true
    process.stdout.write(text)
  },
}
const stderr: OutStream = {
  isTTY: isatty(2),
  get columns() {
    return process.stderr.columns
  },
  write: (text) => process.stderr.write(text),
}

void run({
  argv: process.argv.slice(2),
  env: process.env,
  stdin,
  stdout,
  stderr,
  signal: interrupt.signal,
  neighbours,
}).then((code) => {
  process.exitCode = code
})
