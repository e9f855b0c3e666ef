import { existsSync, realpathSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { FluxError } from '../../core/errors.ts'
import { closedEnvironment, runProgram } from '../processes.ts'

/** Paths of the built programs. */
export interface Programs {
  fluxctl: string
  fluxd: string
}

/**
 * Look for everything that a world is made of.
 *
 * @param program the running program's file: ours stand in `bin`, in a folder above it
 * @throws FluxError `DEMO_UNAVAILABLE`
 */
export function findPrograms(program: string): Programs {
  const path = (process.env['PATH'] ?? '').split(delimiter)
  if (!path.some((folder) => existsSync(join(folder, 'git')))) {
    throw new FluxError('DEMO_UNAVAILABLE', {
      what: 'the demo needs the program git, which is not on the PATH',
      next: 'Install Git, and run the demo again.',
    })
  }
  for (let folder = dirname(realpathSync(program)); ; folder = dirname(folder)) {
    const [fluxctl, fluxd] = [join(folder, 'bin', 'fluxctl.cjs'), join(folder, 'bin', 'fluxd.cjs')]
    if (existsSync(fluxctl) && existsSync(fluxd)) return { fluxctl, fluxd }
    if (folder === dirname(folder)) break
  }
  throw new FluxError('DEMO_UNAVAILABLE', {
    what: 'bin/fluxctl.cjs and bin/fluxd.cjs are missing',
    next: 'Build them with `npm run build`, or install the package again.',
  })
}

/** Whether there is an `ssh` that works: it wants its user to have a name. */
export async function canUseSsh(home: string, signal: AbortSignal): Promise<boolean> {
  const args = ['-F', 'none', '-G', '127.0.0.1']
  return runProgram({ file: 'ssh', args, env: closedEnvironment(home), signal }).then(
    ({ exitCode }) => exitCode === 0,
    () => false,
  )
}
